"""What becomes of a run: its maps on their way to the disk, the counts, the screen, run.json and the page."""

import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import asdict
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

import pandas as pd

from mri_saliency.errors import OutputError, UserError, failure_message
from mri_saliency.inputs.loading import LoadedScan, ScanContext, UnreadableScan
from mri_saliency.inputs.scan_table import Scan
from mri_saliency.output.files import output_errors, write_or_remove_table
from mri_saliency.output.folder import OutputFolder
from mri_saliency.output.record import MapRecord, statistics_table
from mri_saliency.run.map_writer import redraw_map, write_new_map
from mri_saliency.run.outcome import STOP_AFTER, Failure, Outcome, RunState
from mri_saliency.run.plan import Action, Plan
from mri_saliency.run.run_record import RunRecord
from mri_saliency.run.summary import print_summary
from mri_saliency.runtime.progress import Progress
from mri_saliency.runtime.ranks import Ranks
from mri_saliency.runtime.workers import Workers

if TYPE_CHECKING:
    from mri_saliency.attribution.result import Attribution

DONE, SOME_FAILED = 0, 1  # exit codes
PENDING_PER_WORKER = 2  # maps that wait to be written: few, so that memory hardly grows with the cohort
PAGE_EVERY_S = 30.0  # at most
PAGES_SHARE = 0.01  # of a run's time


class Work(Protocol):
    """What a journal is about: maps that are planned, and the record of the run that makes them."""

    plan: Plan
    ranks: Ranks
    record: RunRecord

    def prepare_folder(self) -> None:
        """Write what does not depend on the maps."""


