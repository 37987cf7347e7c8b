"""Where a scan's voxels lie in mm, and which coronal slices of it the network takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Literal

import numpy as np
from nibabel.affines import apply_affine

from mri_saliency.wording import with_minus

RESIZED = 112  # in-plane size after resizing
PAD = 8  # zeros on every side of it
INPUT_SIZE = RESIZED + 2 * PAD  # 128
FIRST_SLICE = 10  # first coronal slice of a real scan that the laboratory's networks take

TRAINED_SHAPES = ((113, 137, 113), (112, 136, 112))  # CAT12's grid; the synthetic volumes'
TRAINED_VOXEL_SIZE_MM = 1.5
_MAX_OFF_DIAGONAL_COSINE = 0.01  # between a voxel axis and another axis in mm: 0.6 degrees
_MAX_NAMED_SCANS = 3

Affine = tuple[tuple[float, ...], ...]  # four rows of four


@dataclass(frozen=True)
class Grid:
    """The voxels of a scan, and the coronal slices among them that the network takes.

    Grids are hashable, and equal if all their values are.

    Attributes
    ----------
    shape : tuple of int
        Number of voxels along the three axes: left-right, posterior-anterior, inferior-superior.
    affine : tuple of four tuples of four floats, or None
        Voxel indices to mm (x to the right, y forward, z up); None if the file has no affine. Any
        array-like of shape (4, 4) is accepted.
    space_code : int
        NIfTI's code of the space in mm (4: MNI152); 0 if unknown.
    first_slice : int
        Index of the scan's coronal slice that is slice 0 of the network's input.
    n_slices : int
        Number of coronal slices that the network takes.
    """

    shape: tuple[int, int, int]
    affine: Affine | None
    space_code: int
    first_slice: int
    n_slices: int

    def __post_init__(self) -> None:
        """Convert the shape and the affine to tuples, which can be hashed."""
        object.__setattr__(self, "shape", tuple(int(n) for n in self.shape))
        if self.affine is not None:
            rows = np.asarray(self.affine, np.float64)
            if rows.shape != (4, 4):
                raise ValueError(f"expected an affine of shape (4, 4), found {rows.shape}")
            object.__setattr__(self, "affine", tuple(map(tuple, rows.tolist())))

    @property
    def matrix(self) -> np.ndarray | None:
        """The affine as an array: float64 (4, 4); None without affine."""
        return None if self.affine is None else np.array(self.affine)

    @property
    def extent(self) -> tuple[float, float, float, float]:
        """Edges of an upright coronal slice (left, right, bottom, top): mm, or voxels without affine."""
        nx, ny, nz = self.shape
        if self.affine is None:
            return (0.0, float(nx), 0.0, float(nz))
        y = (ny - 1) / 2
        to_x_mm, _, to_z_mm, _ = self.matrix
        x_mm = sorted(float(to_x_mm @ (x, y, (nz - 1) / 2, 1)) for x in (-0.5, nx - 0.5))
        z_mm = sorted(float(to_z_mm @ ((nx - 1) / 2, y, z, 1)) for z in (-0.5, nz - 0.5))
        return (*x_mm, *z_mm)

    @property
    def input_affine(self) -> np.ndarray | None:
        """Indices (slice, x, z) of a network input without pad to mm: float64 (4, 4); None without affine."""
        if self.affine is None:
            return None
        nx, _, nz = self.shape
        to_scan = np.zeros((4, 4))
        to_scan[0, [1, 3]] = nx / RESIZED, (nx / RESIZED - 1) / 2  # pixel centres, as in resizing
        to_scan[1, [0, 3]] = 1, self.first_slice
        to_scan[2, [2, 3]] = nz / RESIZED, (nz / RESIZED - 1) / 2
        to_scan[3, 3] = 1
        return self.matrix @ to_scan

    def slice_y_mm(self, index: int) -> float | None:
        """Return the y coordinate in mm of the centre of the network's slice; None without affine."""
        if self.affine is None:
            return None
        nx, _, nz = self.shape
        centre = ((nx - 1) / 2, self.first_slice + index, (nz - 1) / 2, 1.0)
        return float(self.matrix[1] @ centre)

    def slice_titles(self, indices: list[int]) -> list[str]:
        """Return titles of slices of the network's input, such as "slice 40, y = −45.0 mm"."""
        return [
            f"slice {index}"
            if self.affine is None
            else with_minus(f"slice {index}, y = {self.slice_y_mm(index):.1f} mm")
            for index in indices
        ]

    def to_json(self) -> dict:
        """Return a dict that JSON can hold; `from_json` reads it."""
        affine = None if self.affine is None else [list(row) for row in self.affine]
        return asdict(self) | {"shape": list(self.shape), "affine": affine}

    @classmethod
    def from_json(cls, record: dict) -> Grid:
        """Return the grid that `to_json` described."""
        return cls(**record)


