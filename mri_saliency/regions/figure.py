"""The regions of the highest density, drawn by diagnosis."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mri_saliency.cohort.groups import diagnosis_words
from mri_saliency.maps.charts import Box, draw_box, method_label, panel_grid
from mri_saliency.maps.drawing import DIAGNOSIS_COLOURS
from mri_saliency.wording import ClassNames, demo_mark

_MAX_REGION_NAME = 40  # characters
_NULL_MARK = {"s": 22, "marker": "D", "facecolors": "none", "edgecolors": "black", "zorder": 4}


def region_figure(
    regions: pd.DataFrame, densest: Mapping[str, Sequence[str]], class_names: ClassNames
) -> Figure:
    """Draw the density of the densest regions by diagnosis, and its null's mean, a panel a method.

    Parameters
    ----------
    regions : DataFrame
        A row a scan, method and region, with `method`, `region`, `diagnosis`, `density`, `density_null`.
    densest : mapping
        Method -> the regions to draw, from the top down.
    class_names : ClassNames

    Returns
    -------
    Figure
        Not attached to pyplot.
    """
    methods, words = list(densest), diagnosis_words(set(regions["diagnosis"]), class_names)
    figure, panels = panel_grid(len(methods))
    title = "Regions of the highest |attribution| a voxel, over the brain's"
    figure.suptitle(demo_mark(regions["subject_id"]) + title, fontsize=14)
    for axes, method in zip(panels, methods, strict=True):
        rows = regions[regions["method"] == method]
        _draw_regions(axes, rows, densest[method], list(words))
        axes.set_title(method_label(method))
    marks = [figure.axes[0].scatter([], [], s=24, color=DIAGNOSIS_COLOURS[name]) for name in words]
    labels = list(words.values())
    if regions["density_null"].notna().any():
        marks.append(figure.axes[0].scatter([], [], **_NULL_MARK))
        labels.append("mean of the null, |scan \N{MINUS SIGN} baseline|, which knows nothing of the network")
    figure.legend(marks, labels, loc="outside lower center", ncols=len(labels), fontsize=10)
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
            axes.scatter(nulls.get((name, region), np.nan), height, **_NULL_MARK)
    axes.axvline(1, color="0.5", linewidth=1, linestyle=":")
    axes.set_yticks(range(len(names)), [name[:_MAX_REGION_NAME] for name in names], fontsize=9)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.set_xlabel("density (1: as everywhere in the brain)")
