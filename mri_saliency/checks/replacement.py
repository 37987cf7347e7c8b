"""Deletion and insertion: how the logit follows as voxels are replaced in an order."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from mri_saliency.checks.checked_scans import CheckedScans, ExplainedScans
from mri_saliency.checks.table import BY_MAGNITUDE, RANDOM, Row
from mri_saliency.methods import METHODS

REPLACED_PERCENT = (0, 0.5, 1, 2, 5, 10, 20, 40, 80, 100)
_SEED = 20_000  # of the random order


def replacement(scans: ExplainedScans, label: tuple[str, str], values: np.ndarray) -> Iterator[Row]:
    """Replace voxels by the baseline's in descending order of `values`, and the reverse.

    The deletion and insertion curves of Petsiuk et al. 2018 (RISE, BMVC). The logit is given less the
    baseline's, and counted toward the scan's; so are values with a sign, which are contributions to it.
    `label` is the rows' method and order; `values` are (n, n_slices, 128, 128).
    """
    explainer, batch = scans.explainer, scans.batch
    method, order = label
    signed = method in METHODS and METHODS[method].signed and not order.endswith(BY_MAGNITUDE)
    baselines = batch.baselines.expand_as(batch.inputs)
    logits = explainer.logits(batch)
    baseline_logits = explainer.baseline_logits(batch).expand_as(logits)
    between = REPLACED_PERCENT[1:-1]
    for index, (subject_id, target) in enumerate(zip(scans.checked.subject_ids, batch.targets, strict=True)):
        at_scan, at_baseline = float(logits[index, target]), float(baseline_logits[index, target])
        towards = 1.0 if at_scan >= at_baseline else -1.0
        ordered = torch.from_numpy(values[index]).to(batch.inputs.device)
        ranks = _percent_ranks(towards * ordered if signed else ordered).permute(1, 2, 0).contiguous()
        scan, baseline = batch.inputs[index], baselines[index]
        deleted = torch.stack([torch.where(ranks < percent, baseline, scan) for percent in between])
        inserted = torch.stack([torch.where(ranks < percent, scan, baseline) for percent in between])
        found = explainer.predict(torch.cat([deleted, inserted]))[:, target].tolist()
        for check, ends, inner in (
            ("deletion", (at_scan, at_baseline), found[: len(between)]),
            ("insertion", (at_baseline, at_scan), found[len(between) :]),
        ):
            for percent, logit in zip(REPLACED_PERCENT, (ends[0], *inner, ends[1]), strict=True):
                change = towards * (logit - at_baseline)
                yield Row(check, method, subject_id, str(percent), "logit", change, order)


def shared_order(name: str, checked: CheckedScans) -> np.ndarray:
    """Return values whose descending order is one of `table.SHARED_ORDERS`; shape of the inputs."""
    if name == RANDOM:  # the brain first: most of an input is air, which has nothing to find
        return checked.brains + np.random.default_rng(_SEED).random(checked.inputs.shape, np.float32)
    return checked.differences


def _percent_ranks(values: Tensor) -> Tensor:
    """Return the rank of every value in descending order, in percent of their number; float32."""
    places = torch.argsort(values.flatten(), descending=True, stable=True)
    ranks = torch.empty(len(places), device=values.device)
    ranks[places] = torch.arange(len(places), device=values.device) / len(places) * 100
    return ranks.reshape(values.shape)
