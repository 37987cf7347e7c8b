"""Values -> colours: lookup tables, blends of an image over another, and a map's colour scale."""

from __future__ import annotations

import math

import matplotlib
import numpy as np

_SCALE_PERCENTILE = 99.9  # of a map's magnitude: where its colours saturate
_OUTLINE = (255, 225, 0, 255)  # yellow: visible on grey, red and blue alike
_OVERLAY_GREY = 0.35  # under the overlay's colour bar


def _colour_table(name: str) -> np.ndarray:
    """Return a colour map of matplotlib at 256 values: uint8 (256, 4), RGBA."""
    return (matplotlib.colormaps[name](np.arange(256)) * 255).astype(np.uint8)


DIVERGING = _colour_table("RdBu_r")
SEQUENTIAL = _colour_table("Reds")
GREY = _colour_table("gray")
_MAGNITUDE = _colour_table("autumn")


def lookup(table: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return the colours of values from 0 to 1: (...) -> uint8 (..., 4); values beyond are clipped."""
    return table[(np.clip(values, 0, 1) * 255 + 0.5).astype(np.uint8)]


def overlay(under: np.ndarray, magnitude: np.ndarray) -> np.ndarray:
    """Blend a magnitude (0 to 1) over colours; its opacity equals its value.

    Parameters
    ----------
    under : ndarray
        uint8 (..., 4), RGBA.
    magnitude : ndarray
        (...); values above 1 are clipped.

    Returns
    -------
    ndarray
        uint8 (..., 4), RGBA.
    """
    opacity = np.clip(magnitude, 0, 1)[..., None]
    return ((1 - opacity) * under + opacity * lookup(_MAGNITUDE, magnitude)).astype(np.uint8)


def highlighted(
    under: np.ndarray, relative: np.ndarray, opaque_at: float, outlined: np.ndarray
) -> np.ndarray:
    """Blend a signed image over colours, faded where it is weak, and outline a part of it.

    Parameters
    ----------
    under : ndarray
        uint8 (height, width, 4), RGBA.
    relative : ndarray
        (height, width), from -1 to 1.
    opaque_at : float
        The image is opaque from ``1 / opaque_at``; below, opacity falls with the square of `relative`.
    outlined : ndarray
        bool (height, width): the part with a line around it.

    Returns
    -------
    ndarray
        uint8 (2 height, 2 width, 4), RGBA: enlarged, so that the line is thin.
    """
    under, relative, outlined = (image.repeat(2, 0).repeat(2, 1) for image in (under, relative, outlined))
    opacity = np.clip(np.abs(relative) * opaque_at, 0, 1)[..., None] ** 2
    image = ((1 - opacity) * under + opacity * lookup(DIVERGING, (relative + 1) / 2)).astype(np.uint8)
    interior = outlined.copy()
    for axis in (0, 1):
        for step in (-1, 1):
            interior &= np.roll(outlined, step, axis)
    image[outlined & ~interior] = _OUTLINE
    return image


BAR_COLOURS = {  # kind of colour bar -> uint8 (256, 4), RGBA, from its left end to its right
    "grey": GREY,
    "signed": DIVERGING,
    "unsigned": SEQUENTIAL,
    "overlay": overlay(GREY[np.full(256, int(255 * _OVERLAY_GREY))], np.linspace(0, 1, 256)),
}


def colour_scale(values: np.ndarray) -> float:
    """Return the magnitude at which a whole map's colours saturate.

    The 99.9th percentile of its magnitude (its maximum if that is zero), rounded up to two digits;
    0 for a map of zeros.
    """
    magnitude = np.abs(values).ravel()
    rank = min(int(_SCALE_PERCENTILE / 100 * magnitude.size), magnitude.size - 1)
    limit = float(np.partition(magnitude, rank)[rank]) or float(magnitude.max())
    if limit == 0:
        return 0.0
    unit = 10.0 ** (math.floor(math.log10(limit)) - 1)
    return math.ceil(limit / unit * (1 - 1e-9)) * unit
