"""Maps are smoothed by the width in mm, on any grid."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from mri_saliency.inputs.grid import Grid
from mri_saliency.maps.smoothing import fwhm_voxels, smoothed

from ..conftest import AFFINE

GRIDS = {
    "1.5 mm": Grid((113, 137, 113), AFFINE, 4, 10, 12),
    "unequal steps": Grid((113, 137, 113), np.diag([-1.5, 2.0, 1.0, 1]), 4, 10, 12),
    "no affine": Grid((112, 136, 112), None, 0, 9, 12),
}


@pytest.mark.parametrize("grid", GRIDS.values(), ids=GRIDS)
def test_smoothing_equals_scipys_filter(grid):
    values = np.random.default_rng(0).standard_normal((12, 112, 112)).astype(np.float32)
    steps = (1.5, 1.5, 1.5)
    if grid.affine is not None:
        scale = (1, grid.shape[0] / 112, grid.shape[2] / 112)  # the map's pixels are a little larger
        steps = np.abs(np.diag(grid.matrix))[[1, 0, 2]] * scale
    sigma = [6.0 / np.sqrt(8 * np.log(2)) / step for step in steps]
    expected = gaussian_filter(values.astype(float), sigma, mode="constant", truncate=8)
    found = smoothed(values, grid, 6.0)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-4 * np.abs(expected).max())
    part = smoothed(values, grid, 6.0, slices=[7, 2])
    np.testing.assert_allclose(part, found[[7, 2]], atol=1e-6)
    np.testing.assert_allclose(smoothed(values, grid, 6.0, step=2), found[::2, ::2, ::2], atol=1e-6)
    np.testing.assert_allclose(fwhm_voxels(grid, 6.0), 6.0 / np.array(steps))


def test_a_width_of_0_changes_nothing():
    values = np.random.default_rng(0).standard_normal((3, 112, 112)).astype(np.float32)
    np.testing.assert_array_equal(smoothed(values, GRIDS["1.5 mm"], 0.0), values)
