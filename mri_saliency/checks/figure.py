"""The chart of the sanity checks, drawn by matplotlib."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mri_saliency.checks.curves import evidence_scores, leads, region_scores
from mri_saliency.checks.table import ANOTHER, DIFFERENCE, ORDER_WORDS, RANDOM, SHUFFLED
from mri_saliency.checks.verdicts import UNCHANGED
from mri_saliency.maps.charts import panel_grid, set_method_ticks
from mri_saliency.maps.style import own_style
from mri_saliency.methods import METHODS
from mri_saliency.statistics.intervals import mean_interval
from mri_saliency.wording import demo_mark

_MARKERS = {DIFFERENCE: "o", SHUFFLED: "s", ANOTHER: "^", RANDOM: "x"}
_REPEATS = {
    "noise": ("a little noise", "0.35"),
    "seed": ("another seed", "0.6"),
    "subjects": ("other scans", "0.85"),
}
_LIKENESS = {  # measure -> words, marker, place beside the tick
    "partial": ("of magnitudes, |scan - baseline| and place left out", "o", -0.1),
    "signed": ("of values", "D", 0.1),  # for methods with a sign alone
}


@own_style()
def check_figure(table: pd.DataFrame, methods: Sequence[str]) -> Figure:
    """Draw what the verdicts on these methods rest on, from the table of `sanity_checks.check_maps`."""
    scores = {
        "Evidence found: map less impostor (95 % interval)": {
            name: evidence_scores(table, name) for name in methods
        },
        "Evidence found, by magnitude of signed maps": {
            name: evidence_scores(table, name, by_magnitude=True) for name in methods if METHODS[name].signed
        },
        "Regions: rank correlation less a null's (95 % interval)": {
            name: region_scores(table, name).dropna() for name in methods
        },
    }
    scores = {title: of_methods for title, of_methods in scores.items() if any(map(len, of_methods.values()))}
    figure, panels = panel_grid(2 + len(scores))
    figure.suptitle(demo_mark(table["subject_id"]) + "Checks of the maps on this network", fontsize=14)
    _draw_weights(panels[0], table, methods)
    _draw_repeats(panels[1], table, methods)
    for axes, (title, of_methods) in zip(panels[2:], scores.items(), strict=True):
        axes.set_title(title)
        for name, of_method in of_methods.items():
            _draw_leads(axes, of_method, methods.index(name))
    for axes in panels:
        axes.axhline(0, color="black", linewidth=0.8)
        drawn = dict(zip(*reversed(axes.get_legend_handles_labels()), strict=True))  # each label once
        axes.legend(drawn.values(), drawn.keys(), fontsize=8, ncols=2, loc="upper center")
        low, high = axes.get_ylim()
        axes.set_ylim(min(low, -0.1), high + 0.3 * (high - low))
        set_method_ticks(axes, methods)
    return figure


def _draw_weights(axes: Axes, table: pd.DataFrame, methods: Sequence[str]) -> None:
    """Draw each scan's likeness to the shuffled network's map, and its mean."""
    rows = table[table["check"] == "weights"]
    for index, name in enumerate(methods):
        for measure, (words, marker, place) in _LIKENESS.items():
            sizes = rows[(rows["method"] == name) & (rows["measure"] == measure)]["value"].abs()
            x = np.full(len(sizes), index + place)
            axes.plot(x, sizes, marker, color="0.3", alpha=0.4, label=words)
            axes.plot(index + place, sizes.mean(), "_", color="black", markersize=16)
    axes.axhspan(0, UNCHANGED, color="0.92", zorder=0)
    axes.set_ylim(-0.02, 1)
    axes.set_title("Weights shuffled: rank correlation with the map (means must lie in grey)")


def _draw_repeats(axes: Axes, table: pd.DataFrame, methods: Sequence[str]) -> None:
    means = table.groupby(["method", "check"])["value"].mean()
    for index, name in enumerate(methods):
        for place, (check, (words, grey)) in enumerate(_REPEATS.items()):
            height = means.get((name, check), np.nan)
            axes.bar(index + 0.28 * (place - 1), height, 0.26, color=grey, label=words)
    axes.set_title("Rank correlation of repeated maps")


def _draw_leads(axes: Axes, scores: pd.DataFrame, index: int) -> None:
    """Draw how far the maps of a method, with its place, are ahead, with the intervals that are judged."""
    for place, (order, lead) in enumerate(leads(scores).items()):
        interval, x = mean_interval(lead), index + 0.18 * (place - 1.5)
        axes.plot(x, lead.mean(), _MARKERS[order], color="0.3", markersize=6, label=ORDER_WORDS[order])
        if interval:
            axes.vlines(x, interval.low, interval.high, color="0.3", linewidth=2, zorder=0)
