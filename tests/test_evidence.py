"""What a cohort's maps show together: agreement, groups, regions, the report, from the maps on disk."""

import json
import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

import generate_saliency_maps as script
import run_saliency_generation as runner
from mri_saliency import checks, evidence, groups, volumes
from mri_saliency.errors import UserError
from mri_saliency.outputs import OutputFolder, write_table
from mri_saliency.volumes import Grid

from .conftest import AFFINE, DIAGNOSIS_COLUMN, FLIPPED, REAL_SHAPE, brain, make_run, save_scan
from .test_checks import made_up
from .test_manual import MANUAL

METHODS = ("saliency", "input_x_gradient")


@pytest.fixture(scope="module")
def finished(tmp_path_factory, network):
    """A run of seven scans, one of them mirrored, one without affine, one on another grid; with an atlas."""
    run = make_run(tmp_path_factory.mktemp("cohort"), network)
    folder = run.table.parent
    more = [save_scan(folder / f"mwp1sub-{name}_T1w.nii", brain(seed=i)) for i, name in enumerate("DEF", 10)]
    other = nib.affines.from_matvec(2 * np.eye(3), (-113, -137, -113))
    more.append(save_scan(folder / "mwp1sub-G_T1w.nii", brain(seed=20), other))
    rows = pd.DataFrame({"file": map(str, run.scans + more)})
    rows[DIAGNOSIS_COLUMN] = ["HC", "left", "right", "HC", "HC", "right", "left"]
    rows.to_csv(run.table, index=False)
    labels = np.ones(REAL_SHAPE, np.int16)
    labels[57:] = 2
    nib.Nifti1Image(labels, AFFINE).to_filename(folder / "atlas.nii.gz")
    (folder / "names.csv").write_text("index,name\n1,Left Half\n2,Right Half\n")
    assert script.main(run.options("--methods", *METHODS, "--key_slices", 50, 60, *atlas(folder))) == 0
    return run


def atlas(folder):
    return "--atlas", folder / "atlas.nii.gz", "--atlas_names", folder / "names.csv"


def load(run, method, subject):
    values = volumes.unpad(np.load(OutputFolder(run.output).array(method, subject)))
    return values[:, ::-1] if subject == "sub-B" else values  # the one with a negative x step


def test_group_maps_are_means_on_the_common_grid(finished):
    maps = [load(finished, "input_x_gradient", subject) for subject in ("sub-A", "sub-D", "sub-E")]
    folder = finished.output / "group_maps" / "input_x_gradient"
    found = nib.load(folder / "input_x_gradient_HC_mean.nii.gz")
    expected = volumes.to_nifti(np.mean(maps, axis=0), Grid(REAL_SHAPE, AFFINE, 4, 10, 115), "")
    np.testing.assert_array_equal(found.affine, AFFINE)
    np.testing.assert_allclose(found.get_fdata(), expected.get_fdata(), atol=1e-6 * np.abs(maps).max())
    assert "mean of 3 HC" in found.header["descrip"].item().decode()
    # the mirrored scan turned, the one without affine where training has it, the one of 2 mm left out
    maps = [load(finished, "saliency", subject) for subject in ("sub-B", "12", "sub-F")]
    found = nib.load(finished.output / "group_maps/saliency/saliency_TLE_magnitude.nii.gz").get_fdata()
    expected = volumes.to_scan_grid(np.mean(maps, axis=0), Grid(REAL_SHAPE, AFFINE, 4, 10, 115))
    np.testing.assert_allclose(found, expected, atol=1e-6 * expected.max())


def test_the_difference_is_tested_and_p_is_one_where_nothing_was(finished):
    folder = finished.output / "group_maps" / "saliency"
    p = nib.load(folder / "saliency_TLE_minus_HC_p.nii.gz").get_fdata()
    assert p.min() >= 1 / (groups.N_PERMUTATIONS + 1) - 1e-6 and (p[:, :10] == 1).all() and p[0, 0, 0] == 1
    assert {path.name for path in folder.glob("*.png")} == {
        f"saliency_{name}.png"
        for name in ("HC", "TLE", "left", "right", "TLE_minus_HC", *predicted(finished))
    }


def predicted(run):
    table = pd.read_csv(run.output / "attribution_statistics.csv")
    tle = table[(table["true_label"] == 1) & (table["subject_id"] != "sub-G")]
    return {"TLE_correct" if right else "TLE_wrong" for right in tle["prediction"] > 0.5}


