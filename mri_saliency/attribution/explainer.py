"""Maps of scans by name of the method, in passes that fit the device's memory."""

import copy
import time
import warnings
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import torch
from torch import Tensor

from mri_saliency.attribution.batch import Batch, BatchMaps, Settings
from mri_saliency.attribution.captum_methods import METHOD_FUNCTIONS
from mri_saliency.attribution.first_layer import SplitNetwork
from mri_saliency.attribution.log_odds import log_odds
from mri_saliency.attribution.moments import sums
from mri_saliency.attribution.passes import Passes
from mri_saliency.attribution.result import Attribution
from mri_saliency.errors import UserError, check_counts
from mri_saliency.inputs.file_identity import sha256_of_array
from mri_saliency.inputs.grid import INPUT_SIZE
from mri_saliency.inputs.loading import Volume
from mri_saliency.methods import AUTO, BATCH_SIZES, find_method
from mri_saliency.runtime import device_errors
from mri_saliency.runtime.device import plain_pytorch

if TYPE_CHECKING:
    from torchvision.models import EfficientNet

# Raised by a change after which maps differ by more than rounding from earlier ones.
MATHS = 2

_Result = TypeVar("_Result")


class Explainer:
    """A network and the settings under which it is explained.

    Maps explain the log-odds of a class (`log_odds`), which `logits`, `baseline_logits` and `predict` return.

    The network, float32 (n, n_slices, 128, 128) -> (n, n_logits), is `load_checkpoint`'s, or one prepared by
    `inputs.checkpoint.prepare_for_attribution`; any other raises UserError. The settings' batch size, by
    default the command line's, becomes smaller where the device's memory is too small for it.
    """

    @plain_pytorch()
    def __init__(self, network: "EfficientNet", settings: Settings | None = None) -> None:
        self.network, self._split = network, SplitNetwork(network)
        if next(network.parameters()).is_inference():  # moved to its device in that mode
            self.network = copy.deepcopy(network)
            self._split = SplitNetwork(self.network)
        self.settings = settings or Settings(BATCH_SIZES.get(self._device.type, BATCH_SIZES["cpu"]))

    @plain_pytorch()
    def batch(
        self,
        inputs: Collection[np.ndarray],
        baselines: Collection[np.ndarray],
        scan_ids: list[str],
        targets: list[int] | int | None,
    ) -> Batch:
        """Copy scans to the network's device; raises UserError if its memory is too small.

        Inputs are n arrays, or one of them stacked, float32 (n_slices, 128, 128); baselines too, or one for
        all. `targets` are the classes to explain, of each scan or of all; None: each scan's predicted class.
        """

        def on_device(arrays: Collection[np.ndarray]) -> Tensor:
            # not from pinned memory: that is a copy of its own, and takes milliseconds of passes of seconds
            there = [torch.from_numpy(array).to(self._device) for array in arrays]
            return torch.stack([volume.permute(1, 2, 0) for volume in there])

        known = list(targets) if isinstance(targets, list) else [targets or 0] * len(inputs)
        try:
            batch = Batch(on_device(inputs), on_device(baselines), scan_ids, known)
        except RuntimeError as error:
            if not self._lacks_memory("loading", error):
                raise
            raise UserError(
                f"the device has too little memory for {len(inputs)} scans; try a smaller --batch_size."
            ) from error
        if targets is None:
            batch.targets = self._outputs(batch).argmax(dim=1).tolist()
        return batch

    def scans_at_a_time(self, method: str) -> int:
        """Return how many scans fill one pass of the network with a method's points; at least 1."""
        settings = self.settings
        # "auto": scans that need few points and scans that need many fill passes together
        n_steps = 1 if settings.n_steps == AUTO else settings.n_steps
        passes = {
            "integrated_gradients": n_steps,
            "gradient_shap": settings.n_samples,
            "expected_gradients": settings.n_references,
            "deep_lift": 2,
            "noise_tunnel_ig": settings.n_samples * n_steps,
            "smooth_grad": settings.n_samples,
        }
        return max(1, settings.batch_size // passes.get(method, 1))

    @plain_pytorch()
    def attribute(self, method: str, batch: Batch) -> list[Attribution]:
        """Compute the map of each scan of `batch` with `method`.

        Where the device's memory is too small, the batch size is halved, and stays so; UserError is raised
        where it is too small for one volume at a time, or PyTorch has no kernel for the device.
        """
        kept: Counter[int] = Counter()

        def run() -> tuple[BatchMaps, Counter[int]]:
            passes = Passes(self._split, batch, self.settings, kept)
            return METHOD_FUNCTIONS[method](passes), passes.counts

        began = time.perf_counter()
        maps, counts = self._within_memory(method, run)
        outputs = self._outputs(batch).cpu().numpy()
        values, totals = _slices_first(maps.values), sums(maps.values)
        none = [None] * len(values)
        expected = none if maps.expected_totals is None else maps.expected_totals.tolist()
        standard_errors = none if maps.standard_errors is None else maps.standard_errors.tolist()
        errors = maps.errors or none, standard_errors, maps.degrees_of_freedom or none
        images = [
            none if found is None else _slices_first(found) for found in (maps.voxel_errors, maps.nulls)
        ]
        seconds = [(time.perf_counter() - began) / len(values)] * len(values)
        passes = [counts[i] for i in range(len(values))]
        columns = (values, totals, expected, outputs, batch.targets, seconds, passes, *errors, *images)
        return [Attribution(*row) for row in zip(*columns, strict=True)]

    def logits(self, batch: Batch) -> Tensor:
        """Return each class's log-odds for a batch, (n, n_logits); memory as in `attribute`."""
        return log_odds(self._outputs(batch))

    def baseline_logits(self, batch: Batch) -> Tensor:
        """Return each class's log-odds for a batch's baselines, (n or 1, n_logits)."""
        return log_odds(self._within_memory("prediction", lambda: self._passes(batch).baseline_outputs()))

    def predict(self, volumes: Tensor) -> Tensor:
        """Return each class's log-odds (n, n_logits) for volumes (n, 128, 128, n_slices) on its device."""

        def run() -> Tensor:
            return self._split.predict(self._split.first(volumes), self.settings.batch_size)

        return log_odds(self._within_memory("prediction", run))

    def explain(
        self,
        volume: Volume,
        method: str = "integrated_gradients",
        baseline: Volume | np.ndarray | None = None,
        target: int | None = None,
    ) -> Attribution:
        """Compute the map of one volume, from `load_volume`.

        Maps are those of the command line, but random draws are seeded by the network's input, not by the
        file. In signed methods, positive values raised the log-odds of the class. For many volumes, use
        `batch` and `attribute`, which fill the passes.

        The volume is compared with the `baseline`, another volume or a network input, float32 (n_slices, 128,
        128); by default zero, the mean intensity of a scan. The `target` is by default the predicted class.
        Raises UserError: there is no such method or class, a volume does not have the network's slices, or a
        voxel is not finite; and as `attribute`.
        """
        find_method(method)
        if not isinstance(volume, Volume):
            raise UserError(f"expected a volume of load_volume, found {type(volume).__name__}.")
        inputs = self._checked("volume", volume.network_input)
        if isinstance(baseline, Volume):
            baseline = baseline.network_input
        baselines = np.zeros_like(inputs) if baseline is None else self._checked("baseline", baseline)
        n_logits = self.network.classifier[-1].out_features
        check_counts(0, target=target or 0)
        if target is not None and target >= n_logits:
            raise UserError(f"no class {target}; the network has {n_logits} logit(s), counted from 0.")
        batch = self.batch(inputs, baselines, [sha256_of_array(inputs[0])], target)
        return self.attribute(method, batch)[0]

    def _checked(self, name: str, values: object) -> np.ndarray:
        """Return a network input as a batch of one; raise UserError for another shape, or a NaN."""
        expected = (self.network.features[0][0].in_channels, INPUT_SIZE, INPUT_SIZE)
        found = f"{getattr(values, 'shape', ())} of {getattr(values, 'dtype', type(values).__name__)}"
        if not isinstance(values, np.ndarray) or values.shape != expected or values.dtype.kind not in "fiu":
            raise UserError(f"expected a {name} of numbers of shape {expected}, found {found}.")
        with np.errstate(over="ignore"):
            network_input = np.ascontiguousarray(values, np.float32)
        if not np.isfinite(network_input).all():
            raise UserError(f"expected a {name} of finite numbers, found NaN or infinite ones.")
        return network_input[None]

    def _passes(self, batch: Batch) -> Passes:
        return Passes(self._split, batch, self.settings)

    def _outputs(self, batch: Batch) -> Tensor:
        return self._within_memory("prediction", lambda: self._passes(batch).outputs())

    @plain_pytorch()
    def _within_memory(self, work: str, run: Callable[[], _Result]) -> _Result:
        """Return what `run` returns; while the device's memory is too small, halve the batch size."""
        while True:
            try:
                return run()
            except RuntimeError as error:
                if not self._lacks_memory(work, error):
                    raise
                smaller = self.settings.batch_size // 2
                if not smaller:
                    raise UserError(
                        f"{work}: the device has too little memory for one volume at a time "
                        f"({device_errors.first_line(error)}). "
                        "Free some, start with a smaller --batch_size, or use another --device."
                    ) from error
            warnings.warn(f"out of memory; going on with --batch_size {smaller}", stacklevel=2)
            self.settings = replace(self.settings, batch_size=smaller)
            if torch.cuda.is_available():
                torch.cuda.empty_cache()

    def _lacks_memory(self, work: str, error: RuntimeError) -> bool:
        """Return whether the device's memory was too small; raise UserError where PyTorch has no kernel."""
        if device_errors.has_no_kernel(error, self._device):
            message = device_errors.no_kernel_message(error, self._device)
            raise UserError(f"{work}: {message}") from error
        return device_errors.is_out_of_memory(error, self._device)

    @property
    def _device(self) -> torch.device:
        return next(self.network.parameters()).device


def _slices_first(maps: Tensor) -> list[np.ndarray]:
    """Return a copy of each map, so that one that waits to be written keeps no other in memory."""
    return [slices_last.permute(2, 0, 1).contiguous().cpu().numpy() for slices_last in maps]
