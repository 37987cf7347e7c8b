"""The figures of one map, and the montage that figures of groups share."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from mri_saliency.inputs.grid import Grid, upright
from mri_saliency.maps.colours import (
    DIVERGING,
    GREY,
    SEQUENTIAL,
    ColourScale,
    lookup,
    measure_scale,
    overlay,
    overlay_colours,
)
from mri_saliency.maps.drawing import Drawing
from mri_saliency.maps.layouts import montage_sheet, slice_sheet
from mri_saliency.maps.sheet import Bar, bar_labels, fitted, window_labels
from mri_saliency.maps.smoothing import smoothed
from mri_saliency.maps.statistics import MapStatistics
from mri_saliency.methods import METHODS
from mri_saliency.wording import DEFAULT_CLASS_NAMES, ClassNames, demo_mark

if TYPE_CHECKING:
    from mri_saliency.inputs.loading import ScanContext

_MAX_SUBJECT_ID, _MAX_BASELINE = 32, 24  # characters in a title
_SMOOTH_ENOUGH_MM = 4.0  # from here on, every second voxel tells how strong a map is
_TITLE_PX, _SUBTITLE_PX = 18, 15  # as `mri_saliency.maps.layouts` writes them
_SLICE_MARGINS_PX, _MONTAGE_MARGINS_PX = 56 + 24, 2 * 30  # left and right of the texts


@dataclass(frozen=True, eq=False)
class Layer:
    """A map as figures show it.

    Attributes
    ----------
    values : ndarray
        float32 (n, height, width): the key slices, upright, without pad.
    scale : ColourScale
        Where colours saturate, in all slices.
    """

    values: np.ndarray
    scale: ColourScale

    @property
    def relative(self) -> np.ndarray:
        """The values over the scale's limit."""
        return self.values / (self.scale.limit or 1)

    def bar(self, name: str, kind: str, unit: str) -> Bar:
        """Return the layer's colour bar."""
        return Bar(name, kind, self.scale.limit, unit, beyond=(self.scale.saturated, self.scale.maximum))


@dataclass(frozen=True)
class Look:
    """How a map is drawn, as far as it depends on the map.

    Attributes
    ----------
    scale, smooth_scale : ColourScale
        Of the map, and of the smoothed map.
    smooth_mm : float
        Full width at half maximum of the smoothing; 0: none.
    telling_slice : int
        As in `Drawing`.
    """

    scale: ColourScale
    smooth_scale: ColourScale
    smooth_mm: float
    telling_slice: int

    @property
    def drawing(self) -> Drawing:
        """What the map's record has of it."""
        return Drawing(self.scale.limit, self.smooth_scale.limit, self.smooth_mm, self.telling_slice)


def choose_look(values: np.ndarray, brain: np.ndarray, grid: Grid, smooth_mm: float) -> Look:
    """Return how a map is drawn.

    Parameters
    ----------
    values : ndarray
        float32 (n_slices, 112, 112): the map without pad.
    brain : ndarray
        bool, the same shape.
    grid : Grid
    smooth_mm : float
    """
    step = 2 if smooth_mm >= _SMOOTH_ENOUGH_MM else 1
    smooth, inside = smoothed(values, grid, smooth_mm, step=step), brain[::step, ::step, ::step]
    peaks = np.abs(smooth).max(axis=(1, 2), where=inside, initial=0)
    return Look(
        scale=measure_scale(values, brain),
        smooth_scale=measure_scale(smooth, inside, is_smooth=True),
        smooth_mm=smooth_mm,
        telling_slice=step * int(peaks.argmax()) if peaks.any() else len(values) // 2,
    )


