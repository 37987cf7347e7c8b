"""The font of the figures' texts, and how much of a text fits into a width."""

from __future__ import annotations

from bisect import bisect_right
from functools import lru_cache

from matplotlib.font_manager import FontProperties, findfont
from PIL import ImageFont


@lru_cache
def font(size: int, bold: bool = False) -> ImageFont.FreeTypeFont:
    """Return the figures' font, `size` in pixels."""
    weight = "bold" if bold else "normal"
    path = findfont(FontProperties(family="DejaVu Sans", weight=weight))  # ships with matplotlib
    return ImageFont.truetype(path, size, layout_engine=ImageFont.Layout.BASIC)


def fitted(text: str, width: int, size: int, *, bold: bool = False) -> str:
    """Return a line of text, cut with an ellipsis if it is wider than `width` pixels."""
    measure = font(size, bold).getlength
    if measure(text) <= width:
        return text
    n_fitting = bisect_right(range(1, len(text)), width, key=lambda n: measure(f"{text[:n]}…"))
    return f"{text[:n_fitting].rstrip()}…"
