"""The script, run as a user runs it."""

import json
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

import generate_saliency_maps as script
import run_saliency_generation as runner
from mri_saliency.attribution import Explainer
from mri_saliency.cohort import Scan
from mri_saliency.methods import METHODS
from mri_saliency.volumes import air_input, load_volume

from .conftest import AFFINE, DIAGNOSIS_COLUMN, FLIPPED, brain, lively_network, make_run, save_scan

SEED_COLUMNS = (
    "method shape mean std min max abs_mean positive_ratio negative_ratio "
    "subject_id true_label prediction sample_idx"
).split()
QUICK = ("--n_steps", "4", "--n_samples", "2", "--key_slices", "40", "60")
SCRIPT = Path(script.__file__)


def files_under(folder):
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_the_contracts_run_through_all_methods(run_folder):
    run = run_folder
    assert script.main(run.options("--methods", *METHODS, *QUICK, "--workers", "1")) == 0
    expected = {"attribution_statistics.csv", "attribution_summary.png", "run.json", "report.html"}
    expected |= {"method_agreement.csv", "dataset_description.json", "mean_scan.npy"}
    files = ("attributions.npy", "attributions.nii.gz", "attributions.json")
    for method in METHODS:
        for subject in ("sub-A", "sub-B", "12"):
            stem = f"{method}/{subject}/{subject}_{method}_"
            expected |= {stem + name for name in ("summary.png", "slice_40.png", "slice_60.png")}
            expected |= {stem + name for name in files}
    found = files_under(run.output)
    assert {name for name in found if not name.startswith("group_maps/")} == expected

    table = pd.read_csv(run.output / "attribution_statistics.csv")
    assert len(table) == 21 and set(SEED_COLUMNS) <= set(table.columns)
    by_subject = table.drop_duplicates("subject_id").set_index("subject_id")
    assert by_subject["diagnosis"].to_dict() == {"sub-A": "HC", "sub-B": "left", "12": "right"}
    assert by_subject["true_label"].to_dict() == {"sub-A": 0, "sub-B": 1, "12": 1}
    complete = table[table["completeness_verdict"].notna()]["method"]
    assert set(complete) == {name for name in METHODS if METHODS[name].completes}
    deep_lift = table[table["method"] == "deep_lift"]
    assert (deep_lift["completeness_error"] < 1e-3).all()

    for subject, affine in (("sub-A", AFFINE), ("sub-B", FLIPPED), ("12", np.eye(4))):
        stem = run.output / "saliency" / subject / f"{subject}_saliency_attributions"
        image = nib.load(f"{stem}.nii.gz")
        np.testing.assert_array_equal(image.affine, affine)
        assert image.shape == ((112, 136, 112) if subject == "12" else (113, 137, 113))
        values = np.load(f"{stem}.npy")
        assert values.shape == (115, 128, 128) and values.dtype == np.float32
        row = table[(table["subject_id"] == subject) & (table["method"] == "saliency")].iloc[0]
        assert row["abs_mean"] == pytest.approx(np.abs(values).mean(), rel=1e-4)
    for path in run.output.rglob("*.png"):
        Image.open(path).verify()

    record = json.loads((run.output / "run.json").read_text())
    assert record["counts"] == {"maps": 21, "kept": 0, "failures": 0}
    assert record["status"] == "done" and record["training_parameters"]["batch_size"] == 128
    assert record["checkpoint"]["network"] == "EfficientNetV2-S"
    assert len(record["checkpoint"]["sha256"]) == 64


def test_one_bad_scan_costs_only_itself(run_folder, capsys):
    run_folder.scans[1].write_bytes(b"not a scan")
    assert script.main(run_folder.options("--methods", "saliency", *QUICK, "--no_nifti")) == 1
    failures = pd.read_csv(run_folder.output / "failures.csv")
    assert failures["subject_id"].tolist() == ["sub-B"] and "cannot be read" in failures["reason"][0]
    table = pd.read_csv(run_folder.output / "attribution_statistics.csv")
    assert table["subject_id"].tolist() == ["sub-A", "12"]
    assert not list((run_folder.output / "saliency").rglob("*.nii.gz"))
    assert "failed: sub-B" in capsys.readouterr().err


