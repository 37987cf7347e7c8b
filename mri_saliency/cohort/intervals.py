"""Intervals of means over scans."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

FEWEST = 3  # values that have an interval
_CONFIDENCE = 0.95


@dataclass(frozen=True)
class Interval:
    """A mean with its two-sided 95 % interval, of `n` values."""

    mean: float
    low: float
    high: float
    n: int

    def __str__(self) -> str:
        """Return the mean and the interval as a sentence has them."""
        return f"{self.mean:.2f} (95 % interval {self.low:.2f} to {self.high:.2f})"


def mean_interval(values: Iterable[float]) -> Interval | None:
    """Compute the mean of values and Student's interval of it; None below `FEWEST` values."""
    values = np.asarray(list(values), float)
    n = len(values)
    if n < FEWEST:
        return None
    half = stdtrit(n - 1, (1 + _CONFIDENCE) / 2) * values.std(ddof=1) / np.sqrt(n)
    mean = float(values.mean())
    return Interval(mean, mean - float(half), mean + float(half), n)
