"""Checks on the network whether maps can be believed; they cost passes of the network.

Every check measures something whose answer is known for a map that explains the network, and sets it
beside maps that know nothing of it. `checks.verdicts` judges the numbers.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import combinations

import numpy as np
import pandas as pd
import torch

from mri_saliency.attribution.explainer import Explainer
from mri_saliency.checks.checked_scans import CheckedScans, ExplainedScans
from mri_saliency.checks.region_ablation import check_regions
from mri_saliency.checks.replacement import replacement, shared_order
from mri_saliency.checks.shuffled_weights import shuffled
from mri_saliency.checks.similarity import partial_similarity, similarity
from mri_saliency.checks.table import (
    ANOTHER,
    BY_MAGNITUDE,
    INPUT_NOISE,
    MAP,
    SHARED_ORDERS,
    SHUFFLED,
    WHOLE,
    Row,
)
from mri_saliency.methods import METHODS

N_SHUFFLED = 3  # shuffled networks: what one has in common with the original by chance is averaged
_SEED = 20_000  # of the noise, and of the repeated draws


def check_maps(
    explainer: Explainer, checked: CheckedScans, methods: Sequence[str], advance: Callable[[], None]
) -> pd.DataFrame:
    """Run all checks: a `Row` for each number; `advance` is called `n_stages` times, as the work proceeds."""
    scans = ExplainedScans(explainer, checked)
    noisy = ExplainedScans(explainer, replace(checked, inputs=_with_noise(checked.inputs)))
    other_seed = replace(explainer.settings, seed=_SEED + explainer.settings.seed)
    reseeded = ExplainedScans(Explainer(explainer.network, other_seed), checked)
    rows: list[Row] = []
    maps = {}  # (method, MAP or SHUFFLED) -> (n, n_slices, 128, 128)
    for name in methods:
        own = maps[name, MAP] = scans.maps(name)
        rows += _between_subjects(name, own, checked)
        rows += _compare("noise", name, own, noisy.maps(name), checked)
        if METHODS[name].stochastic:
            rows += _compare("seed", name, own, reseeded.maps(name), checked)
        maps[name, SHUFFLED] = np.zeros_like(own)
        advance()
    for number in range(min(N_SHUFFLED, len(checked.inputs))):
        part = slice(number, None, N_SHUFFLED)  # of the scans, which are dealt to the networks
        knows_nothing = Explainer(shuffled(explainer.network, number), explainer.settings)
        explained = ExplainedScans(knows_nothing, checked.select(part))
        for name in methods:
            maps[name, SHUFFLED][part] = explained.maps(name)
            advance()
    for name in methods:
        orders = {order: maps[name, order] for order in (MAP, SHUFFLED)}
        rows += _compare_with_shuffled(name, orders[MAP], orders[SHUFFLED], scans)
        orders[ANOTHER] = orders[MAP][checked.other_scans]
        if METHODS[name].signed:  # groups are compared by magnitudes
            orders |= {order + BY_MAGNITUDE: np.abs(values) for order, values in orders.items()}
        for order, values in orders.items():
            rows += replacement(scans, (name, order), values)
        advance()
    for order in SHARED_ORDERS:
        rows += replacement(scans, (order, order), shared_order(order, checked))
    rows += check_regions(scans, maps)
    advance()
    return pd.DataFrame(rows, columns=Row._fields)


def n_stages(checked: CheckedScans, methods: Sequence[str]) -> int:
    """Return how often `check_maps` calls `advance`."""
    return len(methods) * (2 + min(N_SHUFFLED, len(checked.inputs))) + 1


def _with_noise(inputs: np.ndarray) -> np.ndarray:
    n, n_slices, height, width = inputs.shape
    noise = torch.randn(n, height, width, n_slices, generator=torch.Generator().manual_seed(_SEED))
    return inputs + INPUT_NOISE * noise.permute(0, 3, 1, 2).numpy()


def _compare(
    check: str, method: str, maps: np.ndarray, others: np.ndarray, checked: CheckedScans
) -> Iterator[Row]:
    """Compare each scan's map with another of the same scan."""
    for a, b, subject_id, brain in zip(maps, others, checked.subject_ids, checked.brains, strict=True):
        yield Row(check, method, subject_id, WHOLE, _measure(method), similarity(a, b, brain))


def _compare_with_shuffled(
    method: str, maps: np.ndarray, others: np.ndarray, scans: ExplainedScans
) -> Iterator[Row]:
    """Compare values with a sign, and magnitudes without what the null map and place explain of both."""
    checked = scans.checked
    if METHODS[method].signed:
        yield from _compare("weights", method, maps, others, checked)
    both = zip(maps, others, scans.nulls(method), checked.subject_ids, checked.brains, strict=True)
    for a, b, factor, subject_id, brain in both:
        yield Row("weights", method, subject_id, WHOLE, "partial", partial_similarity(a, b, factor, brain))


def _between_subjects(method: str, maps: np.ndarray, checked: CheckedScans) -> Iterator[Row]:
    """Compare the maps of every two subjects: what a map has in common with one of another scan."""
    for i, j in combinations(range(len(maps)), 2):
        pair = f"{checked.subject_ids[i]} and {checked.subject_ids[j]}"
        value = similarity(maps[i], maps[j], checked.brains[i] & checked.brains[j])
        yield Row("subjects", method, pair, WHOLE, _measure(method), value)


def _measure(method: str) -> str:
    return "signed" if METHODS[method].signed else "absolute"