def test_all_scans_failing_is_reported_not_raised(run_folder):
    for scan in run_folder.scans:
        scan.unlink()
    assert script.main(run_folder.options("--methods", "saliency", *QUICK)) == 1
    assert len(pd.read_csv(run_folder.output / "failures.csv")) == 3


def baseline_totals(network, run, baseline_of):
    """Logit at each scan less the logit at its baseline, by plain means."""
    totals = {}
    for subject, path in zip(("sub-A", "sub-B", "12"), run.scans, strict=True):
        network_input = load_volume(path, 115).network_input
        pair = torch.from_numpy(np.stack([network_input, baseline_of(network_input)]))
        with torch.no_grad():
            at_scan, at_baseline = network(pair)[:, 0].tolist()
        totals[subject] = at_scan - at_baseline
    return totals


@pytest.mark.parametrize("baseline", ["zero", "background", "hc_mean", "file"])
def test_baselines(maps_only, run_folder, network, baseline):
    table = pd.read_csv(run_folder.table)
    table.loc[1, DIAGNOSIS_COLUMN] = "HC"  # two of the three scans
    table.to_csv(run_folder.table, index=False)
    healthy = [load_volume(path, 115).network_input for path in run_folder.scans[:2]]
    chosen = {
        "zero": np.zeros_like,
        "background": air_input,
        "hc_mean": lambda _: (healthy[0] + healthy[1]) / 2,
        "file": lambda _: healthy[0],
    }
    argument = run_folder.scans[0] if baseline == "file" else baseline
    options = run_folder.options("--methods", "deep_lift", *QUICK, "--baseline", argument)
    assert script.main([*options, "--max_samples", "0"]) == 0
    table = pd.read_csv(run_folder.output / "attribution_statistics.csv").set_index("subject_id")
    for subject, total in baseline_totals(network, run_folder, chosen[baseline]).items():
        assert table.loc[subject, "completeness_expected"] == pytest.approx(total, rel=1e-3, abs=1e-4)
        assert table.loc[subject, "completeness_verdict"] == "ok"
    assert (table["baseline"] == Path(argument).name).all()
    assert (run_folder.output / "baseline_hc_mean.npy").exists() == (baseline == "hc_mean")


def test_a_scan_that_is_its_own_baseline_has_an_empty_map(run_folder):
    options = run_folder.options("--methods", "deep_lift", *QUICK, "--baseline", run_folder.scans[0])
    assert script.main([*options, "--max_samples", "1"]) == 0
    row = pd.read_csv(run_folder.output / "attribution_statistics.csv").iloc[0]
    assert row["abs_mean"] == 0 and row["completeness_verdict"] == "ok" and pd.isna(row["peak_slice"])


def test_max_samples_keeps_the_tables_order_and_ids(maps_only, run_folder):
    for n, expected in (("2", ["sub-A", "sub-B"]), ("0", ["sub-A", "sub-B", "12"])):
        assert script.main(run_folder.options("--methods", "saliency", *QUICK, "--max_samples", n)) == 0
        table = pd.read_csv(run_folder.output / "attribution_statistics.csv")
        assert table["subject_id"].tolist() == expected


def test_several_logits(tmp_path):
    run = make_run(tmp_path, lively_network(n_logits=3))
    assert script.main(run.options("--methods", "saliency", *QUICK)) == 0
    by_default = np.load(run.output / "saliency" / "12" / "12_saliency_attributions.npy")
    statistics = pd.read_csv(run.output / "attribution_statistics.csv").set_index("subject_id")
    row = statistics.loc["12"]
    assert row["target"] == row["predicted_label"]
    maps = {}
    for target in range(3):
        options = run.options("--methods", "saliency", *QUICK, "--target", target, "--overwrite")
        assert script.main([*options, "--max_samples", "0"]) == 0
        maps[target] = np.load(run.output / "saliency" / "12" / "12_saliency_attributions.npy")
    np.testing.assert_allclose(maps.pop(row["target"]), by_default, atol=1e-5 * by_default.max())
    for other in maps.values():
        assert np.abs(other - by_default).max() > 0.01 * by_default.max()


