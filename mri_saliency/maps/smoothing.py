"""Smoothing of a map by a Gaussian whose width is given in mm."""

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from mri_saliency.inputs.grid import TRAINED_VOXEL_SIZE_MM, Grid

_FWHM_PER_SIGMA = np.sqrt(8 * np.log(2))
_REACH = 6  # standard deviations; beyond, a Gaussian counts as 0


def smoothed(
    values: np.ndarray, grid: Grid, fwhm_mm: float, slices: Sequence[int] | None = None, step: int = 1
) -> np.ndarray:
    """Return a map smoothed by a Gaussian; beyond its edges it counts as 0.

    `values` is float32 (n_slices, 112, 112); `fwhm_mm` the full width at half maximum, 0: none. Of `slices`,
    by default every `step`-th, every `step`-th pixel is returned: float32 (n, 112 / step, 112 / step).
    """
    slices = range(0, len(values), step) if slices is None else slices
    if not fwhm_mm:
        return values[list(slices), ::step, ::step]
    sizes = zip(values.shape, fwhm_voxels(grid, fwhm_mm), strict=True)
    # products with matrices: a third of the time of a filter's, which sums over each voxel's neighbours
    first, second, third = (gaussian_weights(n, fwhm) for n, fwhm in sizes)
    sums = first[list(slices)] @ values.reshape(len(values), -1)
    return second[::step] @ sums.reshape(-1, *values.shape[1:]) @ third[::step].T


def fwhm_voxels(grid: Grid, fwhm_mm: float) -> np.ndarray:
    """Return a width in voxels of a map without pad, for each axis (slice, x, z): float64 (3,)."""
    affine = grid.input_affine
    if affine is None:  # synthetic volumes have the training data's voxels
        return np.full(3, fwhm_mm / TRAINED_VOXEL_SIZE_MM)
    return fwhm_mm / np.linalg.norm(affine[:3, :3], axis=0)


@lru_cache(maxsize=32)
def gaussian_weights(n: int, fwhm: float) -> np.ndarray:
    """Return the weights of n voxels around each of them: float32 (n, n); a whole Gaussian's sum to 1."""
    sigma = fwhm / _FWHM_PER_SIGMA
    reach = max(n, math.ceil(_REACH * sigma))
    gaussian = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    gaussian[gaussian < np.exp(-0.5 * _REACH**2)] = 0  # or products were denormal, which is slow
    distances = np.arange(n)[:, None] - np.arange(n)
    return (gaussian / gaussian.sum())[distances + reach].astype(np.float32)
