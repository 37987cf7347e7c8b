"""What the charts of matplotlib share: panels, the methods' labels, boxes."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from mri_saliency.methods import METHODS

_MAX_JITTERED_POINTS = 80  # more points than this hide the box beneath


def new_figure(width: float, height: float) -> Figure:
    """Return a figure of so many inches that is not attached to pyplot."""
    figure = Figure(figsize=(width, height), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def panel_grid(n: int) -> tuple[Figure, list[Axes]]:
    """Return a new figure and its n panels, at most three in a row."""
    columns = 2 if n == 4 else min(n, 3)
    n_rows = math.ceil(n / columns)
    figure = new_figure(6.4 * columns + 1, 5.4 * n_rows)
    panels = list(figure.subplots(n_rows, columns, squeeze=False).flat)
    for axes in panels[n:]:  # the last row may be incomplete
        axes.set_axis_off()
    return figure, panels[:n]


def wrapped_label(method: str) -> str:
    """Return a method's name as it stands on an axis."""
    return METHODS[method].title.replace(" Gradients", "\nGradients")


def set_method_ticks(axes: Axes, methods: Sequence[str]) -> None:
    """Write the methods' names on the x axis."""
    axes.set_xticks(range(len(methods)), [wrapped_label(method) for method in methods])
    axes.tick_params(axis="x", rotation=35 if len(methods) > 3 else 0, labelsize=9)
    axes.set_xlim(-0.5, len(methods) - 0.5)


@dataclass(frozen=True)
class Box:
    """Where a box stands on the axis of the boxes, and how it looks."""

    position: float
    width: float
    colour: str


def draw_box(axes: Axes, values: np.ndarray, box: Box) -> None:
    """Draw a box of more than two values, and their points if these are few."""
    values = values[np.isfinite(values)]
    if len(values) > 2:
        axes.boxplot(
            [values], positions=[box.position], widths=box.width,
            showfliers=len(values) > _MAX_JITTERED_POINTS, flierprops={"markersize": 2},
            medianprops={"color": "black"}, boxprops={"facecolor": (box.colour, 0.3)}, patch_artist=True,
            manage_ticks=False,
        )  # fmt: skip
    if 0 < len(values) <= _MAX_JITTERED_POINTS:
        places = box.position + np.random.default_rng(0).uniform(-0.25, 0.25, len(values)) * box.width
        axes.scatter(places, values, s=14, color=box.colour, alpha=0.7, linewidths=0, zorder=3)
