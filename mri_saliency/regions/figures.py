"""The figures of regions, a panel a method: the densest by diagnosis, and how well pairs tell the sides."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from mri_saliency.cohort.groups import diagnosis_words
from mri_saliency.inputs.atlas import HEMISPHERES, without_side
from mri_saliency.maps.charts import Box, draw_box, method_label, panel_grid
from mri_saliency.maps.drawing import DIAGNOSIS_COLOURS
from mri_saliency.maps.style import own_style
from mri_saliency.methods import null_legend
from mri_saliency.wording import ClassNames, demo_mark

_MAX_NAME = 40  # characters
_N_PAIRS = 12  # a panel, the densest
_SCORES = {  # prefix of the columns -> label, colour, marker, offset
    "": ("attribution (more)", DIAGNOSIS_COLOURS["TLE"], "o", -0.15),
    "grey_matter_": ("grey matter (less)", "0.45", "s", 0.15),
}


@own_style()
def region_figure(
    regions: pd.DataFrame, densest: Mapping[str, Sequence[str]], class_names: ClassNames
) -> Figure:
    """Draw the density of the densest regions by diagnosis, and its null's mean.

    `regions` has a row a scan, method and region; `densest` the regions of each method, from the top down.
    """
    words = diagnosis_words(set(regions["diagnosis"]), class_names)
    figure, panels = panel_grid(len(densest))
    title = "Regions of the highest |attribution| a voxel, over the brain's"
    figure.suptitle(demo_mark(regions["subject_id"]) + title, fontsize=14)
    for axes, (method, names) in zip(panels, densest.items(), strict=True):
        _draw_regions(axes, regions[regions["method"] == method], names, list(words))
        axes.set_title(method_label(method))
        _name_rows(axes, names, 1)
        axes.set_xlabel("density (1: as everywhere in the brain)")
    marks = [panels[0].scatter([], [], s=24, color=DIAGNOSIS_COLOURS[name]) for name in words]
    labels = list(words.values())
    if regions["density_null"].notna().any():
        marks.append(_mark_null(panels[0], [], []))
        null = null_legend(densest).replace("\n", "; ")
        labels.append(f"mean of the null map, which knows nothing of the network: {null}")
    figure.legend(marks, labels, loc="outside lower center", ncols=2 * len(panels), fontsize=10)
    return figure


def _draw_regions(axes: Axes, rows: pd.DataFrame, names: Sequence[str], diagnoses: Collection[str]) -> None:
    """Draw one method's regions from the top down: for each diagnosis a box, and a mark, the null's mean."""
    nulls = rows.groupby(["diagnosis", "region"])["density_null"].mean()
    for position, region in enumerate(names):
        for index, name in enumerate(diagnoses):
            density = rows[(rows["region"] == region) & (rows["diagnosis"] == name)]["density"]
            height = position + 0.26 * (index - (len(diagnoses) - 1) / 2)
            box = Box(height, 0.2, DIAGNOSIS_COLOURS[name], "horizontal")
            draw_box(axes, density.to_numpy(float), box)
            _mark_null(axes, nulls.get((name, region), np.nan), height)


def _mark_null(axes: Axes, x: ArrayLike, y: ArrayLike) -> PathCollection:
    return axes.scatter(x, y, s=22, marker="D", facecolors="none", edgecolors="black", zorder=4)


@own_style()
def lateralisation_figure(table: pd.DataFrame, class_names: ClassNames, mark: str) -> Figure:
    """Draw the areas under the ROC curves of the hemispheres and the densest pairs, from lateralisation.csv.

    `mark` begins the title, as `demo_mark` returns it.
    """
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
        _name_rows(axes, list(stars + rows["left_region"].map(without_side)), 0.5)
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


def _name_rows(axes: Axes, names: Sequence[str], by_chance: float) -> None:
    """Write the regions' names from the top down, and draw the line of what is expected by chance."""
    axes.set_yticks(range(len(names)), [name[:_MAX_NAME] for name in names], fontsize=9)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.axvline(by_chance, color="0.5", linewidth=1, linestyle=":")
