"""What methods ask of the network, in passes of at most `Settings.batch_size` volumes."""

from __future__ import annotations

from collections import Counter

import torch
from captum.attr import Saliency
from torch import Tensor

from mri_saliency.attribution.batch import Batch, Settings
from mri_saliency.attribution.first_layer import SplitNetwork
from mri_saliency.attribution.log_odds import log_odds


class Passes:
    """A method's passes for a batch, which keeps what other methods need again.

    Attributes
    ----------
    counts : Counter
        Index of a scan -> forward-backward passes made for it.
    """

    def __init__(self, network: SplitNetwork, batch: Batch, settings: Settings) -> None:
        self.network, self.batch, self.settings = network, batch, settings
        self.counts: Counter[int] = Counter()

    def predict(self, points: Tensor) -> Tensor:
        """Return the network's outputs (n, n_logits) for points behind the first layer."""
        return self.network.predict(points, self.settings.batch_size)

    def outputs(self) -> Tensor:
        """Return the network's outputs for the scans, (n, n_logits)."""
        if self.batch.outputs is None:
            self.batch.outputs = self.predict(self.network.first(self.batch.inputs))
        return self.batch.outputs

    def baseline_outputs(self) -> Tensor:
        """Return the network's outputs for the baselines, (n or 1, n_logits)."""
        if self.batch.baseline_outputs is None:
            self.batch.baseline_outputs = self.predict(self.network.first(self.batch.baselines))
        return self.batch.baseline_outputs

    def log_odds(self) -> Tensor:
        """Return the targets' log-odds at the scans, float64 (n,)."""
        return of_targets(self.outputs(), self.batch.targets)

    def change(self) -> Tensor:
        """Return the targets' log-odds at the scans less those at their baselines, float64 (n,)."""
        baseline_outputs = self.baseline_outputs().expand_as(self.outputs())
        return self.log_odds() - of_targets(baseline_outputs, self.batch.targets)

    def targets(self, scans: list[int]) -> list[int]:
        """Return the classes to explain of scans, given by their indices in the batch."""
        return [self.batch.targets[scan] for scan in scans]

    def gradients(self, scans: list[int], points: Tensor) -> tuple[Tensor, Tensor]:
        """Compute the gradients of targets' log-odds at points, and the outputs.

        Parameters
        ----------
        scans : list of int
            The index of each point's scan in the batch.
        points : Tensor
            (n, channels, 64, 64), behind the first layer.
        """
        later, targets = self.network.later, self.targets(scans)
        gradients, outputs = [], []
        for group in slices(len(points), self.settings.batch_size):
            leaves = points[group].detach().requires_grad_()
            attributed = Saliency(later).attribute(leaves, target=for_captum(targets[group]), abs=False)
            gradients.append(attributed.detach())
            outputs.append(later.latest_outputs)
        self.counts.update(scans)
        return torch.cat(gradients), torch.cat(outputs)

    def gradients_at_scans(self) -> Tensor:
        """Return the gradients at the scans, (n, channels, 64, 64), behind the first layer."""
        if self.batch.gradients is None:
            scans, points = list(range(len(self.batch.inputs))), self.network.first(self.batch.inputs)
            self.batch.gradients, self.batch.outputs = self.gradients(scans, points)
        return self.batch.gradients

    def gradients_at_baselines(self, *, and_scans: bool) -> list[Tensor]:
        """Return the gradient at the baseline of each scan, behind the first layer.

        Its pass yields the gradients at the scans too where `and_scans`, as one full pass takes less time.
        """
        batch, first, all_scans = self.batch, self.network.first, range(len(self.batch.inputs))
        # a baseline that scans share has a gradient for each target
        rows = [0 if len(batch.baselines) == 1 else scan for scan in all_scans]
        keys = list(zip(rows, batch.targets, strict=True))
        open_keys: dict[tuple[int, int], int] = {}  # -> the first scan that needs the gradient
        for scan, key in enumerate(keys):
            if key not in batch.baseline_gradients:
                open_keys.setdefault(key, scan)
        open_scans = list(all_scans) if and_scans and batch.gradients is None else []
        if scans := open_scans + list(open_keys.values()):
            open_rows, n = [row for row, _ in open_keys], len(open_scans)
            points = torch.cat([first(batch.inputs[open_scans]), first(batch.baselines[open_rows])])
            gradients, outputs = self.gradients(scans, points)
            if open_scans:
                batch.gradients, batch.outputs = gradients[:n], outputs[:n]
            if open_rows == list(range(len(batch.baselines))):
                batch.baseline_outputs = outputs[n:]
            batch.baseline_gradients.update(zip(open_keys, gradients[n:], strict=True))
        return [batch.baseline_gradients[key] for key in keys]


def of_targets(outputs: Tensor, targets: list[int]) -> Tensor:
    """Return the log-odds of each row's target: (n, n_logits) -> float64 (n,)."""
    return log_odds(outputs.double())[range(len(targets)), targets]


def for_captum(targets: list[int]) -> int | list[int]:
    """Return one number if all are equal: Captum copies a list to the GPU in each pass, and waits for it."""
    return targets[0] if len(set(targets)) == 1 else targets


def slices(n: int, at_a_time: int) -> list[slice]:
    """Return slices of n items, of `at_a_time` (at least 1) each."""
    at_a_time = max(1, at_a_time)
    return [slice(start, start + at_a_time) for start in range(0, n, at_a_time)]
