"""Checks on the network whether maps can be believed; they cost passes of the network.

Every check measures something whose answer is known for a map that explains the network. The pass lines
come from the same scans (`sanity_verdicts`).
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
import pandas as pd
import torch
from torch import nn

from mri_saliency.attribution.explainer import Explainer
from mri_saliency.attribution.methods import METHODS
from mri_saliency.attribution.sanity_verdicts import COLUMNS, ORDERS, WHOLE

REPLACED_PERCENT = (0, 0.5, 1, 2, 5, 10, 20, 40, 60, 80, 100)
INPUT_NOISE = 0.02  # standard deviation added to the scan, in units of the network's input
_SEED = 20_000  # of the checks' random draws

Row = tuple[str, str, str, str, str, float]  # in the order of COLUMNS


@dataclass(frozen=True)
class CheckedScans:
    """Scans whose maps are checked.

    Attributes
    ----------
    inputs : ndarray
        float32 (n, n_slices, 128, 128).
    baselines : ndarray
        float32, (n, ...) as `inputs` or (1, ...) for all.
    scan_ids : list of str
        Stable ids that seed each scan's random draws.
    targets : list of int, int or None
        The logit to explain, of each scan or of all; None: each scan's predicted class.
    subject_ids : list of str
    brains : ndarray
        bool (n, n_slices, 128, 128): where maps are compared.
    """

    inputs: np.ndarray
    baselines: np.ndarray
    scan_ids: list[str]
    targets: list[int] | int | None
    subject_ids: list[str]
    brains: np.ndarray


class ExplainedScans:
    """Checked scans under one network and one seed.

    Parameters
    ----------
    explainer : Explainer
    checked : CheckedScans
    """

    def __init__(self, explainer: Explainer, checked: CheckedScans) -> None:
        self.explainer = explainer
        self.subject_ids = checked.subject_ids
        self.batch = explainer.batch(checked.inputs, checked.baselines, checked.scan_ids, checked.targets)

    def maps(self, method: str) -> np.ndarray:
        """Compute the scans' maps, (n, n_slices, 128, 128)."""
        attributions = self.explainer.attribute(method, self.batch)
        return np.stack([attribution.values for attribution in attributions])


def check_maps(
    explainer: Explainer, checked: CheckedScans, methods: list[str], advance: Callable[[], None]
) -> pd.DataFrame:
    """Run all checks.

    Parameters
    ----------
    explainer : Explainer
    checked : CheckedScans
    methods : list of str
    advance : callable
        Called `n_stages(explainer.network, methods)` times, as the work proceeds.

    Returns
    -------
    DataFrame
        One row for each number, with the columns `COLUMNS`.
    """
    scans = ExplainedScans(explainer, checked)
    checked = replace(checked, targets=scans.batch.targets)  # the same logits in every comparison
    noisy = ExplainedScans(explainer, replace(checked, inputs=_with_noise(checked.inputs)))
    rows: list[Row] = []
    maps = {}
    for method in methods:
        maps[method] = scans.maps(method)
        rows += _between_subjects(method, maps[method], checked)
        rows += replacement(scans, method, maps[method])
        rows += _compare(("noise", method, WHOLE), maps[method], noisy.maps(method), checked)
        if METHODS[method].stochastic:
            other_seed = replace(explainer.settings, seed=_SEED + explainer.settings.seed)
            reseeded = ExplainedScans(Explainer(explainer.network, other_seed), checked)
            rows += _compare(("seed", method, WHOLE), maps[method], reseeded.maps(method), checked)
        advance()
    for order in ORDERS:
        rows += replacement(scans, order, _ordering(order, checked.inputs))
    for block, network in randomised(explainer.network):
        shuffled = ExplainedScans(Explainer(network, explainer.settings), checked)
        for method in methods:
            rows += _compare(("weights", method, block), maps[method], shuffled.maps(method), checked)
            advance()
    return pd.DataFrame(rows, columns=COLUMNS)


def n_stages(network: nn.Module, methods: list[str]) -> int:
    """Return how often `check_maps` calls `advance`."""
    return len(methods) * (1 + len(block_names(network)))


def block_names(network: nn.Module) -> list[str]:
    """Return the names of an EfficientNet's blocks from its head to its input."""
    return ["classifier", *(f"features.{i}" for i in reversed(range(len(network.features))))]