def test_regions_divide_the_maps(finished):
    table = pd.read_csv(finished.output / "region_statistics.csv")
    assert list(table.columns) == ["subject_id", "method", "region", "mass", "share", "density", "asymmetry"]
    assert "12" not in set(table["subject_id"])  # it has no affine
    statistics = pd.read_csv(finished.output / "attribution_statistics.csv").set_index(
        ["subject_id", "method"]
    )
    for subject, left_is_low in (("sub-A", True), ("sub-B", False)):
        values = np.abs(volumes.unpad(np.load(OutputFolder(finished.output).array("saliency", subject))))
        halves = values[:, :56].sum(dtype=float), values[:, 57:].sum(dtype=float)
        left, right = halves if left_is_low else halves[::-1]
        rows = table[(table["subject_id"] == subject) & (table["method"] == "saliency")].set_index("region")
        assert rows.loc["Left Half", "mass"] == pytest.approx(left, rel=0.03)
        assert rows.loc["Left Half", "asymmetry"] == pytest.approx((left - right) / (left + right), abs=0.03)
        outside = 1 - statistics.loc[(subject, "saliency"), "brain_share"]
        assert rows.loc["outside the brain", "share"] == pytest.approx(outside)


def test_agreement_table(finished):
    table = pd.read_csv(finished.output / "method_agreement.csv")
    assert list(table.columns) == ["subject_id", "method_a", "method_b", "rank_correlation", "top_overlap"]
    assert len(table) == 7 and table["rank_correlation"].between(-1, 1).all()


def test_the_folder_describes_itself_to_bids_tools(finished):
    description = json.loads((finished.output / "dataset_description.json").read_text())
    assert description["DatasetType"] == "derivative" and description["GeneratedBy"][0]["Version"]
    sidecar = json.loads(OutputFolder(finished.output).sidecar("saliency", "sub-A").read_text())
    assert sidecar["Sources"] == [sidecar["SpatialReference"]] == [finished.scans[0].as_uri()]
    assert sidecar["SkullStripped"] is True


def test_report_only_describes_again_without_the_network(finished, tmp_path, monkeypatch, capsys):
    """Even where model, table and scans are gone."""
    copy = tmp_path / "maps"
    shutil.copytree(finished.output, copy)
    tested = copy / "group_maps/saliency/saliency_TLE_minus_HC_p.nii.gz"
    before = tested.read_bytes()
    for path in ("report.html", "attribution_summary.png", "method_agreement.csv", "group_maps"):
        shutil.rmtree(copy / path) if path == "group_maps" else (copy / path).unlink()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(volumes, "load_volume", scan_is_gone)
    options = ["--output_dir", copy, "--report_only", "--key_slices", 40, "--workers", 0]
    assert script.main([*map(str, options), "--report_embed"]) == 0
    assert tested.read_bytes() == before
    page = (copy / "report.html").read_text()
    assert 'src="data:image/png;base64,' in page and 'src="saliency/' not in page
    assert script.main([*map(str, options), "--check_maps"]) == 2
    assert script.main(["--output_dir", str(tmp_path / "absent"), "--report_only"]) == 2
    assert script.main([*map(str, options[:3]), "--key_slices", "115"]) == 2
    (copy / "mean_scan.npy").unlink()
    assert script.main([*map(str, options)]) == 0
    assert "TLE is not tested" in capsys.readouterr().err and not tested.exists()


def scan_is_gone(path, *_):
    raise UserError(f"{path}: no such file")


def test_maps_made_otherwise_than_most_are_left_out(finished):
    folder = OutputFolder(finished.output)
    records = folder.records(json.loads(folder.run_record.read_text())["checkpoint"]["sha256"])
    assert evidence.comparable(records) == (evidence.in_order(records), [])
    odd = next(record for record in records if record["method"] == "saliency")
    odd["fingerprint"]["first_slice"] = 11
    alike, notes = evidence.comparable(records)
    assert len(alike) == len(records) - 1 and odd not in alike
    assert len(notes) == 1 and "saliency: 1 of 7 maps" in notes[0]


def test_checks_of_maps_made_otherwise_are_no_verdict(tmp_path):
    record = {"method": "smooth_grad", "fingerprint": {"checkpoint": "abc", "n_samples": 10}}
    folder = OutputFolder(tmp_path)
    table = made_up(0.1, 0.5).assign(fingerprint=evidence.digest_of(record["fingerprint"]))
    write_table(folder.checks, table)
    assert evidence.judge_checks(folder, [record])["smooth_grad"]["changes with the weights"] == "yes"
    record["fingerprint"]["n_samples"] = 11
    assert evidence.judge_checks(folder, [record]) == {}


def test_every_column_is_in_the_manual(finished):
    tables = list(finished.output.glob("*.csv"))
    assert len(tables) == 3
    for column in {column for table in tables for column in pd.read_csv(table).columns}:
        assert f"`{column}`" in MANUAL


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--atlas_names", "names.csv"), "none is given"),
        (("--atlas", "absent.nii"), "cannot be read"),
        (("--atlas", "atlas.nii.gz", "--atlas_names", "val.csv"), "expected a column of labels"),
    ],
)
def test_an_atlas_that_cannot_serve_stops_before_anything_is_written(
    run_folder, finished, options, message, capsys, monkeypatch
):
    monkeypatch.chdir(finished.table.parent)
    assert script.main(run_folder.options("--methods", "saliency", *options)) == 2
    assert message in capsys.readouterr().err and not run_folder.output.exists()


