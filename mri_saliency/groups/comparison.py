"""One method's maps -> where groups of patients differ from the controls, as images, figures and clusters."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd

from mri_saliency.groups.analysis_space import BLOCK, AnalysisSpace
from mri_saliency.groups.clusters import Cluster, find_clusters
from mri_saliency.groups.figures import ContrastSlices, contrast_figure
from mri_saliency.groups.method_maps import MethodMaps
from mri_saliency.inputs.atlas import Atlas
from mri_saliency.maps.colours import colour_scale
from mri_saliency.maps.image import estimate, neg_log10_p, p_value, ratio, t_score
from mri_saliency.maps.statistics import MapStatistics
from mri_saliency.methods import Method
from mri_saliency.statistics.contrasts import (
    ALIGNED,
    Contrast,
    choose_contrasts,
    find_subjects,
    hypothesis,
)
from mri_saliency.statistics.sign_flips import SIGNIFICANT, Hypothesis, Tested, sign_flip_test
from mri_saliency.wording import counted, sentence

# Of a signed map's test, in its figure and image headers, and in the report.
_ENOUGH, _ALIKE = 8, 1.3  # subjects in a group, ratio of groups' spreads: from here on, up to here, 5 % hold
_SPREAD_LIMIT = (
    f"In at least one comparison a group had fewer than {_ENOUGH} subjects and the groups' maps varied "
    "unequally; there the family-wise error rate can reach 9% instead of 5%."
)
SIGNED_CAVEAT = "signed maps of the groups differ already because the classifier tells them apart"


@dataclass(frozen=True, eq=False)
class ComparisonSettings:
    """How groups are compared.

    Attributes
    ----------
    smooth_mm : float
        Full width at half maximum, in mm.
    covariates : DataFrame or None
        Numbers that the comparison accounts for; indexed by the scans' names.
    atlas : Atlas or None
        Names the regions of peaks.
    """

    smooth_mm: float
    covariates: pd.DataFrame | None = None
    atlas: Atlas | None = None


@dataclass(frozen=True)
class ComparedContrast:
    """What a contrast of one method's maps showed.

    Attributes
    ----------
    method : str
    quantity : str
        "magnitude" or "signed map".
    contrast : str
        A name in `contrasts.CONTRASTS`.
    n_patients, n_controls : int
        Subjects.
    significant_share : float
        Of the brain's tested points.
    smallest_p, smallest_possible_p : float
        The latter is that of a difference that no flip of signs reaches.
    """

    method: str
    quantity: str
    contrast: str
    n_patients: int
    n_controls: int
    significant_share: float
    smallest_p: float
    smallest_possible_p: float


@dataclass(eq=False)
class GroupComparison:
    """What the comparisons of groups showed.

    Attributes
    ----------
    contrasts : list of ComparedContrast
    clusters : list of dict
        Rows of group_clusters.csv.
    figures : dict
        Method -> {title: path}.
    notes : list of str
        What was not tested, and why, in sentences.
    limits : list of str
        The same, and what was left out, in sentences for a paper.
    """

    contrasts: list[ComparedContrast] = field(default_factory=list)
    clusters: list[dict] = field(default_factory=list)
    figures: dict[str, dict[str, Path]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    limits: list[str] = field(default_factory=list)

    def add(self, other: GroupComparison) -> None:
        """Add what another comparison showed; a note that is there already is not repeated."""
        self.contrasts += other.contrasts
        self.clusters += other.clusters
        for method, figures in other.figures.items():
            self.figures.setdefault(method, {}).update(figures)
        self.notes += [note for note in other.notes if note not in self.notes]
        self.limits += [limit for limit in other.limits if limit not in self.limits]


@dataclass(frozen=True)
class Quantity:
    """What of a map is compared."""

    name: str  # as in ComparedContrast
    prefix: str  # of file names
    of_map: Callable[[AnalysisSpace, np.ndarray], np.ndarray | None]
    is_log: bool


MAGNITUDE = Quantity("magnitude", "", AnalysisSpace.magnitudes, is_log=True)
SIGNED = Quantity("signed map", "signed_", AnalysisSpace.signed, is_log=False)


@dataclass(frozen=True, eq=False)
class _Images:
    """A contrast at each voxel, (n_slices, height, width), and numbers that its images share.

    Attributes
    ----------
    effect : ndarray
        Of logarithms, or in units of the median magnitude.
    t, p : ndarray
    effect_scale, t_scale : float
        Where colours saturate; from the brain alone.
    threshold : float
        Magnitude of t that is significant.
    """

    effect: np.ndarray
    t: np.ndarray
    p: np.ndarray
    effect_scale: float
    t_scale: float
    threshold: float


def quantities(method: Method) -> list[Quantity]:
    """Return what of a method's maps is compared, each as a family of its own.

    The magnitudes of all methods: where did the network look? And the values of signed methods.
    """
    return [MAGNITUDE, SIGNED] if method.signed else [MAGNITUDE]


def compare_groups(maps: MethodMaps, quantity: Quantity, settings: ComparisonSettings) -> GroupComparison:
    """Compare one quantity of a method's maps between the groups, and write what was found."""
    found = GroupComparison()
    if maps.space.brain is None:
        return found  # the common space has its note
    if not maps.has_one_target:
        found.notes.append(
            f"{maps.method.name}: groups were not compared, because its maps explain different classes; "
            "--target chooses one."
        )
        found.limits.append(
            f"Groups were not compared by {maps.method.title}, whose maps explained different classes."
        )
        return found
    space = AnalysisSpace(maps.space.grid, maps.space.brain, settings.smooth_mm)
    scans, found.notes = _scans_with_covariates(maps.scans, settings.covariates)
    rows = {scan.subject_id: quantity.of_map(space, maps.open_map(scan)) for scan in scans}
    compared = [scan for scan in scans if rows[scan.subject_id] is not None]
    if len(compared) < len(scans):
        found.notes.append(
            f"{maps.method.name}: {len(scans) - len(compared)} maps are zero in half of the brain or more; "
            "group tests leave them out."
        )
    found.limits += _left_out(maps, len(maps.scans) - len(scans), len(scans) - len(compared))
    subjects, notes = find_subjects(compared, settings.covariates)
    contrasts, reason = choose_contrasts(subjects)
    found.notes += notes + ([reason] if reason else [])
    if subjects.n_disputed:
        n = counted(subjects.n_disputed, "subject")
        found.limits.append(f"The group comparison left out {n} with scans of more than one diagnosis.")
    found.limits += [sentence(reason)] if reason else []
    if not contrasts:
        return found

    values = subjects.average(lambda index: rows.pop(compared[index].subject_id))
    mirrored, both_sides = None, space.inside
    if ALIGNED in contrasts:
        other = space.mirrored()
        both_sides = space.inside & other.inside
        kept = both_sides[other.inside]
        mirrored = subjects.average(
            lambda index: quantity.of_map(other, space.mirror(maps.open_map(compared[index])))[kept]
        )
    family = []
    for contrast in contrasts:
        of_contrast = values[:, both_sides[space.inside]] if contrast.aligned else values
        try:
            family.append((contrast, hypothesis(contrast, subjects, of_contrast, mirrored)))
        except np.linalg.LinAlgError as error:
            found.notes.append(f"{contrast.name} was not tested: {error}.")
            found.limits.append(f"The contrast {contrast.name} was not tested: {error}.")
    results = sign_flip_test([question for _, question in family])
    spread_notes = _notes_on_spread(f"{maps.method.name}, {quantity.name}", family, results)
    found.notes += spread_notes
    found.limits += [_SPREAD_LIMIT] if spread_notes else []
    for (contrast, _), tested in zip(family, results, strict=True):
        points = both_sides if contrast.aligned else space.inside
        images = _Images(
            effect=space.to_voxels(tested.effect, points, 0),
            t=space.to_voxels(tested.t, points, 0),
            p=space.to_voxels(tested.p, points, 1),
            effect_scale=colour_scale(tested.effect),
            t_scale=colour_scale(tested.t),
            threshold=tested.threshold,
        )
        summary = ComparedContrast(
            method=maps.method.name,
            quantity=quantity.name,
            contrast=contrast.name,
            n_patients=sum(subjects.count(name) for name in contrast.weights if name != "HC"),
            n_controls=subjects.count("HC"),
            significant_share=float(np.mean(tested.p <= SIGNIFICANT)),
            smallest_p=float(tested.p.min()),
            smallest_possible_p=tested.smallest_possible_p,
        )
        found.add(_write(maps, quantity, contrast, summary, images, settings.atlas))
    return found


