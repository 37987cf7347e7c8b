"""Maps of several runs are averaged one by one; the mean's numbers follow from theirs."""

import tracemalloc

import numpy as np
import pytest

from mri_saliency.combine.mean_maps import RunningMoments, mean_prediction, mean_statistics
from mri_saliency.inputs.grid import FIRST_SLICE
from mri_saliency.inputs.loading import load_scan
from mri_saliency.inputs.scan_table import Scan

from ..conftest import N_SLICES
from ..made_cohort import made_record


def rows(*logits):
    return [made_record(logits=of_run).statistics for of_run in logits]


def test_moments_are_numpys():
    maps = np.random.default_rng(0).standard_normal((5, 3, 4, 4)).astype(np.float32)
    maps[:, 0, 0, 0], maps[:2, 1] = 0, 0
    moments = RunningMoments(maps.shape[1:])
    for values in maps:
        moments.add(values)
    exact = maps.astype(float)
    np.testing.assert_allclose(moments.mean, exact.mean(axis=0), rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(moments.spread(), exact.std(axis=0, ddof=1), rtol=1e-6)
    agreeing = (np.sign(exact) == np.sign(exact.mean(axis=0))).mean(axis=0)
    np.testing.assert_allclose(moments.sign_agreement(), agreeing)
    assert moments.spread().dtype == moments.sign_agreement().dtype == np.float32


def test_equal_maps_have_no_spread():
    values = np.float32([[0.1, -1e-7, 3e5]])
    moments = RunningMoments(values.shape)
    for _ in range(7):
        moments.add(values)
    np.testing.assert_array_equal(moments.mean.astype(np.float32), values)
    assert not moments.spread().any() and (moments.sign_agreement() == 1).all()


def test_memory_does_not_grow_with_the_runs():
    def peak(n):
        tracemalloc.start()
        moments = RunningMoments((20, 64, 64))
        for _ in range(n):
            moments.add(np.ones((20, 64, 64), np.float32))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak

    assert peak(20) < 1.05 * peak(2)


def test_probabilities_are_averaged():
    two = rows([3.0], [-1.0])
    mean = (two[0].prediction + two[1].prediction) / 2
    found = mean_prediction(two, n_logits=1)
    assert found == {"prediction": mean, "predicted_label": 1, "confidence": mean}
    found = mean_prediction(rows([1.0], [-2.0]), n_logits=1)
    assert found["predicted_label"] == 0 and found["confidence"] == 1 - found["prediction"]
    (one,) = rows([0.3, -0.2])
    found = mean_prediction([one], n_logits=2)
    assert found["predicted_label"] == 0 and found["confidence"] == pytest.approx(one.confidence)


def test_a_mean_of_maps_with_draws_is_judged_by_their_standard_error(run_folder):
    """Its sum misses the logit's change by 20 %, which is 2 of its standard errors."""
    scan = Scan("sub-A", run_folder.scans[0], 0, "HC", 0)
    context = load_scan(scan, n_slices=N_SLICES, first_slice=FIRST_SLICE).context
    values = np.zeros((N_SLICES, 128, 128), np.float32)
    values[4, 60, 60], values[4, 60, 61] = 3.0, -1.0
    sums = {"completeness_sum": 1.2, "completeness_expected": 1.0}
    for error, verdict in ((0.1, "ok"), (0.05, "check"), (None, "check")):
        parts = [made_record(**sums, completeness_standard_error=error).statistics] * 2
        found = mean_statistics(values, context, parts, n_logits=1, baseline=None)
        assert found.completeness_verdict == verdict and found.completeness_standard_error == error
        assert found.cancellation == pytest.approx(0.5) and found.n_networks == 2


def test_of_three_classes_most_networks_decide():
    three = rows([0.0, 0.1, 2.0], [0.0, 3.0, 0.1], [0.1, 0.2, 1.0])
    found = mean_prediction(three, n_logits=3)
    assert found["predicted_label"] == 2
    assert found["confidence"] == pytest.approx((three[0].confidence + three[2].confidence) / 2)
    assert mean_prediction(three[:2], n_logits=3)["predicted_label"] == 1  # a tie: the more confident one
