"""The chart of the sanity checks, drawn by matplotlib."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from mri_saliency.checks.curves import evidence_scores, leads, mean_curves
from mri_saliency.checks.table import (
    ANOTHER,
    DIFFERENCE,
    IMPOSTORS,
    INTENSITY,
    MAP,
    RANDOM,
    SHUFFLED,
)
from mri_saliency.checks.verdicts import UNCHANGED
from mri_saliency.maps.charts import method_colour, method_label, new_figure, set_method_ticks
from mri_saliency.methods import METHODS
from mri_saliency.statistics.intervals import mean_interval

_AXIS = (-0.2, 1.5)  # of the curves; the panel names those that leave it
_TICKS = (0, 0.5, 1, 2, 5, 10, 20, 40, 100)
_NOTE_WIDTH = 64  # characters
_WORDS = {
    MAP: "map (coloured)",
    DIFFERENCE: "|scan - baseline|",
    SHUFFLED: "shuffled network",
    ANOTHER: "another scan",
    RANDOM: "random voxels",
    INTENSITY: "brightest voxels",
}
_GREYS = {DIFFERENCE: "0.15", SHUFFLED: "0.45", ANOTHER: "0.65", RANDOM: "0.82"}
_MARKERS = {DIFFERENCE: "o", SHUFFLED: "s", ANOTHER: "^", RANDOM: "x"}
_LINES = {DIFFERENCE: ("black", "--"), RANDOM: ("black", ":"), INTENSITY: ("0.55", "-.")}


def check_figure(table: pd.DataFrame, methods: Sequence[str]) -> Figure:
    """Draw the sanity checks, in nine panels.

    Parameters
    ----------
    table : DataFrame
        From `mri_saliency.checks.sanity_checks.check_maps`.
    methods : sequence of str
        Those to draw, from the table.

    Returns
    -------
    Figure
        16 x 14 inches, not attached to pyplot.
    """
    n_scans = table.loc[table["check"] == "noise", "subject_id"].nunique()
    figure = new_figure(16, 14)
    axes = figure.subplots(3, 3)
    _draw_cascade(axes[0, 0], table, [name for name in methods if METHODS[name].signed], "signed")
    axes[0, 0].set_title("Weights shuffled: rank correlation of values")
    _draw_cascade(axes[0, 1], table, methods, "partial")
    axes[0, 1].set_title("Of magnitudes, |scan - baseline| and place left out")
    _draw_repeats(axes[0, 2], table, methods)
    curves, n_drawn = mean_curves(table)
    _draw_curves(axes[1, 0], curves.xs("deletion"), methods)
    axes[1, 0].set_title("Most attributed voxels replaced (low is good)")
    _draw_curves(axes[1, 1], curves.xs("insertion"), methods)
    axes[1, 1].set_title("Most attributed voxels shown (high is good)")
    for panel in axes[1, :2]:
        panel.set_ylabel(f"logit, from baseline (0) to scan (1); {n_drawn} of {n_scans} scans")
    _draw_brain_shares(axes[1, 2], table, methods)
    scores = {name: evidence_scores(table, name) for name in methods}
    _draw_scores(axes[2, 0], scores)
    _draw_lead(axes[2, 1], scores)
    _draw_regions(axes[2, 2], table, methods)
    for index, name in enumerate(methods):
        axes[0, 1].plot([], [], color=method_colour(index), linewidth=4, label=method_label(name))
    handles = axes[0, 1].get_legend_handles_labels()
    figure.legend(*handles, loc="outside upper center", ncols=len(methods), fontsize=11, frameon=False)
    return figure


def _draw_cascade(axes: Axes, table: pd.DataFrame, methods: Sequence[str], measure: str) -> None:
    """Draw mean similarities to the original's maps after each shuffled block."""
    rows = table[(table["check"] == "weights") & (table["measure"] == measure)]
    means = rows.groupby(["method", "step"], sort=False)["value"].mean()
    all_methods = list(dict.fromkeys(table.loc[table["order"] == MAP, "method"]))
    blocks = list(dict.fromkeys(rows["step"]))
    for name in methods:
        heights = [1, *means[name].reindex(blocks)]
        axes.plot(heights, "o-", color=method_colour(all_methods.index(name)), markersize=4)
    axes.axhspan(-UNCHANGED, UNCHANGED, color="0.92", zorder=0)
    axes.axhline(0, color="black", linewidth=0.8)
    ticks = ["none", *(block.replace("features.", "") for block in blocks)]
    axes.set_xticks(range(len(ticks)), ticks, fontsize=8, rotation=45)
    axes.set_ylim(-1.05, 1.05) if measure == "signed" else axes.set_ylim(-0.35, 1.05)
    axes.set_xlabel("block shuffled last (the last point must lie in grey)")


