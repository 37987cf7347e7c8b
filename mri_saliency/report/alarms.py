"""Records of maps and the table of sanity checks -> what is wrong with a method's maps, and what helps."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from statistics import median

from mri_saliency.attribution.clenshaw_curtis import POINTS
from mri_saliency.checks import verdicts as check_verdicts
from mri_saliency.checks.verdicts import Verdict
from mri_saliency.combine.repeatability import judge_repeatability
from mri_saliency.maps.colours import rounded_up
from mri_saliency.maps.statistics import COMPLETENESS_TOLERANCE, MapStatistics
from mri_saliency.methods import AUTO, METHODS
from mri_saliency.output.files import read_table
from mri_saliency.output.folder import OutputFolder
from mri_saliency.output.record import MapRecord
from mri_saliency.wording import counted

OUTSIDE_ALARM = 0.5  # share of a map's magnitude outside the brain; for maps without a null
# How far a map's share in the brain may lie below its null's. In the demo, shares differ between scans by a
# standard deviation of 0.002 to 0.026, and nulls by 0.011; saliency has 0.74, null 0.60, and 0.45 once all
# weights of the network are shuffled.
NULL_MARGIN = 0.1
# How the error of a sum over n strata falls: with n^-1.0 to n^-1.6 from 10 to 20 and 40 draws, on the demo's
# and an untrained network; n^-0.5 would be of independent draws, n^-1.5 of places in strata without noise.
STRATIFIED_RATE = 1.25
_REMEDIES = {check_verdicts.SEED: "raise --n_samples"}
_FEW = 0.05  # of a method's maps: so many may be odd by chance, and spoil nothing


@dataclass(frozen=True)
class Alarm:
    """What is wrong with some maps of a method."""

    method: str
    problem: str  # "1 of 20 maps do not add up"
    remedy: str = ""  # what helps, as a command
    spoils: bool = True  # whether what the method shows does not count


def judge_maps(folder: OutputFolder, records: Sequence[MapRecord]) -> dict[str, dict[str, Verdict]]:
    """Judge maps of the records' recipes, and whether combined runs agree: method -> {check: its verdict}."""
    found = judge_repeatability(folder)
    table = read_table(folder.checks)
    if table is not None:
        checked = dict(zip(table["method"], table["fingerprint"], strict=True))
        current = {record.method: record.recipe.digest() for record in records}
        for method, answers in check_verdicts.verdicts(table).items():
            if checked[method] == current.get(method):
                found[method] = answers | found.get(method, {})
    return found


def find_alarms(records: Sequence[MapRecord], verdicts: Mapping[str, Mapping[str, Verdict]]) -> list[Alarm]:
    """Return what is wrong with each method's maps; `verdicts` as from `judge_maps`."""
    alarms = [
        # of magnitudes, by which groups are compared, the null maps' effect says whether they count
        Alarm(method, f"fails “{check}”", _REMEDIES.get(check, ""), check != check_verdicts.MAGNITUDES)
        for method, answers in verdicts.items()
        for check, verdict in answers.items()
        if verdict.passed is False
    ]
    for method, maps in _by_method(records).items():
        for find in (_draw_alarms, _completeness_alarms, _path_alarms):
            alarms += find(method, maps)
        for n, words, _ in _unusual(maps):
            text = f"{n} of {counted(len(maps), 'map')} {words}"
            alarms.append(Alarm(method, text, spoils=n > _FEW * len(maps)))
    return alarms


def unusual_maps(records: Sequence[MapRecord]) -> list[str]:
    """Return which maps lie outside the brain or are zero, in sentences for a paper."""
    return [
        f"Of {len(maps)} {METHODS[method].title} maps, {n} {words}{numbers}."
        for method, maps in _by_method(records).items()
        for n, words, numbers in _unusual(maps)
    ]


