"""The output folder: the names of everything in it, and the maps that are finished."""

import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import partialmethod
from pathlib import Path
from typing import Any

import numpy as np

from mri_saliency.errors import UserError
from mri_saliency.inputs.grid import INPUT_SIZE
from mri_saliency.inputs.preprocessing import unpad
from mri_saliency.methods import METHODS
from mri_saliency.output.files import (
    FIGURES,
    GROUP_MAPS,
    TABLES_FOLDER,
    make_folder,
    open_array,
    output_errors,
    read_json,
    remove_parts,
    write_json,
)
from mri_saliency.output.json_kinds import of_kind
from mri_saliency.output.record import MapRecord
from mri_saliency.wording import DEFAULT_CLASS_NAMES, ClassNames, first_of

FORMAT = 4  # of a run's folder: raised by a change after which a folder of before cannot be read
_RUN: dict[str, Any] = {  # the kinds of run.json's parts
    **{"status": str, "working_directory": str, "settings": dict[str, object], "versions": dict[str, str]},
    **{"tool": {"version": str, "source": str}, "device": {"hardware": str}},
    "options": {"csv_path": str, "baseline": str},
    "checkpoint": {"sha256": str, "network": str, "n_slices": int, "n_logits": int},
}
_RUNS = _RUN | {  # with those that may be missing
    **{"id": str, "counts": dict[str, int], "earlier_runs": list[dict], "combined": list[dict]},
    "options": _RUN["options"] | {"output_dir": str, "class_names": list[str]},
}