def _draw_repeats(axes: Axes, table: pd.DataFrame, methods: Sequence[str]) -> None:
    bars = {"noise": ("a little noise", "0.35"), "seed": ("another seed", "0.6")}
    bars["subjects"] = ("other scans", "0.85")
    means = table.groupby(["check", "method", "measure"])["value"].mean()
    measures = {name: "signed" if METHODS[name].signed else "absolute" for name in methods}
    series = {
        label: (colour, [means.get((check, name, measures[name]), np.nan) for name in methods])
        for check, (label, colour) in bars.items()
    }
    _draw_bars(axes, series, methods)
    axes.set_title("Rank correlation of repeated maps")


def _draw_brain_shares(axes: Axes, table: pd.DataFrame, methods: Sequence[str]) -> None:
    rows = table[(table["check"] == "nulls") & (table["measure"] == "brain_share")]
    means = rows.groupby(["method", "order"])["value"].mean()
    series = {
        _WORDS[order]: (colour, [means[name, order] for name in methods])
        for order, colour in ((MAP, None), (DIFFERENCE, _GREYS[DIFFERENCE]), (SHUFFLED, _GREYS[ANOTHER]))
    }
    _draw_bars(axes, series, methods)
    axes.set_title("Share of the magnitude inside the brain")


def _draw_curves(axes: Axes, curves: pd.Series, methods: Sequence[str]) -> None:
    """Draw mean curves, indexed by method, order, percent; name those that leave the axis below it."""
    styles = {(name, MAP): (method_colour(index), "-") for index, name in enumerate(methods)}
    styles |= {(order, order): style for order, style in _LINES.items()}
    beyond = []
    for (name, order), (colour, style) in styles.items():
        curve = curves[name, order]
        label = None if order == MAP else _WORDS[order]
        axes.plot(curve.index, curve, style, color=colour, label=label, linewidth=1.5)
        extremes = [value for value in (curve.min(), curve.max()) if not _AXIS[0] <= value <= _AXIS[1]]
        if extremes:
            words = method_label(name) if order == MAP else _WORDS[order]
            beyond.append(f"{words} to {' and '.join(f'{value:.1f}' for value in extremes)}")
    axes.set_xscale("symlog", linthresh=0.5)
    axes.set_xticks(_TICKS, [f"{tick:g}" for tick in _TICKS])
    axes.minorticks_off()
    axes.set_xlim(0, 100)
    axes.set_ylim(*_AXIS)
    note = textwrap.fill(f"beyond the axis: {'; '.join(beyond)}", _NOTE_WIDTH) if beyond else ""
    axes.set_xlabel(f"voxels (%), stretched near 0\n{note}".rstrip())
    axes.legend(fontsize=8)


def _draw_scores(axes: Axes, scores: Mapping[str, pd.DataFrame]) -> None:
    """Draw the mean evidence score of the map and of each impostor."""
    series = {
        _WORDS[order]: (_GREYS.get(order), [table[order].mean() for table in scores.values()])
        for order in (MAP, *IMPOSTORS)
    }
    _draw_bars(axes, series, list(scores), top=None)
    axes.set_title("Evidence found: insertion less deletion")


