"""Records of maps and the table of sanity checks -> sentences on what needs a look."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import median

from mri_saliency.attribution.clenshaw_curtis import POINTS
from mri_saliency.checks import verdicts as check_verdicts
from mri_saliency.checks.verdicts import Verdict
from mri_saliency.combine.repeatability import judge_repeatability
from mri_saliency.maps.statistics import COMPLETENESS_TOLERANCE, STANDARD_ERRORS
from mri_saliency.methods import AUTO, METHODS
from mri_saliency.output.files import read_table
from mri_saliency.output.folder import OutputFolder
from mri_saliency.output.record import MapRecord

OUTSIDE_ALARM = 0.5  # share of a map's magnitude outside the brain; for maps without a null
# How far a map's share in the brain may lie below its null's. In the demo, shares differ between scans by a
# standard deviation of 0.002 to 0.026, and nulls by 0.011; saliency has 0.74, null 0.60, and 0.45 once all
# weights of the network are shuffled.
NULL_MARGIN = 0.1
# How the error of a sum over n strata falls: with n^-1.0 to n^-1.6 from 10 to 20 and 40 draws, on the demo's
# and an untrained network; n^-0.5 would be of independent draws, n^-1.5 of places in strata without noise.
STRATIFIED_RATE = 1.25


def judge_maps(folder: OutputFolder, records: Sequence[MapRecord]) -> dict[str, dict[str, Verdict]]:
    """Judge the checks in the folder, and whether combined runs agree.

    Returns a dict: method -> {check: its verdict}; of checks on the network, only those of maps with the
    records' recipe.
    """
    found = judge_repeatability(folder)
    table = read_table(folder.checks)
    if table is not None:
        checked = dict(zip(table["method"], table["fingerprint"], strict=True))
        current = {record.method: record.recipe.digest() for record in records}
        for method, answers in check_verdicts.verdicts(table).items():
            if checked[method] == current.get(method):
                found[method] = answers | found.get(method, {})
    return found


def find_alarms(records: Sequence[MapRecord], verdicts: Mapping[str, Mapping[str, Verdict]]) -> list[str]:
    """Return what in the cohort needs a look, in sentences; `verdicts` as from `judge_maps`."""
    alarms = unusual_maps(records)
    for method, maps in _by_method(records).items():
        alarms += _completeness_alarms(method, maps) + _path_alarms(method, maps) + _draw_alarms(method, maps)
    return alarms + [
        f"{METHODS[method].title} fails “{check}”: {verdict}"
        for method, answers in verdicts.items()
        for check, verdict in answers.items()
        if verdict.passed is False
    ]


def unusual_maps(records: Sequence[MapRecord]) -> list[str]:
    """Return which maps lie outside the brain or are zero, in sentences for the report and a paper."""
    sentences = []
    for method, maps in _by_method(records).items():
        rows = [record.statistics for record in maps]
        with_null = [
            (row.brain_share, row.brain_share_null)
            for row in rows
            if row.brain_share is not None and row.brain_share_null is not None
        ]
        below = [(share, null) for share, null in with_null if share < null - NULL_MARGIN]
        n_outside = sum(
            row.brain_share_null is None
            and row.brain_share is not None
            and row.brain_share < 1 - OUTSIDE_ALARM
            for row in rows
        )
        n_zero = sum(row.abs_mean == 0 for row in rows)
        of_maps = f"of {len(rows)} {METHODS[method].title} maps"
        if below:
            share, null = (median(shares) for shares in zip(*below, strict=True))
            sentences.append(
                f"In {len(below)} {of_maps}, the share of the attribution inside the brain was lower than "
                f"that of the null map, which knows nothing of the network, by more than {NULL_MARGIN:.0%} "
                f"of the map (median {share:.0%} and {null:.0%}): the mark of a shortcut."
            )
        if n_outside:
            sentences.append(
                f"In {n_outside} {of_maps}, more than {OUTSIDE_ALARM:.0%} of the attribution lay outside the "
                "brain: the mark of a shortcut."
            )
        if n_zero:
            sentences.append(f"In {n_zero} {of_maps}, all values were zero.")
    return sentences


def _by_method(records: Sequence[MapRecord]) -> dict[str, list[MapRecord]]:
    """Return the records of each method, in the registry's order."""
    found = {method: [record for record in records if record.method == method] for method in METHODS}
    return {method: maps for method, maps in found.items() if maps}


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
    of_maps = f"{len(incomplete)} of {len(records)} {METHODS[method].title} maps"
    return [f"{of_maps} do not add up to the logit's change{remedy}."]


def _path_alarms(method: str, records: list[MapRecord]) -> list[str]:
    """Return the alarm about maps for whose error the points on the path did not suffice."""
    if METHODS[method].stochastic:
        return []  # their error is that of the draws
    missed = []
    for record in records:
        error, settings = record.statistics.map_error, record.recipe.settings
        wanted = settings.get("map_error") if settings.get("n_steps") == AUTO else None
        if error is not None and isinstance(wanted, int | float) and error > wanted:
            missed.append(error)
    if not missed:
        return []
    return [
        f"{len(missed)} of {len(records)} {METHODS[method].title} maps did not reach --map_error with "
        f"{POINTS[-1]} points; the largest error is {max(missed):.2g} of the map."
    ]


def _draw_alarms(method: str, records: list[MapRecord]) -> list[str]:
    """Return the alarm about maps of too few draws for their sums."""
    errors, needed = [], []  # of each map: its sum's relative standard error, and draws for the tolerance
    for record in records:
        row, n_samples = record.statistics, record.recipe.settings.get("n_samples")
        if (
            isinstance(n_samples, int)
            and row.completeness_standard_error is not None
            and row.completeness_expected
        ):
            errors.append(row.completeness_standard_error / abs(row.completeness_expected))
            needed.append(n_samples * (errors[-1] / COMPLETENESS_TOLERANCE) ** (1 / STRATIFIED_RATE))
    if not errors or median(errors) <= COMPLETENESS_TOLERANCE:
        return []
    return [
        f"{METHODS[method].title} has too few draws: its maps' sums have a standard error of "
        f"{median(errors):.0%} of the logit's change (median of {len(errors)} maps); --n_samples "
        f"{_rounded_up(median(needed))} would bring it to about {COMPLETENESS_TOLERANCE:.0%}, if it falls "
        f"with n^-{STRATIFIED_RATE}, as on the demo's network."
    ]


def _rounded_up(number: float) -> int:
    """Return a number, rounded up to two digits."""
    step = 10 ** max(0, math.floor(math.log10(number)) - 1)
    return math.ceil(number / step) * step
