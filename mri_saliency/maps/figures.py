"""The figures of one map, and the montage that figures of groups share."""

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
    colour_scale,
    lookup,
    overlay,
    overlay_colours,
)
from mri_saliency.maps.drawing import Drawing
from mri_saliency.maps.layouts import montage_sheet, slice_sheet
from mri_saliency.maps.sheet import Bar, bar_labels, window_labels
from mri_saliency.maps.smoothing import smoothed
from mri_saliency.maps.statistics import MapStatistics
from mri_saliency.methods import METHODS
from mri_saliency.wording import ClassNames, demo_mark

if TYPE_CHECKING:
    from mri_saliency.inputs.loading import ScanContext

_MAX_SUBJECT_ID, _MAX_BASELINE = 32, 24  # characters in a title
_SMOOTH_ENOUGH_MM = 4.0  # from here on, every second voxel tells how strong a map is


@dataclass(frozen=True, eq=False)
class Layer:
    """A map as figures show it: its key slices, float32 (n, height, width), upright, without pad."""

    values: np.ndarray
    limit: float  # where its colours saturate

    @property
    def relative(self) -> np.ndarray:
        """The values over the limit."""
        return self.values / (self.limit or 1)


@dataclass(frozen=True, eq=False)
class View:
    """What figures of maps on one anatomy show besides the maps."""

    grid: Grid
    key_slices: tuple[int, ...]  # of the network, that are drawn
    anatomy: np.ndarray  # uint8 (n, height, width): their greys, upright, without pad
    title: str
    subtitle: str
    signed: bool  # whether maps have negative values
    unit: str
    window: tuple[float, float]  # intensities drawn black and white

    @property
    def kind(self) -> str:
        """The kind of a map's colour bar in `BAR_COLOURS`; that of an overlay is ``KIND overlay``."""
        return "signed" if self.signed else "unsigned"

    def greys(self) -> list[np.ndarray]:
        """Return the anatomy of the key slices: uint8 (height, width, 4) each, RGBA."""
        return list(GREY[self.anatomy])

    def colours(self, layer: Layer) -> list[np.ndarray]:
        """Return a map as `greys` returns the anatomy."""
        relative = layer.relative
        return list(lookup(DIVERGING, (relative + 1) / 2) if self.signed else lookup(SEQUENTIAL, relative))

    def overlays(self, layer: Layer) -> list[np.ndarray]:
        """Return a map over the anatomy."""
        return list(overlay(GREY[self.anatomy], layer.relative))


@dataclass(frozen=True, eq=False)
class MapView:
    """What a scan's figures show: a map and its smoothed copy."""

    view: View
    attribution: Layer
    smooth: Layer
    drawing: Drawing

    @cached_property
    def rows(self) -> tuple[list[np.ndarray], ...]:
        """The key slices' anatomy, attribution and overlay."""
        view = self.view
        return view.greys(), view.colours(self.attribution), view.overlays(self.smooth)

    def bars(self, overlay_name: str) -> tuple[Bar, Bar]:
        """Return the colour bars of the attribution and the overlay."""
        kind, unit = self.view.kind, self.view.unit
        return (
            Bar("attribution", kind, self.attribution.limit, unit),
            Bar(overlay_name, f"{kind} overlay", self.smooth.limit, unit),
        )


def smoothing_words(smooth_mm: float) -> str:
    """Return how an overlay was smoothed, in words."""
    return f"smoothed by {smooth_mm:g} mm" if smooth_mm else "not smoothed"


def scan_view(
    context: "ScanContext",
    statistics: MapStatistics,
    key_slices: tuple[int, ...],
    n_logits: int,
    class_names: ClassNames,
) -> View:
    """Return what the figures of a scan's map show besides the map."""
    grid, method = context.grid, METHODS[statistics.method]
    reference = f" from {_shortened(statistics.baseline, _MAX_BASELINE)}" if statistics.baseline else ""
    return View(
        grid=grid,
        key_slices=key_slices,
        anatomy=upright(context.greys[list(key_slices)], grid),
        title=f"{_shortened(statistics.subject_id, _MAX_SUBJECT_ID)}   {method.title}{reference}",
        subtitle=demo_mark([statistics.subject_id])
        + _prediction_in_words(statistics, n_logits, class_names)
        + ("; no affine: sides unknown" if grid.affine is None else "")
        # last, because it is the longest and may be cut
        + (f"; warning: {' '.join(statistics.input_warning.split())}" if statistics.input_warning else ""),
        signed=method.signed,
        unit=method.unit,
        window=context.window,
    )


