"""95 % intervals of means and areas under ROC curves, right for few values too.

Importing scipy.stats, which has two of them, takes 0.7 s.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri, stdtrit

COVERAGE = 0.95
FEWEST = 3  # values that have an interval of their mean
_Z = float(ndtri((1 + COVERAGE) / 2))


def pair_wins(positive: np.ndarray, negative: np.ndarray) -> np.ndarray:
    """Return which pairs are in the right order: 1, or 0.5 for a tie, float64 (n_positive, n_negative).

    Their mean is the area under the ROC curve.
    """
    return np.heaviside(np.subtract.outer(positive, negative), 0.5)


def auc_interval(wins: np.ndarray) -> tuple[float, float]:
    """Return the 95 % interval of the area under a ROC curve; `wins` are from `pair_wins`.

    Method 5 of Newcombe (2006, Confidence intervals for an effect size measure based on the Mann-Whitney
    statistic, part 2, Statistics in Medicine) asks which areas the found one does not contradict. So it does
    not shrink to a point where two groups happen to be apart entirely, as a bootstrap does.
    """
    from scipy.optimize import brentq  # 0.3 s, which only regions need

    area, pairs, extra = float(wins.mean()), wins.size, sum(wins.shape) / 2 - 1

    def excess(true: float) -> float:
        """Return the squared distance of a true area, less the largest that does not contradict it."""
        variance = true * (1 - true) / pairs
        variance *= 1 + extra * (1 - true) / (2 - true) + extra * true / (1 + true)
        return (area - true) ** 2 - _Z**2 * variance

    tiny = float(np.finfo(float).eps)
    inner = min(max(area, tiny), 1 - tiny)  # an area of 0 or 1 is a root itself
    return (brentq(excess, 0, inner) if area > 0 else 0.0), (brentq(excess, inner, 1) if area < 1 else 1.0)


def auc_difference_interval(wins: np.ndarray, other: np.ndarray) -> tuple[float, float]:
    """Return the 95 % interval of the difference of two areas under ROC curves of the same subjects.

    From the two areas' own intervals (Zou & Donner 2008, Construction of confidence limits about effect
    measures, Statistics in Medicine) and their correlation (DeLong et al. 1988, Biometrics).
    The second area is subtracted from the first.
    """
    (low_a, high_a), (low_b, high_b) = auc_interval(wins), auc_interval(other)
    a, b = float(wins.mean()), float(other.mean())
    covariance = sum(np.cov(wins.mean(axis), other.mean(axis)) / wins.shape[1 - axis] for axis in (0, 1))
    variances = covariance[0, 0] * covariance[1, 1]
    r = float(np.clip(covariance[0, 1] / math.sqrt(variances), -1, 1)) if variances > 0 else 0.0

    def reach(of_a: float, of_b: float) -> float:
        return math.sqrt(max(0.0, of_a**2 - 2 * r * of_a * of_b + of_b**2))

    return a - b - reach(a - low_a, high_b - b), a - b + reach(high_a - a, b - low_b)


def share_interval(k: int, n: int) -> tuple[float, float]:
    """Return Wilson's 95 % interval of a share, of which `k` of `n` cases were found (1927, JASA)."""
    middle, spread = k + _Z**2 / 2, _Z * math.sqrt(k * (n - k) / n + _Z**2 / 4)
    return max(0.0, (middle - spread) / (n + _Z**2)), min(1.0, (middle + spread) / (n + _Z**2))


@dataclass(frozen=True)
class Interval:
    """A mean with its two-sided 95 % interval."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        """Return the mean and the interval as a sentence has them."""
        return f"{self.mean:.2f} (95 % interval {self.low:.2f} to {self.high:.2f})"


def mean_interval(values: Iterable[float]) -> Interval | None:
    """Compute the mean of values and Student's interval of it; None below `FEWEST` values."""
    values = np.asarray(list(values), float)
    n = len(values)
    if n < FEWEST:
        return None
    half = float(stdtrit(n - 1, (1 + COVERAGE) / 2) * values.std(ddof=1) / np.sqrt(n))
    mean = float(values.mean())
    return Interval(mean, mean - half, mean + half)
