"""Baselines as --baseline asks for them."""

import hashlib
from functools import partial

import numpy as np
import pytest

from mri_saliency.attribution.baselines import load_baseline, make_baseline
from mri_saliency.errors import UserError
from mri_saliency.inputs.file_identity import sha256_of_array, sha256_of_file
from mri_saliency.inputs.grid import FIRST_SLICE
from mri_saliency.inputs.loading import UnreadableScan, load_scan, load_volume
from mri_saliency.inputs.preprocessing import air_input
from mri_saliency.inputs.scan_table import Scan

from ..conftest import N_SLICES, brain, save_scan


def not_called(_):
    raise AssertionError("scans are loaded for hc_mean alone")


def make(name, healthy=(), load=not_called):
    return make_baseline(name, healthy, load, n_slices=N_SLICES, first_slice=FIRST_SLICE)


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scans")
    return [save_scan(folder / f"sub-{seed}_T1w.nii", brain(seed=seed)) for seed in (1, 2)]


@pytest.fixture(scope="module")
def network_inputs(paths):
    return np.stack([load_volume(path, N_SLICES).network_input for path in paths])


def scan_of(path):
    return Scan(subject_id=path.name, path=path, label=0, diagnosis="HC", sample_idx=0)


def healthy_scans(paths):
    """Yield an unreadable scan and the scans at `paths`, in groups of two."""
    load = partial(load_scan, n_slices=N_SLICES, first_slice=FIRST_SLICE, key_slices=(4,))
    unreadable = UnreadableScan(scan_of(paths[0].with_name("gone.nii")), "gone.nii: no such file")
    scans = [unreadable, *(load(scan_of(path)) for path in paths)]
    for start in range(0, len(scans), 2):
        yield scans[start : start + 2]


def test_zero_is_shared_by_all_scans(network_inputs):
    baseline = make("zero")
    assert baseline.identity == "zero"
    values = baseline.of(network_inputs)
    assert values.shape == (1, N_SLICES, 128, 128) and values.dtype == np.float32
    assert not values.any()


def test_background_is_each_scans_air(network_inputs):
    baseline = make("background")
    assert (baseline.identity, baseline.values) == ("background", None)
    values = baseline.of(network_inputs)
    assert values.shape == network_inputs.shape and values.dtype == np.float32
    for found, network_input in zip(values, network_inputs, strict=True):
        np.testing.assert_array_equal(found, air_input(network_input))


def test_hc_mean_averages_the_readable_scans(paths, network_inputs, capsys):
    baseline = make("hc_mean", paths, healthy_scans)
    printed = capsys.readouterr()
    assert "left out of the baseline: gone.nii: no such file" in printed.err
    assert printed.out == "averaging 2 HC scans for the baseline\n"
    np.testing.assert_allclose(baseline.values, network_inputs.mean(0), atol=1e-6)
    assert baseline.values.dtype == np.float32
    np.testing.assert_array_equal(baseline.of(network_inputs), baseline.values[None])
    hashes = "".join(sorted(sha256_of_file(path) for path in paths))
    assert baseline.identity == f"hc_mean {hashlib.sha256(hashes.encode()).hexdigest()}"


def test_hc_mean_is_identified_by_its_scans_in_any_order(paths):
    turned = make("hc_mean", paths[::-1], healthy_scans)
    assert turned.identity == make("hc_mean", paths, healthy_scans).identity
    assert turned.identity != make("hc_mean", paths[:1], healthy_scans).identity


def test_hc_mean_without_a_readable_scan_is_an_error(paths):
    with pytest.raises(UserError, match="no readable HC scan"):
        make("hc_mean", paths, lambda _: iter([[UnreadableScan(scan_of(paths[0]), "broken")]]))


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


def test_an_unreadable_file_is_an_error(tmp_path):
    path = tmp_path / "broken.npy"
    path.write_bytes(b"no array")
    with pytest.raises(UserError, match="cannot be read"):
        make(str(path))
