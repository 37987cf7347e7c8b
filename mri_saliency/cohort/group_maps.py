"""One method's maps -> the means of the cohort's groups, as images and figures."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np

from mri_saliency.cohort.group_figures import group_figure
from mri_saliency.cohort.groups import GROUPS, group_means, group_titles
from mri_saliency.cohort.method_maps import MethodMaps
from mri_saliency.maps.colours import colour_scale
from mri_saliency.maps.image import estimate


def write_means(maps: MethodMaps) -> dict[str, Path]:
    """Write every group's mean map and mean magnitude; all groups share their colour scales.

    Returns
    -------
    dict
        Title of the group -> path of its figure.
    """
    openers = [partial(maps.open_map, scan) for scan in maps.scans]
    members = {
        name: np.array([group.has_member(scan) for scan in maps.scans]) for name, group in GROUPS.items()
    }
    means = group_means(openers, members)
    mixed = maps.method.signed and not maps.has_one_target
    caveat = "; maps toward different classes are mixed" if mixed else ""
    scale = max(colour_scale(mean.signed) for mean in means.values())
    magnitude_scale = max(colour_scale(mean.magnitude) for mean in means.values())
    unit = maps.method.unit
    signed = estimate(unit, scale, signed=maps.method.signed)
    magnitude = estimate(unit, magnitude_scale, signed=False)
    titles = group_titles(maps.space.class_names)
    figures = {}
    for name, mean in means.items():
        of_group = f"of {mean.n} {name}, {unit}"
        maps.write_image(f"{name}_mean", mean.signed, f"mean {of_group}{caveat}", signed)
        maps.write_image(f"{name}_magnitude", mean.magnitude, f"mean magnitude {of_group}", magnitude)
        title = f"{titles[name]}: mean of {mean.n} scan{'s' if mean.n > 1 else ''}"
        view = maps.view(mean.signed, title, f"all groups of a method share one scale{caveat}", scale)
        picture = group_figure(view, maps.shown(mean.magnitude), magnitude_scale)
        figures[titles[name]] = maps.write_figure(name, picture)
    return figures
