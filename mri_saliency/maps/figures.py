"""The figures of one map, and the montage that figures of groups share."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mri_saliency.attribution.methods import METHODS
from mri_saliency.inputs.grid import upright
from mri_saliency.inputs.preprocessing import unpad
from mri_saliency.inputs.scan_table import ClassNames
from mri_saliency.maps.colours import DIVERGING, GREY, SEQUENTIAL, colour_scale, lookup, overlay
from mri_saliency.maps.layouts import montage_sheet, slice_sheet
from mri_saliency.maps.sheet import scale_labels, window_labels
from mri_saliency.maps.statistics import MapStatistics
from mri_saliency.maps.text import fitted

if TYPE_CHECKING:
    from mri_saliency.inputs.loading import ScanContext

DEFAULT_CLASS_NAMES = ClassNames()
_MAX_SUBJECT_ID, _MAX_BASELINE = 32, 24  # characters in a title
_TITLE_PX, _SUBTITLE_PX = 18, 15  # as `mri_saliency.maps.layouts` writes them
_SLICE_MARGINS_PX, _MONTAGE_MARGINS_PX = 56 + 24, 2 * 30  # left and right of the texts


@dataclass(frozen=True, eq=False)
class MapView:
    """Everything a map's figures show.

    Attributes
    ----------
    anatomy, attribution : ndarray
        float32 (n, height, width): the key slices, upright, without pad.
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


@dataclass(frozen=True)
class Bar:
    """A colour bar of a montage: the row it explains, its kind in `BAR_COLOURS`, its end and unit.

    With `is_log2` the values are logarithms of ratios, and the bar is labelled with the ratios.
    """

    name: str
    kind: str
    scale: float
    unit: str
    is_log2: bool = False


def map_view(
    context: ScanContext,
    values: np.ndarray,
    statistics: MapStatistics,
    *,
    key_slices: Sequence[int],
    n_logits: int,
    class_names: ClassNames = DEFAULT_CLASS_NAMES,
) -> MapView:  # six parameters: a map's three parts, and what decides how it is drawn
    """Return what the figures of a scan's map show.

    Parameters
    ----------
    context : ScanContext
        The scan, with the anatomy of the key slices.
    values : ndarray
        float32 (n_slices, 128, 128): the map.
    statistics : MapStatistics
        The map's row of statistics.
    key_slices : sequence of int
        The slices to draw.
    n_logits : int
        The network's number of logits; classes of three or more are numbered.
    class_names : ClassNames
        What the classes of one or two logits are called.
    """
    grid, method = context.grid, METHODS[statistics.method]
    values = unpad(values)
    in_mm = grid.affine is not None
    reference = f" from {_shortened(statistics.baseline, _MAX_BASELINE)}" if statistics.baseline else ""
    return MapView(
        anatomy=context.anatomy,
        attribution=upright(values[list(key_slices)], grid),
        slice_titles=grid.slice_titles(list(key_slices)),
        title=f"{_shortened(statistics.subject_id, _MAX_SUBJECT_ID)}   {method.name}{reference}",
        subtitle=_prediction_in_words(statistics, n_logits, class_names) + _caveats(statistics, in_mm),
        extent=grid.extent,
        in_mm=in_mm,
        signed=method.signed,
        unit=method.unit,
        scale=colour_scale(values),
        window=context.window,
    )


def slice_figures(view: MapView) -> Iterator[np.ndarray]:
    """Draw each key slice in three panels: the slice, its attribution, the magnitude over the slice.

    Yields
    ------
    ndarray
        uint8 (height, width, 4), RGBA.
    """
    sheet = slice_sheet(view.extent, view.in_mm, view.signed)
    subtitle = fitted(view.subtitle, sheet.width - _SLICE_MARGINS_PX, _SUBTITLE_PX)
    background = sheet.draw(
        {"title": view.title, "subtitle": subtitle}
        | window_labels("intensity", view.window)
        | scale_labels("attribution", view.scale, view.unit, signed=view.signed)
        | scale_labels("magnitude", view.scale, view.unit, signed=False)
    )
    for index, slice_title in enumerate(view.slice_titles):
        picture = sheet.draw({"slice title": slice_title}, over=background)
        anatomy, attribution = slice_colours(view, index)
        magnitude = overlay(anatomy, np.abs(view.attribution[index]) / (view.scale or 1))
        sheet.paste(picture, (anatomy, attribution, magnitude))
        yield picture


def summary_figure(view: MapView) -> np.ndarray:
    """Draw all key slices, anatomy above attribution.

    Returns
    -------
    ndarray
        uint8 (height, width, 4), RGBA.
    """
    colours = [slice_colours(view, index) for index in range(len(view.slice_titles))]
    rows = {
        "slice": [anatomy for anatomy, _ in colours],
        "attribution": [attribution for _, attribution in colours],
    }
    return montage(view, rows, [Bar("attribution", map_kind(view), view.scale, view.unit)])


def montage(view: MapView, rows: dict[str, list[np.ndarray]], bars: Sequence[Bar]) -> np.ndarray:
    """Draw rows of images under the titles of a view, a column for each key slice.

    Parameters
    ----------
    view : MapView
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
        texts |= scale_labels(bar.name, bar.scale, bar.unit, signed=bar.kind == "signed", is_log2=bar.is_log2)
    picture = sheet.draw(texts)
    columns = zip(*rows.values(), strict=True)
    sheet.paste(picture, [image for column in columns for image in column])
    return picture


def slice_colours(view: MapView, index: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the colours of one slice's anatomy and attribution: uint8 (height, width, 4) each."""
    low, high = view.window
    grey = (view.anatomy[index] - low) / ((high - low) or 1)
    relative = view.attribution[index] / (view.scale or 1)
    if view.signed:
        return lookup(GREY, grey), lookup(DIVERGING, (relative + 1) / 2)
    return lookup(GREY, grey), lookup(SEQUENTIAL, relative)


def map_kind(view: MapView) -> str:
    """Return the kind of colour bar, in `BAR_COLOURS`, that a map's values are drawn with."""
    return "signed" if view.signed else "unsigned"


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
