"""A map -> the values by which groups are compared: smoothed in the brain, and relative to its strength."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.ndimage import find_objects

from mri_saliency.inputs.grid import Grid
from mri_saliency.maps.smoothing import fwhm_voxels, gaussian_weights

BLOCK = 2  # edge of the coarse grid's points, in voxels of the map
_LEAST_SHARE = 1e-3  # of the brain's median magnitude: less counts as so much, because 0 has no logarithm


@dataclass(frozen=True, eq=False)
class AnalysisSpace:
    """The points at which maps of one grid are compared."""

    grid: Grid
    brain: np.ndarray  # bool (n_slices, height, width)
    smooth_mm: float  # full width at half maximum of the Gaussian; 0: none

    @cached_property
    def inside(self) -> np.ndarray:
        """Which points of the coarse grid hold a voxel of the brain: bool."""
        blocks = self.brain
        for axis, n in enumerate(self.brain.shape):
            blocks = np.logical_or.reduceat(blocks, np.arange(0, n, BLOCK), axis=axis)
        return blocks

    @cached_property
    def mirrored_x(self) -> np.ndarray:
        """For each x index the nearest one on the other side of x = 0 mm, -1 beyond the grid: (height,).

        Without an affine the sides meet in the middle of the grid.
        """
        n = self.brain.shape[1]
        indices = np.arange(n)
        affine = self.grid.input_affine
        if affine is None:
            return n - 1 - indices
        n_slices, _, n_z = self.brain.shape
        middle = ((n_slices - 1) / 2, 0, (n_z - 1) / 2, 1)  # of the other axes
        origin = float(affine[0] @ middle)  # mm
        mirrored = np.rint(-2 * origin / affine[0, 1] - indices).astype(int)
        return np.where((mirrored >= 0) & (mirrored < n), mirrored, -1)

    def mirror(self, values: np.ndarray) -> np.ndarray:
        """Return a map reflected at x = 0 mm; 0 where the grid has no other side."""
        reflected = values[:, self.mirrored_x]
        reflected[:, self.mirrored_x < 0] = 0
        return reflected

    def mirrored(self) -> "AnalysisSpace":
        """Return the space of maps that are reflected at x = 0 mm."""
        return AnalysisSpace(self.grid, self.mirror(self.brain), self.smooth_mm)

    def magnitudes(self, values: np.ndarray) -> np.ndarray:
        """Return the logarithm of a map's smoothed magnitude over its median in the brain.

        Magnitudes are nearly log-normal; logarithms are nearly symmetric, as a sign-flip test needs. The
        median, unlike the mean, is not moved by a strong effect in a small part of the brain. Returns float32
        (n_points,), at the points that are `inside`. Raises ZeroDivisionError: the median is 0.
        """
        magnitude = np.abs(values[self._box]).astype(np.float32, copy=False)
        magnitude *= self.brain[self._box]
        smooth = self._sum_around(magnitude)[self.inside] / self._weights
        median = np.median(smooth)
        if not median > 0:
            raise ZeroDivisionError("the median magnitude in the brain is 0")
        return np.log(np.maximum(smooth / median, _LEAST_SHARE))

    def to_voxels(self, values: np.ndarray, points: np.ndarray, fill: float) -> np.ndarray:
        """Return a map in which each voxel has its point's value: float32 (n_slices, height, width).

        `points`, bool on the coarse grid, says whose `values` are given; elsewhere the map is `fill`.
        """
        coarse = np.full(self.inside.shape, fill, np.float32)
        coarse[points] = values
        return coarse[np.ix_(*(np.arange(n) // BLOCK for n in self.brain.shape))]

    @cached_property
    def _weights(self) -> np.ndarray:
        """The sum of weights over the brain, at each point inside; above 0."""
        return self._sum_around(self.brain[self._box].astype(np.float32))[self.inside]

    @cached_property
    def _box(self) -> tuple[slice, ...]:
        """The smallest box around the brain; the whole grid without one."""
        return [*find_objects(self.brain.astype(int)), tuple(map(slice, self.brain.shape))][0]

    def _sum_around(self, values: np.ndarray) -> np.ndarray:
        """Return weighted sums around the coarse grid's points; `values` fill the box."""
        first, second, third = self._kernels
        sums = np.tensordot(first, values, axes=1)  # (n_slices / 2, height, width)
        return second @ sums @ third.T

    @cached_property
    def _kernels(self) -> list[np.ndarray]:
        """For each axis the weights of the box's voxels around each point: float32 (n_points, n_voxels)."""
        sizes = zip(self.brain.shape, fwhm_voxels(self.grid, self.smooth_mm), strict=True)
        weights = (gaussian_weights(n, fwhm) if fwhm else np.eye(n, dtype=np.float32) for n, fwhm in sizes)
        return [
            np.add.reduceat(of_axis[:, part], np.arange(0, len(of_axis), BLOCK), axis=0)
            for of_axis, part in zip(weights, self._box, strict=True)
        ]
