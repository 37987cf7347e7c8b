"""A run with Expected Gradients: its files, resuming, checks, and too few controls."""

import json

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

import generate_saliency_maps as script
from mri_saliency.cohort.source_scan import read_null_map
from mri_saliency.inputs.loading import load_volume
from mri_saliency.inputs.preprocessing import brain_mask, unpad
from mri_saliency.maps.statistics import brain_share
from mri_saliency.output.folder import OutputFolder

from ..conftest import DIAGNOSIS_COLUMN, N_SLICES, brain, save_scan
from .outputs import are_close, array_path, file_names

METHOD = "expected_gradients"
OPTIONS = ("--methods", METHOD, "--n_references", "4", "--key_slices", "5")
SUBJECTS = ("sub-A", "sub-B", "12", "sub-C")


@pytest.fixture
def cohort(run_folder):
    """The run's three scans, two of them HC, and a third HC scan."""
    path = save_scan(run_folder.scans[0].with_name("mwp1sub-C_ses-01_T1w.nii"), brain(seed=7))
    rows = {
        "file": [*map(str, run_folder.scans), str(path)],
        DIAGNOSIS_COLUMN: ["HC", "HC", "right", "HC"],
        "sbj_nme": SUBJECTS,
    }
    pd.DataFrame(rows).to_csv(run_folder.table, index=False)
    return run_folder


def error_path(run_folder, subject):
    return array_path(run_folder, METHOD, subject).with_name(f"{subject}_{METHOD}_standard_error.nii.gz")


def test_the_null_map_is_the_mean_distance_from_the_controls(cohort, maps_only, capsys):
    """Of a patient, with whom all controls are compared, four times each."""
    options = ("--methods", METHOD, "--n_references", "12", "--no_nifti", "--baseline", "hc_mean")
    assert script.main(cohort.options(*options)) == 0
    assert capsys.readouterr().err.count("3 HC scans are a rough control") == 1
    folder = OutputFolder(cohort.output)
    record = folder.read_record(METHOD, "12")
    paths = [cohort.scans[0], cohort.scans[1], cohort.scans[0].with_name("mwp1sub-C_ses-01_T1w.nii")]
    scan, *controls = (load_volume(path, N_SLICES).network_input for path in (cohort.scans[2], *paths))
    expected = np.mean([np.abs(scan - control) for control in controls], axis=0)
    np.testing.assert_allclose(read_null_map(folder, record), unpad(expected), rtol=1e-3, atol=1e-3)
    share = brain_share(expected, brain_mask(scan))
    assert record.statistics.brain_share_null == pytest.approx(share, rel=1e-4)


def test_each_map_has_its_standard_error_and_is_made_again_for_it(cohort, maps_only, capsys):
    options = cohort.options(*OPTIONS)
    assert script.main([*options, "--no_nifti"]) == 0
    assert not list(cohort.output.rglob("*.nii.gz"))
    assert script.main([*options, "--no_nifti"]) == 0
    assert "0 maps made in" in capsys.readouterr().out
    before = {subject: np.load(array_path(cohort, METHOD, subject)) for subject in SUBJECTS}
    assert script.main(options) == 0
    assert "4 maps made in" in capsys.readouterr().out
    for subject in SUBJECTS:
        path, error_file = array_path(cohort, METHOD, subject), error_path(cohort, subject)
        assert are_close(np.load(path), before[subject])
        sidecar = json.loads(path.with_suffix(".json").read_text())
        assert sidecar["files"][error_file.name] == error_file.stat().st_size
        values, fingerprint = nib.load(error_file).get_fdata(), sidecar["fingerprint"]
        assert values.shape == nib.load(path.with_suffix(".nii.gz")).shape
        assert np.isfinite(values).all() and values.min() == 0 and values.max() > 0
        assert fingerprint["references"].startswith("3 HC scans ") and fingerprint["n_references"] == 4
        assert "drawn_on" not in fingerprint
    references = json.loads((cohort.output / "run.json").read_text())["references"]
    assert len(references) == 3 and str(cohort.scans[2]) not in references
    # figures are drawn again from the array, and the error's image is kept
    made = error_path(cohort, "sub-A").read_bytes()
    assert script.main([*options, "--key_slices", "3"]) == 0
    assert error_path(cohort, "sub-A").read_bytes() == made
    assert script.main([*options, "--key_slices", "3"]) == 0
    assert "0 maps made in" in capsys.readouterr().out


def test_without_a_second_control_nothing_is_written(run_folder, capsys):
    assert script.main(run_folder.options(*OPTIONS)) == 2
    assert "expected HC scans of two subjects at least" in capsys.readouterr().err
    assert not run_folder.output.exists() or not file_names(run_folder.output)


def test_references_are_loaded_for_their_method_alone(cohort, maps_only, monkeypatch):
    monkeypatch.setattr("mri_saliency.run.prepare.load_references", None)
    assert script.main(cohort.options("--methods", "saliency", "--key_slices", "5")) == 0
