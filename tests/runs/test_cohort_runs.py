"""What a run says of the whole cohort, and what --report_only says again, without the network."""

import json
import shutil

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

import generate_saliency_maps as script
from mri_saliency.cohort import source_scan
from mri_saliency.errors import UserError
from mri_saliency.inputs.grid import Grid
from mri_saliency.maps.image import to_nifti, to_scan_grid
from mri_saliency.output.dictionary import TABLES
from mri_saliency.output.folder import OutputFolder

from ..conftest import AFFINE, DIAGNOSIS_COLUMN, N_SLICES, REAL_SHAPE, brain, make_run, save_scan

METHODS = ("saliency", "input_x_gradient")
GRID = Grid(REAL_SHAPE, AFFINE, 4, 10, N_SLICES)


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
    rows.to_csv(run.table, index=False)
    labels = np.zeros(REAL_SHAPE, np.int16)  # where the tiny network looks
    labels[:57, 5:25], labels[57:, 5:25] = 1, 2
    nib.Nifti1Image(labels, AFFINE).to_filename(folder / "atlas.nii.gz")
    (folder / "names.csv").write_text("index,name\n1,Left Half\n2,Right Half\n")
    atlas = ("--atlas", folder / "atlas.nii.gz", "--atlas_names", folder / "names.csv")
    more_options = ("--check_maps", "2", "--covariates", "age", "--workers", "1")
    assert script.main(run.options("--methods", *METHODS, *atlas, *more_options)) == 0
    return run


def load(run, method, subject):
    values = OutputFolder(run.output).load_map(method, subject)
    return values[:, ::-1] if subject == "sub-B" else values  # the one with a negative x step


def test_group_maps_are_means_on_the_common_grid(cohort):
    maps = [
        load(cohort, "input_x_gradient", subject) for subject in ("sub-A", "sub-D", "sub-E", "sub-H", "sub-I")
    ]
    folder = cohort.output / "group_maps" / "input_x_gradient"
    found = nib.load(folder / "input_x_gradient_HC_mean.nii.gz")
    expected = to_nifti(np.mean(maps, axis=0), GRID, "")
    np.testing.assert_array_equal(found.affine, AFFINE)
    np.testing.assert_allclose(found.get_fdata(), expected.get_fdata(), atol=2e-5 * np.abs(maps).max())
    assert "mean of 5 HC" in found.header["descrip"].item().decode()
    # the mirrored scan turned, the one without affine where training has it, the one of 2 mm left out
    maps = [load(cohort, "saliency", subject) for subject in ("sub-B", "12", "sub-F", "sub-J", "sub-K")]
    found = nib.load(cohort.output / "group_maps/saliency/saliency_TLE_mean.nii.gz").get_fdata()
    expected = to_scan_grid(np.mean(maps, axis=0), GRID)
    np.testing.assert_allclose(found, expected, atol=2e-5 * expected.max())


def test_the_difference_is_tested_and_p_is_one_where_nothing_was(cohort):
    folder = cohort.output / "group_maps" / "saliency"
    log_p = nib.load(folder / "saliency_TLE_minus_HC_neg_log10_p_fwe.nii.gz").get_fdata()
    assert 0 < log_p.max() <= np.log10(512) + 1e-6  # all flips of ten
    assert not log_p[:, :10].any() and log_p[0, 0, 0] == 0
    page = (cohort.output / "report.html").read_text()
    assert "Patients with a focus on the left or right were not compared by themselves" in page
    assert "<td>TLE minus HC</td>" in page
    table = pd.read_csv(cohort.output / "attribution_statistics.csv")
    tle = table[(table["true_label"] == 1) & (table["subject_id"] != "sub-G")]
    predicted = {"TLE_correct" if label else "TLE_wrong" for label in tle["predicted_label"]}
    assert "TLE_wrong" in predicted  # otherwise neither is written
    names = {"HC", "TLE", "left", "right", "TLE_minus_HC"} | predicted
    assert {path.name for path in folder.glob("*.png")} == {f"saliency_{name}.png" for name in names}


def test_regions_divide_the_maps(cohort):
    table = pd.read_csv(cohort.output / "tables/region_statistics.csv")
    assert list(table.columns) == list(TABLES["region_statistics"])
    assert "12" not in set(table["subject_id"])  # it has no affine
    assert table["density_null"].notna().all() and not (cohort.output / "tables/lateralisation.csv").exists()
    page = (cohort.output / "report.html").read_text()
    assert "regions have no normal range" in page and "are not compared by regions" in page
    statistics = pd.read_csv(cohort.output / "attribution_statistics.csv")
    statistics = statistics.set_index(["subject_id", "method"])
    for subject, left_is_low in (("sub-A", True), ("sub-B", False)):
        values = np.abs(OutputFolder(cohort.output).load_map("saliency", subject))
        halves = values[:, :56].sum(dtype=float), values[:, 57:].sum(dtype=float)
        left, right = halves if left_is_low else halves[::-1]
        rows = table[(table["subject_id"] == subject) & (table["method"] == "saliency")].set_index("region")
        assert rows.loc["Left Half", "mass"] == pytest.approx(left, rel=0.03)
        assert rows.loc["Left Half", "asymmetry"] == pytest.approx((left - right) / (left + right), abs=0.03)
        outside = 1 - statistics.loc[(subject, "saliency"), "brain_share"]
        assert rows.loc["outside the brain", "share"] == pytest.approx(outside)


def test_checks_are_written_for_the_methods_recipes(cohort):
    table = pd.read_csv(cohort.output / "tables/map_checks.csv", dtype={"fingerprint": str})
    assert list(table.columns)[:3] == ["fingerprint", "check", "method"]
    record = OutputFolder(cohort.output).read_record("saliency", "sub-A")
    assert set(table[table["method"] == "saliency"]["fingerprint"]) == {record.recipe.digest()}
    assert set(table[table["check"] == "region"]["step"]) == {"Left Half", "Right Half"}
    assert (cohort.output / "figures/map_checks.png").stat().st_size > 10_000
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
    assert set(table["method_b"]) == {"input_x_gradient"} and table["rank_correlation"].notna().all()
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
    shutil.rmtree(copy / "input_x_gradient")
    assert script.main([*map(str, options)]) == 2
    assert "no finished map of its checkpoint" in capsys.readouterr().err


def scan_is_gone(path, *_):
    raise UserError(f"{path}: no such file")


def test_too_few_readable_scans_to_check(run_folder, capsys):
    assert script.main(run_folder.options("--methods", "saliency", "--check_maps", "1")) == 0
    assert "needs two readable scans at least" in capsys.readouterr().err
    assert not (run_folder.output / "tables/map_checks.csv").exists()


def test_every_column_is_explained_beside_its_table(cohort):
    tables = list(cohort.output.rglob("*.csv"))
    assert len(tables) == 5
    for table in tables:
        assert set(pd.read_csv(table).columns) == json.loads(table.with_suffix(".json").read_text()).keys()
