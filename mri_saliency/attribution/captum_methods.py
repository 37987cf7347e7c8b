"""Name of a method -> how Captum is asked, in passes of at most `Settings.batch_size` volumes.

Each function returns the maps, float32 (n, 128, 128, n_slices), and the change of the target's log-odds that
each map's sum should equal, float64 (n,), or None for methods without completeness.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable

import torch
from captum.attr import DeepLift, IntegratedGradients, Saliency
from torch import Tensor

from mri_saliency.attribution.batch import Batch, Settings
from mri_saliency.attribution.draws import draw
from mri_saliency.attribution.first_layer import SplitNetwork
from mri_saliency.attribution.log_odds import log_odds


def saliency(network: SplitNetwork, batch: Batch, settings: Settings) -> tuple[Tensor, None]:
    """Compute the magnitude of the gradient."""
    return _gradients_at_inputs(network, batch, settings).abs(), None


def input_x_gradient(network: SplitNetwork, batch: Batch, settings: Settings) -> tuple[Tensor, None]:
    """Compute the product of input and gradient."""
    return batch.inputs * _gradients_at_inputs(network, batch, settings), None


def integrated_gradients(network: SplitNetwork, batch: Batch, settings: Settings) -> tuple[Tensor, Tensor]:
    """Integrate the gradient along the straight path from baseline to scan."""
    maps = _integrate(network, batch.inputs, batch.baselines, batch.targets, settings)
    return maps, _change(network, batch, settings)


def noise_tunnel_ig(network: SplitNetwork, batch: Batch, settings: Settings) -> tuple[Tensor, None]:
    """Average Integrated Gradients over noisy copies of the scan."""
    maps = torch.zeros_like(batch.inputs)
    for draws in draw(batch, settings, "noise_tunnel_ig", settings.batch_size // settings.n_steps):
        noisy = batch.inputs[draws.scans] + draws.noise
        baselines = batch.baselines.expand_as(batch.inputs)[draws.scans]
        targets = [batch.targets[scan] for scan in draws.scans]
        integrals = _integrate(network, noisy, baselines, targets, settings)
        for scan, integral in zip(draws.scans, integrals, strict=True):
            maps[scan] += integral / settings.n_samples
    return maps, None


def smooth_grad(network: SplitNetwork, batch: Batch, settings: Settings) -> tuple[Tensor, None]:
    """Average the gradient over noisy copies of the scan."""
    gradients = []
    for draws in draw(batch, settings, "smooth_grad", settings.batch_size):
        points = network.first(batch.inputs[draws.scans] + draws.noise)
        targets = [batch.targets[scan] for scan in draws.scans]
        gradients.append(_gradients(network, points, targets, settings.batch_size)[0])
    means = torch.cat(gradients).unflatten(0, (-1, settings.n_samples)).mean(1)
    return network.first.back(means, batch.inputs), None


def gradient_shap(network: SplitNetwork, batch: Batch, settings: Settings) -> tuple[Tensor, Tensor]:
    """Average ``(x - noise) * gradient`` at a random point between noise and x.

    Sample i's point lies in the i-th of n_samples equal parts of the path: the same expectation as
    Captum's draws from the whole path, with less variance.
    """
    maps = torch.zeros_like(batch.inputs)
    expected = _of_targets(outputs_of(network, batch, settings), batch.targets)
    ends = network.first(batch.inputs)
    for draws in draw(batch, settings, "gradient_shap", settings.batch_size):
        targets = [batch.targets[scan] for scan in draws.scans]
        starts = network.first(draws.noise)
        points = torch.lerp(starts, ends[draws.scans], draws.fractions[:, None, None, None])
        gradients = _gradients(network, points, targets, settings.batch_size)[0]
        gradients = network.first.back(gradients, draws.noise)
        noise_log_odds = _of_targets(network.predict(starts, settings.batch_size), targets)
        for i, scan in enumerate(draws.scans):
            change = (batch.inputs[scan] - draws.noise[i]) / settings.n_samples
            maps[scan].addcmul_(change, gradients[i])
            expected[scan] -= noise_log_odds[i] / settings.n_samples
    return maps, expected


def deep_lift(network: SplitNetwork, batch: Batch, settings: Settings) -> tuple[Tensor, Tensor]:
    """Split the log-odds' difference from the baseline's over the voxels' differences."""
    ends = network.first(batch.inputs)
    starts = network.first(batch.baselines).expand_as(ends)
    method = DeepLift(network.later_with_deep_lift_rules, multiply_by_inputs=False)
    multipliers = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Captum announces its hooks for every call
        # Captum runs scans and baselines in one pass
        for group in _slices(len(ends), settings.batch_size // 2):
            leaves = ends[group].detach().requires_grad_()
            target = _for_captum(batch.targets[group])
            multipliers.append(method.attribute(leaves, starts[group], target=target).detach())
    # the first layer is linear: its multipliers are its weights
    at_inputs = network.first.back(torch.cat(multipliers), batch.inputs)
    return (batch.inputs - batch.baselines) * at_inputs, _change(network, batch, settings)


METHOD_FUNCTIONS: dict[str, Callable[[SplitNetwork, Batch, Settings], tuple[Tensor, Tensor | None]]] = {
    function.__name__: function
    for function in (
        integrated_gradients,
        saliency,
        gradient_shap,
        input_x_gradient,
        deep_lift,
        noise_tunnel_ig,
        smooth_grad,
    )
}


def outputs_of(network: SplitNetwork, batch: Batch, settings: Settings) -> Tensor:
    """Return the network's outputs for a batch, (n, n_logits)."""
    if batch.outputs is None:
        batch.outputs = network.predict(network.first(batch.inputs), settings.batch_size)
    return batch.outputs


def baseline_outputs_of(network: SplitNetwork, batch: Batch, settings: Settings) -> Tensor:
    """Return the network's outputs for a batch's baselines, (n or 1, n_logits)."""
    if batch.baseline_outputs is None:
        batch.baseline_outputs = network.predict(network.first(batch.baselines), settings.batch_size)
    return batch.baseline_outputs


def _change(network: SplitNetwork, batch: Batch, settings: Settings) -> Tensor:
    """Return the targets' log-odds at the scans less those at their baselines, float64 (n,)."""
    outputs = outputs_of(network, batch, settings)
    baseline_outputs = baseline_outputs_of(network, batch, settings).expand_as(outputs)
    return _of_targets(outputs, batch.targets) - _of_targets(baseline_outputs, batch.targets)


def _gradients_at_inputs(network: SplitNetwork, batch: Batch, settings: Settings) -> Tensor:
    """Return the gradients at the scans; methods share their pass, which yields the outputs too."""
    if batch.gradients is None:
        points = network.first(batch.inputs)
        gradients, batch.outputs = _gradients(network, points, batch.targets, settings.batch_size)
        batch.gradients = network.first.back(gradients, batch.inputs)
    return batch.gradients


def _gradients(
    network: SplitNetwork, points: Tensor, targets: list[int], batch_size: int
) -> tuple[Tensor, Tensor]:
    """Return gradients of the targets' log-odds at `points` behind the first layer, and the outputs."""
    method = Saliency(network.later)
    gradients, outputs = [], []
    for group in _slices(len(points), batch_size):
        leaves = points[group].detach().requires_grad_()
        attributed = method.attribute(leaves, target=_for_captum(targets[group]), abs=False)
        gradients.append(attributed.detach())
        outputs.append(network.later.latest_outputs)
    return torch.cat(gradients), torch.cat(outputs)


def _integrate(
    network: SplitNetwork, inputs: Tensor, baselines: Tensor, targets: list[int], settings: Settings
) -> Tensor:
    """Compute Integrated Gradients of (n, ...) from baselines (n or 1, ...).

    The path is straight behind the first layer as well, so Captum averages the gradients there.
    """
    method = IntegratedGradients(network.later, multiply_by_inputs=False)
    ends = network.first(inputs)
    starts = network.first(baselines).expand_as(ends)
    batch_size, n_steps = settings.batch_size, settings.n_steps
    means = []
    for group in _slices(len(inputs), batch_size // n_steps):
        scans = ends[group]
        # passes of equal size: a small last one costs nearly as much as a full one
        n_passes = math.ceil(n_steps / max(1, batch_size // len(scans)))
        attributed = method.attribute(
            scans,
            starts[group],
            target=_for_captum(targets[group]),
            n_steps=n_steps,
            internal_batch_size=len(scans) * math.ceil(n_steps / n_passes),
        )
        means.append(attributed.detach())
    # Gauss-Legendre nodes are doubles, and so may the mean be
    return (inputs - baselines) * network.first.back(torch.cat(means).to(inputs.dtype), inputs)


def _for_captum(targets: list[int]) -> int | list[int]:
    """Return one number if all are equal: Captum copies a list to the GPU in each pass, and waits for it."""
    return targets[0] if len(set(targets)) == 1 else targets


def _of_targets(outputs: Tensor, targets: list[int]) -> Tensor:
    """Return the log-odds of each row's target: (n, n_logits) -> float64 (n,)."""
    return log_odds(outputs.double())[range(len(targets)), targets]


def _slices(n: int, at_a_time: int) -> list[slice]:
    at_a_time = max(1, at_a_time)
    return [slice(start, start + at_a_time) for start in range(0, n, at_a_time)]
