"""A scan of the table -> the network's input and what the files of its maps need; loaded ahead by workers."""

import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import numpy as np

from mri_saliency.errors import UserError, check_counts, failure_message
from mri_saliency.inputs.file_identity import FileIdentity
from mri_saliency.inputs.grid import FIRST_SLICE, Grid, difference_from_training_grid
from mri_saliency.inputs.plausibility import implausible_intensities
from mri_saliency.inputs.preprocessing import (
    brain_mask,
    grey_levels,
    intensity_window,
    to_network_input,
    unpad,
    z_scored,
)
from mri_saliency.inputs.scan_table import Scan
from mri_saliency.inputs.volume_file import content_sha256, is_synthetic, read_volume, zero_missing
from mri_saliency.runtime.workers import Workers, as_it_is

_LARGEST = 1e30  # intensity; float32 ends at 3e38
_SYNTHETIC_CROP = 1  # first slices of a real scan that synthetic volumes lack


@dataclass(frozen=True, eq=False)
class Volume:
    """A volume as the network takes it."""

    network_input: np.ndarray  # float32 (n_slices, 128, 128): coronal slice, x, z in the scan's voxel order
    grid: Grid
    content_sha256: str  # as in `FileIdentity`
    zero: float = 0.0  # what the file's intensity 0 is in the input
    warning: str | None = None  # what was unusual about the voxels


def load_volume(path: Path | str, n_slices: int, first_slice: int = FIRST_SLICE) -> Volume:
    """Load a volume and prepare it exactly as the training code did.

    A real scan (``.nii``, ``.nii.gz``, ``.mgz``, ``.npy``) is z-scored over the whole volume; a synthetic one
    (``.pkl``) is normalised already, and its slice 0 is a real scan's slice 1: `first_slice` is that of a
    real scan. A real scan's NaN voxels outside the brain count as 0, with a warning. Raises UserError as
    `read_volume`, and for a volume that is constant or has too few slices.
    """
    check_counts(1, n_slices=n_slices)
    check_counts(0, first_slice=first_slice)
    path = Path(path)
    voxels, affine, space_code = read_volume(path, nan_allowed=not is_synthetic(path))
    if is_synthetic(path):
        first_slice = max(first_slice - _SYNTHETIC_CROP, 0)
    if voxels.shape[1] < first_slice + n_slices:
        raise UserError(
            f"{path}: has {voxels.shape[1]} coronal slices (shape {voxels.shape}); the network takes "
            f"{n_slices}, from slice {first_slice} to {first_slice + n_slices - 1}."
        )
    content = content_sha256(voxels, affine)
    voxels, warning = zero_missing(voxels, path)
    low, high = voxels.min(), voxels.max()
    if low == high:
        raise UserError(f"{path}: every voxel is {low:g}; a constant volume has no brain in it.")
    if max(-low, high) > _LARGEST:
        raise UserError(
            f"{path}: its voxels are {low:g} to {high:g}, too large to compute with; it is damaged."
        )
    odd = implausible_intensities(voxels, (low, high), is_synthetic(path))
    zero = 0.0
    if not is_synthetic(path):
        voxels, zero = z_scored(voxels)
    rows = None if affine is None else tuple(map(tuple, affine.tolist()))
    grid = Grid(voxels.shape, rows, space_code, first_slice, n_slices)
    warning = "; ".join(filter(None, (warning, odd))) or None
    return Volume(to_network_input(voxels, n_slices, first_slice), grid, content, zero, warning)


@dataclass(frozen=True, eq=False)
class ScanContext:
    """What the files of a scan's maps need besides the maps; without the network's input."""

    scan: Scan
    source: FileIdentity  # the volume's file
    grid: Grid
    brain: np.ndarray  # bool (n_slices, 128, 128)
    greys: np.ndarray  # uint8 (n_slices, 112, 112): as it is drawn, in the scan's voxel order
    window: tuple[float, float]  # intensities drawn black and white
    input_warning: str | None = None  # how it differs from the training data, and odd voxels
    null_shares: Mapping[str, float | None] = field(default_factory=dict)  # from `maps.null_map.null_shares`


@dataclass(frozen=True, eq=False)
class LoadedScan:
    """A scan that is ready for the network."""

    context: ScanContext
    network_input: np.ndarray  # float32 (n_slices, 128, 128)
    load_s: float  # processor time
    # what it is compared with, of the input's shape; empty before `with_baseline`
    baseline: np.ndarray = field(default_factory=lambda: np.empty(0, np.float32))


@dataclass(frozen=True)
class UnreadableScan:
    """A scan that could not be loaded, and the reason, for the user."""

    scan: Scan
    reason: str


def load_scan(scan: Scan, *, n_slices: int, first_slice: int) -> LoadedScan:
    """Load a scan; a worker's job. Raises UserError as `load_volume`."""
    start_s = time.process_time()
    volume = load_volume(scan.path, n_slices, first_slice)
    slices = unpad(volume.network_input)
    window = intensity_window(slices)
    warnings = (difference_from_training_grid(volume.grid), volume.warning)
    context = ScanContext(
        scan=scan,
        source=FileIdentity.of(scan.path, volume.content_sha256),
        grid=volume.grid,
        brain=brain_mask(volume.network_input),
        greys=grey_levels(slices, window),
        window=window,
        input_warning="; ".join(filter(None, warnings)) or None,
    )
    return LoadedScan(context, volume.network_input, time.process_time() - start_s)


def load_in_groups(
    scans: Sequence[Scan],
    load: Callable[[Scan], LoadedScan],
    workers: Workers,
    group_size: int,
    finish: Callable[[LoadedScan], LoadedScan] = as_it_is,
) -> Iterator[list[LoadedScan | UnreadableScan]]:
    """Yield the scans in order, in groups of `group_size`, while workers load the next group.

    `finish` completes each scan in this process, meanwhile too. Whatever error a scan's file raises, it costs
    that scan alone: it becomes an `UnreadableScan`.
    """
    remaining = iter(scans)
    loading: deque[tuple[Scan, Future[LoadedScan]]] = deque()
    group: list[LoadedScan | UnreadableScan] = []
    for _ in scans:
        for scan in islice(remaining, group_size - len(loading)):
            loading.append((scan, workers.submit_then(finish, load, scan)))
        scan, job = loading.popleft()
        try:
            group.append(job.result())
        except Exception as error:
            group.append(UnreadableScan(scan, failure_message(error)))
        if len(group) == group_size:
            yield group
            group = []
    if group:
        yield group
