"""Name of a method -> how Captum is asked, in passes of at most `Settings.batch_size` volumes.

Each function returns the maps of a batch, what their sums should equal, and what is known of their errors.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator

import numpy as np
import torch
from captum.attr import DeepLift, IntegratedGradients, Saliency
from torch import Tensor

from mri_saliency.attribution.batch import Batch, BatchMaps, Settings
from mri_saliency.attribution.draws import draw, draw_references, seed_of
from mri_saliency.attribution.first_layer import SplitNetwork
from mri_saliency.attribution.log_odds import log_odds
from mri_saliency.attribution.moments import RunningMoments, relative, sums
from mri_saliency.attribution.path_integral import Paths, mean_gradients
from mri_saliency.attribution.references import References
from mri_saliency.methods import AUTO


def saliency(network: SplitNetwork, batch: Batch, settings: Settings) -> BatchMaps:
    """Compute the magnitude of the gradient."""
    return BatchMaps(_gradients_at_inputs(network, batch, settings).abs())


def input_x_gradient(network: SplitNetwork, batch: Batch, settings: Settings) -> BatchMaps:
    """Compute the product of input and gradient."""
    return BatchMaps(batch.inputs * _gradients_at_inputs(network, batch, settings))


def integrated_gradients(network: SplitNetwork, batch: Batch, settings: Settings) -> BatchMaps:
    """Integrate the gradient along the straight path from baseline to scan."""
    scans = list(range(len(batch.inputs)))
    if settings.n_steps == AUTO:
        _find_end_gradients(network, batch, settings, of_scans=True)
    maps, errors = _integrate(network, batch, scans, batch.inputs, settings)
    return BatchMaps(maps, _change(network, batch, settings), errors)


def noise_tunnel_ig(network: SplitNetwork, batch: Batch, settings: Settings) -> BatchMaps:
    """Average Integrated Gradients over noisy copies of the scan."""
    moments = RunningMoments(torch.zeros_like(batch.inputs))
    if settings.n_steps == AUTO:
        _find_end_gradients(network, batch, settings, of_scans=False)
        at_a_time = settings.batch_size // 4  # paths together fill passes, though each has few open points
    else:
        at_a_time = settings.batch_size // settings.n_steps
    for draws in draw(batch, settings, "noise_tunnel_ig", at_a_time):
        noisy = batch.inputs[draws.scans] + draws.noise
        integrals, _ = _integrate(network, batch, draws.scans, noisy, settings)
        for scan, integral in zip(draws.scans, integrals, strict=True):
            moments.add(scan, integral)
    return BatchMaps(moments.means, errors=moments.relative_errors())


def smooth_grad(network: SplitNetwork, batch: Batch, settings: Settings) -> BatchMaps:
    """Average the gradient over noisy copies of the scan."""
    moments = RunningMoments(torch.zeros_like(batch.inputs))
    for draws in draw(batch, settings, "smooth_grad", settings.batch_size):
        points = network.first(batch.inputs[draws.scans] + draws.noise)
        gradients = _gradients(network, batch, draws.scans, points, settings)[0]
        for scan, gradient in zip(draws.scans, network.first.back(gradients, draws.noise), strict=True):
            moments.add(scan, gradient)
    return BatchMaps(moments.means, errors=moments.relative_errors())


def gradient_shap(network: SplitNetwork, batch: Batch, settings: Settings) -> BatchMaps:
    """Average ``(x - noise) * gradient`` at a random point between noise and x.

    Sample i's point lies in the i-th of n_samples equal parts of the path: the same expectation as
    Captum's draws from the whole path, with less variance.
    """
    moments = RunningMoments(torch.zeros_like(batch.inputs), in_strata=True)
    log_odds_at_scans = _of_targets(outputs_of(network, batch, settings), batch.targets)
    expected, missed = (RunningMoments(torch.zeros_like(log_odds_at_scans), in_strata=True) for _ in range(2))
    ends = network.first(batch.inputs)
    for draws in draw(batch, settings, "gradient_shap", settings.batch_size):
        starts = network.first(draws.noise)
        points = torch.lerp(starts, ends[draws.scans], draws.fractions[:, None, None, None])
        gradients = _gradients(network, batch, draws.scans, points, settings)[0]
        gradients = network.first.back(gradients, draws.noise)
        targets = [batch.targets[scan] for scan in draws.scans]
        noise_log_odds = _of_targets(network.predict(starts, settings.batch_size), targets)
        for i, scan in enumerate(draws.scans):
            product = (batch.inputs[scan] - draws.noise[i]) * gradients[i]
            change = log_odds_at_scans[scan] - noise_log_odds[i]
            moments.add(scan, product)
            expected.add(scan, change)
            missed.add(scan, product.sum(dtype=torch.float64) - change)
    errors = moments.relative_errors()
    return BatchMaps(moments.means, expected.means, errors, missed.standard_errors())


def expected_gradients(network: SplitNetwork, batch: Batch, settings: Settings) -> BatchMaps:
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
    scans = [scan for scan in range(len(draws)) for _ in range(n)]
    places = torch.from_numpy(fractions).to(starts)[:, None, None, None]
    ends = network.first(batch.inputs)[scans]
    gradients = _gradients(network, batch, scans, torch.lerp(starts[drawn], ends, places), settings)[0]

    targets = [batch.targets[scan] for scan in scans]
    at_scans = _of_targets(outputs_of(network, batch, settings), batch.targets)
    changes = at_scans[scans] - _of_targets(start_outputs[drawn], targets)
    # the sum over voxels of a draw's contribution, without going back to them: the first layer is linear
    missed = ((ends - starts[drawn]) * gradients).sum(dim=(1, 2, 3), dtype=torch.float64) - changes
    maps, voxel_errors = torch.empty_like(batch.inputs), torch.empty_like(batch.inputs)
    standard_errors = torch.empty_like(at_scans)
    for scan, (of_scan, _) in enumerate(draws):
        part = slice(scan * n, (scan + 1) * n)
        shares = _shares(network, references, batch.inputs[scan], of_scan, gradients[part])
        maps[scan], voxel_errors[scan] = _mean_and_standard_error(shares)
        standard_errors[scan] = _mean_and_standard_error(_by_reference(of_scan, missed[part]))[1]
    expected = changes.unflatten(0, (-1, n)).mean(1)
    if standard_errors.isnan().any():  # a single reference
        return BatchMaps(maps, expected, voxel_errors=voxel_errors)
    errors = relative(sums(voxel_errors), sums(maps.abs()))
    return BatchMaps(maps, expected, errors, standard_errors, voxel_errors)


def deep_lift(network: SplitNetwork, batch: Batch, settings: Settings) -> BatchMaps:
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
    batch.passes.update(dict.fromkeys(range(len(ends)), 2))
    # the first layer is linear: its multipliers are its weights
    at_inputs = network.first.back(torch.cat(multipliers), batch.inputs)
    return BatchMaps((batch.inputs - batch.baselines) * at_inputs, _change(network, batch, settings))


METHOD_FUNCTIONS: dict[str, Callable[[SplitNetwork, Batch, Settings], BatchMaps]] = {
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
    means = _by_reference(drawn, gradients)
    for index, (weight, gradient) in zip(np.unique(drawn), means, strict=True):
        reference = torch.from_numpy(references.inputs[index]).to(scan.device)
        yield weight, (scan - reference) * network.first.back(gradient[None], scan[None])[0]


def _by_reference(drawn: np.ndarray, values: Tensor) -> Iterator[tuple[float, Tensor]]:
    """Yield each drawn reference's share of the draws, and the mean of its draws' values."""
    for index in np.unique(drawn):
        places = np.flatnonzero(drawn == index)
        yield len(places) / len(drawn), values[places].mean(0)


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
    """Return the gradients at the scans, at their voxels: (n, 128, 128, n_slices)."""
    return network.first.back(_gradients_at_scans(network, batch, settings), batch.inputs)


def _gradients_at_scans(network: SplitNetwork, batch: Batch, settings: Settings) -> Tensor:
    """Return the gradients at the scans; methods share their pass, which yields the outputs too."""
    if batch.gradients is None:
        scans, points = list(range(len(batch.inputs))), network.first(batch.inputs)
        batch.gradients, batch.outputs = _gradients(network, batch, scans, points, settings)
    return batch.gradients


def _gradients(
    network: SplitNetwork, batch: Batch, scans: list[int], points: Tensor, settings: Settings
) -> tuple[Tensor, Tensor]:
    """Return gradients at points behind the first layer, of their scans' targets, and the outputs.

    Parameters
    ----------
    network, batch, settings
        As for every method; the batch's passes are counted.
    scans : list of int
        The index of each point's scan in the batch.
    points : Tensor
        (n, channels, 64, 64).
    """
    targets = [batch.targets[scan] for scan in scans]
    method = Saliency(network.later)
    gradients, outputs = [], []
    for group in _slices(len(points), settings.batch_size):
        leaves = points[group].detach().requires_grad_()
        attributed = method.attribute(leaves, target=_for_captum(targets[group]), abs=False)
        gradients.append(attributed.detach())
        outputs.append(network.later.latest_outputs)
    batch.passes.update(scans)
    return torch.cat(gradients), torch.cat(outputs)


def _find_end_gradients(network: SplitNetwork, batch: Batch, settings: Settings, *, of_scans: bool) -> None:
    """Compute the gradients at the baselines, and at the scans, that no method has needed before."""
    open_scans = list(range(len(batch.inputs))) if of_scans and batch.gradients is None else []
    keys: dict[tuple[int, int], int] = {}  # of a gradient -> the first scan that needs it
    for scan in range(len(batch.inputs)):
        if _baseline_key(batch, scan) not in batch.baseline_gradients:
            keys.setdefault(_baseline_key(batch, scan), scan)
    scans, rows = open_scans + list(keys.values()), [row for row, _ in keys]
    if not scans:
        return
    points = torch.cat([network.first(batch.inputs[open_scans]), network.first(batch.baselines[rows])])
    gradients, outputs = _gradients(network, batch, scans, points, settings)
    n = len(open_scans)
    if open_scans:
        batch.gradients, batch.outputs = gradients[:n], outputs[:n]
    if rows == list(range(len(batch.baselines))):
        batch.baseline_outputs = outputs[n:]
    batch.baseline_gradients.update(zip(keys, gradients[n:], strict=True))


def _baseline_key(batch: Batch, scan: int) -> tuple[int, int]:
    """Return the row of a scan's baseline, and the scan's target: what a gradient at the baseline is of."""
    return (0 if len(batch.baselines) == 1 else scan), batch.targets[scan]


def _integrate(
    network: SplitNetwork, batch: Batch, scans: list[int], inputs: Tensor, settings: Settings
) -> tuple[Tensor, list[float | None] | None]:
    """Compute Integrated Gradients of inputs, from the baselines of their scans and for their targets.

    The path is straight behind the first layer as well, so the gradients are averaged there.

    Parameters
    ----------
    network, batch, settings
        As for every method; for ``n_steps="auto"`` the gradients at the baselines are there.
    scans : list of int
        The index of each input's scan in the batch.
    inputs : Tensor
        float32 (n, 128, 128, n_slices): the scans, or copies with noise.

    Returns
    -------
    maps : Tensor
        float32, of the shape of `inputs`.
    errors : list of float or None, or None
        As `mean_gradients` returns them; None for a number of steps.
    """
    baselines = batch.baselines if len(batch.baselines) == 1 else batch.baselines[scans]
    ends = network.first(inputs)
    starts = network.first(baselines).expand_as(ends)
    if settings.n_steps == AUTO:
        at_scans = [None] * len(inputs) if inputs is not batch.inputs else batch.gradients
        at_baselines = [batch.baseline_gradients[_baseline_key(batch, scan)] for scan in scans]
        means, errors = mean_gradients(
            Paths(starts, ends, at_baselines, at_scans),
            lambda paths, points: _gradients(network, batch, [scans[i] for i in paths], points, settings)[0],
            batch_size=settings.batch_size,
            map_error=settings.map_error,
        )
    else:
        means, errors = _captums_means(network, batch, scans, (starts, ends), settings), None
    return (inputs - baselines) * network.first.back(means, inputs), errors


def _captums_means(
    network: SplitNetwork,
    batch: Batch,
    scans: list[int],
    path: tuple[Tensor, Tensor],
    settings: Settings,
) -> Tensor:
    """Return Captum's mean gradients, (n, channels, 64, 64), from the first of `path` to the second."""
    method = IntegratedGradients(network.later, multiply_by_inputs=False)
    targets = [batch.targets[scan] for scan in scans]
    starts, ends = path
    batch_size, n_steps = settings.batch_size, settings.n_steps
    means = []
    for group in _slices(len(ends), batch_size // n_steps):
        of_group = ends[group]
        # passes of equal size: a small last one costs nearly as much as a full one
        n_passes = math.ceil(n_steps / max(1, batch_size // len(of_group)))
        attributed = method.attribute(
            of_group,
            starts[group],
            target=_for_captum(targets[group]),
            n_steps=n_steps,
            internal_batch_size=len(of_group) * math.ceil(n_steps / n_passes),
        )
        means.append(attributed.detach())
    batch.passes.update(scans * n_steps)
    return torch.cat(means).to(ends.dtype)  # Gauss-Legendre nodes are doubles, and so may the mean be


def _for_captum(targets: list[int]) -> int | list[int]:
    """Return one number if all are equal: Captum copies a list to the GPU in each pass, and waits for it."""
    return targets[0] if len(set(targets)) == 1 else targets


def _of_targets(outputs: Tensor, targets: list[int]) -> Tensor:
    """Return the log-odds of each row's target: (n, n_logits) -> float64 (n,)."""
    return log_odds(outputs.double())[range(len(targets)), targets]


def _slices(n: int, at_a_time: int) -> list[slice]:
    at_a_time = max(1, at_a_time)
    return [slice(start, start + at_a_time) for start in range(0, n, at_a_time)]