def _write(
    maps: MethodMaps,
    quantity: Quantity,
    contrast: Contrast,
    summary: ComparedContrast,
    images: _Images,
    atlas: Atlas | None,
) -> GroupComparison:  # six parameters: what was compared, what was found, and what names its places
    """Write a contrast's images and figure; return its part of what was found."""
    names = maps.space.class_names
    title = f"{quantity.name}, {contrast.title.format(hc=names.hc, tle=names.tle)}"
    _write_images(maps, quantity, contrast, summary, images)
    figure = maps.write_figure(quantity.prefix + contrast.name, _draw(maps, quantity, title, summary, images))
    clusters = _cluster_rows(maps, summary, images, atlas)
    return GroupComparison([summary], clusters, {maps.method.name: {title: figure}})


def _notes_on_spread(
    what: str, family: Sequence[tuple[Contrast, Hypothesis]], results: Sequence[Tested]
) -> list[str]:
    """Return a warning where the error rate was found to be kept less well: few subjects, unequal spread."""
    unequal = {}  # contrast -> ratio of its groups' spreads
    for (contrast, question), tested in zip(family, results, strict=True):
        ratio = tested.spreads.max() / tested.spreads.min()
        if np.bincount(question.spread_groups).min() < _ENOUGH and ratio > _ALIKE:
            unequal[contrast.name] = ratio
    if not unequal:
        return []
    return [
        f"{what}, {', '.join(unequal)}: a group has fewer than {_ENOUGH} subjects, and the groups' maps vary "
        f"unequally (by a factor of up to {max(unequal.values()):.1f}). There the test errs in up to 9 % of "
        "cohorts instead of 5 %, so a p near 0.05 is weak evidence."
    ]


