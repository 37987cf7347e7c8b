"""Baselines as --baseline asks for them."""

import gzip
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mri_saliency.attribution.baselines import Baseline, HealthyMean, load_baseline, make_baseline
from mri_saliency.errors import UserError
from mri_saliency.inputs.file_identity import sha256_of_array
from mri_saliency.inputs.grid import FIRST_SLICE
from mri_saliency.inputs.loading import UnreadableScan
from mri_saliency.inputs.preprocessing import air_input

from ..conftest import N_SLICES, brain, save_scan
from .conftest import load, scan_of


def not_called(_):
    raise AssertionError("scans are loaded for hc_mean alone")


def make(name, healthy=(), load=not_called):
    return make_baseline(name, healthy, load, n_slices=N_SLICES, first_slice=FIRST_SLICE)


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scans")
    return [save_scan(folder / f"sub-{seed}_T1w.nii", brain(seed=seed)) for seed in (1, 2)]


@pytest.fixture(scope="module")
def scans(paths):
    return [load(scan_of(path)) for path in paths]


@pytest.fixture(scope="module")
def network_inputs(scans):
    return np.stack([scan.network_input for scan in scans])


def healthy_scans(scans):
    """Yield an unreadable scan and the scans, loaded, in groups of two."""
    unreadable = UnreadableScan(scan_of(Path("gone.nii")), "gone.nii: no such file")
    scans = [unreadable, *map(load, scans)]
    for start in range(0, len(scans), 2):
        yield scans[start : start + 2]


def test_zero_is_shared_by_all_scans_and_background_is_each_scans_air(scans, network_inputs):
    for name, expected in (
        ("zero", np.zeros((1, N_SLICES, 128, 128))),
        ("background", [air_input(network_input) for network_input in network_inputs]),
    ):
        baseline = make(name)
        assert baseline.identity == name and baseline.of(scans).dtype == np.float32
        np.testing.assert_array_equal(baseline.of(scans), expected)


# Four scans: P has two sessions, Q and R one each; the patient S is not averaged.
SUBJECTS = ("P", "Q", "P", "R")


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    """The healthy scans, and a patient's, loaded."""
    folder = tmp_path_factory.mktemp("healthy")
    files = [save_scan(folder / f"{seed}_T1w.nii", brain(seed=seed)) for seed in range(5)]
    healthy = [load(scan_of(path, subject)) for path, subject in zip(files[:4], SUBJECTS, strict=True)]
    return healthy, load(scan_of(files[4], "S", "left"))


@pytest.fixture(scope="module")
def hc_mean(cohort):
    return make("hc_mean", [scan.context.scan for scan in cohort[0]], healthy_scans)


def test_hc_mean_averages_the_readable_scans(cohort, capsys):
    healthy, patient = cohort
    baseline = make("hc_mean", [scan.context.scan for scan in healthy], healthy_scans)
    printed = capsys.readouterr()
    assert "left out of the baseline: gone.nii: no such file" in printed.err
    assert printed.out == "averaging 4 HC scans for the baseline\n"
    mean = np.mean([scan.network_input for scan in healthy], axis=0)
    np.testing.assert_allclose(baseline.values, mean, atol=1e-6)
    assert baseline.values.dtype == np.float32
    np.testing.assert_array_equal(baseline.of([patient, patient]), baseline.values[None])


def test_hc_mean_leaves_out_the_subject_that_is_compared(cohort, hc_mean):
    healthy, patient = cohort
    inputs = np.stack([scan.network_input for scan in healthy]).astype(np.float64)
    for number, scan in enumerate(healthy):
        others = [n for n, subject in enumerate(SUBJECTS) if subject != SUBJECTS[number]]
        [found] = hc_mean.of([scan])
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, inputs[others].mean(0), atol=1e-6)
    together = hc_mean.of([healthy[3], patient, healthy[0]])
    assert together.shape == (3, N_SLICES, 128, 128)
    np.testing.assert_array_equal(together[1], hc_mean.values)
    np.testing.assert_array_equal(together[[0, 2]], [hc_mean.of([healthy[n]])[0] for n in (3, 0)])


