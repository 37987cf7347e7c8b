"""A cohort's subjects -> which of their groups are compared, and the test: patients against controls."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mri_saliency.statistics.sign_flips import N_FLIPS, Hypothesis, Tested, sign_flip_test

MIN_SUBJECTS = 5  # in each group of a contrast: from so many on the error rate was found to hold

_MIN_FREEDOM = 2.5  # degrees of freedom that covariates must leave for each group's variance


@dataclass(frozen=True)
class Contrast:
    """A difference of group means."""

    name: str  # in file names and tables
    title: str  # in figures and the report, with places for the classes' words
    weights: Mapping[str, float]  # diagnosis -> weight of its mean; "TLE" stands for all patients
    aligned: bool = False  # whether all foci are brought to the left, as by `Subjects.align`


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
    """The subjects of a cohort; a subject's scans are averaged before groups are compared."""

    scans: list[list[int]]  # for each subject, the indices of its scans
    diagnoses: np.ndarray  # str (n_subjects,): HC, left, right, or TLE (side unknown)
    covariates: np.ndarray  # float64 (n_subjects, n_covariates): means over a subject's scans
    disputed: Sequence[str] = ()  # subjects that are left out: their scans have more than one diagnosis

    def members(self, diagnosis: str) -> np.ndarray:
        """Return which subjects have a diagnosis, bool (n_subjects,); "TLE" stands for all patients."""
        return self.diagnoses != "HC" if diagnosis == "TLE" else self.diagnoses == diagnosis

    def count(self, *diagnoses: str) -> int:
        """Return how many subjects have one of some diagnoses."""
        return sum(int(self.members(diagnosis).sum()) for diagnosis in diagnoses)

    def count_patients(self, contrast: Contrast) -> int:
        """Return how many patients a contrast compares with the controls."""
        return self.count(*(diagnosis for diagnosis in contrast.weights if diagnosis != "HC"))

    def has_enough(self, contrast: Contrast) -> bool:
        """Return whether the groups of a contrast have `MIN_SUBJECTS`."""
        return all(self.count(diagnosis) >= MIN_SUBJECTS for diagnosis in contrast.weights)

    def subset(self, kept: np.ndarray) -> "Subjects":
        """Return some of the subjects; `kept` is bool (n_subjects,)."""
        scans = [scans for scans, is_kept in zip(self.scans, kept, strict=True) if is_kept]
        return Subjects(scans, self.diagnoses[kept], self.covariates[kept], self.disputed)

    def average(self, row_of_scan: Callable[[int], np.ndarray]) -> np.ndarray:
        """Return subjects' means over their scans' rows, each read once: float32 (n_subjects, n_points)."""
        return np.stack([sum(map(row_of_scan, scans)) / np.float32(len(scans)) for scans in self.scans])

    def align(self, values: Iterable[np.ndarray], mirrored: np.ndarray) -> np.ndarray:
        """Return values as if every focus was on the left, (n_subjects, n_points), written over `mirrored`.

        Of right foci those at the points' mirror images (`mirrored`), of controls the mean of both.
        """
        for diagnosis, own, row in zip(self.diagnoses, values, mirrored, strict=True):
            if diagnosis == "HC":
                row += own
                row /= 2
            elif diagnosis != "right":
                row[:] = own
        return mirrored


def find_subjects(
    names: Sequence[str], diagnoses: Sequence[str], covariates: np.ndarray | None = None
) -> Subjects:
    """Return the subjects of some scans; the covariates are float64 (n_scans, n_covariates)."""
    rows: dict[tuple[str, str], list[int]] = {}  # (subject, diagnosis) -> indices of scans
    for index, key in enumerate(zip(names, diagnoses, strict=True)):
        rows.setdefault(key, []).append(index)
    disputed = sorted(name for name, n in Counter(name for name, _ in rows).items() if n > 1)
    kept = {key: scans for key, scans in rows.items() if key[0] not in disputed}
    numbers = np.empty((len(names), 0)) if covariates is None else covariates
    means = [numbers[scans].mean(axis=0) for scans in kept.values()]
    return Subjects(
        scans=list(kept.values()),
        diagnoses=np.array([diagnosis for _, diagnosis in kept], dtype=object),
        covariates=np.array(means).reshape(len(kept), numbers.shape[1]),
        disputed=disputed,
    )


def choose_contrasts(subjects: Subjects) -> list[Contrast]:
    """Return the contrasts whose groups have `MIN_SUBJECTS`.

    Those of the sides; and that of all patients where some have no known side, or no side has enough.
    """
    contrasts = [contrast for contrast in (LEFT, RIGHT, ALIGNED) if subjects.has_enough(contrast)]
    has_unknown = subjects.count("left", "right") < subjects.count("TLE")
    if (has_unknown or not contrasts) and subjects.has_enough(ALL_PATIENTS):
        contrasts.append(ALL_PATIENTS)
    return contrasts


def contrast_test(
    contrasts: Sequence[Contrast],
    subjects: Subjects,
    values: Mapping[bool, np.ndarray],
    n_flips: int = N_FLIPS,
) -> tuple[list[tuple[Contrast, Tested]], dict[str, str]]:
    """Test contrasts as one family.

    `values` is `Contrast.aligned` -> what such contrasts compare, float32 (n_subjects, n_points). Returns the
    contrasts that can be tested, with their answers; and the name of each other contrast -> why it cannot.
    With `n_flips=0` the answers have estimates, but no p.
    """
    family, refused = [], {}
    for contrast in contrasts:
        try:
            family.append((contrast, _hypothesis(contrast, subjects, values[contrast.aligned])))
        except np.linalg.LinAlgError as error:
            refused[contrast.name] = str(error)
    answers = sign_flip_test([question for _, question in family], n_flips=n_flips)
    return [(contrast, answer) for (contrast, _), answer in zip(family, answers, strict=True)], refused


def _hypothesis(contrast: Contrast, subjects: Subjects, values: np.ndarray) -> Hypothesis:
    """Return a contrast's hypothesis; LinAlgError if covariates and groups cannot be told apart."""
    members = [subjects.members(diagnosis) for diagnosis in contrast.weights]
    rows = np.flatnonzero(np.any(members, axis=0))
    groups = np.stack([member[rows] for member in members], axis=1)  # (n, n_groups)
    covariates = subjects.covariates[rows]
    covariates = covariates[:, np.ptp(covariates, axis=0) > 0]  # less the words that nobody in the groups has
    covariates = (covariates - covariates.mean(axis=0)) / covariates.std(axis=0)
    design = np.column_stack([groups, covariates]).astype(np.float64)
    if np.linalg.matrix_rank(design, tol=1e-6 * len(rows)) < design.shape[1]:
        raise np.linalg.LinAlgError("the covariates and the diagnosis go together: they cannot be told apart")
    leverage = np.einsum("ij,ji->i", design, np.linalg.pinv(design))
    if (groups.T @ (1 - leverage) < _MIN_FREEDOM).any():
        raise np.linalg.LinAlgError(f"too few subjects for {covariates.shape[1]} covariates")
    weights = np.zeros(design.shape[1])
    weights[: groups.shape[1]] = list(contrast.weights.values())
    return Hypothesis(values, design, weights, groups.argmax(axis=1), rows)
