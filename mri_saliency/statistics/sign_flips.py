"""Values of subjects in groups -> where the groups differ, by sign flips with family-wise correction."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np
from scipy.special import stdtrit

from mri_saliency.statistics.intervals import COVERAGE

N_FLIPS = 1000
SIGNIFICANT = 0.05  # family-wise
_POINTS_AT_A_TIME = 256  # (flips, points) that stay in the processor's cache
_FAR = 5.0  # magnitude of t: up to here its skewness is known well enough
_MIN_VARIANCE = 1e-6  # of a group's values, as a share of all values' variance; less is rounding
_TIE = 1e-5  # statistics that differ by less, relatively, count as equal


@dataclass(frozen=True, eq=False)
class Hypothesis:
    """A linear contrast of group means that is zero under the null hypothesis, at every point."""

    values: np.ndarray  # (n_subjects, n_points): those of the family's subjects, also of others
    design: np.ndarray  # float64 (n, n_columns): the linear model of a point's values, of full rank
    contrast: np.ndarray  # float64 (n_columns,): weights of the model's coefficients
    spread_groups: np.ndarray  # int (n,), from 0: subjects of one number share a variance
    subjects: np.ndarray  # int (n,): the rows of `values`, which all hypotheses of a family flip alike


@dataclass(frozen=True, eq=False)
class Estimate:
    """What a contrast is at each point; arrays are float64 (n_points,)."""

    effect: np.ndarray
    error: np.ndarray  # the effect's standard error
    t: np.ndarray  # the effect over its error, corrected for its skewness; 0 where nothing varies
    freedom: np.ndarray  # the error's degrees of freedom, by Satterthwaite
    spreads: np.ndarray  # (n_groups,): standard deviations of the spread groups, over all points alike
    skewness: float  # of the estimate, over all points alike; 0 where groups are equal in size and skew

    def interval(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the ends of the effect's 95 % interval at each point, taken alone."""
        reach = stdtrit(self.freedom, (1 + COVERAGE) / 2) * self.error
        return self.effect - reach, self.effect + reach


@dataclass(frozen=True, eq=False)
class Tested(Estimate):
    """The answer to one hypothesis; arrays are float64 (n_points,)."""

    p: np.ndarray  # two-sided, corrected for all points and hypotheses of the family; never 0
    threshold: float  # magnitude of t from which p is at most `SIGNIFICANT`; infinite if no t can reach it
    smallest_possible_p: float  # of a t that no flip reaches


def sign_flip_test(family: Sequence[Hypothesis], n_flips: int = N_FLIPS) -> list[Tested]:
    """Test the hypotheses of a family together.

    The statistic is Welch's t, generalised to a linear model: the least-squares estimate of the contrast,
    over a standard error with a variance for each group. Its null distribution comes from flipping the signs
    of the residuals of the model in which the contrast is zero (Freedman & Lane 1983, for errors that are
    independent and symmetric; Winkler et al. 2014, Permutation inference for the general linear model,
    NeuroImage). So neither equal variances nor normal values are assumed. Where groups of unequal size are
    skewed alike, t is skewed, which flips do not show; it is corrected by the cubic of Hall (1992, On the
    removal of skewness by transformation, JRSS B), with one skewness for all points.

    The largest |t| over the points, for each flip, corrects for the points; the smallest p of these maxima
    over the hypotheses, for each flip, corrects for the hypotheses, so that all count alike, whatever their
    degrees of freedom (Westfall & Young 1993, Resampling-based multiple testing). See `sign_flips`.
    """
    if not family:
        return []
    signs = sign_flips(1 + max(int(hypothesis.subjects.max()) for hypothesis in family), n_flips)
    models = [_Model(hypothesis) for hypothesis in family]
    estimates = [model.fit() for model in models]
    maxima = [
        model.largest(estimate, signs[:, model.subjects])
        for model, estimate in zip(models, estimates, strict=True)
    ]
    best_p = np.min([_p_values(largest, largest) for largest in maxima], axis=0)  # (n_flips,)
    return [_corrected(*found, best_p) for found in zip(estimates, maxima, strict=True)]