def test_a_copy_of_an_averaged_scan_is_compared_without_it(cohort, hc_mean, tmp_path):
    original = cohort[0][1].context.scan.path
    shutil.copy(original, tmp_path / "copy.nii")
    (tmp_path / "twin.nii.gz").write_bytes(gzip.compress(original.read_bytes()))
    for name in ("copy.nii", "twin.nii.gz"):
        copy = load(scan_of(tmp_path / name, "another name"))
        np.testing.assert_array_equal(hc_mean.of([copy]), hc_mean.of([cohort[0][1]]))


def test_hc_mean_is_identified_by_its_scans_in_any_order(cohort, hc_mean):
    scans = [scan.context.scan for scan in cohort[0]]
    assert hc_mean.identity.startswith("hc_mean ") and " " not in hc_mean.identity[8:]
    assert make("hc_mean", scans[::-1], healthy_scans).identity == hc_mean.identity
    renamed = [replace(scan, subject=scan.subject * 2) for scan in scans]
    assert make("hc_mean", renamed, healthy_scans).identity == hc_mean.identity
    one_more_subject = [replace(scans[0], subject="T"), *scans[1:]]
    for others in (scans[:2], one_more_subject):
        assert make("hc_mean", others, healthy_scans).identity != hc_mean.identity


def test_hc_mean_is_restored_from_its_files(cohort, hc_mean):
    content = json.loads(json.dumps(hc_mean.healthy.to_json()))
    assert content["identity"] == hc_mean.identity
    restored = HealthyMean.from_json(content, hc_mean.values)
    again = Baseline(restored.identity, restored.mean, restored)
    assert again.identity == hc_mean.identity
    np.testing.assert_allclose(again.of(cohort[0]), hc_mean.of(cohort[0]), atol=1e-6)
    with pytest.raises(ValueError, match="not of these scans"):
        HealthyMean.from_json(content, hc_mean.values + 1)


def test_hc_mean_without_another_subject_is_an_error(cohort):
    scans = [cohort[0][number].context.scan for number in (0, 2)]
    with pytest.raises(UserError, match=r"HC scans of two subjects at least.*found 2 readable.*\(P\)"):
        make("hc_mean", scans, healthy_scans)
    with pytest.raises(UserError, match="no readable HC scan"):
        make("hc_mean", scans[:1], lambda _: iter([[UnreadableScan(scans[0], "broken")]]))


def test_another_session_that_has_changed_is_an_error(tmp_path):
    files = [save_scan(tmp_path / f"{seed}.nii", brain(seed=seed)) for seed in range(3)]
    scans = [scan_of(path, subject) for path, subject in zip(files, "PPQ", strict=True)]
    baseline, first = make("hc_mean", scans, healthy_scans), load(scans[0])
    save_scan(files[1], brain(seed=9))
    with pytest.raises(UserError, match=r"1\.nii: has changed since it was averaged"):
        baseline.of([first])


def test_a_file_is_prepared_as_a_scan(paths, network_inputs):
    baseline = make(str(paths[0]))
    np.testing.assert_array_equal(baseline.values, network_inputs[0])
    assert baseline.identity == f"{paths[0].name} {sha256_of_array(network_inputs[0])}"


def test_an_array_of_the_networks_shape_is_its_input(tmp_path, network_inputs):
    path = save_scan(tmp_path / "mean.npy", network_inputs[0])
    np.testing.assert_array_equal(load_baseline(path, N_SLICES), network_inputs[0])
    # any other array is a volume
    volume = save_scan(tmp_path / "volume.npy", brain(seed=1))
    np.testing.assert_allclose(load_baseline(volume, N_SLICES), network_inputs[0], atol=1e-6)
