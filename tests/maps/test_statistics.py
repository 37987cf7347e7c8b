"""Statistics of maps, against answers worked out by hand."""

import json
from dataclasses import asdict, fields, replace
from pathlib import Path

import numpy as np
import pytest
import scipy.stats

from mri_saliency.attribution.result import Attribution
from mri_saliency.errors import UserError
from mri_saliency.inputs.grid import Grid
from mri_saliency.inputs.loading import ScanContext
from mri_saliency.inputs.scan_table import Scan
from mri_saliency.maps import statistics
from mri_saliency.maps.statistics import MapStatistics, measure_map

from ..conftest import AFFINE

COLUMNS = (  # of attribution_statistics.csv, a format that users' notebooks read
    "method shape mean std min max abs_mean positive_ratio negative_ratio peak_slice brain_share subject_id "
    "true_label diagnosis prediction predicted_label confidence target baseline sample_idx completeness_sum "
    "completeness_expected completeness_error completeness_verdict seconds "
    "input_warning subject brain_share_null map_error passes cancellation completeness_standard_error "
    "n_networks sign_agreement"
).split()
LOG_3 = 1.0986122886681098  # the logit of a probability of 0.75


@pytest.fixture
def known():
    """A map with three voxels that are not zero, and a brain that is its middle slice."""
    values = np.zeros((3, 4, 4), np.float32)
    values[1, 0, 0], values[1, 1, 1], values[2, 3, 3] = 2, -3, 1
    brain = np.zeros(values.shape, bool)
    brain[1] = True
    return values, brain


def measured(values, brain, *, expected_total=0.0, baseline="zero", of_scan=(None, {}), **known_of_it):
    scan = Scan("sub-A", Path("/scans/a.nii"), 1, "left", 5)
    context = ScanContext(
        scan, None, Grid((4, 13, 4), AFFINE, 4, 10, 3), brain, values[:1], (0.0, 1.0), *of_scan
    )
    total = float(values.sum(dtype=np.float64))
    attribution = Attribution(values, total, expected_total, np.array([LOG_3]), 0, 1.5, **known_of_it)
    return measure_map(attribution, context, "integrated_gradients", baseline)


def test_statistics_of_a_known_map(known):
    found = statistics.map_statistics(*known)
    assert found["shape"] == "(3, 4, 4)"
    assert (found["min"], found["max"], found["peak_slice"]) == (-3, 2, 1)
    assert found["mean"] == 0 and found["abs_mean"] == pytest.approx(6 / 48)
    assert found["std"] == pytest.approx(np.sqrt(14 / 48))
    assert (found["positive_ratio"], found["negative_ratio"]) == (2 / 48, 1 / 48)
    assert found["brain_share"] == pytest.approx(5 / 6)
    np.testing.assert_allclose(statistics.slice_profile(known[0]), [0, 5 / 6, 1 / 6])


def test_a_map_of_zeros_has_no_peak_and_no_shares():
    zeros = np.zeros((3, 4, 4), np.float32)
    found = statistics.map_statistics(zeros, zeros == 0)
    assert found["peak_slice"] is None and found["brain_share"] is None
    assert not statistics.slice_profile(zeros).any()


def test_a_row_has_the_scan_the_map_and_the_prediction(known):
    row = measured(*known)
    assert [field.name for field in fields(MapStatistics)] == COLUMNS
    assert (row.method, row.subject_id) == ("integrated_gradients", "sub-A")
    assert (row.true_label, row.diagnosis, row.sample_idx) == (1, "left", 5)
    assert (row.min, row.max, row.peak_slice) == (-3, 2, 1) and row.brain_share == pytest.approx(5 / 6)
    assert row.prediction == row.confidence == pytest.approx(0.75)
    assert (row.predicted_label, row.target, row.baseline, row.seconds) == (1, 0, "zero", 1.5)
    assert (row.completeness_sum, row.completeness_error, row.completeness_verdict) == (0, 0, "ok")
    assert row.predicts_tle and row.is_tle
    healthy = replace(row, true_label=0, predicted_label=0)
    assert not healthy.predicts_tle and not healthy.is_tle