def _unusual(maps: list[MapRecord]) -> Iterator[tuple[int, str, str]]:
    """Yield how many of a method's maps are unusual, in which way, and numbers of that."""
    rows = [record.statistics for record in maps]
    inside = [(row.brain_share, row.brain_share_null) for row in rows if row.brain_share is not None]
    below = [(row.brain_share, row.brain_share_null) for row in rows if is_below_null(row)]
    n_outside = sum(null is None and share < 1 - OUTSIDE_ALARM for share, null in inside)
    n_zero = sum(row.abs_mean == 0 for row in rows)
    if below:
        share, null = (median(shares) for shares in zip(*below, strict=True))
        less = f"had at least {NULL_MARGIN:.0%} less inside the brain than a map that knows nothing of it"
        yield len(below), f"{less}, the mark of a shortcut", f" (median {share:.0%} and {null:.0%})"
    if n_outside:
        yield n_outside, f"had over {OUTSIDE_ALARM:.0%} outside the brain, the mark of a shortcut", ""
    if n_zero:
        yield n_zero, "were zero everywhere", ""


def is_below_null(row: MapStatistics) -> bool:
    """Return whether less of a map lies in the brain than of its null map, by more than chance."""
    share, null = row.brain_share, row.brain_share_null
    return share is not None and null is not None and share < null - NULL_MARGIN


def _by_method(records: Sequence[MapRecord]) -> dict[str, list[MapRecord]]:
    """Return the records of each method, in the registry's order."""
    found = {method: [record for record in records if record.method == method] for method in METHODS}
    return {method: maps for method, maps in found.items() if maps}


def _completeness_alarms(method: str, records: list[MapRecord]) -> Iterator[Alarm]:
    incomplete = [record for record in records if record.statistics.completeness_verdict == "check"]
    if not incomplete:
        return
    if all(record.statistics.completeness_standard_error is not None for record in incomplete):
        remedy = "raise --n_samples" if "n_samples" in METHODS[method].settings else ""
    elif all(record.recipe.settings.get("n_steps") == AUTO for record in incomplete):
        remedy = "lower --map_error"
    else:
        counts = [f"--{name}" for name in METHODS[method].settings if name.startswith("n_")]
        remedy = f"raise {' and '.join(counts)}" if counts else ""
    n, of = len(incomplete), counted(len(records), "map")
    verb = "does" if n == 1 else "do"
    yield Alarm(method, f"{n} of {of} {verb} not add up", remedy, n > _FEW * len(records))


def _path_alarms(method: str, records: list[MapRecord]) -> Iterator[Alarm]:
    """Yield the alarm about maps for whose error the points on the path did not suffice."""
    missed = []
    for record in records:
        error, settings = record.statistics.map_error, record.recipe.settings
        wanted = settings.get("map_error") if settings.get("n_steps") == AUTO else None
        if error is not None and isinstance(wanted, int | float) and error > wanted:
            missed.append(error)
    if not missed or METHODS[method].stochastic:  # whose error is that of the draws
        return
    text = (
        f"{len(missed)} of {counted(len(records), 'map')} did not reach --map_error with {POINTS[-1]} points"
    )
    n_bad = sum(error > COMPLETENESS_TOLERANCE for error in missed)
    yield Alarm(method, f"{text} (largest error {max(missed):.2g})", spoils=n_bad > _FEW * len(records))


def _draw_alarms(method: str, records: list[MapRecord]) -> Iterator[Alarm]:
    """Yield the alarm about maps of too few draws for their sums."""
    errors, needed = [], []  # of each map: its sum's relative standard error, and draws for the tolerance
    for record in records:
        error, n_samples = record.statistics.sum_error, record.recipe.settings.get("n_samples")
        if isinstance(n_samples, int) and error is not None:
            errors.append(error)
            needed.append(n_samples * (error / COMPLETENESS_TOLERANCE) ** (1 / STRATIFIED_RATE))
    if errors and median(errors) > COMPLETENESS_TOLERANCE:
        text = f"too few draws (sums uncertain by {median(errors):.0%})"
        yield Alarm(method, text, f"repeat it with --n_samples {rounded_up(ceil(median(needed))):.0f}")
