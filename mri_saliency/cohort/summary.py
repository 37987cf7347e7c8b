"""The chart of a cohort."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogFormatter, MaxNLocator

from mri_saliency.cohort.groups import class_words
from mri_saliency.maps.charts import Box, draw_box, new_figure, set_method_ticks, wrapped_label
from mri_saliency.maps.comparison import NULL, MeanAgreement
from mri_saliency.maps.drawing import DIAGNOSIS_COLOURS, METHOD_COLOURS
from mri_saliency.maps.style import own_style
from mri_saliency.methods import METHODS, null_legend
from mri_saliency.wording import ClassNames, demo_mark, with_minus


@own_style()
def cohort_figure(
    statistics: pd.DataFrame,
    profiles: Mapping[tuple[str, str], np.ndarray],
    agreement: MeanAgreement,
    correlations: Mapping[str, float],
    class_names: ClassNames,
) -> Figure:
    """Draw what a cohort's maps show, in six panels.

    `statistics` has a row a map, with `subject_id`, `method`, `class` ("HC" or "TLE"), `abs_mean`,
    `confidence`, `brain_share`, `brain_share_null`. `profiles` are by method and class the mean shares of
    magnitude, (n_slices,). `correlations` are of `confidence` and `abs_mean`; NaN where undefined.
    """
    methods, words = list(agreement.mean.columns), class_words(class_names)
    rows_of = {name: statistics[statistics["method"] == name] for name in methods}
    figure = new_figure(15, 9.5)
    axes = figure.subplots(2, 3)
    counts = statistics.drop_duplicates("subject_id")["class"].value_counts()
    parts = [f"{counts.get(name, 0)} {word}" for name, word in words.items()]
    title = f"{demo_mark(statistics['subject_id'])}Attributions of {counts.sum()} scans ({', '.join(parts)})"
    figure.suptitle(title, fontsize=14)
    _draw_strength(axes[0, 0], rows_of)
    _draw_confidence(axes[0, 1], rows_of, correlations)
    _draw_classes(axes[0, 2], rows_of, words)
    _draw_profiles(axes[1, 0], profiles, methods, words)
    _draw_agreement(axes[1, 1], agreement)
    _draw_brain_share(axes[1, 2], rows_of)
    return figure


def _draw_box_per_method(axes: Axes, rows_of: Mapping[str, pd.DataFrame], column: str) -> None:
    for index, (method, rows) in enumerate(rows_of.items()):
        draw_box(axes, rows[column].to_numpy(float), Box(index, 0.5, METHOD_COLOURS[method]))
    set_method_ticks(axes, list(rows_of))


def _relative_strength(rows: pd.DataFrame) -> np.ndarray:
    """Return `abs_mean` over its median, which makes methods of different units comparable."""
    strength = rows["abs_mean"].to_numpy(float)
    return strength / (np.median(strength) or 1)


class _LogLabels(LogFormatter):
    def __call__(self, x: float, pos: int | None = None) -> str:
        """Return a tick's number, or nothing, as matplotlib decides, but without its formula."""
        return with_minus(f"{x:.3g}") if super().__call__(x, pos) else ""


def _draw_strength(axes: Axes, rows_of: Mapping[str, pd.DataFrame]) -> None:
    _draw_box_per_method(axes, rows_of, "abs_mean")
    if any((rows["abs_mean"] > 0).any() for rows in rows_of.values()):
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(_LogLabels())
        axes.yaxis.set_minor_formatter(_LogLabels())
    axes.set(title="Attribution strength by method", ylabel="mean |attribution| (each method's own unit)")


def _draw_brain_share(axes: Axes, rows_of: Mapping[str, pd.DataFrame]) -> None:
    _draw_box_per_method(axes, rows_of, "brain_share")
    nulls = [rows["brain_share_null"].median() for rows in rows_of.values()]
    places, label = np.arange(len(nulls)), f"median of the null map:\n{null_legend(rows_of)}"
    axes.hlines(nulls, places - 0.4, places + 0.4, color="black", linestyle=":", zorder=4, label=label)
    axes.legend(fontsize=8, loc="lower left")
    axes.set(title="Attribution inside the brain", ylabel="share of summed |attribution|", ylim=(0, 1.02))


