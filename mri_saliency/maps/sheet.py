"""A figure that is laid out once: what changes is drawn over a background that does not.

The same layout serves thousands of figures. matplotlib draws its fixed part once; images are then pasted
over it, and Pillow, which is faster at it, writes the texts that change.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont
from PIL import Image, ImageDraw, ImageFont

from mri_saliency.maps.colours import BAR_COLOURS

_DPI = 100
_TICKS = (-1.0, -0.5, 0.0, 0.5, 1.0)  # of a signed colour bar, in units of its scale
_POSITIVE_TICKS = _TICKS[2:]
_BAR_HEIGHT_PX = 12
_CAP_HEIGHT = 0.73  # of a capital letter, as a share of its font's size
_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_MINUS = "\N{MINUS SIGN}"


@dataclass(frozen=True)
class TextStyle:
    """How a text that changes is written.

    Attributes
    ----------
    size : int
        In pixels.
    align : str
        Which side of the text is at its x: l (left), m (middle) or r (right).
    bold : bool
    """

    size: int
    align: str = "l"
    bold: bool = False


_LABEL = TextStyle(12, align="m")


class Sheet:
    """The layout of a figure, in pixels from the top left.

    Parameters
    ----------
    width, height : int
        Size in pixels.
    """

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
        self._figure.text(x / self.width, 1 - y / self.height, text, va="top", **style)

    def add_panel(self, x: int, y: int, width: int, height: int) -> Axes:
        """Place an image that `paste` fills in; returns axes of its size, for ticks and labels."""
        self._panels.append((x, y, width, height))
        axes = self._add_axes(x, y, width, height)
        axes.spines[:].set_visible(False)
        return axes

    def add_sides(self, x: int, y: int, width: int) -> None:
        """Mark left and right above a panel's corners."""
        style = {"fontsize": 12, "fontweight": "bold"}
        self.add_static_text("L", x, y, ha="left", **style)
        self.add_static_text("R", x + width, y, ha="right", **style)

    def add_colour_bar(self, name: str, x: int, y: int, width: int, kind: str) -> None:
        """Place a horizontal colour bar of a kind in `BAR_COLOURS`, whose tick labels and unit change."""
        axes = self._add_axes(x, y, width, _BAR_HEIGHT_PX)
        axes.imshow(BAR_COLOURS[kind][None], aspect="auto", interpolation="nearest")
        n_ticks = len(_TICKS if kind.startswith("signed") else _POSITIVE_TICKS) if kind != "grey" else 2
        for tick in range(n_ticks):
            tick_x = x + width * tick / (n_ticks - 1)
            self.add_text(f"{name} tick {tick}", tick_x, y + 17, _LABEL)
        self.add_text(f"{name} unit", x + width / 2, y + 35, _LABEL)
        self.add_text(f"{name} beyond", x + width / 2, y + 53, _LABEL)

    def draw(self, texts: dict[str, str], over: np.ndarray | None = None) -> np.ndarray:
        """Write texts on a picture.

        Parameters
        ----------
        texts : dict
            Name of a text placed with `add_text` -> its content.
        over : ndarray, optional
            A picture that this sheet drew; without it, the background.

        Returns
        -------
        ndarray
            A new picture, uint8 (height, width, 4), RGBA.
        """
        image = Image.fromarray(self._background if over is None else over)
        canvas = ImageDraw.Draw(image)
        for name, text in texts.items():
            x, top, style = self._texts[name]
            baseline = top + _CAP_HEIGHT * style.size
            font = _font(style.size, style.bold)
            canvas.text((x, baseline), text, (0, 0, 0), font, anchor=f"{style.align}s")
        return np.array(image)

    def paste(self, picture: np.ndarray, images: Sequence[np.ndarray]) -> None:
        """Copy images, uint8 (height, width, 4) each, into the panels of a picture, in place.

        An image is enlarged to its panel by repeating its pixels.
        """
        pixels = picture.view(np.uint32)[..., 0]  # the four bytes of a pixel as one number
        for (x, y, width, height), image in zip(self._panels, images, strict=True):
            rows = np.arange(height) * image.shape[0] // height
            columns = np.arange(width) * image.shape[1] // width
            enlarged = image.view(np.uint32)[..., 0][rows[:, None], columns]
            pixels[y : y + height, x : x + width] = enlarged

    @cached_property
    def _background(self) -> np.ndarray:
        """What does not change: uint8 (height, width, 4), RGBA."""
        self._canvas.draw()
        return np.array(self._canvas.buffer_rgba())

    def _add_axes(self, x: int, y: int, width: int, height: int) -> Axes:
        """Place axes without ticks."""
        bottom = self.height - y - height
        box = (x / self.width, bottom / self.height, width / self.width, height / self.height)
        return self._figure.add_axes(box, xticks=[], yticks=[])


@dataclass(frozen=True)
class Bar:
    """A colour bar: its name, its kind in `BAR_COLOURS`, its end and unit.

    With `is_log2` the values are logarithms of ratios, and the bar is labelled with the ratios. `beyond`
    has the share of the brain that saturates, and the largest magnitude there.
    """

    name: str
    kind: str
    scale: float
    unit: str
    is_log2: bool = False
    beyond: tuple[float, float] | None = None


def bar_labels(bar: Bar) -> dict[str, str]:
    """Return the texts of a colour bar, for `Sheet.draw`."""
    name, scale = bar.name, bar.scale
    exponent = math.floor(math.log10(scale)) if scale and not bar.is_log2 else 0
    exponent = 0 if -1 <= exponent <= 2 else exponent
    factor = f"10{str(exponent).translate(_SUPERSCRIPTS)} " if exponent else ""
    labels = {f"{name} unit": f"{name} ({factor}{bar.unit})" if scale else f"{name}: zero everywhere"}
    for index, tick in enumerate(_TICKS if bar.kind.startswith("signed") else _POSITIVE_TICKS):
        bound = {-1.0: "≤ ", 1.0: "≥ "}.get(tick, "") if scale else ""
        value = 2.0 ** (tick * scale) if bar.is_log2 else tick * scale / 10.0**exponent
        labels[f"{name} tick {index}"] = bound + f"{value:.3g}".replace("-", _MINUS)
    if scale and bar.beyond and bar.beyond[0]:
        share, maximum = bar.beyond
        labels[f"{name} beyond"] = (
            f"{100 * share:.1g}% of the brain saturates, up to {maximum / 10.0**exponent:.3g}"
        )
    return labels


def window_labels(name: str, window: tuple[float, float]) -> dict[str, str]:
    """Return the texts of the grey bar `name` for a scan's intensity window, for `Sheet.draw`."""
    low, high = (f"{value:.2g}".replace("-", _MINUS) for value in window)
    return {
        f"{name} tick 0": f"≤ {low}",
        f"{name} tick 1": f"≥ {high}",
        f"{name} unit": "network input (standard deviations)",
    }


@lru_cache
def _font(size: int, bold: bool) -> ImageFont.FreeTypeFont:
    weight = "bold" if bold else "normal"
    path = findfont(FontProperties(family="DejaVu Sans", weight=weight))  # ships with matplotlib
    return ImageFont.truetype(path, size, layout_engine=ImageFont.Layout.BASIC)


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
