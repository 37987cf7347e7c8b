"""A scan and what its map compared it with -> the map that knows nothing of the network."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np

from mri_saliency.attribution.methods import METHODS
from mri_saliency.errors import UserError
from mri_saliency.inputs.loading import load_volume
from mri_saliency.inputs.preprocessing import air_input, unpad
from mri_saliency.output.files import read_array
from mri_saliency.output.folder import OutputFolder
from mri_saliency.output.record import MapRecord


def read_null_map(folder: OutputFolder, record: MapRecord) -> np.ndarray | None:
    """Return a map's null, ``|scan - reference|``: what the scan alone would show, without a network.

    The reference is the map's baseline; zero for methods without one.

    Returns
    -------
    ndarray or None
        float32 (n_slices, 112, 112); None if the scan or its baseline cannot be read any more.
    """
    try:
        network_input = _load_input(record.source.path, record.grid.n_slices, record.recipe.first_slice)
    except UserError:
        return None
    reference = _reference(folder, record, network_input)
    return None if reference is None else unpad(np.abs(network_input - reference))


def _reference(folder: OutputFolder, record: MapRecord, network_input: np.ndarray) -> np.ndarray | None:
    """Return what a scan was compared with, float32 as its input; None if it cannot be read."""
    name = record.recipe.baseline_name or "zero"
    if "baseline" not in METHODS[record.method].settings or name == "zero":
        return np.zeros_like(network_input)
    if name == "background":
        return air_input(network_input)
    return read_array(folder.hc_mean, network_input.shape) if name == "hc_mean" else None


@lru_cache(maxsize=1)  # the maps of a scan follow each other
def _load_input(path: str, n_slices: int, first_slice: int) -> np.ndarray:
    """Return a scan's network input, float32 (n_slices, 128, 128); raises UserError as `load_volume`."""
    return load_volume(Path(path), n_slices, first_slice).network_input