def _draw_lead(axes: Axes, scores: Mapping[str, pd.DataFrame]) -> None:
    """Draw how far the map is ahead of each impostor, with the interval that is judged."""
    for index, table in enumerate(scores.values()):
        for place, (order, lead) in enumerate(leads(table).items()):
            interval, x = mean_interval(lead), index + 0.18 * (place - 1.5)
            label = _WORDS[order] if index == 0 else None
            grey = "black" if order == DIFFERENCE else _GREYS[SHUFFLED]
            axes.plot(x, lead.mean(), _MARKERS[order], color=grey, markersize=6, label=label)
            if interval:
                axes.vlines(x, interval.low, interval.high, color=method_colour(index), linewidth=2, zorder=0)
    axes.axhline(0, color="black", linewidth=0.8)
    low, high = axes.get_ylim()
    axes.set_ylim(min(low, -0.1), high + 0.3 * (high - low))
    axes.legend(fontsize=8, ncols=2, loc="upper center")
    axes.set_title("Map less impostor (95 % interval)")
    set_method_ticks(axes, list(scores))


def _draw_regions(axes: Axes, table: pd.DataFrame, methods: Sequence[str]) -> None:
    rows = table[table["check"] == "region_ranks"]
    axes.set_title("Regions replaced: rank correlation")
    if rows["value"].isna().all():
        axes.set_axis_off()
        axes.text(0.5, 0.5, "no atlas, or too few regions", ha="center", transform=axes.transAxes)
        return
    for index, name in enumerate(methods):
        own = rows[rows["method"] == name]
        values = own.loc[own["order"] == MAP, "value"].dropna()
        shuffled = own.loc[own["order"] == SHUFFLED, "value"].mean()
        axes.plot(index, shuffled, _MARKERS[SHUFFLED], color=_GREYS[SHUFFLED])
        axes.plot(np.full(len(values), index), values, "o", color=method_colour(index), alpha=0.4)
        interval = mean_interval(values)
        if interval:
            axes.errorbar(
                index + 0.2, interval.mean, interval.high - interval.mean, fmt="s", capsize=4,
                color=method_colour(index),
            )  # fmt: skip
    null = rows.loc[rows["method"] == DIFFERENCE, "value"].mean()
    axes.axhline(null, color="black", linestyle="--", label=_WORDS[DIFFERENCE])
    axes.plot([], [], _MARKERS[SHUFFLED], color=_GREYS[SHUFFLED], label=_WORDS[SHUFFLED])
    axes.axhline(0, color="black", linewidth=0.8)
    axes.set_ylim(min(-0.1, axes.get_ylim()[0]), 1.25)
    axes.legend(fontsize=8, loc="upper center", ncols=2)
    set_method_ticks(axes, methods)


def _draw_bars(
    axes: Axes,
    series: Mapping[str, tuple[str | None, Sequence[float]]],
    methods: Sequence[str],
    top: float | None = 1.0,
) -> None:
    """Draw bars side by side for each method.

    Parameters
    ----------
    axes : Axes
    series : mapping
        Label -> colour, None for the method's own, and a height for each method, NaN for no bar.
    methods : sequence of str
    top : float or None
        The highest possible value; None: as the bars demand.
    """
    width, handles = 0.84 / len(series), []
    for place, (label, (colour, heights)) in enumerate(series.items()):
        positions = np.arange(len(methods)) + width * (place - (len(series) - 1) / 2)
        own = [method_colour(index) for index in range(len(methods))]
        axes.bar(positions, heights, 0.94 * width, color=colour or own)
        handles.append(Patch(color=colour or "C0", label=label))
    axes.axhline(0, color="black", linewidth=0.8)
    low, high = axes.get_ylim()
    high = max(high, 1e-9) if top is None else top
    axes.set_ylim(min(low, 0), high + 0.12 * math.ceil((len(series) + 1) / 3) * (high - min(low, 0)))
    axes.legend(handles=handles, fontsize=8, loc="upper center", ncols=3, handlelength=1.2)
    set_method_ticks(axes, methods)
