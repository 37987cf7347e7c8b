"""Finished maps' scans are read again: their brain, grey matter and null maps, against plain computations."""

import os
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mri_saliency.attribution.baselines import make_baseline
from mri_saliency.cohort.source_scan import read_null_map, read_source
from mri_saliency.inputs.file_identity import FileIdentity
from mri_saliency.inputs.grid import FIRST_SLICE
from mri_saliency.inputs.loading import load_scan
from mri_saliency.inputs.preprocessing import air_input, brain_mask, to_network_input, unpad
from mri_saliency.inputs.scan_table import Scan
from mri_saliency.output.files import write_json
from mri_saliency.output.folder import FORMAT, OutputFolder
from mri_saliency.run.run_record import prepare_folder

from ..conftest import AFFINE, N_SLICES, SYNTHETIC_SHAPE, brain, save_scan
from ..made_cohort import RECIPE, made_record

SUBJECTS = ("P", "P", "Q", "R", "S")  # S is a patient
WINDOW = {"n_slices": N_SLICES, "first_slice": FIRST_SLICE}


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    """Five scans of four subjects, the last a patient's."""
    folder = tmp_path_factory.mktemp("scans")
    scans = []
    for seed, subject in enumerate(SUBJECTS):
        path = save_scan(folder / f"{seed}.nii", brain(seed=seed))
        scan = Scan(path.stem, path, int(subject == "S"), "left" if subject == "S" else "HC", seed, subject)
        scans.append(load_scan(scan, **WINDOW))
    return scans


@pytest.fixture
def folder(tmp_path):
    folder = OutputFolder(tmp_path / "maps")
    folder.create()
    return folder


def baseline_of(name, loaded):
    healthy = [scan.context.scan for scan in loaded[:4]]
    return make_baseline(name, healthy, lambda _: iter([loaded[:4]]), **WINDOW)


def record_of(scan, baseline="zero"):
    """A record of a map of the scan; without a baseline, by saliency."""
    context = scan.context
    method, settings = ("integrated_gradients", {"baseline": baseline}) if baseline else ("saliency", {})
    recipe = replace(RECIPE, settings=settings)
    record = made_record(context.scan.subject_id, method, recipe=recipe, subject=context.scan.subject)
    return replace(record, source=context.source, grid=context.grid)


def file_record(path):
    return replace(made_record(), source=FileIdentity.of(path, ""))


def assert_close(found, expected):
    assert found.dtype == np.float32 and found.shape == (N_SLICES, 112, 112)
    np.testing.assert_allclose(found, unpad(expected), atol=1e-5)


def test_brain_and_grey_matter_are_on_the_networks_grid(tmp_path):
    scan = read_source(file_record(save_scan(tmp_path / "scan.nii", brain(), AFFINE)))
    np.testing.assert_array_equal(scan.brain, unpad(brain_mask(scan.network_input)))
    expected = unpad(to_network_input(brain(), N_SLICES))
    factor = scan.grey_matter.max() / expected.max()
    np.testing.assert_allclose(scan.grey_matter, factor * expected, atol=1e-5)


def test_normalised_intensities_are_no_grey_matter(tmp_path):
    for name, voxels in (("z.nii", brain()), ("z.pkl", brain(SYNTHETIC_SHAPE))):
        normalised = save_scan(tmp_path / name, (voxels - voxels.mean()) / voxels.std(), AFFINE)
        assert read_source(file_record(normalised)).grey_matter is None
    interpolated = save_scan(tmp_path / "i.nii", brain() - 0.01, AFFINE)
    assert read_source(file_record(interpolated)).grey_matter is not None


@pytest.mark.parametrize("baseline", [None, "zero", "background"])
def test_null_maps_are_distances_from_the_baseline(folder, loaded, baseline):
    scan = loaded[1].network_input
    expected = np.abs(scan - (air_input(scan) if baseline == "background" else 0))
    assert_close(read_null_map(folder, record_of(loaded[1], baseline)), expected)


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
        record = record_of(loaded[number], baseline.identity)
        record, again = pickle.loads(pickle.dumps((record, folder)))  # as in a worker
        assert_close(read_null_map(again, record), expected)


def test_another_mean_or_none_gives_no_null_map(with_mean, loaded):
    folder, baseline = with_mean
    record = record_of(loaded[2], baseline.identity)
    assert read_null_map(folder, record) is not None
    assert read_null_map(folder, record_of(loaded[2], "hc_mean abc")) is None
    made = folder.hc_mean_scans.read_text()
    for text in ("{}", made.replace('"scans": [', '"scans": [3, '), made.replace('"subject"', '"other"')):
        folder.hc_mean_scans.write_text(text)
        os.utime(folder.hc_mean_scans, ns=(len(text), len(text)))
        assert read_null_map(folder, record) is None
    folder.hc_mean_scans.write_text(made)
    np.save(folder.hc_mean, baseline.values + 1)  # not of these scans
    os.utime(folder.hc_mean, ns=(1, 1))
    assert read_null_map(folder, record) is None
    folder.hc_mean.unlink()
    assert read_null_map(folder, record) is None


def test_a_scan_that_is_gone_or_another_is_none(folder, tmp_path):
    record = file_record(save_scan(tmp_path / "scan.nii", brain(), AFFINE))
    assert read_source(record) and read_null_map(folder, record) is not None
    save_scan(Path(record.source.path), brain(seed=9), AFFINE)
    assert read_source(record) is read_null_map(folder, record) is None
    Path(record.source.path).unlink()
    assert read_source(record) is read_null_map(folder, record) is None


def test_a_session_that_is_gone_gives_no_null_map(folder, loaded):
    """The other scan of a subject is needed to leave it out of the mean."""
    baseline = baseline_of("hc_mean", loaded)
    scans = tuple(replace(scan, path=f"/gone{scan.path}") for scan in baseline.healthy.scans)
    prepare_folder(folder, replace(baseline, healthy=replace(baseline.healthy, scans=scans)))
    first, third = (record_of(loaded[number], baseline.identity) for number in (0, 2))
    assert read_null_map(folder, first) is None and read_null_map(folder, third) is not None


def test_a_file_is_found_by_the_folders_runs(folder, loaded, tmp_path):
    path = tmp_path / "control.npy"
    np.save(path, loaded[3].network_input)
    identity = baseline_of(str(path), loaded).identity
    record = record_of(loaded[0], identity)
    assert read_null_map(folder, record) is None
    run = {"working_directory": str(tmp_path), "options": {"baseline": "control.npy"}}
    later = {"working_directory": str(tmp_path), "options": {"baseline": "zero"}}
    write_json(folder.run_record, {"format": FORMAT} | later | {"earlier_runs": [run]})
    assert_close(read_null_map(folder, record), np.abs(loaded[0].network_input - loaded[3].network_input))
    assert read_null_map(folder, record_of(loaded[0], "control.npy abc")) is None
