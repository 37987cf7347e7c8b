"""Records and tables -> the numbers of the report's sections."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from mri_saliency.maps.comparison import roc_auc
from mri_saliency.maps.statistics import MapStatistics
from mri_saliency.output.record import MapRecord


@dataclass(frozen=True)
class Classification:
    """How the classifier did on the scans.

    Attributes
    ----------
    confusion : dict
        True class -> {predicted class: scans}.
    accuracy : float
    sensitivity, specificity : float or None
        Shares of TLE and of HC that are predicted as such; None without scans of the class.
    auc : float or None
        Area under the ROC curve of the probability of TLE; None if a class is absent.
    roc : list
        Its points (false positive rate, true positive rate); empty if a class is absent.
    """

    confusion: dict[str, dict[str, int]]
    accuracy: float
    sensitivity: float | None
    specificity: float | None
    auc: float | None
    roc: list[tuple[float, float]]


def classification(statistics: Sequence[MapStatistics]) -> Classification:
    """Compare predictions with the truth, once for each scan; `statistics` has one or more maps of it.

    The predicted class is that of ``predicted_label``; the probability serves the ROC curve alone.
    """
    scans: dict[str, MapStatistics] = {}
    for row in statistics:
        scans.setdefault(row.subject_id, row)
    is_tle = np.array([scan.is_tle for scan in scans.values()])
    predicts_tle = np.array([scan.predicts_tle for scan in scans.values()])
    probabilities = np.array([scan.prediction for scan in scans.values()])
    confusion = {
        true_name: {
            predicted_name: int(((is_tle == true) & (predicts_tle == predicted)).sum())
            for predicted_name, predicted in (("HC", False), ("TLE", True))
        }
        for true_name, true in (("HC", False), ("TLE", True))
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


def input_warnings(statistics: Sequence[MapStatistics]) -> dict[str, str]:
    """Return the scans with an input warning -> the warning; maps of earlier versions have none."""
    warnings: dict[str, str] = {}
    for row in statistics:
        if row.input_warning:
            warnings.setdefault(row.subject_id, row.input_warning)
    return warnings


def _roc_points(scores: np.ndarray, is_positive: np.ndarray) -> list[tuple[float, float]]:
    """Return the ROC curve's points (false positive rate, true positive rate), one for each score."""
    order = np.argsort(-scores, kind="stable")
    last_of_ties = np.append(np.diff(scores[order]) != 0, True)
    true_positives = is_positive[order].cumsum()[last_of_ties]
    false_positives = (~is_positive[order]).cumsum()[last_of_ties]
    rates = zip(false_positives / false_positives[-1], true_positives / true_positives[-1], strict=True)
    return [(0.0, 0.0), *((float(x), float(y)) for x, y in rates)]


@dataclass(frozen=True)
class MapEntry:
    """A map in the report's table of scans."""

    method: str
    figure: Path
    verdict: str  # of completeness; empty for a method that promises no sum
    error: float | None  # of completeness
    brain_share: float | None
    brain_share_null: float | None


@dataclass(frozen=True)
class ScanEntry:
    """A row of the report's table of scans."""

    subject_id: str
    diagnosis: str
    probability: float  # of TLE
    predicted: str  # "HC" or "TLE"
    confidence: float
    correct: bool
    warning: str  # about its input; empty if there is none
    maps: list[MapEntry]


def scan_entries(records: Sequence[MapRecord], summaries: Mapping[tuple[str, str], Path]) -> list[ScanEntry]:
    """Return an entry for each scan, wrong predictions first, then the least confident.

    Parameters
    ----------
    records : sequence of MapRecord
    summaries : mapping
        (subject, method) -> path of the map's summary figure.
    """
    by_scan: dict[str, list[MapStatistics]] = {}
    for record in records:
        by_scan.setdefault(record.subject_id, []).append(record.statistics)
    warnings = input_warnings([record.statistics for record in records])
    entries = []
    for subject_id, maps in by_scan.items():
        scan = maps[0]
        entries.append(
            ScanEntry(
                subject_id=subject_id,
                diagnosis=scan.diagnosis,
                probability=scan.prediction,
                predicted="TLE" if scan.predicts_tle else "HC",
                confidence=scan.confidence,
                correct=scan.predicts_tle == scan.is_tle,
                warning=warnings.get(subject_id, ""),
                maps=[
                    MapEntry(
                        method=row.method,
                        figure=summaries[subject_id, row.method],
                        verdict=row.completeness_verdict or "",
                        error=row.completeness_error,
                        brain_share=row.brain_share,
                        brain_share_null=row.brain_share_null,
                    )
                    for row in maps
                ],
            )
        )
    return sorted(entries, key=lambda entry: (entry.correct, entry.confidence))


@dataclass(frozen=True)
class FailureEntry:
    """A row of the report's table of failures: a scan's maps that failed for one reason."""

    subject_id: str
    methods: list[str]
    reason: str


def failure_entries(failures: Sequence[Mapping[str, str]]) -> list[FailureEntry]:
    """Return an entry for each scan and reason; `failures` are the rows of failures.csv."""
    methods: dict[tuple[str, str], list[str]] = {}
    for row in failures:
        methods.setdefault((row["subject_id"], row["reason"]), []).append(row["method"])
    return [FailureEntry(subject_id, names, reason) for (subject_id, reason), names in methods.items()]


def region_means(regions: pd.DataFrame, densest: Mapping[str, Sequence[str]]) -> dict[str, list[dict]]:
    """Average each method's densest regions by diagnosis.

    Returns
    -------
    dict
        Method -> a dict for each region: ``region``; ``density`` and ``asymmetry``, each a dict
        diagnosis -> mean.
    """
    means = {}
    for method, names in densest.items():
        rows = regions[regions["method"] == method].astype({"density": float, "asymmetry": float})
        grouped = rows.groupby(["region", "diagnosis"])
        tables = {measure: grouped[measure].mean().unstack() for measure in ("density", "asymmetry")}
        means[method] = [
            {"region": name} | {measure: table.loc[name].to_dict() for measure, table in tables.items()}
            for name in names
        ]
    return means
