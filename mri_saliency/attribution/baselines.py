"""The inputs that scans are compared with."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mri_saliency.errors import UserError, warn
from mri_saliency.inputs.file_identity import sha256_of_array
from mri_saliency.inputs.grid import FIRST_SLICE, INPUT_SIZE
from mri_saliency.inputs.loading import LoadedScan, UnreadableScan, load_volume
from mri_saliency.inputs.preprocessing import air_input
from mri_saliency.inputs.scan_table import Scan
from mri_saliency.inputs.volume_file import ARRAY_SUFFIX, read_volume


@dataclass(frozen=True, eq=False)
class Baseline:
    """What scans are compared with.

    Attributes
    ----------
    identity : str
        Its name, and a hash where the name alone does not determine the values.
    values : ndarray or None
        float32 (n_slices, 128, 128), for all scans; None: each scan's air.
    """

    identity: str
    values: np.ndarray | None

    @property
    def is_mean(self) -> bool:
        """Whether it is the mean of the HC scans."""
        return self.identity.startswith("hc_mean ")

    def of(self, inputs: np.ndarray) -> np.ndarray:
        """Return the baselines of scans (n, n_slices, 128, 128): of each, (n, ...), or of all, (1, ...)."""
        if self.values is not None:
            return self.values[None]
        return np.stack([air_input(network_input) for network_input in inputs])


def make_baseline(
    name: str,
    healthy: Sequence[Scan],
    load: Callable[[Sequence[Scan]], Iterator[list[LoadedScan | UnreadableScan]]],
    *,
    n_slices: int,
    first_slice: int,
) -> Baseline:
    """Make the baseline that ``--baseline`` asks for.

    Parameters
    ----------
    name : str
        One of `methods.BASELINES` or the path of a file.
    healthy : sequence of Scan
        The HC scans, which hc_mean averages.
    load : callable
        Loads scans in groups.
    n_slices : int
        Coronal slices of the network's input.
    first_slice : int
        The scan's slice that is slice 0 of the network's input.

    Raises
    ------
    UserError
        No HC scan is readable, or as `load_baseline`.
    """
    if name == "background":
        return Baseline(name, None)
    if name == "zero":
        return Baseline(name, np.zeros((n_slices, INPUT_SIZE, INPUT_SIZE), np.float32))
    if name == "hc_mean":
        print(f"averaging {len(healthy)} HC scans for the baseline", flush=True)
        return _mean_baseline(load(healthy))
    path = Path(name)
    values = load_baseline(path, n_slices, first_slice)
    return Baseline(f"{path.name} {sha256_of_array(values)}", values)


def load_baseline(path: Path, n_slices: int, first_slice: int = FIRST_SLICE) -> np.ndarray:
    """Load a baseline: float32 (n_slices, 128, 128).

    A ``.npy`` array of exactly that shape is taken as the network's input; any other file is
    prepared as a scan is.

    Raises
    ------
    UserError
        As `load_volume`.
    """
    if path.suffix == ARRAY_SUFFIX:
        array = read_volume(path)[0]
        if array.shape == (n_slices, INPUT_SIZE, INPUT_SIZE):
            return array.astype(np.float32)
    return load_volume(path, n_slices, first_slice).network_input


def _mean_baseline(groups: Iterator[list[LoadedScan | UnreadableScan]]) -> Baseline:
    total, hashes = 0.0, []
    for scan in (scan for group in groups for scan in group):
        if isinstance(scan, UnreadableScan):
            warn(f"left out of the baseline: {scan.reason}")
        else:
            total = total + scan.network_input.astype(np.float64)
            hashes.append(scan.context.source.sha256)
    if not hashes:
        raise UserError("--baseline hc_mean: the table (--csv_path) has no readable HC scan to average.")
    # identified by its scans: the last digits of the mean depend on the processor
    identity = hashlib.sha256("".join(sorted(hashes)).encode()).hexdigest()
    return Baseline(f"hc_mean {identity}", (total / len(hashes)).astype(np.float32))
