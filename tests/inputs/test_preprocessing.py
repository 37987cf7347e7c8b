"""A volume becomes exactly the training code's input; its brain and its air are found on that input."""

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import transforms

from mri_saliency.inputs import preprocessing

from ..conftest import brain


def reference_input(voxels, first_slice, n_slices):
    """Prepare slice by slice with PIL and torchvision, as the training code did."""
    steps = transforms.Compose(
        [
            transforms.Resize((112, 112), transforms.InterpolationMode.BILINEAR),
            transforms.ToTensor(),
            transforms.Pad(8),
        ]
    )
    slices = voxels[:, first_slice : first_slice + n_slices].astype(np.float32).transpose(1, 0, 2)
    return torch.cat([steps(Image.fromarray(np.ascontiguousarray(array))) for array in slices]).numpy()


@pytest.mark.parametrize("shape", [(113, 137, 113), (91, 130, 100), (160, 126, 121)])
def test_an_input_agrees_with_pil_and_torchvision(shape):
    """Also where slices are enlarged, and where they are shrunk with antialiasing."""
    voxels = np.random.default_rng(0).standard_normal(shape)
    found = preprocessing.to_network_input(voxels, 115, 10)
    assert found.dtype == np.float32 and found.shape == (115, 128, 128)
    np.testing.assert_allclose(found, reference_input(voxels, 10, 115), atol=1e-4)


def test_pad_is_eight_zeros_on_every_side():
    padded = preprocessing.pad(np.ones((2, 112, 112)))
    assert padded.shape == (2, 128, 128) and padded.sum() == 2 * 112 * 112
    assert preprocessing.unpad(padded).shape == (2, 112, 112) and preprocessing.unpad(padded).all()


def test_air_and_brain():
    voxels = brain()
    found = preprocessing.to_network_input(preprocessing.z_scored(voxels)[0], 115)
    air = preprocessing.air_input(found)
    assert air.dtype == np.float32 and air.shape == found.shape
    np.testing.assert_allclose(preprocessing.unpad(air), -voxels.mean() / voxels.std(), rtol=1e-4)
    assert not air[:, :8].any() and not air[:, :, -8:].any()
    mask = preprocessing.brain_mask(found)
    inside = preprocessing.to_network_input((voxels > 0).astype(float), 115) > 0.5
    assert mask.dtype == bool and mask.shape == found.shape
    assert (mask == inside).mean() > 0.99


def test_brain_includes_what_tissue_surrounds_and_not_the_air_outside():
    slices = np.zeros((9, 112, 112), np.float32)
    slices[:, 30:80, 40:90] = 1  # grey matter
    slices[:, 45:60, 55:70] = 0  # a ventricle
    mask = preprocessing.unpad(preprocessing.brain_mask(preprocessing.pad(slices)))
    assert mask[:, 30:80, 40:90].all() and mask.sum() == 9 * 50 * 50


def test_a_missing_voxel_is_inside_if_tissue_surrounds_it_along_all_axes():
    voxels = np.zeros((20, 20, 20))
    voxels[5:15, 5:15, 5:15] = 1
    missing = np.zeros(voxels.shape, bool)
    ventricle, surface, notch = (10, 10, 10), (4, 10, 10), (10, 10, 14)
    for voxel in (ventricle, surface, notch, (0, 0, 0)):
        missing[voxel], voxels[voxel] = True, 0
    inside = preprocessing.missing_inside_brain(voxels, missing)
    assert np.argwhere(inside).tolist() == [list(ventricle)]  # nothing is above the notch
    assert preprocessing.missing_inside_brain(np.zeros_like(voxels), missing).sum() == 4


def test_window_runs_from_the_darkest_pixel_to_nearly_the_brightest():
    slices = np.random.default_rng(0).permutation(115 * 112 * 112).reshape(115, 112, 112).astype(np.float32)
    black, white = preprocessing.intensity_window(slices)
    sample = slices[::2, ::2, ::2]
    assert black == sample.min()
    assert white == pytest.approx(np.percentile(sample, 99.8), rel=1e-4)
