"""Values -> colours: lookup tables, blends of an image over another, and a map's colour scale."""

import math

import matplotlib
import numpy as np
from scipy.ndimage import binary_erosion

from mri_saliency.maps.drawing import LOWERS, OPACITY_POWER, RAISES

# Of the brain's voxels saturate: in a map so few that a lesion, some thousandths of the brain, shows what is
# strong within it; in a smoothed map, which has no single strong voxels, as much as makes a lesion opaque.
_SATURATED, _SMOOTH_SATURATED = 1e-4, 1e-3
OUTLINE = (255, 225, 0, 255)  # yellow: visible on grey, red and blue alike
_OVERLAY_GREY = 0.35  # under the overlay's colour bar


def _colour_table(name: str) -> np.ndarray:
    """Return a colour map of matplotlib at 256 values: uint8 (256, 4), RGBA."""
    return (matplotlib.colormaps[name].resampled(256)(np.arange(256)) * 255 + 0.5).astype(np.uint8)


DIVERGING = _colour_table("RdBu_r")
SEQUENTIAL = _colour_table("Reds")
GREY = _colour_table("gray")
_RAISES, _LOWERS = np.array([(*RAISES, 255), (*LOWERS, 255)], np.uint8)


def lookup(table: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return the colours of values from 0 to 1: (...) -> uint8 (..., 4); values beyond are clipped."""
    return table[(np.clip(values, 0, 1) * 255 + 0.5).astype(np.uint8)]


def overlay(under: np.ndarray, relative: np.ndarray) -> np.ndarray:
    """Blend a map over colours: red above 0, blue below, the stronger the more opaque.

    `under`, and what is returned, is uint8 (..., 4), RGBA; `relative` the map over its colour scale, (...).
    """
    colours = overlay_colours(relative)
    opacity = colours[..., 3:] / np.float32(255)
    mixed = (1 - opacity) * under + opacity * colours
    mixed[..., 3] = 255
    return (mixed + 0.5).astype(np.uint8)


def overlay_colours(relative: np.ndarray) -> np.ndarray:
    """Return what `overlay` blends over the rest: uint8 (..., 4), RGBA, transparent where the map is 0."""
    colours = np.where((relative < 0)[..., None], _LOWERS, _RAISES)
    opacity = np.minimum(np.abs(relative), 1) ** np.float32(OPACITY_POWER)
    colours[..., 3] = (opacity * 255 + 0.5).astype(np.uint8)
    return colours


def highlighted(
    under: np.ndarray, relative: np.ndarray, evidence: np.ndarray, outlined: np.ndarray
) -> np.ndarray:
    """Blend a signed image over colours, faded where evidence is weak, and draw a line around a part of it.

    `under` is uint8 (height, width, 4), RGBA; what is returned is twice as large, so that the line is thin.
    The others are (height, width): `relative` from -1 to 1; the magnitude of `evidence` is opaque from 1.
    """
    under, relative, evidence, outlined = (
        image.repeat(2, 0).repeat(2, 1) for image in (under, relative, evidence, outlined)
    )
    opacity = np.clip(np.abs(evidence), 0, 1)[..., None] ** 2
    image = ((1 - opacity) * under + opacity * lookup(DIVERGING, (relative + 1) / 2)).astype(np.uint8)
    image[outlined & ~binary_erosion(outlined, border_value=1)] = OUTLINE
    return image


_OVERLAY_GROUND = GREY[np.full(256, int(255 * _OVERLAY_GREY))]
BAR_COLOURS = {  # kind of colour bar -> uint8 (256, 4), RGBA, from its left end to its right
    "grey": GREY,
    "signed": DIVERGING,
    "unsigned": SEQUENTIAL,
    "signed overlay": overlay(_OVERLAY_GROUND, np.linspace(-1, 1, 256)),
    "unsigned overlay": overlay(_OVERLAY_GROUND, np.linspace(0, 1, 256)),
}


def colour_scale(values: np.ndarray, brain: np.ndarray | None = None, *, is_smooth: bool = False) -> float:
    """Return the magnitude at which a whole map's colours saturate; 0 for a map of zeros.

    Of the voxels in `brain` (by default all), one of 10,000 is beyond, of a smoothed map one of 1,000: it is
    that quantile of the magnitude (the maximum if that is zero), rounded up to two digits.
    """
    magnitude = np.abs(values if brain is None or not brain.any() else values[brain]).ravel()
    saturated = _SMOOTH_SATURATED if is_smooth else _SATURATED
    rank = min(int((1 - saturated) * magnitude.size), magnitude.size - 1)
    quantile = np.partition(magnitude, rank)[rank]
    return rounded_up(float(quantile or magnitude.max() or np.abs(values).max()))


def ratio_scale(logarithms: np.ndarray) -> float:
    """Return where colours of ratios, given as logarithms, saturate: at 1, 2 or 5 times a power of 10."""
    ratio = math.exp(colour_scale(logarithms))
    steps = (step * 10**power for power in range(9) for step in (1, 2, 5))
    return math.log(next(step for step in steps if step > 1 and step >= ratio * (1 - 1e-9)))


def rounded_up(number: float) -> float:
    """Return a number of 0 or more, rounded up to two digits."""
    if number == 0:
        return 0.0
    unit = 10.0 ** (math.floor(math.log10(number)) - 1)
    return math.ceil(number / unit * (1 - 1e-9)) * unit
