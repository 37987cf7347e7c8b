"""What a run says of the whole cohort, and what --report_only says again, without the network."""

import json
import re
import shutil
from functools import cache, partial

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

import generate_saliency_maps as script
from mri_saliency.cohort import source_scan
from mri_saliency.errors import UserError
from mri_saliency.output.dictionary import TABLES
from mri_saliency.output.folder import OutputFolder

from ..conftest import AFFINE, DIAGNOSIS_COLUMN, REAL_SHAPE, brain, make_run, save_scan

METHODS = ("saliency", "gradient_shap")


@pytest.fixture(scope="module")
def cohort(tmp_path_factory, network):
    """A run of eleven scans, one of them mirrored, one without affine, one on another grid; with an atlas."""
    run = make_run(tmp_path_factory.mktemp("cohort"), network)
    folder = run.table.parent
    more = [
        save_scan(folder / f"mwp1sub-{name}_T1w.nii", brain(seed=i)) for i, name in enumerate("DEFHIJK", 10)
    ]
    other = nib.affines.from_matvec(2 * np.eye(3), (-113, -137, -113))
    more.append(save_scan(folder / "mwp1sub-G_T1w.nii", brain(seed=20), other))
    rows = pd.DataFrame({"file": map(str, run.scans + more)})
    rows[DIAGNOSIS_COLUMN] = ["HC", "left", "right", "HC", "HC", "right", "HC", "HC", "left", "right", "left"]
    rows["age"] = [30, 40, 50, 35, 45, 55, 31, 41, 51, 36, 46]
    rows.loc[len(rows)] = ["gone.nii", "HC", 20]
    rows.to_csv(run.table, index=False)
    labels = np.zeros(REAL_SHAPE, np.int16)  # where the tiny network looks
    labels[:57, 5:25], labels[57:, 5:25] = 1, 2
    nib.Nifti1Image(labels, AFFINE).to_filename(folder / "atlas.nii.gz")
    (folder / "names.csv").write_text("index,name\n1,Left Half\n2,Right Half\n")
    atlas = ("--atlas", folder / "atlas.nii.gz", "--atlas_names", folder / "names.csv")
    more = ("--check_maps", "2", "--covariates", "age", "--workers", "1", "--n_samples", "2")
    assert script.main(run.options("--methods", *METHODS, *atlas, *more)) == 1  # a scan is gone
    return run


def test_the_difference_is_tested_and_p_is_one_where_nothing_was(cohort):
    folder = cohort.output / "group_maps" / "saliency"
    log_p = nib.load(folder / "saliency_TLE_minus_HC_neg_log10_p_fwe.nii.gz").get_fdata()
    assert 0 < log_p.max() <= np.log10(512) + 1e-6  # all flips of ten
    assert not log_p[:, :10].any() and log_p[0, 0, 0] == 0
    page = (cohort.output / "report.html").read_text()
    assert "Patients with a focus on the left or right were not compared by themselves" in page
    assert "TLE minus HC" in page
    table = pd.read_csv(cohort.output / "attribution_statistics.csv")
    tle = table[(table["true_label"] == 1) & (table["subject_id"] != "sub-G")]
    predicted = {"TLE_correct" if label else "TLE_wrong" for label in tle["predicted_label"]}
    assert "TLE_wrong" in predicted  # otherwise neither is written
    names = {"HC", "TLE", "left", "right", "TLE_minus_HC"} | predicted
    assert {path.name for path in folder.glob("*.png")} == {f"saliency_{name}.png" for name in names}


def test_regions_of_scans_with_a_place(cohort):
    table = pd.read_csv(cohort.output / "tables/region_statistics.csv")
    assert "12" not in set(table["subject_id"])  # it has no affine
    assert table["density_null"].notna().all() and not (cohort.output / "tables/lateralisation.csv").exists()
    page = (cohort.output / "report.html").read_text()
    assert "regions have no normal range" in page and "are not compared by regions" in page


class Late:
    """A job that is not done before its result is wanted."""

    def __init__(self, call):
        self.result = cache(call)


def test_tables_that_are_written_late_have_their_dictionaries(cohort, tmp_path, monkeypatch):
    maps = shutil.copytree(cohort.output, tmp_path / "maps")
    names = {path.name for path in (maps / "tables").iterdir()}
    (maps / "tables/region_statistics.csv").unlink()
    late = "mri_saliency.runtime.workers._SerialExecutor.submit"
    monkeypatch.setattr(late, lambda _, job, *arguments: Late(partial(job, *arguments)))
    folder = cohort.table.parent
    atlas = ("--atlas", folder / "atlas.nii.gz", "--atlas_names", folder / "names.csv")
    options = ("--output_dir", maps, "--report_only", "--workers", 0, "--key_slices", 5, *atlas)
    assert script.main([*map(str, options)]) == 0
    assert {path.name for path in (maps / "tables").iterdir()} >= names


