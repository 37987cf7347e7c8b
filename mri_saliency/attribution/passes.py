"""What methods ask of the network, in passes of at most `Settings.batch_size` volumes."""

from collections import Counter

import torch
from captum.attr import Saliency
from torch import Tensor

from mri_saliency.attribution.batch import Batch, Settings
from mri_saliency.attribution.first_layer import SplitNetwork
from mri_saliency.attribution.log_odds import log_odds


class Passes:
    """A method's passes for a batch, which keeps what other methods need again.

    `counts` has the number of forward-backward passes for each scan, by its index. Those whose results the
    batch keeps are in `kept` too, with which another attempt begins, where memory was too small.
    """

    def __init__(
        self, network: SplitNetwork, batch: Batch, settings: Settings, kept: Counter[int] | None = None
    ) -> None:
        self.network, self.batch, self.settings = network, batch, settings
        self._kept: Counter[int] = Counter() if kept is None else kept
        self.counts = Counter(self._kept)

    def predict(self, points: Tensor) -> Tensor:
        """Return the network's outputs (n, n_logits) for points behind the first layer."""
        return self.network.predict(points, self.settings.batch_size)

    def outputs(self) -> Tensor:
        """Return the network's outputs for the scans, (n, n_logits)."""
        return self._outputs(self.batch.keys, self.batch.inputs)

    def baseline_outputs(self) -> Tensor:
        """Return the network's outputs for the baselines, (n or 1, n_logits)."""
        baselines = self.batch.baselines
        return self._outputs(self.batch.baseline_keys[: len(baselines)], baselines)

    def _outputs(self, keys: list[int], volumes: Tensor) -> Tensor:
        known = self.batch.outputs
        if rows := [row for row, key in enumerate(keys) if key not in known]:
            outputs = self.predict(self.network.first(volumes[rows]))
            known.update(zip([keys[row] for row in rows], outputs, strict=True))
        return torch.stack([known[key] for key in keys])

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
        """Compute the gradients of targets' log-odds at points, and the network's outputs.

        `points` are (n, channels, 64, 64), behind the first layer; `scans` are their scans' indices.
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

    def end_gradients(self, *, scans: bool = False, baselines: bool = False) -> list[Tensor]:
        """Return the gradients at all scans and then all baselines, as asked for: (channels, 64, 64) each."""
        batch, wanted = self.batch, []
        kinds = [(batch.keys, batch.inputs)] if scans else []
        kinds += [(batch.baseline_keys, batch.baselines.expand_as(batch.inputs))] if baselines else []
        missing: dict[tuple[int, int], tuple[int, Tensor]] = {}  # -> the first scan that needs it, and where
        for keys, volumes in kinds:
            for scan, pair in enumerate(zip(keys, batch.targets, strict=True)):
                wanted.append(pair)
                if pair not in batch.gradients:
                    missing.setdefault(pair, (scan, volumes[scan]))
        if missing:
            points = self.network.first(torch.stack([volume for _, volume in missing.values()]))
            of_scans = [scan for scan, _ in missing.values()]
            gradients, outputs = self.gradients(of_scans, points)
            self._kept.update(of_scans)
            batch.gradients.update(zip(missing, gradients, strict=True))
            batch.outputs.update(zip((key for key, _ in missing), outputs, strict=True))
        return [batch.gradients[pair] for pair in wanted]


def of_targets(outputs: Tensor, targets: list[int]) -> Tensor:
    """Return the log-odds of each row's target: (n, n_logits) -> float64 (n,)."""
    return log_odds(outputs.double())[range(len(targets)), targets]


def for_captum(targets: list[int]) -> int | list[int]:
    """Return one number if all are equal: Captum copies a list to the GPU in each pass, and waits for it."""
    return targets[0] if len(set(targets)) == 1 else targets


def slices(n: int, at_a_time: int) -> list[slice]:
    """Return slices of n items, of `at_a_time` (at least 1) each."""
    return [slice(start, start + max(1, at_a_time)) for start in range(0, n, max(1, at_a_time))]
