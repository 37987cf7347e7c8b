"""One method's maps -> where groups of patients differ from the controls, as images, figures and clusters."""

from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd

from mri_saliency.groups.analysis_space import AnalysisSpace
from mri_saliency.groups.clusters import find_clusters
from mri_saliency.groups.figures import contrast_figure
from mri_saliency.groups.method_maps import MethodMaps
from mri_saliency.groups.null_effects import Peaks
from mri_saliency.groups.sentences import inexact_maps, limits_of_test, missing_contrasts
from mri_saliency.inputs.atlas import Atlas
from mri_saliency.maps.colours import colour_scale, ratio_scale
from mri_saliency.maps.image import neg_log10_p, ratio, t_score
from mri_saliency.maps.statistics import MapStatistics
from mri_saliency.statistics.contrasts import (
    ALIGNED,
    Contrast,
    Subjects,
    choose_contrasts,
    contrast_test,
    find_subjects,
)
from mri_saliency.statistics.sign_flips import SIGNIFICANT, Tested
from mri_saliency.wording import Limitation, left_out

_COMPARISON = "the group comparison"  # what leaves something out


@dataclass(frozen=True, eq=False)
class ComparisonSettings:
    """How groups are compared."""

    smooth_mm: float  # full width at half maximum
    covariates: pd.DataFrame | None = None  # numbers to account for, indexed by the scans' names
    atlas: Atlas | None = None  # names the regions of peaks


@dataclass(frozen=True)
class ComparedContrast:
    """What a contrast of one method's maps showed."""

    method: str
    contrast: str  # a name in `mri_saliency.statistics.contrasts.CONTRASTS`
    n_patients: int  # subjects
    n_controls: int
    significant_share: float  # of the brain's tested points
    smallest_p: float


@dataclass(eq=False)
class GroupComparison:
    """What the comparisons of groups showed."""

    contrasts: list[ComparedContrast] = field(default_factory=list)
    clusters: list[dict] = field(default_factory=list)  # rows of group_clusters.csv
    figures: dict[str, dict[str, Path]] = field(default_factory=dict)  # method -> {title: path}
    limitations: list[Limitation] = field(default_factory=list)
    peaks: list[Peaks] = field(default_factory=list)  # of the contrasts that have clusters

    def add(self, other: "GroupComparison") -> None:
        """Add what another comparison showed; a limitation that is there already is not repeated."""
        self.contrasts += other.contrasts
        self.clusters += other.clusters
        self.peaks += other.peaks
        for method, figures in other.figures.items():
            self.figures.setdefault(method, {}).update(figures)
        self.limitations += [limit for limit in other.limitations if limit not in self.limitations]


@dataclass(frozen=True, eq=False)
class _TestedVoxels:
    """A contrast's answer at each voxel: (n_slices, height, width); the effect is a logarithm."""

    contrast: Contrast
    answer: Tested
    effect: np.ndarray
    t: np.ndarray
    p: np.ndarray


def compare_groups(maps: MethodMaps, settings: ComparisonSettings) -> GroupComparison:
    """Compare the magnitudes of a method's maps between the groups, and write what was found."""
    found = GroupComparison()
    if maps.space.brain is None:
        return found  # the common space says so
    if not maps.has_one_target:
        text = f"Groups were not compared by {maps.method.title}, whose maps explained different classes."
        found.limitations.append(Limitation(text, "--target chooses one"))
        return found
    space = AnalysisSpace(maps.space.grid, maps.space.brain, settings.smooth_mm)
    rows, mirrored = _magnitudes(maps, space, settings.covariates, found)
    scans = [scan for scan in maps.scans if scan.subject_id in rows]
    subjects = _find_subjects(scans, settings.covariates, found)
    contrasts = choose_contrasts(subjects)
    found.limitations += missing_contrasts(subjects, contrasts)
    if not contrasts:
        return found

    maps = replace(maps, scans=scans)
    values = {False: subjects.average(lambda index: rows.pop(scans[index].subject_id))}
    points = {False: space.inside}
    if ALIGNED in contrasts:
        points[True] = space.inside & space.mirrored.inside
        reflected = subjects.average(lambda index: mirrored.pop(scans[index].subject_id))
        columns = points[True][space.inside]
        values[True] = subjects.align((row[columns] for row in values[False]), reflected)
    tested, refused = contrast_test(contrasts, subjects, values)
    found.limitations += [
        Limitation(f"The contrast {name} was not tested: {error}.") for name, error in refused.items()
    ]
    found.limitations += limits_of_test(maps.method, subjects, tested, maps.uses_controls)
    found.limitations += inexact_maps(maps.method, scans) if tested else []
    for contrast, answer in tested:
        places = points[contrast.aligned]
        voxels = (
            space.to_voxels(of_points, places, fill)
            for of_points, fill in ((answer.effect, 0), (answer.t, 0), (answer.p, 1))
        )
        on_voxels = _TestedVoxels(contrast, answer, *voxels)
        found.add(_write(maps, subjects, on_voxels))
        clusters, peaks = find_clusters(on_voxels.t, on_voxels.p, space.grid, settings.atlas)
        if clusters:
            indices = (np.cumsum(places) - 1).reshape(places.shape)[tuple(peaks.T)]
            at_peaks = values[contrast.aligned][:, indices]
            clusters = [{"method": maps.method.name, "contrast": contrast.name} | row for row in clusters]
            unknown, ids = np.full_like(at_peaks, np.nan), [scan.subject_id for scan in scans]
            found.clusters += clusters
            found.peaks.append(Peaks(contrast, subjects, at_peaks, unknown, clusters, peaks, space, ids))
    return found


