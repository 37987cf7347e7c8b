"""One attribution map as the network made it; it crosses to worker processes, so NumPy only."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Attribution:
    """The map of one scan."""

    values: np.ndarray  # float32 (n_slices, 128, 128), signed unless the method is unsigned
    total: float  # the sum of `values`, in float64
    expected_total: float | None  # of complete methods: the change of the target's log-odds to be equal to
    logits: np.ndarray  # float32 (n_logits,): the network's outputs for the scan, as they are
    target: int  # the explained class
    seconds: float  # wall time of the network: that of the call over the number of its maps
    passes: int = 0  # forward-backward; one that methods share counts for the first
    map_error: float | None = None  # estimated, summed over voxels, over the summed magnitude
    standard_error: float | None = None  # of `total` less `expected_total`, for methods that draw
    degrees_of_freedom: float | None = None  # of `standard_error`, as of Student's t
    # of each value, float32, from the method's draws; NaN where they tell nothing of it; None: not estimated
    voxel_errors: np.ndarray | None = None
    # of Expected Gradients: the mean |scan - control| over the drawn controls, as `values`
    null: np.ndarray | None = None
