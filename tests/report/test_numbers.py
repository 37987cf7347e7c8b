"""The report's numbers: the classifier, the scans in their order, the regions' means."""

import numpy as np
import pandas as pd
import pytest

from mri_saliency.inputs.atlas import HEMISPHERES
from mri_saliency.report.numbers import classification, common_scale, region_summaries, side_entries

from ..made_cohort import made_record, report_records


def test_classification_against_counts_and_pairs():
    rows = [record.statistics for record in report_records(40) if record.method == "saliency"]
    found = classification(rows)
    assert found.confusion == {"HC": {"HC": 19, "TLE": 1}, "TLE": {"HC": 0, "TLE": 20}}
    assert (found.accuracy, found.sensitivity, found.specificity) == (39 / 40, 1.0, 19 / 20)
    probabilities = {row.subject_id: (row.true_label, row.prediction) for row in rows}
    hc, tle = (np.array([p for truth, p in probabilities.values() if truth == label]) for label in (0, 1))
    pairs = (tle[:, None] > hc).mean() + (tle[:, None] == hc).mean() / 2
    assert found.auc == pytest.approx(pairs)
    x, y = np.array(found.roc).T
    assert (np.diff(x) * (y[1:] + y[:-1]) / 2).sum() == pytest.approx(pairs)
    only_hc = classification([row for row in rows if row.true_label == 0])
    assert only_hc.auc is only_hc.sensitivity is None and only_hc.roc == []
    only_tle = classification([row for row in rows if row.true_label == 1])
    assert only_tle.auc is only_tle.specificity is None and only_tle.sensitivity == 1.0


def test_ties_are_one_point_of_the_curve():
    rows = [
        made_record(f"sub-{i}", logits=[logit], true_label=label).statistics
        for i, (label, logit) in enumerate([(0, 0.0), (1, 0.0), (1, 2.0), (0, -1.0)])
    ]
    assert classification(rows).roc == [(0.0, 0.0), (0.0, 0.5), (0.5, 1.0), (1.0, 1.0)]
    assert classification(rows).auc == pytest.approx(0.875)


def test_with_three_logits_the_most_probable_class_decides():
    """HC is the most probable class of the first two, yet TLE's two together reach 0.6."""
    shares = (0, (0.4, 0.3, 0.3)), (1, (0.4, 0.3, 0.3)), (1, (0.3, 0.3, 0.4))
    rows = [made_record(logits=np.log(share), true_label=label).statistics for label, share in shares]
    assert rows[0].prediction == pytest.approx(0.6)
    found = classification(rows)
    assert found.confusion == {"HC": {"HC": 1, "TLE": 0}, "TLE": {"HC": 1, "TLE": 1}}
    assert found.accuracy == pytest.approx(2 / 3)
    assert found.auc == pytest.approx(0.75)  # by the probabilities 0.6; 0.6, 0.7


def test_regions_are_averaged_by_diagnosis():
    rows = [
        ("saliency", "A", "HC", 1.0, None, 0.5), ("saliency", "A", "HC", 3.0, 0.5, 0.7),
        ("saliency", "A", "left", 4.0, None, None), ("saliency", "B", "HC", None, None, None),
        ("deep_lift", "A", "HC", 9.0, 0.1, 0.2),
    ]  # fmt: skip
    columns = ["method", "region", "diagnosis", "density", "asymmetry", "density_null"]
    table = pd.DataFrame(rows, columns=columns)
    found = region_summaries(table)
    assert list(found) == ["saliency", "deep_lift"]
    row = found["saliency"][0]
    assert row["region"] == "A" and row["density"] == {"HC": 2.0, "left": 4.0}
    assert row["asymmetry"]["HC"] == 0.5 and np.isnan(row["asymmetry"]["left"])
    assert row["density_null"]["HC"] == pytest.approx(0.6) and np.isnan(row["density_null"]["left"])


def side_row(pair, low, high, **changes):
    row = {"method": "saliency", "left_region": f"Left {pair}", "auc_low": low, "auc_high": high}
    row |= {"grey_matter_auc": 0.6, "auc_difference": 0.3, "better_than_hemisphere": "no"}
    return row | {"auc_difference_low": 0.1, "auc_difference_high": 0.5} | changes


def test_the_densest_pair_stands_for_a_method_and_all_pairs_are_counted():
    rows = [
        side_row("", 0.9, 1) | {"left_region": HEMISPHERES[0]},
        side_row("insula", 0.4, 0.9, better_than_hemisphere="yes"),
        side_row("hippocampus", 0.6, 0.9, grey_matter_auc=0.8),
        side_row("pole", 0.1, 0.4),
        side_row("insula", 0.6, 1, method="deep_lift", auc_difference_low=-0.1),
    ]
    table = pd.DataFrame(rows)
    whole, first, by_grey_matter, second = side_entries(table)
    assert whole["pair"] == "whole hemisphere" and whole["of_side"] and not second["of_side"]
    assert (first["method"], first["pair"], first["auc_low"]) == ("saliency", "insula", 0.4)
    assert (first["n_pairs"], first["n_above"], first["n_better"]) == (3, 1, 1)
    assert (by_grey_matter["pair"], by_grey_matter["grey_matter_auc"]) == ("hippocampus", 0.8)
    choices = [(entry["method"], entry["choice"]) for entry in (first, by_grey_matter, second)]
    assert choices == [("saliency", "densest"), ("saliency", "best by grey matter"), ("deep_lift", "densest")]


@pytest.mark.parametrize(
    ("numbers", "verdict"),
    [
        ({}, "attribution tells more than grey matter there"),
        ({"auc_difference_low": -0.1}, "not shown to differ from grey matter there"),
        ({"auc_difference_low": -0.5, "auc_difference_high": -0.1}, "tells less than grey matter there"),
        (dict.fromkeys(("grey_matter_auc", "auc_difference"), np.nan), "grey matter is not known"),
    ],
)
def test_attribution_is_compared_with_grey_matter(numbers, verdict):
    [entry] = side_entries(pd.DataFrame([side_row("insula", 0.4, 0.6, **numbers)]))
    assert entry["verdict"].endswith(verdict) and entry["choice"] == "densest"


def test_a_common_scale_leaves_out_the_strongest_tenth():
    assert common_scale([5.0]) == 5 and common_scale(np.arange(11)) == 9
    np.testing.assert_allclose(common_scale(np.stack([np.arange(11), 2 * np.arange(11)], 1)), (9, 18))
    assert common_scale([0.0] * 19 + [2.0]) == 2 and common_scale([0.0]) == 0  # few maps that are not zero
