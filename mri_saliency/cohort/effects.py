"""Places where groups were compared -> the null maps' effect beside the maps', as numbers and as a figure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mri_saliency.cohort.groups import diagnosis_words
from mri_saliency.maps.charts import panel_grid
from mri_saliency.maps.drawing import DIAGNOSIS_COLOURS
from mri_saliency.maps.style import own_style
from mri_saliency.methods import METHODS
from mri_saliency.statistics.contrasts import Contrast, Subjects, contrast_test
from mri_saliency.statistics.sign_flips import SIGNIFICANT
from mri_saliency.wording import ClassNames

_SHOWN = 6  # places of a method in the figure


@dataclass(eq=False)
class Places:
    """Where a contrast was compared: regions, or the peaks of clusters."""

    contrast: Contrast
    subjects: Subjects
    maps: np.ndarray  # the subjects' logarithms, float32 (n_subjects, n_places)
    nulls: np.ndarray  # those of the null maps; NaN for subjects who have none, and where some have none
    rows: list[dict]  # of the table of such places, with its method

    # the table's columns; of the three ratios, the ends of the intervals lie beside them
    t: ClassVar[str] = "t"
    ratios: ClassVar[tuple[str, ...]] = ("ratio", "ratio_null", "ratio_over_null")

    def add_ratios(self) -> None:
        """Add to the rows the groups' ratio, the null maps', and that of the maps over the null maps.

        NaN if it is unknown. ``exceeds_null``: whether the third's interval lies on the side of the first.
        """
        known = np.isfinite(self.nulls).any(axis=1)
        everyone = np.ones(len(known), bool)
        parts = ((self.maps, everyone), (self.nulls, known), (self.maps - self.nulls, known))
        for name, (values, members) in zip(self.ratios, parts, strict=True):
            ratios = self._ratios(values[members], self.subjects.subset(members))
            for row, of_row in zip(self.rows, ratios.T.tolist(), strict=True):
                row |= dict(zip((name, f"{name}_low", f"{name}_high"), of_row, strict=True))
        for row in self.rows:
            ratio, low, high = (row[name] for name in (self.ratios[0], f"{name}_low", f"{name}_high"))
            row["exceeds_null"] = None if np.isnan(low) else low > 1 if ratio > 1 else high < 1

    def _ratios(self, values: np.ndarray, subjects: Subjects) -> np.ndarray:
        """Return ratios with the ends of their intervals, (3, n_places)."""
        if subjects.has_enough(self.contrast):
            tested, _ = contrast_test([self.contrast], subjects, {self.contrast.aligned: values}, n_flips=0)
            for _, estimate in tested:
                return np.exp([estimate.effect, *estimate.interval()])
        return np.full((3, values.shape[1]), np.nan)


@own_style()
def effects_figure(places: Sequence[Places], class_names: ClassNames) -> Figure | None:
    """Draw a panel a method: the significant places of the largest |t|, a dot a subject; None without any."""
    found: dict[str, list[tuple[float, Places, int]]] = {}
    for of_contrast in places:
        for index, row in enumerate(of_contrast.rows):
            if row["p"] <= SIGNIFICANT:
                found.setdefault(row["method"], []).append((-abs(row[of_contrast.t]), of_contrast, index))
    if not found:
        return None
    words = diagnosis_words(set(np.concatenate([each.subjects.diagnoses for each in places])), class_names)
    figure, panels = panel_grid(len(found))
    figure.suptitle(
        "Where groups differ: the map, and below it the null map, which knows nothing of the network"
    )
    for axes, (method, entries) in zip(panels, found.items(), strict=True):
        ticks = []
        for y, (_, of_contrast, index) in enumerate(sorted(entries, key=lambda entry: entry[0])[:_SHOWN]):
            row = of_contrast.rows[index]
            both = zip((-0.2, 0.2), (of_contrast.maps, of_contrast.nulls), of_contrast.ratios, strict=False)
            for depth, values, name in both:
                ratio = [row[name], row[f"{name}_low"], row[f"{name}_high"]]
                _draw_row(axes, y + depth, of_contrast, values[:, index], ratio)
            where = row["region"] or "peak of a cluster"
            if not row["region"] and row["peak_x"] is not None:
                where = "{peak_x:.0f}, {peak_y:.0f}, {peak_z:.0f} mm".format(**row)
            ticks.append(f"{where}\n{of_contrast.contrast.name.removesuffix('_minus_HC')}")
        axes.set_title(METHODS[method].title)
        axes.set_xscale("log", base=2)
        axes.xaxis.set_major_formatter("{x:g}")
        axes.xaxis.set_minor_formatter("")  # or a formula is written out
        axes.set_yticks(range(len(ticks)), ticks, fontsize=8)
        axes.set_ylim(len(ticks) - 0.5, -0.5)
        axes.axvline(1, color="0.5", linewidth=1, linestyle=":")
        axes.set_xlabel(f"over the mean of {class_names.hc}; diamond: ratio of the groups, 95 % interval")
    marks = [panels[0].scatter([], [], s=24, color=DIAGNOSIS_COLOURS[name]) for name in words]
    figure.legend(marks, list(words.values()), loc="outside lower center", ncols=len(words), fontsize=10)
    return figure


def _draw_row(axes: Axes, height: float, places: Places, values: np.ndarray, ratio: Sequence[float]) -> None:
    """Draw the compared subjects' values at a place over the controls' mean, and the groups' ratio."""
    subjects = places.subjects
    controls = values[subjects.members("HC") & np.isfinite(values)]
    values = np.exp(values - controls.sum() / max(1, len(controls)))
    compared = np.any([subjects.members(name) for name in places.contrast.weights], axis=0)
    for diagnosis, colour in DIAGNOSIS_COLOURS.items():
        dots = values[compared & (subjects.diagnoses == diagnosis)]
        heights = height + np.random.default_rng(0).uniform(-0.1, 0.1, len(dots))
        axes.scatter(dots, heights, s=12, color=colour, alpha=0.6, linewidths=0)
    middle, low, high = ratio
    reach = [[middle - low], [high - middle]]
    axes.errorbar([middle], [height], xerr=reach, fmt="D", color="black", markersize=5)
