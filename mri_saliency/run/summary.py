"""The last lines of a run on the screen: what was made, what failed, the answer, where the report is."""

import sys
from collections.abc import Sequence

from mri_saliency.output.folder import OutputFolder
from mri_saliency.output.record import MapRecord
from mri_saliency.run.outcome import Outcome
from mri_saliency.statistics.intervals import share_interval
from mri_saliency.wording import counted

_SHOWN_FAILURES = 10


def print_summary(
    folder: OutputFolder, records: list[MapRecord], outcome: Outcome, elapsed_s: float, answer: Sequence[str]
) -> None:
    """Print what was made, what failed, and `answer`, the lines on what the maps show."""
    minutes, seconds = divmod(round(elapsed_s), 60)
    took = f"{minutes} min {seconds} s" if minutes else f"{seconds} s"
    there = (
        f"{counted(len(records), 'map')} of {counted(len({record.subject_id for record in records}), 'scan')}"
    )
    kept = f"; {outcome.n_kept} were there" if outcome.n_kept else ""
    made = f"{counted(outcome.n_written, 'map')} made in {took}{kept}"
    print(f"{made}; {folder.root} has {there}.")
    if outcome.failures:
        print(f"{len(outcome.failures)} maps failed, listed in {folder.failures}:", file=sys.stderr)
    for failure in outcome.failures[:_SHOWN_FAILURES]:
        print(f"  {failure.subject_id} {failure.method}: {failure.reason}", file=sys.stderr)
    if len(outcome.failures) > _SHOWN_FAILURES:
        print(f"  and {len(outcome.failures) - _SHOWN_FAILURES} more", file=sys.stderr)
    print_answer(folder, records, answer)


def print_answer(folder: OutputFolder, records: list[MapRecord], answer: Sequence[str]) -> None:
    """Print how often the network was right, the lines of the answer, and the report's address."""
    if answer:
        rows = {record.subject_id: record.statistics for record in records}.values()
        k, n = sum(row.predicts_tle == row.is_tle for row in rows), len(rows)
        low, high = share_interval(k, n)
        print(f"The network was right on {k} of {n} scans (95% interval {100 * low:.0f} to {high:.0%}).")
        print(*answer, sep="\n")
    if folder.report.exists():
        print(f"report: {folder.report.absolute().as_uri()}", flush=True)
