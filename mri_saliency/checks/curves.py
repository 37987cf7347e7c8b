"""The table of the sanity checks -> one number for each scan, its map, and what the map must be ahead of."""

import pandas as pd

from mri_saliency.checks.table import BY_MAGNITUDE, DIFFERENCE, IMPOSTORS, MAP, SHARED_ORDERS

# Logits: a scan whose logit is nearer to its baseline's has no evidence to find. Shares of a change near zero
# are noise of any size, and one such scan would decide the mean over scans.
LEAST_CHANGE = 1.0
# Shares beyond count as the end of the range. The sum of the voxels for a class alone can be many times
# the change of the logit, of which those against it take most away again.
SHARE_RANGE = (-1.0, 2.0)


def evidence_scores(table: pd.DataFrame, method: str, *, by_magnitude: bool = False) -> pd.DataFrame:
    """Compute how well orders of voxels find what moves the logit; of a signed method, also `by_magnitude`.

    The area under the insertion curve less that under the deletion curve, over the share of voxels. They are
    shares, within `SHARE_RANGE`, of the way from the baseline's logit to the scan's. 1 for an order whose
    first voxels do all that the scan does; for a signed map, up to 3, because voxels against the class come
    last. An order that finds nothing has about 0.

    A row for each scan with `LEAST_CHANGE`, a column for `MAP` and for each of `IMPOSTORS`.
    """
    from scipy.integrate import trapezoid  # here, because most runs have no checks

    rows = table[table["check"].isin(("deletion", "insertion"))]
    rows = rows.assign(percent=rows["step"].astype(float))
    at_scan = rows[(rows["check"] == "deletion") & (rows["percent"] == 0)]
    ways = at_scan.groupby("subject_id")["value"].first()
    rows = rows[rows["subject_id"].isin(ways.index[ways >= LEAST_CHANGE])]
    shares = (rows["value"] / rows["subject_id"].map(ways)).clip(*SHARE_RANGE)
    by_order = dict(list(rows.assign(share=shares).groupby(["method", "order"])))
    scores = pd.DataFrame(columns=[MAP, *IMPOSTORS], dtype=float)
    for order in scores if by_order else ():
        own = (method, order + BY_MAGNITUDE if by_magnitude else order)
        of_order = by_order[(order, order) if order in SHARED_ORDERS else own]
        curves = of_order.pivot(index=["check", "subject_id"], columns="percent", values="share")
        areas = pd.Series(trapezoid(curves, curves.columns / 100, axis=1), curves.index)
        scores[order] = areas["insertion"] - areas["deletion"]
    return scores


def region_scores(table: pd.DataFrame, method: str) -> pd.DataFrame:
    """Return each scan's rank correlations over regions: a column for `MAP` and for each null, if known."""
    rows = table[table["check"] == "region_ranks"]
    rows = rows[(rows["method"] == method) | (rows["order"] == DIFFERENCE)]
    return rows.pivot(index="subject_id", columns="order", values="value")


def leads(scores: pd.DataFrame) -> dict[str, pd.Series]:
    """Return how far each scan's map is ahead of each other column of `evidence_scores` or `region_scores`.

    An impostor's score below 0 counts as 0: how much worse than nothing it is tells nothing of the map.
    """
    return {order: scores[MAP] - scores[order].clip(lower=0) for order in scores if order != MAP}
