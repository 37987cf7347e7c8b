"""A queue of jobs whose results nobody waits for, with back-pressure toward the workers."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress

from mri_saliency.errors import UserError
from mri_saliency.runtime.workers import Workers


class WriteQueue:
    """Jobs whose results nobody waits for, of which few are pending: `put` blocks while there are more.

    Parameters
    ----------
    workers : Workers
    on_end : callable
        Called with a job's label and its future when it is over, in the order of `put`.
    """

    PENDING_PER_WORKER = 2  # few, so that memory hardly grows with the cohort

    def __init__(self, workers: Workers, on_end: Callable[[object, Future], None]) -> None:
        self._workers, self._on_end = workers, on_end
        self._pending: deque[tuple[object, Future]] = deque()

    def __len__(self) -> int:
        """Return the number of pending jobs."""
        return len(self._pending)

    def put(self, label: object, function: Callable, *args: object) -> None:
        """Start a job, and wait until few are pending."""
        self._pending.append((label, self._workers.submit(function, *args)))
        self._end_jobs(self.PENDING_PER_WORKER * max(1, self._workers.n))

    def put_failure(self, label: object, error: Exception) -> None:
        """Report a job that could not be started, as if it had failed."""
        future: Future = Future()
        future.set_exception(error)
        self._on_end(label, future)

    def drain(self) -> None:
        """Wait for all jobs."""
        self._end_jobs(0)

    def close(self) -> None:
        """Drop the jobs that have not begun, and wait for the others, which still count."""
        self._pending = deque(job for job in self._pending if not job[1].cancel())
        while self._pending:
            with suppress(UserError):  # the run has ended for its first reason
                self._end_jobs(0)

    def _end_jobs(self, most_pending: int) -> None:
        while self._pending and (len(self._pending) > most_pending or self._pending[0][1].done()):
            self._on_end(*self._pending.popleft())