class Journal:
    """Counts and shows what becomes of a run's maps, while worker processes write them.

    As a context it begins a run in its folder, and ends it, however the end comes: the tables have what is
    written, and run.json says how the run ended. A UserError inside ends the run and goes no further.
    """

    def __init__(
        self,
        work: Work,
        workers: Workers,
        write_page: Callable[[OutputFolder, list[MapRecord], RunState], None],
    ) -> None:
        self._work, self._workers, self._write_page = work, workers, write_page
        self._plan, self._ranks = work.plan, work.ranks
        self._folder = work.plan.files.folder
        self.answer: list[str] = []  # what the maps show, once they are described, in lines
        self.outcome = Outcome(n_kept=work.plan.count(Action.KEEP))
        self._n_ranks = work.ranks.size  # whose maps are not counted here yet
        self._is_stopped = self._is_described = False
        self._progress = Progress(len(work.plan.actions), self.outcome.n_kept, work.ranks)
        self._writing: deque[tuple[Scan, str, Future]] = deque()
        self._on_page, self._not_on_page = list(work.plan.kept), list[tuple[str, str]]()
        self._page_due_s = self._began_s = time.monotonic()

    @property
    def exit_code(self) -> int:
        """0, or 1 if maps failed or the run did not come to its end."""
        return SOME_FAILED if self._is_stopped or (self.outcome.failures and self._ranks.is_main) else DONE

    @cached_property
    def records(self) -> list[MapRecord]:
        """The finished maps of the run's network in the folder, once all ranks have written theirs."""
        return self._folder.records(self._work.record.request["checkpoint"]["sha256"])

    # --- the run's chapters ---

    def __enter__(self) -> "Journal":
        """Begin the run in its folder, into which nothing is written before all ranks have a plan."""
        self._folder.create()
        if self._ranks.size > 1:
            self._ranks.check_plans(self._plan.digest())
            with output_errors(self._folder.root):
                self._ranks.check_shared(self._folder.root)
        if self._ranks.is_main:
            n_slices = self._work.record.request["checkpoint"]["n_slices"]
            self._plan.files.warn_of_full_disk(self._plan.count(Action.MAKE), n_slices)
            self._work.record.write("running")  # first: it makes the folder this program's own
            self._work.prepare_folder()
            for record in self._plan.moved:
                self._folder.write_record(record)
        return self

    @contextmanager
    def making_maps(self) -> Iterator[None]:
        """Begin the first chapter; it ends when all ranks' maps are written, and their tables."""
        try:
            yield
            self._end_writing(0)
            of_ranks = self._ranks.exchange(
                "outcome", self.outcome.of_rank(), lambda: self._progress.advance(0)
            )
            if self._ranks.is_main:
                self.outcome.add(of_ranks[1:])
                self._n_ranks = 1
                self._count_records()
        finally:
            self._drop_waiting()
            self._progress.close()
            self._workers.behind_network = False
            if self._ranks.is_main:
                write_or_remove_table(self._folder.statistics, statistics_table(self.records))
                write_or_remove_table(self._folder.failures, pd.DataFrame(map(asdict, self.outcome.failures)))

    def _count_records(self) -> None:
        """Raise UserError if maps that were written are not in the folder."""
        found = {(record.subject_id, record.method) for record in self.records} & self._plan.actions.keys()
        n_made = self.outcome.n_kept + self.outcome.n_written
        if len(found) < n_made:
            raise UserError(
                f"{self._folder.root}: {n_made} maps were made, and {len(found)} are there. Something was "
                "removed, or a process wrote elsewhere. The same command makes the missing maps."
            )

    @contextmanager
    def chapter(self, status: str) -> Iterator[None]:
        """Begin a later chapter, "checking" or "describing"; a failure in it costs no other chapter."""
        self._write_status(status)
        try:
            yield
            self._is_described = status == "describing"
        except OutputError:
            raise
        except Exception as error:
            self._stop(f"{status}: {failure_message(error)}")

    def __exit__(self, _: object, error: BaseException | None, *__: object) -> bool:
        """End the run: its last status, its summary, and a UserError that stopped it."""
        if self._ranks.is_main:
            is_whole = error is None and not self._is_stopped
            with suppress(OutputError):  # the disk may be why the run ends
                if is_whole or self._is_described:
                    self._work.record.write("done" if is_whole else "interrupted", self.outcome.to_json())
                else:
                    self._write_status("interrupted")
            elapsed_s = time.monotonic() - self._began_s
            print_summary(self._folder, self.records, self.outcome, elapsed_s, self.answer)
        if isinstance(error, UserError):
            self._stop(str(error))
        return isinstance(error, UserError)

    def _stop(self, reason: str) -> None:
        self._is_stopped = True
        print(f"error: {reason}", file=sys.stderr)

    # --- the maps ---

    def readable(self, groups: Iterable[list[LoadedScan | UnreadableScan]]) -> Iterator[list[LoadedScan]]:
        """Yield the loaded scans of each group; record the others as failed, and warn of unusual scans."""
        for group in groups:
            loaded = [scan for scan in group if isinstance(scan, LoadedScan)]
            for scan in group:
                if isinstance(scan, UnreadableScan):
                    self._fail(scan.scan, self._plan.open_methods(scan.scan), UserError(scan.reason))
            for scan in loaded:
                self.outcome.add_work({"load": scan.load_s})
                self._warn_of_input(scan.context)
            del group
            yield loaded

    def write(self, context: ScanContext, method: str, attribution: "Attribution | Exception | None") -> None:
        """Let a worker write a map; None draws it again, from its array; an error is the map's failure.

        Raises UserError if the first scans have all failed for one reason, and no map was written.
        """
        files = self._plan.files
        if isinstance(attribution, Exception):
            self._fail(context.scan, [method], attribution)
        elif attribution is None:
            self.submit(context.scan, method, redraw_map, context, method, files)
        else:
            made = (attribution, self._plan.recipes[method])
            self.submit(context.scan, method, write_new_map, context, method, *made, files)

    def submit(self, scan: Scan, method: str, job: Callable[..., dict[str, float]], *args: object) -> None:
        """Start a worker's job that writes a map, and wait until few are under way; raises as `write`."""
        self._writing.append((scan, method, self._workers.submit(job, *args)))
        self._end_writing(PENDING_PER_WORKER * max(1, self._workers.n))

    def _end_writing(self, most_pending: int) -> None:
        """Count the maps that are written, in order; wait while more than `most_pending` are not."""
        while self._writing and (len(self._writing) > most_pending or self._writing[0][-1].done()):
            scan, method, job = self._writing.popleft()
            try:
                self.outcome.add_work(job.result())
            except OutputError:
                raise
            except Exception as error:
                self._fail(scan, [method], error)
            else:
                self.outcome.n_written += 1
                self._progress.advance()
                self._not_on_page.append((method, scan.subject_id))
                self._update_page()

    def _drop_waiting(self) -> None:
        """Drop the maps that no worker has begun to write, and wait for the others, which still count."""
        self._writing = deque(waiting for waiting in self._writing if not waiting[-1].cancel())
        while self._writing:
            with suppress(UserError):  # the run has ended for its first reason
                self._end_writing(0)

    def _fail(self, scan: Scan, methods: list[str], error: Exception) -> None:
        """Record the failure of a scan's maps, and print it; raises as `write`."""
        reason = failure_message(error)
        self._progress.print(f"failed: {scan.subject_id} ({', '.join(methods)}): {reason}")
        self.outcome.failures += [
            Failure(scan.subject_id, method, str(scan.path), reason) for method in methods
        ]
        self._progress.advance(len(methods))
        if common := self.outcome.common_failure():
            raise UserError(f"stopped: the first {STOP_AFTER} scans all failed for the same reason: {common}")

    def _warn_of_input(self, context: ScanContext) -> None:
        warning = context.input_warning
        if warning and warning not in self.outcome.input_warnings:
            self._progress.print(
                f"warning: {context.scan.subject_id} (at least): {warning}. The network may see something "
                "else than in training; the column input_warning names all scans."
            )
        self.outcome.input_warnings.update([warning] if warning else [])

    # --- run.json, the page ---

    def _write_status(self, status: str) -> None:
        """Write how the run stands into run.json and onto the page."""
        self._work.record.write(status, self.outcome.to_json())
        self._show(status, self.records)

    def _show(self, status: str, records: list[MapRecord]) -> None:
        n_planned, failures = len(self._plan.actions), tuple(self.outcome.failures)
        state = RunState(status, n_planned, self._progress.n_done, self._n_ranks, failures)
        self._write_page(self._folder, records, state)

    def _update_page(self) -> None:
        """Write the page if that is due, with the maps that this rank has written."""
        began_s = time.monotonic()
        if not self._ranks.is_main or began_s < self._page_due_s:
            return
        records = [self._folder.read_record(*name) for name in self._not_on_page]
        self._on_page += [record for record in records if record is not None]
        self._not_on_page.clear()
        self._show("running", self._on_page)
        ended_s = time.monotonic()
        self._page_due_s = ended_s + max(PAGE_EVERY_S, (ended_s - began_s) / PAGES_SHARE)
