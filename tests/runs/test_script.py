"""The script, run as a user runs it."""

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

import generate_saliency_maps as script
from mri_saliency.inputs.loading import load_volume
from mri_saliency.methods import METHODS

from ..conftest import AFFINE, FLIPPED, N_SLICES, lively_network, make_run
from .outputs import QUICK, SEED_COLUMNS, SUBJECTS, are_close, array_path, file_names


def test_the_contracts_run_through_all_methods(run_folder):
    run = run_folder
    run.table.write_text(run.table.read_text().replace("left", "HC"))  # of two subjects, to compare with
    assert script.main(run.options("--methods", *METHODS, *QUICK, "--workers", "1")) == 0
    expected = {"attribution_statistics.csv", "attribution_summary.png", "run.json", "report.html"}
    expected |= {
        "tables/method_agreement.csv",
        "figures/mean_scan.png",
        "dataset_description.json",
        "README",
        "references.bib",
    }
    expected |= {"attribution_statistics.json", "tables/method_agreement.json", ".bidsignore"}
    files = ("attributions.npy", "attributions.nii.gz", "attributions.json", "viewer.js")
    pictures = ("summary.png", "thumbnail.png", "slice_2.png", "slice_5.png")
    for method in METHODS:
        for subject in SUBJECTS:
            stem = f"{method}/{subject}/{subject}_{method}_"
            expected |= {stem + name for name in pictures}
            expected |= {stem + name for name in files}
            if method == "expected_gradients":
                expected |= {stem + "standard_error.nii.gz", stem + "null.npy"}
    assert {name for name in file_names(run.output) if not name.startswith("group_maps/")} == expected

    table = pd.read_csv(run.output / "attribution_statistics.csv")
    assert len(table) == 24 and set(SEED_COLUMNS) <= set(table.columns)
    by_subject = table.drop_duplicates("subject_id").set_index("subject_id")
    assert by_subject["diagnosis"].to_dict() == {"sub-A": "HC", "sub-B": "HC", "12": "right"}
    assert by_subject["true_label"].to_dict() == {"sub-A": 0, "sub-B": 0, "12": 1}
    complete = table[table["completeness_verdict"].notna()]["method"]
    assert set(complete) == {name for name in METHODS if METHODS[name].completes}
    assert (table[table["method"] == "deep_lift"]["completeness_error"] < 1e-3).all()

    for subject, affine in zip(SUBJECTS, (AFFINE, FLIPPED, np.eye(4)), strict=True):
        stem = run.output / "saliency" / subject / f"{subject}_saliency_attributions"
        image = nib.load(f"{stem}.nii.gz")
        if subject == "12":  # it has no affine, and its map claims none
            assert (int(image.header["sform_code"]), int(image.header["qform_code"])) == (0, 0)
        else:
            np.testing.assert_array_equal(image.affine, affine)
        assert image.shape == ((112, 136, 112) if subject == "12" else (113, 137, 113))
        values = np.load(f"{stem}.npy")
        assert values.shape == (N_SLICES, 128, 128) and values.dtype == np.float32
        recipe = json.loads(Path(f"{stem}.json").read_text())["fingerprint"]
        assert list(recipe) == ["maths", "checkpoint", "first_slice", "target"]  # as in finished folders
        row = table[(table["subject_id"] == subject) & (table["method"] == "saliency")].iloc[0]
        assert row["abs_mean"] == pytest.approx(np.abs(values).mean(), rel=1e-4)
    for path in run.output.rglob("*.png"):
        Image.open(path).verify()

    record = json.loads((run.output / "run.json").read_text())
    assert record["counts"] == {"maps": 24, "kept": 0, "failures": 0}
    assert record["status"] == "done" and record["training_parameters"]["batch_size"] == 128
    assert record["checkpoint"]["network"] == "EfficientNetV2-tiny"
    assert len(record["checkpoint"]["sha256"]) == 64
    assert set(record["work_s"]) == {"load", "draw", "write", "network"}
    assert list(record["options"])[:3] == ["model_path", "parameters_path", "csv_path"]
    assert record["options"]["methods"] == list(METHODS) and record["options"]["target"] == 0


def test_the_laboratorys_network_goes_through_the_same_flow(maps_only, tmp_path):
    """EfficientNetV2-S with 115 slices; all else in these tests uses the tiny network."""
    run = make_run(tmp_path, lively_network("S"))
    options = run.options("--methods", "saliency", "--key_slices", "40", "60", "--max_samples", "1")
    assert script.main(options) == 0
    assert np.load(array_path(run)).shape == (115, 128, 128)
    record = json.loads((run.output / "run.json").read_text())
    assert record["checkpoint"]["network"] == "EfficientNetV2-S"
    assert (array_path(run).parent / "sub-A_saliency_slice_60.png").exists()


def test_several_logits(maps_only, tmp_path):
    network = lively_network(n_logits=3)
    run = make_run(tmp_path, network)
    assert script.main(run.options("--methods", "saliency", "deep_lift", *QUICK)) == 0
    table = pd.read_csv(run.output / "attribution_statistics.csv")
    table = table[table["method"] == "deep_lift"].set_index("subject_id")
    for subject, path in zip(SUBJECTS, run.scans, strict=True):
        scan = torch.from_numpy(load_volume(path, N_SLICES).network_input)[None]
        with torch.no_grad():
            pair = network(torch.cat([scan, torch.zeros_like(scan)])).double().softmax(dim=1)
        row, predicted = table.loc[subject], int(pair[0].argmax())
        assert row["target"] == row["predicted_label"] == predicted
        assert row["prediction"] == pytest.approx(1 - float(pair[0, 0]), rel=1e-4)
        assert row["confidence"] == pytest.approx(float(pair[0, predicted]), rel=1e-4)
        at_scan, at_zero = torch.logit(pair[:, predicted]).tolist()
        assert row["completeness_expected"] == pytest.approx(at_scan - at_zero, rel=1e-3, abs=1e-4)
        assert row["completeness_verdict"] == "ok" and row["completeness_error"] < 1e-3
    by_default, maps = np.load(array_path(run)), {}
    for target in range(3):
        options = run.options("--methods", "saliency", *QUICK, "--target", target, "--overwrite")
        assert script.main([*options, "--max_samples", "1"]) == 0
        maps[target] = np.load(array_path(run))
    assert are_close(maps.pop(table.loc["sub-A", "target"]), by_default)
    for other in maps.values():
        assert np.abs(other - by_default).max() > 0.01 * by_default.max()
    sidecar = json.loads(array_path(run).with_suffix(".json").read_text())
    assert sidecar["fingerprint"]["explains"] == "log-odds"