def map_view(view: View, values: np.ndarray, brain: np.ndarray, smooth_mm: float) -> MapView:
    """Return what the figures of a map show: the map and the brain without pad, (n_slices, 112, 112)."""
    grid, chosen = view.grid, list(view.key_slices)
    step = 2 if smooth_mm >= _SMOOTH_ENOUGH_MM else 1
    smooth, inside = smoothed(values, grid, smooth_mm, step=step), brain[::step, ::step, ::step]
    peaks = np.abs(smooth).max(axis=(1, 2), where=inside, initial=0)
    telling_slice = step * int(peaks.argmax()) if peaks.any() else len(values) // 2
    own = Layer(upright(values[chosen], grid), colour_scale(values, brain))
    drawn = smoothed(values, grid, smooth_mm, chosen)
    over = Layer(upright(drawn, grid), colour_scale(smooth, inside, is_smooth=True))
    return MapView(view, own, over, Drawing(own.limit, over.limit, smooth_mm, telling_slice))


def slice_figures(shown: MapView) -> Iterator[np.ndarray]:
    """Draw each key slice, its attribution, and the smoothed map over it: uint8 (height, width, 4), RGBA."""
    view = shown.view
    sheet = slice_sheet(view.grid, view.signed, f"{smoothing_words(shown.drawing.smooth_mm)}, over the slice")
    texts = {"title": view.title, "subtitle": view.subtitle} | window_labels("intensity", view.window)
    for bar in shown.bars("overlay"):
        texts |= bar_labels(bar)
    background = sheet.draw(texts)
    for index, *images in zip(view.key_slices, *shown.rows, strict=True):
        picture = sheet.draw({"slice title": view.grid.slice_title(index)}, over=background)
        sheet.paste(picture, images)
        yield picture


def summary_figure(shown: MapView) -> np.ndarray:
    """Draw the key slices' anatomy, attribution and overlay: uint8 (height, width, 4), RGBA."""
    overlay_name = smoothing_words(shown.drawing.smooth_mm)
    rows = dict(zip(("slice", "attribution", overlay_name), shown.rows, strict=True))
    return montage(shown.view, rows, shown.bars(overlay_name))


def thumbnail(context: "ScanContext", values: np.ndarray, drawing: Drawing) -> np.ndarray:
    """Draw the most telling slice of a map (n_slices, 112, 112), its anatomy and beside it `overlay_colours`.

    Returns uint8 (height, 2 width, 4), RGBA.
    """
    grid, chosen = context.grid, [drawing.telling_slice]
    [anatomy] = upright(context.greys[chosen], grid)
    [smooth] = upright(smoothed(values, grid, drawing.smooth_mm, chosen), grid)
    return np.hstack([GREY[anatomy], overlay_colours(smooth / (drawing.overlay_scale or 1))])


def montage(view: View, rows: dict[str, list[np.ndarray]], bars: Sequence[Bar]) -> np.ndarray:
    """Draw rows of images, by their titles, a column for each key slice; uint8 (height, width, 4), RGBA."""
    kinds = tuple((bar.name, bar.kind) for bar in bars)
    sheet = montage_sheet(view.grid, view.key_slices, tuple(rows), kinds)
    texts = {"title": view.title, "subtitle": view.subtitle}
    for bar in bars:
        texts |= bar_labels(bar)
    picture = sheet.draw(texts)
    sheet.paste(picture, [image for column in zip(*rows.values(), strict=True) for image in column])
    return picture


def _prediction_in_words(statistics: MapStatistics, n_logits: int, class_names: ClassNames) -> str:
    """Return prediction, truth and, with several logits, the explained class."""
    hc, tle = class_names.hc, class_names.tle
    names = (hc, tle) if n_logits <= 2 else [f"class {index}" for index in range(n_logits)]
    side = f" ({statistics.diagnosis})" if statistics.diagnosis in ("left", "right") else ""
    truth = tle + side if statistics.is_tle else hc
    return (
        f"predicted {names[statistics.predicted_label]} with {statistics.confidence:.1%} confidence; "
        f"true diagnosis {truth}" + (f"; explains {names[statistics.target]}" if n_logits > 1 else "")
    )


def _shortened(text: str, length: int) -> str:
    """Replace the middle of a text that is longer than `length` by an ellipsis."""
    half = (length - 1) // 2
    return text if len(text) <= length else f"{text[:half]}…{text[-half:]}"
