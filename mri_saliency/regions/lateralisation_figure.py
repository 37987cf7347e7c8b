"""The chart of how well regions tell left from right TLE, drawn by matplotlib."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mri_saliency.inputs.atlas import without_side
from mri_saliency.maps.charts import CLASS_COLOURS, method_label, panel_grid
from mri_saliency.wording import ClassNames

_N_PAIRS = 12  # a panel, the densest
_MAX_NAME = 40  # characters
_MARKS = {  # prefix of the columns -> label, colour, marker, offset
    "": ("attribution (more)", CLASS_COLOURS["TLE"], "o", -0.15),
    "grey_matter_": ("grey matter (less)", "0.45", "s", 0.15),
}


def lateralisation_figure(table: pd.DataFrame, class_names: ClassNames) -> Figure:
    """Draw the areas under the ROC curves of the densest pairs of regions, a panel a method.

    Parameters
    ----------
    table : DataFrame
        The rows of lateralisation.csv.
    class_names : ClassNames

    Returns
    -------
    Figure
        Not attached to pyplot.
    """
    methods = list(table["method"].unique())
    figure, panels = panel_grid(len(methods))
    figure.suptitle(f"Does a region's asymmetry tell left from right {class_names.tle}?", fontsize=14)
    for axes, method in zip(panels, methods, strict=True):
        of_method = table[table["method"] == method]
        _draw_pairs(axes, of_method.head(_N_PAIRS).sort_values("auc", ascending=False, kind="stable"))
        axes.set_title(f"{method_label(method)} ({_N_PAIRS} densest of {len(of_method)} pairs)")
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2, fontsize=10)
    return figure


def _draw_pairs(axes: Axes, rows: pd.DataFrame) -> None:
    """Draw the areas of one method's pairs with their intervals, from the top down."""
    for prefix, (label, colour, marker, offset) in _MARKS.items():
        areas, low, high = (rows[f"{prefix}auc{end}"].to_numpy(float) for end in ("", "_low", "_high"))
        axes.errorbar(
            areas, [place + offset for place in range(len(rows))], xerr=[areas - low, high - areas],
            fmt=marker, color=colour, markersize=5, elinewidth=1.4, label=label,
        )  # fmt: skip
    axes.axvline(0.5, color="0.5", linewidth=1, linestyle=":")
    names = [without_side(name)[:_MAX_NAME] for name in rows["left_region"]]
    axes.set_yticks(range(len(rows)), names, fontsize=9)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_xlim(-0.02, 1.02)
    axes.set_xlabel("area under the ROC curve, 95 % interval (0.5: chance)")
