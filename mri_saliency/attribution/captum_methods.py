"""Name of a method -> how Captum is asked, in passes of at most `Settings.batch_size` volumes.

Each function returns the maps, float32 (n, 128, 128, n_slices), and the change of the target's log-odds that
each map's sum should equal, float64 (n,), or None for methods without completeness; Expected Gradients also
the maps' standard errors.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator

import numpy as np
import torch
from captum.attr import DeepLift, IntegratedGradients, Saliency
from torch import Tensor

from mri_saliency.attribution.batch import Batch, Settings
from mri_saliency.attribution.draws import draw, draw_references, seed_of
from mri_saliency.attribution.first_layer import SplitNetwork
from mri_saliency.attribution.log_odds import log_odds
from mri_saliency.attribution.references import References


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


def expected_gradients(
    network: SplitNetwork, batch: Batch, settings: Settings
) -> tuple[Tensor, Tensor, Tensor]:
    """Average ``(x - x') * gradient`` over HC scans x' and random points between x' and x.

    Raises
    ------
    ValueError
        The settings have no references, or all are left out for a scan.
    """
    references, n = settings.references, settings.n_references
    if references is None:
        raise ValueError("expected_gradients: expected Settings.references, found None")
    starts, start_outputs = _behind_first_layer(network, references, settings)
    seeds = [seed_of(settings.seed, scan_id, "expected_gradients") for scan_id in batch.scan_ids]
    available = [references.available(scan_id) for scan_id in batch.scan_ids]
    draws = [draw_references(*pair) for pair in zip(available, [n] * len(seeds), seeds, strict=True)]
    drawn, fractions = (np.concatenate(parts) for parts in zip(*draws, strict=True))
    targets = np.repeat(batch.targets, n).tolist()
    places = torch.from_numpy(fractions).to(starts)[:, None, None, None]
    ends = network.first(batch.inputs).repeat_interleave(n, dim=0)
    gradients = _gradients(network, torch.lerp(starts[drawn], ends, places), targets, settings.batch_size)[0]

    start_log_odds = _of_targets(start_outputs[drawn], targets).unflatten(0, (-1, n))
    expected = _of_targets(outputs_of(network, batch, settings), batch.targets) - start_log_odds.mean(1)
    maps, standard_errors = torch.empty_like(batch.inputs), torch.empty_like(batch.inputs)
    for scan, (of_scan, _) in enumerate(draws):
        shares = _shares(network, references, batch.inputs[scan], of_scan, gradients[scan * n :][:n])
        maps[scan], standard_errors[scan] = _mean_and_standard_error(shares)
    return maps, expected, standard_errors


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


METHOD_FUNCTIONS: dict[str, Callable[[SplitNetwork, Batch, Settings], tuple[Tensor | None, ...]]] = {
    function.__name__: function
    for function in (
        integrated_gradients,
        saliency,
        gradient_shap,
        expected_gradients,
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


def _behind_first_layer(
    network: SplitNetwork, references: References, settings: Settings
) -> tuple[Tensor, Tensor]:
    """Return the references behind the first layer, and the network's outputs for them; computed once."""
    if network.references is None:
        device = network.first.device
        inputs = (torch.from_numpy(values)[None].to(device) for values in references.inputs)
        points = torch.cat([network.first(values) for values in inputs])
        network.references = points, network.predict(points, settings.batch_size)
    return network.references


def _shares(
    network: SplitNetwork, references: References, scan: Tensor, drawn: np.ndarray, gradients: Tensor
) -> Iterator[tuple[float, Tensor]]:
    """Yield each drawn reference's weight and its contribution to a scan's map, (128, 128, n_slices)."""
    for index in np.unique(drawn):
        places = np.flatnonzero(drawn == index)
        at_scan = network.first.back(gradients[places].mean(0, keepdim=True), scan[None])[0]
        reference = torch.from_numpy(references.inputs[index]).to(scan.device)
        yield len(places) / len(drawn), (scan - reference) * at_scan


def _mean_and_standard_error(shares: Iterator[tuple[float, Tensor]]) -> tuple[Tensor, Tensor]:
    """Return the mean m of values c with weights w (sum 1), and its standard error; NaN with one value.

    The error's square is k / (k - 1) times the sum of (w (c - m))^2 over the k values: with equal weights,
    the variance over k. Sums are of differences from the first value, for which float32 suffices.
    """
    weight, first = next(shares)
    weights = [weight]
    mean, linear, square = (torch.zeros_like(first) for _ in range(3))
    for weight, values in shares:
        weights.append(weight)
        values -= first
        mean.add_(values, alpha=weight)
        linear.add_(values, alpha=weight**2)
        square.addcmul_(values, values, value=weight**2)
    k = len(weights)
    if k == 1:
        return first, torch.full_like(first, math.nan)
    squares = square - 2 * mean * linear + mean**2 * sum(weight**2 for weight in weights)
    return first + mean, (squares.clamp_(min=0) * (k / (k - 1))).sqrt_()


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