@pytest.mark.parametrize(
    ("flag", "value", "method"),
    [
        ("--seed", 5, "gradient_shap"),
        ("--n_samples", 3, "gradient_shap"),
        ("--noise_std", 0.2, "gradient_shap"),
        ("--n_steps", 3, "integrated_gradients"),
        ("--first_slice", 8, "saliency"),
    ],
)
def test_options_reach_the_maps(maps_only, run_folder, flag, value, method):
    options = run_folder.options("--methods", method, *QUICK, "--max_samples", "1", "--no_nifti")
    path = run_folder.output / method / "sub-A" / f"sub-A_{method}_attributions.npy"
    assert script.main(options) == 0
    before = np.load(path)
    assert script.main([*options, flag, str(value), "--overwrite"]) == 0
    assert np.abs(np.load(path) - before).max() > 1e-3 * np.abs(before).max()
    sidecar = json.loads(path.with_suffix(".json").read_text())
    assert sidecar["fingerprint"][flag.removeprefix("--")] == value


def test_figures_show_a_map_as_they_show_its_scan(run_folder):
    """A map equal to its scan is drawn the same way up, whatever the affine."""
    for index, path in enumerate(run_folder.scans):
        scan = Scan("a", path, 1, "left", index)
        loaded = script.load_scan(scan, n_slices=115, first_slice=10, key_slices=[40, 70])
        row = {"subject_id": "a", "predicted_label": 1, "confidence": 0.9, "true_label": 1}
        record = {"method": "saliency", "statistics": row | {"diagnosis": "left", "baseline": None}}
        view = script.view_of(loaded, loaded.network_input, record, 1, [40, 70])
        np.testing.assert_array_equal(view.attribution, view.anatomy)
        assert view.in_mm == (path.suffix != ".pkl")


def test_a_spot_on_the_left_is_drawn_on_the_left(tmp_path):
    """Superior up and the patient's left on the left, also where x runs the other way."""
    voxels = brain(seed=4)
    x, y, z = 30, 70, 80  # left of the middle (56), above it
    voxels[x, y, z] = 9.0
    for name, data, affine in (("a.nii", voxels, AFFINE), ("b.nii", voxels[::-1], FLIPPED)):
        path = save_scan(tmp_path / name, np.ascontiguousarray(data), affine)
        loaded = script.load_scan(Scan("a", path, 0, "HC", 0), n_slices=115, first_slice=10, key_slices=[60])
        row, column = np.unravel_index(loaded.anatomy[0].argmax(), loaded.anatomy[0].shape)
        assert (row, column) == pytest.approx((112 * (113 - z - 0.5) / 113, 112 * (x + 0.5) / 113), abs=1)


def test_unusual_grids_are_pointed_out(run_folder, capsys):
    save_scan(run_folder.scans[0], brain(seed=1), np.diag([1.6, 1.5, 1.5, 1.0]))
    assert script.main(run_folder.options("--methods", "saliency", *QUICK, "--no_nifti")) == 0
    error = capsys.readouterr().err
    assert error.count("voxels of 1.6 x 1.5 x 1.5 mm, not 1.5 mm") == 1
    assert error.count("is not on the grid") == 1


BAD_REQUESTS = {
    "no default run": ([], "--demo"),
    "no model": (["--model_path", "absent.pth"], "absent.pth: no such file"),
    "no table": (["--csv_path", "absent.csv"], "absent.csv: no such file"),
    "no parameters": (["--parameters_path", "absent.json"], "--parameters_path"),
    "no such column": (["--path_column", "volume"], "no column 'volume'"),
    "slice beyond": (["--key_slices", "115"], "slices 0 to 114"),
    "slice below": (["--key_slices", "-3"], "0 or more"),
    "no such device": (["--device", "cuda:77"], "there are cpu"),
    "no such baseline": (["--baseline", "mean"], "neither a file nor one of zero"),
    "no such target": (["--target", "1"], "1 logit"),
    "batch of none": (["--batch_size", "0"], "1 or more"),
    "no noise": (["--noise_std", "nan"], "positive number"),
    "output is a file": (["--output_dir", __file__], "cannot be written"),
}


