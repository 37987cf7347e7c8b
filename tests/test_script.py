"""The script, run as a user runs it."""

import json
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from PIL import Image

import generate_saliency_maps as script
import run_saliency_generation as runner
from mri_saliency.methods import METHODS

from .conftest import AFFINE, FLIPPED, lively_network, make_run

SEED_COLUMNS = (
    "method shape mean std min max abs_mean positive_ratio negative_ratio "
    "subject_id true_label prediction sample_idx"
).split()
QUICK = ("--n_steps", "4", "--n_samples", "2", "--key_slices", "40", "60")
SCRIPT = Path(script.__file__)


def files_under(folder):
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_the_contracts_run_through_all_methods_on_the_large_network(tmp_path):
    run = make_run(tmp_path, lively_network("L"))
    assert script.main(run.options("--methods", *METHODS, *QUICK, "--workers", "1")) == 0
    expected = {"attribution_statistics.csv", "attribution_summary.png", "run.json"}
    for method in METHODS:
        for subject in ("sub-A", "sub-B", "12"):
            stem = f"{method}/{subject}/{subject}_{method}_"
            expected |= {stem + name for name in ("summary.png", "slice_40.png", "slice_60.png")}
            expected |= {stem + name for name in ("attributions.npy", "attributions.nii.gz")}
    assert files_under(run.output) == expected

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
    assert record["counts"] == {"maps": 21, "failures": 0}
    assert record["checkpoint"]["network"] == "EfficientNetV2-L"
    assert len(record["checkpoint"]["sha256"]) == 64


def test_one_bad_scan_costs_only_itself(run_folder, capsys):
    run_folder.scans[1].write_bytes(b"not a scan")
    assert script.main(run_folder.options("--methods", "saliency", *QUICK, "--no_nifti")) == 1
    failures = pd.read_csv(run_folder.output / "failures.csv")
    assert failures["subject_id"].tolist() == ["sub-B"] and "cannot be read" in failures["reason"][0]
    table = pd.read_csv(run_folder.output / "attribution_statistics.csv")
    assert table["subject_id"].tolist() == ["sub-A", "12"]
    assert not list(run_folder.output.rglob("*.nii.gz"))
    assert "failed: sub-B" in capsys.readouterr().err


def test_all_scans_failing_is_reported_not_raised(run_folder):
    for scan in run_folder.scans:
        scan.unlink()
    assert script.main(run_folder.options("--methods", "saliency", *QUICK)) == 1
    assert len(pd.read_csv(run_folder.output / "failures.csv")) == 3


def test_workers_change_nothing(run_folder):
    arrays = []
    for workers in ("0", "2"):
        assert (
            script.main(run_folder.options("--methods", "gradient_shap", *QUICK, "--workers", workers)) == 0
        )
        found = sorted(run_folder.output.rglob("*"))
        arrays.append({path: path.read_bytes() for path in found if path.suffix in (".npy", ".png", ".gz")})
    assert arrays[0] == arrays[1]


@pytest.mark.parametrize("baseline", ["background", "hc_mean", "file"])
def test_baselines(run_folder, baseline):
    argument = baseline
    if baseline == "file":
        argument = run_folder.scans[0]
    options = run_folder.options("--methods", "deep_lift", *QUICK, "--baseline", argument)
    assert script.main(options) == 0
    table = pd.read_csv(run_folder.output / "attribution_statistics.csv").set_index("subject_id")
    assert (run_folder.output / "baseline_hc_mean.npy").exists() == (baseline == "hc_mean")
    if baseline != "background":  # the one HC scan is its own baseline: nothing to attribute
        assert table.loc["sub-A", "abs_mean"] == 0
        assert table.loc["sub-A", "completeness_verdict"] == "ok"
    assert (table.loc[["sub-B", "12"], "completeness_error"] < 1e-3).all()


def test_max_samples_keeps_the_tables_order_and_ids(run_folder):
    assert script.main(run_folder.options("--methods", "saliency", *QUICK, "--max_samples", "2")) == 0
    table = pd.read_csv(run_folder.output / "attribution_statistics.csv")
    assert table["subject_id"].tolist() == ["sub-A", "sub-B"]


def test_several_logits(tmp_path):
    run = make_run(tmp_path, lively_network(n_logits=3))
    assert script.main(run.options("--methods", "saliency", *QUICK)) == 0
    by_default = np.load(run.output / "saliency" / "12" / "12_saliency_attributions.npy")
    label = pd.read_csv(run.output / "attribution_statistics.csv").set_index("subject_id")["predicted_label"][
        "12"
    ]
    assert script.main(run.options("--methods", "saliency", *QUICK, "--target", label)) == 0
    named = np.load(run.output / "saliency" / "12" / "12_saliency_attributions.npy")
    np.testing.assert_array_equal(by_default, named)


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


def test_without_cuda_the_cpu_serves_with_a_warning(run_folder, monkeypatch, capsys):
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)
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