def _left_out(maps: MethodMaps, n_without_covariates: int, n_zero: int) -> list[str]:
    """Return which of a method's maps are not compared, in sentences for a paper."""
    reasons = {
        "of scans without covariates": n_without_covariates,
        "with zeros in half of the brain": n_zero,
    }
    return [
        f"The group comparison left out {n} {maps.method.title} {'map' if n == 1 else 'maps'} {reason}."
        for reason, n in reasons.items()
        if n
    ]


def comparison_sentences(contrasts: Sequence[ComparedContrast], smooth_mm: float) -> list[str]:
    """Return which quantities of maps were compared, in sentences for a paper; none without contrasts."""
    if not contrasts:
        return []
    quantity = "the logarithm of a map's magnitude over its median in the brain"
    has_signed = any(contrast.quantity == SIGNED.name for contrast in contrasts)
    if has_signed:
        quantity += " and, for methods whose maps have a sign, by the map in units of that median"
    averaged = f"was averaged over blocks of {BLOCK} voxels along each axis, without smoothing"
    if smooth_mm:
        averaged = (
            f"was smoothed within the brain by a Gaussian of {smooth_mm:g} mm full width at half maximum, at "
            f"points {BLOCK} voxels of the network's input apart"
        )
    sentences = [
        f"Groups were compared by {quantity}.",
        f"Before that, each map {averaged}; the scans of a subject were averaged.",
    ]
    if has_signed:
        sentences.append(
            "Signed maps were a family of tests of their own; they differ between the groups already because "
            "the classifier tells these apart, so that such a difference by itself is no finding."
        )
    return sentences


def _scans_with_covariates(
    scans: list[MapStatistics], covariates: pd.DataFrame | None
) -> tuple[list[MapStatistics], list[str]]:
    """Return the scans that can be compared, and a note on those without covariates."""
    if covariates is None:
        return scans, []
    kept = [scan for scan in scans if scan.subject_id in covariates.index]
    missing = len(scans) - len(kept)
    note = f"{missing} scans are not in the table of covariates any more; group tests leave them out."
    return kept, [note] if missing else []


