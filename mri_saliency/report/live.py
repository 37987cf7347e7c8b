"""The report's page while a run goes on: the maps that are finished, and how many are not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from functools import partial

from mri_saliency.cohort.groups import class_words, diagnosis_words
from mri_saliency.output.files import relative_url, write_text
from mri_saliency.output.folder import OutputFolder
from mri_saliency.output.record import MapRecord, in_order
from mri_saliency.report.page import render_page
from mri_saliency.report.scans import failure_entries, scan_table
from mri_saliency.run.outcome import RunState
from mri_saliency.wording import ClassNames, demo_mark

UPDATE_EVERY_S = 30.0  # at most
_LARGEST_SHARE = 0.01  # of a run's time
_STATES = {  # run.json's status -> what the page says
    "running": "The run is unfinished.",
    "checking": "All maps are made. They are being checked, which takes a while.",
    "describing": "The cohort's tables and figures are being written; then this page becomes the report.",
    "interrupted": "It was interrupted. The same command continues it; --report_only describes the maps.",
}


def write_unfinished(folder: OutputFolder, records: Sequence[MapRecord], state: RunState) -> None:
    """Write report.html of an unfinished run; nothing without maps or run.json.

    Raises
    ------
    OutputError
        The page cannot be written.
    """
    run = folder.last_run()
    if not records or run is None:
        return
    records, n_ranks, n_done = in_order(list(records)), state.n_ranks, state.n_done
    failures, status = [asdict(failure) for failure in state.failures], state.status
    class_names = ClassNames(*run["options"]["class_names"])
    content = {
        "run": run,
        "state": _STATES[status],
        "is_running": status != "interrupted",
        "reload_s": int(UPDATE_EVERY_S),
        "now": datetime.now().astimezone().isoformat(timespec="seconds"),
        "n_planned": state.n_planned,
        "n_done": n_done,
        "n_ranks": n_ranks,
        "n_failed": len(failures),
        "failures": failure_entries(failures),
        "demo": demo_mark(record.subject_id for record in records),
        "methods": list(dict.fromkeys(record.method for record in records)),
        "table": scan_table(records, folder),
        "diagnoses": diagnosis_words({record.statistics.diagnosis for record in records}, class_names),
        "words": class_words(class_names),
        "embedded": False,
    }
    link = partial(relative_url, folder=folder.root)
    write_text(folder.report, render_page("live.html", link, **content))
