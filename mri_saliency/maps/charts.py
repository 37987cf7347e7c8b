"""What the charts of matplotlib share: panels, methods' colours and labels, boxes."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

CLASS_COLOURS = {"HC": "#3b6ea5", "TLE": "#c2452d"}
DIAGNOSIS_COLOURS = {"HC": CLASS_COLOURS["HC"], "left": "#c2452d", "right": "#d9992b", "TLE": "#7a4f9a"}

DPI = 100
_MAX_JITTERED_POINTS = 80  # more points than this hide the box beneath


def panel_grid(n: int) -> tuple[Figure, list[Axes]]:
    """Return a figure that is not attached to pyplot, and its n panels, at most three in a row."""
    columns = min(n, 3)
    n_rows = math.ceil(n / columns)
    figure = Figure(figsize=(6.4 * columns + 1, 5.4 * n_rows), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    panels = list(figure.subplots(n_rows, columns, squeeze=False).flat)
    for axes in panels[n:]:  # the last row may be incomplete
        axes.set_axis_off()
    return figure, panels[:n]


def method_colour(index: int) -> str:
    """Return the colour of a method by its place in a chart."""
    return f"C{index}"


def method_label(method: str) -> str:
    """Return a method's name as it stands on an axis."""
    return method.replace("_gradients", "\ngradients").replace("_", " ")


def set_method_ticks(axes: Axes, methods: Sequence[str]) -> None:
    """Write the methods' names on the x axis."""
    axes.set_xticks(range(len(methods)), [method_label(method) for method in methods])
    axes.tick_params(axis="x", rotation=35 if len(methods) > 3 else 0, labelsize=9)
    axes.set_xlim(-0.5, len(methods) - 0.5)


def draw_box(
    axes: Axes, values: np.ndarray, position: float, width: float, colour: str, *, vertical: bool = True
) -> None:  # six parameters, as few as boxplot needs
    """Draw a box of more than two values, and their points if these are few."""
    values = values[np.isfinite(values)]
    if len(values) > 2:
        axes.boxplot(
            [values], positions=[position], widths=width, showfliers=len(values) > _MAX_JITTERED_POINTS,
            flierprops={"markersize": 2}, medianprops={"color": "black"}, manage_ticks=False,
            patch_artist=True, boxprops={"facecolor": (colour, 0.3)},
            orientation="vertical" if vertical else "horizontal",
        )  # fmt: skip
    if 0 < len(values) <= _MAX_JITTERED_POINTS:
        jitter = np.random.default_rng(0).uniform(-0.25, 0.25, len(values)) * width
        points = (position + jitter, values) if vertical else (values, position + jitter)
        axes.scatter(*points, s=14, color=colour, alpha=0.7, linewidths=0, zorder=3)
