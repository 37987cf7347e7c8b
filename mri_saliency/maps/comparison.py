"""How far maps agree with each other, and with a region that is known."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

TOP_SHARE = 0.01  # of a map's voxels, whose overlap between methods is reported


def agreement(maps: dict[str, np.ndarray]) -> list[dict[str, Any]]:
    """Compare a scan's maps with each other, pair by pair.

    Parameters
    ----------
    maps : dict
        Method -> (n_slices, height, width), all of one shape.

    Returns
    -------
    list of dict
        A row a pair, ``method_a`` before ``method_b`` in the order of `maps`: ``rank_correlation``,
        Spearman's of the magnitudes over every second voxel on each axis; ``top_overlap``, the share
        of the `TOP_SHARE` of voxels with the largest magnitude that the two have in common. NaN for a
        map that is constant.
    """
    magnitudes = {method: np.abs(values) for method, values in maps.items()}
    samples = {method: values[::2, ::2, ::2].ravel() for method, values in magnitudes.items()}
    correlations = pd.DataFrame(samples).corr("spearman")
    n_top = max(1, int(TOP_SHARE * next(iter(maps.values())).size))
    top_voxels = {
        method: np.argpartition(values, -n_top, axis=None)[-n_top:] for method, values in magnitudes.items()
    }
    rows = []
    for a, b in combinations(maps, 2):
        constant = any(magnitudes[method].min() == magnitudes[method].max() for method in (a, b))
        shared = len(np.intersect1d(top_voxels[a], top_voxels[b], assume_unique=True))
        rows.append(
            {
                "method_a": a,
                "method_b": b,
                "rank_correlation": float(correlations.loc[a, b]),
                "top_overlap": float("nan") if constant else shared / n_top,
            }
        )
    return rows


def agreement_matrix(rows: pd.DataFrame, methods: Sequence[str], measure: str) -> pd.DataFrame:
    """Return the mean over scans of a measure of `agreement`.

    Methods by methods; 1 on the diagonal, NaN for a pair without a row.
    """
    matrix = pd.DataFrame(np.where(np.eye(len(methods)), 1.0, np.nan), index=methods, columns=methods)
    means = rows.groupby(["method_a", "method_b"])[measure].mean() if len(rows) else {}
    for (a, b), mean in means.items():
        matrix.loc[a, b] = matrix.loc[b, a] = mean
    return matrix


def rank_correlation(x: np.ndarray, y: np.ndarray) -> float:
    """Return Spearman's correlation of two series; NaN below three points or where one is constant."""
    return float(pd.DataFrame({"x": x, "y": y}).corr("spearman", min_periods=3).loc["x", "y"])


def localisation(values: np.ndarray, region: np.ndarray, brain: np.ndarray) -> dict[str, float]:
    """Measure how well a map's magnitude finds a known region of the brain.

    Parameters
    ----------
    values : ndarray
        (n_slices, 128, 128).
    region, brain : ndarray
        bool, the same shape; voxels of the region outside the brain count as brain.

    Returns
    -------
    dict
        ``enrichment``: the region's share of the brain's summed magnitude over its share of the
        brain's voxels (1: no better than anywhere). ``auc``: area under the ROC curve of the
        magnitude as a classifier of the brain's voxels, region against the rest (0.5: chance). Both
        NaN for an empty region or a map that is zero in the brain.
    """
    brain = brain | region
    magnitude = np.abs(values[brain]).astype(np.float64)
    inside = region[brain]
    if inside.all() or not inside.any() or not magnitude.any():
        return {"enrichment": float("nan"), "auc": float("nan")}
    return {
        "enrichment": float(magnitude[inside].mean() / magnitude.mean()),
        "auc": roc_auc(magnitude, inside),
    }


def roc_auc(scores: np.ndarray, is_positive: np.ndarray) -> float:
    """Return the area under the ROC curve of scores (n,) that should be higher where bool (n,) is true.

    Ties count half; NaN if one class is absent.
    """
    is_positive = np.asarray(is_positive, bool)
    n_positive, n_negative = int(is_positive.sum()), int((~is_positive).sum())
    if not n_positive or not n_negative:
        return float("nan")
    # Mann and Whitney's U; pandas ranks, because importing scipy.stats takes 0.7 s
    ranks = pd.Series(np.asarray(scores)).rank().to_numpy()
    u = ranks[is_positive].sum() - n_positive * (n_positive + 1) / 2
    return float(u / (n_positive * n_negative))