def sign_flips(n_subjects: int, n_flips: int) -> np.ndarray:
    """Return flips, float32 (n_flips + 1, n_subjects) of 1 and -1; the first flips nothing.

    They are random, or all where there are at most `n_flips`; the last subject's sign stays then, because to
    flip every subject changes no magnitude of t.
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
        self._by_group = np.stack(self._members).astype(float)  # (n_groups, n), for sums over members
        self._freedom = self._by_group @ (1 - leverage)[:, None]  # (n_groups, 1)

    def fit(self) -> Estimate:
        """Estimate the contrast at all points."""
        n, n_points = len(self._design), self._values.shape[1]
        effect, error, t, freedom = np.zeros((4, n_points))
        to_coefficients = self._inverse @ self._design.T
        weights = self._by_group @ self._weights**2
        squares_of_all, cubes, n_varying = np.zeros(len(weights)), np.zeros(n), 0
        for points in self._parts():
            scaled, spread = self._standardised(points)
            residuals = scaled - self._design @ (to_coefficients @ scaled)
            squared = residuals * residuals
            squares = self._by_group @ squared
            squares_of_all += squares.sum(axis=1)
            cubes += np.einsum("ij,ij->i", squared, residuals)
            n_varying += int(scaled.any(axis=0).sum())
            variances = weights[:, None] * np.maximum(squares / self._freedom, _MIN_VARIANCE)
            variance, estimated = variances.sum(axis=0), self._weights @ scaled
            effect[points], error[points] = spread * estimated, spread * np.sqrt(variance)
            t[points] = estimated / np.sqrt(variance)
            freedom[points] = variance**2 / (variances**2 / self._freedom).sum(axis=0)
        n_varying = max(1, n_varying)
        variances = np.maximum(squares_of_all / self._freedom[:, 0] / n_varying, _MIN_VARIANCE)
        skewness = self._skewness(cubes / n_varying / (weights @ variances) ** 1.5)
        return Estimate(effect, error, _without_skewness(t, skewness), freedom, np.sqrt(variances), skewness)

    def _skewness(self, cubes: np.ndarray) -> float:
        """Return the estimate's skewness, as far as it exceeds its own error.

        `cubes`, (n,), are of the residuals over the estimate's error, each subject's mean over the points.
        """
        freedom, sizes = self._freedom[:, 0], self._by_group.sum(axis=1)
        of_groups = self._by_group @ self._weights**3 * sizes / (freedom * (freedom - 1))
        parts = of_groups @ self._by_group * cubes
        found = parts.sum()
        centred = parts - (self._by_group @ parts / sizes) @ self._by_group
        variance = (sizes / (sizes - 1)) @ self._by_group @ centred**2
        return float(found * max(0.0, 1 - variance / found**2)) if found else 0.0

    def largest(self, fitted: Estimate, signs: np.ndarray) -> np.ndarray:
        """Return every flip's largest |t|, (n_flips,); `signs` is (n_flips, n), the first flip none."""
        largest = np.zeros(len(signs))
        largest[0] = np.abs(fitted.t).max()
        to_null = self._null_coefficients(fitted.spreads**2)
        design = self._design.astype(np.float32)
        # by group: {column: what its members' values are multiplied by, float32 (n_flips, n_members)}
        flips = [
            {k: signs[1:, members] * design[members, k] for k in columns}
            for members, columns in zip(self._members, self._columns, strict=True)
        ]
        for points in self._parts():
            scaled, _ = self._standardised(points)
            null = (scaled - self._design @ (to_null @ scaled)).astype(np.float32)
            squared = self._squared_t(null, flips)
            np.maximum(largest[1:], np.sqrt(squared.max(axis=1)), out=largest[1:])
        return largest

    def _parts(self) -> Iterator[slice]:
        for start in range(0, self._values.shape[1], _POINTS_AT_A_TIME):
            yield slice(start, start + _POINTS_AT_A_TIME)

    def _standardised(self, points: slice) -> tuple[np.ndarray, np.ndarray]:
        """Return points' values with mean 0 and spread 1, or 0 where nothing varies; and their spreads."""
        values = self._values[self.subjects, points].astype(np.float64)
        centred = values - values.mean(axis=0)
        spread = np.sqrt((centred**2).mean(axis=0))
        # equal values leave only rounding when they are centred
        varies = spread > 1e-6 * np.abs(values).max(axis=0)
        return np.divide(centred, spread, out=np.zeros_like(centred), where=varies), spread

    def _null_coefficients(self, variances: np.ndarray) -> np.ndarray:
        """Return the matrix (n_columns, n) from values to the model's coefficients if the contrast is zero.

        That model is fitted with each group's weight the inverse of its variance: plain least squares lets a
        small and variable group pull the common mean, and the test of 5 against 20 subjects then errs in 8 %.
        """
        weighted = self._design / variances[self._groups][:, None]  # (n, n_columns)
        inverse = np.linalg.inv(weighted.T @ self._design)
        direction = inverse @ self._contrast / (self._contrast @ inverse @ self._contrast)
        to_coefficients = inverse @ weighted.T
        return to_coefficients - np.outer(direction, self._contrast @ to_coefficients)

    def _squared_t(self, values: np.ndarray, flips: Sequence[dict[int, np.ndarray]]) -> np.ndarray:
        """Return t * t after each flip of residuals: (n, n_points) -> (n_flips, n_points)."""
        design, inverse, contrast = (
            array.astype(values.dtype) for array in (self._design, self._inverse, self._contrast)
        )
        # by group: {column: (n_flips, n_points)}, its part of design.T @ flipped values
        parts = [
            {k: flipped @ values[members] for k, flipped in of_group.items()}
            for members, of_group in zip(self._members, flips, strict=True)
        ]
        totals = [reduce(np.add, [part[k] for part in parts if k in part]) for k in range(design.shape[1])]
        coefficients = [_combine(row, totals) for row in inverse]
        variances = []
        for members, part, freedom in zip(self._members, parts, self._freedom[:, 0], strict=True):
            own = design[members]
            # the sum of the group's squared residuals: y'y - b'(2 X'y - X'Xb)
            squares = np.square(values[members]).sum(axis=0)
            for k, product in part.items():
                # in place: these passes take as long as the products
                if np.count_nonzero(inverse[k]) > 1:  # else X'Xb is X'y
                    product *= 2
                    product -= _combine(own[:, k] @ own, coefficients)
                product *= coefficients[k]
                squares = np.subtract(squares, product, out=product)
            np.maximum(squares, _MIN_VARIANCE * freedom, out=squares)
            squares *= values.dtype.type((self._weights[members] ** 2).sum() / freedom)
            variances.append(squares)
        squared = np.square(_combine(contrast, coefficients))
        squared /= reduce(np.add, variances)
        return squared


