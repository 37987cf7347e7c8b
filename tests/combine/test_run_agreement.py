"""The agreement of two runs' maps, of chance and of the null map, against plain loops."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mri_saliency.cohort.source_scan import read_source
from mri_saliency.combine.combination import plan_combination
from mri_saliency.combine.run_agreement import compare_runs, sign_agreement
from mri_saliency.inputs.atlas import read_atlas
from mri_saliency.inputs.loading import load_volume
from mri_saliency.inputs.preprocessing import unpad
from mri_saliency.output.dictionary import TABLES
from mri_saliency.output.folder import OutputFolder
from mri_saliency.run.plan import MapFiles

from ..cohort.test_method_agreement import plain_agreement
from ..conftest import N_SLICES
from ..made_cohort import save_halves


@pytest.fixture
def combined(two_runs, tmp_path):
    """The folder of a combination, and the combination."""
    folder = OutputFolder(tmp_path / "combined")
    folder.create()
    files = MapFiles(folder, (4,), nifti=False, n_logits=1)
    return folder, plan_combination(two_runs, files, overwrite=False)


def test_rows_are_those_of_plain_loops(two_runs, combined, tmp_path, no_workers):
    folder, combination = combined
    compare_runs(folder, combination, read_atlas(*save_halves(tmp_path)), no_workers)
    table = pd.read_csv(folder.run_agreement, dtype={"subject_id": str})
    assert list(table.columns) == list(TABLES["run_agreement"]) and len(table) == 14
    assert set(table["run_a"]) == {two_runs[0].name} and set(table["run_b"]) == {two_runs[1].name}
    rows = table.set_index(["method", "subject_id"])
    one, two = (run.folder for run in two_runs)
    records = {key: one.read_record(*key) for key in rows.index}
    for method, subject, partner in (("saliency", "sub-A", "sub-D"), ("input_x_gradient", "sub-F", "sub-A")):
        row, record = rows.loc[method, subject], records[method, subject]
        brain, other_brain = (read_source(r).brain for r in (record, records[method, partner]))
        maps = [run.load_map(method, subject) for run in (one, two)]
        others = [run.load_map(method, partner) for run in (one, two)]
        assert row["rank_correlation"] == pytest.approx(plain_agreement(*maps, brain))
        pairs = zip(maps, others, strict=True)
        chance = np.mean([plain_agreement(a, b, brain & other_brain) for a, b in pairs])
        assert row["rank_correlation_chance"] == pytest.approx(chance)
        scan = unpad(load_volume(Path(record.source.path), N_SLICES).network_input)
        null = np.mean([plain_agreement(values, scan, brain) for values in maps])
        assert row["rank_correlation_null"] == pytest.approx(null)
        if method == "saliency":
            assert np.isnan(row["sign_agreement"]) and np.isnan(row["sign_agreement_chance"])
        else:
            same = (np.sign(maps[0]) == np.sign(maps[1]))[brain].mean()
            assert row["sign_agreement"] == pytest.approx(same) and same > 0.6
            assert row["sign_agreement_chance"] == pytest.approx(0.5, abs=0.02)
    assert np.isnan(rows.loc[("saliency", "sub-G"), "rank_correlation_chance"])  # alone on its grid

    regions = pd.read_csv(folder.run_regions)
    assert list(regions.columns) == list(TABLES["run_regions"])
    assert set(regions["run"]) == {run.name for run in two_runs} and "12" not in set(regions["subject_id"])
    coefficients = pd.read_csv(folder.run_region_agreement)
    assert (coefficients["n_scans"] == 5).all() and (coefficients["n_networks"] == 2).all()
    compare_runs(folder, combination, None, no_workers)  # what is not known any more is removed
    assert not folder.run_regions.exists()


def test_scans_that_are_gone_have_no_rows(combined, no_workers, monkeypatch, capsys):
    folder, combination = combined
    monkeypatch.setattr("mri_saliency.combine.run_agreement.read_source", lambda record: None)
    compare_runs(folder, combination, None, no_workers)
    assert not folder.run_agreement.exists()
    assert "14 maps or their scans cannot be read" in capsys.readouterr().err


def test_agreement_in_sign():
    a = np.array([[1.0, -1.0, 0.0, 5.0]])
    b = np.array([[2.0, 1.0, 0.0, -5.0]])
    assert sign_agreement(a, b, np.array([[True, True, True, False]])) == pytest.approx(2 / 3)
    assert np.isnan(sign_agreement(a, b, np.zeros((1, 4), bool)))
