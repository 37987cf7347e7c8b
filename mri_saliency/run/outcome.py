"""What a run has achieved so far: counts, failures, and seconds of work."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field

from mri_saliency.inputs.scan_table import Scan

STOP_AFTER = 10  # scans that all fail, for one reason, before any map is made


@dataclass(frozen=True)
class Failure:
    """A map that could not be made or written: a row of failures.csv."""

    subject_id: str
    method: str
    file: str
    reason: str

    @property
    def reason_without_path(self) -> str:
        """The reason, comparable between scans."""
        return self.reason.replace(self.file, "(the scan)")


@dataclass
class Outcome:
    """Counts, failures and seconds of work of a run; with torchrun, of this rank until they are merged.

    Attributes
    ----------
    n_kept, n_written : int
        Maps that an earlier run finished; maps that this one wrote.
    failures : list of Failure
    input_warnings : Counter
        How many scans that were read in this run have each warning.
    work_s : Counter
        Seconds by kind of work: the workers' processor time, the network's wall-clock time.
    n_planned : int
        All maps of the run, kept ones too.
    """

    n_kept: int = 0
    n_written: int = 0
    failures: list[Failure] = field(default_factory=list)
    input_warnings: Counter[str] = field(default_factory=Counter)
    work_s: Counter[str] = field(default_factory=Counter)
    n_planned: int = 0

    @property
    def n_done(self) -> int:
        """The maps of which nothing more will come: kept, written or failed."""
        return self.n_kept + self.n_written + len(self.failures)

    def add_failures(self, scan: Scan, methods: list[str], reason: str) -> None:
        """Count a scan's maps by these methods as failed."""
        self.failures += [Failure(scan.subject_id, method, str(scan.path), reason) for method in methods]

    def common_failure(self) -> str | None:
        """Return why the first scans all failed, if they did for one reason and no map was written."""
        if self.n_written or self.n_kept:
            return None
        reasons = {failure.subject_id: failure.reason_without_path for failure in self.failures}
        is_common = len(reasons) >= STOP_AFTER and len(set(reasons.values())) == 1
        return self.failures[-1].reason_without_path if is_common else None

    def counts(self) -> dict[str, int]:
        """Return the numbers of maps, as run.json has them."""
        return {"maps": self.n_written, "kept": self.n_kept, "failures": len(self.failures)}

    def to_json(self) -> dict:
        """Return the outcome as JSON can hold it, for another rank's `merge`."""
        failures = [asdict(failure) for failure in self.failures]
        counters = {"work_s": dict(self.work_s), "input_warnings": dict(self.input_warnings)}
        return {"n_written": self.n_written, "failures": failures, **counters}

    def merge(self, others: list[dict]) -> None:
        """Add other ranks' outcomes, as `to_json` returned them; kept maps are counted once."""
        for other in others:
            self.n_written += other["n_written"]
            self.failures += [Failure(**failure) for failure in other["failures"]]
            self.work_s.update(other["work_s"])
            self.input_warnings.update(other["input_warnings"])


@dataclass(frozen=True)
class RunState:
    """How far a run is, for its page.

    Attributes
    ----------
    status : str
        "running", "checking", "describing" or "interrupted", as in run.json.
    n_planned, n_done : int
        All maps of the run, and those of which nothing more will come.
    n_ranks : int
        The processes that share the maps, while each knows of its own alone; then 1.
    failures : tuple of Failure
    """

    status: str
    n_planned: int
    n_done: int
    n_ranks: int = 1
    failures: tuple[Failure, ...] = ()