def test_checks_are_written_for_the_methods_recipes(cohort):
    table = pd.read_csv(cohort.output / "tables/map_checks.csv", dtype={"fingerprint": str})
    assert list(table.columns)[:3] == ["fingerprint", "check", "method"]
    record = OutputFolder(cohort.output).read_record("saliency", "sub-A")
    assert set(table[table["method"] == "saliency"]["fingerprint"]) == {record.recipe.digest()}
    assert set(table[table["check"] == "region"]["step"]) == {"Left Half", "Right Half"}
    page = (cohort.output / "report.html").read_text()
    assert "same under a little noise" in page and "too few scans for an interval (2)" in page


def test_report_only_describes_again_without_the_network(cohort, tmp_path, monkeypatch, capsys):
    """Even where model and scans are gone; the table is only needed for covariates."""
    copy = tmp_path / "maps"
    shutil.copytree(cohort.output, copy)
    tested = copy / "group_maps/saliency/saliency_TLE_minus_HC_neg_log10_p_fwe.nii.gz"
    before = nib.load(tested).get_fdata()
    for path in ("report.html", "attribution_summary.png", "tables/method_agreement.csv"):
        (copy / path).unlink()
    shutil.rmtree(tested.parent)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("mri_saliency.cohort.source_scan.load_volume", scan_is_gone)
    source_scan._load_source.cache_clear()
    options = ["--output_dir", copy, "--report_only", "--workers", 0, "--key_slices", 5]
    covariates = ("--csv_path", str(cohort.table), "--covariates", "age")
    assert script.main([*map(str, options), "--report_embed", *covariates]) == 0
    np.testing.assert_array_equal(nib.load(tested).get_fdata(), before)
    assert "--atlas updates it" in capsys.readouterr().err
    table = pd.read_csv(copy / "tables/method_agreement.csv")
    assert set(table["method_b"]) == {"gradient_shap"} and table["rank_correlation"].notna().all()
    page = (copy / "report.html").read_text()
    assert "inside the brain of the mean scan" in page
    assert 'src="data:image/png;base64,' in page and 'src="saliency/' not in page
    assert script.main([*map(str, options), "--check_maps"]) == 2
    assert script.main(["--output_dir", str(tmp_path / "absent"), "--report_only"]) == 2
    assert script.main([*map(str, options[:3]), "--key_slices", "9"]) == 2
    (copy / "group_maps/mean_scan.npy").unlink()
    assert script.main([*map(str, options)]) == 0
    assert "TLE and HC were not compared" in capsys.readouterr().err and not tested.exists()
    shutil.rmtree(copy / "saliency")
    shutil.rmtree(copy / "gradient_shap")
    assert script.main([*map(str, options)]) == 2
    assert "no finished map of its checkpoint" in capsys.readouterr().err


def scan_is_gone(path, *_):
    raise UserError(f"{path}: no such file")


def test_too_few_readable_scans_to_check(run_folder, capsys):
    assert script.main(run_folder.options("--methods", "saliency", "--check_maps", "1")) == 0
    assert "needs two readable scans at least" in capsys.readouterr().err
    assert not (run_folder.output / "tables/map_checks.csv").exists()


def test_every_column_and_value_is_explained_beside_its_table(cohort):
    tables = {path.stem: pd.read_csv(path, dtype=str) for path in cohort.output.rglob("*.csv")}
    made = {"attribution_statistics", "region_statistics", "method_agreement", "map_checks", "failures"}
    assert tables.keys() - {"group_clusters"} == made | {"region_group_test"}
    for name, table in tables.items():
        path = OutputFolder(cohort.output).table(name).with_suffix(".json")
        dictionary = json.loads(path.read_text())
        assert list(dictionary) == list(table.columns) and dictionary == TABLES[name]
        for column, about in dictionary.items():
            values, levels = set(table[column].dropna()), set(about.get("Levels", ()))
            if (name, column) == ("region_statistics", "region"):
                assert values - levels == {"Left Half", "Right Half"}
            elif column == "step":
                steps = values - levels - {"Left Half", "Right Half"}
                assert all(re.match(r"[\d.]+$", step) for step in steps)
            elif name == "map_checks" and column in ("check", "measure", "order"):
                assert values == levels
            elif levels:
                assert values <= levels, (name, column)
