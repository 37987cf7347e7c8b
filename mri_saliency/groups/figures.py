"""The figures of groups of scans: mean maps, and contrasts of groups."""

from __future__ import annotations

import numpy as np

from mri_saliency.maps.colours import ColourScale, highlighted
from mri_saliency.maps.figures import Layer, View, montage, smoothing_words
from mri_saliency.maps.sheet import Bar

_T_SCALE = 2.0  # a test's colours saturate at this multiple of its threshold


def group_figure(view: View, mean: Layer, magnitude: Layer, smooth_mm: float) -> np.ndarray:
    """Draw a group's mean scan, and over it the smoothed mean map and mean magnitude, at the key slices.

    Returns uint8 (height, width, 4), RGBA.
    """
    rows = {
        "mean scan": view.greys(),
        "mean map": view.overlays(mean),
        "mean magnitude": view.overlays(magnitude),
    }
    words = smoothing_words(smooth_mm)
    bars = [
        Bar("mean map", f"{view.kind} overlay", mean.scale, f"{view.unit}, {words}"),
        Bar("mean magnitude", "unsigned overlay", magnitude.scale, f"{view.unit}, {words}"),
    ]
    return montage(view, rows, bars)


def contrast_figure(
    view: View, effect: Layer, t: np.ndarray, significant: np.ndarray, threshold: float
) -> np.ndarray:
    """Draw a contrast of groups at the key slices, faded where it is not significant.

    Opacity of t grows with its square and is full where that is significant; a line surrounds what is
    significant (Taylor et al. 2023, Highlight results, don't hide them, NeuroImage).

    `effect` is the logarithm, base 2, of the ratio of the groups' magnitudes; `threshold` the magnitude of t
    that is significant, infinite if none can be. Returns uint8 (height, width, 4), RGBA.
    """
    anatomy = view.greys()
    limit = threshold if np.isfinite(threshold) else float(np.abs(t).max()) or 1.0
    t_scale = _T_SCALE * limit
    rows = {
        "mean scan": anatomy,
        "ratio": view.overlays(effect),
        "t": [
            highlighted(greys, slice_t / t_scale, _T_SCALE, outlined)
            for greys, slice_t, outlined in zip(anatomy, t, significant, strict=True)
        ],
    }
    reach = f"significant from {limit:.1f}" if np.isfinite(threshold) else "none is significant"
    bars = [
        Bar("ratio", "signed overlay", ColourScale(effect.scale.limit), view.unit, is_log2=True),
        Bar("t", "signed", ColourScale(t_scale), reach),
    ]
    return montage(view, rows, bars)