def difference_from_training_grid(grid: Grid) -> str | None:
    """Describe how a scan's grid differs from those of the training data; None if it does not.

    A network takes voxel indices, not mm, so on another grid its slices are another part of the head.
    """
    if grid.affine is not None:
        steps = grid.matrix[:3, :3]
        voxel_size_mm = np.linalg.norm(steps, axis=0)
        if np.abs(voxel_size_mm / TRAINED_VOXEL_SIZE_MM - 1).max() > 0.01:
            found = " x ".join(f"{size:.3g}" for size in voxel_size_mm)
            return f"voxels of {found} mm, not {TRAINED_VOXEL_SIZE_MM} mm"
        cosines = np.abs(steps / voxel_size_mm)
        largest = cosines[~np.eye(3, dtype=bool)].max()
        if largest > _MAX_OFF_DIAGONAL_COSINE:
            degrees = np.degrees(np.arcsin(min(largest, 1)))
            return f"its voxel axes are rotated by {degrees:.1f} degrees against the axes in mm"
        if (np.diag(steps)[1:] < 0).any():
            return "its y or z axis runs backward, toward posterior or inferior"
    if grid.shape not in TRAINED_SHAPES:
        return f"shape {grid.shape}, not {' or '.join(map(str, TRAINED_SHAPES))}"
    return None


def mixed_directions(grids: Mapping[str, Grid]) -> tuple[str | None, set[str]]:
    """Find the scans whose x axis runs the other way than that of most scans.

    Parameters
    ----------
    grids : mapping
        subject_id -> grid. Those without affine do not count.

    Returns
    -------
    warning : str or None
        None if all x axes run one way.
    fewer : set of str
        The subject_ids of the scans on the smaller side; of equal sides, those that run to the left.
    """
    to_right = [name for name, grid in grids.items() if grid.affine is not None and grid.affine[0][0] > 0]
    to_left = [name for name, grid in grids.items() if grid.affine is not None and grid.affine[0][0] <= 0]
    if not to_right or not to_left:
        return None, set()
    fewer = min(to_left, to_right, key=len)
    named = ", ".join(fewer[:_MAX_NAMED_SCANS])
    if len(fewer) > _MAX_NAMED_SCANS:
        named += f" and {len(fewer) - _MAX_NAMED_SCANS} more"
    warning = (
        f"the x axis runs to the right in {len(to_right)} of the scans and to the left in {len(to_left)}. "
        f"The network sees voxels in the file's order, so left and right are exchanged for it in {named}, "
        "and these maps cannot be compared side by side with the others'. Bring all files to the "
        "direction of the training data."
    )
    return warning, set(fewer)


def orientation_to(grid: Grid, common: Grid) -> Literal["same", "mirrored"] | None:
    """Compare the places of the pixels of two maps without pad, one on `grid`, one on `common`.

    Returns
    -------
    str or None
        "same": pixels of equal indices are at the same place, to within half a voxel; "mirrored":
        they are once the x axis of one is reversed; None: neither. A synthetic volume, which has no
        affine, is judged by its shape alone.
    """
    if grid.affine is None or common.affine is None:
        alike = grid.shape == common.shape and grid.first_slice == common.first_slice
        is_synthetic = grid.affine is None and grid.shape == TRAINED_SHAPES[1]
        return "same" if alike or is_synthetic else None
    corners = np.array(
        [[k, x, z] for k in (0, grid.n_slices) for x in (0, RESIZED - 1) for z in (0, RESIZED - 1)]
    )
    common_mm = apply_affine(common.input_affine, corners)
    mirrored = corners * [1, -1, 1] + [0, RESIZED - 1, 0]
    for orientation, indices in (("same", corners), ("mirrored", mirrored)):
        distance_mm = np.abs(apply_affine(grid.input_affine, indices) - common_mm).max()
        if distance_mm <= TRAINED_VOXEL_SIZE_MM / 2:
            return orientation
    return None


def upright(slices: np.ndarray, grid: Grid) -> np.ndarray:
    """Return unpadded coronal slices as they are displayed: superior up, the patient's left on the left.

    Parameters
    ----------
    slices : ndarray
        (n, x, z), any dtype, in the scan's voxel order.
    grid : Grid
        Without an affine, indices are taken to rise to the right and upward.

    Returns
    -------
    ndarray
        (n, z, x), a view; row 0 is the top.
    """
    x_rises, z_rises = (True, True) if grid.affine is None else np.diag(grid.matrix)[[0, 2]] > 0
    return slices.transpose(0, 2, 1)[:, :: -1 if z_rises else 1, :: 1 if x_rises else -1]
