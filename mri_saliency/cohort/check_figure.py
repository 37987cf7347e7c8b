"""The chart of the sanity checks, drawn by matplotlib."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from mri_saliency.cohort.figures import DPI, method_colour, set_method_ticks

_PAIR_GREYS = ("0.45", "0.75")


def check_figure(
    means: pd.Series,
    lines: pd.Series,
    curves: Mapping[str, Mapping[str, pd.Series]],
    areas: Mapping[str, Mapping[str, Mapping[str, float]]],
) -> Figure:
    """Draw the sanity checks, in six panels.

    Parameters
    ----------
    means : Series
        Means over scans of the similarities, indexed by check, method, step, measure.
    lines : Series
        Pass lines, indexed by method and measure.
    curves : mapping
        "deletion" and "insertion" -> {order's name: curve by percentage of voxels}.
    areas : mapping
        Method -> "random" and "intensity" -> {"deletion", "insertion": area between its curve and
        that order's}.

    Returns
    -------
    Figure
        15 x 9.5 inches, not attached to pyplot.
    """
    methods = list(areas)
    figure = Figure(figsize=(15, 9.5), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(2, 3)
    for panel, measure, what in ((axes[0, 0], "signed", "values"), (axes[0, 1], "absolute", "magnitudes")):
        _draw_cascade(panel, means.xs(measure, level="measure"), lines.xs(measure, level=1), methods)
        panel.set_title(f"Weights shuffled: rank correlation of {what}")
    _draw_repeats(axes[0, 2], means, lines, methods)
    _draw_curves(axes[1, 0], curves["deletion"], methods)
    axes[1, 0].set_title("Most attributed voxels replaced (low is good)")
    _draw_curves(axes[1, 1], curves["insertion"], methods)
    axes[1, 1].set_title("Most attributed voxels shown (high is good)")
    _draw_areas(axes[1, 2], areas)
    return figure


def _draw_cascade(axes: Axes, means: pd.Series, lines: pd.Series, methods: Sequence[str]) -> None:
    """Draw similarities, indexed by check, method, step, after each shuffled block; `lines` by method."""
    for index, method in enumerate(methods):
        similarity = means.xs(("weights", method), level=("check", "method"))
        colour, positions = method_colour(index), np.arange(len(similarity) + 1)
        label = method.replace("_", " ")
        axes.plot(positions, [1, *similarity], "o-", color=colour, markersize=4, label=label)
        axes.axhline(lines[method], color=colour, linestyle="--", linewidth=1)
    axes.plot([], [], "--", color="black", label="different subjects (pass line)")
    blocks = [step.replace("features.", "") for step in similarity.index]
    axes.set_xticks(positions, ["none", *blocks], fontsize=8, rotation=45)
    axes.set_xlabel("block shuffled last, from the head down")
    axes.legend(fontsize=8)


def _draw_repeats(axes: Axes, means: pd.Series, lines: pd.Series, methods: Sequence[str]) -> None:
    measured = {(check, method) for check, method, *_ in means.index}
    for offset, (check, name) in enumerate((("noise", "a little noise"), ("seed", "another seed"))):
        indices = [index for index, method in enumerate(methods) if (check, method) in measured]
        if indices:
            positions = np.array(indices) + 0.36 * (offset - 0.5)
            similarity = means.xs((check, "absolute"), level=("check", "measure")).droplevel("step")
            heights = [similarity[methods[index]] for index in indices]
            axes.bar(positions, heights, 0.34, label=name, color=_PAIR_GREYS[offset])
    for index, method in enumerate(methods):
        axes.hlines(lines[method, "absolute"], index - 0.4, index + 0.4, color="black", linestyle="--")
    axes.plot([], [], "--", color="black", label="different subjects")
    axes.set_ylim(0, 1.18)
    axes.legend(fontsize=8, loc="upper center", ncols=3)
    axes.set_title("The same scan again: rank correlation of magnitudes")
    set_method_ticks(axes, methods)


def _draw_curves(axes: Axes, curves: Mapping[str, pd.Series], methods: Sequence[str]) -> None:
    styles = {method: (method_colour(index), "-") for index, method in enumerate(methods)}
    styles |= {"random": ("black", ":"), "intensity": ("0.5", "--")}
    for name, (colour, style) in styles.items():
        curve, label = curves[name], name.replace("_", " ")
        axes.plot(curve.index, curve, style, color=colour, label=label, linewidth=1.4)
    axes.set_xlabel("voxels (%)")
    axes.set_ylabel("logit, from baseline (0) to scan (1)")
    axes.legend(fontsize=8)


def _draw_areas(axes: Axes, areas: Mapping[str, Mapping[str, Mapping[str, float]]]) -> None:
    bars = [(order, check) for order in ("random", "intensity") for check in ("deletion", "insertion")]
    for index, (order, check) in enumerate(bars):
        positions = np.arange(len(areas)) + 0.2 * (index - 1.5)
        heights = [method_areas[order][check] for method_areas in areas.values()]
        colour = _PAIR_GREYS[check == "insertion"]
        axes.bar(
            positions, heights, 0.17, label=f"{check}, {order}", edgecolor=colour,
            facecolor=colour if order == "random" else "white",
        )  # fmt: skip
    axes.axhline(0, color="black", linewidth=0.8)
    axes.set_title("Area to another order (above 0: better)")
    axes.legend(fontsize=8)
    set_method_ticks(axes, list(areas))
