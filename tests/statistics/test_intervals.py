"""Intervals agree with independent references, and hold what they promise in simulations."""

import numpy as np
import pytest
from scipy import stats

from mri_saliency.statistics.intervals import auc_difference_interval, auc_interval, mean_interval, pair_wins


def test_the_mean_of_wins_is_mann_and_whitneys():
    generator = np.random.default_rng(0)
    positive, negative = generator.integers(0, 6, 12), generator.integers(0, 4, 9)  # with ties
    expected = stats.mannwhitneyu(positive, negative).statistic / (12 * 9)
    assert pair_wins(positive, negative).mean() == pytest.approx(expected)


@pytest.mark.parametrize("n", [5, 20])
def test_the_areas_interval_has_newcombes_ends(n):
    """Both are 1.96 standard errors, of their own area, from the found one (Newcombe's method 5)."""
    generator = np.random.default_rng(0)
    wins = pair_wins(generator.normal(1.2, size=n), generator.standard_normal(n))
    area, ends = wins.mean(), np.array(auc_interval(wins))
    assert 0.5 < ends[0] < area < ends[1] < 1
    factor = 1 + (n - 1) * ((1 - ends) / (2 - ends) + ends / (1 + ends))
    errors = np.sqrt(ends * (1 - ends) * factor) / n
    np.testing.assert_allclose(np.abs(area - ends), stats.norm.ppf(0.975) * errors, rtol=1e-9)


def test_groups_that_are_apart_entirely_still_have_an_interval():
    apart = np.ones((5, 5))
    low, high = auc_interval(apart)
    assert 0.6 < low < 0.7 and high == 1
    assert auc_interval(0 * apart) == pytest.approx((0, 1 - low))
    assert auc_difference_interval(apart, apart) == pytest.approx((low - 1, 1 - low))


def correlated_wins(generator, areas, r, n):
    """`pair_wins` of two scores of the same subjects."""
    shifts = np.sqrt(2) * stats.norm.ppf(areas)
    covariance = [[1, r], [r, 1]]
    positive, negative = (
        generator.multivariate_normal(mean, covariance, n).T for mean in (shifts, np.zeros(2))
    )
    return [pair_wins(p, q) for p, q in zip(positive, negative, strict=True)]


@pytest.mark.parametrize(("areas", "r", "n"), [((0.98, 0.8), 0.6, 5), ((0.7, 0.7), 0.9, 20)])
def test_intervals_hold_the_truth_in_95_of_100(areas, r, n):
    generator = np.random.default_rng(1)
    n_cohorts = 300
    held = np.zeros(2)
    for _ in range(n_cohorts):
        wins, other = correlated_wins(generator, areas, r, n)
        for which, (low, high), truth in (
            (0, auc_interval(wins), areas[0]),
            (1, auc_difference_interval(wins, other), areas[0] - areas[1]),
        ):
            held[which] += low <= truth <= high
    # a fixed seed; the half-width of the simulation's own interval is 2.5 points
    assert (held / n_cohorts > 0.92).all()


def test_the_interval_of_a_mean_is_students():
    values = np.random.default_rng(0).standard_normal(7)
    expected = stats.t.interval(0.95, 6, values.mean(), stats.sem(values))
    found = mean_interval(values)
    assert (found.low, found.high) == pytest.approx(expected)
    assert str(mean_interval([1, 2, 3])) == "2.00 (95 % interval -0.48 to 4.48)"
    assert mean_interval([1, 2]) is None
    assert str(mean_interval([0.0, 0.0, 0.0])) == "0.00 (95 % interval 0.00 to 0.00)"
