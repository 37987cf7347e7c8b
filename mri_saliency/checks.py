"""A network and its maps -> whether the maps can be believed: checks that cost passes of the network.

Every check measures something whose answer is known for a map that explains the network, and sets it
against a pass line from the same scans. The rows all have the columns `COLUMNS`.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from mri_saliency import measures
from mri_saliency.attribution import Batch, Explainer
from mri_saliency.methods import METHODS

COLUMNS = ("check", "method", "subject_id", "step", "measure", "value")
UNLIKE = 0.1  # a rank correlation of maps up to this is none
WHOLE = "whole"  # the step of a check that has none
REPLACED_PERCENT = (0, 0.5, 1, 2, 5, 10, 20, 40, 60, 80, 100)
INPUT_NOISE = 0.02  # standard deviation added to the scan, in units of the network's input
_SEED = 20_000  # of the checks' own draws
ORDERS = ("random", "intensity")  # that deletion and insertion compare a map's with


@dataclass(frozen=True)
class Checked:
    """Scans whose maps are checked.

    Attributes
    ----------
    batch : Batch
        As `Explainer.batch` prepares it.
    subject_ids : list of str
    brains : ndarray
        bool (n, n_slices, 128, 128): where maps are compared.
    """

    batch: Batch
    subject_ids: list[str]
    brains: np.ndarray


Rows = Iterator[dict]


def check_maps(
    explainer: Explainer, checked: Checked, methods: list[str], advance: Callable[[], None]
) -> pd.DataFrame:
    """Run all checks.

    Parameters
    ----------
    explainer : Explainer
    checked : Checked
    methods : list of str
    advance : callable
        Called `n_stages(explainer.network, methods)` times, as the work goes on.

    Returns
    -------
    DataFrame
        A row a number, with the columns `COLUMNS`.
    """
    rows = []
    maps = {}
    baselines = checked.batch.baselines.expand_as(checked.batch.inputs)
    at_baselines = explainer.logits(_afresh(checked.batch, inputs=baselines))
    for method in methods:
        maps[method] = _maps(explainer, method, checked.batch)
        rows += _between_subjects(maps[method], checked, method)
        rows += _replacement(explainer, maps[method], checked, method, at_baselines)
        rows += _repeats(explainer, maps[method], checked, method)
        advance()
    for order in ORDERS:
        rows += _replacement(explainer, _ordering(order, checked), checked, order, at_baselines)
    for block, network in randomised(explainer.network):
        other = Explainer(network, explainer.settings)
        for method in methods:
            again = _maps(other, method, _afresh(checked.batch))
            rows += _compare("weights", method, block, maps[method], again, checked)
            advance()
    return pd.DataFrame(rows, columns=COLUMNS)


def n_stages(network: nn.Module, methods: list[str]) -> int:
    """Count how often `check_maps` calls `advance`."""
    return len(methods) * (1 + len(blocks_of(network)))


def blocks_of(network: nn.Module) -> list[str]:
    """Name an EfficientNet's blocks from its head to its input."""
    return ["classifier", *(f"features.{i}" for i in reversed(range(len(network.features))))]


