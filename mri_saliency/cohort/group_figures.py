"""The figures of groups of scans: mean maps, and contrasts of groups."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mri_saliency.maps.colours import highlighted, overlay
from mri_saliency.maps.figures import Bar, MapView, map_kind, montage, slice_colours

_T_SCALE = 2.0  # a test's colours saturate at this multiple of its threshold


def group_figure(view: MapView, magnitude: np.ndarray, magnitude_scale: float) -> np.ndarray:
    """Draw a group's mean scan, mean map and mean magnitude at the key slices.

    Parameters
    ----------
    view : MapView
        Of the group's means.
    magnitude : ndarray
        The mean magnitude, as `view.attribution`.
    magnitude_scale : float
        Where its colours saturate.

    Returns
    -------
    ndarray
        uint8 (height, width, 4), RGBA.
    """
    colours = [slice_colours(view, index) for index in range(len(view.slice_titles))]
    rows = {
        "mean scan": [anatomy for anatomy, _ in colours],
        "mean map": [attribution for _, attribution in colours],
        "mean magnitude": [
            overlay(anatomy, slice_magnitude / (magnitude_scale or 1))
            for (anatomy, _), slice_magnitude in zip(colours, magnitude, strict=True)
        ],
    }
    bars = [
        Bar("mean map", map_kind(view), view.scale, view.unit),
        Bar("mean magnitude", "overlay", magnitude_scale, view.unit),
    ]
    return montage(view, rows, bars)


@dataclass(frozen=True, eq=False)
class ContrastSlices:
    """The test of a contrast at the key slices; the arrays are like `MapView.attribution`.

    Attributes
    ----------
    t : ndarray
        The statistic.
    significant : ndarray
        bool: where a line surrounds it.
    threshold : float
        Magnitude of t that is significant; infinite if none can be.
    is_log2 : bool
        Whether the view's map is the logarithm of a ratio, base 2; else it is a difference.
    """

    t: np.ndarray
    significant: np.ndarray
    threshold: float
    is_log2: bool


def contrast_figure(view: MapView, test: ContrastSlices) -> np.ndarray:
    """Draw a contrast of groups at the key slices, faded where it is not significant.

    Opacity grows with the square of t and is full where that is significant; a line surrounds what is
    significant (Taylor et al. 2023, Highlight results, don't hide them, NeuroImage).

    Parameters
    ----------
    view : MapView
        `attribution` is the contrast's estimate.
    test : ContrastSlices

    Returns
    -------
    ndarray
        uint8 (height, width, 4), RGBA.
    """
    colours = [slice_colours(view, index) for index in range(len(view.slice_titles))]
    limit = test.threshold if np.isfinite(test.threshold) else float(np.abs(test.t).max()) or 1.0
    t_scale, effect = _T_SCALE * limit, "ratio" if test.is_log2 else "difference"
    rows = {
        "mean scan": [anatomy for anatomy, _ in colours],
        effect: [estimate for _, estimate in colours],
        "t": [
            highlighted(anatomy, slice_t / t_scale, _T_SCALE, outlined)
            for (anatomy, _), slice_t, outlined in zip(colours, test.t, test.significant, strict=True)
        ],
    }
    reach = f"significant from {limit:.1f}" if np.isfinite(test.threshold) else "none is significant"
    bars = [
        Bar(effect, "signed", view.scale, view.unit, is_log2=test.is_log2),
        Bar("t", "signed", t_scale, reach),
    ]
    return montage(view, rows, bars)
