"""Null maps of finished maps' scans, read again, against plain computations."""

import os
import pickle
import shutil
from dataclasses import replace

import numpy as np
import pytest

from mri_saliency.attribution.baselines import make_baseline
from mri_saliency.cohort.source_scan import read_brain, read_null_map
from mri_saliency.inputs.file_identity import FileIdentity
from mri_saliency.inputs.grid import FIRST_SLICE
from mri_saliency.inputs.loading import load_scan
from mri_saliency.inputs.preprocessing import air_input, brain_mask, unpad
from mri_saliency.inputs.scan_table import Scan
from mri_saliency.output.files import write_json
from mri_saliency.output.folder import FORMAT, OutputFolder
from mri_saliency.run.run_record import prepare_folder

from ..conftest import N_SLICES, brain, save_scan
from ..made_cohort import RECIPE, made_record

SUBJECTS = ("P", "P", "Q", "R", "S")  # S is a patient


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    """Five scans of four subjects, the last a patient's."""
    folder = tmp_path_factory.mktemp("scans")
    scans = []
    for seed, subject in enumerate(SUBJECTS):
        path = save_scan(folder / f"{seed}.nii", brain(seed=seed))
        scan = Scan(path.stem, path, int(subject == "S"), "left" if subject == "S" else "HC", seed, subject)
        scans.append(load_scan(scan, n_slices=N_SLICES, first_slice=FIRST_SLICE))
    return scans


@pytest.fixture
def folder(tmp_path):
    folder = OutputFolder(tmp_path / "maps")
    folder.create()
    return folder


def baseline_of(name, loaded):
    healthy = [scan.context.scan for scan in loaded[:4]]
    return make_baseline(
        name, healthy, lambda _: iter([loaded[:4]]), n_slices=N_SLICES, first_slice=FIRST_SLICE
    )


def record_of(scan, method="integrated_gradients", baseline="zero"):
    settings = {} if baseline is None else {"baseline": baseline}
    context = scan.context
    record = made_record(
        context.scan.subject_id,
        method,
        recipe=replace(RECIPE, settings=settings),
        subject=context.scan.subject,
    )
    return replace(record, source=context.source, grid=context.grid)


def assert_close(found, expected):
    assert found.dtype == np.float32 and found.shape == (N_SLICES, 112, 112)
    np.testing.assert_allclose(found, unpad(expected), atol=1e-5)


def test_methods_without_baseline_are_compared_with_zero(folder, loaded):
    expected = np.abs(loaded[0].network_input)
    assert_close(read_null_map(folder, record_of(loaded[0], "saliency", None)), expected)
    assert_close(read_null_map(folder, record_of(loaded[0])), expected)
    found = read_brain(record_of(loaded[0]))
    np.testing.assert_array_equal(found, unpad(brain_mask(loaded[0].network_input)))


def test_background_is_the_scans_air(folder, loaded):
    scan = loaded[1].network_input
    record = record_of(loaded[1], "deep_lift", "background")
    assert_close(read_null_map(folder, record), np.abs(scan - air_input(scan)))


@pytest.fixture
def with_mean(folder, loaded):
    """A folder with the mean of the HC scans, and its identity."""
    baseline = baseline_of("hc_mean", loaded)
    prepare_folder(folder, baseline)
    return folder, baseline


def test_hc_mean_leaves_out_the_scans_subject(with_mean, loaded):
    folder, baseline = with_mean
    inputs = [scan.network_input.astype(np.float64) for scan in loaded]
    for number, others in ((0, (2, 3)), (1, (2, 3)), (2, (0, 1, 3)), (4, (0, 1, 2, 3))):
        expected = np.abs(inputs[number] - np.mean([inputs[n] for n in others], axis=0))
        record = record_of(loaded[number], baseline=baseline.identity)
        record, again = pickle.loads(pickle.dumps((record, folder)))  # as in a worker
        assert_close(read_null_map(again, record), expected)


def test_another_mean_or_none_gives_no_null_map(with_mean, loaded):
    folder, baseline = with_mean
    record = record_of(loaded[2], baseline=baseline.identity)
    assert read_null_map(folder, record) is not None
    assert read_null_map(folder, record_of(loaded[2], baseline="hc_mean abc")) is None
    np.save(folder.hc_mean, baseline.values + 1)  # not of these scans
    os.utime(folder.hc_mean, ns=(1, 1))
    assert read_null_map(folder, record) is None
    folder.hc_mean.unlink()
    assert read_null_map(folder, record) is None
    # for what needs no baseline, nothing changes
    assert read_null_map(folder, record_of(loaded[2], "saliency", None)) is not None


def test_a_scan_that_is_gone_or_another_gives_no_null_map(folder, loaded, tmp_path):
    path = tmp_path / "scan.nii"
    shutil.copy(loaded[0].context.source.path, path)
    record = replace(record_of(loaded[0]), source=FileIdentity.of(path))
    assert read_null_map(folder, record) is not None
    save_scan(path, brain(seed=9))
    assert read_null_map(folder, record) is None and read_brain(record) is None
    path.unlink()
    assert read_null_map(folder, record) is None and read_brain(record) is None


def test_a_session_that_is_gone_gives_no_null_map(folder, loaded, tmp_path):
    """The other scan of a subject is needed to leave it out of the mean."""
    moved = []
    for scan in loaded[:4]:
        path = tmp_path / scan.context.scan.path.name
        shutil.copy(scan.context.scan.path, path)
        copy = replace(scan.context.scan, path=path)
        moved.append(load_scan(copy, n_slices=N_SLICES, first_slice=FIRST_SLICE))
    baseline = baseline_of("hc_mean", moved)
    prepare_folder(folder, baseline)
    first, third = (record_of(moved[number], baseline=baseline.identity) for number in (0, 2))
    moved[1].context.scan.path.unlink()
    assert read_null_map(folder, first) is None and read_null_map(folder, third) is not None


def test_a_file_is_found_by_the_folders_runs(folder, loaded, tmp_path):
    path = tmp_path / "control.npy"
    np.save(path, loaded[3].network_input)
    identity = baseline_of(str(path), loaded).identity
    record = record_of(loaded[0], baseline=identity)
    assert read_null_map(folder, record) is None
    run = {"working_directory": str(tmp_path), "options": {"baseline": "control.npy"}}
    later = {"working_directory": str(tmp_path), "options": {"baseline": "zero"}}
    expected = np.abs(loaded[0].network_input - loaded[3].network_input)
    for content in (run, later | {"earlier_runs": [run]}):
        write_json(folder.run_record, {"format": FORMAT} | content)
        assert_close(read_null_map(folder, record), expected)
    assert read_null_map(folder, record_of(loaded[0], baseline="control.npy abc")) is None
