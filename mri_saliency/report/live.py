"""The report's page while a run goes on: the maps that are finished, and how many are not."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from datetime import datetime
from functools import partial

from mri_saliency.cohort.groups import class_words, diagnosis_words
from mri_saliency.errors import OutputError
from mri_saliency.inputs.scan_table import Scan
from mri_saliency.output.files import relative_url, write_text
from mri_saliency.output.folder import OutputFolder
from mri_saliency.output.record import MapRecord, in_order
from mri_saliency.report.page import render_page
from mri_saliency.report.scans import failure_entries, scan_table
from mri_saliency.run.outcome import Outcome
from mri_saliency.run.plan import Plan
from mri_saliency.run.provenance import RunRecord
from mri_saliency.runtime.ranks import Ranks
from mri_saliency.wording import ClassNames, demo_mark

UPDATE_EVERY_S = 30.0  # at most
_LARGEST_SHARE = 0.01  # of a run's time
_STATES = {  # run.json's status -> what the page says
    "running": "The run is unfinished.",
    "checking": "All maps are made. They are being checked, which takes a while.",
    "describing": "The cohort's tables and figures are being written; then this page becomes the report.",
    "interrupted": "It was interrupted. The same command continues it; --report_only describes the maps.",
}


class LiveReport:
    """Keeps the report's page up to date while a run goes on.

    Parameters
    ----------
    plan : Plan
    outcome : Outcome
        What has become of the maps so far.
    ranks : Ranks
        The main one writes the page, of its own maps.
    """

    def __init__(self, plan: Plan, outcome: Outcome, ranks: Ranks) -> None:
        self._folder, self._outcome, self._ranks = plan.files.folder, outcome, ranks
        self._records, self._unread = list(plan.kept), []
        self._due_s = time.monotonic()

    def update(self, scan: Scan, method: str) -> None:
        """Note that a map is finished, and write the page if that is due.

        Raises
        ------
        OutputError
            The page cannot be written.
        """
        if not self._ranks.is_main:
            return
        self._unread.append((method, scan.subject_id))
        began_s = time.monotonic()
        if began_s < self._due_s:
            return
        records = [self._folder.read_record(*name) for name in self._unread]
        self._records += [record for record in records if record is not None]
        self._unread.clear()
        write_live_report(self._folder, self._records, self._outcome, self._ranks)
        ended_s = time.monotonic()
        self._due_s = ended_s + max(UPDATE_EVERY_S, (ended_s - began_s) / _LARGEST_SHARE)


def write_status(status: str, run_record: RunRecord, records: Sequence[MapRecord], outcome: Outcome) -> None:
    """Write how a run stands into run.json and onto the page.

    Raises
    ------
    OutputError
        They cannot be written.
    """
    run_record.write(status, outcome)
    write_live_report(run_record.folder, records, outcome)


def write_interrupted(run_record: RunRecord, records: Sequence[MapRecord], outcome: Outcome) -> None:
    """Write that a run was interrupted, if the disk, which may be the reason, allows it."""
    with suppress(OutputError):
        write_status("interrupted", run_record, records, outcome)


def write_live_report(
    folder: OutputFolder, records: Sequence[MapRecord], outcome: Outcome, ranks: Ranks | None = None
) -> None:
    """Write report.html of an unfinished run, whose status is that of run.json; nothing without maps.

    `ranks` are given while each counts its own maps: the page has those of this one, and all ranks' number.

    Raises
    ------
    OutputError
        The page cannot be written.
    """
    run = folder.last_run()
    if not records or run is None:
        return
    records, n_ranks, n_done = in_order(list(records)), 1, outcome.n_done
    if ranks is not None and ranks.size > 1:
        n_ranks, n_done = ranks.size, outcome.n_kept + ranks.add("map", 0)  # as `Progress` counts
    failures, status = [asdict(failure) for failure in outcome.failures], run["status"]
    class_names = ClassNames(*run["options"]["class_names"])
    content = {
        "run": run,
        "state": _STATES[status],
        "is_running": status != "interrupted",
        "reload_s": int(UPDATE_EVERY_S),
        "now": datetime.now().astimezone().isoformat(timespec="seconds"),
        "n_planned": outcome.n_planned,
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
