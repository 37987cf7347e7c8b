"""Curves in shares of the way from baseline to scan, and the score of an order."""

import pandas as pd
import pytest

from mri_saliency.checks.curves import SHARE_RANGE, curve_shares, evidence_scores, leads, mean_curves
from mri_saliency.checks.table import (
    ANOTHER,
    COLUMNS,
    DIFFERENCE,
    INTENSITY,
    MAP,
    RANDOM,
    SHUFFLED,
    Row,
)

from ..made_cohort import CHECKED, LEVELS, checks_table

STEPS = ("0", "50", "100")


def curves_of(change, half, *, order=MAP, scan="a"):
    """Rows of a scan whose logit changes by `change`, and has come `half` of it half way."""
    name = order if order in (DIFFERENCE, RANDOM, INTENSITY) else "saliency"
    curves = {"deletion": (change, change - half, 0), "insertion": (0, half, change)}
    return [
        Row(check, name, scan, step, "logit", value, order)
        for check, values in curves.items()
        for step, value in zip(STEPS, values, strict=True)
    ]


def test_curves_are_shares_of_each_scans_change():
    table = pd.DataFrame([*curves_of(8, 6), *curves_of(2, 1, scan="b")], columns=COLUMNS)
    shares = curve_shares(table)
    assert shares["insertion", "saliency", MAP, "a"].to_dict() == {0: 0, 50: 0.75, 100: 1}
    assert shares["deletion", "saliency", MAP, "b"].to_dict() == {0: 1, 50: 0.5, 100: 0}
    means, n = mean_curves(table)
    assert means["insertion", "saliency", MAP].tolist() == [0, 0.625, 1] and n == 2


def test_a_change_below_one_logit_is_measured_in_logits():
    shares = curve_shares(pd.DataFrame(curves_of(0.01, 0.5), columns=COLUMNS))
    assert shares["insertion", "saliency", MAP, "a"].tolist() == [0, 0.5, 0.01]


def test_scans_near_their_baseline_are_not_drawn_beside_others():
    near = curves_of(0.01, 0.5)
    means, n = mean_curves(pd.DataFrame([*near, *curves_of(4, 1, scan="b")], columns=COLUMNS))
    assert means["insertion", "saliency", MAP].tolist() == [0, 0.25, 1] and n == 1
    means, n = mean_curves(pd.DataFrame(near, columns=COLUMNS))
    assert means["insertion", "saliency", MAP].tolist() == [0, 0.5, 0.01] and n == 1


def test_scores_are_areas_of_insertion_less_deletion():
    scores = evidence_scores(checks_table(), "smooth_grad")
    assert scores.index.tolist() == list(CHECKED)
    for order, level in LEVELS.items():
        # both curves are two trapezoids: half the sum of their middle and of their ends' mean
        assert scores.loc["a", order] == pytest.approx((1 - level) / 2 - level / 2)
    assert scores.loc["b", MAP] == pytest.approx(scores.loc["a", MAP] - 0.02)


def test_one_scan_that_leaves_the_range_counts_as_its_end():
    orders = (SHUFFLED, ANOTHER, DIFFERENCE, RANDOM, INTENSITY)
    rows = [row for order in orders for row in curves_of(2, 1, order=order)]
    found = [
        evidence_scores(pd.DataFrame([*curves_of(2, half), *rows], columns=COLUMNS), "saliency").loc["a", MAP]
        for half in (300, 3000)
    ]
    low, high = SHARE_RANGE
    assert found[0] == found[1] == pytest.approx((high + 0.5) / 2 - (low + 0.5) / 2)


def test_an_impostor_worse_than_nothing_counts_as_nothing():
    scores = evidence_scores(checks_table(), "smooth_grad")
    found = leads(scores)
    assert list(found) == [DIFFERENCE, SHUFFLED, ANOTHER, RANDOM]
    assert found[DIFFERENCE]["a"] == pytest.approx(0.4 - 0.1) and scores.loc["a", RANDOM] < 0
    assert found[RANDOM].tolist() == scores[MAP].tolist()
