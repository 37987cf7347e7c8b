"""The last lines of a run on the screen: what was made, what failed, what to do next."""

from __future__ import annotations

import sys
from collections import Counter

from mri_saliency.output.folder import OutputFolder
from mri_saliency.output.record import MapRecord
from mri_saliency.run.outcome import Outcome

_SHOWN_FAILURES = 10


def print_summary(folder: OutputFolder, records: list[MapRecord], outcome: Outcome, elapsed_s: float) -> None:
    """Print what was made, what failed, and what to do next."""
    kept = f", {outcome.n_kept} were there" if outcome.n_kept else ""
    print(f"{outcome.n_written} maps in {elapsed_s:.0f} s{kept}: {folder.root}")
    verdicts = Counter((record.method, record.statistics.completeness_verdict) for record in records)
    for method in dict.fromkeys(method for method, verdict in verdicts if verdict):
        print(f"completeness of {method}: {verdicts[method, 'ok']} ok, {verdicts[method, 'check']} to check")
    if outcome.failures:
        print(f"{len(outcome.failures)} maps failed, listed in {folder.failures}:", file=sys.stderr)
    for failure in outcome.failures[:_SHOWN_FAILURES]:
        print(f"  {failure.subject_id} {failure.method}: {failure.reason}", file=sys.stderr)
    if len(outcome.failures) > _SHOWN_FAILURES:
        print(f"  and {len(outcome.failures) - _SHOWN_FAILURES} more", file=sys.stderr)
    print_next_steps(folder)


def print_next_steps(folder: OutputFolder) -> None:
    """Print the three things to do next, with addresses that a terminal or a browser opens."""
    if not folder.report.exists():
        return
    report = folder.report.absolute().as_uri()
    steps = {"read the report": report}
    if b'id="map-viewer"' in folder.report.read_bytes():
        steps["look into the maps"] = f"{report}#view"
    if folder.statistics.exists():
        steps["compute with the table"] = folder.statistics.absolute().as_uri()
    print("next:", *(f"  {step:<23}{address}" for step, address in steps.items()), sep="\n", flush=True)
