"""A scan and what it is compared with -> a map that knows nothing of the network, and its numbers."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from mri_saliency.inputs.loading import LoadedScan, ScanContext
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
    if baseline.any():  # else it is the same map, and the network waits for these numbers
        to_baseline = brain_share(null_map(network_input, baseline), brain)
    return {"baseline": to_baseline, "zero": to_zero}


def contexts_with_nulls(scans: Sequence[LoadedScan], baselines: np.ndarray) -> list[ScanContext]:
    """Return the scans' contexts with their null maps' numbers; `baselines` is from `Baseline.of`."""
    baselines = np.broadcast_to(baselines, (len(scans), *baselines.shape[1:]))
    return [
        replace(scan.context, null_shares=null_shares(scan.network_input, baseline, scan.context.brain))
        for scan, baseline in zip(scans, baselines, strict=True)
    ]
