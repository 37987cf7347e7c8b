"""Intervals agree with independent references, and hold what they promise in simulations."""

import numpy as np
import pytest
from scipy import optimize, stats

from mri_saliency.maps.comparison import roc_auc
from mri_saliency.statistics.intervals import (
    auc_difference_interval,
    auc_interval,
    mean_interval,
    pair_wins,
    wilson_interval,
)


@pytest.mark.parametrize(("n_right", "n"), [(0, 5), (3, 10), (10, 10), (199, 480)])
def test_wilsons_interval_is_scipys(n_right, n):
    expected = stats.binomtest(n_right, n).proportion_ci(method="wilson")
    assert wilson_interval(n_right, n) == pytest.approx((expected.low, expected.high))


def test_the_mean_of_wins_is_the_area():
    generator = np.random.default_rng(0)
    positive, negative = generator.integers(0, 6, 12), generator.integers(0, 4, 9)  # with ties
    scores, is_positive = np.r_[positive, negative], np.r_[np.ones(12), np.zeros(9)]
    assert pair_wins(positive, negative).mean() == pytest.approx(roc_auc(scores, is_positive))


def wins_of(area, n, seed=0):
    generator = np.random.default_rng(seed)
    return pair_wins(
        generator.normal(np.sqrt(2) * stats.norm.ppf(area), size=n), generator.standard_normal(n)
    )


@pytest.mark.parametrize("n", [5, 20])
def test_the_areas_interval_has_newcombes_ends(n):
    wins = wins_of(0.8, n)
    area, m = wins.mean(), n
    assert 0.5 < area < 1

    def distance(true):
        factor = 1 + (m - 1) * (1 - true) / (2 - true) + (m - 1) * true / (1 + true)
        return (area - true) ** 2 - stats.norm.ppf(0.975) ** 2 * true * (1 - true) * factor / m**2

    low, high = auc_interval(wins)
    assert low == pytest.approx(optimize.brentq(distance, 1e-9, area))
    assert high == pytest.approx(optimize.brentq(distance, area, 1 - 1e-9))


def test_groups_that_are_apart_entirely_still_have_an_interval():
    apart = np.ones((5, 5))
    low, high = auc_interval(apart)
    assert 0.6 < low < 0.7 and high == 1
    assert auc_interval(0 * apart) == pytest.approx((0, 1 - low))
    assert auc_interval(np.ones((100, 100)))[0] > 0.97
    assert auc_difference_interval(apart, apart) == pytest.approx((low - 1, 1 - low))


def correlated_wins(generator, areas, r, n):
    """`pair_wins` of two scores of the same subjects."""
    shifts = np.sqrt(2) * stats.norm.ppf(areas)
    covariance = [[1, r], [r, 1]]
    positive, negative = (
        generator.multivariate_normal(mean, covariance, n).T for mean in (shifts, np.zeros(2))
    )
    return [pair_wins(p, q) for p, q in zip(positive, negative, strict=True)]


@pytest.mark.parametrize(("areas", "r", "n"), [((0.95, 0.8), 0.6, 5), ((0.7, 0.7), 0.9, 20)])
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


def test_near_an_area_of_1_a_bootstrap_does_not_hold_what_newcombes_interval_does():
    generator = np.random.default_rng(3)
    n, area, n_cohorts = 5, 0.98, 300
    held = np.zeros(2)
    for _ in range(n_cohorts):
        wins = pair_wins(
            generator.normal(np.sqrt(2) * stats.norm.ppf(area), size=n), generator.standard_normal(n)
        )
        counts = generator.multinomial(n, np.full(n, 1 / n), size=(2, 200)) / n  # stratified draws
        resampled = ((counts[0] @ wins) * counts[1]).sum(axis=1)
        for which, (low, high) in enumerate((auc_interval(wins), np.percentile(resampled, (2.5, 97.5)))):
            held[which] += low <= area <= high
    newcombe, bootstrap = held / n_cohorts
    assert newcombe > 0.92 and bootstrap < 0.4


def test_the_correlation_makes_the_differences_interval_shorter():
    generator = np.random.default_rng(2)
    wins, other = correlated_wins(generator, (0.8, 0.75), 0.95, 40)
    low, high = auc_difference_interval(wins, other)
    _, independent = correlated_wins(generator, (0.8, 0.75), 0, 40)
    low_2, high_2 = auc_difference_interval(wins, independent)
    assert high - low < 0.7 * (high_2 - low_2)
    assert auc_difference_interval(wins, wins) == pytest.approx((0, 0), abs=0.05)


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
