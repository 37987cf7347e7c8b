"""Records of maps and the table of sanity checks -> sentences on what needs a look."""

from __future__ import annotations

from statistics import median

from mri_saliency.attribution.methods import METHODS
from mri_saliency.cohort import check_verdicts
from mri_saliency.cohort.check_verdicts import Verdict
from mri_saliency.maps.statistics import MapStatistics
from mri_saliency.output.files import read_table
from mri_saliency.output.folder import OutputFolder
from mri_saliency.output.record import MapRecord, in_order

OUTSIDE_ALARM = 0.5  # share of a map's magnitude outside the brain; for maps without a null
# How far a map's share in the brain may lie below its null's. In the demo, shares differ between scans by a
# standard deviation of 0.002 to 0.026, and nulls by 0.011; saliency has 0.74, null 0.60, and 0.45 once all
# weights of the network are shuffled.
NULL_MARGIN = 0.1


def judge_sanity_checks(folder: OutputFolder, records: list[MapRecord]) -> dict[str, dict[str, Verdict]]:
    """Judge the checks in the folder, for the methods whose maps have the recipe that was checked.

    Returns
    -------
    dict
        Method -> {check: its verdict}; empty if no checks were run.
    """
    table = read_table(folder.checks)
    if table is None or "fingerprint" not in table:
        return {}
    checked = dict(zip(table["method"], table["fingerprint"], strict=True))
    current = {record.method: record.recipe.digest() for record in records}
    return {
        method: answers
        for method, answers in check_verdicts.verdicts(table).items()
        if checked[method] == current.get(method)
    }


def find_alarms(records: list[MapRecord], verdicts: dict[str, dict[str, Verdict]]) -> list[str]:
    """Return what in the cohort needs a look, in sentences; `verdicts` as from `judge_sanity_checks`."""
    by_method: dict[str, list[MapStatistics]] = {}
    for record in in_order(records):
        by_method.setdefault(record.method, []).append(record.statistics)
    alarms = [alarm for method, rows in by_method.items() for alarm in _method_alarms(method, rows)]
    for method, answers in verdicts.items():
        for check, verdict in answers.items():
            if verdict.passed is False:
                alarms.append(f"{method} fails “{check}”: {verdict.reason}")
    return alarms


def _method_alarms(method: str, rows: list[MapStatistics]) -> list[str]:
    """Return the alarms about one method's maps."""
    alarms = []
    rated = [row for row in rows if row.brain_share is not None]
    with_null = [row for row in rated if row.brain_share_null is not None]
    below = [row for row in with_null if row.brain_share < row.brain_share_null - NULL_MARGIN]
    if below:
        share, null = (
            median(getattr(row, name) for row in below) for name in ("brain_share", "brain_share_null")
        )
        alarms.append(
            f"{method}: in {len(below)} of {len(rows)} scans less of the attribution lies inside the brain "
            f"({share:.0%}) than of the null map ({null:.0%}), which knows nothing of the network: the mark "
            "of a shortcut."
        )
    n_outside = sum(row.brain_share < 1 - OUTSIDE_ALARM for row in rated if row.brain_share_null is None)
    if n_outside:
        alarms.append(
            f"{method}: in {n_outside} of {len(rows)} scans more than {OUTSIDE_ALARM:.0%} of the "
            "attribution lies outside the brain, the mark of a shortcut."
        )
    n_incomplete = sum(row.completeness_verdict == "check" for row in rows)
    if n_incomplete:
        counts = [name for name in METHODS[method].settings if name.startswith("n_")]
        remedy = "".join(f"; raise --{name}" for name in counts)
        alarms.append(
            f"{method}: {n_incomplete} of {len(rows)} maps do not add up to the logit's change{remedy}."
        )
    n_zero = sum(row.abs_mean == 0 for row in rows)
    if n_zero:
        alarms.append(f"{method}: {n_zero} of {len(rows)} maps are zero everywhere.")
    return alarms
