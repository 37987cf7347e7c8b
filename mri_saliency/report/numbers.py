"""Records and tables -> the numbers of the report's sections."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from mri_saliency.inputs.atlas import without_side
from mri_saliency.maps.comparison import roc_auc
from mri_saliency.maps.statistics import MapStatistics
from mri_saliency.regions.densities import OUTSIDE
from mri_saliency.statistics.intervals import COVERAGE
from mri_saliency.statistics.normal_ranges import MEASURES, OUTSIDE_P

_COMMON_PERCENTILE = 90


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


def common_scale(own: Sequence[float] | np.ndarray) -> np.ndarray:
    """Return the colour scale that maps of one method share: the 90th percentile of their own, (n_maps, ...).

    A scale that holds the strongest map would let a single one make all others invisible.
    """
    common = np.percentile(own, _COMMON_PERCENTILE, axis=0)
    return np.where(common > 0, common, np.max(own, axis=0))  # of few maps that are not all zero


def region_means(regions: pd.DataFrame, densest: Mapping[str, Sequence[str]]) -> dict[str, list[dict]]:
    """Average each method's densest regions by diagnosis.

    Returns
    -------
    dict
        Method -> a dict for each region: ``region``; ``density``, ``density_null`` and ``asymmetry``,
        each a dict diagnosis -> mean.
    """
    means = {}
    for method, names in densest.items():
        rows = regions[regions["method"] == method]
        means[method] = _by_diagnosis(rows, names, ("density", "density_null", "asymmetry"))
    return means


def _by_diagnosis(rows: pd.DataFrame, names: Sequence[str], measures: Sequence[str]) -> list[dict]:
    """Return a dict for each region: ``region``, and for each measure a dict diagnosis -> mean."""
    grouped = rows.astype(dict.fromkeys(measures, float)).groupby(["region", "diagnosis"])
    tables = {measure: grouped[measure].mean().unstack() for measure in measures}
    return [
        {"region": name} | {measure: table.loc[name].to_dict() for measure, table in tables.items()}
        for name in names
    ]


@dataclass(frozen=True)
class NormalRange:
    """How often one method's regions are outside the normal range.

    Attributes
    ----------
    regions : list of dict
        ``region``; ``density`` and ``asymmetry``, each a dict diagnosis -> share of the scans outside.
    n_outside : dict
        Diagnosis -> the mean number of regions of a scan whose density is outside.
    n_regions : float
        The mean number of regions of a scan that have a normal range.
    """

    regions: list[dict]
    n_outside: dict[str, float]
    n_regions: float

    @property
    def n_by_chance(self) -> float:
        """Regions of a healthy scan that are expected outside."""
        return OUTSIDE_P * self.n_regions


def shares_outside(regions: pd.DataFrame, densest: Mapping[str, Sequence[str]]) -> dict[str, NormalRange]:
    """Count what is outside the normal range; methods without normal ranges have no entry."""
    found = {}
    for method, names in densest.items():
        rows = regions[regions["method"] == method]
        if rows["density_p"].isna().all():
            continue
        is_outside = {
            measure: (rows[f"{measure}_p"] < OUTSIDE_P).where(rows[f"{measure}_p"].notna())
            for measure in MEASURES
        }
        rows = rows[["region", "diagnosis", "subject_id"]].assign(**is_outside)
        of_brain = rows[rows["region"] != OUTSIDE]
        by_scan = of_brain.groupby(["diagnosis", "subject_id"])["density"].agg(["sum", "count"])
        found[method] = NormalRange(
            _by_diagnosis(rows, names, MEASURES),
            by_scan["sum"].astype(float).groupby("diagnosis").mean().to_dict(),
            float(by_scan["count"].mean()),
        )
    return found


@dataclass(frozen=True)
class SideEntry:
    """How well a pair of regions tells left from right TLE by one method's maps.

    Attributes
    ----------
    method : str
    choice : str
        Why this pair is shown.
    pair : str
        The pair's name, without a side.
    row : dict
        Its row of lateralisation.csv.
    verdict : str
        How attribution compares with grey matter.
    n_pairs, n_above, n_below : int
        The method's pairs; those whose area's interval lies above 0.5, and below.
    """

    method: str
    choice: str
    pair: str
    row: dict
    verdict: str
    n_pairs: int
    n_above: int
    n_below: int

    @property
    def n_by_chance(self) -> float:
        """Intervals expected on one side of 0.5 if no pair told the sides."""
        return (1 - COVERAGE) / 2 * self.n_pairs


def side_entries(table: pd.DataFrame) -> list[SideEntry]:
    """Return each method's densest pair of regions, and the pair whose grey matter tells the sides best.

    `table` has the rows of lateralisation.csv, in order.
    """
    entries = []
    for _, rows in table.groupby("method", sort=False):
        choices = {rows.index[0]: "densest"}
        if rows["grey_matter_auc"].notna().any():
            choices.setdefault(rows["grey_matter_auc"].idxmax(), "best by grey matter")
        entries += [_side_entry(rows, index, choice) for index, choice in choices.items()]
    return entries


def _side_entry(rows: pd.DataFrame, index: int, choice: str) -> SideEntry:
    row = rows.loc[index].to_dict()
    return SideEntry(
        method=row["method"],
        choice=choice,
        pair=without_side(row["left_region"]),
        row=row,
        verdict=_against_grey_matter(row),
        n_pairs=len(rows),
        n_above=int((rows["auc_low"] > 0.5).sum()),
        n_below=int((rows["auc_high"] < 0.5).sum()),
    )


def _against_grey_matter(row: Mapping[str, float]) -> str:
    if not np.isfinite(row["auc_difference"]):
        return "grey matter is not known"
    if row["auc_difference_low"] > 0:
        return "attribution tells more than grey matter there"
    if row["auc_difference_high"] < 0:
        return "attribution tells less than grey matter there"
    return "not shown to differ from grey matter there"
