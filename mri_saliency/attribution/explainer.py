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
from mri_saliency.attribution.moments import sums
from mri_saliency.attribution.result import Attribution
from mri_saliency.errors import UserError
from mri_saliency.inputs.file_identity import sha256_of_array
from mri_saliency.inputs.grid import INPUT_SIZE
from mri_saliency.inputs.loading import Volume
from mri_saliency.methods import AUTO, BATCH_SIZES, find_method
from mri_saliency.runtime.device_errors import (
    first_line,
    has_no_kernel,
    is_out_of_memory,
    no_kernel_message,
)

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
    settings : Settings, optional
        By default passes of as many volumes as the command line's.

    Attributes
    ----------
    settings : Settings
        With a smaller batch size where the device's memory was too little for the first one.

    Raises
    ------
    ValueError
        The network's batch normalisation is not merged into its convolutions.
    """

    def __init__(self, network: nn.Module, settings: Settings | None = None) -> None:
        self.network = network
        self.settings = settings or Settings(BATCH_SIZES.get(self._device.type, BATCH_SIZES["cpu"]))
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
            The device's memory is too small for the scans, or PyTorch has no kernel for the device.
        """
        device = self._device
        try:
            # not from pinned memory: pinning is a copy of its own, and the next step needs the scans at once;
            # they are 8 MB each, so a group of ten takes milliseconds, before passes of seconds
            on_device = [
                torch.from_numpy(array).to(device).permute(0, 2, 3, 1).contiguous()
                for array in (inputs, baselines)
            ]
        except RuntimeError as error:
            if has_no_kernel(error, device):
                raise UserError(no_kernel_message(error, device)) from error
            if not is_out_of_memory(error, device):
                raise
            raise UserError(
                f"the device has too little memory for {len(inputs)} scans; try a smaller --batch_size."
            ) from error
        known = list(targets) if isinstance(targets, list) else [targets or 0] * len(inputs)
        batch = Batch(*on_device, scan_ids, known)
        if targets is None:
            batch.targets = self._outputs(batch).argmax(dim=1).tolist()
        return batch

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
            "expected_gradients": self.settings.n_references,
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
            The memory is too small for one volume at a time, or PyTorch has no kernel for the device.
        """

        def run() -> BatchMaps:
            batch.passes.clear()
            return METHOD_FUNCTIONS[method](self._split, batch, self.settings)

        began = time.perf_counter()
        maps = self._within_memory(method, run)
        outputs = self._outputs(batch).cpu().numpy()
        values = _slices_first(maps.values)
        none = [None] * len(values)
        voxel_errors = none if maps.voxel_errors is None else _slices_first(maps.voxel_errors)
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
                voxel_errors[i],
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
                if has_no_kernel(error, self._device):
                    raise UserError(f"{work}: {no_kernel_message(error, self._device)}") from error
                if not is_out_of_memory(error, self._device):
                    raise
                smaller = self.settings.batch_size // 2
                if not smaller:
                    raise UserError(
                        f"{work}: the device has too little memory for one volume at a time "
                        f"({first_line(error)}). "
                        "Free some, start with a smaller --batch_size, or use another --device."
                    ) from error
            warnings.warn(f"out of memory; going on with --batch_size {smaller}", stacklevel=2)
            self.settings = replace(self.settings, batch_size=smaller)
            if torch.cuda.is_available():
                torch.cuda.empty_cache()

    @property
    def _device(self) -> torch.device:
        return next(self.network.parameters()).device

    def explain(
        self,
        volume: Volume,
        method: str = "integrated_gradients",
        baseline: Volume | np.ndarray | None = None,
        target: int | None = None,
    ) -> Attribution:
        """Compute the map of one volume.

        Maps are those of the command line, but for methods that draw: these draws are seeded by the network's
        input, not by the file. For many volumes, use `batch` and `attribute`, which fill the passes: with one
        volume, a GPU waits for the launches of its kernels (2,100 in a pass of L) rather than computes.

        Parameters
        ----------
        volume : Volume
            From `load_volume`.
        method : str
            One of `methods`.
        baseline : Volume or ndarray, optional
            What the volume is compared with: another one, or a network input, float32 (n_slices, 128, 128).
            By default zero, the mean intensity of a scan.
        target : int, optional
            Index of the class to explain; by default the predicted one.

        Returns
        -------
        Attribution
            Its `values` are the map, float32 (n_slices, 128, 128), in the unit of the method. In signed
            methods, positive values raised the log-odds of the class.

        Raises
        ------
        UserError
            There is no such method or class, or a volume does not have the network's slices; as `attribute`.
        """
        find_method(method)
        if baseline is None:
            baseline = np.zeros_like(volume.network_input)
        elif isinstance(baseline, Volume):
            baseline = baseline.network_input
        inputs, baselines = (
            np.ascontiguousarray(array, np.float32) for array in (volume.network_input, baseline)
        )
        expected = (self.network.features[0][0].in_channels, INPUT_SIZE, INPUT_SIZE)
        for name, array in (("volume", inputs), ("baseline", baselines)):
            if array.shape != expected:
                raise UserError(f"expected a {name} of shape {expected}, found {array.shape}.")
        n_logits = self.network.classifier[-1].out_features
        if target is not None and not 0 <= target < n_logits:
            raise UserError(f"no class {target}; the network has {n_logits} logit(s), counted from 0.")
        batch = self.batch(inputs[None], baselines[None], [sha256_of_array(inputs)], target)
        return self.attribute(method, batch)[0]


def _slices_first(maps: Tensor) -> list[np.ndarray]:
    """Return a copy of each map, so that one that waits to be written keeps no other in memory."""
    return [slices_last.permute(2, 0, 1).contiguous().cpu().numpy() for slices_last in maps]


def _of_rows(gradients: dict[tuple[int, int], Tensor], rows: list[int]) -> dict[tuple[int, int], Tensor]:
    """Return the gradients at some of a batch's baselines, by the rows that these have among themselves."""
    return {(rows.index(row), target): value for (row, target), value in gradients.items() if row in rows}
