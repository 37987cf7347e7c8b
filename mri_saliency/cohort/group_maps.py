"""One method's maps -> the means of the cohort's groups, and the tested difference of TLE and HC."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from mri_saliency.attribution.methods import METHODS, Method
from mri_saliency.cohort.common_space import CommonSpace
from mri_saliency.cohort.group_figures import difference_figure, group_figure
from mri_saliency.cohort.groups import DIFFERENCE, GROUPS, group_means, group_titles
from mri_saliency.cohort.permutation_test import (
    MIN_MAPS,
    N_PERMUTATIONS,
    SIGNIFICANT,
    Comparison,
    compare_groups,
)
from mri_saliency.inputs.grid import upright
from mri_saliency.inputs.preprocessing import intensity_window
from mri_saliency.maps.colours import colour_scale
from mri_saliency.maps.figures import MapView
from mri_saliency.maps.image import Meaning, estimate, neg_log10_p, p_value, t_score, to_nifti
from mri_saliency.maps.statistics import MapStatistics
from mri_saliency.output.files import write_nifti, write_picture
from mri_saliency.output.folder import OutputFolder
from mri_saliency.output.record import MapRecord
from mri_saliency.runtime.workers import Workers

_RELATIVE = "times the mean magnitude"  # unit of the difference


def map_groups(
    folder: OutputFolder,
    records: list[MapRecord],
    space: CommonSpace,
    key_slices: Sequence[int],
    workers: Workers,
) -> dict[str, dict[str, Path]]:
    """Write the group maps of every method, as NIfTI images and figures.

    Returns
    -------
    dict
        Method -> {a name in `GROUPS`, or `DIFFERENCE`: path of its figure}.
    """
    work = {}
    for method in METHODS.values():
        scans = [
            record.statistics
            for record in records
            if record.method == method.name and record.subject_id in space.mirrored
        ]
        if scans:
            folder.open_groups(method.name)
            maps = _MethodMaps(folder, method, scans, space, tuple(key_slices))
            work[method.name] = [workers.submit(part, maps) for part in (_write_means, _write_difference)]
    return {
        method: {name: path for job in jobs for name, path in job.result().items()}
        for method, jobs in work.items()
    }


@dataclass(frozen=True, eq=False)
class _MethodMaps:
    """One method's maps on the common grid, and what drawing their groups needs; it crosses to a worker."""

    folder: OutputFolder
    method: Method
    scans: list[MapStatistics]
    space: CommonSpace
    key_slices: tuple[int, ...]

    def members(self, group: str) -> np.ndarray:
        """Return which scans belong to a group: bool (n_scans,)."""
        return np.array([GROUPS[group].has_member(scan) for scan in self.scans])

    @property
    def has_one_target(self) -> bool:
        """Whether all maps explain the same logit."""
        return len({scan.target for scan in self.scans}) == 1

    def open_map(self, scan: MapStatistics) -> np.ndarray:
        """Open a scan's map on the common grid, without pad."""
        values = self.folder.load_map(self.method.name, scan.subject_id)
        return values[:, ::-1] if self.space.mirrored[scan.subject_id] else values

    def open_relative_map(self, scan: MapStatistics) -> np.ndarray:
        """Open a scan's map in units of its mean magnitude: its distribution, without its strength."""
        return self.open_map(scan) / np.float32(scan.abs_mean or 1)

    def write_image(self, name: str, values: np.ndarray, description: str, meaning: Meaning) -> None:
        """Write a map of a group as NIfTI image on the common grid."""
        image = to_nifti(values, self.space.grid, f"{self.method.name}, {description}", meaning)
        write_nifti(self.folder.group_map(self.method.name, f"{name}.nii.gz"), image)

    def write_figure(self, name: str, picture: np.ndarray) -> Path:
        """Write a group's figure; return its path."""
        path = self.folder.group_map(self.method.name, f"{name}.png")
        write_picture(path, picture)
        return path

    def shown(self, values: np.ndarray) -> np.ndarray:
        """Return a map's key slices, upright."""
        return upright(values[list(self.key_slices)], self.space.grid)

    def view(self, values: np.ndarray, title: str, subtitle: str, scale: float) -> MapView:
        """Return what the figures of a group's map show."""
        grid = self.space.grid
        return MapView(
            anatomy=self.shown(self.space.mean_scan),
            attribution=self.shown(values),
            slice_titles=grid.slice_titles(self.key_slices),
            title=f"{self.method.name}   {title}",
            subtitle=subtitle,
            extent=grid.extent,
            in_mm=grid.affine is not None,
            signed=self.method.signed,
            unit=self.method.unit,
            scale=scale,
            window=intensity_window(self.space.mean_scan),
        )


