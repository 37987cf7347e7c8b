"""What becomes of each scan and map while a run goes on: counted, printed, recorded as failed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future

from mri_saliency.errors import OutputError, UserError, failure_message
from mri_saliency.inputs.loading import LoadedScan, UnreadableScan
from mri_saliency.inputs.scan_table import Scan
from mri_saliency.run.outcome import STOP_AFTER, Outcome
from mri_saliency.run.plan import Plan
from mri_saliency.runtime.progress import Progress


class Bookkeeping:
    """Connects the outcome of a run with the screen.

    Parameters
    ----------
    plan : Plan
    outcome : Outcome
        Is filled.
    progress : Progress
        Shows it.
    on_written : callable, optional
        Called with the scan and the method of each map that is written.
    """

    def __init__(
        self,
        plan: Plan,
        outcome: Outcome,
        progress: Progress,
        on_written: Callable[[Scan, str], None] = lambda scan, method: None,
    ) -> None:
        self._plan, self._outcome, self._progress = plan, outcome, progress
        self._on_written = on_written
        self._warnings: set[str] = set()  # already printed

    def readable(self, groups: Iterable[list[LoadedScan | UnreadableScan]]) -> Iterator[list[LoadedScan]]:
        """Yield the loaded scans of each group; record the others as failed, and warn of unusual grids."""
        for group in groups:
            loaded = [scan for scan in group if isinstance(scan, LoadedScan)]
            for scan in group:
                if isinstance(scan, UnreadableScan):
                    self.fail(scan.scan, self._plan.open_methods(scan.scan), UserError(scan.reason))
            for scan in loaded:
                self._outcome.work_s["load"] += scan.load_s
                self._warn_of_input(scan)
            del group
            yield loaded

    def end_map(self, label: tuple[Scan, str], writing: Future) -> None:
        """Count a map as written or failed; `writing` is the worker's job.

        Raises
        ------
        OutputError
            The output folder cannot be written to.
        """
        scan, method = label
        try:
            self._outcome.work_s.update(writing.result())
        except OutputError:
            raise
        except Exception as error:
            self.fail(scan, [method], error)
        else:
            self._outcome.n_written += 1
            self._progress.advance()
            self._on_written(scan, method)

    def fail(self, scan: Scan, methods: list[str], error: Exception) -> None:
        """Record the failure of a scan's maps, and print it.

        Raises
        ------
        UserError
            The first scans have all failed for one reason, and no map was written.
        """
        reason = failure_message(error)
        self._progress.print(f"failed: {scan.subject_id} ({', '.join(methods)}): {reason}")
        self._outcome.add_failures(scan, methods, reason)
        self._progress.advance(len(methods))
        if common := self._outcome.common_failure():
            raise UserError(f"stopped: the first {STOP_AFTER} scans all failed for the same reason: {common}")

    def _warn_of_input(self, scan: LoadedScan) -> None:
        warning = scan.context.input_warning
        self._outcome.input_warnings.update([warning] if warning else [])
        if warning and warning not in self._warnings:
            self._warnings.add(warning)
            self._progress.print(
                f"warning: {scan.context.scan.subject_id} (at least): {warning}. The network may see "
                "something else than in training; the column input_warning names all scans."
            )
