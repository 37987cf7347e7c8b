"""A figure laid out once, for thousands: matplotlib draws what stays, Pillow, which is faster, the rest."""

import math
import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache, partial
from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image, ImageDraw, ImageFont

from mri_saliency.maps.colours import BAR_COLOURS
from mri_saliency.maps.style import font_path, own_style
from mri_saliency.wording import with_minus

_DPI = 100
_TICKS = (-1.0, -0.5, 0.0, 0.5, 1.0)  # of a signed colour bar, in units of its scale
_BAR_HEIGHT_PX = 12
_CAP_HEIGHT = 0.73  # of a capital letter, as a share of its font's size
_truetype = lru_cache(partial(ImageFont.truetype, layout_engine=ImageFont.Layout.BASIC))
_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


@dataclass(frozen=True)
class TextStyle:
    """How a text that changes is written; sizes are in pixels."""

    size: int
    align: Literal["l", "m", "r"] = "l"  # which side of the text is at its x: left, middle or right
    bold: bool = False
    max_width: float = math.inf  # what is longer is cut

    def font(self, text: str) -> ImageFont.FreeTypeFont:
        """Return the font that a text is written in."""
        return _truetype(font_path(text, self.bold), self.size)

    def fitted(self, text: str) -> str:
        """Return a line of text, cut with an ellipsis if it is wider than `max_width`."""
        text = re.sub(r"\s", " ", text)
        measure = self.font(text).getlength
        if measure(text) <= self.max_width:
            return text
        lengths = range(1, len(text))
        n_fitting = bisect_right(lengths, self.max_width, key=lambda n: measure(f"{text[:n]}…"))
        return f"{text[:n_fitting].rstrip()}…"


_LABEL = TextStyle(12, align="m")


class Sheet:
    """The layout of a figure, in pixels from the top left."""

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self._figure = Figure(figsize=(width / _DPI, height / _DPI), dpi=_DPI)
        self._canvas = FigureCanvasAgg(self._figure)
        self._panels: list[tuple[int, int, int, int]] = []  # x, y, width, height
        self._texts: dict[str, tuple[float, float, TextStyle]] = {}  # x, top, style

    def add_text(self, name: str, x: float, y: float, style: TextStyle) -> None:
        """Place a text that `draw` fills in; `y` is its top."""
        self._texts[name] = (x, y, style)

    def add_static_text(self, text: str, x: float, y: float, **style: object) -> None:
        """Place a text that does not change; `y` is its top, `style` that of matplotlib's Text."""
        self._figure.text(x / self.width, 1 - y / self.height, text, {"va": "top", **style})

    def add_panel(self, x: int, y: int, width: int, height: int) -> Axes:
        """Place an image that `paste` fills in; returns axes of its size, for ticks and labels."""
        self._panels.append((x, y, width, height))
        axes = self._add_axes(x, y, width, height)
        axes.spines[:].set_visible(False)
        return axes

    def add_sides(self, x: int, y: int, width: int) -> None:
        """Mark left and right above a panel's corners."""
        self.add_static_text("L", x, y, ha="left", fontsize=12, fontweight="bold")
        self.add_static_text("R", x + width, y, ha="right", fontsize=12, fontweight="bold")

    def add_colour_bar(self, name: str, x: int, y: int, width: int, kind: str) -> None:
        """Place a horizontal colour bar of a kind in `BAR_COLOURS`, whose tick labels and unit change."""
        axes = self._add_axes(x, y, width, _BAR_HEIGHT_PX)
        axes.imshow(BAR_COLOURS[kind][None], aspect="auto", interpolation="nearest")
        ticks = _ticks(kind)
        for index in range(len(ticks)):
            self.add_text(f"{name} tick {index}", x + width * index / (len(ticks) - 1), y + 17, _LABEL)
        self.add_text(f"{name} unit", x + width / 2, y + 35, _LABEL)

    def draw(self, texts: dict[str, str], over: np.ndarray | None = None) -> np.ndarray:
        """Write texts, by the names given to `add_text`, over a picture of this sheet or its background.

        Returns a new picture, uint8 (height, width, 4), RGBA.
        """
        image = Image.fromarray(self._background if over is None else over)
        canvas = ImageDraw.Draw(image)
        for name, text in texts.items():
            x, top, style = self._texts[name]
            place, line = (x, top + _CAP_HEIGHT * style.size), style.fitted(text)
            canvas.text(place, line, (0, 0, 0), style.font(line), anchor=f"{style.align}s")
        return np.array(image)

    def paste(self, picture: np.ndarray, images: Sequence[np.ndarray]) -> None:
        """Copy images, uint8 (height, width, 4), into the panels of a picture; pixels are repeated."""
        pixels = picture.view(np.uint32)[..., 0]  # the four bytes of a pixel as one number
        for (x, y, width, height), image in zip(self._panels, images, strict=True):
            rows = np.arange(height) * image.shape[0] // height
            columns = np.arange(width) * image.shape[1] // width
            enlarged = image.view(np.uint32)[..., 0][rows[:, None], columns]
            pixels[y : y + height, x : x + width] = enlarged

    @cached_property
    def _background(self) -> np.ndarray:
        """What does not change: uint8 (height, width, 4), RGBA."""
        with own_style():
            self._canvas.draw()
        return np.array(self._canvas.buffer_rgba())

    def _add_axes(self, x: int, y: int, width: int, height: int) -> Axes:
        bottom = self.height - y - height
        box = (x / self.width, bottom / self.height, width / self.width, height / self.height)
        return self._figure.add_axes(box, xticks=[], yticks=[])


@dataclass(frozen=True)
class Bar:
    """A colour bar, of a kind in `BAR_COLOURS`."""

    name: str
    kind: str
    limit: float  # at its ends
    unit: str
    is_log: bool = False  # values are logarithms of ratios, with which the bar is labelled


def bar_labels(bar: Bar) -> dict[str, str]:
    """Return the texts of a colour bar, for `Sheet.draw`."""
    name, limit = bar.name, bar.limit
    exponent = math.floor(math.log10(limit)) if limit and not bar.is_log else 0
    exponent = 0 if -1 <= exponent <= 2 else exponent
    factor = f"10{str(exponent).translate(_SUPERSCRIPTS)} " if exponent else ""
    labels = {f"{name} unit": f"{name} ({factor}{bar.unit})" if limit else f"{name}: zero everywhere"}
    if bar.is_log:
        end = f"{math.exp(limit):.3g}"
        return labels | {f"{name} tick 0": f"÷{end}", f"{name} tick 2": "1", f"{name} tick 4": f"×{end}"}
    for index, tick in enumerate(_ticks(bar.kind)):
        bound = {-1.0: "≤ ", 1.0: "≥ "}.get(tick, "") if limit else ""
        labels[f"{name} tick {index}"] = bound + with_minus(f"{tick * limit / 10.0**exponent:.3g}")
    return labels


def window_labels(name: str, window: tuple[float, float]) -> dict[str, str]:
    """Return the texts of the grey bar `name` for a scan's intensity window, for `Sheet.draw`."""
    low, high = (with_minus(f"{value:.2g}") for value in window)
    return {
        f"{name} tick 0": f"≤ {low}",
        f"{name} tick 1": f"≥ {high}",
        f"{name} unit": "network input (standard deviations)",
    }


def _ticks(kind: str) -> tuple[float, ...]:
    """Return where a colour bar has labels, in units of its scale."""
    if kind == "grey":
        return (0.0, 1.0)
    return _TICKS if kind.startswith("signed") else _TICKS[2:]
