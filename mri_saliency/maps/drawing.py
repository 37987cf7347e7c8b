"""What figures and the report share: colours, and how a map was drawn."""

from __future__ import annotations

from dataclasses import dataclass

DEFAULT_SMOOTH_MM = 6.0  # of overlays: full width at half maximum
# Of an overlay's opacity in the map's magnitude. Below 1, weak values can be seen; and a map on another scale
# is this one with its opacity multiplied by the ratio of the scales to that power, unless it saturates.
OPACITY_POWER = 0.6
RAISES, LOWERS = (226, 35, 26), (64, 120, 255)  # hues by sign, red, green and blue from 0 to 255
DIAGNOSIS_COLOURS = {"HC": "#3b6ea5", "left": "#c2452d", "right": "#d9992b", "TLE": "#7a4f9a"}


@dataclass(frozen=True)
class Drawing:
    """How a map was drawn.

    `telling_slice` is the network's slice with the smoothed map's strongest value in the brain, which the
    thumbnail shows; the middle one of a map of zeros.
    """

    scale: float  # magnitude at which the colours of the map saturate, in its unit
    overlay_scale: float  # the same of the smoothed map
    smooth_mm: float  # full width at half maximum of the smoothing; 0: none
    telling_slice: int