@pytest.mark.parametrize("name", BAD_REQUESTS)
def test_wrong_requests_end_with_2_and_say_why(run_folder, monkeypatch, capsys, name):
    monkeypatch.chdir(run_folder.output.parent)
    extra, message = BAD_REQUESTS[name]
    options = run_folder.options(*extra) if extra else []
    assert script.main(options) == 2
    error = capsys.readouterr().err
    assert message in error and "Traceback" not in error
    assert not run_folder.output.exists() or not files_under(run_folder.output)


@pytest.mark.parametrize("options", [["--methods", "lime"], ["--unknown"], ["--max_samples", "many"]])
def test_mistyped_options_end_with_2(options, capsys):
    with pytest.raises(SystemExit) as ended:
        script.main(options)
    assert ended.value.code == 2


def test_an_interrupt_keeps_what_is_written(run_folder, monkeypatch):
    from mri_saliency.attribution import Explainer

    attribute = Explainer.attribute

    def interrupted(self, method, batch):
        if method == "input_x_gradient":
            raise KeyboardInterrupt
        return attribute(self, method, batch)

    monkeypatch.setattr(Explainer, "attribute", interrupted)
    assert script.main(run_folder.options("--methods", "saliency", "input_x_gradient", *QUICK)) == 130
    assert len(list(run_folder.output.rglob("*.npy"))) == 3


def test_a_map_counts_as_soon_as_it_is_written(run_folder, monkeypatch):
    add, counted = script.Ledger.add, []

    def note(ledger, *args):
        counted.append(ledger.n_written)
        add(ledger, *args)

    monkeypatch.setattr(script.Ledger, "add", note)
    assert script.main(run_folder.options("--methods", "saliency", *QUICK)) == 0
    assert counted == [0, 1, 2]


def test_scans_are_explained_in_small_groups(run_folder, monkeypatch, maps_only):
    batch, sizes = Explainer.batch, []

    def note(explainer, inputs, *args):
        sizes.append(len(inputs))
        return batch(explainer, inputs, *args)

    monkeypatch.setattr(Explainer, "batch", note)
    monkeypatch.setattr(script, "GROUP_SIZE", 2)
    assert script.main(run_folder.options("--methods", "saliency", "--key_slices", "50")) == 0
    assert sizes == [2, 1]


def test_without_cuda_the_cpu_serves_with_a_warning(run_folder, monkeypatch, capsys):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 1)  # the driver is too old for it
    options = [option for option in run_folder.options() if option not in ("--device", "cpu")]
    assert script.main([*options, "--max_samples", "1", "--methods", "saliency", *QUICK]) == 0
    assert "no CUDA device" in capsys.readouterr().err


def test_help_needs_nothing_heavy(tmp_path):
    code = (
        "import sys, generate_saliency_maps\n"
        "try: generate_saliency_maps.main(['--help'])\n"
        "except SystemExit: pass\n"
        "assert not {'torch', 'pandas', 'matplotlib', 'numpy'} & set(sys.modules), 'heavy import'"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=SCRIPT.parent)
    assert done.returncode == 0, done.stderr
    for word in (*METHODS, "examples:", "cuda:0", "30 40 50 60 70 80 90"):
        assert word in done.stdout
    elsewhere = subprocess.run([sys.executable, SCRIPT, "--version"], capture_output=True, cwd=tmp_path)
    assert elsewhere.returncode == 0


def test_the_runner_passes_options_on(monkeypatch):
    calls = []
    monkeypatch.setattr(script, "main", lambda args: calls.append(args) or 0)
    assert runner.main(["--device", "cpu", "--methods", "saliency"]) == 0
    assert calls == [["--max_samples", "20", "--device", "cpu", "--methods", "saliency"]]
