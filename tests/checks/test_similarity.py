"""Rank correlations, against SciPy's."""

import numpy as np
import pytest
from scipy import stats

from mri_saliency.checks.similarity import SAMPLED, partial_similarity, similarity

SHAPE = (20, 128, 128)


@pytest.fixture
def maps():
    """Two maps that share a factor, the factor, and a brain."""
    generator = np.random.default_rng(0)
    factor = generator.standard_normal(SHAPE)
    a, b = (factor * generator.standard_normal(SHAPE) for _ in range(2))
    return a, b, factor, generator.random(SHAPE) < 0.7


def test_similarity_is_spearmans_in_the_brain(maps):
    a, b, _, brain = maps
    expected = stats.spearmanr(*(values[SAMPLED][brain[SAMPLED]] for values in (a, b))).statistic
    assert similarity(np.where(brain, a, 1e9), b, brain) == pytest.approx(expected)


def test_constant_maps_are_like_none(maps):
    values, _, _, brain = maps
    for other, where in ((np.zeros(SHAPE), brain), (values, np.zeros_like(brain))):
        assert np.isnan(similarity(values, other, where))
        assert np.isnan(partial_similarity(values, other, maps[2], where))


def test_partial_similarity_leaves_out_what_a_factor_explains(maps):
    """Against the textbook's formula of three correlations; place explains nothing here."""
    a, b, factor, brain = maps
    ranks = [abs(values)[SAMPLED][brain[SAMPLED]] for values in (a, b, factor)]
    ab, af, bf = (stats.spearmanr(ranks[i], ranks[j]).statistic for i, j in ((0, 1), (0, 2), (1, 2)))
    expected = (ab - af * bf) / np.sqrt((1 - af**2) * (1 - bf**2))
    assert ab > 0.3 and abs(expected) < 0.1
    assert partial_similarity(a, b, factor, brain) == pytest.approx(expected, abs=0.01)
    assert partial_similarity(a, b, np.ones(SHAPE), brain) == pytest.approx(ab, abs=0.01)
    assert partial_similarity(a, a, factor, brain) == pytest.approx(1)
    assert np.isnan(partial_similarity(factor**3, a, factor, brain))  # nothing is left


def test_partial_similarity_leaves_out_place(maps):
    """Two maps that are large in the middle of the slices, and in the same slices."""
    a, b, factor, brain = maps
    slices, rows, columns = np.indices(SHAPE)
    profile = np.exp(-((np.hypot(rows - 63.5, columns - 63.5) / 40) ** 2)) * (1 + slices)
    assert similarity(abs(profile * a), abs(profile * b), brain) > 0.5
    assert abs(partial_similarity(profile * a, profile * b, factor, brain)) < 0.2
