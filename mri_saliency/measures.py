"""A map -> its row of statistics; maps -> what they share."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pandas as pd

# A map whose sum misses the logit's change by more than this fraction of it deserves a look.
COMPLETENESS_TOLERANCE = 0.05
# Differences below this many logits are the rounding of two float32 logits, whatever the fraction.
LOGIT_ROUNDING = 1e-4
TOP_SHARE = 0.01  # of a map's voxels, whose overlap between methods is reported


def map_statistics(attribution: np.ndarray, brain: np.ndarray) -> dict:
    """Describe one map.

    Parameters
    ----------
    attribution : ndarray
        float32 (n_slices, 128, 128).
    brain : ndarray
        bool, the same shape.

    Returns
    -------
    dict
        ``shape``; ``mean``, ``std``, ``min``, ``max``, ``abs_mean`` over all voxels, in the map's
        unit; ``positive_ratio``, ``negative_ratio``: shares of voxels above and below zero;
        ``peak_slice``: the slice with the largest summed magnitude; ``brain_share``: summed
        magnitude inside the brain over the whole. The last two are empty (None) for a map that
        is zero everywhere.
    """
    magnitude = np.abs(attribution)
    mass = magnitude.sum(axis=(1, 2), dtype=np.float64)
    total = mass.sum()
    return {
        "shape": str(attribution.shape),
        "mean": attribution.mean(dtype=np.float64),
        "std": attribution.std(dtype=np.float64),
        "min": float(attribution.min()),
        "max": float(attribution.max()),
        "abs_mean": magnitude.mean(dtype=np.float64),
        "positive_ratio": (attribution > 0).mean(),
        "negative_ratio": (attribution < 0).mean(),
        "peak_slice": int(mass.argmax()) if total else None,
        "brain_share": magnitude.sum(dtype=np.float64, where=brain) / total if total else None,
    }


def slice_profile(attribution: np.ndarray) -> np.ndarray:
    """Return each slice's share of the map's summed magnitude, float64 (n_slices,), all zero if it is."""
    mass = np.abs(attribution).sum(axis=(1, 2), dtype=np.float64)
    return mass / mass.sum() if mass.any() else mass


def completeness(total: float, expected_total: float | None) -> dict:
    """Compare a map's sum with the change of the logit that it should account for.

    Returns
    -------
    dict
        ``completeness_sum`` and ``completeness_expected`` in logits; ``completeness_error``, the
        difference over the expected change's magnitude (None where that is zero and the sum is
        not); ``completeness_verdict``, "ok" up to `COMPLETENESS_TOLERANCE` of the expected change
        or `LOGIT_ROUNDING` logits, else "check". All None for a method that promises nothing
        (`expected_total` None).
    """
    if expected_total is None:
        values = (None, None, None, None)
    else:
        difference = abs(total - expected_total)
        if difference == 0:
            error = 0.0
        else:
            error = difference / abs(expected_total) if expected_total else None
        accepted = difference <= max(COMPLETENESS_TOLERANCE * abs(expected_total), LOGIT_ROUNDING)
        values = (total, expected_total, error, "ok" if accepted else "check")
    names = ("sum", "expected", "error", "verdict")
    return {f"completeness_{name}": value for name, value in zip(names, values, strict=True)}


def prediction(logits: np.ndarray) -> dict:
    """Read a classifier's logits, float (n_logits,), for one scan.

    Returns
    -------
    dict
        ``prediction``: the probability of TLE: the sigmoid of a single logit; with several, one
        less the softmax of class 0 (HC). ``predicted_label``: 1 if a single logit's
        probability is above 0.5, else 0; with several, the class of the largest.
        ``confidence``: the predicted class's probability.
    """
    logits = np.asarray(logits, np.float64)
    if logits.size == 1:
        probabilities = np.exp(-np.logaddexp(0, np.array([1, -1]) * logits))  # (HC, TLE)
        label = int(probabilities[1] > 0.5)
    else:
        exponentials = np.exp(logits - logits.max())
        probabilities = exponentials / exponentials.sum()
        label = int(probabilities.argmax())
    return {
        "prediction": probabilities[1:].sum(),
        "predicted_label": label,
        "confidence": probabilities[label],
    }


def agreement(maps: dict[str, np.ndarray]) -> list[dict]:
    """Compare a scan's maps with each other.

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
    correlations = pd.DataFrame(samples).rank().corr()
    n_top = max(1, int(TOP_SHARE * next(iter(maps.values())).size))
    tops = {
        method: np.argpartition(values, -n_top, axis=None)[-n_top:] for method, values in magnitudes.items()
    }
    rows = []
    for a, b in combinations(maps, 2):
        constant = any(magnitudes[method].min() == magnitudes[method].max() for method in (a, b))
        shared = len(np.intersect1d(tops[a], tops[b], assume_unique=True))
        rows.append(
            {
                "method_a": a,
                "method_b": b,
                "rank_correlation": float(correlations.loc[a, b]),
                "top_overlap": float("nan") if constant else shared / n_top,
            }
        )
    return rows


def agreement_matrix(rows: pd.DataFrame, methods: list[str], measure: str) -> pd.DataFrame:
    """Average a measure of `agreement` over scans: methods by methods, 1 with themselves."""
    matrix = pd.DataFrame(np.where(np.eye(len(methods)), 1.0, np.nan), index=methods, columns=methods)
    means = rows.groupby(["method_a", "method_b"])[measure].mean() if len(rows) else {}
    for (a, b), mean in means.items():
        matrix.loc[a, b] = matrix.loc[b, a] = mean
    return matrix


def rank_correlation(x: np.ndarray, y: np.ndarray) -> float:
    """Spearman's correlation of two series; NaN below three points or where one is constant."""
    if len(x) < 3:
        return float("nan")
    ranks = pd.DataFrame({"x": x, "y": y}).rank()
    if ranks.nunique().min() < 2:
        return float("nan")
    return float(np.corrcoef(ranks["x"], ranks["y"])[0, 1])


def localisation(attribution: np.ndarray, target: np.ndarray, brain: np.ndarray) -> dict:
    """Score how well a map's magnitude finds a known region of the brain.

    Parameters
    ----------
    attribution : ndarray
        (n_slices, 128, 128).
    target, brain : ndarray
        bool, the same shape; target voxels outside the brain count as brain.

    Returns
    -------
    dict
        ``enrichment``: the region's share of the brain's summed magnitude over its share of the
        brain's voxels (1: no better than anywhere). ``auc``: area under the ROC curve of the
        magnitude telling the region's voxels from the brain's other voxels (0.5: chance). Both
        NaN for an empty region or a map that is zero in the brain.
    """
    brain = brain | target
    magnitude = np.abs(attribution[brain]).astype(np.float64)
    inside = target[brain]
    if inside.all() or not inside.any() or not magnitude.any():
        return {"enrichment": float("nan"), "auc": float("nan")}
    return {
        "enrichment": magnitude[inside].mean() / magnitude.mean(),
        "auc": roc_auc(magnitude, inside),
    }


def roc_auc(scores: np.ndarray, is_positive: np.ndarray) -> float:
    """Area under the ROC curve of scores (n,) that should be higher where bool (n,) is true.

    By ranks, ties counting half; NaN if one class is absent.
    """
    n, n_positive = len(scores), int(is_positive.sum())
    if n_positive in (0, n):
        return float("nan")
    ranks = pd.Series(scores).rank().to_numpy()
    above = ranks[is_positive].sum() - n_positive * (n_positive + 1) / 2
    return float(above / (n_positive * (n - n_positive)))
