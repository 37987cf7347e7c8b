"""How a map was drawn: what its figures and the report's pictures of it share."""

from __future__ import annotations

from dataclasses import dataclass

DEFAULT_SMOOTH_MM = 6.0  # of overlays: full width at half maximum
# Of an overlay's opacity in the map's magnitude. Below 1, weak values can be seen; and a map on another scale
# is this one with its opacity multiplied by the ratio of the scales to that power, unless it saturates.
OPACITY_POWER = 0.6
RAISES, LOWERS = (226, 35, 26), (64, 120, 255)  # hues by sign, red, green and blue from 0 to 255


@dataclass(frozen=True)
class Drawing:
    """How a map was drawn.

    Attributes
    ----------
    scale : float
        Magnitude at which the colours of the map saturate, in its unit.
    overlay_scale : float
        The same of the smoothed map.
    smooth_mm : float
        Full width at half maximum of the smoothing; 0: none.
    telling_slice : int
        The network's slice with the smoothed map's strongest value in the brain, which the thumbnail shows;
        the middle one of a map of zeros.
    """

    scale: float
    overlay_scale: float
    smooth_mm: float
    telling_slice: int
