"""The report's page while a run goes on: the maps that are finished, and how many are not."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress

from mri_saliency.errors import OutputError
from mri_saliency.inputs.scan_table import Scan
from mri_saliency.output.record import MapRecord
from mri_saliency.report.report import write_unfinished
from mri_saliency.run.outcome import Outcome, RunState
from mri_saliency.run.plan import Plan
from mri_saliency.run.provenance import RunRecord
from mri_saliency.runtime.ranks import Ranks

UPDATE_EVERY_S = 30.0  # at most
_LARGEST_SHARE = 0.01  # of a run's time


class LiveReport:
    """Keeps the report's page up to date while a run goes on; the main rank writes it, of its own maps."""

    def __init__(self, plan: Plan, outcome: Outcome, ranks: Ranks) -> None:
        self._folder, self._outcome, self._ranks = plan.files.folder, outcome, ranks
        self._records = list(plan.kept)
        self._unread: list[tuple[str, str]] = []
        self._due_s = time.monotonic()

    def update(self, scan: Scan, method: str) -> None:
        """Note that a map is finished, and write the page if that is due."""
        if not self._ranks.is_main:
            return
        self._unread.append((method, scan.subject_id))
        began_s = time.monotonic()
        if began_s < self._due_s:
            return
        records = [self._folder.read_record(*name) for name in self._unread]
        self._records += [record for record in records if record is not None]
        self._unread.clear()
        n_done, n_ranks = self._outcome.n_done, self._ranks.size
        if n_ranks > 1:
            n_done = self._outcome.n_kept + self._ranks.add("map", 0)  # as `Progress` counts
        write_unfinished(self._folder, self._records, _state("running", self._outcome, n_done, n_ranks))
        ended_s = time.monotonic()
        self._due_s = ended_s + max(UPDATE_EVERY_S, (ended_s - began_s) / _LARGEST_SHARE)


def write_status(status: str, run_record: RunRecord, records: Sequence[MapRecord], outcome: Outcome) -> None:
    """Write how a run stands into run.json and onto the page."""
    run_record.write(status, outcome)
    write_unfinished(run_record.folder, records, _state(status, outcome, outcome.n_done))


def write_interrupted(run_record: RunRecord, records: Sequence[MapRecord], outcome: Outcome) -> None:
    """Write that a run was interrupted, if the disk, which may be the reason, allows it."""
    with suppress(OutputError):
        write_status("interrupted", run_record, records, outcome)


def _state(status: str, outcome: Outcome, n_done: int, n_ranks: int = 1) -> RunState:
    return RunState(status, outcome.n_planned, n_done, n_ranks, tuple(outcome.failures))