class OutputFolder:
    """Names of everything a run writes, and the finished maps among it; `root` is ``--output_dir``."""

    def __init__(self, root: Path, class_names: ClassNames = DEFAULT_CLASS_NAMES) -> None:
        self.root, self.class_names = root, class_names
        self.report = root / "report.html"
        self.summary = root / "attribution_summary.png"
        self.statistics = self.table("attribution_statistics")
        self.run_record = root / "run.json"
        self.references = root / "references.bib"
        self.failures = self.table("failures")
        self.agreement = self.table("method_agreement")
        self.run_agreement = self.table("run_agreement")
        self.run_regions = self.table("run_regions")
        self.run_region_agreement = self.table("run_region_agreement")
        self.group_clusters = self.table("group_clusters")
        self.regions = self.table("region_statistics")
        self.region_test = self.table("region_group_test")
        self.lateralisation = self.table("lateralisation")
        self.checks = self.table("map_checks")
        self.mean_scan_figure = root / FIGURES / "mean_scan.png"
        self.cluster_figure = root / FIGURES / "group_clusters.png"
        self.region_test_figure = root / FIGURES / "region_group_test.png"
        self.hc_mean = root / GROUP_MAPS / "baseline_hc_mean.npy"
        self.hc_mean_scans = root / GROUP_MAPS / "baseline_hc_mean.json"
        self.mean_scan = root / GROUP_MAPS / "mean_scan.npy"
        self.atlas_viewer = root / GROUP_MAPS / "atlas_viewer.js"

    def table(self, name: str) -> Path:
        """Return the path of a table; that of all maps' numbers lies at the top."""
        folder = self.root if name == "attribution_statistics" else self.root / TABLES_FOLDER
        return folder / f"{name}.csv"

    def create(self) -> None:
        """Make the folder; raises OutputError if it cannot be made."""
        with output_errors(self.root):
            self.root.mkdir(parents=True, exist_ok=True)

    def free_bytes(self) -> int:
        """Return the free space on the folder's disk."""
        return shutil.disk_usage(self.root).free

    # --- the files of a map, each given its method and its scan's name ---

    def _map_file(self, method: str, subject_id: str, ending: str) -> Path:
        return self.root / method / subject_id / f"{subject_id}_{method}_{ending}"

    array = partialmethod(_map_file, ending="attributions.npy")
    nifti = partialmethod(_map_file, ending="attributions.nii.gz")  # in the scan's grid, as all images
    sidecar = partialmethod(_map_file, ending="attributions.json")  # its `MapRecord`; it is written last
    standard_error = partialmethod(_map_file, ending="standard_error.nii.gz")  # of methods that estimate it
    null = partialmethod(_map_file, ending="null.npy")  # mean |scan - control|, float16, without pad
    spread = partialmethod(_map_file, ending="spread.nii.gz")  # standard deviation over the combined runs
    sign_agreement = partialmethod(_map_file, ending="sign_agreement.nii.gz")  # share of them with the mean's
    difference = partialmethod(_map_file, ending="difference.nii.gz")  # the second of two less the first
    summary_figure = partialmethod(_map_file, ending="summary.png")
    thumbnail = partialmethod(_map_file, ending="thumbnail.png")  # in the report's table
    viewer = partialmethod(_map_file, ending="viewer.js")  # the map for the report's viewer

    def slice_figure(self, method: str, subject_id: str, index: int) -> Path:
        """Return the path of one slice's figure."""
        return self._map_file(method, subject_id, f"slice_{index}.png")

    def open_map(self, method: str, subject_id: str, *, replace: bool) -> None:
        """Make a map's folder and remove half-written files from it.

        With `replace`, the files of a previous map are removed too: its sidecar first, then what it names.
        """
        sidecar = self.sidecar(method, subject_id)
        with output_errors(sidecar.parent):
            _make(sidecar.parent)
            if replace:
                files = (read_json(sidecar) or {}).get("files")
                sidecar.unlink(missing_ok=True)
                for name in files if isinstance(files, dict) else ():
                    if os.path.basename(name) == name and name.startswith(f"{subject_id}_{method}_"):
                        (sidecar.parent / name).unlink(missing_ok=True)
            remove_parts(sidecar.parent)

    def write_record(self, record: MapRecord) -> None:
        """Write a map's sidecar; the map is finished then."""
        write_json(self.sidecar(record.method, record.subject_id), record.to_json(), durably=True)

    def read_record(self, method: str, subject_id: str) -> MapRecord | None:
        """Read a map's sidecar; None if the map is not finished, or damaged (see `damages`)."""
        with suppress(UserError):
            return self._read_record(method, subject_id)
        return None

    def _read_record(self, method: str, subject_id: str) -> MapRecord | None:
        """Read a map's sidecar; None without one; UserError if it is damaged or a file of it is not whole."""
        path = self.sidecar(method, subject_id)
        if not os.path.lexists(path):
            return None
        array = self.array(method, subject_id).name
        try:
            record = MapRecord.from_json(read_json(path) or {})
            entries = {entry.name: entry.stat() for entry in os.scandir(path.parent)}
            if (record.method, record.subject_id) != (method, subject_id) or array not in record.files:
                raise ValueError(f"it is of {record.method} of {record.subject_id}, or of no array")
            for name, size in record.files.items():
                found = entries[name].st_size if name in entries else 0
                if found != size:
                    raise ValueError(f"{name} has {found} of {size} bytes")
        except (ValueError, OSError) as error:
            raise UserError(f"{path}: {error}") from None
        if entries[array].st_mtime_ns > entries[path.name].st_mtime_ns:  # copied, or changed since
            self.load_map(method, subject_id)
        return record

    def all_records(self) -> Iterator[MapRecord]:
        """Yield the records of all finished maps in the folder."""
        for name in self._names():
            if record := self.read_record(*name):
                yield record

    def records(self, checkpoint: str) -> list[MapRecord]:
        """Return the records of all finished maps of a checkpoint, given by its SHA-256."""
        return [record for record in self.all_records() if record.recipe.checkpoint == checkpoint]

    def damages(self, whole: Iterable[MapRecord]) -> list[str]:
        """Return why maps that have a sidecar are not whole; those that are need not be read again."""
        known, found = {(record.method, record.subject_id) for record in whole}, []
        for name in self._names():
            try:
                if name not in known:
                    self._read_record(*name)
            except UserError as error:
                found.append(str(error))
        return found

    def _names(self) -> Iterator[tuple[str, str]]:
        """Yield the methods and scans of all sidecars."""
        for method in sorted(METHODS):
            for path in sorted(self.root.glob(f"{method}/*/*_{method}_attributions.json")):
                if path == self.sidecar(method, path.parent.name):
                    yield method, path.parent.name

    def open_array(self, method: str, subject_id: str) -> np.ndarray:
        """Open a map, memory-mapped: float32 (n_slices, 128, 128); raises UserError if it is damaged."""
        path = self.array(method, subject_id)
        values = open_array(path)
        if values.shape[1:] != (INPUT_SIZE, INPUT_SIZE):
            raise UserError(f"{path}: has the shape {values.shape}.")
        return values

    def load_map(self, method: str, subject_id: str) -> np.ndarray:
        """Open a map without pad: float32 (n_slices, 112, 112); as `open_array`."""
        return unpad(self.open_array(method, subject_id))

    # --- the cohort's files ---

    def group_map(self, method: str, name: str) -> Path:
        """Return the path of a file about a method's maps of a group."""
        return self.root / GROUP_MAPS / method / f"{method}_{name}"

    def open_groups(self, method: str) -> None:
        """Make the folder of a method's group maps, and note what is in it; `close_groups` ends this."""
        path = self.group_map(method, "files.json")
        with output_errors(path.parent):
            _make(path.parent)
            remove_parts(path.parent)
            old, new, now = self._group_files(method)  # new ones, if it was opened before and not closed
            write_json(path, {"written": sorted({*old, *new}), "before": now})

    def close_groups(self, method: str) -> None:
        """Remove a method's group files that were not written again since `open_groups`."""
        path = self.group_map(method, "files.json")
        with output_errors(path.parent):
            old, new, _ = self._group_files(method)
            for name in set(old) - set(new):
                with suppress(OSError):  # in use, on a network's disk
                    (path.parent / name).unlink()
            write_json(
                path, {"written": [name for name in sorted({*old, *new}) if (path.parent / name).exists()]}
            )

    def _group_files(self, method: str) -> tuple[list[str], list[str], dict[str, str]]:
        """Return which group files earlier runs wrote, which this one did, and what tells those apart."""
        path, now = self.group_map(method, "files.json"), {}
        for entry in os.scandir(path.parent):
            is_file = entry.is_file(follow_symlinks=False) and entry.name != path.name
            if is_file and entry.name.startswith(f"{method}_"):
                now[entry.name] = f"{entry.inode()} {entry.stat().st_mtime_ns}"
        try:
            content = of_kind(read_json(path), {"written": list[str], "before": dict[str, str]}, "")
        except ValueError:  # or there is no list yet
            content = {}
        before, old = content.get("before", now), set(content.get("written", ()))
        return [name for name in now if name in old], [n for n in now if before.get(n) != now[n]], now

    def last_run(self) -> dict | None:
        """Read run.json, which the last run wrote; None if it is missing, or of another format.

        Raises UserError if a part of it is of another kind than this program writes.
        """
        run = read_json(self.run_record)
        if run is None or run.get("format") != FORMAT:
            return None
        try:
            of_kind(run, _RUNS, "run.json")
            for part in (*run.get("earlier_runs", ()), *run.get("combined", ())):
                of_kind(part, _RUNS, "run.json, a run of before")
        except ValueError as error:
            raise UserError(f"{self.run_record}: {error}. Restore it, or choose another folder.") from None
        return run

    def check_format(self, *, overwrite: bool = False) -> None:
        """Raise UserError for a folder of another version of this program, unless its maps are replaced."""
        run = read_json(self.run_record)
        if run is not None and run.get("format") != FORMAT and not overwrite:
            found = run.get("format", "unknown")
            raise UserError(
                f"{self.root}: another version of this program wrote it (format {found}; this version has "
                f"{FORMAT}). Choose another --output_dir, or make its maps again with --overwrite."
            )

    def last_records(self) -> list[MapRecord]:
        """Return the records of all finished maps of the last run's checkpoint; UserError without any."""
        self.check_format()
        run = self.last_run() or {}
        for key, kind in _RUN.items():
            if key not in run or (isinstance(kind, dict) and kind.keys() - run[key].keys()):
                raise UserError(f"{self.root}: no run.json of a run there. Name a run's --output_dir.")
        records = self.records(run["checkpoint"]["sha256"])
        if not records:
            damages = self.damages(records)
            damaged = f" Damaged are {len(damages)}: {first_of(damages, 1)}" if damages else ""
            raise UserError(f"{self.root}: has no finished map of its checkpoint.{damaged}")
        return records


def _make(folder: Path) -> None:
    """Make a folder of one of the root's folders, but not the root."""
    make_folder(folder.parent)
    make_folder(folder)
