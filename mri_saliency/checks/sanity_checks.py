"""Checks on the network whether maps can be believed; they cost passes of the network.

Every check measures something whose answer is known for a map that explains the network, and sets it
beside maps that know nothing of it. `checks.verdicts` judges the numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import combinations

import numpy as np
import pandas as pd
import torch
from torch import nn

from mri_saliency.attribution.explainer import Explainer
from mri_saliency.checks.checked_scans import CheckedScans, ExplainedScans
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
from mri_saliency.methods import METHODS

N_SHUFFLED = 3  # shuffled networks: what one has in common with the original by chance is averaged
_SEED = 20_000  # of the noise, and of the repeated draws


def check_maps(
    explainer: Explainer, checked: CheckedScans, methods: Sequence[str], advance: Callable[[], None]
) -> pd.DataFrame:
    """Run all checks: a row for each number, with the columns `COLUMNS`.

    `advance` is called `n_stages(explainer.network, checked, methods)` times, as the work proceeds.
    """
    scans = ExplainedScans(explainer, checked)
    noisy = ExplainedScans(explainer, replace(checked, inputs=_with_noise(checked.inputs)))
    other_seed = replace(explainer.settings, seed=_SEED + explainer.settings.seed)
    reseeded = ExplainedScans(Explainer(explainer.network, other_seed), checked)
    rows: list[Row] = []
    maps = {}  # (method, MAP or SHUFFLED) -> (n, n_slices, 128, 128)
    for name in methods:
        own = maps[name, MAP] = scans.maps(name)
        rows += _between_subjects(name, own, checked)
        rows += _compare(("noise", name, WHOLE), own, noisy.maps(name), checked)
        if METHODS[name].stochastic:
            rows += _compare(("seed", name, WHOLE), own, reseeded.maps(name), checked)
        maps[name, SHUFFLED] = np.zeros_like(own)
        advance()
    for block, part, shuffled in _with_shuffled_weights(explainer, checked):
        for name in methods:
            own, others = maps[name, MAP][part], shuffled.maps(name)
            maps[name, SHUFFLED][part] = others  # those of the last block remain
            rows += _compare(("weights", name, block), own, others, shuffled.checked)
            rows += _compare_without_factors(("weights", name, block), own, others, shuffled.checked)
            advance()
    for name in methods:
        rows += _beside_nulls(name, maps, checked)
        orders = {order: maps[name, order] for order in (MAP, SHUFFLED)}
        orders[ANOTHER] = orders[MAP][checked.other_scans]
        for order, values in orders.items():
            rows += replacement(scans, (name, order), values)
        advance()
    for order in SHARED_ORDERS:
        rows += replacement(scans, (order, order), shared_order(order, checked))
    rows += check_regions(scans, maps)
    advance()
    return pd.DataFrame(rows, columns=COLUMNS)


def n_stages(network: nn.Module, checked: CheckedScans, methods: Sequence[str]) -> int:
    """Return how often `check_maps` calls `advance`."""
    n_shuffled = min(N_SHUFFLED, len(checked.inputs))
    return len(methods) * (2 + len(block_names(network)) + n_shuffled - 1) + 1


def _with_shuffled_weights(
    explainer: Explainer, checked: CheckedScans
) -> Iterator[tuple[str, slice, ExplainedScans]]:
    """Yield a block, some scans, and these under a network with the weights down to it shuffled.

    The scans are dealt to `N_SHUFFLED` networks. The first network's are yielded after each block, the
    others' with all weights shuffled only.
    """
    last = block_names(explainer.network)[-1]
    for number in range(min(N_SHUFFLED, len(checked.inputs))):
        part = slice(number, None, N_SHUFFLED)
        for block, network in randomised(explainer.network, number):
            if number == 0 or block == last:
                shuffled = Explainer(network, explainer.settings)
                yield block, part, ExplainedScans(shuffled, checked.select(part))


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


def _compare_without_factors(
    label: tuple[str, str, str], maps: np.ndarray, others: np.ndarray, checked: CheckedScans
) -> Iterator[Row]:
    """Compare magnitudes as `_compare` does, with what scan, baseline and place explain of both left out."""
    check, method, step = label
    factors = np.abs(checked.inputs) if METHODS[method].from_zero else checked.differences
    both = zip(maps, others, factors, checked.subject_ids, checked.brains, strict=True)
    for a, b, factor, subject_id, brain in both:
        yield Row(check, method, subject_id, step, "partial", partial_similarity(a, b, factor, brain))


def _between_subjects(method: str, maps: np.ndarray, checked: CheckedScans) -> Iterator[Row]:
    """Compare the maps of every two subjects: what a map has in common with one of another scan."""
    for i, j in combinations(range(len(maps)), 2):
        pair = f"{checked.subject_ids[i]} and {checked.subject_ids[j]}"
        for measure, value in similarity(maps[i], maps[j], checked.brains[i] & checked.brains[j]).items():
            yield Row("subjects", method, pair, WHOLE, measure, value)


def _beside_nulls(
    method: str, maps: dict[tuple[str, str], np.ndarray], checked: CheckedScans
) -> Iterator[Row]:
    """Measure each scan's map and what knows nothing of the network alike."""
    own, shuffled = maps[method, MAP], maps[method, SHUFFLED]
    for order, others in {MAP: own, SHUFFLED: shuffled, DIFFERENCE: checked.differences}.items():
        both = zip(own, others, checked.subject_ids, checked.brains, strict=True)
        for values, other, subject_id, brain in both:
            share = brain_share(np.abs(other), brain)
            yield Row("nulls", method, subject_id, WHOLE, "brain_share", share, order)
            if order != MAP:
                likeness = similarity(values, other, brain)["absolute"]
                yield Row("nulls", method, subject_id, WHOLE, "absolute", likeness, order)
