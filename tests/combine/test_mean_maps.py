"""Maps of several runs are averaged one by one; the mean's numbers follow from theirs."""

import numpy as np
import pytest

from mri_saliency.combine.mean_maps import mean_map, mean_prediction, mean_statistics, sign_agreement, spread
from mri_saliency.inputs.grid import FIRST_SLICE
from mri_saliency.inputs.loading import load_scan
from mri_saliency.inputs.scan_table import Scan

from ..conftest import N_SLICES
from ..made_cohort import made_record


def rows(*logits):
    return [made_record(logits=of_run).statistics for of_run in logits]


def test_mean_spread_and_agreement_are_numpys():
    maps = np.random.default_rng(0).standard_normal((5, 3, 4, 4)).astype(np.float32)
    maps[:, 0, 0, 0], maps[:2, 1] = 0, 0
    exact = maps.astype(float)
    np.testing.assert_allclose(mean_map(maps), exact.mean(axis=0), rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(spread(maps), exact.std(axis=0, ddof=1), rtol=1e-6)
    agreeing = (np.sign(exact) == np.sign(exact.mean(axis=0))).mean(axis=0)
    np.testing.assert_allclose(sign_agreement(maps), agreeing)


def test_probabilities_are_averaged():
    two = rows([3.0], [-1.0])
    mean = (two[0].prediction + two[1].prediction) / 2
    assert mean_prediction(two, n_logits=1) == (mean, 1, mean)
    probability, label, confidence = mean_prediction(rows([1.0], [-2.0]), n_logits=1)
    assert label == 0 and confidence == 1 - probability
    [one] = rows([0.3, -0.2])
    assert mean_prediction([one], n_logits=2)[1:] == (0, pytest.approx(one.confidence))


def test_of_three_classes_most_networks_decide():
    three = rows([0.0, 0.1, 2.0], [0.0, 3.0, 0.1], [0.1, 0.2, 1.0])
    mean = (three[0].confidence + three[2].confidence) / 2
    assert mean_prediction(three, n_logits=3)[1:] == (2, pytest.approx(mean))
    assert mean_prediction(three[:2], n_logits=3)[1] == 1  # a tie: the more confident one


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