def _magnitudes(
    maps: MethodMaps, space: AnalysisSpace, covariates: pd.DataFrame | None, found: GroupComparison
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Return what is compared of each scan, float32 (n_points,), and where sides are known of its reflection.

    Reflections have the points that the brain has on both sides. `found` gets what is left out.
    """
    scans = maps.scans
    if covariates is not None:
        scans = [scan for scan in scans if scan.subject_id in covariates.index]
    rows, mirrored = {}, {}
    has_sides = {"left", "right"} <= {scan.diagnosis for scan in scans}
    for scan in scans:
        values = maps.open_map(scan)
        with suppress(ZeroDivisionError):
            if has_sides:
                rows[scan.subject_id], reflected = space.on_both_sides(values)
                mirrored[scan.subject_id] = reflected[space.inside[space.mirrored.inside]]
            else:
                rows[scan.subject_id] = space.magnitudes(values)
    noun = f"{maps.method.title} map"
    for n, which in (
        (len(maps.scans) - len(scans), "of scans without covariates"),
        (len(scans) - len(rows), "with zeros in half of the brain"),
    ):
        found.limitations += [left_out(n, noun, which, _COMPARISON)] if n else []
    return rows, mirrored


def _find_subjects(
    scans: list[MapStatistics], covariates: pd.DataFrame | None, found: GroupComparison
) -> Subjects:
    """Return the scans' subjects; `found` gets who is left out."""
    numbers = None
    if covariates is not None:
        numbers = covariates.loc[[scan.subject_id for scan in scans]].to_numpy(np.float64)
    names = [scan.subject or scan.subject_id for scan in scans]
    subjects = find_subjects(names, [scan.diagnosis for scan in scans], numbers)
    if subjects.disputed:
        which, n = "with scans of more than one diagnosis", len(subjects.disputed)
        found.limitations.append(left_out(n, "subject", which, _COMPARISON, subjects.disputed))
    return subjects


def _write(maps: MethodMaps, subjects: Subjects, tested: _TestedVoxels) -> GroupComparison:
    """Write a contrast's images and figure; return its part of what was found."""
    contrast, answer = tested.contrast, tested.answer
    method, names = maps.method.name, maps.folder.class_names
    summary = ComparedContrast(
        method=method,
        contrast=contrast.name,
        n_patients=subjects.count_patients(contrast),
        n_controls=subjects.count("HC"),
        significant_share=float(np.mean(answer.p <= SIGNIFICANT)),
        smallest_p=float(answer.p.min()),
    )
    limit = float(np.exp(ratio_scale(answer.effect)))
    freedom = min(summary.n_patients, summary.n_controls) - 1  # at least; Welch's differ between voxels
    log_p = neg_log10_p(SIGNIFICANT, answer.smallest_possible_p)  # 0 where nothing was tested
    for ending, values, what, meaning in (
        ("ratio", np.exp(tested.effect), "ratio", ratio(limit)),
        ("t", tested.t, "t", t_score(colour_scale(answer.t), freedom)),
        ("neg_log10_p_fwe", np.log10(1 / tested.p), "-log10 p, family-wise", log_p),
    ):
        name = f"{contrast.name}_{ending}"
        maps.write_image(name, values, f"{what}, {contrast.name}, magnitude", meaning)
    title = f"magnitude, {contrast.title.format(hc=names.hc, tle=names.tle)}"
    figure = maps.write_figure(contrast.name, _draw(maps, title, summary, tested))
    return GroupComparison([summary], figures={method: {title: figure}})


def _draw(maps: MethodMaps, title: str, summary: ComparedContrast, tested: _TestedVoxels) -> np.ndarray:
    """Draw a contrast: uint8 (height, width, 4), RGBA."""
    share, names = summary.significant_share, maps.folder.class_names
    smallest = f"{tested.answer.smallest_possible_p:.3g}"
    least = f"nowhere; {smallest} is the smallest p that so many subjects can reach"
    where = f"in {share:.2%} of the brain" if share else least
    view = maps.view(
        f"{title}: {summary.n_patients} and {summary.n_controls} subjects",
        f"colour: ratio; opaque and outlined: significant (p ≤ {SIGNIFICANT} family-wise), {where}",
    )
    return contrast_figure(
        replace(view, unit=f"of {names.tle}'s to {names.hc}'s"),
        maps.layer(tested.effect, ratio_scale(tested.answer.effect)),
        maps.shown(tested.t),
        maps.shown(tested.p) <= SIGNIFICANT,
        tested.answer.threshold,
    )
