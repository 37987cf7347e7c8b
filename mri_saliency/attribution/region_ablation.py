"""Each region's own experiment: how the logit changes if the baseline replaces the region."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from captum.attr import FeatureAblation
from torch import Tensor

from mri_saliency.attribution.check_table import ABLATION, DIFFERENCE, MAP, WHOLE, Row
from mri_saliency.attribution.checked_scans import CheckedMethod, CheckedScans, ExplainedScans

_FEWEST = 3  # regions that have a rank correlation


def ablate_regions(scans: ExplainedScans, index: int, labels: np.ndarray) -> dict[int, float]:
    """Replace one region at a time of a scan by its baseline.

    Captum's `FeatureAblation`, whose features are the regions: on the voxels, with the regions as mask, it
    gives the same, but copies whole volumes several times for each region.

    Parameters
    ----------
    scans : ExplainedScans
    index : int
        Of the scan.
    labels : ndarray
        int (n_slices, 128, 128); 0 is no region.

    Returns
    -------
    dict
        Label of each region in `labels` -> the scan's logit less the logit without the region.
    """
    explainer, batch = scans.explainer, scans.batch
    scan, baseline = batch.inputs[index], batch.baselines.expand_as(batch.inputs)[index]
    found, features = np.unique(np.append(0, labels), return_inverse=True)  # feature 0 is no region
    features = torch.from_numpy(features[1:].reshape(labels.shape)).permute(1, 2, 0).to(scan.device)

    def logits_of_regions(shown: Tensor) -> Tensor:
        """Return the logits (n,) of volumes that show the regions, (n, n_regions), where `shown` is 1."""
        shown = F.pad(shown, (1, 0), value=1.0).bool()
        volumes = torch.where(shown[:, features], scan, baseline)  # (n, 128, 128, n_slices)
        return explainer.predict(volumes)[:, batch.targets[index]]

    changes = FeatureAblation(logits_of_regions).attribute(
        scan.new_ones(1, len(found) - 1),
        baselines=0,
        perturbations_per_eval=explainer.settings.batch_size,
    )
    return dict(zip(found[1:].tolist(), changes[0].tolist(), strict=True))


def check_regions(
    scans: ExplainedScans,
    checked: CheckedScans,
    methods: Mapping[str, CheckedMethod],
    maps: Mapping[str, np.ndarray],
) -> Iterator[Row]:
    """Ablate the regions of each scan that has any, and compare them with the maps.

    For a signed method, the ranks of the regions' summed attributions are correlated with those of the
    logit's changes; for others, and for |scan - baseline|, sums of magnitudes with sizes of changes.
    """
    if checked.labels is None:
        return
    for index, (subject_id, labels) in enumerate(zip(checked.subject_ids, checked.labels, strict=True)):
        if not labels.any():
            continue
        changes = pd.Series(ablate_regions(scans, index, labels))
        for label, change in changes.items():
            yield Row("region", ABLATION, subject_id, checked.region_names[label], "logit", change, None)
        for name, method in methods.items():
            measure = "signed" if method.signed else "absolute"
            value = _rank_correlation(changes, maps[name][index], labels, signed=method.signed)
            yield Row("region_ranks", name, subject_id, WHOLE, measure, value, MAP)
        value = _rank_correlation(changes, checked.differences[index], labels, signed=False)
        yield Row("region_ranks", DIFFERENCE, subject_id, WHOLE, "absolute", value, DIFFERENCE)


def _rank_correlation(changes: pd.Series, values: np.ndarray, labels: np.ndarray, *, signed: bool) -> float:
    """Correlate the logit's changes, by label, with a map's sums in the regions; unsigned: magnitudes."""
    changes, values = (changes, values) if signed else (changes.abs(), np.abs(values))
    sums = np.bincount(labels.ravel(), values.ravel().astype(np.float64))[changes.index]
    both = pd.DataFrame({"change": changes.to_numpy(), "sum": sums})
    return float(both.corr("spearman", min_periods=_FEWEST).loc["change", "sum"])