@dataclass(frozen=True, eq=False)
class View:
    """What figures of maps on one anatomy show besides the maps.

    Attributes
    ----------
    anatomy : ndarray
        uint8 (n, height, width): the key slices' greys, upright, without pad.
    slice_titles : sequence of str
        One for each key slice, such as ``slice 50, y = -30.0 mm``.
    title, subtitle : str
        Subject and method; prediction, truth and what is unusual about the scan. Figures cut what
        does not fit.
    extent : tuple of float
        Edges (left, right, bottom, top) of a slice.
    in_mm : bool
        Whether `extent` is in mm of a known space, so that sides and coordinates can be marked.
    signed : bool
        Whether maps have negative values.
    unit : str
        The maps' unit.
    window : tuple of float
        Intensities drawn black and white.
    """

    anatomy: np.ndarray
    slice_titles: Sequence[str]
    title: str
    subtitle: str
    extent: tuple[float, float, float, float]
    in_mm: bool
    signed: bool
    unit: str
    window: tuple[float, float]

    @property
    def kind(self) -> str:
        """The kind of a map's colour bar in `BAR_COLOURS`; that of an overlay is ``KIND overlay``."""
        return "signed" if self.signed else "unsigned"

    def greys(self) -> list[np.ndarray]:
        """Return the key slices' anatomy: uint8 (height, width, 4) each, RGBA."""
        return list(GREY[self.anatomy])

    def colours(self, layer: Layer) -> list[np.ndarray]:
        """Return a map's key slices: uint8 (height, width, 4) each, RGBA."""
        relative = layer.relative
        return list(lookup(DIVERGING, (relative + 1) / 2) if self.signed else lookup(SEQUENTIAL, relative))

    def overlays(self, layer: Layer) -> list[np.ndarray]:
        """Return a map over the anatomy of the key slices: uint8 (height, width, 4) each, RGBA."""
        return list(overlay(GREY[self.anatomy], layer.relative))


@dataclass(frozen=True, eq=False)
class MapView:
    """Everything a scan's figures show.

    Attributes
    ----------
    view : View
    attribution, smooth : Layer
        The map, and the map smoothed.
    smooth_mm : float
        Full width at half maximum of the smoothing; 0: none.
    """

    view: View
    attribution: Layer
    smooth: Layer
    smooth_mm: float

    @cached_property
    def rows(self) -> tuple[list[np.ndarray], ...]:
        """The key slices' anatomy, attribution, and overlay: lists of uint8 (height, width, 4), RGBA."""
        view = self.view
        return view.greys(), view.colours(self.attribution), view.overlays(self.smooth)


def smoothing_words(smooth_mm: float) -> str:
    """Return how an overlay was smoothed, in words."""
    return f"smoothed by {smooth_mm:g} mm" if smooth_mm else "not smoothed"


def map_view(
    context: ScanContext,
    values: np.ndarray,
    statistics: MapStatistics,
    look: Look,
    *,
    key_slices: Sequence[int],
    n_logits: int,
    class_names: ClassNames = DEFAULT_CLASS_NAMES,
) -> MapView:  # seven parameters: a map's parts, and what decides how it is drawn
    """Return what the figures of a scan's map show.

    Parameters
    ----------
    context : ScanContext
        The scan, with its greys.
    values : ndarray
        float32 (n_slices, 112, 112): the map without pad.
    statistics : MapStatistics
        The map's row of statistics.
    look : Look
        From `choose_look`.
    key_slices : sequence of int
        The slices to draw.
    n_logits : int
        The network's number of logits; classes of three or more are numbered.
    class_names : ClassNames
        What the classes of one or two logits are called.
    """
    grid, method, chosen = context.grid, METHODS[statistics.method], list(key_slices)
    in_mm = grid.affine is not None
    reference = f" from {_shortened(statistics.baseline, _MAX_BASELINE)}" if statistics.baseline else ""
    view = View(
        anatomy=upright(context.greys[chosen], grid),
        slice_titles=grid.slice_titles(chosen),
        title=f"{_shortened(statistics.subject_id, _MAX_SUBJECT_ID)}   {method.name}{reference}",
        subtitle=demo_mark([statistics.subject_id])
        + _prediction_in_words(statistics, n_logits, class_names)
        + _caveats(statistics, in_mm),
        extent=grid.extent,
        in_mm=in_mm,
        signed=method.signed,
        unit=method.unit,
        window=context.window,
    )
    smooth = smoothed(values, grid, look.smooth_mm, chosen)
    return MapView(
        view,
        attribution=Layer(upright(values[chosen], grid), look.scale),
        smooth=Layer(upright(smooth, grid), look.smooth_scale),
        smooth_mm=look.smooth_mm,
    )


def slice_figures(shown: MapView) -> Iterator[np.ndarray]:
    """Draw each key slice in three panels: the slice, its attribution, the smoothed map over the slice.

    Yields
    ------
    ndarray
        uint8 (height, width, 4), RGBA.
    """
    view, kind = shown.view, shown.view.kind
    overlay_title = f"{smoothing_words(shown.smooth_mm)}, over the slice"
    sheet = slice_sheet(view.extent, view.in_mm, view.signed, overlay_title)
    subtitle = fitted(view.subtitle, sheet.width - _SLICE_MARGINS_PX, _SUBTITLE_PX)
    background = sheet.draw(
        {"title": view.title, "subtitle": subtitle}
        | window_labels("intensity", view.window)
        | bar_labels(shown.attribution.bar("attribution", kind, view.unit))
        | bar_labels(shown.smooth.bar("overlay", f"{kind} overlay", view.unit))
    )
    for slice_title, *images in zip(view.slice_titles, *shown.rows, strict=True):
        picture = sheet.draw({"slice title": slice_title}, over=background)
        sheet.paste(picture, images)
        yield picture


