"""Name of a method -> how Captum is asked, in passes that fit, reproducibly for each scan.

The registry of names and their properties is `mri_saliency.methods`.
"""

from __future__ import annotations

import copy
import hashlib
import itertools
import math
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TypeVar

import numpy as np
import torch
from captum.attr import DeepLift, IntegratedGradients, Saliency
from torch import Tensor, nn
from torchvision.ops.misc import SqueezeExcitation

from mri_saliency.errors import UserError

# Raised by a change after which maps differ by more than rounding from those made before.
MATHS = 1

# Below this difference of a non-linearity's two inputs its secant is lost in float32 rounding
# (6e-8 / 1e-2), while the derivative midway misses it by the difference squared over 24 (4e-6).
_SMALL_DIFFERENCE = 1e-2


_Result = TypeVar("_Result")


@dataclass(frozen=True)
class Settings:
    """What determines a map beside the network, the scan and the method.

    Attributes
    ----------
    batch_size : int
        The most volumes in one pass of the network. Changes a map by rounding only.
    n_steps : int
        Points on the path of Integrated Gradients (Gauss-Legendre).
    n_samples : int
        Random draws of Gradient SHAP and of the noise tunnels.
    noise_std : float
        Standard deviation of those draws, in units of the network's input.
    seed : int
        With the scan's stable name and the method, the seed of its draws.
    """

    batch_size: int
    n_steps: int = 50
    n_samples: int = 10
    noise_std: float = 0.1
    seed: int = 0


@dataclass
class Batch:
    """Scans to explain together, as `Explainer.batch` prepares them.

    Attributes
    ----------
    inputs : Tensor
        float32 (n, 128, 128, n_slices): slices last, as the network keeps its data in memory.
    baselines : Tensor
        float32, (n, ...) as `inputs` or (1, ...) for all.
    scan_ids : list of str
        Stable names that seed each scan's random draws.
    targets : list of int
        The logit to explain, for each scan.
    logits : Tensor or None
        The network's outputs (n, n_logits), once a pass has shown them.
    baseline_logits : Tensor or None
        The network's outputs for `baselines`, once needed.
    gradients : Tensor or None
        Of the targets' logits at `inputs`, once a method has asked for them.
    """

    inputs: Tensor
    baselines: Tensor
    scan_ids: list[str]
    targets: list[int]
    logits: Tensor | None = None
    baseline_logits: Tensor | None = None
    gradients: Tensor | None = None


@dataclass(frozen=True)
class Attribution:
    """One map.

    Attributes
    ----------
    values : ndarray
        float32 (n_slices, 128, 128), signed unless the method is unsigned.
    total : float
        Its sum, in float64.
    expected_total : float or None
        The change of the logit the sum should equal; None where the method promises nothing.
    """

    values: np.ndarray
    total: float
    expected_total: float | None


