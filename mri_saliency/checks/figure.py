"""The chart of the sanity checks, drawn by matplotlib."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from mri_saliency.checks.curves import evidence_scores, leads, mean_curves
from mri_saliency.checks.table import ANOTHER, DIFFERENCE, INTENSITY, MAP, ORDER_WORDS, RANDOM, SHUFFLED
from mri_saliency.checks.verdicts import UNCHANGED
from mri_saliency.maps.charts import panel_grid, set_method_ticks
from mri_saliency.maps.drawing import METHOD_COLOURS
from mri_saliency.maps.style import own_style
from mri_saliency.methods import METHODS
from mri_saliency.statistics.intervals import mean_interval

_AXIS = (-0.2, 1.5)  # of the curves; the panel names those that leave it
_TICKS = (0, 0.5, 1, 2, 5, 10, 20, 40, 100)
_NOTE_WIDTH = 64  # characters
_MARKERS = {DIFFERENCE: "o", SHUFFLED: "s", ANOTHER: "^", RANDOM: "x"}
_LINES = {DIFFERENCE: ("black", "--"), RANDOM: ("black", ":"), INTENSITY: ("0.55", "-.")}
_REPEATS = {
    "noise": ("a little noise", "0.35"),
    "seed": ("another seed", "0.6"),
    "subjects": ("other scans", "0.85"),
}
_CASCADE = {"partial": "o-", "signed": "o--"}  # the second for methods with a sign alone


@own_style()
def check_figure(table: pd.DataFrame, methods: Sequence[str]) -> Figure:
    """Draw what the verdicts on these methods rest on, from the table of `sanity_checks.check_maps`."""
    figure, panels = panel_grid(6)
    weights, repeats, regions, deletion, insertion, lead = panels
    _draw_cascade(weights, table, methods)
    _draw_repeats(repeats, table, methods)
    _draw_regions(regions, table, methods)
    curves, n_drawn = mean_curves(table)
    n_scans = table.loc[table["check"] == "noise", "subject_id"].nunique()
    for axes, check in ((deletion, "deletion"), (insertion, "insertion")):
        _draw_curves(axes, curves.xs(check), methods)
        axes.set_ylabel(f"logit, from baseline (0) to scan (1); {n_drawn} of {n_scans} scans")
    deletion.set_title("Most attributed voxels replaced (low is good)")
    insertion.set_title("Most attributed voxels shown (high is good)")
    _draw_lead(lead, table, methods)
    figure.legend(
        handles=[
            Line2D([], [], color=METHOD_COLOURS[name], linewidth=4, label=METHODS[name].title)
            for index, name in enumerate(methods)
        ],
        loc="outside upper center", ncols=len(methods), fontsize=11, frameon=False,
    )  # fmt: skip
    return figure


def _draw_cascade(axes: Axes, table: pd.DataFrame, methods: Sequence[str]) -> None:
    """Draw mean similarities to the original's maps after each shuffled block."""
    rows = table[table["check"] == "weights"]
    means = rows.groupby(["method", "measure", "step"])["value"].mean()
    blocks = list(dict.fromkeys(rows["step"]))
    for name in methods:
        for measure, style in list(_CASCADE.items())[: 1 + METHODS[name].signed]:
            heights = [1, *means[name, measure].reindex(blocks)]
            axes.plot(heights, style, color=METHOD_COLOURS[name], markersize=4)
    axes.axhspan(-UNCHANGED, UNCHANGED, color="0.92", zorder=0)
    axes.axhline(0, color="black", linewidth=0.8)
    axes.plot([], [], "k-", label="of magnitudes, |scan - baseline| and place left out")
    axes.plot([], [], "k--", label="of values")
    axes.legend(fontsize=8)
    ticks = ["none", *(block.replace("features.", "") for block in blocks)]
    axes.set_xticks(range(len(ticks)), ticks, fontsize=8, rotation=45)
    axes.set_ylim(-1.05, 1.05)
    axes.set_xlabel("block shuffled last (the last point must lie in grey)")
    axes.set_title("Weights shuffled: rank correlation with the map")


