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

    @cached_property
    def mirrored(self) -> "AnalysisSpace":
        """The space of maps that are reflected at x = 0 mm."""
        return AnalysisSpace(self.grid, self.mirror(self.brain), self.smooth_mm)

    def magnitudes(self, values: np.ndarray) -> np.ndarray:
        """Return the logarithm of a map's smoothed magnitude over its median in the brain.

        Magnitudes are nearly log-normal; logarithms are nearly symmetric, as a sign-flip test needs. The
        median, unlike the mean, is not moved by a strong effect in a small part of the brain. Returns float32
        (n_points,), at the points that are `inside`. Raises ZeroDivisionError: the median is 0.
        """
        return self._relative(self._across_slices(values), self, self._kernels[1])

    def on_both_sides(self, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return `magnitudes` of a map, and of its reflection at the points of `mirrored`; raises as they."""
        sums = self._across_slices(values)
        plain, reflected = self._kernels[1], self._reflected_kernel
        return self._relative(sums, self, plain), self._relative(sums, self.mirrored, reflected)

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
        sums = self._across_slices(np.ones(self.brain.shape, np.float32))
        return (self._kernels[1] @ sums @ self._kernels[2].T)[self.inside]

    @cached_property
    def _box(self) -> tuple[slice, ...]:
        """The smallest box around the brain; the whole grid without one."""
        return [*find_objects(self.brain.astype(int)), tuple(map(slice, self.brain.shape))][0]

    def _across_slices(self, values: np.ndarray) -> np.ndarray:
        """Return weighted sums of magnitudes in the brain along slices: (n_slices / 2, height, width)."""
        magnitude = np.abs(values[self._box]).astype(np.float32, copy=False)
        magnitude *= self.brain[self._box]
        return np.tensordot(self._kernels[0], magnitude, axes=1)

    def _relative(self, sums: np.ndarray, points: "AnalysisSpace", across: np.ndarray) -> np.ndarray:
        """Return `magnitudes` at a space's points, from `_across_slices`; `across` is its kernel along x."""
        smooth = (across @ sums @ self._kernels[2].T)[points.inside] / points._weights
        median = np.median(smooth)
        if not median > 0:
            raise ZeroDivisionError("the median magnitude in the brain is 0")
        return np.log(np.maximum(smooth / median, _LEAST_SHARE))

    @cached_property
    def _kernels(self) -> list[np.ndarray]:
        """For each axis the weights of the box's voxels around each point: float32 (n_points, n_voxels)."""
        return [self._kernel(axis, part) for axis, part in enumerate(self._box)]

    @cached_property
    def _reflected_kernel(self) -> np.ndarray:
        """The kernel along x of the reflected grid, for the box's voxels as they are."""
        places = self.mirrored_x[self._box[1]]
        return self._kernel(1, slice(None))[:, places] * (places >= 0)

    def _kernel(self, axis: int, part: slice) -> np.ndarray:
        n, fwhm = self.brain.shape[axis], fwhm_voxels(self.grid, self.smooth_mm)[axis]
        weights = gaussian_weights(n, fwhm) if fwhm else np.eye(n, dtype=np.float32)
        return np.add.reduceat(weights[:, part], np.arange(0, n, BLOCK), axis=0)
