"""Intervals of means, against SciPy's t distribution."""

import numpy as np
import pytest
from scipy import stats

from mri_saliency.cohort.intervals import mean_interval


def test_the_interval_is_students():
    values = np.random.default_rng(0).standard_normal(7)
    expected = stats.t.interval(0.95, 6, values.mean(), stats.sem(values))
    found = mean_interval(values)
    assert (found.low, found.high) == pytest.approx(expected) and found.n == 7
    assert found.mean == pytest.approx(values.mean())
    assert str(mean_interval([1, 2, 3])) == "2.00 (95 % interval -0.48 to 4.48)"


def test_two_values_have_none_and_equal_ones_no_width():
    assert mean_interval([1, 2]) is None
    found = mean_interval([0.0, 0.0, 0.0])
    assert found.low == found.mean == found.high == 0
