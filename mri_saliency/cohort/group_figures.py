"""The figures of groups of scans: mean maps, and the difference of two groups."""

from __future__ import annotations

import numpy as np

from mri_saliency.maps.colours import highlighted, overlay
from mri_saliency.maps.figures import Bar, MapView, map_kind, montage, slice_colours

_SCORE_SCALE = 2.0  # a test's colours saturate at this multiple of its threshold


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


def difference_figure(
    view: MapView, score: np.ndarray, outlined: np.ndarray, threshold: float, score_unit: str
) -> np.ndarray:
    """Draw the difference of two groups at the key slices, faded where it is not significant.

    Opacity grows with the square of the score and is full where that is significant; a line surrounds
    what is significant (Taylor et al. 2023, Highlight results, don't hide them, NeuroImage).

    Parameters
    ----------
    view : MapView
        `attribution` is the difference of the means.
    score : ndarray
        As `view.attribution`: the test's statistic.
    outlined : ndarray
        bool, the same shape: where it is significant.
    threshold : float
        The score from which a difference is significant.
    score_unit : str

    Returns
    -------
    ndarray
        uint8 (height, width, 4), RGBA.
    """
    colours = [slice_colours(view, index) for index in range(len(view.slice_titles))]
    score_scale = _SCORE_SCALE * threshold
    rows = {
        "mean scan": [anatomy for anatomy, _ in colours],
        "difference": [difference for _, difference in colours],
        "score": [
            highlighted(anatomy, slice_score / score_scale, _SCORE_SCALE, slice_outlined)
            for (anatomy, _), slice_score, slice_outlined in zip(colours, score, outlined, strict=True)
        ],
    }
    bars = [
        Bar("difference", "signed", view.scale, view.unit),
        Bar("score", "signed", score_scale, f"{score_unit}; significant from {threshold:.1f}"),
    ]
    return montage(view, rows, bars)
