"""Regions in exactly two runs -> how the second differs from the first, with limits of agreement."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter
from scipy.special import ndtri

from mri_saliency.maps.charts import panel_grid
from mri_saliency.statistics.intervals import COVERAGE

LEAST_SCANS = 3  # below, a region has no limits
_Z = float(ndtri((1 + COVERAGE) / 2))
_N_NAMED = 4  # regions of a panel: those that differ most
_LEAST_NAMED = 0.01  # a change below it is none
_LEAST_APART = 0.04  # of the range of ratios (logarithm), between two names
_MAX_NAME = 28  # characters
_LEAST_SHOWN = 2.1  # a ratio: the axis reaches so far at least, so that no difference is drawn large


def region_differences(regions: pd.DataFrame) -> pd.DataFrame:
    """Compare the regions' densities of two runs, scan by scan.

    Densities are skewed, so that their ratio is what is alike over small and large ones: differences and
    limits are those of logarithms (Bland and Altman 1986, The Lancet; 1999, Statistical Methods in Medical
    Research, section 3).

    Parameters
    ----------
    regions : DataFrame
        The rows of run_regions.csv, of two runs, the first run's first.

    Returns
    -------
    DataFrame
        The rows of run_region_difference.csv: ``method``, ``region``, ``density`` (geometric mean over
        scans and runs), ``ratio`` of the second run's to the first one's (geometric mean over scans),
        ``ratio_low`` and ``ratio_high``, between which 95 % of the scans' ratios are expected, and
        ``n_scans`` with a density in both. No rows for a region of fewer than `LEAST_SCANS`.
    """
    rows = []
    if regions.empty:
        return pd.DataFrame(rows)
    first, second = regions["run"].unique()
    for (method, region), part in regions.groupby(["method", "region"], sort=False):
        by_run = part.pivot(index="subject_id", columns="run", values="density").astype(float)
        by_run = by_run.reindex(columns=[first, second])
        logs = np.log(by_run[(by_run > 0).all(axis=1)])
        if len(logs) < LEAST_SCANS:
            continue
        differences = logs[second] - logs[first]
        mean, half = differences.mean(), _Z * differences.std()  # n - 1
        numbers = (logs.to_numpy().mean(), mean, mean - half, mean + half)
        names = ("density", "ratio", "ratio_low", "ratio_high")
        row = dict(zip(names, map(math.exp, numbers), strict=True))
        rows.append({"method": method, "region": region} | row | {"n_scans": len(logs)})
    return pd.DataFrame(rows)


def difference_figure(table: pd.DataFrame, names: tuple[str, str]) -> Figure:
    """Draw each region's ratio of two runs against its density, with its limits; a panel a method.

    Parameters
    ----------
    table : DataFrame
        The rows of run_region_difference.csv.
    names : tuple of str
        The first run's name, and the second's.

    Returns
    -------
    Figure
        Not attached to pyplot.
    """
    methods = list(table["method"].unique())
    figure, panels = panel_grid(len(methods))
    figure.suptitle(f"Regions: {names[1]}\nover {names[0]}", fontsize=11)
    for axes, method in zip(panels, methods, strict=True):
        _draw_regions(axes, table[table["method"] == method])
        axes.set_title(method.replace("_", " "))
    return figure


def _draw_regions(axes: Axes, rows: pd.DataFrame) -> None:
    """Draw one method's regions; those that differ most are named."""
    density, ratio, low, high = (
        rows[name].to_numpy(float) for name in ("density", "ratio", "ratio_low", "ratio_high")
    )
    axes.errorbar(
        density, ratio, yerr=[ratio - low, high - ratio],
        fmt="o", color="#c2452d", ecolor="0.75", markersize=4, elinewidth=1,
    )  # fmt: skip
    axes.axhline(1, color="0.4", linewidth=1)
    change = np.abs(np.log(ratio))
    farthest = np.argsort(-change, kind="stable")
    named: list[int] = []
    for index in farthest[change[farthest] > _LEAST_NAMED]:
        # two names at one height would be written over each other
        apart = np.abs(np.log(ratio[index] / ratio[named])) > _LEAST_APART * np.ptp(np.log(ratio))
        if len(named) < _N_NAMED and apart.all():
            named.append(index)
    for index in named:
        place = (density[index], ratio[index])
        is_right = density[index] > math.sqrt(density.min() * density.max())
        axes.annotate(
            rows["region"].iloc[index][:_MAX_NAME], place, (-4 if is_right else 4, 3),
            textcoords="offset points", fontsize=8, ha="right" if is_right else "left",
        )  # fmt: skip
    for axis, set_scale in ((axes.xaxis, axes.set_xscale), (axes.yaxis, axes.set_yscale)):
        set_scale("log")
        axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.set_major_formatter("{x:g}")
        axis.set_minor_formatter(NullFormatter())
    axes.set_ylim(min(low.min(), 1 / _LEAST_SHOWN), max(high.max(), _LEAST_SHOWN))
    axes.set_xlabel("density (1: as everywhere in the brain), geometric mean of both runs")
    axes.set_ylabel("ratio, with 95 % limits of agreement over scans")
