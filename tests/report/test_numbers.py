"""The report's numbers: the area under the ROC curve, the regions' means and names."""

import numpy as np
import pandas as pd
import pytest

from mri_saliency.report.numbers import auc, common_scale, place_name, region_summaries

from ..made_cohort import made_record


def test_the_area_under_the_curve_is_the_share_of_pairs_in_order():
    shares = (0, 0.5), (1, 0.5), (1, 0.9), (0, 0.3), (1, 0.4)
    rows = [
        made_record(f"sub-{i}", logits=[np.log(p / (1 - p))], true_label=label).statistics
        for i, (label, p) in enumerate(shares)
    ]
    assert auc(rows) == pytest.approx((0.5 + 1 + 1 + 1 + 0 + 1) / 6)  # a tie is half in order
    assert np.isnan(auc([row for row in rows if row.is_tle]))


@pytest.mark.parametrize(
    ("region", "contrast", "name"),
    [
        ("Left hippocampus", "left_minus_HC", "Left hippocampus"),
        ("Left hippocampus", "aligned_minus_HC", "hippocampus, focus side"),
        ("Hippocampus_R", "aligned_minus_HC", "hippocampus, other side"),
        ("brain stem", "aligned_minus_HC", "brain stem"),
    ],
)
def test_a_mirrored_focus_has_no_left_or_right(region, contrast, name):
    assert place_name(region, contrast) == name


def test_regions_are_averaged_by_diagnosis():
    rows = [
        ("saliency", "A", "HC", 1.0, 0.5), ("saliency", "A", "HC", 3.0, 0.7),
        ("saliency", "A", "left", 4.0, None), ("saliency", "B", "HC", None, None),
        ("deep_lift", "A", "HC", 9.0, 0.2),
    ]  # fmt: skip
    columns = ["method", "region", "diagnosis", "density", "density_null"]
    table = pd.DataFrame(rows, columns=columns)
    found = region_summaries(table)
    assert list(found) == ["saliency", "deep_lift"]
    row = found["saliency"][0]
    assert row["region"] == "A" and row["density"] == {"HC": 2.0, "left": 4.0}
    assert row["density_null"]["HC"] == pytest.approx(0.6) and np.isnan(row["density_null"]["left"])


def test_a_common_scale_leaves_out_the_strongest_tenth():
    assert common_scale([5.0]) == 5 and common_scale(np.arange(11)) == 9
    np.testing.assert_allclose(common_scale(np.stack([np.arange(11), 2 * np.arange(11)], 1)), (9, 18))
    assert common_scale([0.0] * 19 + [2.0]) == 2 and common_scale([0.0]) == 0  # few maps that are not zero
