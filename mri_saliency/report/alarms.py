"""Records of maps and the table of sanity checks -> sentences on what needs a look."""

from __future__ import annotations

import math
from statistics import median

from mri_saliency.attribution.clenshaw_curtis import POINTS
from mri_saliency.checks import verdicts as check_verdicts
from mri_saliency.checks.verdicts import Verdict
from mri_saliency.maps.statistics import COMPLETENESS_TOLERANCE, STANDARD_ERRORS, MapStatistics
from mri_saliency.methods import AUTO, METHODS
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
    by_method: dict[str, list[MapRecord]] = {}
    for record in in_order(records):
        by_method.setdefault(record.method, []).append(record)
    alarms = [alarm for method, maps in by_method.items() for alarm in _method_alarms(method, maps)]
    for method, answers in verdicts.items():
        for check, verdict in answers.items():
            if verdict.passed is False:
                alarms.append(f"{method} fails “{check}”: {verdict.reason}")
    return alarms


def warning_sentences(records: list[MapRecord]) -> list[str]:
    """Return what is unusual in methods' maps, in sentences for a paper; completeness has its own."""
    rows_of: dict[str, list[MapStatistics]] = {}
    for record in in_order(records):
        rows_of.setdefault(METHODS[record.method].title, []).append(record.statistics)
    sentences = []
    for title, rows in rows_of.items():
        if below := _below_null(rows):
            shares = [
                median(getattr(row, name) for row in below) for name in ("brain_share", "brain_share_null")
            ]
            sentences.append(
                f"In {len(below)} of {len(rows)} {title} maps the share of the attribution inside the brain "
                f"was more than {NULL_MARGIN:.0%} of the map below that of the null map, which knows nothing "
                f"of the network (median {shares[0]:.0%} and {shares[1]:.0%}), the mark of a shortcut."
            )
        if n_outside := _n_outside(rows):
            sentences.append(
                f"In {n_outside} of {len(rows)} {title} maps more than {OUTSIDE_ALARM:.0%} of the "
                "attribution lay outside the brain, the mark of a shortcut."
            )
        if n_zero := sum(row.abs_mean == 0 for row in rows):
            sentences.append(f"Of the {title} maps, {n_zero} of {len(rows)} were zero everywhere.")
    return sentences


def _below_null(rows: list[MapStatistics]) -> list[MapStatistics]:
    """Return the maps with less in the brain than their null map, by `NULL_MARGIN`."""
    known = [row for row in rows if None not in (row.brain_share, row.brain_share_null)]
    return [row for row in known if row.brain_share < row.brain_share_null - NULL_MARGIN]


def _n_outside(rows: list[MapStatistics]) -> int:
    """Return the number of maps without a null map that lie outside the brain by `OUTSIDE_ALARM`."""
    known = [row for row in rows if row.brain_share is not None and row.brain_share_null is None]
    return sum(row.brain_share < 1 - OUTSIDE_ALARM for row in known)


def _method_alarms(method: str, records: list[MapRecord]) -> list[str]:
    """Return the alarms about one method's maps."""
    alarms = []
    rows = [record.statistics for record in records]
    below = _below_null(rows)
    if below:
        share, null = (
            median(getattr(row, name) for row in below) for name in ("brain_share", "brain_share_null")
        )
        alarms.append(
            f"{method}: in {len(below)} of {len(rows)} scans less of the attribution lies inside the brain "
            f"({share:.0%}) than of the null map ({null:.0%}), which knows nothing of the network: the mark "
            "of a shortcut."
        )
    n_outside = _n_outside(rows)
    if n_outside:
        alarms.append(
            f"{method}: in {n_outside} of {len(rows)} scans more than {OUTSIDE_ALARM:.0%} of the "
            "attribution lies outside the brain, the mark of a shortcut."
        )
    alarms += _completeness_alarms(method, records)
    alarms += _path_alarms(method, records)
    alarms += _draw_alarms(method, records)
    n_zero = sum(row.abs_mean == 0 for row in rows)
    if n_zero:
        alarms.append(f"{method}: {n_zero} of {len(rows)} maps are zero everywhere.")
    return alarms


def _completeness_alarms(method: str, records: list[MapRecord]) -> list[str]:
    """Return the alarm about maps whose sums are wrong."""
    incomplete = [record for record in records if record.statistics.completeness_verdict == "check"]
    if not incomplete:
        return []
    if all(record.statistics.completeness_standard_error is not None for record in incomplete):
        remedy = f", by more than {STANDARD_ERRORS} standard errors"
    elif all(record.recipe.settings.get("n_steps") == AUTO for record in incomplete):
        remedy = "; lower --map_error"
    else:
        counts = [name for name in METHODS[method].settings if name.startswith("n_")]
        remedy = "".join(f"; raise --{name}" for name in counts)
    n = f"{len(incomplete)} of {len(records)}"
    return [f"{method}: {n} maps do not add up to the logit's change{remedy}."]


def _path_alarms(method: str, records: list[MapRecord]) -> list[str]:
    """Return the alarm about maps for whose error the points on the path did not suffice."""
    if METHODS[method].stochastic:
        return []  # their error is that of the draws
    missed = [
        record.statistics.map_error
        for record in records
        if record.recipe.settings.get("n_steps") == AUTO
        and record.statistics.map_error is not None
        and record.statistics.map_error > record.recipe.settings["map_error"]
    ]
    if not missed:
        return []
    return [
        f"{method}: {len(missed)} of {len(records)} maps did not reach --map_error with {POINTS[-1]} points; "
        f"the largest error is {max(missed):.2g} of the map."
    ]


def _draw_alarms(method: str, records: list[MapRecord]) -> list[str]:
    """Return the alarm about maps of too few draws for their sums."""
    errors, needed = [], []  # of each map: its sum's relative standard error, and draws for the tolerance
    for record in records:
        row, n_samples = record.statistics, record.recipe.settings.get("n_samples")
        if n_samples and row.completeness_standard_error is not None and row.completeness_expected:
            errors.append(row.completeness_standard_error / abs(row.completeness_expected))
            needed.append(n_samples * (errors[-1] / COMPLETENESS_TOLERANCE) ** 2)
    if not errors or median(errors) <= COMPLETENESS_TOLERANCE:
        return []
    return [
        f"{method}: too few draws: the maps' sums have a standard error of {median(errors):.0%} of the "
        f"logit's change (median of {len(errors)} maps); --n_samples {_rounded_up(median(needed))} would "
        f"bring it to {COMPLETENESS_TOLERANCE:.0%}."
    ]


def _rounded_up(number: float) -> int:
    """Return a number, rounded up to two digits."""
    step = 10 ** max(0, math.floor(math.log10(number)) - 1)
    return math.ceil(number / step) * step
