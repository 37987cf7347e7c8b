"""A map as a NIfTI image on the scan's voxel grid."""

from __future__ import annotations

import nibabel as nib
import numpy as np

from mri_saliency.inputs.grid import RESIZED, Grid
from mri_saliency.inputs.preprocessing import resize

_ALIGNED = 1  # NIfTI's space code where the scan gives none
_DESCRIPTION_BYTES = 79  # of the header's field, less its closing zero


def to_scan_grid(values: np.ndarray, grid: Grid, *, nearest: bool = False, fill: float = 0.0) -> np.ndarray:
    """Resample a map to the scan's voxels.

    Parameters
    ----------
    values : ndarray
        (n_slices, 112, 112): a map without pad.
    grid : Grid
        The scan's grid.
    nearest : bool
        Copy the nearest pixel's value, for values that must not be mixed; else interpolate
        bilinearly within a coronal slice.
    fill : float
        Value of the slices that the network did not see.

    Returns
    -------
    ndarray
        float32, the scan's shape, sign kept. A sum over voxels differs from the array's by the ratio
        of the pixel counts.
    """
    nx, _, nz = grid.shape
    volume = np.full(grid.shape, fill, np.float32, order="F")  # as a NIfTI file is
    if nearest:
        rows, columns = (((np.arange(n) + 0.5) * RESIZED / n).astype(int) for n in (nx, nz))
        resized = values[:, rows[:, None], columns]
    else:
        resized = resize(values.astype(np.float32), nx, nz)  # (n_slices, nx, nz)
    volume[:, grid.first_slice : grid.first_slice + grid.n_slices, :] = resized.transpose(1, 0, 2)
    return volume


def to_nifti(
    values: np.ndarray, grid: Grid, description: str, *, nearest: bool = False, fill: float = 0.0
) -> nib.Nifti1Image:
    """Make a float32 NIfTI image of a map (n_slices, 112, 112) on the scan's grid and affine.

    A scan without an affine gets the identity (voxel indices), and the header's description begins
    with "index grid". `nearest` and `fill` are those of `to_scan_grid`.
    """
    affine, code = grid.matrix, grid.space_code or _ALIGNED
    if affine is None:
        affine, code = np.eye(4), _ALIGNED
        description = f"index grid (scan has no affine), {description}"
    image = nib.Nifti1Image(to_scan_grid(values, grid, nearest=nearest, fill=fill), affine)
    image.set_sform(affine, code)
    image.set_qform(affine, code)
    image.header.set_xyzt_units("mm")
    image.header["descrip"] = description[:_DESCRIPTION_BYTES].encode("ascii", "replace")
    return image
