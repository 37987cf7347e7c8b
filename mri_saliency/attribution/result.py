"""One attribution map as the network made it; it crosses to worker processes, so NumPy only."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Attribution:
    """The map of one scan.

    Attributes
    ----------
    values : ndarray
        float32 (n_slices, 128, 128), signed unless the method is unsigned.
    total : float
        The sum of `values`, in float64.
    expected_total : float or None
        The change of the target's log-odds that the sum should equal; None for methods without completeness.
    logits : ndarray
        float32 (n_logits,): the network's outputs for the scan, as they are.
    target : int
        Index of the explained class.
    seconds : float
        Wall time of the network for this map: that of the call over the number of its maps.
    passes : int
        Forward-backward passes of the network for this map; one that methods share counts for the first.
    map_error : float or None
        Its estimated error, summed over voxels, over its summed magnitude; None where it is not known.
    standard_error : float or None
        Of `total` less `expected_total`, for methods that draw.
    voxel_errors : ndarray or None
        float32, as `values`: each value's standard error, from the method's draws; NaN where these tell
        nothing of it. None for methods that do not estimate it.
    """

    values: np.ndarray
    total: float
    expected_total: float | None
    logits: np.ndarray
    target: int
    seconds: float
    passes: int = 0
    map_error: float | None = None
    standard_error: float | None = None
    voxel_errors: np.ndarray | None = None
