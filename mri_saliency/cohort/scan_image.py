"""A finished map's scan -> its own image on the network's grid: brain and grey matter."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mri_saliency.errors import UserError
from mri_saliency.inputs.preprocessing import brain_mask, to_network_input, unpad
from mri_saliency.inputs.volume_file import read_volume, zero_missing
from mri_saliency.output.record import MapRecord

_MOST_NEGATIVE = 0.1  # of the largest intensity; below it, intensities are no amounts of tissue


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
