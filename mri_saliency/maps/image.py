"""A map as a NIfTI image on the scan's voxel grid."""

import math
from dataclasses import dataclass
from functools import lru_cache

import nibabel as nib
import numpy as np

from mri_saliency.errors import UserError
from mri_saliency.inputs.grid import INPUT_SIZE, RESIZED, Grid
from mri_saliency.inputs.preprocessing import unpad
from mri_saliency.maps.colours import colour_scale
from mri_saliency.methods import find_method

_ALIGNED = 1  # NIfTI's space code where the scan gives an affine, but no space
_DESCRIPTION_BYTES = 79  # of the header's field, less its closing zero
_NAME_BYTES = 15


@dataclass(frozen=True)
class Meaning:
    """What an image's values are: how they are resampled, and what the header states of them."""

    intent: str = "none"  # nibabel's name for the intent code
    name: str = ""  # of the intent; for an estimate the unit
    window: tuple[float, float] = (0.0, 0.0)  # values in a viewer's first and last colour; 0, 0 if not known
    parameters: tuple[float, ...] = ()  # of the intent, such as a t-score's degrees of freedom
    nearest: bool = False  # whether values must not be mixed when they are resampled
    fill: float = 0.0  # value of the slices that the network did not see


def estimate(unit: str, scale: float, *, signed: bool) -> Meaning:
    """Return the meaning of a map or of a mean of maps, shown with the colour scale of its figure."""
    return Meaning("estimate", unit.replace(" per unit of ", "/"), (-scale if signed else 0.0, scale))


def t_score(scale: float, degrees_of_freedom: int) -> Meaning:
    """Return the meaning of a difference in standard errors, which follows a t-distribution by chance."""
    return Meaning("t test", "t", (-scale, scale), (degrees_of_freedom,), nearest=True)


def ratio(scale: float) -> Meaning:
    """Return the meaning of a ratio of two groups' magnitudes, 1 where equal, shown up to `scale`."""
    return Meaning("estimate", "ratio", (1 / scale, scale), nearest=True, fill=1.0)


def neg_log10_p(significant: float, smallest: float) -> Meaning:
    """Return the meaning of -log10 of corrected p-values, shown from `significant` to the `smallest` p.

    The NIfTI standard has one code for both signs of log10(p): a program should compute p from the
    magnitude (nifti1.h, NIFTI_INTENT_LOG10PVAL).
    """
    window = (-math.log10(significant), -math.log10(smallest))
    return Meaning("log10 p value", "-log10 p", window, nearest=True)


def to_scan_grid(values: np.ndarray, grid: Grid, *, nearest: bool = False, fill: float = 0.0) -> np.ndarray:
    """Resample a map without pad, (n_slices, 112, 112), to the scan's voxels, float32, keeping its sum.

    Each pixel's value is divided among the scan's pixels of the same coronal slice, in proportion to the
    area that they share. So the sum over any region is that of the map. Where the scan has more pixels
    than the map, values are smaller by the ratio of the numbers. The sum of magnitudes is smaller than the
    map's where neighbours of opposite sign share a pixel of the scan. For `nearest` and `fill` see `Meaning`.
    """
    nx, _, nz = grid.shape
    volume = np.full(grid.shape, fill, np.float32, order="F")  # as a NIfTI file is
    seen = volume[:, grid.first_slice : grid.first_slice + grid.n_slices].transpose(1, 2, 0)  # (y, z, x)
    if nearest:
        seen[:] = nearest_pixels(values, grid).transpose(0, 2, 1)
    else:
        across = np.asarray(values, np.float32).transpose(0, 2, 1) @ _shares(nx).T  # (n_slices, 112, nx)
        np.matmul(_shares(nz), across, out=seen)
    return volume


def as_int16(image: nib.Nifti1Image) -> nib.Nifti1Image:
    """Return an image in steps of 1/32767 of its largest magnitude: a quarter of the bytes, compressed."""
    values = np.asarray(image.dataobj)
    step = float(np.abs(values).max()) / np.iinfo(np.int16).max or 1.0
    stored = nib.Nifti1Image(np.rint(values / step).astype(np.int16), image.affine, image.header)
    stored.header.set_data_dtype(np.int16)
    stored.header.set_slope_inter(step, 0.0)
    return stored


def voxel_mass(grid: Grid) -> float:
    """Return the part of a map's value that a voxel of the scan has in `to_scan_grid`."""
    nx, _, nz = grid.shape
    return RESIZED**2 / (nx * nz)


def nearest_pixels(values: np.ndarray, grid: Grid) -> np.ndarray:
    """Return the values (n_slices, 112, 112) of the pixels nearest to the scan's: (n_slices, nx, nz)."""
    nx, _, nz = grid.shape
    rows, columns = (((np.arange(n) + 0.5) * RESIZED / n).astype(int) for n in (nx, nz))
    return values[:, rows[:, None], columns]


def to_nifti(
    values: np.ndarray, grid: Grid, description: str, meaning: Meaning | None = None
) -> nib.Nifti1Image:
    """Make a float32 NIfTI image of a map (n_slices, 112, 112) on the scan's grid and affine.

    A scan without an affine gets an image without (sform and qform code 0: voxel indices), and the
    header's description begins with "index grid"; it is cut to 79 characters.
    """
    meaning = meaning or Meaning()
    affine, code = grid.matrix, grid.space_code or _ALIGNED
    volume = to_scan_grid(values, grid, nearest=meaning.nearest, fill=meaning.fill)
    image = nib.Nifti1Image(volume, affine)
    if affine is None:
        description = f"index grid (scan has no affine), {description}"
    else:
        image.set_sform(affine, code)
        image.set_qform(affine, code)
        image.header.set_xyzt_units("mm")
    mass = 1.0 if meaning.nearest else voxel_mass(grid)
    image.header["cal_min"], image.header["cal_max"] = (mass * end for end in meaning.window)
    image.header.set_intent(meaning.intent, meaning.parameters, meaning.name[:_NAME_BYTES])
    image.header["descrip"] = description[:_DESCRIPTION_BYTES].encode("ascii", "replace")
    return image


def map_to_nifti(values: np.ndarray, grid: Grid, method: str, scale: float | None = None) -> nib.Nifti1Image:
    """Make the NIfTI image of a method's map, (n_slices, 128, 128), on the scan's grid and affine.

    `scale` is the magnitude at which a viewer's colours saturate, by default `colour_scale`'s of all voxels.
    The image is float32, zero where the network saw nothing; its sum is that of the map without its pad.
    Raises UserError: there is no such method, or the map is not of the grid's slices.
    """
    known = find_method(method)
    if not isinstance(grid, Grid):
        raise UserError(f"map_to_nifti: expected the grid of a volume, found {type(grid).__name__}.")
    expected = (grid.n_slices, INPUT_SIZE, INPUT_SIZE)
    if np.shape(values) != expected:
        raise UserError(f"map_to_nifti: expected a map of shape {expected}, found {np.shape(values)}.")
    meaning = estimate(known.unit, colour_scale(values) if scale is None else scale, signed=known.signed)
    return to_nifti(unpad(values), grid, f"{known.name}, {known.unit}", meaning)


@lru_cache
def _shares(n: int) -> np.ndarray:
    """Return the shares of pixels 0 to 111 of a line in n pixels of the same extent: float32 (n, 112)."""
    edges = np.linspace(0, n, RESIZED + 1)
    places = np.arange(n)[:, None]
    overlaps = np.minimum(edges[1:], places + 1) - np.maximum(edges[:-1], places)
    return (np.clip(overlaps, 0, None) * (RESIZED / n)).astype(np.float32)
