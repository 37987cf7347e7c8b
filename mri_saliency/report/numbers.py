"""Findings -> the numbers of the report's sections."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from mri_saliency.inputs.atlas import HEMISPHERES, without_side
from mri_saliency.maps.comparison import roc_auc
from mri_saliency.maps.statistics import MapStatistics
from mri_saliency.regions.densities import densest
from mri_saliency.report.findings import Findings
from mri_saliency.statistics.intervals import COVERAGE

_COMMON_PERCENTILE = 90


@dataclass(frozen=True)
class Classification:
    """How the classifier did on the scans."""

    confusion: dict[str, dict[str, int]]  # true class -> {predicted class: scans}
    accuracy: float
    # shares of TLE and of HC that are predicted as such; None without scans of the class
    sensitivity: float | None
    specificity: float | None
    auc: float | None  # area under the ROC curve of the probability of TLE; None if a class is absent
    roc: list[tuple[float, float]]  # the curve's points (false positive rate, true positive rate)


def classifiers(findings: Findings) -> dict[str, Classification]:
    """Return how the classifier did on all scans and, if there are such, on those with an input warning."""
    parts = {"all scans": findings.scans}
    if findings.input_warnings:
        parts["with input warning"] = [row for row in findings.scans if row.input_warning]
    return {title: classification(rows) for title, rows in parts.items()}


def classification(scans: Sequence[MapStatistics]) -> Classification:
    """Compare predictions with the truth; `scans` has one row of each.

    The predicted class is that of ``predicted_label``; the probability serves the ROC curve alone.
    """
    is_tle = np.array([scan.is_tle for scan in scans])
    predicts_tle = np.array([scan.predicts_tle for scan in scans])
    probabilities = np.array([scan.prediction for scan in scans])
    classes = {"HC": False, "TLE": True}
    confusion = {
        true_name: {
            predicted_name: int(((is_tle == true) & (predicts_tle == predicted)).sum())
            for predicted_name, predicted in classes.items()
        }
        for true_name, true in classes.items()
    }
    n_tle, n_hc = int(is_tle.sum()), int((~is_tle).sum())
    has_both = bool(n_tle and n_hc)
    return Classification(
        confusion=confusion,
        accuracy=float((is_tle == predicts_tle).mean()),
        sensitivity=confusion["TLE"]["TLE"] / n_tle if n_tle else None,
        specificity=confusion["HC"]["HC"] / n_hc if n_hc else None,
        auc=roc_auc(probabilities, is_tle) if has_both else None,
        roc=_roc_points(probabilities, is_tle) if has_both else [],
    )


def _roc_points(scores: np.ndarray, is_positive: np.ndarray) -> list[tuple[float, float]]:
    """Return the ROC curve's points (false positive rate, true positive rate), one for each score."""
    order = np.argsort(-scores, kind="stable")
    last_of_ties = np.append(np.diff(scores[order]) != 0, True)
    true_positives = is_positive[order].cumsum()[last_of_ties]
    false_positives = (~is_positive[order]).cumsum()[last_of_ties]
    rates = zip(false_positives / false_positives[-1], true_positives / true_positives[-1], strict=True)
    return [(0.0, 0.0), *((float(x), float(y)) for x, y in rates)]


def common_scale(own: Sequence[float] | np.ndarray) -> np.ndarray:
    """Return the colour scale that maps of one method share: the 90th percentile of their own, (n_maps, ...).

    A scale that holds the strongest map would let a single one make all others invisible.
    """
    common = np.percentile(own, _COMMON_PERCENTILE, axis=0)
    return np.where(common > 0, common, np.max(own, axis=0))  # of few maps that are not all zero


def region_summaries(regions: pd.DataFrame) -> dict[str, list[dict]]:
    """Return method -> its densest regions, from the rows of region_statistics.csv and ``diagnosis``.

    Of each, ``region``; and ``density``, ``density_null`` and ``asymmetry``, each a dict diagnosis -> mean.
    """
    numbers = ["density", "density_null", "asymmetry"]
    regions = regions.astype(dict.fromkeys(numbers, float))
    summaries = {}
    for method, names in densest(regions).items():
        rows = regions[regions["method"] == method]
        means = rows.groupby(["region", "diagnosis"])[numbers].mean().unstack()
        summaries[method] = [
            {"region": name} | {number: means.loc[name, number].to_dict() for number in numbers}
            for name in names
        ]
    return summaries


def side_entries(table: pd.DataFrame) -> list[dict]:
    """Return of each method the whole hemispheres, the densest pair, and that whose grey matter tells most.

    From the rows of lateralisation.csv, in order: the row, and ``pair``, its name without a side;
    ``choice``, why it is shown; ``verdict``, how attribution compares with grey matter; of all pairs of the
    method ``n_pairs``, ``n_above`` with an interval that lies above 0.5, ``n_better`` than the hemisphere,
    and ``n_by_chance`` expected of each; ``of_side``, whether the whole hemisphere tells the sides.
    """
    entries = []
    for _, rows in table.groupby("method", sort=False):
        is_whole = rows["left_region"] == HEMISPHERES[0]
        whole, pairs = rows[is_whole], rows[~is_whole]
        choices = dict.fromkeys(whole.index, "all of the brain")
        choices |= dict.fromkeys(pairs.index[:1], "densest")
        if pairs["grey_matter_auc"].notna().any():
            choices.setdefault(pairs["grey_matter_auc"].idxmax(), "best by grey matter")
        of_method = {
            "n_pairs": len(pairs),
            "n_above": int((pairs["auc_low"] > 0.5).sum()),
            "n_better": int((pairs["better_than_hemisphere"] == "yes").sum()),
            "n_by_chance": (1 - COVERAGE) / 2 * len(pairs),
            "of_side": bool((whole["auc_low"] > 0.5).any()),
        }
        for index, choice in choices.items():
            row = rows.loc[index].to_dict()
            words = {"pair": without_side(row["left_region"]), "verdict": _against_grey_matter(row)}
            entries.append(row | words | of_method | {"choice": choice})
    return entries


def _against_grey_matter(row: Mapping[str, float]) -> str:
    if not np.isfinite(row["auc_difference"]):
        return "grey matter is not known"
    if row["auc_difference_low"] > 0:
        return "attribution tells more than grey matter there"
    if row["auc_difference_high"] < 0:
        return "attribution tells less than grey matter there"
    return "not shown to differ from grey matter there"
