"""A scan and what it is compared with -> a map that knows nothing of the network, and its numbers."""

from dataclasses import replace

import numpy as np

from mri_saliency.attribution.baselines import Baseline
from mri_saliency.inputs.loading import LoadedScan
from mri_saliency.maps.statistics import brain_share


def null_map(network_input: np.ndarray, baseline: np.ndarray | None) -> np.ndarray:
    """Return |scan - baseline|, float32 of the input's shape; without baseline |scan|.

    What an attribution map has in common with it does not come from the network.
    """
    return np.abs(network_input if baseline is None else network_input - baseline)


def null_shares(
    network_input: np.ndarray, baseline: np.ndarray, brain: np.ndarray
) -> dict[str, float | None]:
    """Return `brain_share` of a scan's null maps, by `Method.null_reference`; arrays (n_slices, 128, 128)."""
    to_zero = to_baseline = brain_share(null_map(network_input, None), brain)
    if baseline.any():  # else it is the same map
        to_baseline = brain_share(null_map(network_input, baseline), brain)
    return {"baseline": to_baseline, "zero": to_zero}


def with_baseline(scan: LoadedScan, baseline: Baseline) -> LoadedScan:
    """Return a scan with its baseline, and its null maps' numbers; raises UserError as `Baseline.of`."""
    compared = baseline.of_scan(scan)
    shares = null_shares(scan.network_input, compared, scan.context.brain)
    return replace(scan, baseline=compared, context=replace(scan.context, null_shares=shares))
