"""Agreement of maps and localisation, against answers worked out by hand."""

import numpy as np
import pandas as pd
import pytest

from mri_saliency.maps import comparison


def test_agreement():
    a = np.random.default_rng(0).uniform(1, 2, (10, 20, 20))
    maps = {"a": a, "b": -np.exp(a), "c": 1 / a, "zero": np.zeros_like(a)}
    rows = {(row["method_a"], row["method_b"]): row for row in comparison.agreement(maps)}
    assert len(rows) == 6
    assert rows["a", "b"]["rank_correlation"] == pytest.approx(1) and rows["a", "b"]["top_overlap"] == 1
    assert rows["a", "c"]["rank_correlation"] == pytest.approx(-1) and rows["a", "c"]["top_overlap"] == 0
    assert np.isnan(rows["a", "zero"]["rank_correlation"]) and np.isnan(rows["a", "zero"]["top_overlap"])
    table = pd.DataFrame([{**row, "subject_id": "x"} for row in rows.values()])
    matrix = comparison.agreement_matrix(table, list(maps), "top_overlap")
    assert matrix.loc["b", "a"] == matrix.loc["a", "b"] == matrix.loc["c", "c"] == 1
    assert comparison.agreement_matrix(pd.DataFrame(), ["a"], "top_overlap").loc["a", "a"] == 1


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
