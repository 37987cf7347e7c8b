"""Arrays -> pictures. This module knows no files.

The figures drawn for every map are laid out once: matplotlib renders what never changes into a background,
over which the images are pasted and Pillow, which is quicker at it, writes the texts that change.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont
from matplotlib.ticker import MaxNLocator
from PIL import Image, ImageDraw, ImageFont

_DPI = 100
_SLICE_PANEL_PX = 336  # three times a slice's 112 pixels
_SUMMARY_PANEL_PX = 224
_SUMMARY_COLUMNS = 8  # slices side by side before the summary starts another block
_SCALE_PERCENTILE = 99.9  # of a map's magnitude: where its colours saturate
_WINDOW_PERCENTILE = 99.8  # of a scan's intensity: white
_SCORE_SCALE = 2.0  # a test's colours saturate at this multiple of what is significant
_TICKS = (-1.0, -0.5, 0.0, 0.5, 1.0)  # of a colour bar, in units of the scale
_CAP_HEIGHT = 0.73  # of a letter, as a share of its font's size
_MM_TICKS = (-100, -50, 0, 50, 100)


def _colour_table(name: str) -> np.ndarray:
    """Sample a colour map at 256 values: uint8 (256, 4), RGBA."""
    return (matplotlib.colormaps[name](np.arange(256)) * 255).astype(np.uint8)


_DIVERGING = _colour_table("RdBu_r")
_SEQUENTIAL = _colour_table("Reds")
_MAGNITUDE = _colour_table("autumn")
_GREY = _colour_table("gray")
_OUTLINE = (255, 225, 0, 255)  # of what is significant: seen on grey, red and blue alike
_OVERLAY_GREY = 0.35  # under the overlay's colour bar


@dataclass(frozen=True)
class MapView:
    """Everything a map's figures show.

    Attributes
    ----------
    anatomy, attribution : ndarray
        float32 (n, height, width): the key slices, upright, without pad.
    slice_titles : sequence of str
        One for each key slice, such as ``slice 50, y = -30.0 mm``.
    title, subtitle : str
        Subject and method; prediction and truth.
    extent : tuple of float
        Edges (left, right, bottom, top) of a slice.
    in_mm : bool
        Whether `extent` is in mm of a known space, so that sides and coordinates can be marked.
    signed : bool
        Whether the map has negative values.
    unit : str
        The map's unit.
    scale : float
        Magnitude at which the colours saturate, for all slices; 0 for a map of zeros.
    window : tuple of float
        Intensities drawn black and white, for all slices.
    """

    anatomy: np.ndarray
    attribution: np.ndarray
    slice_titles: Sequence[str]
    title: str
    subtitle: str
    extent: tuple[float, float, float, float]
    in_mm: bool
    signed: bool
    unit: str
    scale: float
    window: tuple[float, float]


def colour_scale(attribution: np.ndarray) -> float:
    """Choose where a whole map's colours saturate.

    The 99.9th percentile of its magnitude (its maximum if that is zero), rounded up to two digits.
    0 for a map of zeros.
    """
    magnitude = np.abs(attribution).ravel()
    rank = min(int(_SCALE_PERCENTILE / 100 * magnitude.size), magnitude.size - 1)
    limit = float(np.partition(magnitude, rank)[rank]) or float(magnitude.max())
    if limit == 0:
        return 0.0
    unit = 10.0 ** (math.floor(math.log10(limit)) - 1)
    return math.ceil(limit / unit * (1 - 1e-9)) * unit


def intensity_window(network_input: np.ndarray) -> tuple[float, float]:
    """Choose the intensities drawn black and white for all slices of a scan, without pad."""
    sample = network_input[::2, ::2, ::2].ravel()
    rank = int(_WINDOW_PERCENTILE / 100 * (sample.size - 1))
    return float(sample.min()), float(np.partition(sample, rank)[rank])


def slice_figures(view: MapView) -> Iterator[np.ndarray]:
    """Draw each key slice in three panels: the slice, its attribution, the magnitude laid over it.

    Yields
    ------
    ndarray
        uint8 (height, width, 4), RGBA.
    """
    sheet = _slice_sheet(view.extent, view.in_mm, view.signed)
    sheet.set_scale("attribution", view.scale, view.unit, signed=view.signed)
    sheet.set_scale("magnitude", view.scale, view.unit, signed=False)
    sheet.set_window(view.window)
    background = sheet.draw({"title": view.title, "subtitle": view.subtitle})
    for index, slice_title in enumerate(view.slice_titles):
        picture = sheet.draw({"slice title": slice_title}, over=background)
        anatomy, attribution = _colours(view, index)
        overlay = _overlay(anatomy, np.abs(view.attribution[index]) / (view.scale or 1))
        sheet.paste(picture, (anatomy, attribution, overlay))
        yield picture


def summary_figure(view: MapView) -> np.ndarray:
    """Draw all key slices, anatomy above attribution; uint8 (height, width, 4), RGBA."""
    colours = [_colours(view, index) for index in range(len(view.slice_titles))]
    rows = {
        "slice": [anatomy for anatomy, _ in colours],
        "attribution": [shown for _, shown in colours],
    }
    return _montage(view, rows, [_Bar("attribution", _kind(view), view.scale, view.unit)])


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
    colours = [_colours(view, index) for index in range(len(view.slice_titles))]
    rows = {
        "mean scan": [anatomy for anatomy, _ in colours],
        "mean map": [shown for _, shown in colours],
        "mean magnitude": [
            _overlay(anatomy, slice_ / (magnitude_scale or 1))
            for (anatomy, _), slice_ in zip(colours, magnitude, strict=True)
        ],
    }
    bars = [
        _Bar("mean map", _kind(view), view.scale, view.unit),
        _Bar("mean magnitude", "overlay", magnitude_scale, view.unit),
    ]
    return _montage(view, rows, bars)


def difference_figure(
    view: MapView, score: np.ndarray, p: np.ndarray, threshold: float, significant: float
) -> np.ndarray:
    """Draw in what two groups differ at the key slices, fading what is not significant.

    Opacity grows with the square of the score and is full where that is significant, which a line surrounds
    (Taylor et al. 2023, Highlight results, don't hide them, NeuroImage).

    Parameters
    ----------
    view : MapView
        `attribution` is the difference of the means.
    score, p : ndarray
        As `view.attribution`: the test's statistic, and its corrected p-value.
    threshold, significant : float
        The score and the p from which a difference is significant.

    Returns
    -------
    ndarray
        uint8 (height, width, 4), RGBA.
    """
    colours = [_colours(view, index) for index in range(len(view.slice_titles))]
    full = _SCORE_SCALE * threshold
    rows = {
        "mean scan": [anatomy for anatomy, _ in colours],
        "difference": [shown for _, shown in colours],
        "score": [
            _highlighted(anatomy, slice_score / full, _SCORE_SCALE, slice_p <= significant)
            for (anatomy, _), slice_score, slice_p in zip(colours, score, p, strict=True)
        ],
    }
    bars = [
        _Bar("difference", "signed", view.scale, view.unit),
        _Bar("score", "signed", full, f"standard errors of HC; significant from {threshold:.1f}"),
    ]
    return _montage(view, rows, bars)


def _highlighted(
    under: np.ndarray, relative: np.ndarray, opaque_at: float, outlined: np.ndarray
) -> np.ndarray:
    """Lay a signed image (-1 to 1) over colours, full where over 1 / `opaque_at`, faded below.

    uint8, twice as high and wide, RGBA, with a line around what is `outlined`.
    """
    under, relative, outlined = (image.repeat(2, 0).repeat(2, 1) for image in (under, relative, outlined))
    opacity = np.clip(np.abs(relative) * opaque_at, 0, 1)[..., None] ** 2
    image = ((1 - opacity) * under + opacity * _lookup(_DIVERGING, (relative + 1) / 2)).astype(np.uint8)
    inner = outlined.copy()
    for axis in (0, 1):
        for step in (-1, 1):
            inner &= np.roll(outlined, step, axis)
    image[outlined & ~inner] = _OUTLINE
    return image


def _colours(view: MapView, index: int) -> tuple[np.ndarray, np.ndarray]:
    """Colour one slice's anatomy and attribution: uint8 (height, width, 4), RGBA each."""
    low, high = view.window
    grey = (view.anatomy[index] - low) / ((high - low) or 1)
    relative = view.attribution[index] / (view.scale or 1)
    table = _DIVERGING if view.signed else _SEQUENTIAL
    return _lookup(_GREY, grey), _lookup(table, (relative + 1) / 2 if view.signed else relative)


def _overlay(under: np.ndarray, magnitude: np.ndarray) -> np.ndarray:
    """Lay magnitude (0 to 1) over colours, its opacity growing with it."""
    opacity = np.clip(magnitude, 0, 1)[..., None]
    return ((1 - opacity) * under + opacity * _lookup(_MAGNITUDE, magnitude)).astype(np.uint8)


def _lookup(table: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Colour values from 0 to 1: (...) -> uint8 (..., 4)."""
    return table[(np.clip(values, 0, 1) * 255 + 0.5).astype(np.uint8)]


_TABLES = {
    "grey": _GREY,
    "signed": _DIVERGING,
    "unsigned": _SEQUENTIAL,
    "overlay": _overlay(_GREY[np.full(256, int(255 * _OVERLAY_GREY))], np.linspace(0, 1, 256)),
}


def _kind(view: MapView) -> str:
    return "signed" if view.signed else "unsigned"


class _Sheet:
    """A figure laid out once, in pixels from the top left: what changes is drawn over what does not."""

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self.figure = Figure(figsize=(width / _DPI, height / _DPI), dpi=_DPI)
        self.canvas = FigureCanvasAgg(self.figure)
        self._panels: list[tuple[int, int, int, int]] = []  # x, y, width, height
        self._texts: dict[str, _Text] = {}
        self._labels: dict[str, str] = {}  # of the colour bars

    @cached_property
    def _static(self) -> np.ndarray:
        """What does not change, uint8 (height, width, 4)."""
        self.canvas.draw()
        return np.array(self.canvas.buffer_rgba())

    def axes(self, x: int, y: int, width: int, height: int) -> Axes:
        """Place axes without ticks."""
        bottom = self.height - y - height
        box = (x / self.width, bottom / self.height, width / self.width, height / self.height)
        return self.figure.add_axes(box, xticks=[], yticks=[])

    def text(self, name: str, x: float, y: float, **style: object) -> None:
        """Place a text that changes, its top at `y`; `style` as of `_Text`."""
        self._texts[name] = _Text(x, y, **style)

    def static_text(self, text: str, x: float, y: float, **style: object) -> None:
        """Place a text that does not change, its top at `y`; `style` as of matplotlib's Text."""
        self.figure.text(x / self.width, 1 - y / self.height, text, va="top", **style)

    def panel(self, x: int, y: int, width: int, height: int) -> Axes:
        """Place an image that changes; returns axes of its size, for ticks and labels."""
        self._panels.append((x, y, width, height))
        axes = self.axes(x, y, width, height)
        axes.spines[:].set_visible(False)
        return axes

    def sides(self, x: int, y: int, width: int) -> None:
        """Mark left and right above a panel's corners."""
        style = {"fontsize": 12, "fontweight": "bold"}
        self.static_text("L", x, y, ha="left", **style)
        self.static_text("R", x + width, y, ha="right", **style)

    def colour_bar(self, name: str, x: int, y: int, width: int, kind: str) -> None:
        """Place a horizontal colour bar, of a kind in `_TABLES`, whose tick labels and unit change."""
        self.axes(x, y, width, 12).imshow(_TABLES[kind][None], aspect="auto", interpolation="nearest")
        n_ticks = {"grey": 2, "signed": len(_TICKS)}.get(kind, len(_TICKS[2:]))
        for tick in range(n_ticks):
            place = x + width * tick / (n_ticks - 1)
            self.text(f"{name} tick {tick}", place, y + 17, size=12, align="m")
        self.text(f"{name} unit", x + width / 2, y + 35, size=12, align="m")

    def set_scale(self, name: str, scale: float, unit: str, *, signed: bool) -> None:
        """Label a colour bar that ends at `scale`, where colours saturate."""
        exponent = math.floor(math.log10(scale)) if scale else 0
        exponent = 0 if -1 <= exponent <= 2 else exponent
        factor = f"10{str(exponent).translate(_SUPERSCRIPTS)} " if exponent else ""
        for index, tick in enumerate(_TICKS if signed else _TICKS[2:]):
            bound = {-1.0: "≤ ", 1.0: "≥ "}.get(tick, "") if scale else ""
            value = f"{tick * scale / 10.0**exponent:.3g}".replace("-", "\N{MINUS SIGN}")
            self._labels[f"{name} tick {index}"] = bound + value
        self._labels[f"{name} unit"] = f"{name} ({factor}{unit})" if scale else f"{name}: zero everywhere"

    def set_window(self, window: tuple[float, float]) -> None:
        """Label the grey bar with a scan's intensity window."""
        for index, (bound, value) in enumerate(zip(("≤", "≥"), window, strict=True)):
            text = f"{bound} {value:.2g}".replace("-", "\N{MINUS SIGN}")
            self._labels[f"intensity tick {index}"] = text
        self._labels["intensity unit"] = "network input (standard deviations)"

    def draw(self, texts: dict[str, str], over: np.ndarray | None = None) -> np.ndarray:
        """Draw texts over a picture this sheet drew, or over what does not change, with the labels.

        uint8 (height, width, 4), RGBA.
        """
        if over is None:
            texts = texts | self._labels
        image = Image.fromarray(self._static if over is None else over)
        canvas = ImageDraw.Draw(image)
        for name, text in texts.items():
            self._texts[name].draw(text, canvas)
        return np.array(image)

    def paste(self, picture: np.ndarray, images: Sequence[np.ndarray]) -> None:
        """Put images into the panels, pixel for pixel, in place."""
        pixels = picture.view(np.uint32)[..., 0]  # a pixel's four bytes as one number
        for (x, y, width, height), image in zip(self._panels, images, strict=True):
            rows = np.arange(height) * image.shape[0] // height
            columns = np.arange(width) * image.shape[1] // width
            enlarged = image.view(np.uint32)[..., 0][rows[:, None], columns]
            pixels[y : y + height, x : x + width] = enlarged


@dataclass(frozen=True)
class _Text:
    """Where and how a text that changes is written: sizes in pixels, `align` l, m or r of `x`."""

    x: float
    y: float
    size: int
    align: str = "l"
    bold: bool = False

    def draw(self, text: str, canvas: ImageDraw.ImageDraw) -> None:
        """Write it in black."""
        baseline = self.y + _CAP_HEIGHT * self.size
        canvas.text((self.x, baseline), text, (0, 0, 0), _font(self.size, self.bold), f"{self.align}s")


@lru_cache
def _font(size: int, bold: bool) -> ImageFont.FreeTypeFont:
    name = FontProperties(family="DejaVu Sans", weight="bold" if bold else "normal")  # matplotlib brings it
    return ImageFont.truetype(findfont(name), size, layout_engine=ImageFont.Layout.BASIC)


_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def _panel_height(extent: tuple, width: int) -> int:
    left, right, bottom, top = extent
    return round(width * (top - bottom) / (right - left))


@lru_cache(maxsize=8)
def _slice_sheet(extent: tuple, in_mm: bool, signed: bool) -> _Sheet:
    size, gap, left, top = _SLICE_PANEL_PX, 24, 56, 84
    height = _panel_height(extent, size)
    sheet = _Sheet(left + 3 * (size + gap), top + height + 88)
    sheet.text("title", left, 8, size=18, bold=True)
    sheet.text("slice title", left + 3 * size + 2 * gap, 8, size=18, bold=True, align="r")
    sheet.text("subtitle", left, 33, size=15)
    panels = (
        ("slice", "intensity", "grey"),
        ("attribution", "attribution", "signed" if signed else "unsigned"),
        ("magnitude over the slice", "magnitude", "overlay"),
    )
    for index, (title, bar, kind) in enumerate(panels):
        x = left + index * (size + gap)
        axes = sheet.panel(x, top, size, height)
        sheet.static_text(title, x + size / 2, top - 24, ha="center", fontsize=11)
        if in_mm:
            sheet.sides(x, top - 24, size)
            _mark_mm(axes, extent, with_z=index == 0)
        sheet.colour_bar(bar, x + 44, top + height + 32, size - 88, kind)
    return sheet


@dataclass(frozen=True)
class _Bar:
    """A colour bar: the row or panel it belongs to, its kind in `_TABLES`, its end and unit."""

    name: str
    kind: str
    scale: float
    unit: str


def _montage(view: MapView, rows: dict[str, list[np.ndarray]], bars: list[_Bar]) -> np.ndarray:
    """Draw rows of images, one for each key slice: uint8 (height, width, 4), RGBA."""
    kinds = tuple((bar.name, bar.kind) for bar in bars)
    sheet = _montage_sheet(tuple(view.slice_titles), view.extent, view.in_mm, tuple(rows), kinds)
    for bar in bars:
        sheet.set_scale(bar.name, bar.scale, bar.unit, signed=bar.kind == "signed")
    picture = sheet.draw({"title": view.title, "subtitle": view.subtitle})
    sheet.paste(picture, [image for of_slice in zip(*rows.values(), strict=True) for image in of_slice])
    return picture


@lru_cache(maxsize=8)
def _montage_sheet(slice_titles: tuple, extent: tuple, in_mm: bool, rows: tuple, bars: tuple) -> _Sheet:
    size, gap, left, top = _SUMMARY_PANEL_PX, 6, 30, 62
    height = _panel_height(extent, size)
    columns = min(len(slice_titles), _SUMMARY_COLUMNS)
    blocks = math.ceil(len(slice_titles) / _SUMMARY_COLUMNS)
    block_height = 44 + len(rows) * (height + gap)
    width = max(2 * left + columns * (size + gap), 800)  # never narrower than its texts
    sheet = _Sheet(width, top + blocks * block_height + 68)
    sheet.text("title", left, 8, size=18, bold=True)
    sheet.text("subtitle", left, 33, size=15)
    for index, slice_title in enumerate(slice_titles):
        block, column = divmod(index, _SUMMARY_COLUMNS)
        x, y = left + column * (size + gap), top + block * block_height
        title = slice_title.replace(", ", "\n")
        sheet.static_text(title, x + size / 2, y, fontsize=10, ha="center", linespacing=1.1)
        if in_mm:
            sheet.sides(x, y + 15, size)
        for row, name in enumerate(rows):
            axes = sheet.panel(x, y + 36 + row * (height + gap), size, height)
            if column == 0:
                axes.set_ylabel(name, fontsize=11)
    bar_y = top + blocks * block_height + 4
    bar_width = 440 if len(bars) == 1 else 300
    for index, (name, kind) in enumerate(bars):
        middle = width * (2 * index + 1) // (2 * len(bars))
        sheet.colour_bar(name, middle - bar_width // 2, bar_y, bar_width, kind)
    return sheet


def _mark_mm(axes: Axes, extent: tuple, with_z: bool) -> None:
    left, right, bottom, top = extent
    axes.set(xlim=(left, right), ylim=(bottom, top))
    axes.set_xticks([tick for tick in _MM_TICKS if left < tick < right])
    axes.tick_params(labelsize=8, length=3, pad=2)
    axes.set_xlabel("x (mm)", fontsize=8, labelpad=0)
    if with_z:
        axes.set_yticks([tick for tick in _MM_TICKS if bottom < tick < top])
        axes.set_ylabel("z (mm)", fontsize=8, labelpad=0)


_CLASS_COLOURS = {"HC": "#3b6ea5", "TLE": "#c2452d"}
_MAX_JITTERED_POINTS = 80  # more points than this hide the box beneath


def cohort_figure(
    statistics: pd.DataFrame,
    profiles: dict[tuple[str, str], np.ndarray],
    agreement: pd.DataFrame,
    correlations: dict[str, float],
) -> Figure:
    """Draw what a cohort's maps show, in six panels.

    Parameters
    ----------
    statistics : DataFrame
        A row a map, with `method`, `class` ("HC" or "TLE"), `abs_mean`, `confidence`,
        `brain_share`.
    profiles : dict
        (method, class) -> float64 (n_slices,), the class's mean share of magnitude by slice.
    agreement : DataFrame
        Methods by methods: mean rank correlation of their maps of a scan.
    correlations : dict
        Method -> rank correlation of `confidence` and `abs_mean`; NaN where undefined.

    Returns
    -------
    Figure
        15 x 9.5 inches, not attached to pyplot.
    """
    methods = list(agreement.columns)
    figure = Figure(figsize=(15, 9.5), dpi=_DPI)
    FigureCanvasAgg(figure)
    axes = figure.subplots(2, 3)
    # fixed: a layout engine would draw everything twice
    figure.subplots_adjust(left=0.06, right=0.98, bottom=0.09, top=0.9, wspace=0.34, hspace=0.38)
    counts = statistics.drop_duplicates("subject_id")["class"].value_counts()
    parts = [f"{counts.get(name, 0)} {name}" for name in _CLASS_COLOURS]
    figure.suptitle(f"Attributions of {counts.sum()} scans ({', '.join(parts)})", fontsize=14)
    _boxes_by_method(axes[0, 0], statistics, methods, "abs_mean")
    if (statistics["abs_mean"] > 0).any():
        axes[0, 0].set_yscale("log")
    axes[0, 0].set_title("Attribution strength by method")
    axes[0, 0].set_ylabel("mean |attribution| (each method's own unit)")
    _confidence_against_strength(axes[0, 1], statistics, correlations)
    _classes_by_method(axes[0, 2], statistics, methods)
    _profiles(axes[1, 0], profiles, methods)
    _agreement(axes[1, 1], agreement)
    _boxes_by_method(axes[1, 2], statistics, methods, "brain_share")
    axes[1, 2].set_ylim(0, 1.02)
    axes[1, 2].set_title("Attribution inside the brain")
    axes[1, 2].set_ylabel("share of summed |attribution|")
    return figure


def _label(method: str) -> str:
    return method.replace("integrated_gradients", "integrated\ngradients").replace("_", " ")


def _method_colour(index: int) -> str:
    return f"C{index}"


def _method_ticks(axes: Axes, methods: Sequence[str]) -> None:
    axes.set_xticks(range(len(methods)), [_label(method) for method in methods])
    axes.tick_params(axis="x", rotation=35 if len(methods) > 3 else 0, labelsize=9)
    axes.set_xlim(-0.5, len(methods) - 0.5)


def _box(
    axes: Axes, values: np.ndarray, place: float, width: float, colour: str, *, vertical: bool = True
) -> None:
    values = values[np.isfinite(values)]
    if len(values) > 2:
        axes.boxplot(
            [values], positions=[place], widths=width, showfliers=len(values) > _MAX_JITTERED_POINTS,
            flierprops={"markersize": 2}, medianprops={"color": "black"}, manage_ticks=False,
            patch_artist=True, boxprops={"facecolor": (colour, 0.3)},
            orientation="vertical" if vertical else "horizontal",
        )  # fmt: skip
    if 0 < len(values) <= _MAX_JITTERED_POINTS:
        jitter = np.random.default_rng(0).uniform(-0.25, 0.25, len(values)) * width
        points = (place + jitter, values) if vertical else (values, place + jitter)
        axes.scatter(*points, s=14, color=colour, alpha=0.7, linewidths=0, zorder=3)


def _boxes_by_method(axes: Axes, statistics: pd.DataFrame, methods: Sequence[str], column: str) -> None:
    for index, method in enumerate(methods):
        values = statistics.loc[statistics["method"] == method, column].to_numpy(float)
        _box(axes, values, index, 0.5, _method_colour(index))
    _method_ticks(axes, methods)


def _confidence_against_strength(
    axes: Axes, statistics: pd.DataFrame, correlations: dict[str, float]
) -> None:
    for index, (method, rho) in enumerate(correlations.items()):
        rows = statistics[statistics["method"] == method]
        strength = _relative_strength(rows)
        shown = f"ρ = {rho:+.2f}".replace("-", "\N{MINUS SIGN}") if np.isfinite(rho) else "ρ undefined"
        axes.scatter(
            rows["confidence"], strength, s=max(6, 24 - len(rows) / 20), alpha=0.6, linewidths=0,
            color=_method_colour(index), label=f"{method.replace('_', ' ')}: {shown}",
        )  # fmt: skip
    low, high = axes.get_ylim()
    axes.set_ylim(min(low, 0), high + 0.09 * (len(correlations) + 1) * (high - min(low, 0)))
    axes.legend(fontsize=8, loc="upper left", title="Spearman's rank correlation", title_fontsize=8)
    # confidences that all round to 1 are drawn at 1, not spread over a range of 1e-6
    least = min(statistics["confidence"].min(), 0.99)
    axes.set_xlim(least - 0.05 * (1 - least), 1 + 0.05 * (1 - least))
    axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.set_title("Confidence against attribution strength")
    axes.set_xlabel("probability of the predicted class")
    axes.set_ylabel("mean |attribution| over its method's median")


def _classes_by_method(axes: Axes, statistics: pd.DataFrame, methods: Sequence[str]) -> None:
    for index, method in enumerate(methods):
        rows = statistics[statistics["method"] == method]
        strength = _relative_strength(rows)
        for offset, (name, colour) in zip((-0.2, 0.2), _CLASS_COLOURS.items(), strict=True):
            _box(axes, strength[(rows["class"] == name).to_numpy()], index + offset, 0.32, colour)
    for name, colour in _CLASS_COLOURS.items():
        axes.scatter([], [], s=24, color=colour, label=name)
    axes.legend(fontsize=9)
    _method_ticks(axes, methods)
    axes.set_title("HC against TLE (true class)")
    axes.set_ylabel("mean |attribution| over its method's median")


def _relative_strength(rows: pd.DataFrame) -> np.ndarray:
    strength = rows["abs_mean"].to_numpy(float)
    return strength / (np.median(strength) or 1) if len(strength) else strength


def _profiles(axes: Axes, profiles: dict[tuple[str, str], np.ndarray], methods: Sequence[str]) -> None:
    styles = {"HC": "--", "TLE": "-"}
    for (method, name), profile in profiles.items():
        colour = _method_colour(methods.index(method))
        axes.plot(100 * profile, styles[name], color=colour, linewidth=1.3)
    for name, style in styles.items():
        axes.plot([], [], style, color="black", label=name)
    for index, method in enumerate(methods):
        axes.plot([], [], color=_method_colour(index), label=method.replace("_", " "))
    axes.legend(fontsize=8, ncols=2)
    axes.set_ylim(bottom=0)
    axes.set_title("Attribution along the slices (class means)")
    axes.set_xlabel("network slice (posterior to anterior)")
    axes.set_ylabel("share of summed |attribution| (%)")


def _agreement(axes: Axes, agreement: pd.DataFrame) -> None:
    values = agreement.to_numpy()
    image = axes.imshow(values, vmin=-1, vmax=1, cmap="PuOr_r")
    for row, column in np.ndindex(values.shape):
        value = values[row, column]
        text = f"{value:.2f}".replace("-", "\N{MINUS SIGN}") if np.isfinite(value) else "–"
        colour = "white" if abs(value) > 0.65 else "black"
        axes.text(column, row, text, ha="center", va="center", fontsize=9, color=colour)
    _method_ticks(axes, list(agreement.columns))
    axes.set_yticks(range(len(agreement)), [_label(name) for name in agreement.index], fontsize=9)
    axes.figure.colorbar(image, ax=axes, shrink=0.8)
    axes.set_title("Agreement of methods\n(mean rank correlation of |attribution|)", fontsize=11)


_GROUP_COLOURS = {"HC": _CLASS_COLOURS["HC"], "left": "#c2452d", "right": "#d9992b"}


def region_figure(regions: pd.DataFrame, densest: dict[str, Sequence[str]]) -> Figure:
    """Draw the density of the densest regions, a panel a method, by diagnosis.

    Parameters
    ----------
    regions : DataFrame
        A row a scan, method and region, with `method`, `region`, `diagnosis`, `density`.
    densest : dict
        Method -> the regions to draw, in order.
    """
    methods = list(densest)
    columns = min(len(methods), 3)
    n_rows = math.ceil(len(methods) / columns)
    figure = Figure(figsize=(6.4 * columns + 1, 5.4 * n_rows), dpi=_DPI, layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle("Regions of the highest |attribution| a voxel, over the brain's", fontsize=14)
    for axes, method in zip(figure.subplots(n_rows, columns, squeeze=False).flat, methods, strict=False):
        rows = regions[regions["method"] == method]
        top = densest[method]
        diagnoses = [name for name in _GROUP_COLOURS if (rows["diagnosis"] == name).any()]
        for place, region in enumerate(top):
            for index, name in enumerate(diagnoses):
                of_group = rows[(rows["region"] == region) & (rows["diagnosis"] == name)]["density"]
                offset = 0.26 * (index - (len(diagnoses) - 1) / 2)
                _box(
                    axes, of_group.to_numpy(float), place + offset, 0.2, _GROUP_COLOURS[name], vertical=False
                )
        for name in diagnoses:
            axes.scatter([], [], s=24, color=_GROUP_COLOURS[name], label=name)
        axes.axvline(1, color="0.5", linewidth=1, linestyle=":")
        axes.set_yticks(range(len(top)), [region[:40] for region in top], fontsize=9)
        axes.set_ylim(len(top) - 0.4, -0.6)
        axes.set_title(method.replace("_", " "))
        axes.set_xlabel("density (1: as everywhere in the brain)")
        axes.legend(fontsize=9, loc="lower right")
    return figure


def check_figure(
    means: pd.Series,
    lines: pd.Series,
    curves: dict[str, dict[str, pd.Series]],
    areas: dict[str, dict[str, dict[str, float]]],
) -> Figure:
    """Draw the checks of the maps, in six panels.

    Parameters
    ----------
    means : Series
        Means over scans of the similarities, indexed by check, method, step, measure.
    lines : Series
        Pass lines, indexed by method and measure.
    curves : dict
        "deletion" and "insertion" -> {order's name: curve by percentage of voxels}.
    areas : dict
        Method -> "random" and "intensity" -> {"deletion", "insertion": area between its curve and
        that order's}.
    """
    methods = list(areas)
    figure = Figure(figsize=(15, 9.5), dpi=_DPI, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(2, 3)
    for panel, measure, what in ((axes[0, 0], "signed", "values"), (axes[0, 1], "absolute", "magnitudes")):
        _cascade(panel, means, lines, methods, measure)
        panel.set_title(f"Weights shuffled: rank correlation of {what}")
    _repeats(axes[0, 2], means, lines, methods)
    for panel, check, title in (
        (axes[1, 0], "deletion", "Most attributed voxels replaced (low is good)"),
        (axes[1, 1], "insertion", "Most attributed voxels shown (high is good)"),
    ):
        styles = {method: (_method_colour(index), "-") for index, method in enumerate(methods)}
        styles |= {"random": ("black", ":"), "intensity": ("0.5", "--")}
        for name, (colour, style) in styles.items():
            drawn = curves[check][name]
            label = name.replace("_", " ")
            panel.plot(drawn.index, drawn, style, color=colour, label=label, linewidth=1.4)
        panel.set_xlabel("voxels (%)")
        panel.set_ylabel("logit, from baseline (0) to scan (1)")
        panel.set_title(title)
        panel.legend(fontsize=8)
    _areas(axes[1, 2], areas)
    return figure


_PAIR_GREYS = ("0.45", "0.75")


def _areas(axes: Axes, areas: dict[str, dict[str, dict[str, float]]]) -> None:
    bars = [(order, check) for order in ("random", "intensity") for check in ("deletion", "insertion")]
    for index, (order, check) in enumerate(bars):
        places = np.arange(len(areas)) + 0.2 * (index - 1.5)
        heights = [of_method[order][check] for of_method in areas.values()]
        colour = _PAIR_GREYS[check == "insertion"]
        axes.bar(
            places, heights, 0.17, label=f"{check}, {order}", edgecolor=colour,
            facecolor=colour if order == "random" else "white",
        )  # fmt: skip
    axes.axhline(0, color="black", linewidth=0.8)
    axes.set_title("Area to another order (above 0: better)")
    axes.legend(fontsize=8)
    _method_ticks(axes, list(areas))


def _cascade(axes: Axes, means: pd.Series, lines: pd.Series, methods: Sequence[str], measure: str) -> None:
    for index, method in enumerate(methods):
        similarity = means.xs(("weights", method, measure), level=("check", "method", "measure"))
        colour, places = _method_colour(index), np.arange(len(similarity) + 1)
        axes.plot(places, [1, *similarity], "o-", color=colour, markersize=4, label=method.replace("_", " "))
        axes.axhline(lines[method, measure], color=colour, linestyle="--", linewidth=1)
    axes.plot([], [], "--", color="black", label="different subjects (pass line)")
    blocks = [step.replace("features.", "") for step in similarity.index]
    axes.set_xticks(places, ["none", *blocks], fontsize=8, rotation=45)
    axes.set_xlabel("block shuffled last, from the head down")
    axes.legend(fontsize=8)


def _repeats(axes: Axes, means: pd.Series, lines: pd.Series, methods: Sequence[str]) -> None:
    made = {(check, method) for check, method, *_ in means.index}
    for offset, (check, name) in enumerate((("noise", "a little noise"), ("seed", "another seed"))):
        there = [index for index, method in enumerate(methods) if (check, method) in made]
        if there:
            places = np.array(there) + 0.36 * (offset - 0.5)
            of_check = means.xs((check, "absolute"), level=("check", "measure")).droplevel("step")
            heights = [of_check[methods[index]] for index in there]
            axes.bar(places, heights, 0.34, label=name, color=_PAIR_GREYS[offset])
    for index, method in enumerate(methods):
        axes.hlines(lines[method, "absolute"], index - 0.4, index + 0.4, color="black", linestyle="--")
    axes.plot([], [], "--", color="black", label="different subjects")
    axes.set_ylim(0, 1.18)
    axes.legend(fontsize=8, loc="upper center", ncols=3)
    axes.set_title("The same scan again: rank correlation of magnitudes")
    _method_ticks(axes, methods)