def test_one_truth_about_the_prediction(tmp_path):
    """Probabilities 0.4, 0.3, 0.3: the largest class is HC, though TLE's classes sum to 0.6."""
    network = lively_network(n_logits=3)
    with torch.no_grad():
        network.classifier[1].weight.zero_()
        network.classifier[1].bias.copy_(torch.tensor([0.4, 0.3, 0.3]).log())
    run = make_run(tmp_path, network)
    assert script.main(run.options("--methods", "saliency", *QUICK, "--target", "0")) == 0
    table = pd.read_csv(run.output / "attribution_statistics.csv")
    assert table["prediction"].tolist() == pytest.approx([0.6] * 3)
    assert table["predicted_label"].tolist() == [0, 0, 0]
    groups = {path.name for path in (run.output / "group_maps" / "saliency").glob("*.png")}
    assert "saliency_TLE_wrong.png" in groups and "saliency_TLE_correct.png" not in groups
    page = (run.output / "report.html").read_text()
    assert page.count("HC, wrong") == 2 and page.count("HC, correct") == 1
    assert "TLE, " not in page.split("Every scan")[1].split("<dialog")[0]


@pytest.mark.parametrize(
    ("flag", "value", "method"),
    [
        ("--seed", 5, "gradient_shap"),
        ("--n_steps", 3, "integrated_gradients"),
        ("--first_slice", 8, "saliency"),
    ],
)
def test_options_reach_the_maps(maps_only, run_folder, flag, value, method):
    options = run_folder.options("--methods", method, *QUICK, "--max_samples", "1", "--no_nifti")
    path = array_path(run_folder, method)
    assert script.main(options) == 0
    before = np.load(path)
    assert script.main([*options, flag, str(value), "--overwrite"]) == 0
    assert np.abs(np.load(path) - before).max() > 1e-3 * np.abs(before).max()
    sidecar = json.loads(path.with_suffix(".json").read_text())
    assert sidecar["fingerprint"][flag.removeprefix("--")] == value


def test_a_number_of_steps_keeps_the_recipe_without_a_map_error(maps_only, run_folder, capsys):
    method = "integrated_gradients"
    options = run_folder.options("--methods", method, "--max_samples", "1", "--no_nifti")
    path = array_path(run_folder, method).with_suffix(".json")
    assert script.main(options) == 0
    automatic = json.loads(path.read_text())
    assert automatic["fingerprint"]["n_steps"] == "auto" and automatic["fingerprint"]["map_error"] == 0.001
    assert automatic["statistics"]["map_error"] <= 0.001 and automatic["statistics"]["passes"] >= 9
    assert script.main([*options, "--n_steps", "4"]) == 2
    assert "n_steps was auto, now 4" in capsys.readouterr().err
    assert script.main([*options, "--n_steps", "4", "--overwrite"]) == 0
    fixed = json.loads(path.read_text())
    assert fixed["fingerprint"]["n_steps"] == 4 and "map_error" not in fixed["fingerprint"]
    assert fixed["statistics"]["map_error"] is None and fixed["statistics"]["passes"] == 4


def test_without_cuda_the_cpu_serves_with_a_warning(maps_only, run_folder, monkeypatch, capsys):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    options = [option for option in run_folder.options() if option not in ("--device", "cpu")]
    assert script.main([*options, "--max_samples", "1", "--methods", "saliency", *QUICK]) == 0
    assert "no CUDA device" in capsys.readouterr().err


def test_other_peoples_tables_labels_and_words(run_folder):
    """Semicolons, other labels, patients without a side, and their own words in figures and report."""
    rows = ["file;HC_vs_LTLE_vs_RTLE_string;sbj_nme", "scans/mwp1sub-A_ses-01_T1w.nii;CN;P1"]
    rows += ["scans/mwp1sub-B_ses-01_T1w.nii.gz;AD;P2", "scans/TLE/12_1.pkl;MCI;P3"]
    run_folder.table.write_text("\n".join(rows))
    options = run_folder.options("--methods", "saliency", "--labels", "CN=HC", "AD=TLE")
    assert script.main([*options, "--class_names", "Controls", "Alzheimer"]) == 0
    table = pd.read_csv(run_folder.output / "attribution_statistics.csv")
    assert table["diagnosis"].tolist() == ["HC", "TLE"] and table["true_label"].tolist() == [0, 1]
    assert table.columns[25:28].tolist() == ["input_warning", "subject", "brain_share_null"]
    assert table["subject"].tolist() == ["P1", "P2"]
    page = (run_folder.output / "report.html").read_text()
    assert "Alzheimer" in page and "MCI" in page
    groups = {path.name for path in (run_folder.output / "group_maps" / "saliency").glob("*_mean.nii.gz")}
    assert {"saliency_HC_mean.nii.gz", "saliency_TLE_mean.nii.gz"} <= groups
    assert "saliency_left_mean.nii.gz" not in groups