def test_orientation_to_a_common_grid():
    common = Grid(REAL_SHAPE, AFFINE, 4, 10, 115)
    shifted = AFFINE + np.array([[0, 0, 0, 1.5], [0] * 4, [0] * 4, [0] * 4])
    assert volumes.orientation_to(common, common) == "same"
    assert volumes.orientation_to(Grid(REAL_SHAPE, FLIPPED, 4, 10, 115), common) == "mirrored"
    assert volumes.orientation_to(Grid(REAL_SHAPE, shifted, 4, 10, 115), common) is None
    assert volumes.orientation_to(Grid(REAL_SHAPE, AFFINE, 4, 11, 115), common) is None
    assert volumes.orientation_to(Grid((112, 136, 112), None, 0, 9, 115), common) == "same"
    assert volumes.orientation_to(Grid((90, 136, 90), None, 0, 9, 115), common) is None


def test_alarms(finished):
    folder = OutputFolder(finished.output)
    records = folder.records(json.loads(folder.run_record.read_text())["checkpoint"]["sha256"])
    complete = {"saliency": "integrated_gradients", "input_x_gradient": "gradient_shap"}
    for record in records:
        record["statistics"] |= {"brain_share": 0.4, "completeness_verdict": "check"}
        record["statistics"]["method"] = complete[record["statistics"]["method"]]
    said = " ".join(evidence.alarms_of(records, {"saliency": {"finds the evidence": "NO"}}))
    assert "outside the brain" in said and "integrated_gradients: 7 of 7 maps do not add up" in said
    assert "logit's change; raise --n_steps." in said and "logit's change; raise --n_samples." in said
    assert "fails the check “finds the evidence”" in said


def test_the_demo_tells_the_truth_that_was_built_in(tmp_path, capsys):
    """Hippocampus first, asymmetry to the side of the focus, difference there alone, checks passed."""
    options = ["--methods", "integrated_gradients", "saliency", "--n_steps", "5", "--key_slices", "50"]
    assert runner.main(["--demo", str(tmp_path), *options, "--no_nifti", "--check_maps", "2"]) == 0
    maps = tmp_path / "run/fold_1/saliency_maps_detailed"
    statistics = pd.read_csv(maps / "attribution_statistics.csv")
    diagnoses = statistics.drop_duplicates("subject_id").set_index("subject_id")["diagnosis"]
    regions = pd.read_csv(maps / "region_statistics.csv")
    regions["diagnosis"] = regions["subject_id"].map(diagnoses)
    for method, side in ((m, s) for m in ("integrated_gradients", "saliency") for s in ("left", "right")):
        rows = regions[(regions["method"] == method) & (regions["diagnosis"] == side)]
        density = rows.groupby("region")["density"].mean()
        assert density.idxmax() == f"{side.capitalize()} hippocampus"
        asymmetry = rows[rows["region"] == "Left hippocampus"]["asymmetry"].mean()
        assert asymmetry > 0.2 if side == "left" else asymmetry < -0.1
    method = "integrated_gradients"
    p = nib.load(maps / f"group_maps/{method}/{method}_TLE_minus_HC_p.nii.gz").get_fdata()
    atlas = nib.load(tmp_path / "atlas.nii.gz").get_fdata()
    names = pd.read_csv(tmp_path / "atlas.csv").set_index("name")["index"]
    hippocampi = [atlas == names[f"{side} hippocampus"] for side in ("Left", "Right")]
    significant = p <= groups.SIGNIFICANT
    assert all(significant[hippocampus].any() for hippocampus in hippocampi)
    near = np.argwhere(hippocampi[0] | hippocampi[1])
    far_mm = [1.5 * np.linalg.norm(near - voxel, axis=1).min() for voxel in np.argwhere(significant)]
    # machines round differently, so each trains another network, and 5 % of them may err somewhere
    assert np.mean(np.array(far_mm) > 10) < 0.1
    verdicts = checks.verdicts(pd.read_csv(maps / "map_checks.csv", keep_default_na=False))
    for verdict in verdicts.values():
        assert verdict.changes_with_weights and verdict.finds_evidence and verdict.steady_under_noise
    assert "finds the evidence: yes" in capsys.readouterr().out
    page = (maps / "report.html").read_text()
    assert "Left hippocampus" in page and "finds the evidence" in page
    assert Path(maps / "map_checks.png").stat().st_size > 10_000