def test_a_row_survives_json(known):
    for row in (measured(*known), measured(known[0] * 0, known[1], expected_total=None, baseline=None)):
        content = asdict(row)
        assert list(content) == COLUMNS
        assert all(type(value) in (str, int, float, type(None)) for value in content.values())
        assert MapStatistics(**json.loads(json.dumps(content))) == row


def test_a_row_has_the_inputs_warning_the_person_and_its_own_null_maps_share(known):
    row = measured(*known, of_scan=("its voxels are of 2 mm", {"baseline": 0.9, "zero": 0.6}))
    assert (row.input_warning, row.subject, row.brain_share_null) == ("its voxels are of 2 mm", "sub-A", 0.9)
    assert measured(*known).input_warning is measured(*known).brain_share_null is None


def test_a_row_has_the_maps_error_and_passes(known):
    row = measured(*known, passes=9, map_error=0.01, standard_error=0.5, expected_total=1.0)
    assert (row.passes, row.map_error, row.completeness_standard_error) == (9, 0.01, 0.5)
    assert row.completeness_verdict == "ok" and row.cancellation == 0  # 2 - 3 + 1
    row = measured(np.abs(known[0]), known[1], expected_total=6.0)
    assert (row.map_error, row.completeness_standard_error, row.cancellation) == (None, None, 1)


def test_cancellation():
    assert statistics.cancellation(np.float32([3, -1, 0])) == 0.5
    assert statistics.cancellation(np.float32([-3, 1])) == 0.5
    assert statistics.cancellation(np.zeros(3, np.float32)) is None


def test_a_map_that_is_not_finite_is_an_error_of_its_scan(known):
    values, brain = known
    for values[0, 0, 0] in (np.nan, np.inf):
        with pytest.raises(UserError, match="/scans/a.nii: the integrated_gradients map has NaN or infinite"):
            measured(values, brain)


@pytest.mark.parametrize(
    ("total", "expected", "standard_error", "error", "verdict"),
    [
        (1.04, 1, None, 0.04, "ok"),
        (-0.9, -1, None, 0.1, "check"),
        (0, 0, None, 0, "ok"),
        (1, 0, None, None, "check"),
        (5e-5, 0, None, None, "ok"),  # the rounding of two logits
        (1.2, 1, 0.1, 0.2, "ok"),  # chance explains it
        (1.2, 1, 0.05, 0.2, "check"),
        (1.04, 1, 0.01, 0.04, "check"),
        (1.00009, 1, 0.0, 0.00009, "ok"),
    ],
)
def test_completeness(total, expected, standard_error, error, verdict):
    found = statistics.completeness(total, expected, standard_error)
    assert found["completeness_error"] == pytest.approx(error)
    assert found["completeness_verdict"] == verdict
    assert (found["completeness_sum"], found["completeness_expected"]) == (total, expected)


@pytest.mark.parametrize("degrees", [1.0, 3.3, 20.0])
def test_a_standard_error_of_few_draws_accepts_more_of_them(degrees):
    limit = scipy.stats.t.isf(scipy.stats.norm.sf(3), degrees)  # as probable as 3 of many draws'
    for share, verdict in ((0.99, "ok"), (1.01, "check")):
        found = statistics.completeness(1.0 + share * limit, 1.0, 1.0, degrees)
        assert found["completeness_verdict"] == verdict


def test_completeness_of_a_method_that_promises_no_sum():
    found = statistics.completeness(1.0, None)
    assert list(found) == list(statistics.completeness(1.0, 1.0))
    assert set(found.values()) == {None}


@pytest.mark.parametrize(
    ("logits", "probability", "label", "confidence"),
    [
        ([0.0], 0.5, 0, 0.5),
        ([np.log(3)], 0.75, 1, 0.75),
        ([-1000.0], 0.0, 0, 1.0),
        ([0.0, np.log(4)], 0.8, 1, 0.8),
        (np.log([0.4, 0.3, 0.3]), 0.6, 0, 0.4),
    ],
)
def test_prediction(logits, probability, label, confidence):
    found = statistics.prediction(np.array(logits))
    assert found["prediction"] == pytest.approx(probability)
    assert found["predicted_label"] == label
    assert found["confidence"] == pytest.approx(confidence)
