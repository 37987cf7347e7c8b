"""How groups were compared, and what was not, in sentences for the user and for a paper."""

from collections.abc import Mapping, Sequence
from statistics import median

from mri_saliency.groups.analysis_space import BLOCK
from mri_saliency.maps.statistics import MapStatistics
from mri_saliency.methods import Method
from mri_saliency.statistics.contrasts import CONTRASTS, MIN_SUBJECTS, Contrast, Subjects
from mri_saliency.statistics.sign_flips import N_FLIPS, SIGNIFICANT, Tested
from mri_saliency.wording import ClassNames, Limitation, listed, span

ENOUGH, _ALIKE = 8, 1.3  # subjects in a group, ratio of groups' spreads: from here on, up to here, 5 % hold
_SKEWED = 0.15  # skewness of an estimated difference: up to here, 5 % hold
_FEW_CONTROLS = 25  # of whom a shared baseline is made: below, 5 % do not hold
_LARGE_ERROR = 0.1  # of a map, in the median
_WEAK = "a p near 0.05 is weak evidence"
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
    found = f"controls {n['HC']}, patients with a focus on the left {n['left']}, right {n['right']}"
    return [Limitation(f"{what}: {needed}; found {found}, unknown {n['TLE'] - n['left'] - n['right']}.")]


def limits_of_test(
    method: Method, subjects: Subjects, tested: Sequence[tuple[Contrast, Tested]], uses_controls: bool
) -> list[Limitation]:
    """Return what limits a test where its error rate was found to be kept less well."""
    found = []
    if any(
        min(map(subjects.count, contrast.weights)) < ENOUGH
        and answer.spreads.max() > _ALIKE * answer.spreads.min()
        for contrast, answer in tested
    ):
        # the groups of all contrasts, so that the methods of a cohort say the same
        groups = dict.fromkeys(name for contrast, _ in tested for name in contrast.weights)
        few = listed(f"{n} {_WORDS[name]}" for name in groups if (n := subjects.count(name)) < ENOUGH)
        what = f"Groups of fewer than {ENOUGH} subjects ({few}) were compared whose maps varied unequally"
        found.append(
            Limitation(f"{what}; there the family-wise error rate can reach 9% instead of 5%.", _WEAK)
        )
    skewness = max((abs(answer.skewness) for _, answer in tested), default=0)
    if skewness > _SKEWED:
        what = f"{method.title} maps are skewed, and groups unequal: a contrast's skewness is {skewness:.2f}"
        found.append(Limitation(f"{what}; that 5% hold is known up to {_SKEWED:g}.", _WEAK))
    n_controls = subjects.count("HC")
    if tested and uses_controls and n_controls < _FEW_CONTROLS:
        what = f"All {method.title} maps share {n_controls} controls as baseline, and are not independent"
        limit = f"below {_FEW_CONTROLS} controls the family-wise error rate can reach 15% instead of 5%"
        found.append(Limitation(f"{what}; {limit}.", _WEAK))
    return found


def inexact_maps(method: Method, scans: Sequence[MapStatistics]) -> list[Limitation]:
    """Return that maps were compared although their own error is large."""
    errors = [scan.map_error for scan in scans if scan.map_error is not None]
    n_wrong = sum(scan.completeness_verdict == "check" for scan in scans)
    error = median(errors) if errors else 0
    found = [f"median error {error:.0%} of a map"] if error > _LARGE_ERROR else []
    found += [f"{n_wrong} of {len(scans)} miss the logit's change"] if n_wrong else []
    what = f"{method.title} maps were compared although their own error is large"
    return [Limitation(f"{what}: {listed(found)}.")] if found else []


def comparison_sentences(smooth_mm: float) -> list[str]:
    """Return what of maps was compared, in sentences for a paper."""
    averaged = (
        f"was smoothed within the brain by a Gaussian of {smooth_mm:g} mm full width at half maximum, at "
        f"points {BLOCK} voxels of the network's input apart"
        if smooth_mm
        else f"was averaged over blocks of {BLOCK} voxels along each axis, without smoothing"
    )
    return [
        "Groups were compared by the logarithm of a map's magnitude over its median in the brain.",
        "Magnitudes, too, come from the classifier that tells the groups apart, and show its responses.",
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


def sign_flip_sentences(families: Mapping[str, int], covariates: Sequence[str]) -> list[str]:
    """Return what `sign_flip_test` did, in sentences for a paper.

    `families` are what the points of a family are, such as "points of the brain" -> the number of methods.
    """
    model, slopes = "of the group means", ""
    if covariates:
        slopes = ", and that a covariate's slope is the same in all groups"
        model += f" and {'the covariate' if len(covariates) == 1 else 'the covariates'} {listed(covariates)}"
    return [
        "The statistic was Welch's t [@welch1947], which does not assume equal variances, corrected for its "
        f"mean skewness [@hall1992], in a linear model {model}; its null distribution came from {N_FLIPS} "
        "random sign flips of the residuals of the model without the contrast, or from all where there were "
        "fewer [@freedman1983; @winkler2014].",
        f"It is assumed that subjects are independent, and errors symmetric but for that skewness{slopes}.",
        f"p values were two-sided and corrected family-wise for all {' or '.join(families)} and contrasts of "
        "a method, by each flip's largest statistic and smallest p over the contrasts [@westfall1993]; "
        f"p ≤ {SIGNIFICANT} was called significant. {family_sentence(families)}",
        "With 95% intervals of each point alone, the contrast was also estimated for null maps, and for the "
        "ratio of a subject's map to the null map.",
    ]


def family_sentence(families: Mapping[str, int]) -> str:
    """Return how many families were tested and what that means; as in `sign_flip_sentences`."""
    n = sum(families.values())
    if n == 1:
        return "One family was tested."
    parts = listed(f"{n_methods} by {points}" for points, n_methods in families.items())
    return (
        f"{n} such families were tested ({parts}), each at {SIGNIFICANT:.0%}: if no group differed, "
        f"some family would show a difference in up to {1 - (1 - SIGNIFICANT) ** n:.0%} of studies."
    )


def cluster_sentence(atlas_name: str | None) -> str:
    """Return what a cluster was, in a sentence for a paper; `atlas_name` is that of the atlas's file."""
    named = "" if atlas_name is None else f", and named after the region of {atlas_name} there"
    return (
        "Significant voxels of one sign that shared a face, an edge or a corner formed a cluster, located at "
        f"its largest |t|{named}."
    )
