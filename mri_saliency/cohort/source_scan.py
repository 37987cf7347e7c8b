"""A finished map's scan, read again -> its brain, its grey matter, and its null map.

The null map knows nothing of the network: what a method's map has in common with it, the network did not
add. All functions can run in a worker; calls about one scan in a row read its file once.
"""

from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np

from mri_saliency.attribution.baselines import AveragedScan, HealthyMean, load_baseline
from mri_saliency.errors import UserError
from mri_saliency.inputs.file_identity import FileIdentity, sha256_of_array
from mri_saliency.inputs.grid import INPUT_SIZE, RESIZED
from mri_saliency.inputs.loading import load_volume
from mri_saliency.inputs.preprocessing import air_input, brain_mask, unpad
from mri_saliency.maps.null_map import null_map
from mri_saliency.methods import METHODS
from mri_saliency.output.files import read_array, read_json
from mri_saliency.output.folder import OutputFolder
from mri_saliency.output.record import MapRecord

_MOST_NEGATIVE = 0.1  # of the largest intensity; below it, intensities are no amounts of tissue


@dataclass(frozen=True, eq=False)
class SourceScan:
    """A finished map's scan."""

    network_input: np.ndarray  # float32 (n_slices, 128, 128)
    zero: float  # what the file's intensity 0 is there

    @cached_property
    def brain(self) -> np.ndarray:
        """Which pixels are brain: bool (n_slices, 112, 112)."""
        return unpad(brain_mask(self.network_input))

    @property
    def grey_matter(self) -> np.ndarray | None:
        """The file's intensities, up to a factor: float32 (n_slices, 112, 112).

        None if they are normalised in the file, so that 0 is not "no tissue".
        """
        image = unpad(self.network_input) - np.float32(self.zero)
        return None if image.min() < -_MOST_NEGATIVE * image.max() else image


def read_source(record: MapRecord) -> SourceScan | None:
    """Read a map's scan again; None if its file cannot be read any more, or has changed since."""
    path = Path(record.source.path)
    if not path.is_file() or not record.source.matches(path):
        return None
    return _load_source(record.source, record.grid.n_slices, record.recipe.first_slice)


@lru_cache(maxsize=3)  # a scan, the one that it is compared with, and that one's
def _load_source(source: FileIdentity, n_slices: int, first_slice: int) -> SourceScan | None:
    try:
        volume = load_volume(Path(source.path), n_slices, first_slice)
    except UserError:
        return None
    return SourceScan(volume.network_input, volume.zero)


def read_null_map(folder: OutputFolder, record: MapRecord) -> np.ndarray | None:
    """Return the null map of a finished map's scan: float32 (n_slices, 112, 112), without pad.

    |scan - baseline|, of Expected Gradients the mean |scan - control|, or |scan| for a method with neither.
    None if the scan or its baseline cannot be read any more, or is another than the map was made from.
    """
    if METHODS[record.method].null_reference == "references":
        shape = (record.grid.n_slices, RESIZED, RESIZED)
        null = read_array(folder.null(record.method, record.subject_id), shape)
        return None if null is None else null.astype(np.float32)
    scan, identity = read_source(record), baseline_identity(record)
    if scan is None:
        return None
    if identity == "zero":
        return unpad(null_map(scan.network_input, None))
    baseline = _read_baseline(folder, record, identity, scan.network_input)
    return None if baseline is None else unpad(null_map(scan.network_input, baseline))


def baseline_identity(record: MapRecord) -> str:
    """Return what a map's null map takes as reference; "zero" for a method without one."""
    return str(record.recipe.settings.get(METHODS[record.method].null_reference, "zero"))


def _read_baseline(
    folder: OutputFolder, record: MapRecord, identity: str, network_input: np.ndarray
) -> np.ndarray | None:
    """Return what the map's method compared the scan with, float32 as `network_input`; None if it is gone."""
    if identity == "background":
        return air_input(network_input)
    name = identity.rsplit(" ", 1)[0]
    if name != "hc_mean":  # a file, that ``--baseline`` of one of the folder's runs was; the last run's first
        last = folder.last_run() or {}
        paths = [
            Path(run.get("working_directory", ""), run.get("options", {}).get("baseline", ""))
            for run in (last, *last.get("earlier_runs", ()))
        ]
        named = tuple(dict.fromkeys(path for path in paths if path.name == name))
        return _load_file(named, identity, record.grid.n_slices, record.recipe.first_slice)
    files = (folder.hc_mean, folder.hc_mean_scans)
    modified_ns = tuple(path.stat().st_mtime_ns for path in files if path.exists())
    healthy = _load_healthy_mean(*files, record.grid.n_slices, modified_ns)
    if healthy is None or healthy.identity != identity:
        return None
    source = record.source
    scan = AveragedScan(source.path, record.statistics.subject, source.sha256, source.content_sha256)
    try:
        return healthy.without(scan, network_input)
    except UserError:  # another session of the subject
        return None


@lru_cache(maxsize=1)
def _load_healthy_mean(mean: Path, scans: Path, n_slices: int, _: tuple[int, ...]) -> HealthyMean | None:
    """Load the mean control; None if it is missing, or not of these scans."""
    values, content = read_array(mean, (n_slices, INPUT_SIZE, INPUT_SIZE)), read_json(scans)
    if values is None or content is None:
        return None
    try:
        return HealthyMean.from_json(content, values)
    except (KeyError, TypeError, ValueError):
        return None


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
