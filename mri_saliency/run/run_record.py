"""How the maps were made: run.json, and the files that describe the folder to other tools."""

import platform
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from importlib.metadata import version
from typing import TYPE_CHECKING
from uuid import uuid4

from mri_saliency import __version__
from mri_saliency.output.bids import describe_dataset
from mri_saliency.output.files import SUBFOLDERS, remove_parts, write_array, write_json
from mri_saliency.output.folder import FORMAT, OutputFolder
from mri_saliency.output.program import TOOL, program, source_hash
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


@dataclass(frozen=True)
class RunRecord:
    """run.json: what is needed to state how the maps were made, and to make them again."""

    folder: OutputFolder
    started: datetime
    request: dict  # what does not change during the run: command line, options, settings, checkpoint, device
    id: str = field(default_factory=lambda: uuid4().hex)  # two runs can start in one second

    def write(self, status: str, counts: Mapping[str, object] | None = None) -> None:
        """Write run.json; it keeps the runs before this one under ``earlier_runs``."""
        packages = {package: version(package) for package in _RECORDED_PACKAGES}
        content = {
            "format": FORMAT,
            "tool": {"name": TOOL, "version": __version__, "source": source_hash()},
            "id": self.id,
            "status": status,
            **self.request,
            "platform": platform.platform(),
            "versions": {"python": platform.python_version()} | packages,
            "started": _iso(self.started),
        }
        if counts is not None:
            content |= {"ended": _iso(datetime.now().astimezone()), **counts}
        last = self.folder.last_run() or {}
        earlier = last.pop("earlier_runs", [])
        if last and last["id"] != self.id:
            earlier.append(last)
        write_json(self.folder.run_record, content | {"earlier_runs": earlier}, durably=True)


def prepare_folder(folder: OutputFolder, baseline: "Baseline | None" = None) -> None:
    """Remove half-written tables; write what describes the folder, and the mean control with its scans."""
    for name in ("", *SUBFOLDERS):
        remove_parts(folder.root / name)
    if baseline is not None and baseline.healthy is not None:
        write_array(folder.hc_mean, baseline.healthy.mean)
        write_json(folder.hc_mean_scans, baseline.healthy.to_json())
    describe_dataset(folder)


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
    """Return with what maps were made, in sentences for a paper, from run.json of the runs that made them."""
    tools = _different(map(_program_of, runs))
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
    """Return with what the cohort was described, if `runs` were made with another program."""
    is_same = program() in map(_program_of, runs)
    return [] if is_same else [f"The cohort was described with {TOOL} {program()}."]


def _program_of(run: Mapping) -> str:
    return f"{run['tool']['version']}+{run['tool']['source']}"


def _different(values: Iterable[str | None]) -> list[str]:
    """Return the values that are known, each once."""
    return [str(value) for value in dict.fromkeys(values) if value]


def _iso(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds")
