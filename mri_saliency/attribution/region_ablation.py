"""Each region's own experiment: how the logit changes if the baseline replaces the region."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd
import torch
from captum.attr import FeatureAblation

from mri_saliency.attribution.check_table import ABLATION, DIFFERENCE, MAP, WHOLE, Row
from mri_saliency.attribution.checked_scans import CheckedMethod, CheckedScans, ExplainedScans

_FEWEST = 3  # regions that have a rank correlation


def ablate_regions(scans: ExplainedScans, index: int, labels: np.ndarray) -> dict[int, float]:
    """Replace one region at a time of a scan by its baseline.

    Captum's `FeatureAblation` with the regions as feature mask.

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
    target = batch.targets[index]
    found, first, features = np.unique(labels, return_index=True, return_inverse=True)
    mask = torch.from_numpy(features.reshape(labels.shape)).permute(1, 2, 0)[None]  # slices last
    ablation = FeatureAblation(lambda volumes: explainer.predict(volumes)[:, target])
    changes = ablation.attribute(
        batch.inputs[index : index + 1],
        baselines=batch.baselines.expand_as(batch.inputs)[index : index + 1],
        feature_mask=mask.to(batch.inputs.device),
        perturbations_per_eval=explainer.settings.batch_size,
    )  # (1, 128, 128, n_slices), each voxel with its region's change
    by_region = changes[0].permute(2, 0, 1).flatten()[torch.from_numpy(first).to(changes.device)].tolist()
    return {int(label): change for label, change in zip(found, by_region, strict=True) if label}


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