def _cluster_rows(
    maps: MethodMaps, summary: ComparedContrast, images: _Images, atlas: Atlas | None
) -> list[dict]:
    """Return a contrast's rows of group_clusters.csv."""
    grid = maps.space.grid
    labels = None if atlas is None or grid.affine is None else atlas.on_network_grid(grid)

    def region_at(voxel: tuple[int, ...]) -> str:
        return "" if labels is None else atlas.names.get(int(labels[voxel]), "")

    effect = np.exp(images.effect) if summary.quantity == MAGNITUDE.name else images.effect
    found = find_clusters(effect, images.t, images.p, grid, region_at)
    return [cluster_row(summary, cluster) for cluster in found]


def cluster_row(summary: ComparedContrast, cluster: Cluster) -> dict:
    """Return a cluster's row of group_clusters.csv."""
    x, y, z = cluster.peak_mm or (None, None, None)
    return {
        "method": summary.method,
        "quantity": summary.quantity,
        "contrast": summary.contrast,
        "peak_x": x,
        "peak_y": y,
        "peak_z": z,
        "region": cluster.region,
        "volume_mm3": cluster.volume_mm3,
        "peak_effect": cluster.effect,
        "peak_t": cluster.peak_t,
        "p": cluster.p,
    }


def _write_images(
    maps: MethodMaps, quantity: Quantity, contrast: Contrast, summary: ComparedContrast, images: _Images
) -> None:
    """Write a contrast's images: the effect, t, p, and -log10 p, which is 0 where nothing was tested."""
    name = quantity.prefix + contrast.name
    what = f"{contrast.name}, {quantity.name}" + (f"; {SIGNED_CAVEAT}" if quantity is SIGNED else "")
    if quantity.is_log:
        limit = float(np.exp(images.effect_scale))
        maps.write_image(f"{name}_ratio", np.exp(images.effect), f"ratio, {what}", ratio(limit))
    else:
        meaning = replace(estimate("median magn.", images.effect_scale, signed=True), nearest=True)
        maps.write_image(f"{name}_difference", images.effect, f"difference, {what}", meaning)
    freedom = min(summary.n_patients, summary.n_controls) - 1  # at least; Welch's differ between voxels
    maps.write_image(f"{name}_t", images.t, f"t, {what}", t_score(images.t_scale, freedom))
    maps.write_image(f"{name}_p_fwe", images.p, f"p, family-wise, {what}", p_value(SIGNIFICANT))
    log_p = neg_log10_p(SIGNIFICANT, summary.smallest_possible_p)
    maps.write_image(
        f"{name}_neg_log10_p_fwe", np.log10(1 / images.p), f"-log10 p, family-wise, {what}", log_p
    )


def _draw(
    maps: MethodMaps, quantity: Quantity, title: str, summary: ComparedContrast, images: _Images
) -> np.ndarray:
    """Draw a contrast: uint8 (height, width, 4), RGBA."""
    share = summary.significant_share
    where = f"in {share:.2%} of the brain" if share else "nowhere"
    subtitle = f"significant {where}: opaque and outlined (p ≤ {SIGNIFICANT} family-wise)"
    if quantity is SIGNED:
        subtitle += f"; {SIGNED_CAVEAT}"
    names = maps.space.class_names
    title = f"{title}: {summary.n_patients} and {summary.n_controls} subjects"
    unit_of_figure = np.log(2) if quantity.is_log else 1.0
    effect = maps.layer(images.effect / unit_of_figure, images.effect_scale / unit_of_figure)
    unit = f"of {names.tle}'s to {names.hc}'s" if quantity.is_log else "median magnitudes"
    view = replace(maps.view(title, subtitle), signed=True, unit=unit)
    significant = maps.shown(images.p) <= SIGNIFICANT
    return contrast_figure(
        view, effect, ContrastSlices(maps.shown(images.t), significant, images.threshold, quantity.is_log)
    )
