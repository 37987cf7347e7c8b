"""The permutation test finds a difference that exists, and keeps its error rate."""

import tracemalloc
from functools import partial

import numpy as np
import pytest

from mri_saliency.cohort import permutation_test
from mri_saliency.cohort.permutation_test import (
    BLOCK,
    N_PERMUTATIONS,
    SIGNIFICANT,
    block_means,
    compare_groups,
)


def opened(maps):
    return [partial(np.asarray, values) for values in maps]


def simulated(n, shape=(7, 8, 9), seed=0, effect=0.0):
    """Noise maps, half of them cases, who have `effect` in one corner block."""
    values = np.random.default_rng(seed).standard_normal((n, *shape)).astype(np.float32)
    is_case = np.arange(n) % 2 == 1
    values[is_case, :2, :2, :2] += effect
    return values, is_case


def test_block_means_reach_an_odd_end():
    values = np.random.default_rng(0).standard_normal((7, 8, 9)).astype(np.float32)
    blocks = block_means(values)
    assert blocks.shape == (4, 4, 5)
    assert blocks[0, 1, 2] == pytest.approx(values[0:2, 2:4, 4:6].mean(), abs=1e-6)
    assert blocks[3, 3, 4] == pytest.approx(values[6:, 6:, 8:].mean(), abs=1e-6)


def test_memory_holds_no_more_than_a_few_voxels_scores():
    values, is_case = simulated(8, shape=(20, 60, 60))
    n_blocks = values[0].size // BLOCK**3
    tracemalloc.start()
    compare_groups(opened(values), is_case, np.ones(values.shape[1:], bool))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < N_PERMUTATIONS * n_blocks * 8 / 3  # all voxels' scores


def test_score_and_p_are_those_of_a_permutation_test_written_out():
    values, is_case = simulated(12, effect=3.0)
    test = compare_groups(opened(values), is_case, np.ones(values.shape[1:], bool), seed=3)
    blocks = np.stack([block_means(one) for one in values]).astype(np.float64)

    def score_of(cases):
        a, b = blocks[cases], blocks[~cases]
        return (a.mean(0) - b.mean(0)) / (b.std(0, ddof=1) * np.sqrt(1 / len(a) + 1 / len(b)))

    truth = score_of(is_case)
    np.testing.assert_allclose(test.score[::2, ::2, ::2], truth, rtol=1e-5)
    generator = np.random.default_rng(3)
    largest = [np.abs(truth).max()]
    largest += [np.abs(score_of(generator.permutation(is_case))).max() for _ in range(N_PERMUTATIONS)]
    expected = (np.array(largest)[:, None] >= np.abs(truth).ravel() * (1 - 1e-5)).mean(axis=0)
    np.testing.assert_allclose(test.p[::2, ::2, ::2].ravel(), expected, atol=2e-3)
    assert test.p[0, 0, 0] <= SIGNIFICANT < test.p[2:].min()
    assert test.score[0, 0, 0] >= test.threshold


def test_patients_with_foci_on_different_sides_are_distinguished_from_controls():
    """Half the cases differ in one place, half in another: within the cases, both vary greatly."""
    values, is_case = simulated(24, shape=(8, 8, 8))
    cases = np.flatnonzero(is_case)
    values[cases[::2], :2, :2, :2] += 10
    values[cases[1::2], -2:, -2:, -2:] += 10
    test = compare_groups(opened(values), is_case, np.ones((8, 8, 8), bool))
    assert test.p[0, 0, 0] <= SIGNIFICANT and test.p[-1, -1, -1] <= SIGNIFICANT
    assert (test.p <= SIGNIFICANT).sum() == 16


def test_slabs_change_nothing(monkeypatch):
    values, is_case = simulated(10, effect=1.0)
    mask = np.random.default_rng(1).random(values.shape[1:]) > 0.3
    whole = compare_groups(opened(values), is_case, mask)
    monkeypatch.setattr(permutation_test, "_SLAB_BYTES", 1)
    monkeypatch.setattr(permutation_test, "_VOXELS_AT_A_TIME", 3)
    slabs = compare_groups(opened(values), is_case, mask)
    np.testing.assert_allclose(slabs.score, whole.score, rtol=1e-5)
    np.testing.assert_array_equal(slabs.p, whole.p)


def test_what_does_not_vary_or_is_masked_is_not_significant():
    values, is_case = simulated(10, effect=5.0)
    values[:, 4:6] = 1e8  # the same in all
    mask = np.ones(values.shape[1:], bool)
    mask[:2] = False
    test = compare_groups(opened(values), is_case, mask)
    assert not test.score[4:6].any() and (test.p[4:6] == 1).all()
    assert (test.p[:2] == 1).all() and not test.score[:2].any()


def test_family_wise_error_is_kept():
    found = 0
    for seed in range(100):
        values, is_case = simulated(16, shape=(8, 8, 8), seed=seed)
        test = compare_groups(opened(values), is_case, np.ones((8, 8, 8), bool), seed)
        found += (test.p <= SIGNIFICANT).any()
    assert found <= 11  # 5 expected; more than 11 of 100 has a probability below 0.5 %


def test_two_maps_a_group_are_not_compared():
    values, is_case = simulated(4)
    with pytest.raises(ValueError, match="3 maps a group"):
        compare_groups(opened(values), is_case, np.ones(values.shape[1:], bool))