class Explainer:
    """A network and the settings under which it is explained.

    Parameters
    ----------
    network : nn.Module
        float32 (n, n_slices, 128, 128) -> (n, n_logits): an EfficientNet, prepared by
        `mri_saliency.checkpoint.prepare_for_attribution`.
    settings : Settings
    """

    def __init__(self, network: nn.Module, settings: Settings) -> None:
        self.network = network
        self.settings = settings
        self._stem = _Stem(network)
        self._after_stem = _AfterStem(network)
        self._run: dict[str, Callable[[Batch, str], tuple[Tensor, Tensor | None]]] = {
            "integrated_gradients": self._integrated_gradients,
            "saliency": self._saliency,
            "gradient_shap": self._gradient_shap,
            "input_x_gradient": self._input_x_gradient,
            "deep_lift": self._deep_lift,
            "noise_tunnel_ig": self._noise_tunnel_ig,
            "smooth_grad": self._smooth_grad,
        }

    @property
    def methods(self) -> set[str]:
        """Names of the methods that can be run."""
        return set(self._run)

    def batch(
        self, inputs: np.ndarray, baselines: np.ndarray, scan_ids: list[str], target: int | None
    ) -> Batch:
        """Put scans on the network's device.

        Parameters
        ----------
        inputs : ndarray
            float32 (n, n_slices, 128, 128).
        baselines : ndarray
            float32, (n, ...) as `inputs` or (1, ...) for all.
        scan_ids : list of str
            Stable names that seed each scan's random draws.
        target : int or None
            The logit to explain; None: each scan's predicted class.

        Raises
        ------
        UserError
            The device's memory does not suffice for the scans.
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
        batch = Batch(*on_device, scan_ids, [target or 0] * len(inputs))
        if target is None:
            batch.targets = self.logits(batch).argmax(dim=1).tolist()
        return batch

    def scans_at_a_time(self, method: str) -> int:
        """Return how many scans a method's passes fill one pass of the network with; at least 1."""
        n_steps, n_samples = self.settings.n_steps, self.settings.n_samples
        passes = {
            "integrated_gradients": n_steps,
            "gradient_shap": n_samples,
            "deep_lift": 2,
            "noise_tunnel_ig": n_samples * n_steps,
            "smooth_grad": n_samples,
        }
        return max(1, self.settings.batch_size // passes.get(method, 1))

    def part_of(self, batch: Batch, part: slice) -> Batch:
        """Return some of a batch's scans; what all of them need is found for all together."""
        scan_ids = batch.scan_ids[part]
        if len(scan_ids) == len(batch.scan_ids):
            return batch
        is_shared = len(batch.baselines) == 1
        return Batch(
            batch.inputs[part],
            batch.baselines if is_shared else batch.baselines[part],
            scan_ids,
            batch.targets[part],
            self.logits(batch)[part],
            self._baseline_logits(batch) if is_shared else None,
            None if batch.gradients is None else batch.gradients[part],
        )

    def logits(self, batch: Batch) -> Tensor:
        """Return the network's outputs for a batch, (n, n_logits); memory as in `attribute`."""
        if batch.logits is None:
            batch.logits = self._within_memory("prediction", lambda: self._predict(self._stem(batch.inputs)))
        return batch.logits

    def _baseline_logits(self, batch: Batch) -> Tensor:
        """Return the network's outputs for a batch's baselines, (n or 1, n_logits)."""
        if batch.baseline_logits is None:
            batch.baseline_logits = self._within_memory(
                "prediction", lambda: self._predict(self._stem(batch.baselines))
            )
        return batch.baseline_logits

    def attribute(self, method: str, batch: Batch) -> list[Attribution]:
        """Make the map of each scan of `batch` with `method`.

        Where the device's memory does not suffice, the batch size is halved, and stays so.

        Raises
        ------
        UserError
            The memory does not suffice for one volume at a time.
        """
        maps, expected = self._within_memory(method, lambda: self._run[method](batch, method))
        totals = maps.sum(dim=(1, 2, 3), dtype=torch.float64).tolist()
        expected_totals = [None] * len(totals) if expected is None else expected.tolist()
        return [
            # each its own memory, so that one that waits to be written keeps no other
            Attribution(slices_last.permute(2, 0, 1).contiguous().cpu().numpy(), total, expected_total)
            for slices_last, total, expected_total in zip(maps, totals, expected_totals, strict=True)
        ]

    def _within_memory(self, work: str, run: Callable[[], _Result]) -> _Result:
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

    def _saliency(self, batch: Batch, _: str) -> tuple[Tensor, None]:
        return self._gradients_at_inputs(batch).abs(), None

    def _input_x_gradient(self, batch: Batch, _: str) -> tuple[Tensor, None]:
        return batch.inputs * self._gradients_at_inputs(batch), None

    def _gradients_at_inputs(self, batch: Batch) -> Tensor:
        """Return the gradients at the scans; their pass is shared, and shows the logits too."""
        if batch.gradients is None:
            gradients, batch.logits = self._gradients(self._stem(batch.inputs), batch.targets)
            batch.gradients = self._stem.back(gradients, batch.inputs)
        return batch.gradients

    def _integrated_gradients(self, batch: Batch, _: str) -> tuple[Tensor, Tensor]:
        maps = self._integrate(batch.inputs, batch.baselines, batch.targets)
        return maps, self._logit_change(batch)

    def _noise_tunnel_ig(self, batch: Batch, method: str) -> tuple[Tensor, None]:
        maps = torch.zeros_like(batch.inputs)
        for draws in self._draws(batch, method, self.settings.batch_size // self.settings.n_steps):
            noisy = batch.inputs[draws.scans] + draws.noise
            baselines = batch.baselines.expand_as(batch.inputs)[draws.scans]
            integrals = self._integrate(noisy, baselines, [batch.targets[i] for i in draws.scans])
            for scan, integral in zip(draws.scans, integrals, strict=True):
                maps[scan] += integral / self.settings.n_samples
        return maps, None

    def _smooth_grad(self, batch: Batch, method: str) -> tuple[Tensor, None]:
        gradients = []
        for draws in self._draws(batch, method, self.settings.batch_size):
            points = self._stem(batch.inputs[draws.scans] + draws.noise)
            gradients.append(self._gradients(points, [batch.targets[i] for i in draws.scans])[0])
        means = torch.cat(gradients).unflatten(0, (-1, self.settings.n_samples)).mean(1)
        return self._stem.back(means, batch.inputs), None

    def _gradient_shap(self, batch: Batch, method: str) -> tuple[Tensor, Tensor]:
        """Average ``(x - noise) * gradient`` at a random point between noise and x.

        Sample i's point lies in the i-th of n_samples equal parts of the path: the same
        expectation as Captum's draws from the whole path, with less variance.
        """
        maps = torch.zeros_like(batch.inputs)
        expected = _of_targets(self.logits(batch), batch.targets)
        ends = self._stem(batch.inputs)
        for draws in self._draws(batch, method, self.settings.batch_size):
            targets = [batch.targets[i] for i in draws.scans]
            starts = self._stem(draws.noise)
            points = torch.lerp(starts, ends[draws.scans], draws.fractions[:, None, None, None])
            gradients = self._stem.back(self._gradients(points, targets)[0], draws.noise)
            noise_logits = _of_targets(self._predict(starts), targets)
            for i, scan in enumerate(draws.scans):
                change = (batch.inputs[scan] - draws.noise[i]) / self.settings.n_samples
                maps[scan].addcmul_(change, gradients[i])
                expected[scan] -= noise_logits[i] / self.settings.n_samples
        return maps, expected

    def _deep_lift(self, batch: Batch, _: str) -> tuple[Tensor, Tensor]:
        ends = self._stem(batch.inputs)
        starts = self._stem(batch.baselines).expand_as(ends)
        multipliers = []
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Captum announces its hooks for every call
            # Captum runs scans and baselines in one pass
            for group in _slices(len(ends), self.settings.batch_size // 2):
                leaves = ends[group].detach().requires_grad_()
                attributed = DeepLift(self._deep_lift_network, multiply_by_inputs=False).attribute(
                    leaves, starts[group], target=_for_captum(batch.targets[group])
                )
                multipliers.append(attributed.detach())
        # the stem is linear: its multipliers are its weights
        at_inputs = self._stem.back(torch.cat(multipliers), batch.inputs)
        return (batch.inputs - batch.baselines) * at_inputs, self._logit_change(batch)

    @cached_property
    def _deep_lift_network(self) -> nn.Module:
        """The network after its stem with DeepLIFT's rules in its backward pass; it shares the weights."""
        weights = {id(p): p for p in self.network.parameters()}
        network = copy.deepcopy(self._after_stem, memo=weights)
        with_deep_lift_rules(network)
        return network

    def _integrate(self, inputs: Tensor, baselines: Tensor, targets: list[int]) -> Tensor:
        """Integrated Gradients of (n, ...) from baselines (n or 1, ...).

        The path's image behind the stem is straight as well, so Captum averages the gradients there.
        """
        method = IntegratedGradients(self._after_stem, multiply_by_inputs=False)
        ends = self._stem(inputs)
        starts = self._stem(baselines).expand_as(ends)
        batch_size, n_steps = self.settings.batch_size, self.settings.n_steps
        means = []
        for group in _slices(len(inputs), batch_size // n_steps):
            scans = ends[group]
            # passes of equal size: a small last one costs nearly as much as a full one
            n_passes = math.ceil(n_steps / max(1, batch_size // len(scans)))
            means.append(
                method.attribute(
                    scans,
                    starts[group],
                    target=_for_captum(targets[group]),
                    n_steps=n_steps,
                    internal_batch_size=len(scans) * math.ceil(n_steps / n_passes),
                ).detach()
            )
        # Gauss-Legendre nodes are doubles, and so may the mean be
        return (inputs - baselines) * self._stem.back(torch.cat(means).to(inputs.dtype), inputs)

    def _gradients(self, points: Tensor, targets: list[int]) -> tuple[Tensor, Tensor]:
        """Gradients of the targets' logits at `points` behind the stem, and the logits (n, n_logits)."""
        method = Saliency(self._after_stem)
        gradients, logits = [], []
        for group in _slices(len(points), self.settings.batch_size):
            leaves = points[group].detach().requires_grad_()
            attributed = method.attribute(leaves, target=_for_captum(targets[group]), abs=False)
            gradients.append(attributed.detach())
            logits.append(self._after_stem.latest_logits)
        return torch.cat(gradients), torch.cat(logits)

    def _predict(self, points: Tensor) -> Tensor:
        """Logits (n, n_logits) of `points` behind the stem."""
        with torch.no_grad():
            return torch.cat([self._after_stem(chunk) for chunk in points.split(self.settings.batch_size)])

    def _logit_change(self, batch: Batch) -> Tensor:
        """Logit at the scans less the logit at their baselines, float64 (n,)."""
        logits = self.logits(batch)
        baseline_logits = self._baseline_logits(batch).expand_as(logits)
        return _of_targets(logits, batch.targets) - _of_targets(baseline_logits, batch.targets)

    def _draws(self, batch: Batch, method: str, at_a_time: int) -> Iterator[_Draws]:
        """Yield every scan's random draws, scan by scan, `at_a_time` (at least 1) in a group.

        Each scan has its own generator, advanced sample by sample, so its draws depend neither on
        the other scans nor on the grouping.
        """
        generators = [
            torch.Generator(batch.inputs.device).manual_seed(seed_of(self.settings.seed, scan_id, method))
            for scan_id in batch.scan_ids
        ]
        n_samples = self.settings.n_samples
        pairs = itertools.product(range(len(generators)), range(n_samples))
        while group := list(itertools.islice(pairs, max(1, at_a_time))):
            noise = batch.inputs.new_empty(len(group), *batch.inputs.shape[1:])
            fractions = batch.inputs.new_empty(len(group))
            for i, (scan, sample) in enumerate(group):
                fractions[i].uniform_(generator=generators[scan]).add_(sample).div_(n_samples)
                noise[i].normal_(0, self.settings.noise_std, generator=generators[scan])
            yield _Draws([scan for scan, _ in group], noise, fractions)


class _Stem:
    """The network's first layer: a convolution, linear but for its bias.

    A straight path between two inputs is straight behind it too, and gradients behind it can be
    averaged before one step back to the voxels. So the methods work there: with 115 slices on a
    fourteenth of the numbers, and without the widest layer in each pass. Maps change by rounding only.

    Volumes have their slices last, as a channels-last network keeps its data in memory.
    """

    def __init__(self, network: nn.Module) -> None:
        self.convolution, norm, _ = network.features[0]
        if not isinstance(norm, nn.Identity):
            raise ValueError("expected a network whose batch normalisation is merged")

    def __call__(self, inputs: Tensor) -> Tensor:
        """(n, 128, 128, n_slices) -> (n, channels, 64, 64)."""
        with torch.no_grad():
            return self.convolution(inputs.permute(0, 3, 1, 2))

    def back(self, gradients: Tensor, inputs: Tensor) -> Tensor:
        """Gradients behind the stem -> gradients at `inputs`, (n, 128, 128, n_slices)."""
        convolution, slices_first = self.convolution, inputs.permute(0, 3, 1, 2)
        return torch.nn.grad.conv2d_input(
            slices_first.shape, convolution.weight, gradients, convolution.stride, convolution.padding
        ).permute(0, 2, 3, 1)


class _AfterStem(nn.Module):
    """What follows the stem, (n, channels, 64, 64) -> (n, n_logits); it shares the network's layers.

    It keeps the logits of its latest pass, which Captum does not return.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        activation = copy.copy(network.features[0][-1])
        activation.inplace = False  # what Captum hands in is a leaf
        self.layers = nn.Sequential(
            activation, *network.features[1:], network.avgpool, nn.Flatten(), network.classifier
        )
        self.latest_logits: Tensor | None = None

    def forward(self, points: Tensor) -> Tensor:
        logits = self.layers(points)
        self.latest_logits = logits.detach()
        return logits


def _is_out_of_memory(error: RuntimeError) -> bool:
    """Tell whether a device's memory did not suffice; its libraries have errors of their own for that."""
    signs = ("out of memory", "ALLOC_FAILED", "unable to find an engine", "can't allocate memory")
    return isinstance(error, torch.OutOfMemoryError) or any(sign in str(error) for sign in signs)


def _for_captum(targets: list[int]) -> int | list[int]:
    """One number if all are equal: a list would be copied to the GPU in each pass, which waits for it."""
    return targets[0] if len(set(targets)) == 1 else targets


def _of_targets(logits: Tensor, targets: list[int]) -> Tensor:
    """Each row's target logit: (n, n_logits) -> float64 (n,)."""
    return logits.double()[range(len(targets)), targets]


@dataclass(frozen=True)
class _Draws:
    """Random draws: the scan each belongs to, its noise (n, ...), its place on the path (n,)."""

    scans: list[int]
    noise: Tensor
    fractions: Tensor


def seed_of(seed: int, scan_id: str, method: str) -> int:
    """Mix the run's seed, a scan's id and a method's name into a generator's seed (63 bits)."""
    digest = hashlib.sha256(f"{seed}\0{scan_id}\0{method}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def with_deep_lift_rules(network: nn.Module) -> None:
    """Give an EfficientNet DeepLIFT's backward pass, in place.

    Captum rescales only the non-linearities it lists, by exact type; SiLU and the
    squeeze-excitation product are not among them. Afterwards the network expects scans and baselines
    joined along the first axis, as Captum's `DeepLift` passes them; its outputs are unchanged.
    """
    for module in list(network.modules()):
        for name, child in module.named_children():
            if isinstance(child, SqueezeExcitation):
                setattr(module, name, _DeepLiftSqueezeExcitation(child))
            elif isinstance(child, nn.SiLU | nn.Sigmoid):
                setattr(module, name, _DeepLiftActivation(child))


class _DeepLiftActivation(nn.Module):
    """A non-linearity under the rescale rule."""

    def __init__(self, activation: nn.SiLU | nn.Sigmoid) -> None:
        super().__init__()
        self.function = torch.sigmoid if isinstance(activation, nn.Sigmoid) else nn.functional.silu

    def forward(self, joined: Tensor) -> Tensor:
        return _Rescale.apply(joined, self.function)


class _DeepLiftSqueezeExcitation(nn.Module):
    """Squeeze-excitation whose product divides a difference fairly between its factors."""

    def __init__(self, block: SqueezeExcitation) -> None:
        super().__init__()
        self.gate = nn.Sequential(
            block.avgpool,
            block.fc1,
            _DeepLiftActivation(block.activation),
            block.fc2,
            _DeepLiftActivation(block.scale_activation),
        )

    def forward(self, joined: Tensor) -> Tensor:
        return _SymmetricProduct.apply(self.gate(joined), joined)


class _Rescale(torch.autograd.Function):
    """f(x), whose backward multiplies by (f(x) - f(x0)) / (x - x0), x and x0 joined along axis 0.

    Where x and x0 nearly agree, by the derivative midway between them.
    """

    @staticmethod
    def forward(ctx, joined: Tensor, function: Callable[[Tensor], Tensor]) -> Tensor:
        ctx.save_for_backward(joined)
        ctx.function = function
        return function(joined)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None]:
        x, x0 = ctx.saved_tensors[0].chunk(2)
        with torch.enable_grad():
            middle = ((x + x0) / 2).requires_grad_()
            derivative = torch.autograd.grad(ctx.function(middle).sum(), middle)[0]
        secant = (ctx.function(x) - ctx.function(x0)) / (x - x0)  # NaN where equal, not used there
        multiplier = torch.where((x - x0).abs() < _SMALL_DIFFERENCE, derivative, secant)
        return gradient * torch.cat([multiplier, multiplier]), None


class _SymmetricProduct(torch.autograd.Function):
    """a * b, whose backward gives each factor the other's mean over scan and baseline.

    Exact for a difference of products: d(ab) = mean(a) db + mean(b) da.
    """

    @staticmethod
    def forward(ctx, scale: Tensor, values: Tensor) -> Tensor:
        ctx.save_for_backward(scale, values)  # (2n, c, 1, 1), (2n, c, h, w)
        return scale * values

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, Tensor]:
        scale, values = (
            torch.stack(joined.chunk(2)).mean(0).repeat(2, 1, 1, 1) for joined in ctx.saved_tensors
        )
        return (gradient * values).sum(dim=(2, 3), keepdim=True), gradient * scale


def _slices(n: int, at_a_time: int) -> list[slice]:
    at_a_time = max(1, at_a_time)
    return [slice(start, start + at_a_time) for start in range(0, n, at_a_time)]