def randomised(network: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Yield copies of a network with more and more of its weights shuffled, from the head down.

    The cascade of Adebayo et al. 2018 (Sanity checks for saliency maps, NeurIPS). Each tensor's values
    are shuffled among themselves, which keeps the activations' size in a network whose normalisation
    is merged into its convolutions. `network` itself is not changed.
    """
    network = copy.deepcopy(network)
    generator = torch.Generator().manual_seed(_SEED)
    for block in block_names(network):
        with torch.no_grad():
            for weights in network.get_submodule(block).parameters():
                order = torch.randperm(weights.numel(), generator=generator).to(weights.device)
                weights.copy_(weights.flatten()[order].reshape(weights.shape))
        yield block, network


def similarity(a: np.ndarray, b: np.ndarray, brain: np.ndarray) -> dict[str, float]:
    """Compute Spearman's correlation of two maps inside the brain: of their values and magnitudes.

    Over every third voxel along each axis; 0 where a map is constant, because it then shares nothing
    with the other.
    """
    inside = brain[::3, ::3, ::3]
    values = pd.DataFrame({"a": a[::3, ::3, ::3][inside], "b": b[::3, ::3, ::3][inside]})
    return {
        name: float(np.nan_to_num(columns.corr("spearman", min_periods=3).loc["a", "b"]))
        for name, columns in (("signed", values), ("absolute", values.abs()))
    }


def replacement(scans: ExplainedScans, name: str, values: np.ndarray) -> Iterator[Row]:
    """Replace voxels by the baseline's in descending order of `values`, and the reverse.

    The deletion and insertion curves of Petsiuk et al. 2018 (RISE, BMVC). The logit is given less the
    baseline's, and counted toward the scan's. For a signed method the order is that of contributions to
    this change.

    Parameters
    ----------
    scans : ExplainedScans
    name : str
        A method or one of `ORDERS`.
    values : ndarray
        (n, n_slices, 128, 128).
    """
    explainer, batch = scans.explainer, scans.batch
    baselines = batch.baselines.expand_as(batch.inputs)
    baseline_logits = explainer.baseline_logits(batch).expand(len(values), -1)
    for index, subject_id in enumerate(scans.subject_ids):
        target = batch.targets[index]
        at_baseline = float(baseline_logits[index, target])
        towards = 1.0 if float(explainer.logits(batch)[index, target]) >= at_baseline else -1.0
        is_signed = name in METHODS and METHODS[name].signed
        ranks = _percent_ranks(towards * values[index] if is_signed else values[index])
        ranks = torch.from_numpy(ranks).permute(1, 2, 0).to(batch.inputs.device)  # slices last
        ends = (batch.inputs[index], baselines[index])
        for check, (before, after) in (("deletion", ends), ("insertion", ends[::-1])):
            mixed = torch.stack([torch.where(ranks < percent, after, before) for percent in REPLACED_PERCENT])
            logits = explainer.predict(mixed)[:, target].tolist()
            for percent, logit in zip(REPLACED_PERCENT, logits, strict=True):
                yield check, name, subject_id, str(percent), "logit", towards * (logit - at_baseline)


def _percent_ranks(values: np.ndarray) -> np.ndarray:
    """Return the rank of every value in descending order, in percent of their number; float32."""
    places = np.argsort(-values, axis=None, kind="stable")
    ranks = np.empty(places.size, np.float32)
    ranks[places] = np.arange(places.size) / places.size * 100
    return ranks.reshape(values.shape)


def _ordering(name: str, inputs: np.ndarray) -> np.ndarray:
    """Return values whose descending order is that of `ORDERS`, of the shape of `inputs`."""
    return inputs if name == "intensity" else np.random.default_rng(_SEED).random(inputs.shape, np.float32)


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
            yield check, method, subject_id, step, measure, value


def _between_subjects(method: str, maps: np.ndarray, checked: CheckedScans) -> Iterator[Row]:
    """Compare the maps of every two subjects, which yields the pass lines."""
    for i, j in combinations(range(len(maps)), 2):
        pair = f"{checked.subject_ids[i]} and {checked.subject_ids[j]}"
        brain = checked.brains[i] & checked.brains[j]
        for measure, value in similarity(maps[i], maps[j], brain).items():
            yield "subjects", method, pair, WHOLE, measure, value
