"""Statistics of maps, against hand-made answers."""

import numpy as np
import pandas as pd
import pytest

from mri_saliency import measures


def test_statistics_of_a_known_map():
    values = np.zeros((3, 4, 4), np.float32)
    values[1, 0, 0], values[1, 1, 1], values[2, 3, 3] = 2, -3, 1
    brain = np.zeros(values.shape, bool)
    brain[1] = True
    found = measures.map_statistics(values, brain)
    assert found["shape"] == "(3, 4, 4)"
    assert (found["min"], found["max"], found["peak_slice"]) == (-3, 2, 1)
    assert found["mean"] == 0 and found["abs_mean"] == pytest.approx(6 / 48)
    assert found["std"] == pytest.approx(np.sqrt(14 / 48))
    assert (found["positive_ratio"], found["negative_ratio"]) == (2 / 48, 1 / 48)
    assert found["brain_share"] == pytest.approx(5 / 6)
    np.testing.assert_allclose(measures.slice_profile(values), [0, 5 / 6, 1 / 6])


def test_a_map_of_zeros_is_named_not_divided_by():
    zeros = np.zeros((3, 4, 4), np.float32)
    found = measures.map_statistics(zeros, zeros == 0)
    assert found["peak_slice"] is None and found["brain_share"] is None
    assert not measures.slice_profile(zeros).any()


@pytest.mark.parametrize(
    ("total", "expected", "error", "verdict"),
    [(1.04, 1, 0.04, "ok"), (-0.9, -1, 0.1, "check"), (0, 0, 0, "ok"), (1, 0, None, "check")],
)
def test_completeness(total, expected, error, verdict):
    found = measures.completeness(total, expected)
    assert found["completeness_error"] == pytest.approx(error)
    assert found["completeness_verdict"] == verdict
    assert set(measures.completeness(1.0, None).values()) == {None}


@pytest.mark.parametrize(
    ("logits", "probability", "label", "confidence"),
    [
        ([0.0], 0.5, 0, 0.5),
        ([np.log(3)], 0.75, 1, 0.75),
        ([-1000.0], 0.0, 0, 1.0),
        ([0.0, np.log(4)], 0.8, 1, 0.8),
        ([np.log(2), 0.0, 0.0], 0.5, 0, 0.5),
    ],
)
def test_prediction(logits, probability, label, confidence):
    found = measures.prediction(np.array(logits))
    assert found["prediction"] == pytest.approx(probability)
    assert found["predicted_label"] == label
    assert found["confidence"] == pytest.approx(confidence)


def test_agreement():
    a = np.random.default_rng(0).uniform(1, 2, (10, 20, 20))
    maps = {"a": a, "b": -np.exp(a), "c": 1 / a, "zero": np.zeros_like(a)}
    rows = {(row["method_a"], row["method_b"]): row for row in measures.agreement(maps)}
    assert len(rows) == 6
    assert rows["a", "b"]["rank_correlation"] == pytest.approx(1) and rows["a", "b"]["top_overlap"] == 1
    assert rows["a", "c"]["rank_correlation"] == pytest.approx(-1) and rows["a", "c"]["top_overlap"] == 0
    assert np.isnan(rows["a", "zero"]["rank_correlation"]) and np.isnan(rows["a", "zero"]["top_overlap"])
    both = pd.DataFrame([{**row, "subject_id": "x"} for row in rows.values()])
    matrix = measures.agreement_matrix(both, list(maps), "top_overlap")
    assert matrix.loc["b", "a"] == matrix.loc["a", "b"] == matrix.loc["c", "c"] == 1
    assert measures.agreement_matrix(pd.DataFrame(), ["a"], "top_overlap").loc["a", "a"] == 1


def test_rank_correlation():
    assert measures.rank_correlation(np.arange(5), np.arange(5) ** 3) == pytest.approx(1)
    assert np.isnan(measures.rank_correlation(np.arange(5), np.ones(5)))


def test_localisation():
    brain = np.ones((4, 5, 5), bool)
    target = np.zeros_like(brain)
    target[0] = True
    perfect = np.where(target, -2.0, 0.0)
    found = measures.localisation(perfect, target, brain)
    assert found == {"enrichment": pytest.approx(4), "auc": 1.0}
    assert measures.localisation(np.ones(brain.shape), target, brain)["auc"] == 0.5
    assert np.isnan(measures.localisation(np.zeros(brain.shape), target, brain)["auc"])
