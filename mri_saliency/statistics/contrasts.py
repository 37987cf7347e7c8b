"""A cohort's scans -> its subjects, and what is asked of their groups: patients against controls."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pandas as pd

from mri_saliency.maps.statistics import MapStatistics
from mri_saliency.statistics.sign_flips import Hypothesis
from mri_saliency.wording import ClassNames, listed, span

MIN_SUBJECTS = 5  # in each group of a contrast: from so many on the error rate was found to hold

_MIN_FREEDOM = 2.5  # degrees of freedom that covariates must leave for each group's variance


@dataclass(frozen=True)
class Contrast:
    """A difference of group means.

    Attributes
    ----------
    name : str
        In file names and tables.
    title : str
        In figures and the report, with places for the classes' words.
    weights : mapping
        Diagnosis -> weight of its mean. "TLE" stands for all patients.
    aligned : bool
        Whether the right-sided patients' maps are mirrored, and the controls' averaged with their mirror
        images.
    """

    name: str
    title: str
    weights: Mapping[str, float]
    aligned: bool = False


# Aligned patients: the mean of both sides' means, not of all patients. So an asymmetry that everyone has
# cancels against the controls' both ways, however many patients each side has.
LEFT = Contrast("left_minus_HC", "{tle}, focus on the left, minus {hc}", {"left": 1.0, "HC": -1.0})
RIGHT = Contrast("right_minus_HC", "{tle}, focus on the right, minus {hc}", {"right": 1.0, "HC": -1.0})
ALIGNED = Contrast(
    "aligned_minus_HC",
    "{tle}, all foci mirrored to the left, minus {hc}",
    {"left": 0.5, "right": 0.5, "HC": -1.0},
    aligned=True,
)
ALL_PATIENTS = Contrast("TLE_minus_HC", "{tle} minus {hc}", {"TLE": 1.0, "HC": -1.0})
CONTRASTS = {contrast.name: contrast for contrast in (LEFT, RIGHT, ALIGNED, ALL_PATIENTS)}


@dataclass(frozen=True, eq=False)
class Subjects:
    """The subjects of a cohort; a subject's scans are averaged before groups are compared.

    Attributes
    ----------
    scans : list of list of int
        For each subject, the indices of its scans.
    diagnoses : ndarray of str
        (n_subjects,): HC, left, right, or TLE (side unknown).
    covariates : ndarray
        float64 (n_subjects, n_covariates): a subject's mean over its scans.
    n_disputed : int
        Subjects that are left out because their scans have more than one diagnosis.
    """

    scans: list[list[int]]
    diagnoses: np.ndarray
    covariates: np.ndarray
    n_disputed: int = 0

    def count(self, diagnosis: str) -> int:
        """Return how many subjects have a diagnosis; "TLE" stands for all patients."""
        return int(self.members(diagnosis).sum())

    def members(self, diagnosis: str) -> np.ndarray:
        """Return which subjects have a diagnosis, bool (n_subjects,); "TLE" stands for all patients."""
        return self.diagnoses != "HC" if diagnosis == "TLE" else self.diagnoses == diagnosis

    def average(self, row_of_scan: Callable[[int], np.ndarray]) -> np.ndarray:
        """Return each subject's mean over its scans' rows: float32 (n_subjects, n_points).

        Parameters
        ----------
        row_of_scan : callable
            Index of a scan -> its values (n_points,); called once for each scan.
        """
        return np.stack([sum(map(row_of_scan, scans)) / np.float32(len(scans)) for scans in self.scans])


def find_subjects(
    scans: Sequence[MapStatistics], covariates: pd.DataFrame | None = None
) -> tuple[Subjects, list[str]]:
    """Return the subjects of some scans, and notes on those that are left out.

    Parameters
    ----------
    scans : sequence of MapStatistics
        One for each scan.
    covariates : DataFrame, optional
        Numbers, indexed by the scans' names.
    """
    rows: dict[tuple[str, str], list[int]] = {}  # (subject, diagnosis) -> indices of scans
    for index, scan in enumerate(scans):
        rows.setdefault((scan.subject or scan.subject_id, scan.diagnosis), []).append(index)
    names = pd.Series([name for name, _ in rows], dtype=object)
    disputed = set(names[names.duplicated()])
    kept = {key: indices for key, indices in rows.items() if key[0] not in disputed}
    notes = []
    if disputed:
        notes.append(
            f"{len(disputed)} subjects have scans of more than one diagnosis; group tests leave them out: "
            f"{', '.join(sorted(disputed)[:5])}{' …' if len(disputed) > 5 else ''}."
        )
    numbers = np.empty((len(scans), 0))
    if covariates is not None:
        numbers = covariates.loc[[scan.subject_id for scan in scans]].to_numpy(np.float64)
    means = [numbers[indices].mean(axis=0) for indices in kept.values()]
    subjects = Subjects(
        scans=list(kept.values()),
        diagnoses=np.array([diagnosis for _, diagnosis in kept], dtype=object),
        covariates=np.array(means).reshape(len(kept), numbers.shape[1]),
        n_disputed=len(disputed),
    )
    return subjects, notes


def choose_contrasts(subjects: Subjects) -> tuple[list[Contrast], str | None]:
    """Return the contrasts that can be tested, and why none or not all can; None if all can.

    Those of the sides where they have enough patients; that of all patients where some have no known side,
    or where no side has enough.
    """
    n = {diagnosis: subjects.count(diagnosis) for diagnosis in ("HC", "left", "right", "TLE")}
    n_unknown = n["TLE"] - n["left"] - n["right"]
    contrasts = [
        contrast
        for contrast in (LEFT, RIGHT, ALIGNED)
        if all(n[diagnosis] >= MIN_SUBJECTS for diagnosis in contrast.weights)
    ]
    if (n_unknown or not contrasts) and min(n["TLE"], n["HC"]) >= MIN_SUBJECTS:
        contrasts.append(ALL_PATIENTS)
    counts = (
        f"{n['HC']} controls, and patients with a focus on the left {n['left']}, right {n['right']}, "
        f"unknown {n_unknown}"
    )
    needed = f"a group test needs {MIN_SUBJECTS} subjects in each group; found {counts}"
    if not contrasts:
        return [], f"no groups were compared: {needed}."
    few = [side for side in ("left", "right") if 0 < n[side] < MIN_SUBJECTS]
    if few:
        sides = " or ".join(few)
        return contrasts, f"patients with a focus on the {sides} were not compared by themselves: {needed}."
    return contrasts, None


class _Compared(Protocol):
    """What a sentence needs to know of a contrast that was tested."""

    contrast: str
    n_patients: int
    n_controls: int


def contrast_sentences(tested: Sequence[_Compared], names: ClassNames) -> list[str]:
    """Return which contrasts were tested, in sentences for a paper; each may have been, more than once."""
    found = list(dict.fromkeys(contrast.contrast for contrast in tested))
    words = []
    for name in found:
        same = [contrast for contrast in tested if contrast.contrast == name]
        numbers = [span(getattr(contrast, n) for contrast in same) for n in ("n_patients", "n_controls")]
        title = CONTRASTS[name].title.format(hc=names.hc, tle=names.tle)
        words.append(f"“{title}” ({numbers[0]} and {numbers[1]} subjects)")
    contrasts = "contrast was" if len(found) == 1 else "contrasts were"
    sentences = [f"The {contrasts} {listed(words)}."]
    if any(CONTRASTS[name].aligned for name in found):
        sentences.append(
            "To align the foci, the maps of patients with a focus on the right were mirrored at x = 0 mm; "
            f"the mean of {names.tle} was that of both sides' means, and the maps of {names.hc} were "
            "averaged with their mirror images."
        )
    return sentences


def hypothesis(
    contrast: Contrast, subjects: Subjects, values: np.ndarray, mirrored: np.ndarray | None
) -> Hypothesis:
    """Return a contrast's hypothesis about subjects' values.

    Parameters
    ----------
    contrast : Contrast
    subjects : Subjects
    values : ndarray
        float32 (n_subjects, n_points).
    mirrored : ndarray or None
        The values at the points' mirror images, the same shape; only an aligned contrast needs them.

    Raises
    ------
    numpy.linalg.LinAlgError
        The covariates and the groups cannot be told apart.
    """
    members = {diagnosis: subjects.members(diagnosis) for diagnosis in contrast.weights}
    rows = np.flatnonzero(np.any(list(members.values()), axis=0))
    groups = np.stack([member[rows] for member in members.values()], axis=1)  # (n, n_groups)
    covariates = subjects.covariates[rows]
    covariates = covariates[:, np.ptp(covariates, axis=0) > 0]  # less the words that nobody in the groups has
    covariates = (covariates - covariates.mean(axis=0)) / covariates.std(axis=0)
    design = np.column_stack([groups, covariates]).astype(np.float64)
    if np.linalg.matrix_rank(design, tol=1e-6 * len(rows)) < design.shape[1]:
        raise np.linalg.LinAlgError("the covariates and the diagnosis go together: they cannot be told apart")
    leverage = np.einsum("ij,ji->i", design, np.linalg.pinv(design))
    if (groups.T @ (1 - leverage) < _MIN_FREEDOM).any():
        raise np.linalg.LinAlgError(f"too few subjects for {covariates.shape[1]} covariates")
    if contrast.aligned:
        values = values.copy()
        values[subjects.members("right")] = mirrored[subjects.members("right")]
        controls = subjects.members("HC")
        values[controls] = (values[controls] + mirrored[controls]) / 2
    weights = np.zeros(design.shape[1])
    weights[: groups.shape[1]] = list(contrast.weights.values())
    return Hypothesis(values[rows], design, weights, groups.argmax(axis=1), rows)
