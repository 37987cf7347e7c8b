"""Each region's own experiment: how the logit changes if the baseline replaces the region."""

from collections.abc import Iterator, Mapping

import numpy as np
import torch

from mri_saliency.checks.checked_scans import ExplainedScans
from mri_saliency.checks.table import ABLATION, DIFFERENCE, WHOLE, Row
from mri_saliency.maps.comparison import rank_correlation
from mri_saliency.methods import METHODS


def ablate_regions(scans: ExplainedScans, index: int, labels: np.ndarray) -> dict[int, float]:
    """Return the label of each region of a scan -> its logit less that with the baseline in the region.

    `index` is the scan's, `labels` are int (n_slices, 128, 128), 0 for no region.
    """
    explainer, batch = scans.explainer, scans.batch
    scan, baseline = batch.inputs[index], batch.baselines.expand_as(batch.inputs)[index]
    places = torch.from_numpy(labels).to(scan.device).permute(1, 2, 0).contiguous()  # slices last
    found, size = np.setdiff1d(labels, 0).tolist(), explainer.settings.batch_size
    logits: list[float] = []
    for start in range(0, len(found), size):
        part = [torch.where(places == label, baseline, scan) for label in found[start : start + size]]
        logits += explainer.predict(torch.stack(part))[:, batch.targets[index]].tolist()
    whole = float(explainer.logits(batch)[index, batch.targets[index]])
    return {label: whole - logit for label, logit in zip(found, logits, strict=True)}


def check_regions(scans: ExplainedScans, maps: Mapping[tuple[str, str], np.ndarray]) -> Iterator[Row]:
    """Ablate the regions of each scan that has any, and correlate attributions with what they changed.

    The sizes of the logit's change and of the summed attribution are compared, in which voxels for and
    against the class cancel as in the network. Signs are left aside: where the logit is saturated, a region
    of little effect may push either way. `maps` has those of (method, order), each (n, n_slices, 128, 128).
    """
    checked = scans.checked
    maps = {**maps, (DIFFERENCE, DIFFERENCE): checked.differences}
    for index, (subject_id, labels) in enumerate(zip(checked.subject_ids, checked.labels, strict=True)):
        if not labels.any():
            continue
        changes = ablate_regions(scans, index, labels)
        for label, change in changes.items():
            yield Row("region", ABLATION, subject_id, checked.region_names[label], "logit", change, None)
        sizes = np.abs(list(changes.values()))
        for (name, order), values in maps.items():
            is_signed = name in METHODS and METHODS[name].signed
            voxels = (values[index] if is_signed else np.abs(values[index])).astype(np.float64)
            sums = np.bincount(labels.ravel(), voxels.ravel())[list(changes)]
            value = rank_correlation(sizes, np.abs(sums))
            yield Row("region_ranks", name, subject_id, WHOLE, "absolute", value, order)
