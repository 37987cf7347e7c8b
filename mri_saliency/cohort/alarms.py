"""Records of maps and the table of sanity checks -> sentences on what needs a look."""

from __future__ import annotations

from mri_saliency.attribution.methods import METHODS
from mri_saliency.cohort import check_verdicts
from mri_saliency.cohort.check_verdicts import Verdict
from mri_saliency.maps.statistics import MapStatistics
from mri_saliency.output.files import read_table
from mri_saliency.output.folder import OutputFolder
from mri_saliency.output.record import MapRecord, in_order

OUTSIDE_ALARM = 0.5  # share of a map's magnitude outside the brain


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
    shares = [row.brain_share for row in rows if row.brain_share is not None]
    n_outside = sum(share < 1 - OUTSIDE_ALARM for share in shares)
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
