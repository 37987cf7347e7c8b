"""The output folder: the names of everything in it, and the maps that are finished."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from mri_saliency.errors import OutputError, UserError
from mri_saliency.inputs.preprocessing import unpad
from mri_saliency.output.files import output_errors, read_json, remove_parts, write_json
from mri_saliency.output.record import MapRecord
from mri_saliency.wording import DEFAULT_CLASS_NAMES, ClassNames

FORMAT = 4  # of a run's folder: raised by a change after which a folder of before cannot be read


class OutputFolder:
    """Names of everything a run writes, and the finished maps among it; `root` is ``--output_dir``.

    `class_names` are the words for the classes in what is written.
    """

    def __init__(self, root: Path, class_names: ClassNames = DEFAULT_CLASS_NAMES) -> None:
        self.root, self.class_names = root, class_names
        self.statistics = root / "attribution_statistics.csv"
        self.summary = root / "attribution_summary.png"
        self.failures = root / "failures.csv"
        self.run_record = root / "run.json"
        self.hc_mean = root / "baseline_hc_mean.npy"
        self.hc_mean_scans = root / "baseline_hc_mean.json"
        self.mean_scan = root / "mean_scan.npy"
        self.agreement = root / "method_agreement.csv"
        self.run_agreement = root / "run_agreement.csv"
        self.run_regions = root / "run_regions.csv"
        self.run_region_agreement = root / "run_region_agreement.csv"
        self.group_clusters = root / "group_clusters.csv"
        self.regions = root / "region_statistics.csv"
        self.region_test = root / "region_group_test.csv"
        self.region_figure = root / "region_statistics.png"
        self.atlas_viewer = root / "atlas_viewer.js"
        self.lateralisation = root / "lateralisation.csv"
        self.lateralisation_figure = root / "lateralisation.png"
        self.checks = root / "map_checks.csv"
        self.check_figure = root / "map_checks.png"
        self.report = root / "report.html"
        self.references = root / "references.bib"

    def create(self) -> None:
        """Make the folder; raises OutputError if it cannot be made or written to."""
        with output_errors(self.root):
            self.root.mkdir(parents=True, exist_ok=True)
        if not os.access(self.root, os.W_OK | os.X_OK):
            raise OutputError(f"{self.root}: no permission to write there. Choose another --output_dir.")

    def remove_parts(self) -> None:
        """Remove half-written tables of an ended run."""
        with output_errors(self.root):
            remove_parts(self.root)

    def free_bytes(self) -> int:
        """Return the free space on the folder's disk."""
        return shutil.disk_usage(self.root).free

    # --- the files of a map ---

    def array(self, method: str, subject_id: str) -> Path:
        """Return the path of a map's array."""
        return self._map_file(method, subject_id, "attributions.npy")

    def nifti(self, method: str, subject_id: str) -> Path:
        """Return the path of a map's image in the scan's grid."""
        return self._map_file(method, subject_id, "attributions.nii.gz")

    def standard_error(self, method: str, subject_id: str) -> Path:
        """Return the path of the image of a map's standard errors, of methods that estimate them."""
        return self._map_file(method, subject_id, "standard_error.nii.gz")

    def spread(self, method: str, subject_id: str) -> Path:
        """Return the path of the image of the standard deviation over the combined runs."""
        return self._map_file(method, subject_id, "spread.nii.gz")

    def sign_agreement(self, method: str, subject_id: str) -> Path:
        """Return the path of the image of the share of combined runs with the sign of the mean."""
        return self._map_file(method, subject_id, "sign_agreement.nii.gz")

    def difference(self, method: str, subject_id: str) -> Path:
        """Return the path of the image of the second combined run's map minus the first one's."""
        return self._map_file(method, subject_id, "difference.nii.gz")

    def sidecar(self, method: str, subject_id: str) -> Path:
        """Return the path of a map's JSON file, its `MapRecord`; it is written last."""
        return self._map_file(method, subject_id, "attributions.json")

    def summary_figure(self, method: str, subject_id: str) -> Path:
        """Return the path of a map's summary figure."""
        return self._map_file(method, subject_id, "summary.png")

    def thumbnail(self, method: str, subject_id: str) -> Path:
        """Return the path of the picture of a map in the report's table."""
        return self._map_file(method, subject_id, "thumbnail.png")

    def slice_figure(self, method: str, subject_id: str, index: int) -> Path:
        """Return the path of one slice's figure."""
        return self._map_file(method, subject_id, f"slice_{index}.png")

    def viewer(self, method: str, subject_id: str) -> Path:
        """Return the path of a map's script for the report's viewer."""
        return self._map_file(method, subject_id, "viewer.js")

    def _map_file(self, method: str, subject_id: str, ending: str) -> Path:
        return self.root / method / subject_id / f"{subject_id}_{method}_{ending}"

    def open_map(self, method: str, subject_id: str, *, replace: bool) -> None:
        """Make a map's folder and remove half-written files from it.

        With `replace`, the files of a previous map are removed too, its sidecar first.
        """
        sidecar = self.sidecar(method, subject_id)
        with output_errors(sidecar.parent):
            _make(sidecar.parent)
            if replace:
                sidecar.unlink(missing_ok=True)
                for path in sidecar.parent.glob(f"{subject_id}_{method}_*"):
                    path.unlink()
            remove_parts(sidecar.parent)

    def write_record(self, record: MapRecord) -> None:
        """Write a map's sidecar; the map is finished then."""
        write_json(self.sidecar(record.method, record.subject_id), record.to_json(), durably=True)

    def read_record(self, method: str, subject_id: str) -> MapRecord | None:
        """Read a map's sidecar; None if the map is not finished, or a file of it is not whole."""
        path = self.sidecar(method, subject_id)
        try:
            record = MapRecord.from_json(read_json(path) or {})
            sizes = {entry.name: entry.stat().st_size for entry in os.scandir(path.parent)}
        except (KeyError, TypeError, ValueError, OSError):
            return None
        is_named = (record.method, record.subject_id) == (method, subject_id)
        is_whole = all(sizes.get(name) == size for name, size in record.files.items())
        has_array = self.array(method, subject_id).name in record.files
        return record if is_named and is_whole and has_array else None

    def all_records(self) -> Iterator[MapRecord]:
        """Yield the records of all finished maps in the folder."""
        for path in sorted(self.root.glob("*/*/*_attributions.json")):
            method, subject_id = path.parts[-3:-1]
            if path == self.sidecar(method, subject_id) and (record := self.read_record(method, subject_id)):
                yield record

    def records(self, checkpoint: str) -> list[MapRecord]:
        """Return the records of all finished maps of a checkpoint, given by its SHA-256."""
        return [record for record in self.all_records() if record.recipe.checkpoint == checkpoint]

    def load_map(self, method: str, subject_id: str) -> np.ndarray:
        """Load a map without pad, memory-mapped: float32 (n_slices, 112, 112)."""
        return unpad(np.load(self.array(method, subject_id), mmap_mode="r", allow_pickle=False))

    # --- the cohort's files ---

    def group_map(self, method: str, name: str) -> Path:
        """Return the path of a file about a method's maps of a group."""
        return self.root / "group_maps" / method / f"{method}_{name}"

    def open_groups(self, method: str) -> None:
        """Make the folder of a method's group maps, and empty it."""
        folder = self.group_map(method, "").parent
        with output_errors(folder):
            _make(folder)
            for path in folder.iterdir():
                path.unlink()

    def last_run(self) -> dict | None:
        """Read run.json, which the last run wrote; None if it is missing, damaged, or of another format."""
        run = read_json(self.run_record)
        return run if run is not None and run.get("format") == FORMAT else None

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
        try:
            records = self.records((self.last_run() or {})["checkpoint"]["sha256"])
        except (TypeError, KeyError) as error:
            raise UserError(f"{self.root}: no run.json of a run there. Name a run's --output_dir.") from error
        if not records:
            raise UserError(f"{self.root}: has no finished map of its checkpoint.")
        return records


def _make(folder: Path) -> None:
    """Make a folder of the root's folders; not the root: a run whose folder is deleted should end."""
    for path in (folder.parent, folder):
        path.mkdir(exist_ok=True)