def _draw_repeats(axes: Axes, table: pd.DataFrame, methods: Sequence[str]) -> None:
    means = table.groupby(["method", "measure", "check"])["value"].mean()
    for index, name in enumerate(methods):
        heights = means[name, "signed" if METHODS[name].signed else "absolute"]
        for place, (check, (words, grey)) in enumerate(_REPEATS.items()):
            label = words if index == 0 else None
            axes.bar(index + 0.28 * (place - 1), heights.get(check, np.nan), 0.26, color=grey, label=label)
    axes.axhline(0, color="black", linewidth=0.8)
    axes.set_ylim(min(axes.get_ylim()[0], 0), 1.2)
    axes.legend(fontsize=8, loc="upper center", ncols=3)
    axes.set_title("Rank correlation of repeated maps")
    set_method_ticks(axes, methods)


def _draw_curves(axes: Axes, curves: pd.Series, methods: Sequence[str]) -> None:
    """Draw mean curves, indexed by method, order, percent; name those that leave the axis below it."""
    styles = {(name, MAP): (METHOD_COLOURS[name], "-") for name in methods}
    styles |= {(order, order): style for order, style in _LINES.items()}
    beyond = []
    for (name, order), (colour, style) in styles.items():
        curve = curves[name, order]
        words = ORDER_WORDS.get(order, METHODS[name].title)
        label = words if order in ORDER_WORDS else None
        axes.plot(curve.index, curve, style, color=colour, label=label, linewidth=1.5)
        extremes = [value for value in (curve.min(), curve.max()) if not _AXIS[0] <= value <= _AXIS[1]]
        if extremes:
            beyond.append(f"{words} to {' and '.join(f'{value:.1f}' for value in extremes)}")
    axes.set_xscale("symlog", linthresh=0.5)
    axes.set_xticks(_TICKS, [f"{tick:g}" for tick in _TICKS])
    axes.minorticks_off()
    axes.set_xlim(0, 100)
    axes.set_ylim(*_AXIS)
    note = textwrap.fill(f"beyond the axis: {'; '.join(beyond)}", _NOTE_WIDTH) if beyond else ""
    axes.set_xlabel(f"voxels (%), stretched near 0\n{note}".rstrip())
    axes.legend(fontsize=8)


def _draw_lead(axes: Axes, table: pd.DataFrame, methods: Sequence[str]) -> None:
    """Draw how far the map is ahead of each impostor, with the interval that is judged."""
    for index, name in enumerate(methods):
        for place, (order, lead) in enumerate(leads(evidence_scores(table, name)).items()):
            interval, x = mean_interval(lead), index + 0.18 * (place - 1.5)
            label = ORDER_WORDS[order] if index == 0 else None
            axes.plot(x, lead.mean(), _MARKERS[order], color="0.3", markersize=6, label=label)
            if interval:
                axes.vlines(x, interval.low, interval.high, color=METHOD_COLOURS[name], linewidth=2, zorder=0)
    axes.axhline(0, color="black", linewidth=0.8)
    low, high = axes.get_ylim()
    axes.set_ylim(min(low, -0.1), high + 0.3 * (high - low))
    axes.legend(fontsize=8, ncols=2, loc="upper center")
    axes.set_title("Evidence found: map less impostor (95 % interval)")
    set_method_ticks(axes, methods)


def _draw_regions(axes: Axes, table: pd.DataFrame, methods: Sequence[str]) -> None:
    axes.set_title("Regions replaced: rank correlation (95 % interval)")
    rows = table[table["check"] == "region_ranks"]
    if rows["value"].isna().all():
        axes.set_axis_off()
        axes.text(0.5, 0.5, "no atlas, or too few regions", ha="center", transform=axes.transAxes)
        return
    found = {key: values["value"] for key, values in rows.groupby(["method", "order"])}
    for index, name in enumerate(methods):
        values, colour = found[name, MAP].dropna(), METHOD_COLOURS[name]
        axes.plot(np.full(len(values), index), values, "o", color=colour, alpha=0.4)
        label = ORDER_WORDS[SHUFFLED] if index == 0 else None
        axes.plot(index, found[name, SHUFFLED].mean(), _MARKERS[SHUFFLED], color="0.3", label=label)
        if interval := mean_interval(values):
            axes.vlines(index + 0.2, interval.low, interval.high, color=colour, linewidth=2)
    null = found[DIFFERENCE, DIFFERENCE].mean()
    axes.axhline(null, color="black", linestyle="--", label=ORDER_WORDS[DIFFERENCE])
    axes.axhline(0, color="black", linewidth=0.8)
    axes.set_ylim(min(-0.1, axes.get_ylim()[0]), 1.25)
    axes.legend(fontsize=8, loc="upper center", ncols=2)
    set_method_ticks(axes, methods)
