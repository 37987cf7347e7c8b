"""Where groups differ -> a figure of each subject's value there, of the map and of the null map."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

from mri_saliency.cohort.groups import diagnosis_words
from mri_saliency.maps.charts import method_label, panel_grid
from mri_saliency.maps.drawing import DIAGNOSIS_COLOURS
from mri_saliency.statistics.contrasts import Contrast, Subjects
from mri_saliency.wording import ClassNames

SHOWN = 6  # effects of a method
_DEPTH = {"map": -0.2, "null": 0.2}  # of the two rows of an effect, from its middle


@dataclass(frozen=True, eq=False)
class Effect:
    """A contrast of groups at one place, and the subjects' values there."""

    title: str
    diagnoses: np.ndarray  # of the subjects that are compared, (n,)
    values: Mapping[str, np.ndarray]  # "map", "null" -> their logarithms, (n,); NaN: unknown
    ratios: Mapping[str, Sequence[float]]  # "map", "null" -> ratio of the groups and the ends of its interval

    @classmethod
    def of(
        cls, contrast: Contrast, subjects: Subjects, values: np.ndarray, row: Mapping, names: Sequence[str]
    ) -> Effect:
        """Return an effect of a table's row, whose ratios have these names, of the maps and of the null maps.

        `values` are the logarithms of maps and null maps, (2, n_subjects).
        """
        compared = np.any([subjects.members(name) for name in contrast.weights], axis=0)
        where = row["region"] or "x, y, z {peak_x:.0f}, {peak_y:.0f}, {peak_z:.0f} mm".format(**row)
        return cls(
            f"{where}, {contrast.name.removesuffix('_minus_HC')}",
            subjects.diagnoses[compared],
            dict(zip(_DEPTH, values[:, compared], strict=True)),
            {
                what: [row[f"{name}{end}"] for end in ("", "_low", "_high")]
                for what, name in zip(_DEPTH, names, strict=False)
            },
        )


def effects_figure(effects: Mapping[str, Sequence[Effect]], class_names: ClassNames) -> Figure:
    """Draw a panel a method: each effect with a dot a subject, over the controls' mean."""
    shown = {name for rows in effects.values() for effect in rows for name in effect.diagnoses}
    words = diagnosis_words(shown, class_names)
    figure, panels = panel_grid(len(effects))
    figure.suptitle(
        f"Does it differ by the network, or by the anatomy? Dots: subjects, over {class_names.hc}"
    )
    for axes, (method, rows) in zip(panels, effects.items(), strict=True):
        ticks = {}
        for place, effect in enumerate(rows):
            for name, depth in _DEPTH.items():
                y = place + depth
                ticks[y] = f"{effect.title}\n{name}" if name == "map" else "null map"
                values = effect.values[name]
                controls = values[(effect.diagnoses == "HC") & np.isfinite(values)]
                values = np.exp(values - controls.sum() / max(1, len(controls)))
                for diagnosis, colour in DIAGNOSIS_COLOURS.items():
                    dots = values[effect.diagnoses == diagnosis]
                    heights = y + np.random.default_rng(0).uniform(-0.1, 0.1, len(dots))
                    axes.scatter(dots, heights, s=12, color=colour, alpha=0.6, linewidths=0)
                middle, low, high = effect.ratios[name]
                axes.errorbar(
                    [middle],
                    [y],
                    xerr=[[middle - low], [high - middle]],
                    fmt="D",
                    color="black",
                    markersize=5,
                )
        axes.set_title(method_label(method))
        axes.set_xscale("log", base=2)
        axes.xaxis.set_major_formatter("{x:g}")
        axes.set_yticks(list(ticks), list(ticks.values()), fontsize=8)
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.axvline(1, color="0.5", linewidth=1, linestyle=":")
        axes.set_xlabel(f"over the mean of {class_names.hc}; diamond: ratio of the groups, 95 % interval")
    marks = [panels[0].scatter([], [], s=24, color=DIAGNOSIS_COLOURS[name]) for name in words]
    figure.legend(marks, list(words.values()), loc="outside lower center", ncols=len(words), fontsize=10)
    return figure