def _write_means(maps: _MethodMaps) -> dict[str, Path]:
    """Write every group's mean map and mean magnitude; all groups share their colour scales."""
    openers = [partial(maps.open_map, scan) for scan in maps.scans]
    means = group_means(openers, {name: maps.members(name) for name in GROUPS})
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
        figures[name] = maps.write_figure(name, picture)
    return figures


def _write_difference(maps: _MethodMaps) -> dict[str, Path]:
    """Write the difference of TLE and HC, and its test, if the maps can be compared."""
    is_tle = maps.members("TLE")
    # without a brain there is no mask; maps of different logits do not measure the same
    if maps.space.brain is None or not maps.has_one_target or min(is_tle.sum(), (~is_tle).sum()) < MIN_MAPS:
        return {}
    openers = [partial(maps.open_relative_map, scan) for scan in maps.scans]
    means = group_means(openers, {"HC": ~is_tle, "TLE": is_tle})
    difference = means["TLE"].signed - means["HC"].signed
    test = compare_groups(openers, is_tle, maps.space.brain)
    _write_test(maps, difference, test)
    return {DIFFERENCE: maps.write_figure(DIFFERENCE, _draw_difference(maps, difference, test))}


def _write_test(maps: _MethodMaps, difference: np.ndarray, test: Comparison) -> None:
    """Write the difference and its test as images: the score, p, and -log10 p, which is 0 in air."""
    relative = estimate("mean magnitudes", colour_scale(difference), signed=True)
    maps.write_image(f"{DIFFERENCE}_difference", difference, f"TLE less HC, {_RELATIVE}", relative)
    score = t_score(colour_scale(test.score), degrees_of_freedom=test.n_controls - 1)
    maps.write_image(f"{DIFFERENCE}_score", test.score, "TLE less HC, standard errors", score)
    maps.write_image(f"{DIFFERENCE}_p", test.p, "p, family-wise corrected", p_value(SIGNIFICANT))
    smallest = 1 / (N_PERMUTATIONS + 1)  # of a score that no relabelling reaches
    log_p = neg_log10_p(SIGNIFICANT, smallest)
    maps.write_image(
        f"{DIFFERENCE}_neg_log10_p", np.log10(1 / test.p), "-log10 p, family-wise corrected", log_p
    )


def _draw_difference(maps: _MethodMaps, difference: np.ndarray, test: Comparison) -> np.ndarray:
    """Draw the difference and its test: uint8 (height, width, 4), RGBA."""
    significant_share = np.mean(test.p[maps.space.brain] <= SIGNIFICANT)
    where = f"in {significant_share:.2%} of the brain" if significant_share else "nowhere"
    subtitle = (
        f"significant {where}: opaque and outlined "
        f"(p ≤ {SIGNIFICANT} family-wise, {N_PERMUTATIONS} permutations)"
    )
    names = maps.space.class_names
    title = f"{group_titles(names)[DIFFERENCE]}: {test.n_cases} and {test.n_controls} scans"
    view = maps.view(difference, title, subtitle, colour_scale(difference))
    view = replace(view, signed=True, unit=_RELATIVE)
    outlined, score_unit = maps.shown(test.p) <= SIGNIFICANT, f"standard errors of {names.hc}"
    return difference_figure(view, maps.shown(test.score), outlined, test.threshold, score_unit)