def randomised(network: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Yield copies of a network with more and more of its weights shuffled, from the head down.

    The cascade of Adebayo et al. 2018 (Sanity checks for saliency maps, NeurIPS). Each tensor's values
    are shuffled among themselves, which keeps the activations' size in a network whose normalisation
    is merged into its convolutions. `network` itself is not changed.
    """
    network = copy.deepcopy(network)
    generator = torch.Generator().manual_seed(_SEED)
    for block in blocks_of(network):
        with torch.no_grad():
            for weights in network.get_submodule(block).parameters():
                order = torch.randperm(weights.numel(), generator=generator).to(weights.device)
                weights.copy_(weights.flatten()[order].reshape(weights.shape))
        yield block, network


def similarity(a: np.ndarray, b: np.ndarray, brain: np.ndarray) -> dict[str, float]:
    """Spearman's correlation of two maps inside the brain: of their values and of their magnitudes.

    Over every third voxel along each axis; 0 where a map is constant there, because it then says
    nothing that the other says.
    """
    chosen = [values[::3, ::3, ::3][brain[::3, ::3, ::3]] for values in (a, b)]
    return {
        name: float(np.nan_to_num(measures.rank_correlation(*(of(values) for values in chosen))))
        for name, of in (("signed", np.asarray), ("absolute", np.abs))
    }


@dataclass(frozen=True)
class Verdict:
    """What the checks say of one method; None where a check does not apply.

    Attributes
    ----------
    changes_with_weights : bool
        With all weights shuffled its maps are no more like the original's than another subject's map is
        (`pass_lines`): in values, for a signed method, and in magnitudes.
    finds_evidence : bool
        Replacing the most attributed voxels changes the logit faster, and showing them restores it
        faster, than voxels at random.
    steady_under_noise : bool
        The same scan's map with a little noise is more like the original than another subject's is.
    steady_under_seed : bool or None
        So is the same scan's map with another seed; None for a method without draws.
    """

    changes_with_weights: bool
    finds_evidence: bool
    steady_under_noise: bool
    steady_under_seed: bool | None

    def answers(self) -> dict[str, str]:
        """Say it in words: check -> "yes", "NO", or why it does not apply."""
        words = {True: "yes", False: "NO", None: "draws nothing"}
        return {
            "changes with the weights": words[self.changes_with_weights],
            "finds the evidence": words[self.finds_evidence],
            "same under a little noise": words[self.steady_under_noise],
            "same with another seed": words[self.steady_under_seed],
        }


def verdicts(table: pd.DataFrame) -> dict[str, Verdict]:
    """Judge each method from the rows of `check_maps`."""
    means = mean_values(table)
    lines = pass_lines(table)
    found = {}
    for method in (name for name in table["method"].unique() if name in METHODS):
        measured = ("signed", "absolute") if METHODS[method].signed else ("absolute",)
        last_block = table[(table["check"] == "weights") & (table["method"] == method)]["step"].iloc[-1]
        shuffled = {measure: means["weights", method, last_block, measure] for measure in measured}
        areas = areas_between(table, method)["random"]
        again = {
            check: means[check, method, WHOLE, measured[0]] > lines[method, measured[0]]
            for check in ("noise", "seed")
            if check == "noise" or METHODS[method].stochastic
        }
        found[method] = Verdict(
            changes_with_weights=all(shuffled[measure] <= lines[method, measure] for measure in measured),
            finds_evidence=areas["deletion"] > 0 and areas["insertion"] > 0,
            steady_under_noise=again["noise"],
            steady_under_seed=again.get("seed"),
        )
    return found


def pass_lines(table: pd.DataFrame) -> pd.Series:
    """Find the highest similarity of any two subjects' maps, but `UNLIKE` at least.

    Indexed by method and measure.
    """
    pairs = table[table["check"] == "subjects"].groupby(["method", "measure"], sort=False)["value"]
    return pairs.max().clip(lower=UNLIKE)


def mean_values(table: pd.DataFrame) -> pd.Series:
    """Average over subjects: indexed by check, method, step, measure."""
    return table.groupby(["check", "method", "step", "measure"], sort=False)["value"].mean()


def curve(means: pd.Series, check: str, name: str) -> pd.Series:
    """Take a deletion or insertion curve from `mean_values`.

    Indexed by the percentage of voxels, float; 1 where the scan is whole, 0 where it is the baseline.
    """
    logits = means.xs((check, name, "logit"), level=("check", "method", "measure"))
    logits.index = logits.index.astype(float)
    return logits / logits[0.0 if check == "deletion" else 100.0]


def areas_between(table: pd.DataFrame, method: str) -> dict[str, dict[str, float]]:
    """Area between a method's deletion and insertion curves and those of `ORDERS`.

    Positive where the map's order is the better one: in deletion its curve lies below, in insertion
    above. In shares of the logit's change from baseline to scan, over the share of voxels replaced.
    """
    means = mean_values(table)

    def area(check: str, name: str) -> float:
        y = curve(means, check, name)
        return float(torch.trapezoid(torch.tensor(y.to_numpy()), torch.tensor(y.index.to_numpy()) / 100))

    return {
        order: {
            "deletion": area("deletion", order) - area("deletion", method),
            "insertion": area("insertion", method) - area("insertion", order),
        }
        for order in ORDERS
    }


def _maps(explainer: Explainer, method: str, batch: Batch) -> np.ndarray:
    return np.stack([attribution.values for attribution in explainer.attribute(method, batch)])


def _afresh(batch: Batch, **changes: object) -> Batch:
    """Copy a batch without what another network, or another input, has shown."""
    return replace(batch, logits=None, baseline_logits=None, gradients=None, **changes)


def _compare(
    check: str, method: str, step: str, maps: np.ndarray, others: np.ndarray, checked: Checked
) -> Rows:
    for a, b, subject_id, brain in zip(maps, others, checked.subject_ids, checked.brains, strict=True):
        for measure, value in similarity(a, b, brain).items():
            yield dict(zip(COLUMNS, (check, method, subject_id, step, measure, value), strict=True))


def _between_subjects(maps: np.ndarray, checked: Checked, method: str) -> Rows:
    """Compare the maps of every two subjects: what the pass line comes from."""
    for i, j in combinations(range(len(maps)), 2):
        pair = f"{checked.subject_ids[i]} and {checked.subject_ids[j]}"
        both = Checked(checked.batch, [pair], (checked.brains[i] & checked.brains[j])[None])
        yield from _compare("subjects", method, WHOLE, maps[i : i + 1], maps[j : j + 1], both)


def _repeats(explainer: Explainer, maps: np.ndarray, checked: Checked, method: str) -> Rows:
    """Compare maps with those from slightly noisy scans and, if the method draws, another seed."""
    batch = checked.batch
    generator = torch.Generator().manual_seed(_SEED)
    noise = INPUT_NOISE * torch.randn(batch.inputs.shape, generator=generator)
    noisy = _afresh(batch, inputs=batch.inputs + noise.to(batch.inputs.device))
    yield from _compare("noise", method, WHOLE, maps, _maps(explainer, method, noisy), checked)
    if METHODS[method].stochastic:
        other = Explainer(
            explainer.network, replace(explainer.settings, seed=_SEED + explainer.settings.seed)
        )
        yield from _compare("seed", method, WHOLE, maps, _maps(other, method, _afresh(batch)), checked)


def _ordering(name: str, checked: Checked) -> np.ndarray:
    """Return values whose descending order is that of `ORDERS`, (n, n_slices, 128, 128)."""
    inputs = checked.batch.inputs.permute(0, 3, 1, 2).cpu().numpy()
    return inputs if name == "intensity" else np.random.default_rng(_SEED).random(inputs.shape, np.float32)


def _replacement(
    explainer: Explainer, values: np.ndarray, checked: Checked, name: str, at_baselines: Tensor
) -> Rows:
    """Replace voxels by the baseline's in descending order, and the other way round.

    The logit is given less the baseline's, and counted toward the scan's. For a signed method the order
    is that of contributions to this change.
    """
    batch = checked.batch
    baselines = batch.baselines.expand_as(batch.inputs)
    for index, subject_id in enumerate(checked.subject_ids):
        target = batch.targets[index]
        at_scan, at_baseline = (
            float(explainer.logits(batch)[index, target]),
            float(at_baselines[index, target]),
        )
        towards = 1.0 if at_scan >= at_baseline else -1.0
        order = values[index]
        if name in METHODS and METHODS[name].signed:
            order = towards * order
        places = np.argsort(-order, axis=None, kind="stable")
        # rank of every voxel in that order, in the batch's own layout
        ranks = np.empty(places.size, np.float32)
        ranks[places] = np.arange(places.size) / places.size * 100
        ranks = torch.from_numpy(ranks.reshape(order.shape)).permute(1, 2, 0).to(batch.inputs.device)
        for check, ends_of in (("deletion", (0, 1)), ("insertion", (1, 0))):
            pair = (batch.inputs[index], baselines[index])
            logits = _mixed_logits(explainer, batch, ranks, pair[ends_of[0]], pair[ends_of[1]])[:, target]
            for percent, logit in zip(REPLACED_PERCENT, logits.tolist(), strict=True):
                row = (check, name, subject_id, str(percent), "logit", towards * (logit - at_baseline))
                yield dict(zip(COLUMNS, row, strict=True))


def _mixed_logits(explainer: Explainer, batch: Batch, ranks: Tensor, before: Tensor, after: Tensor) -> Tensor:
    """Logits as more and more of `before` gives way to `after`: (steps, n_logits)."""
    mixed = torch.stack([torch.where(ranks < percent, after, before) for percent in REPLACED_PERCENT])
    return explainer.logits(_afresh(batch, inputs=mixed))
