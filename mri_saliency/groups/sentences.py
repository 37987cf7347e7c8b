"""How groups were compared, and what was not, in sentences for the user and for a paper."""

from __future__ import annotations

from collections.abc import Sequence

from mri_saliency.groups.analysis_space import BLOCK
from mri_saliency.statistics.contrasts import CONTRASTS, MIN_SUBJECTS, Contrast, Subjects
from mri_saliency.statistics.sign_flips import N_FLIPS, SIGNIFICANT, Tested
from mri_saliency.wording import ClassNames, Limitation, listed, span

ENOUGH, _ALIKE = 8, 1.3  # subjects in a group, ratio of groups' spreads: from here on, up to here, 5 % hold
_WORDS = {"HC": "controls", "TLE": "patients"} | {
    side: f"patients with a focus on the {side}" for side in ("left", "right")
}


def missing_contrasts(subjects: Subjects, contrasts: Sequence[Contrast]) -> list[Limitation]:
    """Return why none or not all contrasts can be tested."""
    n = {diagnosis: subjects.count(diagnosis) for diagnosis in ("HC", "left", "right", "TLE")}
    few = [side for side in ("left", "right") if 0 < n[side] < MIN_SUBJECTS]
    if contrasts and not few:
        return []
    what = f"Patients with a focus on the {' or '.join(few)} were not compared by themselves"
    if not contrasts:
        what = "No groups were compared"
    needed = f"a group test needs {MIN_SUBJECTS} subjects in each group"
    found = f"{n['HC']} controls, and patients with a focus on the left {n['left']}, right {n['right']}"
    return [Limitation(f"{what}: {needed}; found {found}, unknown {n['TLE'] - n['left'] - n['right']}.")]


def unequal_spread(subjects: Subjects, tested: Sequence[tuple[Contrast, Tested]]) -> list[Limitation]:
    """Return what limits a test where the error rate was found to be kept less well."""
    is_found = any(
        min(map(subjects.count, contrast.weights)) < ENOUGH
        and answer.spreads.max() > _ALIKE * answer.spreads.min()
        for contrast, answer in tested
    )
    if not is_found:
        return []
    # of all contrasts, so that the methods of a cohort say the same
    groups = dict.fromkeys(diagnosis for contrast, _ in tested for diagnosis in contrast.weights)
    few = listed(f"{n} {_WORDS[name]}" for name in groups if (n := subjects.count(name)) < ENOUGH)
    text = (
        f"Groups of fewer than {ENOUGH} subjects ({few}) were compared whose maps varied unequally; there the"
    )
    return [
        Limitation(
            f"{text} family-wise error rate can reach 9% instead of 5%.", "a p near 0.05 is weak evidence"
        )
    ]


def comparison_sentences(smooth_mm: float) -> list[str]:
    """Return what of maps was compared, in sentences for a paper."""
    averaged = f"was averaged over blocks of {BLOCK} voxels along each axis, without smoothing"
    if smooth_mm:
        averaged = (
            f"was smoothed within the brain by a Gaussian of {smooth_mm:g} mm full width at half maximum, at "
            f"points {BLOCK} voxels of the network's input apart"
        )
    return [
        "Groups were compared by the logarithm of a map's magnitude over its median in the brain.",
        f"Before that, each map {averaged}; the scans of a subject were averaged.",
    ]


def contrast_sentences(tested: Sequence[tuple[str, int, int]], names: ClassNames) -> list[str]:
    """Return which contrasts were tested, in sentences for a paper.

    `tested` has their names with the numbers of patients and of controls, of each test.
    """
    found = list(dict.fromkeys(name for name, _, _ in tested))
    words = []
    for name in found:
        _, n_patients, n_controls = zip(*(row for row in tested if row[0] == name), strict=True)
        title = CONTRASTS[name].title.format(hc=names.hc, tle=names.tle)
        words.append(f"“{title}” ({span(n_patients)} and {span(n_controls)} subjects)")
    contrasts = "contrast was" if len(found) == 1 else "contrasts were"
    sentences = [f"The {contrasts} {listed(words)}."]
    if any(CONTRASTS[name].aligned for name in found):
        sentences.append(
            "To align the foci, the maps of patients with a focus on the right were mirrored at x = 0 mm; "
            f"the mean of {names.tle} was that of both sides' means, and the maps of {names.hc} were "
            "averaged with their mirror images."
        )
    return sentences


def sign_flip_sentences(corrected_for: str, covariates: Sequence[str]) -> list[str]:
    """Return what `sign_flip_test` did, in sentences for a paper.

    `corrected_for` says what the points of a family are, such as "points of the brain".
    """
    model = "of the group means"
    if covariates:
        model += f" and {'the covariate' if len(covariates) == 1 else 'the covariates'} {listed(covariates)}"
    return [
        "The statistic was Welch's t [@welch1947], which does not assume equal variances, in a linear model"
        f" {model}; its null distribution came from {N_FLIPS} "
        "random sign flips of the residuals of the model without the contrast, or from all where there were "
        "fewer [@freedman1983; @winkler2014].",
        f"p values were two-sided and corrected family-wise for all {corrected_for} and contrasts of a "
        "method, by each flip's largest statistic and smallest p over the contrasts [@westfall1993]; "
        f"p ≤ {SIGNIFICANT} was called significant.",
    ]


def cluster_sentence(atlas_name: str | None) -> str:
    """Return what a cluster was, in a sentence for a paper; `atlas_name` is that of the atlas's file."""
    named = "" if atlas_name is None else f", and named after the region of {atlas_name} there"
    return (
        "Significant voxels of one sign that shared a face, an edge or a corner formed a cluster, located at "
        f"its largest |t|{named}."
    )
