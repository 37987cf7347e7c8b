"""The report's section on combined runs: what differs, and how far they agree."""

import json

import numpy as np
import pandas as pd
import pytest

from mri_saliency.checks.verdicts import Verdict
from mri_saliency.combine.repeatability import REPEATABLE
from mri_saliency.output.folder import OutputFolder
from mri_saliency.report.networks import recipe_differences, runs_section


def made_run(name, sha256="a" * 64, **settings):
    checkpoint = {"path": f"{name}/best_model.pth", "sha256": sha256, "network": "EfficientNetV2-S"}
    options = {"baseline": "zero", "csv_path": "val.csv", "target": 0, "workers": len(name)}
    return {"run": name, "checkpoint": checkpoint, "options": options, "settings": {"n_steps": 50} | settings}


def test_only_what_differs_is_listed():
    found = recipe_differences([made_run("one"), made_run("three", n_steps=9, seed=1)])
    assert found == {
        "checkpoint": ["one/best_model.pth", "three/best_model.pth"],
        "--n_steps": ["50", "9"],
        "--seed": ["–", "1"],
    }
    assert recipe_differences([made_run("one"), made_run("one")]) == {}
    assert recipe_differences([made_run("one"), made_run("one", "b" * 64)]) == {
        "checkpoint's sha256": ["a" * 12, "b" * 12]
    }


def test_means_and_coefficients(tmp_path):
    folder = OutputFolder(tmp_path)
    assert runs_section(folder, {"checkpoint": {}}, {}) is None
    run = {"combined": [made_run("one"), made_run("two", "b" * 64)]}
    section = runs_section(folder, run, {})
    assert section.names == ["one", "two"] and section.entries == []
    rows = pd.DataFrame(
        {
            "subject_id": ["01", "01", "02"],
            "method": "saliency",
            "run_a": "one",
            "run_b": "two",
            "rank_correlation": [0.2, 0.4, 0.9],
            "top_overlap": 0.5,
            "sign_agreement": np.nan,
            "rank_correlation_chance": [0.1, np.nan, 0.3],
            "rank_correlation_null": np.nan,
        }
    )
    rows.to_csv(folder.run_agreement, index=False)
    icc = pd.DataFrame({"method": "saliency", "region": list("abc"), "icc": [0.1, 0.9, 0.6]})
    icc.to_csv(folder.run_region_agreement, index=False)
    folder.run_record.write_text(json.dumps(run))
    (entry,) = runs_section(folder, run, {"saliency": {REPEATABLE: Verdict(False, "unlike")}}).entries
    assert entry.n_scans == 2 and entry.verdict.answer == "NO" and entry.icc == (0.6, 0.1, 0.9)
    assert entry.means["rank_correlation"]["mean"] == pytest.approx(0.5)
    assert entry.means["rank_correlation"]["chance"] == pytest.approx(0.2)
    assert np.isnan(entry.means["rank_correlation"]["null"]) and np.isnan(
        entry.means["top_overlap"]["chance"]
    )
