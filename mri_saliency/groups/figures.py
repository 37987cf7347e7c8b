"""The figures of groups of scans: mean maps, and contrasts of groups."""

import numpy as np

from mri_saliency.maps.colours import GREY, highlighted
from mri_saliency.maps.figures import Layer, View, montage, smoothing_words
from mri_saliency.maps.sheet import Bar

_DIMMED = 0.6  # the greys under a contrast: pale colours and the line are seen on them


def group_figure(view: View, mean: Layer, magnitude: Layer, smooth_mm: float) -> np.ndarray:
    """Draw a group's smoothed mean map, and of a signed method its mean magnitude: uint8 (..., 4), RGBA."""
    words = f"{view.unit}, {smoothing_words(smooth_mm)}"
    rows = {"mean map": view.overlays(mean)}
    bars = [Bar("mean map", f"{view.kind} overlay", mean.limit, words)]
    if view.signed:
        rows["mean magnitude"] = view.overlays(magnitude)
        bars.append(Bar("mean magnitude", "unsigned overlay", magnitude.limit, words))
    return montage(view, rows, bars)


def contrast_figure(
    view: View, effect: Layer, t: np.ndarray, significant: np.ndarray, threshold: float
) -> np.ndarray:
    """Draw a contrast of groups over the mean scan at the key slices: colour is effect, opacity evidence.

    Opacity grows with the square of t and is full where that is significant; a line surrounds what is
    significant (Taylor et al. 2023, Highlight results, don't hide them, NeuroImage).

    `effect` is a logarithm; `threshold` the magnitude of t that is significant, infinite if none can be.
    Returns uint8 (height, width, 4), RGBA.
    """
    evidence = t / (threshold if np.isfinite(threshold) else float(np.abs(t).max()) or 1.0)
    dimmed = GREY[(_DIMMED * view.anatomy).astype(np.uint8)]
    drawn = map(highlighted, dimmed, effect.relative, evidence, significant)
    bar = Bar("ratio", "signed", effect.limit, view.unit, is_log=True)
    return montage(view, {"ratio": list(drawn)}, [bar])
