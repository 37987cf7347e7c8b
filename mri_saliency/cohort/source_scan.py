"""A finished map's scan, read again -> its brain, and its null map |scan - reference|.

The null map knows nothing of the network: what a method's map has in common with it, the network did not
add. All functions can run in a worker; calls about one scan in a row read its file once.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from mri_saliency.attribution.baselines import AveragedScan, HealthyMean, load_baseline
from mri_saliency.errors import UserError
from mri_saliency.inputs.file_identity import FileIdentity, sha256_of_array
from mri_saliency.inputs.grid import INPUT_SIZE
from mri_saliency.inputs.loading import load_volume
from mri_saliency.inputs.preprocessing import air_input, brain_mask, to_network_input, unpad
from mri_saliency.inputs.volume_file import read_volume, zero_missing
from mri_saliency.maps.null_map import null_map
from mri_saliency.methods import METHODS
from mri_saliency.output.files import read_array, read_json
from mri_saliency.output.folder import OutputFolder
from mri_saliency.output.record import MapRecord

_MOST_NEGATIVE = 0.1  # of the largest intensity; below it, intensities are no amounts of tissue


def read_null_map(folder: OutputFolder, record: MapRecord) -> np.ndarray | None:
    """Return the null map of a finished map's scan: float32 (n_slices, 112, 112), without pad.

    |scan - baseline|, or |scan| for a method without baseline. None if the scan or its baseline cannot be
    read any more, or is another than the map was made from.
    """
    network_input = _read_input(record)
    if network_input is None:
        return None
    if METHODS[record.method].null_reference == "zero" or _identity(record) == "zero":
        return unpad(null_map(network_input, None))
    baseline = _read_baseline(folder, record, network_input)
    return None if baseline is None else unpad(null_map(network_input, baseline))


def read_brain(record: MapRecord) -> np.ndarray | None:
    """Return which pixels of a map's scan are brain: bool (n_slices, 112, 112); None as `read_null_map`."""
    network_input = _read_input(record)
    return None if network_input is None else unpad(brain_mask(network_input))


def _read_input(record: MapRecord) -> np.ndarray | None:
    path = Path(record.source.path)
    if not path.is_file() or not record.source.matches(path):
        return None
    return _load_input(record.source, record.grid.n_slices, record.recipe.first_slice)


@lru_cache(maxsize=2)  # a scan and the one that it is compared with
def _load_input(source: FileIdentity, n_slices: int, first_slice: int) -> np.ndarray | None:
    try:
        return load_volume(Path(source.path), n_slices, first_slice).network_input
    except UserError:
        return None


def _identity(record: MapRecord) -> str:
    return str(record.recipe.settings.get("baseline"))


def _read_baseline(folder: OutputFolder, record: MapRecord, network_input: np.ndarray) -> np.ndarray | None:
    """Return what the map's method compared the scan with, float32 as `network_input`; None if it is gone."""
    identity = _identity(record)
    if identity == "background":
        return air_input(network_input)
    if record.recipe.baseline_name != "hc_mean":
        paths = _baseline_paths(folder, record.recipe.baseline_name)
        return _load_file(paths, identity, record.grid.n_slices, record.recipe.first_slice)
    files = (folder.hc_mean, folder.hc_mean_scans)
    healthy = _load_healthy_mean(*files, record.grid.n_slices, _modified_ns(files))
    if healthy is None or healthy.identity != identity:
        return None
    scan = AveragedScan(
        record.source.path, record.statistics.subject or record.subject_id, record.source.sha256
    )
    try:
        return healthy.without(scan, network_input)
    except UserError:  # another session of the subject
        return None


@lru_cache(maxsize=1)
def _load_healthy_mean(mean: Path, scans: Path, n_slices: int, _: tuple) -> HealthyMean | None:
    """Load what `mri_saliency.run.run_record.prepare_folder` wrote; None if it is not whole."""
    values = read_array(mean, (n_slices, INPUT_SIZE, INPUT_SIZE))
    if values is None:
        return None
    try:
        return HealthyMean.from_json(read_json(scans) or {}, values)
    except (KeyError, TypeError, ValueError):
        return None


def _modified_ns(paths: Iterable[Path]) -> tuple[int, ...]:
    return tuple(path.stat().st_mtime_ns for path in paths if path.exists())


def _baseline_paths(folder: OutputFolder, name: str) -> tuple[Path, ...]:
    """Return the files of this name that ``--baseline`` of the folder's runs was, the last run's first."""
    last = folder.last_run() or {}
    paths = [
        Path(run["working_directory"], run["options"]["baseline"])
        for run in (last, *last.get("earlier_runs", ()))
        if "working_directory" in run and "baseline" in run.get("options", {})
    ]
    return tuple(dict.fromkeys(path for path in paths if path.name == name))


@lru_cache(maxsize=1)
def _load_file(paths: tuple[Path, ...], identity: str, n_slices: int, first_slice: int) -> np.ndarray | None:
    """Load the baseline with this identity; None if no file holds it any more."""
    for path in paths:
        try:
            values = load_baseline(path, n_slices, first_slice)
        except UserError:
            continue
        if f"{path.name} {sha256_of_array(values)}" == identity:
            return values
    return None


@dataclass(frozen=True, eq=False)
class ScanImage:
    """A scan's own intensities, not normalised, where the network sees them.

    Attributes
    ----------
    brain : ndarray
        bool (n_slices, 112, 112).
    grey_matter : ndarray or None
        float32, the same shape; None if the file's intensities are normalised, so that 0 is not "no tissue".
    """

    brain: np.ndarray
    grey_matter: np.ndarray | None


def read_scan_image(record: MapRecord) -> ScanImage | None:
    """Read a map's scan again; None if its file cannot be read any more, or has changed since."""
    path, grid = Path(record.source.path), record.grid
    if not record.source.matches(path):
        return None
    try:
        voxels, _ = zero_missing(read_volume(path, nan_allowed=True)[0], path)
    except UserError:
        return None
    image = to_network_input(voxels, grid.n_slices, grid.first_slice)
    is_normalised = image.min() < -_MOST_NEGATIVE * image.max()
    return ScanImage(unpad(brain_mask(image)), None if is_normalised else unpad(image))
