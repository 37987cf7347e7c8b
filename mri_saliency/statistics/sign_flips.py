"""Values of subjects in groups -> where the groups differ, by sign flips with family-wise correction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

N_FLIPS = 1000
SIGNIFICANT = 0.05  # family-wise
_POINTS_AT_A_TIME = 256  # (flips, points) that stay in the processor's cache
_MIN_VARIANCE = 1e-6  # of a group's values, as a share of all values' variance; less is rounding
_TIE = 1e-5  # statistics that differ by less, relatively, count as equal


@dataclass(frozen=True, eq=False)
class Hypothesis:
    """A linear contrast of group means that is zero under the null hypothesis, at every point."""

    values: np.ndarray  # (n, n_points): a row for each subject
    design: np.ndarray  # float64 (n, n_columns): the linear model of a point's values, of full rank
    contrast: np.ndarray  # float64 (n_columns,): weights of the model's coefficients
    spread_groups: np.ndarray  # int (n,), from 0: subjects of one number share a variance
    subjects: np.ndarray  # int (n,): whose errors are flipped together in all hypotheses of a family


@dataclass(frozen=True, eq=False)
class Tested:
    """The answer to one hypothesis; arrays are float64 (n_points,)."""

    effect: np.ndarray  # the contrast's estimate
    t: np.ndarray  # the estimate over its standard error; 0 where nothing varies
    p: np.ndarray  # two-sided, corrected for all points and hypotheses of the family; never 0
    threshold: float  # magnitude of t from which p is at most `SIGNIFICANT`; infinite if no t can reach it
    smallest_possible_p: float  # of a t that no flip reaches
    spreads: np.ndarray  # (n_groups,): standard deviations of the spread groups, over all points alike


def sign_flip_test(family: Sequence[Hypothesis], n_flips: int = N_FLIPS) -> list[Tested]:
    """Test the hypotheses of a family together.

    The statistic is Welch's t, generalised to a linear model: the least-squares estimate of the contrast,
    over a standard error with a variance for each group. Its null distribution comes from flipping the signs
    of the residuals of the model in which the contrast is zero (Freedman & Lane 1983, for errors that are
    independent and symmetric; Winkler et al. 2014, Permutation inference for the general linear model,
    NeuroImage). So neither equal variances nor normal values are assumed. The largest |t| over the points,
    for each flip, corrects for the points; the smallest p of these maxima over the hypotheses, for each flip,
    corrects for the hypotheses, so that all count alike, whatever their degrees of freedom (Westfall & Young
    1993, Resampling-based multiple testing).

    The flips are random, or all where there are at most `n_flips`; the unflipped residuals count as one more.
    """
    if not family:
        return []
    signs = sign_flips(1 + max(int(hypothesis.subjects.max()) for hypothesis in family), n_flips)
    models = [_Model(hypothesis) for hypothesis in family]
    tested = [model.test(signs[:, model.subjects]) for model in models]
    p_of_flips = np.stack([_p_values(largest, largest) for _, _, largest in tested])
    best_p = p_of_flips.min(axis=0)  # (n_flips,)
    return [_corrected(*found, best_p, model.spreads) for model, found in zip(models, tested, strict=True)]


def sign_flips(n_subjects: int, n_flips: int) -> np.ndarray:
    """Return flips, float32 (n_flips + 1, n_subjects) of 1 and -1; the first flips nothing.

    All flips where there are at most `n_flips`. To flip every subject changes no magnitude of t, so the
    last subject's sign stays then.
    """
    if 2 ** (n_subjects - 1) <= n_flips:
        bits = np.arange(2 ** (n_subjects - 1))[:, None] >> np.arange(n_subjects) & 1
        return (1 - 2 * bits).astype(np.float32)
    drawn = np.random.default_rng(0).integers(0, 2, (n_flips, n_subjects)) * 2 - 1
    return np.vstack([np.ones(n_subjects), drawn]).astype(np.float32)


class _Model:
    """The linear model of a hypothesis, and what its tests need at every point."""

    def __init__(self, hypothesis: Hypothesis) -> None:
        self.subjects = hypothesis.subjects
        self._values, self._contrast = hypothesis.values, hypothesis.contrast
        self._design, self._groups = hypothesis.design, hypothesis.spread_groups
        self._inverse = np.linalg.inv(self._design.T @ self._design)
        self._weights = self._design @ self._inverse @ self._contrast  # (n,): estimate = weights @ values
        leverage = np.einsum("ij,jk,ik->i", self._design, self._inverse, self._design)
        self._members = [self._groups == group for group in range(self._groups.max() + 1)]
        self._columns = [
            np.flatnonzero(self._design[members].any(axis=0)).tolist() for members in self._members
        ]
        self._freedom = [(1 - leverage[members]).sum() for members in self._members]

    def test(self, signs: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Compute estimates and t of all points, and every flip's largest |t|; `signs` is (n_flips, n)."""
        n_points = self._values.shape[1]
        effect, t, largest = np.zeros(n_points), np.zeros(n_points), np.zeros(len(signs))
        to_null = self._null_residuals()
        for start in range(0, n_points, _POINTS_AT_A_TIME):
            points = slice(start, start + _POINTS_AT_A_TIME)
            scaled, spread = self._standardised(points)
            effect[points] = spread * (self._weights @ scaled)
            t[points] = self._statistics(scaled, np.ones((1, len(scaled))))[0]
            flipped = self._statistics((to_null @ scaled).astype(np.float32), signs[1:])
            np.maximum(largest[1:], np.abs(flipped).max(axis=1), out=largest[1:])
        largest[0] = np.abs(t).max()
        return effect, t, largest

    def _standardised(self, points: slice) -> tuple[np.ndarray, np.ndarray]:
        """Return some points' values with mean 0 and spread 1, float64 (n, n_points), and their spreads.

        Zero where nothing varies.
        """
        values = self._values[:, points].astype(np.float64)
        centred = values - values.mean(axis=0)
        spread = np.sqrt((centred**2).mean(axis=0))
        # equal values leave only rounding when they are centred
        varies = spread > 1e-6 * np.abs(values).max(axis=0)
        return np.divide(centred, spread, out=np.zeros_like(centred), where=varies), spread

    def _null_residuals(self) -> np.ndarray:
        """Return the matrix (n, n) from values to the residuals of the model in which the contrast is zero.

        That model is fitted with each group's weight the inverse of its variance, averaged over the points:
        plain least squares lets a small and variable group pull the common mean, and the test of 5 against 20
        subjects with twice their spread then errs in 8 % instead of 5 %.
        """
        n, n_points = self._values.shape
        variances = np.zeros(len(self._members))
        to_residuals = np.eye(n) - self._design @ self._inverse @ self._design.T
        for start in range(0, n_points, _POINTS_AT_A_TIME):
            residuals = to_residuals @ self._standardised(slice(start, start + _POINTS_AT_A_TIME))[0]
            variances += [(residuals[members] ** 2).sum() for members in self._members]
        variances = np.maximum(variances / self._freedom / n_points, _MIN_VARIANCE)
        self.spreads = np.sqrt(variances)
        weighted = self._design / variances[self._groups][:, None]  # (n, n_columns)
        inverse = np.linalg.inv(weighted.T @ self._design)
        direction = inverse @ self._contrast / (self._contrast @ inverse @ self._contrast)
        to_coefficients = inverse @ weighted.T
        to_coefficients -= np.outer(direction, self._contrast @ to_coefficients)
        return np.eye(n) - self._design @ to_coefficients

    def _statistics(self, values: np.ndarray, signs: np.ndarray) -> np.ndarray:
        """Return t after each flip: (n, n_points) and (n_flips, n) -> (n_flips, n_points)."""
        design, inverse, contrast = (
            array.astype(values.dtype) for array in (self._design, self._inverse, self._contrast)
        )
        n_columns = design.shape[1]
        # by group: {column: (n_flips, n_points)}, its part of design.T @ flipped values
        parts = [
            {k: (signs[:, members] * design[members, k]) @ values[members] for k in columns}
            for members, columns in zip(self._members, self._columns, strict=True)
        ]
        totals = [sum(part[k] for part in parts if k in part) for k in range(n_columns)]
        coefficients = [_combine(row, totals) for row in inverse]
        variance = 0.0
        for members, part, freedom in zip(self._members, parts, self._freedom, strict=True):
            own = design[members]
            # the sum of the group's squared residuals: y'y - b'(2 X'y - X'Xb)
            squares = (values[members] ** 2).sum(axis=0)
            for k, product in part.items():
                squares = squares - coefficients[k] * (2 * product - _combine(own[:, k] @ own, coefficients))
            least = _MIN_VARIANCE * freedom
            weight = (self._weights[members] ** 2).sum() / freedom
            variance = variance + np.maximum(squares, least) * values.dtype.type(weight)
        return _combine(contrast, coefficients) / np.sqrt(variance)


def _combine(weights: np.ndarray, arrays: Sequence[np.ndarray]) -> np.ndarray:
    """Return the weighted sum of arrays."""
    return sum(weight * array for weight, array in zip(weights, arrays, strict=True) if weight)


def _p_values(magnitudes: np.ndarray, largest: np.ndarray) -> np.ndarray:
    """Return the share of the flips' largest magnitudes that reach each of `magnitudes`; a tie counts."""
    ordered = np.sort(largest)
    return (len(ordered) - np.searchsorted(ordered, magnitudes - _TIE * np.abs(magnitudes))) / len(ordered)


def _corrected(
    effect: np.ndarray, t: np.ndarray, largest: np.ndarray, best_p: np.ndarray, spreads: np.ndarray
) -> Tested:
    """Correct a hypothesis for its family; `best_p` is each flip's smallest p over the hypotheses."""
    p = _p_values(-_p_values(np.abs(t), largest), -best_p)
    p_of_largest = _p_values(-_p_values(largest, largest), -best_p)
    significant = largest[p_of_largest <= SIGNIFICANT]
    threshold = float(significant.min()) if len(significant) else np.inf
    return Tested(effect, t, p, threshold, smallest_possible_p=float(p_of_largest.min()), spreads=spreads)
