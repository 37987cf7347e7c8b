"""One method's maps -> the means of the cohort's groups, as images and figures."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from mri_saliency.cohort.groups import GROUPS, group_means, group_titles
from mri_saliency.groups.figures import group_figure
from mri_saliency.groups.method_maps import MethodMaps
from mri_saliency.maps.colours import colour_scale
from mri_saliency.maps.drawing import Drawing
from mri_saliency.maps.figures import montage
from mri_saliency.maps.image import estimate
from mri_saliency.maps.smoothing import smoothed
from mri_saliency.output.files import write_picture


def draw_mean_scan(maps: MethodMaps) -> None:
    """Draw the mean scan, on which all figures of groups lie, by itself."""
    view = replace(maps.view("", "mean of some scans' network inputs, under groups' maps"), title="Mean scan")
    write_picture(maps.folder.mean_scan_figure, montage(view, {"mean scan": view.greys()}, []))


def write_means(maps: MethodMaps, smooth_mm: float) -> dict[str, Path]:
    """Write every group's mean map, and draw its mean magnitude too; all groups share their colour scales.

    Figures show them smoothed. Returns title of the group -> path of its figure.
    """
    openers = [partial(maps.open_map, scan) for scan in maps.scans]
    members = {
        name: np.array([group.has_member(scan) for scan in maps.scans]) for name, group in GROUPS.items()
    }
    if not members["TLE_wrong"].any():
        del members["TLE_correct"]  # all patients
    means = group_means(openers, members)
    mixed = maps.method.signed and not maps.has_one_target
    caveat = "; maps toward different classes are mixed" if mixed else ""
    unit, space = maps.method.unit, maps.space
    smooth = {
        name: [smoothed(values, space.grid, smooth_mm) for values in (mean.signed, mean.magnitude)]
        for name, mean in means.items()
    }
    scale = max(colour_scale(mean.signed, space.brain) for mean in means.values())
    smooth_scales = [
        max(colour_scale(values, space.brain, is_smooth=True) for values in of_groups)
        for of_groups in zip(*smooth.values(), strict=True)  # signed, magnitude
    ]
    meaning = estimate(unit, scale, signed=maps.method.signed)
    titles = group_titles(maps.folder.class_names)
    drawing = Drawing(scale, smooth_scales[0], smooth_mm, telling_slice=maps.key_slices[0])
    figures = {}
    for name, mean in means.items():
        maps.write_viewer(name, mean.signed, drawing)
        maps.write_image(f"{name}_mean", mean.signed, f"mean of {mean.n} {name}, {unit}{caveat}", meaning)
        title = f"{titles[name]}: mean of {mean.n} scan{'s' if mean.n > 1 else ''}"
        view = maps.view(title, f"all groups of a method share one scale{caveat}")
        signed, magnitude = map(maps.layer, smooth[name], smooth_scales)
        picture = group_figure(view, signed, magnitude, smooth_mm)
        figures[titles[name]] = maps.write_figure(name, picture)
    return figures
