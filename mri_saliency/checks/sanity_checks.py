"""Checks on the network whether maps can be believed; they cost passes of the network.

Every check measures something whose answer is known for a map that explains the network, and sets it
beside maps that know nothing of it. `cohort.check_verdicts` judges the numbers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from itertools import combinations

import numpy as np
import pandas as pd
import torch
from torch import nn

from mri_saliency.attribution.explainer import Explainer
from mri_saliency.checks.checked_scans import CheckedMethod, CheckedScans, ExplainedScans
from mri_saliency.checks.region_ablation import check_regions
from mri_saliency.checks.replacement import replacement, shared_order
from mri_saliency.checks.shuffled_weights import block_names, randomised
from mri_saliency.checks.similarity import partial_similarity, similarity
from mri_saliency.checks.table import (
    ANOTHER,
    COLUMNS,
    DIFFERENCE,
    INPUT_NOISE,
    MAP,
    SHARED_ORDERS,
    SHUFFLED,
    WHOLE,
    Row,
)
from mri_saliency.maps.statistics import brain_share

N_SHUFFLED = 3  # shuffled networks: what one has in common with the original by chance is averaged
_SEED = 20_000  # of the noise, and of the repeated draws


def check_maps(
    explainer: Explainer,
    checked: CheckedScans,
    methods: Mapping[str, CheckedMethod],
    advance: Callable[[], None],
) -> pd.DataFrame:
    """Run all checks.

    Parameters
    ----------
    explainer : Explainer
    checked : CheckedScans
    methods : mapping
        Name -> method, as `checked_scans.registered` has them.
    advance : callable
        Called `n_stages(explainer.network, checked, methods)` times, as the work proceeds.

    Returns
    -------
    DataFrame
        One row for each number, with the columns `COLUMNS`.
    """
    scans = ExplainedScans(explainer, checked)
    checked = replace(checked, targets=scans.batch.targets)  # the same logits in every comparison
    noisy = ExplainedScans(explainer, replace(checked, inputs=_with_noise(checked.inputs)))
    other_seed = replace(explainer.settings, seed=_SEED + explainer.settings.seed)
    reseeded = ExplainedScans(Explainer(explainer.network, other_seed), checked)
    rows: list[Row] = []
    maps, shuffled_maps = {}, {}
    for name, method in methods.items():
        maps[name] = scans.maps(method)
        shuffled_maps[name] = np.zeros_like(maps[name])
        rows += _between_subjects(name, maps[name], checked)
        rows += _compare(("noise", name, WHOLE), maps[name], noisy.maps(method), checked)
        if method.stochastic:
            rows += _compare(("seed", name, WHOLE), maps[name], reseeded.maps(method), checked)
        advance()
    for block, indices, shuffled_scans in _with_shuffled_weights(explainer, checked):
        part = checked.select(indices)
        for name, method in methods.items():
            shuffled_maps[name][indices] = shuffled_scans.maps(method)  # those of the last block remain
            pair, label = (maps[name][indices], shuffled_maps[name][indices]), ("weights", name, block)
            rows += _compare(label, *pair, part)
            factors = np.abs(part.inputs) if method.from_zero else part.differences
            rows += _compare_without_factor(label, *pair, part, factors)
            advance()
    for name, method in methods.items():
        rows += _beside_nulls(name, {MAP: maps[name], SHUFFLED: shuffled_maps[name]}, checked)
        orders = {MAP: maps[name], SHUFFLED: shuffled_maps[name], ANOTHER: maps[name][checked.other_scans]}
        for order, values in orders.items():
            rows += replacement(scans, (name, order), values, signed=method.signed)
        advance()
    for order in SHARED_ORDERS:
        rows += replacement(scans, (order, order), shared_order(order, checked), signed=False)
    beside = {(name, MAP): values for name, values in maps.items()}
    beside |= {(name, SHUFFLED): values for name, values in shuffled_maps.items()}
    rows += check_regions(scans, checked, methods, beside)
    advance()
    return pd.DataFrame(rows, columns=COLUMNS)


def n_stages(network: nn.Module, checked: CheckedScans, methods: Mapping[str, CheckedMethod]) -> int:
    """Return how often `check_maps` calls `advance`."""
    n_shuffled = min(N_SHUFFLED, len(checked.inputs))
    return len(methods) * (2 + len(block_names(network)) + n_shuffled - 1) + 1


def _with_shuffled_weights(
    explainer: Explainer, checked: CheckedScans
) -> Iterator[tuple[str, list[int], ExplainedScans]]:
    """Yield a block, indices of scans, and these under a network with the weights down to it shuffled.

    The scans are dealt to `N_SHUFFLED` networks. The first network's are yielded after each block, the
    others' with all weights shuffled only.
    """
    n, last = len(checked.inputs), block_names(explainer.network)[-1]
    for number in range(min(N_SHUFFLED, n)):
        indices = list(range(number, n, N_SHUFFLED))
        part = checked.select(indices)
        for block, network in randomised(explainer.network, number):
            if number == 0 or block == last:
                yield block, indices, ExplainedScans(Explainer(network, explainer.settings), part)


def _with_noise(inputs: np.ndarray) -> np.ndarray:
    n, n_slices, height, width = inputs.shape
    noise = torch.randn(n, height, width, n_slices, generator=torch.Generator().manual_seed(_SEED))
    return inputs + INPUT_NOISE * noise.permute(0, 3, 1, 2).numpy()


def _compare(
    label: tuple[str, str, str], maps: np.ndarray, others: np.ndarray, checked: CheckedScans
) -> Iterator[Row]:
    """Compare each scan's map with another of the same scan; `label` is check, method and step."""
    check, method, step = label
    for a, b, subject_id, brain in zip(maps, others, checked.subject_ids, checked.brains, strict=True):
        for measure, value in similarity(a, b, brain).items():
            yield Row(check, method, subject_id, step, measure, value)


