"""A scan is read again as the network saw it, and in its own intensities."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mri_saliency.cohort.source_scan import read_scan_image
from mri_saliency.inputs.file_identity import FileIdentity
from mri_saliency.inputs.loading import load_volume
from mri_saliency.inputs.preprocessing import brain_mask, to_network_input, unpad

from ..conftest import AFFINE, brain, save_scan
from ..made_cohort import made_record


@pytest.fixture
def record(tmp_path):
    return record_of(save_scan(tmp_path / "scan.nii", brain(), AFFINE))


def record_of(path):
    return replace(made_record(), source=FileIdentity.of(path))


def test_brain_and_grey_matter_are_on_the_networks_grid(record):
    image = read_scan_image(record)
    network_input = load_volume(Path(record.source.path), 9).network_input
    np.testing.assert_array_equal(image.brain, unpad(brain_mask(network_input)))
    expected = unpad(to_network_input(brain(), 9))
    np.testing.assert_allclose(image.grey_matter, expected, atol=1e-6)


def test_normalised_intensities_are_no_grey_matter(tmp_path):
    voxels = brain()
    normalised = save_scan(tmp_path / "z.nii", (voxels - voxels.mean()) / voxels.std(), AFFINE)
    image = read_scan_image(record_of(normalised))
    assert image.grey_matter is None and image.brain.any()
    interpolated = save_scan(tmp_path / "i.nii", voxels - 0.01, AFFINE)
    assert read_scan_image(record_of(interpolated)).grey_matter is not None


def test_a_scan_that_is_gone_or_has_changed_is_none(record):
    save_scan(Path(record.source.path), brain(seed=1), AFFINE)
    assert read_scan_image(record) is None
    Path(record.source.path).unlink()
    assert read_scan_image(record) is None
