"""Where a scan's voxels lie in mm, and which coronal slices of it the network takes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from nibabel.affines import apply_affine

from mri_saliency.wording import first_of, with_minus

RESIZED = 112  # in-plane size after resizing
PAD = 8  # zeros on every side of it
INPUT_SIZE = RESIZED + 2 * PAD  # 128
FIRST_SLICE = 10  # first coronal slice of a real scan that the laboratory's networks take

TRAINED_SHAPES = ((113, 137, 113), (112, 136, 112))  # CAT12's grid; the synthetic volumes'
TRAINED_VOXEL_SIZE_MM = 1.5
_MAX_OFF_DIAGONAL_COSINE = 0.01  # between a voxel axis and another axis in mm: 0.6 degrees

Affine = tuple[tuple[float, ...], ...]  # four rows of four


@dataclass(frozen=True)
class Grid:
    """The voxels of a scan, and the coronal slices among them that the network takes. It can be hashed."""

    shape: tuple[int, int, int]  # left-right, posterior-anterior, inferior-superior
    affine: Affine | None  # voxel indices to mm (x to the right, y forward, z up); None if the file has none
    space_code: int  # NIfTI's code of the space in mm (4: MNI152); 0 if unknown
    first_slice: int  # index of the coronal slice that is slice 0 of the network's input
    n_slices: int

    def __post_init__(self) -> None:
        """Convert arrays and lists to tuples, which can be hashed."""
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
        (nx, ny, nz), matrix = self.shape, self.matrix
        if matrix is None:
            return (0.0, float(nx), 0.0, float(nz))
        y = (ny - 1) / 2
        left, right = sorted(float(matrix[0] @ (x, y, (nz - 1) / 2, 1)) for x in (-0.5, nx - 0.5))
        bottom, top = sorted(float(matrix[2] @ ((nx - 1) / 2, y, z, 1)) for z in (-0.5, nz - 0.5))
        return left, right, bottom, top

    @property
    def input_affine(self) -> np.ndarray | None:
        """Indices (slice, x, z) of a network input without pad to mm: float64 (4, 4); None without affine."""
        (nx, _, nz), matrix = self.shape, self.matrix
        if matrix is None:
            return None
        to_scan = np.zeros((4, 4))
        to_scan[0, [1, 3]] = nx / RESIZED, (nx / RESIZED - 1) / 2  # pixel centres, as in resizing
        to_scan[1, [0, 3]] = 1, self.first_slice
        to_scan[2, [2, 3]] = nz / RESIZED, (nz / RESIZED - 1) / 2
        to_scan[3, 3] = 1
        return matrix @ to_scan

    def slice_y_mm(self, index: int) -> float | None:
        """Return the y coordinate in mm of the centre of the network's slice; None without affine."""
        (nx, _, nz), matrix = self.shape, self.matrix
        if matrix is None:
            return None
        return float(matrix[1] @ ((nx - 1) / 2, self.first_slice + index, (nz - 1) / 2, 1.0))

    def slice_title(self, index: int) -> str:
        """Return the title of a slice of the network's input, such as "slice 40, y = −45.0 mm"."""
        y_mm = self.slice_y_mm(index)
        return f"slice {index}" if y_mm is None else with_minus(f"slice {index}, y = {y_mm:.1f} mm")

    def slice_place(self, index: int) -> str:
        """Return where a slice of the network's input lies, such as "y = −21 mm"; else its index."""
        y_mm = self.slice_y_mm(index)
        return f"slice {index}" if y_mm is None else with_minus(f"y = {y_mm:.0f} mm")


def difference_from_training_grid(grid: Grid) -> str | None:
    """Describe how a scan's grid differs from those of the training data; None if it does not.

    A network takes voxel indices, not mm, so on another grid its slices are another part of the head.
    """
    if (matrix := grid.matrix) is not None:
        steps = matrix[:3, :3]
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
    """Find the scans whose x axis runs the other way than that of most; `grids`: subject_id -> grid.

    Return a warning, None if all x axes run one way, and the names of the scans on the smaller side; of
    equal sides, those that run to the left. Grids without affine do not count.
    """
    x_steps = {name: grid.affine[0][0] for name, grid in grids.items() if grid.affine is not None}
    to_right = [name for name, step in x_steps.items() if step > 0]
    to_left = [name for name, step in x_steps.items() if step <= 0]
    if not to_right or not to_left:
        return None, set()
    fewer = min(to_left, to_right, key=len)
    warning = (
        f"the x axis runs to the right in {len(to_right)} of the scans and to the left in {len(to_left)}. "
        "The network sees voxels in the file's order, so left and right are exchanged for it in "
        f"{first_of(fewer, 3)}, and these maps cannot be compared side by side with the others'. Bring all "
        "files to the direction of the training data."
    )
    return warning, set(fewer)


def orientation_to(grid: Grid, common: Grid) -> Literal["same", "mirrored"] | None:
    """Compare the places of the pixels of two maps without pad, one on `grid`, one on `common`.

    "same": pixels of equal indices are at the same place, to within half a voxel; "mirrored": they are
    once the x axis of one is reversed; None: neither. A synthetic volume, which has no affine, is judged
    by its shape alone.
    """
    affine, common_affine = grid.input_affine, common.input_affine
    if affine is None or common_affine is None:
        alike = grid.shape == common.shape and grid.first_slice == common.first_slice
        is_synthetic = affine is None and grid.shape == TRAINED_SHAPES[1]
        return "same" if alike or is_synthetic else None
    corners = np.array(
        [[k, x, z] for k in (0, grid.n_slices) for x in (0, RESIZED - 1) for z in (0, RESIZED - 1)]
    )
    mirrored = corners * [1, -1, 1] + [0, RESIZED - 1, 0]
    same_mm, mirrored_mm = (
        np.abs(apply_affine(affine, indices) - apply_affine(common_affine, corners)).max()
        for indices in (corners, mirrored)
    )
    if same_mm <= TRAINED_VOXEL_SIZE_MM / 2:
        return "same"
    return "mirrored" if mirrored_mm <= TRAINED_VOXEL_SIZE_MM / 2 else None


def upright(slices: np.ndarray, grid: Grid) -> np.ndarray:
    """Return unpadded coronal slices as they are displayed: superior up, the patient's left on the left.

    (n, x, z), in the scan's voxel order -> (n, z, x), a view whose row 0 is the top. Without an affine,
    indices are taken to rise to the right and upward.
    """
    x_rises, z_rises = (True, True) if grid.affine is None else (grid.affine[i][i] > 0 for i in (0, 2))
    return slices.transpose(0, 2, 1)[:, :: -1 if z_rises else 1, :: 1 if x_rises else -1]
