"""Curves in shares of the way from baseline to scan, and the score of an order."""

import pandas as pd
import pytest

from mri_saliency.checks.curves import SHARE_RANGE, evidence_scores, leads
from mri_saliency.checks.table import IMPOSTORS, MAP, RANDOM, SHARED_ORDERS, Row

from ..made_cohort import checks_table


def curves_of(change, half, *, order=MAP, scan="a"):
    """Rows of a scan whose logit changes by `change`, and has come `half` of it half way."""
    name = order if order in SHARED_ORDERS else "saliency"
    curves = {"deletion": (change, change - half, 0), "insertion": (0, half, change)}
    return [
        Row(check, name, scan, step, "logit", value, order)
        for check, values in curves.items()
        for step, value in zip(("0", "50", "100"), values, strict=True)
    ]


def table_of(*rows):
    return pd.DataFrame(sum(rows, []), columns=Row._fields)


def test_curves_are_shares_of_each_scans_change_of_one_logit_at_least():
    scans = {"a": (8, 6), "b": (2, 1), "c": (0.01, 0.5)}
    curves = (curves_of(*scans[scan], order=o, scan=scan) for scan in scans for o in (MAP, *IMPOSTORS))
    table = table_of(*curves)
    scores = evidence_scores(table, "saliency")[MAP].to_dict()
    assert scores == {"a": pytest.approx((0.75 + 0.5) / 2 - (0.25 + 0.5) / 2), "b": pytest.approx(0)}
    assert evidence_scores(table[table["subject_id"] == "c"], "saliency").empty


def test_one_scan_that_leaves_the_range_counts_as_its_end():
    others = [curves_of(2, 1, order=order) for order in IMPOSTORS]
    low, high = SHARE_RANGE
    for half in (300, 3000):
        score = evidence_scores(table_of(curves_of(2, half), *others), "saliency").loc["a", MAP]
        assert score == pytest.approx((high + 0.5) / 2 - (low + 0.5) / 2)


def test_an_impostor_worse_than_nothing_counts_as_nothing():
    scores = evidence_scores(checks_table(), "smooth_grad")
    found = leads(scores)
    assert tuple(found) == IMPOSTORS
    assert found["difference"]["a"] == pytest.approx(0.4 - 0.1) and scores.loc["a", RANDOM] < 0
    assert found[RANDOM].tolist() == scores[MAP].tolist()
