"""The charts of a cohort, drawn by matplotlib: its summary, its regions."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from mri_saliency.cohort.groups import class_words, diagnosis_words
from mri_saliency.inputs.scan_table import ClassNames
from mri_saliency.inputs.subject_ids import demo_mark
from mri_saliency.maps.comparison import NULL, MeanAgreement

DPI = 100
_CLASS_COLOURS = {"HC": "#3b6ea5", "TLE": "#c2452d"}
_DIAGNOSIS_COLOURS = {"HC": _CLASS_COLOURS["HC"], "left": "#c2452d", "right": "#d9992b", "TLE": "#7a4f9a"}
_MAX_JITTERED_POINTS = 80  # more points than this hide the box beneath
_MAX_REGION_NAME = 40  # characters
_NULL_MARK = {"s": 22, "marker": "D", "facecolors": "none", "edgecolors": "black", "zorder": 4}
_MINUS = "\N{MINUS SIGN}"
_NULL = "|scan \N{MINUS SIGN} reference|"  # what the null map is


def cohort_figure(
    statistics: pd.DataFrame,
    profiles: Mapping[tuple[str, str], np.ndarray],
    agreement: MeanAgreement,
    correlations: Mapping[str, float],
    class_names: ClassNames,
) -> Figure:
    """Draw what a cohort's maps show, in six panels.

    Parameters
    ----------
    statistics : DataFrame
        A row a map, with `subject_id`, `method`, `class` ("HC" or "TLE"), `abs_mean`, `confidence`,
        `brain_share`, `brain_share_null`.
    profiles : mapping
        (method, class) -> float64 (n_slices,), the class's mean share of magnitude by slice.
    agreement : MeanAgreement
        Rank correlation of the methods' maps of a scan.
    correlations : mapping
        Method -> rank correlation of `confidence` and `abs_mean`; NaN where undefined.
    class_names : ClassNames

    Returns
    -------
    Figure
        15 x 9.5 inches, not attached to pyplot.
    """
    methods, words = list(agreement.mean.columns), class_words(class_names)
    figure = Figure(figsize=(15, 9.5), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(2, 3)
    counts = statistics.drop_duplicates("subject_id")["class"].value_counts()
    parts = [f"{counts.get(name, 0)} {word}" for name, word in words.items()]
    title = f"{demo_mark(statistics['subject_id'])}Attributions of {counts.sum()} scans ({', '.join(parts)})"
    figure.suptitle(title, fontsize=14)
    _draw_strength(axes[0, 0], statistics, methods)
    _draw_confidence(axes[0, 1], statistics, correlations)
    _draw_classes(axes[0, 2], statistics, methods, words)
    _draw_profiles(axes[1, 0], profiles, methods, words)
    _draw_agreement(axes[1, 1], agreement)
    _draw_brain_share(axes[1, 2], statistics, methods)
    return figure


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
        axes.set_title(method.replace("_", " "))
    marks = [figure.axes[0].scatter([], [], s=24, color=_DIAGNOSIS_COLOURS[name]) for name in words]
    labels = list(words.values())
    if regions["density_null"].notna().any():
        marks.append(figure.axes[0].scatter([], [], **_NULL_MARK))
        labels.append("mean of the null, |scan \N{MINUS SIGN} baseline|, which knows nothing of the network")
    figure.legend(marks, labels, loc="outside lower center", ncols=len(labels), fontsize=10)
    return figure


# --- What the panels share ----------------------------------------------------------------------


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


def _draw_box(
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


def _draw_box_per_method(axes: Axes, statistics: pd.DataFrame, methods: Sequence[str], column: str) -> None:
    for index, method in enumerate(methods):
        values = statistics.loc[statistics["method"] == method, column].to_numpy(float)
        _draw_box(axes, values, index, 0.5, method_colour(index))
    set_method_ticks(axes, methods)


def _relative_strength(rows: pd.DataFrame) -> np.ndarray:
    """Return `abs_mean` over its median, which makes methods of different units comparable."""
    strength = rows["abs_mean"].to_numpy(float)
    return strength / (np.median(strength) or 1) if len(strength) else strength


# --- Panels of the cohort -----------------------------------------------------------------------


def _draw_strength(axes: Axes, statistics: pd.DataFrame, methods: Sequence[str]) -> None:
    _draw_box_per_method(axes, statistics, methods, "abs_mean")
    if (statistics["abs_mean"] > 0).any():
        axes.set_yscale("log")
    axes.set_title("Attribution strength by method")
    axes.set_ylabel("mean |attribution| (each method's own unit)")


def _draw_brain_share(axes: Axes, statistics: pd.DataFrame, methods: Sequence[str]) -> None:
    _draw_box_per_method(axes, statistics, methods, "brain_share")
    nulls = [statistics.loc[statistics["method"] == name, "brain_share_null"].median() for name in methods]
    places = np.arange(len(methods))
    axes.hlines(
        nulls,
        places - 0.4,
        places + 0.4,
        color="black",
        linestyle=":",
        zorder=4,
        label=f"null map {_NULL}, median",
    )
    axes.legend(fontsize=8, loc="lower left")
    axes.set_ylim(0, 1.02)
    axes.set_title("Attribution inside the brain")
    axes.set_ylabel("share of summed |attribution|")


def _draw_confidence(axes: Axes, statistics: pd.DataFrame, correlations: Mapping[str, float]) -> None:
    for index, (method, rho) in enumerate(correlations.items()):
        rows = statistics[statistics["method"] == method]
        rho_text = f"ρ = {rho:+.2f}".replace("-", _MINUS) if np.isfinite(rho) else "ρ undefined"
        axes.scatter(
            rows["confidence"], _relative_strength(rows), s=max(6, 24 - len(rows) / 20), alpha=0.6,
            linewidths=0, color=method_colour(index), label=f"{method.replace('_', ' ')}: {rho_text}",
        )  # fmt: skip
    low, high = axes.get_ylim()
    axes.set_ylim(min(low, 0), high + 0.09 * (len(correlations) + 1) * (high - min(low, 0)))
    axes.legend(fontsize=8, loc="upper left", title="Spearman's rank correlation", title_fontsize=8)
    # confidences that all round to 1 are drawn at 1, not spread over a range of 1e-6
    least = min(statistics["confidence"].min(), 0.99)
    axes.set_xlim(least - 0.05 * (1 - least), 1 + 0.05 * (1 - least))
    axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.set_title("Confidence against attribution strength")
    axes.set_xlabel("probability of the predicted class")
    axes.set_ylabel("mean |attribution| over its method's median")


def _draw_classes(
    axes: Axes, statistics: pd.DataFrame, methods: Sequence[str], words: Mapping[str, str]
) -> None:
    for index, method in enumerate(methods):
        rows = statistics[statistics["method"] == method]
        strength = _relative_strength(rows)
        for offset, (name, colour) in zip((-0.2, 0.2), _CLASS_COLOURS.items(), strict=True):
            _draw_box(axes, strength[(rows["class"] == name).to_numpy()], index + offset, 0.32, colour)
    for name, colour in _CLASS_COLOURS.items():
        axes.scatter([], [], s=24, color=colour, label=words[name])
    axes.legend(fontsize=9)
    set_method_ticks(axes, methods)
    axes.set_title(f"{words['HC']} against {words['TLE']} (true class)")
    axes.set_ylabel("mean |attribution| over its method's median")


def _draw_profiles(
    axes: Axes,
    profiles: Mapping[tuple[str, str], np.ndarray],
    methods: Sequence[str],
    words: Mapping[str, str],
) -> None:
    styles = {"HC": "--", "TLE": "-"}
    for (method, name), profile in profiles.items():
        colour = method_colour(methods.index(method))
        axes.plot(100 * profile, styles[name], color=colour, linewidth=1.3)
    for name, style in styles.items():
        axes.plot([], [], style, color="black", label=words[name])
    for index, method in enumerate(methods):
        axes.plot([], [], color=method_colour(index), label=method.replace("_", " "))
    axes.legend(fontsize=8, ncols=2)
    axes.set_ylim(bottom=0)
    axes.set_title("Attribution along the slices (class means)")
    axes.set_xlabel("network slice (posterior to anterior)")
    axes.set_ylabel("share of summed |attribution| (%)")


def _draw_agreement(axes: Axes, agreement: MeanAgreement) -> None:
    names, methods = list(agreement.mean.index), list(agreement.mean.columns)
    values, chances = (matrix.loc[names].to_numpy() for matrix in (agreement.mean, agreement.chance))
    image = axes.imshow(values, vmin=-1, vmax=1, cmap="PuOr_r", aspect="auto")
    for row, column in np.ndindex(values.shape):
        value, chance = values[row, column], chances[row, column]
        text = _two_digits(value) if np.isfinite(value) else "–"
        if names[row] != methods[column] and np.isfinite(chance):
            text += f"\n({_two_digits(chance)})"
        colour = "white" if abs(value) > 0.65 else "black"
        size = 9 if len(methods) < 6 else 7
        axes.text(column, row, text, ha="center", va="center", fontsize=size, color=colour)
    set_method_ticks(axes, methods)
    labels = ["null map\n" + _NULL if name == NULL else method_label(name) for name in names]
    axes.set_yticks(range(len(names)), labels, fontsize=8)
    axes.figure.colorbar(image, ax=axes, shrink=0.8)
    axes.set_title(
        "Agreement of methods in the brain: rank correlation\n"
        "of |attribution| (in brackets: of different subjects' maps)",
        fontsize=10,
    )


def _two_digits(value: float) -> str:
    return f"{value:.2f}".replace("-", _MINUS)


# --- Panels of regions --------------------------------------------------------------------------


def _draw_regions(axes: Axes, rows: pd.DataFrame, names: Sequence[str], diagnoses: Collection[str]) -> None:
    """Draw one method's regions from the top down: for each diagnosis a box, and a mark, the null's mean."""
    nulls = rows.groupby(["diagnosis", "region"])["density_null"].mean()
    for position, region in enumerate(names):
        for index, name in enumerate(diagnoses):
            density = rows[(rows["region"] == region) & (rows["diagnosis"] == name)]["density"]
            height = position + 0.26 * (index - (len(diagnoses) - 1) / 2)
            _draw_box(axes, density.to_numpy(float), height, 0.2, _DIAGNOSIS_COLOURS[name], vertical=False)
            axes.scatter(nulls.get((name, region), np.nan), height, **_NULL_MARK)
    axes.axvline(1, color="0.5", linewidth=1, linestyle=":")
    axes.set_yticks(range(len(names)), [name[:_MAX_REGION_NAME] for name in names], fontsize=9)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.set_xlabel("density (1: as everywhere in the brain)")


# --- Panels of the sanity checks ----------------------------------------------------------------