def _without_skewness(t: np.ndarray, skewness: float) -> np.ndarray:
    """Return t without the skewness of an estimate: Hall's cubic near 0, beyond it as far on; 0 stays."""
    near = np.clip(t, -_FAR, _FAR)
    cubic = near + skewness * near**2 / 3 + skewness**2 * near**3 / 27 + skewness / 6
    return np.where(t == 0, 0.0, cubic + t - near)


def _combine(weights: np.ndarray, arrays: Sequence[np.ndarray]) -> np.ndarray:
    """Return the weighted sum of arrays."""
    return reduce(np.add, [weight * array for weight, array in zip(weights, arrays, strict=True) if weight])


def _p_values(magnitudes: np.ndarray, largest: np.ndarray) -> np.ndarray:
    """Return the share of the flips' largest magnitudes that reach each of `magnitudes`; a tie counts."""
    ordered = np.sort(largest)
    return (len(ordered) - np.searchsorted(ordered, magnitudes - _TIE * np.abs(magnitudes))) / len(ordered)


def _corrected(fitted: Estimate, largest: np.ndarray, best_p: np.ndarray) -> Tested:
    """Correct a hypothesis for its family; `best_p` is each flip's smallest p over the hypotheses."""
    p = _p_values(-_p_values(np.abs(fitted.t), largest), -best_p)
    p_of_largest = _p_values(-_p_values(largest, largest), -best_p)
    significant = largest[p_of_largest <= SIGNIFICANT]
    threshold = float(significant.min()) if len(significant) else np.inf
    return Tested(**vars(fitted), p=p, threshold=threshold, smallest_possible_p=float(p_of_largest.min()))