def summary_figure(shown: MapView) -> np.ndarray:
    """Draw all key slices: the anatomy, the attribution, and the smoothed map over the anatomy.

    Returns
    -------
    ndarray
        uint8 (height, width, 4), RGBA.
    """
    view, overlay_name = shown.view, smoothing_words(shown.smooth_mm)
    rows = dict(zip(("slice", "attribution", overlay_name), shown.rows, strict=True))
    bars = [
        shown.attribution.bar("attribution", view.kind, view.unit),
        shown.smooth.bar(overlay_name, f"{view.kind} overlay", view.unit),
    ]
    return montage(view, rows, bars)


def thumbnail(context: ScanContext, values: np.ndarray, look: Look) -> np.ndarray:
    """Draw the most telling slice: on the left its anatomy, on the right the smoothed map alone.

    Parameters
    ----------
    context : ScanContext
    values : ndarray
        float32 (n_slices, 112, 112): the map without pad.
    look : Look

    Returns
    -------
    ndarray
        uint8 (height, 2 width, 4), RGBA; the right half is transparent where the map is 0.
    """
    grid, chosen = context.grid, [look.telling_slice]
    [anatomy] = upright(context.greys[chosen], grid)
    [smooth] = upright(smoothed(values, grid, look.smooth_mm, chosen), grid)
    return np.hstack([GREY[anatomy], overlay_colours(smooth / (look.smooth_scale.limit or 1))])


def montage(view: View, rows: dict[str, list[np.ndarray]], bars: Sequence[Bar]) -> np.ndarray:
    """Draw rows of images under the titles of a view, a column for each key slice.

    Parameters
    ----------
    view : View
        Its titles, extent and sides are drawn.
    rows : dict
        Title of a row -> its images, uint8 (height, width, 4), one for each key slice.
    bars : sequence of Bar

    Returns
    -------
    ndarray
        uint8 (height, width, 4), RGBA.
    """
    kinds = tuple((bar.name, bar.kind) for bar in bars)
    sheet = montage_sheet(tuple(view.slice_titles), view.extent, view.in_mm, tuple(rows), kinds)
    width = sheet.width - _MONTAGE_MARGINS_PX
    texts = {
        "title": fitted(view.title, width, _TITLE_PX, bold=True),
        "subtitle": fitted(view.subtitle, width, _SUBTITLE_PX),
    }
    for bar in bars:
        texts |= bar_labels(bar)
    picture = sheet.draw(texts)
    columns = zip(*rows.values(), strict=True)
    sheet.paste(picture, [image for column in columns for image in column])
    return picture


def _prediction_in_words(statistics: MapStatistics, n_logits: int, class_names: ClassNames) -> str:
    """Describe prediction, truth and, with several logits, the explained class."""
    hc, tle = class_names.hc, class_names.tle
    names = (hc, tle) if n_logits <= 2 else [f"class {index}" for index in range(n_logits)]
    side = f" ({statistics.diagnosis})" if statistics.diagnosis in ("left", "right") else ""
    truth = tle + side if statistics.is_tle else hc
    return (
        f"predicted {names[statistics.predicted_label]} with {statistics.confidence:.1%} confidence; "
        f"true diagnosis {truth}" + (f"; explains {names[statistics.target]}" if n_logits > 1 else "")
    )


def _caveats(statistics: MapStatistics, in_mm: bool) -> str:
    """Describe what is unusual about the scan, as the end of a subtitle; the longest comes last."""
    caveats = [] if in_mm else ["no affine: sides unknown"]
    if statistics.input_warning:
        caveats.append(f"warning: {' '.join(statistics.input_warning.split())}")
    return "".join(f"; {caveat}" for caveat in caveats)


def _shortened(text: str, length: int) -> str:
    """Replace the middle of a text that is longer than `length` by an ellipsis."""
    half = (length - 1) // 2
    return text if len(text) <= length else f"{text[:half]}…{text[-half:]}"
