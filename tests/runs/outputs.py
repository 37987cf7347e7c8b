"""Runs of the script in this process, and comparisons of what they wrote."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

import generate_saliency_maps as script

QUICK = ("--n_steps", "4", "--n_samples", "2", "--batch_size", "1", "--key_slices", "2", "5")
SEED_COLUMNS = (
    "method shape mean std min max abs_mean positive_ratio negative_ratio "
    "subject_id true_label prediction sample_idx"
).split()
ONE_METHOD = ("--methods", "saliency", *QUICK)
TINY_SCRIPT = Path(__file__).with_name("tiny_script.py")
SUBJECTS = ("sub-A", "sub-B", "12")
METHODS = ("--methods", "saliency", "gradient_shap")


def run(run_folder, *more):
    """Run the script on two methods; return its exit code."""
    return script.main(run_folder.options(*METHODS, *QUICK, *more))


def array_path(run_folder, method="saliency", subject="sub-A"):
    """Return the path of a map's array."""
    return run_folder.output / method / subject / f"{subject}_{method}_attributions.npy"


def file_names(folder):
    """Return the names of all files in a folder."""
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def contents(folder):
    """Return every file's content, without what differs from run to run, or between copies."""
    names = file_names(folder) - {"run.json", "report.html", "dataset_description.json"}
    return {name: (folder / name).read_bytes() for name in sorted(names)}


def are_close(a, b):
    """Return whether two maps agree to 1e-5 of their maximum: processors round differently."""
    return np.abs(a - b).max() <= 1e-5 * np.abs(b).max()


def assert_same_maps(folder, expected):
    """Hold two folders' arrays against each other."""
    arrays, expected_arrays = (
        sorted(path.relative_to(root) for path in root.rglob("*_attributions.npy"))
        for root in (folder, expected)
    )
    assert arrays and arrays == expected_arrays
    for path in arrays:
        assert are_close(np.load(folder / path), np.load(expected / path)), path


def assert_same_output(folder, expected):
    """Hold two folders against each other: the same files, close maps and numbers, whole pictures."""
    assert file_names(folder) == file_names(expected)
    assert_same_maps(folder, expected)
    for path in expected.rglob("*.csv"):
        _assert_same_table(pd.read_csv(folder / path.relative_to(expected)), pd.read_csv(path))
    for path in expected.rglob("*_attributions.json"):
        _assert_same_json(
            json.loads((folder / path.relative_to(expected)).read_text()), json.loads(path.read_text())
        )
    for path in folder.rglob("*.png"):
        Image.open(path).verify()


def _assert_same_table(*tables):
    # which method makes a shared pass depends on where a run was interrupted
    found, expected = (table.drop(columns=["seconds", "passes"], errors="ignore") for table in tables)
    pd.testing.assert_frame_equal(found, expected, rtol=1e-3, atol=1e-6)


def _assert_same_json(found, expected):
    assert found.keys() == expected.keys()
    exact = ("subject_id", "method", "grid", "brain_voxels", "fingerprint", "key_slices")
    assert all(found[key] == expected[key] for key in exact)
    assert found["source"]["sha256"] == expected["source"]["sha256"]
    assert found["files"].keys() == expected["files"].keys()
    np.testing.assert_allclose(found["slice_profile"], expected["slice_profile"], rtol=1e-3, atol=1e-6)