def _compare_without_factor(
    label: tuple[str, str, str],
    maps: np.ndarray,
    others: np.ndarray,
    checked: CheckedScans,
    factors: np.ndarray,
) -> Iterator[Row]:
    """Compare magnitudes as `_compare` does, with what `factors` explains of both left out."""
    check, method, step = label
    both = zip(maps, others, factors, checked.subject_ids, checked.brains, strict=True)
    for a, b, factor, subject_id, brain in both:
        yield Row(check, method, subject_id, step, "partial", partial_similarity(a, b, factor, brain))


def _between_subjects(method: str, maps: np.ndarray, checked: CheckedScans) -> Iterator[Row]:
    """Compare the maps of every two subjects: what a map has in common with one of another scan."""
    for i, j in combinations(range(len(maps)), 2):
        pair = f"{checked.subject_ids[i]} and {checked.subject_ids[j]}"
        brain = checked.brains[i] & checked.brains[j]
        for measure, value in similarity(maps[i], maps[j], brain).items():
            yield Row("subjects", method, pair, WHOLE, measure, value)


def _beside_nulls(method: str, maps: Mapping[str, np.ndarray], checked: CheckedScans) -> Iterator[Row]:
    """Measure each scan's map and what knows nothing of the network alike.

    `maps` has those of the order `MAP` and of the nulls of this method.
    """
    orders = {**maps, DIFFERENCE: checked.differences}
    for order, others in orders.items():
        both = zip(maps[MAP], others, checked.subject_ids, checked.brains, strict=True)
        for values, other, subject_id, brain in both:
            share = brain_share(np.abs(other), brain)
            share = math.nan if share is None else share  # of a map of zeros
            yield Row("nulls", method, subject_id, WHOLE, "brain_share", share, order)
            if order != MAP:
                likeness = similarity(values, other, brain)["absolute"]
                yield Row("nulls", method, subject_id, WHOLE, "absolute", likeness, order)
