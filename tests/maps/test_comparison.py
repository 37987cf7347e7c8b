"""Agreement of maps and localisation, against answers worked out by hand."""

import numpy as np
import pandas as pd
import pytest
import scipy.stats

from mri_saliency.maps import comparison
from mri_saliency.maps.comparison import NULL, agreement, mean_agreement


def test_agreement():
    a = np.random.default_rng(0).uniform(1, 2, (10, 20, 20))
    maps = {"a": a, "b": -np.exp(a), "c": 1 / a, "zero": np.zeros_like(a)}
    pairs = [("a", "b"), ("a", "c"), ("b", "c"), ("a", "zero")]
    found = agreement(maps, maps, pairs, np.ones(a.shape, bool))
    np.testing.assert_allclose(found, [1, -1, -1, np.nan])
    assert np.isnan(agreement(maps, maps, pairs, np.zeros(a.shape, bool))).all()


def test_agreement_is_that_of_the_brain():
    """Against SciPy; outside the brain the maps are equal and large."""
    generator = np.random.default_rng(1)
    shape = (12, 30, 30)
    brain = np.zeros(shape, bool)
    brain[2:9, 5:22, 6:29] = True
    a, b = generator.standard_normal((2, *shape))
    b += 0.7 * a
    b[4, 10:14, 10:14] = 0.0  # ties
    a[~brain] = b[~brain] = 100 + generator.uniform(size=(~brain).sum())
    [value] = agreement({"a": a}, {"b": b}, [("a", "b")], brain)
    sampled = brain[::3, ::3, ::3]
    expected = scipy.stats.spearmanr(*(np.abs(values[::3, ::3, ::3][sampled]) for values in (a, b)))
    assert value == pytest.approx(expected.statistic)


def test_mean_agreement():
    rows = pd.DataFrame(
        [("a", "b", 0.2, 0.1), ("a", "b", 0.4, np.nan), ("a", NULL, 0.6, 0.3), ("b", NULL, -0.2, np.nan)],
        columns=["method_a", "method_b", "rank_correlation", "rank_correlation_chance"],
    )
    found = mean_agreement(rows, ["a", "b", "c"])
    assert list(found.mean.index) == list(found.chance.index) == ["a", "b", "c", NULL]
    assert list(found.mean.columns) == list(found.chance.columns) == ["a", "b", "c"]
    assert found.mean.loc["a", "b"] == found.mean.loc["b", "a"] == pytest.approx(0.3)
    np.testing.assert_allclose(found.mean.loc[NULL], [0.6, -0.2, np.nan])
    np.testing.assert_allclose(found.chance.loc[["a", NULL]], [[1, 0.1, np.nan], [0.3, np.nan, np.nan]])
    assert np.isnan(found.mean.loc["a", "c"]) and found.mean.loc["c", "c"] == 1
    nothing = mean_agreement(pd.DataFrame(), ["a"])
    assert nothing.mean.loc["a", "a"] == 1 and nothing.mean.shape == (1, 1)


def test_rank_correlation():
    assert comparison.rank_correlation(np.arange(5), np.arange(5) ** 3) == pytest.approx(1)
    assert comparison.rank_correlation(np.array([1, 2, 2, 3]), np.array([4, 3, 3, 1])) == pytest.approx(-1)
    assert np.isnan(comparison.rank_correlation(np.arange(5), np.ones(5)))
    assert np.isnan(comparison.rank_correlation(np.arange(2), np.arange(2)))


def test_localisation():
    brain = np.ones((4, 5, 5), bool)
    region = np.zeros_like(brain)
    region[0] = True
    perfect = np.where(region, -2.0, 0.0)
    found = comparison.localisation(perfect, region, brain)
    assert found == {"enrichment": pytest.approx(4), "auc": 1.0}
    assert comparison.localisation(np.ones(brain.shape), region, brain)["auc"] == 0.5
    assert np.isnan(comparison.localisation(np.zeros(brain.shape), region, brain)["auc"])


def test_area_under_the_roc_curve():
    is_positive = np.array([True, False, True, False, False])
    # pairs: 0.9 beats all three; 0.5 beats 0.1, ties 0.5, loses to 0.8
    assert comparison.roc_auc(np.array([0.9, 0.5, 0.5, 0.1, 0.8]), is_positive) == pytest.approx(4.5 / 6)
    assert np.isnan(comparison.roc_auc(np.arange(5), np.ones(5, bool)))
    assert np.isnan(comparison.roc_auc(np.arange(5), np.zeros(5, bool)))
