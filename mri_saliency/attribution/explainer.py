"""Maps of scans by name of the method, in passes that fit the device's memory."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from mri_saliency.attribution.batch import Batch, BatchMaps, Settings
from mri_saliency.attribution.captum_methods import METHOD_FUNCTIONS, baseline_outputs_of, outputs_of
from mri_saliency.attribution.first_layer import SplitNetwork
from mri_saliency.attribution.log_odds import log_odds
from mri_saliency.attribution.methods import AUTO
from mri_saliency.attribution.moments import sums
from mri_saliency.attribution.result import Attribution
from mri_saliency.errors import UserError
from mri_saliency.inputs.loading import LoadedScan

# Raised by a change after which maps differ by more than rounding from earlier ones.
MATHS = 1

_Result = TypeVar("_Result")


class Explainer:
    """A network and the settings under which it is explained.

    Maps explain the log-odds of a class (`log_odds`): a single logit itself, or with several logits the
    class's logit less the logsumexp of the others. `logits`, `baseline_logits` and `predict` return them, so
    that a map is compared with what it explains. Classes are predicted from the network's outputs.

    Parameters
    ----------
    network : nn.Module
        float32 (n, n_slices, 128, 128) -> (n, n_logits): an EfficientNet, prepared by
        `inputs.checkpoint.prepare_for_attribution`.
    settings : Settings

    Attributes
    ----------
    settings : Settings
        With a smaller batch size where the device's memory was too little for the first one.

    Raises
    ------
    ValueError
        The network's batch normalisation is not merged into its convolutions.
    """

    def __init__(self, network: nn.Module, settings: Settings) -> None:
        self.network = network
        self.settings = settings
        self._split = SplitNetwork(network)

    @property
    def methods(self) -> set[str]:
        """Names of the methods that can be run."""
        return set(METHOD_FUNCTIONS)

    def batch(
        self,
        inputs: np.ndarray,
        baselines: np.ndarray,
        scan_ids: list[str],
        targets: list[int] | int | None,
    ) -> Batch:
        """Copy scans to the network's device.

        Parameters
        ----------
        inputs : ndarray
            float32 (n, n_slices, 128, 128).
        baselines : ndarray
            float32, (n, ...) as `inputs` or (1, ...) for all.
        scan_ids : list of str
            Stable ids that seed each scan's random draws.
        targets : list of int, int or None
            The class to explain, of each scan or of all; None: each scan's predicted class.

        Raises
        ------
        UserError
            The device's memory is too small for the scans.
        """
        device = next(self.network.parameters()).device
        try:
            on_device = [
                torch.from_numpy(array).to(device).permute(0, 2, 3, 1).contiguous()
                for array in (inputs, baselines)
            ]
        except RuntimeError as error:
            if not _is_out_of_memory(error):
                raise
            raise UserError(
                f"the device has too little memory for {len(inputs)} scans; try a smaller --batch_size."
            ) from error
        known = list(targets) if isinstance(targets, list) else [targets or 0] * len(inputs)
        batch = Batch(*on_device, scan_ids, known)
        if targets is None:
            batch.targets = self._outputs(batch).argmax(dim=1).tolist()
        return batch

    def batch_of(self, scans: list[LoadedScan], baselines: np.ndarray, target: int | None) -> Batch:
        """Return the batch of loaded scans and of their baselines, from `Baseline.of`; raises as `batch`."""
        inputs = np.stack([scan.network_input for scan in scans])
        scan_ids = [scan.context.source.sha256 for scan in scans]
        return self.batch(inputs, baselines, scan_ids, target)

    def select(self, batch: Batch, indices: Sequence[int]) -> Batch:
        """Return some of a batch's scans; what all of them need is computed once, for all together."""
        indices = list(indices)
        if indices == list(range(len(batch.scan_ids))):
            return batch
        is_shared = len(batch.baselines) == 1
        return Batch(
            batch.inputs[indices],
            batch.baselines if is_shared else batch.baselines[indices],
            [batch.scan_ids[index] for index in indices],
            [batch.targets[index] for index in indices],
            self._outputs(batch)[indices],
            self._baseline_outputs(batch) if is_shared else None,
            None if batch.gradients is None else batch.gradients[indices],
            batch.baseline_gradients if is_shared else _of_rows(batch.baseline_gradients, indices),
        )

    def scans_at_a_time(self, method: str) -> int:
        """Return how many scans a method's passes fill one pass of the network with; at least 1."""
        n_steps, n_samples = self.settings.n_steps, self.settings.n_samples
        if n_steps == AUTO:
            n_steps = 1  # scans that need few points and scans that need many fill passes together
        passes = {
            "integrated_gradients": n_steps,
            "gradient_shap": n_samples,
            "deep_lift": 2,
            "noise_tunnel_ig": n_samples * n_steps,
            "smooth_grad": n_samples,
        }
        return max(1, self.settings.batch_size // passes.get(method, 1))

    def attribute(self, method: str, batch: Batch) -> list[Attribution]:
        """Compute the map of each scan of `batch` with `method`.

        Where the device's memory is too small, the batch size is halved, and stays so.

        Raises
        ------
        UserError
            The memory is too small for one volume at a time.
        """

        def run() -> BatchMaps:
            batch.passes.clear()
            return METHOD_FUNCTIONS[method](self._split, batch, self.settings)

        began = time.perf_counter()
        maps = self._within_memory(method, run)
        outputs = self._outputs(batch).cpu().numpy()
        # a copy each, so that a map that waits to be written keeps no other in memory
        values = [slices_last.permute(2, 0, 1).contiguous().cpu().numpy() for slices_last in maps.values]
        none = [None] * len(values)
        expected, standard_errors = (
            none if numbers is None else numbers.tolist()
            for numbers in (maps.expected_totals, maps.standard_errors)
        )
        totals, errors = sums(maps.values), maps.errors or none
        seconds = (time.perf_counter() - began) / len(values)
        return [
            Attribution(
                values[i],
                totals[i],
                expected[i],
                outputs[i],
                batch.targets[i],
                seconds,
                batch.passes[i],
                errors[i],
                standard_errors[i],
            )
            for i in range(len(values))
        ]

    def logits(self, batch: Batch) -> Tensor:
        """Return each class's log-odds for a batch, (n, n_logits); memory as in `attribute`."""
        return log_odds(self._outputs(batch))

    def baseline_logits(self, batch: Batch) -> Tensor:
        """Return each class's log-odds for a batch's baselines, (n or 1, n_logits)."""
        return log_odds(self._baseline_outputs(batch))

    def predict(self, volumes: Tensor) -> Tensor:
        """Return each class's log-odds (n, n_logits) for volumes (n, 128, 128, n_slices).

        The volumes are on the network's device; memory as in `attribute`.
        """
        return log_odds(
            self._within_memory(
                "prediction",
                lambda: self._split.predict(self._split.first(volumes), self.settings.batch_size),
            )
        )

    def _outputs(self, batch: Batch) -> Tensor:
        """Return the network's outputs for a batch, (n, n_logits)."""
        return self._within_memory("prediction", lambda: outputs_of(self._split, batch, self.settings))

    def _baseline_outputs(self, batch: Batch) -> Tensor:
        """Return the network's outputs for a batch's baselines, (n or 1, n_logits)."""
        return self._within_memory(
            "prediction", lambda: baseline_outputs_of(self._split, batch, self.settings)
        )

    def _within_memory(self, work: str, run: Callable[[], _Result]) -> _Result:
        """Return what `run` returns; while the device's memory is too small, halve the batch size."""
        while True:
            try:
                return run()
            except RuntimeError as error:
                if not _is_out_of_memory(error):
                    raise
                smaller = self.settings.batch_size // 2
                if not smaller:
                    raise UserError(
                        f"{work}: the device has too little memory for one volume at a time. "
                        "Free some, start with a smaller --batch_size, or use another --device."
                    ) from error
            warnings.warn(f"out of memory; going on with --batch_size {smaller}", stacklevel=2)
            self.settings = replace(self.settings, batch_size=smaller)
            if torch.cuda.is_available():
                torch.cuda.empty_cache()


def _of_rows(gradients: dict[tuple[int, int], Tensor], rows: list[int]) -> dict[tuple[int, int], Tensor]:
    """Return the gradients at some of a batch's baselines, by the rows that these have among themselves."""
    return {(rows.index(row), target): value for (row, target), value in gradients.items() if row in rows}


def _is_out_of_memory(error: RuntimeError) -> bool:
    """Return whether a device's memory was too small; its libraries have errors of their own for that."""
    signs = ("out of memory", "ALLOC_FAILED", "unable to find an engine", "can't allocate memory")
    return isinstance(error, torch.OutOfMemoryError) or any(sign in str(error) for sign in signs)
