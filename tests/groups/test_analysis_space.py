"""What groups are compared by: smoothed in the brain, relative to the median, mirrored about x = 0 mm."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter1d

from mri_saliency.groups.analysis_space import BLOCK, AnalysisSpace
from mri_saliency.inputs.grid import Grid

from ..conftest import AFFINE, FLIPPED, REAL_SHAPE, SYNTHETIC_SHAPE

GRID = Grid(REAL_SHAPE, AFFINE, 4, 10, 12)


@pytest.fixture
def brain():
    """An ellipsoid that touches no edge but the first and last slice."""
    axes = np.ogrid[-1:1:12j, -1:1:112j, -1:1:112j]
    return axes[1] ** 2 + (axes[2] / 0.8) ** 2 + 0 * axes[0] < 0.6


@pytest.fixture
def values():
    return np.random.default_rng(0).standard_normal((12, 112, 112)).astype(np.float32)


def block_means(array):
    n_slices, height, width = array.shape
    blocks = array.reshape(n_slices // BLOCK, BLOCK, height // BLOCK, BLOCK, width // BLOCK, BLOCK)
    return blocks.mean(axis=(1, 3, 5))


def smoothed(array, sizes_mm, fwhm_mm):
    for axis, size in enumerate(sizes_mm):
        sigma = fwhm_mm / 2.354820045 / size
        if sigma:
            array = gaussian_filter1d(array.astype(float), sigma, axis, mode="constant", truncate=12)
    return array


@pytest.mark.parametrize("smooth_mm", [0.0, 6.0])
def test_magnitudes_are_averaged_over_the_brain_alone_and_divided_by_their_median(brain, values, smooth_mm):
    space = AnalysisSpace(GRID, brain, smooth_mm)
    sizes = (1.5, 1.5 * 113 / 112, 1.5 * 113 / 112)
    sums, weights = (
        block_means(smoothed(array, sizes, smooth_mm))
        for array in (np.abs(values) * brain, brain.astype(float))
    )
    inside = block_means(brain.astype(float)) > 0
    np.testing.assert_array_equal(space.inside, inside)
    magnitudes = sums[inside] / weights[inside]
    expected = np.log(magnitudes / np.median(magnitudes))
    np.testing.assert_allclose(space.magnitudes(values), expected, atol=1e-4)


def test_strength_does_not_count_and_a_strong_effect_stays_where_it_is(brain, values):
    space = AnalysisSpace(GRID, brain, smooth_mm=6.0)
    plain = space.magnitudes(values)
    np.testing.assert_allclose(space.magnitudes(-7 * values), plain, atol=1e-5)
    strong = values.copy()
    strong[4:8, 20:30, 50:60] *= 1000
    change = space.magnitudes(strong) - plain
    far = np.ones(brain.shape, bool)
    far[:, 5:45, 35:75] = False
    far = block_means(far.astype(float))[space.inside] == 1
    assert np.abs(change[far]).max() < 0.02 and change.max() > 5


def test_a_map_that_is_zero_in_half_of_the_brain_has_no_scale(brain, values):
    space = AnalysisSpace(GRID, brain, smooth_mm=0)
    values[:, :60] = 0
    with pytest.raises(ZeroDivisionError):
        space.magnitudes(values)
    values[:, 20:60] = 1
    assert space.magnitudes(values).min() == pytest.approx(np.log(1e-3))  # zeros count as a thousandth


@pytest.mark.parametrize("affine", [AFFINE, FLIPPED, None])
def test_the_mirror_is_at_zero_mm(brain, values, affine):
    grid = Grid(SYNTHETIC_SHAPE if affine is None else REAL_SHAPE, affine, 4, 10, 12)
    np.testing.assert_array_equal(AnalysisSpace(grid, brain, 0).mirror(values), values[:, ::-1])


def test_a_grid_that_is_not_centred_is_mirrored_where_it_has_both_sides(brain, values):
    moved = AFFINE.copy()
    moved[0, 3] += 10 * 1.5 * 113 / 112  # x = 0 mm lies ten columns further left
    space = AnalysisSpace(Grid(REAL_SHAPE, moved, 4, 10, 12), brain, 0)
    reflected = space.mirror(values)
    np.testing.assert_array_equal(reflected[:, :92], values[:, 91::-1])
    assert not reflected[:, 92:].any() and not space.mirrored.brain[:, 92:].any()


@pytest.mark.parametrize("moved_mm", [0, 15, -7])
def test_a_map_is_measured_on_both_sides_as_it_and_its_reflection_are(brain, values, moved_mm):
    moved = AFFINE.copy()
    moved[0, 3] += moved_mm
    space = AnalysisSpace(Grid(REAL_SHAPE, moved, 4, 10, 12), brain & (np.arange(112) > 40)[:, None], 4)
    plain, reflected = space.on_both_sides(values)
    np.testing.assert_array_equal(plain, space.magnitudes(values))
    expected = space.mirrored.magnitudes(space.mirror(values))
    np.testing.assert_allclose(reflected, expected, atol=1e-5)


def test_points_become_voxels_again(brain, values):
    space = AnalysisSpace(GRID, brain, smooth_mm=0)
    numbers = np.arange(space.inside.sum())
    voxels = space.to_voxels(numbers, space.inside, fill=-1)
    np.testing.assert_array_equal(voxels[::BLOCK, ::BLOCK, ::BLOCK][space.inside], numbers)
    assert (voxels[~np.kron(space.inside, np.ones((2, 2, 2), bool))] == -1).all()
