"""The report's section on combined runs: what differs, and how far they agree."""

import numpy as np
import pandas as pd

from mri_saliency.checks.verdicts import Verdict
from mri_saliency.combine.repeatability import REPEATABLE
from mri_saliency.output.files import write_table
from mri_saliency.output.folder import OutputFolder
from mri_saliency.report.networks import recipe_differences, run_entries

from ..made_cohort import report_records
from .pages import RUN, findings_of, save_page


def made_run(name, sha256="a" * 64, **settings):
    checkpoint = RUN["checkpoint"] | {"path": f"{name}/best_model.pth", "sha256": sha256}
    return RUN | {"run": name, "checkpoint": checkpoint, "settings": {"n_steps": 50} | settings}


def test_only_what_differs_is_listed():
    found = recipe_differences([made_run("one"), made_run("three", n_steps=9, seed=1)])
    assert found == {
        "checkpoint": ["one/best_model.pth", "three/best_model.pth"],
        "--n_steps": ["50", "9"],
        "--seed": ["–", "1"],
    }
    found = recipe_differences([made_run("one"), made_run("one", "b" * 64)])
    assert found == {"checkpoint's sha256": ["a" * 12, "b" * 12]}


def test_means_and_coefficients(tmp_path):
    folder = OutputFolder(tmp_path)
    run = RUN | {"combined": [made_run("one"), made_run("two", "b" * 64)]}
    assert run_entries(findings_of(tmp_path, [], run=run)) == []
    rows = pd.DataFrame({"subject_id": ["01", "01", "02"], "rank_correlation": [0.2, 0.4, 0.9]})
    rows = rows.assign(method="saliency", run_a="one", run_b="two", sign_agreement=np.nan)
    rows = rows.assign(rank_correlation_chance=[0.1, np.nan, 0.3], rank_correlation_null=np.nan)
    write_table(folder.run_agreement, rows)
    icc = pd.DataFrame({"method": "saliency", "region": list("abc"), "icc": [0.1, 0.9, 0.6]})
    icc = icc.assign(icc_low=icc["icc"] - 0.3, icc_high=icc["icc"] + 0.05)
    write_table(folder.run_region_agreement, icc)
    verdicts = {"saliency": {REPEATABLE: Verdict(False, "unlike")}}
    page = save_page(tmp_path, report_records(2), run=run, verdicts=verdicts)
    assert ["checkpoint", "one/best_model.pth", "two/best_model.pth"] in page.rows
    icc = "0.60 (0.30 to 0.65)"
    assert ["Saliency", "2", "0.50 (0.20, –)", "– (–)", icc, "NO"] in page.rows
