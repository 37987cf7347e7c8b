"""How the maps were made: run.json, and the files that describe the folder to other tools."""

from __future__ import annotations

import platform
import sys
from collections import Counter
from dataclasses import asdict, dataclass
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from mri_saliency import __version__
from mri_saliency.output.bids import TOOL, describe_dataset
from mri_saliency.output.files import write_array, write_json, write_or_remove_table
from mri_saliency.output.folder import OutputFolder
from mri_saliency.output.outcome import Outcome
from mri_saliency.output.record import MapRecord, statistics_table

if TYPE_CHECKING:
    from mri_saliency.attribution.baselines import Baseline

_RECORDED_PACKAGES = ("torch", "torchvision", "captum", "numpy", "pandas", "matplotlib", "nibabel")
_SHOWN_FAILURES = 10


@dataclass(frozen=True)
class RunRecord:
    """run.json: what is needed to state how the maps were made, and to make them again.

    Attributes
    ----------
    folder : OutputFolder
    started : datetime
    request : dict
        The part that does not change during the run, in the order of run.json: command line, options,
        settings, checkpoint, training parameters, device.
    """

    folder: OutputFolder
    started: datetime
    request: dict

    def write(self, status: str, outcome: Outcome | None = None) -> None:
        """Write run.json; it keeps the runs before this one under ``earlier_runs``."""
        started = _iso(self.started)
        content = {
            "tool": {"name": TOOL, "version": __version__},
            "status": status,
            **self.request,
            "platform": platform.platform(),
            "versions": {"python": platform.python_version()}
            | {package: version(package) for package in _RECORDED_PACKAGES},
            "started": started,
        }
        if outcome is not None:
            content |= {
                "ended": _iso(datetime.now().astimezone()),
                "work_s": {kind: round(seconds, 2) for kind, seconds in outcome.work_s.items()},
                "counts": outcome.counts(),
                "input_warnings": dict(outcome.input_warnings),
            }
        last = self.folder.last_run() or {}
        earlier = last.pop("earlier_runs", [])
        if last and last.get("started") != started:
            earlier.append(last)
        write_json(self.folder.run_record, content | {"earlier_runs": earlier})


def prepare_folder(folder: OutputFolder, baseline: Baseline | None, source_folder: Path) -> None:
    """Remove half-written tables, and write what does not depend on the maps.

    That is what describes the folder to other people and tools, and the mean control with its scans.
    """
    folder.remove_parts()
    if baseline is not None and baseline.healthy is not None:
        write_array(folder.hc_mean, baseline.values)
        write_json(folder.hc_mean_scans, baseline.healthy.to_json())
    describe_dataset(folder, source_folder)


def write_tables(folder: OutputFolder, records: list[MapRecord], outcome: Outcome) -> None:
    """Write the statistics of all maps in the folder, and this run's failures."""
    import pandas as pd

    write_or_remove_table(folder.statistics, statistics_table(records))
    write_or_remove_table(folder.failures, pd.DataFrame(map(asdict, outcome.failures)))


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
    if folder.report.exists():
        print_next_steps(folder)


def print_next_steps(folder: OutputFolder) -> None:
    """Print the three things to do next, with addresses that a terminal or a browser opens."""
    steps = {
        "read the report": folder.report.absolute().as_uri(),
        "look into the maps": f"{folder.report.absolute().as_uri()}#viewer",
        "compute with the table": folder.statistics.absolute().as_uri(),
    }
    print("next:", *(f"  {step:<23}{address}" for step, address in steps.items()), sep="\n", flush=True)


def _iso(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds")
