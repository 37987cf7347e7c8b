"""The figures of groups of scans: mean maps, and contrasts of groups."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mri_saliency.maps.colours import ColourScale, highlighted
from mri_saliency.maps.figures import Layer, View, montage, smoothing_words
from mri_saliency.maps.sheet import Bar

_T_SCALE = 2.0  # a test's colours saturate at this multiple of its threshold


def group_figure(view: View, mean: Layer, magnitude: Layer, smooth_mm: float) -> np.ndarray:
    """Draw a group's mean scan, and over it the mean map and the mean magnitude, at the key slices.

    Parameters
    ----------
    view : View
    mean, magnitude : Layer
        The smoothed means.
    smooth_mm : float
        Full width at half maximum of the smoothing.

    Returns
    -------
    ndarray
        uint8 (height, width, 4), RGBA.
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


@dataclass(frozen=True, eq=False)
class ContrastSlices:
    """The test of a contrast at the key slices; the arrays are like `Layer.values`.

    Attributes
    ----------
    t : ndarray
        The statistic.
    significant : ndarray
        bool: where a line surrounds it.
    threshold : float
        Magnitude of t that is significant; infinite if none can be.
    is_log2 : bool
        Whether the effect is the logarithm of a ratio, base 2; else it is a difference.
    """

    t: np.ndarray
    significant: np.ndarray
    threshold: float
    is_log2: bool


def contrast_figure(view: View, effect: Layer, test: ContrastSlices) -> np.ndarray:
    """Draw a contrast of groups at the key slices, faded where it is not significant.

    Opacity of t grows with its square and is full where that is significant; a line surrounds what is
    significant (Taylor et al. 2023, Highlight results, don't hide them, NeuroImage).

    Parameters
    ----------
    view : View
    effect : Layer
        The contrast's estimate.
    test : ContrastSlices

    Returns
    -------
    ndarray
        uint8 (height, width, 4), RGBA.
    """
    anatomy = view.greys()
    limit = test.threshold if np.isfinite(test.threshold) else float(np.abs(test.t).max()) or 1.0
    t_scale, name = _T_SCALE * limit, "ratio" if test.is_log2 else "difference"
    rows = {
        "mean scan": anatomy,
        name: view.overlays(effect),
        "t": [
            highlighted(greys, slice_t / t_scale, _T_SCALE, outlined)
            for greys, slice_t, outlined in zip(anatomy, test.t, test.significant, strict=True)
        ],
    }
    reach = f"significant from {limit:.1f}" if np.isfinite(test.threshold) else "none is significant"
    bars = [
        Bar(name, "signed overlay", ColourScale(effect.scale.limit), view.unit, is_log2=test.is_log2),
        Bar("t", "signed", ColourScale(t_scale), reach),
    ]
    return montage(view, rows, bars)
