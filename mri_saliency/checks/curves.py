"""Deletion and insertion curves in the table of the sanity checks -> one number for each order and scan."""

from __future__ import annotations

import pandas as pd

from mri_saliency.checks.table import IMPOSTORS, MAP, SHARED_ORDERS

# Logits: a scan whose logit is nearer to its baseline's is measured in these, not in shares of its change.
# Shares of a change near zero are noise of any size, and one such scan would decide the mean over scans.
LEAST_CHANGE = 1.0
# Shares beyond count as the end of the range. The sum of the voxels for a class alone can be many times
# the change of the logit, of which those against it take most away again.
SHARE_RANGE = (-1.0, 2.0)

_CURVE = ["check", "method", "order", "subject_id"]


def curve_shares(table: pd.DataFrame) -> pd.Series:
    """Return the curves as shares of each scan's way from baseline (0) to scan (1).

    The way is the logit's change, but `LEAST_CHANGE` at least. Indexed by check ("deletion",
    "insertion"), method, order, subject_id and percent, float.
    """
    rows = table[table["check"].isin(("deletion", "insertion"))]
    rows = rows.assign(percent=rows["step"].astype(float))
    ways = rows["subject_id"].map(_changes(table).clip(lower=LEAST_CHANGE)).to_numpy()
    return (rows.set_index([*_CURVE, "percent"])["value"] / ways).sort_index()


def mean_curves(table: pd.DataFrame) -> tuple[pd.Series, int]:
    """Return the means of `curve_shares` over scans, and the number of these.

    Indexed by check, method, order and percent. Scans whose logit changes by less than `LEAST_CHANGE` are
    left out, unless all are like that.
    """
    shares, changes = curve_shares(table), _changes(table)
    drawn = changes.index[changes >= LEAST_CHANGE] if (changes >= LEAST_CHANGE).any() else changes.index
    shares = shares[shares.index.isin(drawn, level="subject_id")]
    return shares.groupby([*_CURVE[:3], "percent"]).mean(), len(drawn)


def _changes(table: pd.DataFrame) -> pd.Series:
    """Return how much each scan's logit differs from its baseline's, by subject_id."""
    at_scan = table[(table["check"] == "deletion") & (table["step"].astype(str) == "0")]
    return at_scan.groupby("subject_id")["value"].first()


def evidence_scores(table: pd.DataFrame, method: str) -> pd.DataFrame:
    """Compute how well orders of voxels find what moves the logit.

    The area under the insertion curve less that under the deletion curve, of shares in `SHARE_RANGE`
    over the share of voxels. 1 for an order whose first voxels do all that the scan does; for a signed
    map, up to 3, because voxels against the class come last. An order that finds nothing has about 0.

    Returns a table: A row for each scan whose logit differs from its baseline's by `LEAST_CHANGE` or more (in
    the others there is no evidence to find), a column for `MAP` and for each of `IMPOSTORS`.
    """
    from scipy.integrate import trapezoid  # here, because most runs have no checks

    shares, changes = curve_shares(table).clip(*SHARE_RANGE), _changes(table)
    shares = shares[shares.index.isin(changes.index[changes >= LEAST_CHANGE], level="subject_id")]
    if shares.empty:
        return pd.DataFrame(columns=[MAP, *IMPOSTORS], dtype=float)
    scores = {}
    for order in (MAP, *IMPOSTORS):
        name = order if order in SHARED_ORDERS else method
        curves = shares.xs((name, order), level=("method", "order")).unstack("percent")
        percent = curves.columns.to_numpy()
        areas = pd.Series(trapezoid(curves.to_numpy(), percent / 100, axis=1), curves.index)
        scores[order] = areas["insertion"] - areas["deletion"]
    return pd.DataFrame(scores)


def leads(scores: pd.DataFrame) -> dict[str, pd.Series]:
    """Return how far each scan's map is ahead of each of `IMPOSTORS`, in `evidence_scores`.

    An impostor's score below 0 counts as 0: how much worse than nothing it is tells nothing of the map.
    """
    return {order: scores[MAP] - scores[order].clip(lower=0) for order in IMPOSTORS}
