"""How the maps were made: run.json, and the files that describe the folder to other tools."""

from __future__ import annotations

import platform
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from importlib.metadata import version
from typing import TYPE_CHECKING

from mri_saliency import __version__
from mri_saliency.output.bids import TOOL, describe_dataset
from mri_saliency.output.files import write_array, write_json, write_or_remove_table
from mri_saliency.output.folder import OutputFolder
from mri_saliency.output.record import MapRecord, statistics_table
from mri_saliency.run.outcome import Outcome
from mri_saliency.wording import listed

if TYPE_CHECKING:
    from mri_saliency.attribution.baselines import Baseline

# package -> its title and citation in a text
_RECORDED_PACKAGES = {
    "torch": "PyTorch {} [@paszke2019]",
    "torchvision": "torchvision {} [@torchvision2016]",
    "captum": "Captum {} [@kokhlikyan2020]",
    "numpy": "NumPy {} [@harris2020]",
    "pandas": "pandas {} [@mckinney2010]",
    "matplotlib": "Matplotlib {} [@hunter2007]",
    "nibabel": "NiBabel {} [@markiewicz2024]",
    "scipy": "SciPy {} [@virtanen2020]",
}
_OF_NETWORKS = ("torch", "torchvision", "captum")  # not used where no network runs
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


def prepare_folder(folder: OutputFolder, baseline: Baseline | None) -> None:
    """Remove half-written tables, and write what does not depend on the maps.

    That is what describes the folder to other people and tools, and the mean control with its scans.
    """
    folder.remove_parts()
    if baseline is not None and baseline.healthy is not None:
        write_array(folder.hc_mean, baseline.values)
        write_json(folder.hc_mean_scans, baseline.healthy.to_json())
    describe_dataset(folder)


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


def making_runs(run: Mapping, n_maps: int) -> list[Mapping]:
    """Return the runs that made the folder's maps, the last one first; only that if none counted them."""
    runs, n_found = [], 0
    for part in (run, *reversed(run.get("earlier_runs") or ())):
        n_made = (part.get("counts") or {}).get("maps", 0)
        if n_made and n_found < n_maps:
            runs.append(part)
            n_found += n_made
    return runs or [run]


def software_sentences(runs: Sequence[Mapping], *, with_network: bool = True) -> list[str]:
    """Return with what maps were made, in sentences for a paper.

    Parameters
    ----------
    runs : sequence of mapping
        The content of run.json of the runs that made them, the last one first; what they lack is left out.
    with_network : bool
        Whether a network was run.
    """
    tools = _different(run.get("tool", {}).get("version") for run in runs)
    pythons = _different(run.get("versions", {}).get("python") for run in runs)
    used = [f"{TOOL} {' and '.join(tools)}"] if tools else []
    used += [f"Python {' and '.join(pythons)}"] if pythons else []
    for package, words in _RECORDED_PACKAGES.items():
        versions = _different(run.get("versions", {}).get(package) for run in runs)
        if versions and (with_network or package not in _OF_NETWORKS):
            used.append(words.format(" and ".join(versions)))
    verb = "made" if with_network else "brought together"
    sentences = [f"The maps were {verb} with {listed(used)}."] if used else []
    hardware = _different(run.get("device", {}).get("hardware") for run in runs)
    if hardware and with_network:
        words = listed("a CPU" if name == "cpu" else f"{name} hardware" for name in hardware)
        sentences.append(f"The network ran on {words}.")
    return sentences


def description_sentences(runs: Sequence[Mapping]) -> list[str]:
    """Return with what the cohort was described, if `runs` were made with another version."""
    if __version__ in _different(run.get("tool", {}).get("version") for run in runs):
        return []
    return [f"The cohort was described with {TOOL} {__version__}."]


def _different(values: Iterable[str | None]) -> list[str]:
    """Return the values that are known, each once."""
    return [str(value) for value in dict.fromkeys(values) if value]


def _iso(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds")