def _draw_confidence(
    axes: Axes, rows_of: Mapping[str, pd.DataFrame], correlations: Mapping[str, float]
) -> None:
    for method, rows in rows_of.items():
        rho = correlations[method]
        rho_text = with_minus(f"ρ = {rho:+.2f}") if np.isfinite(rho) else "ρ undefined"
        axes.scatter(
            rows["confidence"], _relative_strength(rows), s=max(6, 24 - len(rows) / 20), alpha=0.6,
            linewidths=0, color=METHOD_COLOURS[method], label=f"{METHODS[method].title}: {rho_text}",
        )  # fmt: skip
    low, high = axes.get_ylim()
    axes.set_ylim(min(low, 0), high + 0.09 * (len(rows_of) + 1) * (high - min(low, 0)))
    axes.legend(fontsize=8, loc="upper left", title="Spearman's rank correlation", title_fontsize=8)
    # confidences that all round to 1 are drawn at 1, not spread over a range of 1e-6
    least = min(0.99, *(rows["confidence"].min() for rows in rows_of.values()))
    axes.set_xlim(least - 0.05 * (1 - least), 1 + 0.05 * (1 - least))
    axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.set(title="Confidence against attribution strength", xlabel="probability of the predicted class")
    axes.set_ylabel("mean |attribution| over its method's median")


def _draw_classes(axes: Axes, rows_of: Mapping[str, pd.DataFrame], words: Mapping[str, str]) -> None:
    for index, rows in enumerate(rows_of.values()):
        strength = _relative_strength(rows)
        for offset, name in zip((-0.2, 0.2), words, strict=True):
            box = Box(index + offset, 0.32, DIAGNOSIS_COLOURS[name])
            draw_box(axes, strength[rows["class"] == name], box)
    marks = [axes.scatter([], [], s=24, color=DIAGNOSIS_COLOURS[name]) for name in words]
    axes.legend(marks, words.values(), fontsize=9)  # without labels, names that begin with _ are left out
    set_method_ticks(axes, list(rows_of))
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
        axes.plot(100 * profile, styles[name], color=METHOD_COLOURS[method], linewidth=1.3)
    lines = [axes.plot([], [], style, color="black")[0] for style in styles.values()]
    lines += [axes.plot([], [], color=METHOD_COLOURS[method])[0] for method in methods]
    axes.legend(lines, [*words.values(), *(METHODS[method].title for method in methods)], fontsize=8, ncols=2)
    axes.set(title="Attribution along the slices (class means)", ylim=(0, None))
    axes.set_xlabel("network slice (posterior to anterior)")
    axes.set_ylabel("share of summed |attribution| (%)")


def _draw_agreement(axes: Axes, agreement: MeanAgreement) -> None:
    names, methods = list(agreement.mean.index), list(agreement.mean.columns)
    values, chances = agreement.mean.to_numpy(), agreement.chance.loc[names].to_numpy()
    # half transparent, so that black numbers are read on every cell
    colours = colormaps["PuOr_r"].resampled(256)
    image = axes.imshow(values, vmin=-1, vmax=1, cmap=colours, alpha=0.5, aspect="auto")
    for row, column in np.ndindex(values.shape):
        value, chance = values[row, column], chances[row, column]
        text = f"{value:.2f}" if np.isfinite(value) else "–"
        if names[row] != methods[column] and np.isfinite(chance):
            text += f"\n({chance:.2f})"
        size = 9 if len(methods) < 6 else 7
        axes.text(column, row, with_minus(text), ha="center", va="center", fontsize=size)
    set_method_ticks(axes, methods)
    labels = ["null map" if name == NULL else wrapped_label(name) for name in names]
    axes.set_yticks(range(len(names)), labels, fontsize=8)
    axes.figure.colorbar(image, ax=axes, shrink=0.8)
    axes.set_title(
        "Agreement of methods in the brain: rank correlation\n"
        "of |attribution| (in brackets: of different subjects' maps)",
        fontsize=10,
    )
