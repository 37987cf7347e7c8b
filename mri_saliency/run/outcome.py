"""What a run has achieved so far: counts, failures, and seconds of work."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field

STOP_AFTER = 10  # scans that all fail, for one reason, before any map is made


@dataclass(frozen=True)
class Failure:
    """A map that could not be made or written: a row of failures.csv."""

    subject_id: str
    method: str
    file: str
    reason: str


@dataclass
class Outcome:
    """What became of a run's maps; with torchrun, of this rank's until the others' are added."""

    n_kept: int = 0  # maps that an earlier run finished
    n_written: int = 0
    failures: list[Failure] = field(default_factory=list)
    input_warnings: Counter[str] = field(default_factory=Counter)  # of the scans that this run read
    work_s: dict[str, float] = field(default_factory=dict)  # workers: processor time; network: clock time

    def add_work(self, seconds: Mapping[str, float]) -> None:
        """Add seconds by kind of work."""
        for kind, amount in seconds.items():
            self.work_s[kind] = self.work_s.get(kind, 0.0) + amount

    def common_failure(self) -> str | None:
        """Return why the first scans all failed, if they did for one reason and no map is made."""
        reasons = {f.subject_id: f.reason.replace(f.file, "(the scan)") for f in self.failures}  # comparable
        if self.n_written or self.n_kept or len(reasons) < STOP_AFTER or len(set(reasons.values())) > 1:
            return None
        return next(iter(reasons.values()))

    def to_json(self) -> dict[str, object]:
        """Return what run.json says of it."""
        return {
            "work_s": {kind: round(seconds, 2) for kind, seconds in self.work_s.items()},
            "counts": {"maps": self.n_written, "kept": self.n_kept, "failures": len(self.failures)},
            "input_warnings": dict(self.input_warnings),
        }

    def of_rank(self) -> dict[str, object]:
        """Return what `add` takes from another rank."""
        return vars(self) | {"failures": list(map(asdict, self.failures))}

    def add(self, others: Iterable[Mapping]) -> None:
        """Add other ranks' outcomes, as `of_rank` returned them; kept maps are counted once."""
        for other in others:
            self.n_written += other["n_written"]
            self.failures += [Failure(**failure) for failure in other["failures"]]
            self.input_warnings.update(other["input_warnings"])
            self.add_work(other["work_s"])


@dataclass(frozen=True)
class RunState:
    """How far a run is, for its page."""

    status: str  # as in run.json: "running", "checking", "describing" or "interrupted"
    n_planned: int
    n_done: int  # maps of which nothing more will come
    n_ranks: int = 1  # more while each process knows of its own maps alone
    failures: tuple[Failure, ...] = ()
