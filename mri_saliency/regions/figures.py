"""The figure of regions, a panel a method: how well pairs tell the sides."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mri_saliency.inputs.atlas import HEMISPHERES, without_side
from mri_saliency.maps.charts import method_label, panel_grid
from mri_saliency.maps.drawing import DIAGNOSIS_COLOURS
from mri_saliency.maps.style import own_style
from mri_saliency.wording import ClassNames

_MAX_NAME = 40  # characters
_N_PAIRS = 12  # a panel, the densest
_SCORES = {  # prefix of the columns -> label, colour, marker, offset
    "": ("attribution (more)", DIAGNOSIS_COLOURS["TLE"], "o", -0.15),
    "grey_matter_": ("grey matter (less)", "0.45", "s", 0.15),
}


@own_style()
def lateralisation_figure(table: pd.DataFrame, class_names: ClassNames, mark: str) -> Figure:
    """Draw the areas under ROC curves of the hemispheres and the densest pairs; `mark` begins the title."""
    by_method = table.groupby("method", sort=False)
    figure, panels = panel_grid(len(by_method))
    title = f"Does a region's asymmetry tell left from right {class_names.tle}?"
    figure.suptitle(mark + title, fontsize=14)
    for axes, (method, of_method) in zip(panels, by_method, strict=True):
        is_whole = of_method["left_region"] == HEMISPHERES[0]
        pairs = of_method[~is_whole]
        shown = pairs.head(_N_PAIRS).sort_values("auc", ascending=False, kind="stable")
        rows = pd.concat([of_method[is_whole], shown])
        _draw_areas(axes, rows)
        axes.set_title(f"{method_label(method)} ({_N_PAIRS} densest of {len(pairs)} pairs)")
        stars = rows["better_than_hemisphere"].eq("yes").map({True: "* ", False: ""})
        names = (stars + rows["left_region"].map(without_side)).str[:_MAX_NAME]
        axes.set_yticks(range(len(names)), names, fontsize=9)
        axes.set_ylim(len(names) - 0.4, -0.6)
        axes.axvline(0.5, color="0.5", linewidth=1, linestyle=":")
        axes.set_xlim(-0.02, 1.02)
        axes.set_xlabel("area under the ROC curve (0.5: chance; *: above the hemisphere's)")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=2, fontsize=10)
    return figure


def _draw_areas(axes: Axes, rows: pd.DataFrame) -> None:
    """Draw the areas of one method's pairs with their intervals, from the top down."""
    for prefix, (label, colour, marker, offset) in _SCORES.items():
        areas, low, high = (rows[f"{prefix}auc{end}"].to_numpy(float) for end in ("", "_low", "_high"))
        axes.errorbar(
            areas, np.arange(len(rows)) + offset, xerr=[areas - low, high - areas],
            fmt=marker, color=colour, markersize=5, elinewidth=1.4, label=label,
        )  # fmt: skip
