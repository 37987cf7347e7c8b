"""Numbers and names of the report's sections."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from mri_saliency.maps.comparison import roc_auc
from mri_saliency.maps.statistics import MapStatistics
from mri_saliency.regions.densities import densest
from mri_saliency.report.evidence import place_of
from mri_saliency.statistics.contrasts import CONTRASTS

_COMMON_PERCENTILE = 90


def auc(scans: Sequence[MapStatistics]) -> float:
    """Return the area under the ROC curve of the probability of TLE; NaN if a class is absent."""
    return roc_auc(np.array([scan.prediction for scan in scans]), np.array([scan.is_tle for scan in scans]))


def common_scale(own: Sequence[float] | np.ndarray) -> np.ndarray:
    """Return the colour scale that maps of one method share: the 90th percentile of their own, (n_maps, ...).

    A scale that holds the strongest map would let a single one make all others invisible.
    """
    common = np.percentile(own, _COMMON_PERCENTILE, axis=0)
    return np.where(common > 0, common, np.max(own, axis=0))  # of few maps that are not all zero


def region_summaries(regions: pd.DataFrame) -> dict[str, list[dict]]:
    """Return method -> its densest regions, from the rows of region_statistics.csv and ``diagnosis``.

    Of each, ``region``; and ``density`` and ``density_null``, each a dict diagnosis -> mean.
    """
    numbers = ["density", "density_null"]
    regions = regions.astype(dict.fromkeys(numbers, float))
    summaries = {}
    for method, names in densest(regions).items():
        rows = regions[regions["method"] == method]
        means = rows.groupby(["region", "diagnosis"])[numbers].mean().unstack()
        summaries[method] = [
            {"region": name} | {number: means.loc[name, number].to_dict() for number in numbers}
            for name in names
        ]
    return summaries


def place_name(region: str, contrast: str) -> str:
    """Return what a region is called in a contrast: where foci are mirrored, there is no left or right."""
    name, side = place_of(region, contrast)
    return f"{name}, {side} side" if side and CONTRASTS[contrast].aligned else region
