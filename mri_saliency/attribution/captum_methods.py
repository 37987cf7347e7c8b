"""Name of a method -> how Captum is asked, in passes of at most `Settings.batch_size` volumes.

Each function returns the maps of a batch, what their sums should equal, and what is known of their errors.
"""

import math
import warnings
from collections.abc import Callable

import torch
from captum.attr import DeepLift, IntegratedGradients
from torch import Tensor

from mri_saliency.attribution.batch import BatchMaps
from mri_saliency.attribution.draws import draw, draw_noise
from mri_saliency.attribution.expected_gradients import expected_gradients
from mri_saliency.attribution.log_odds import log_odds
from mri_saliency.attribution.moments import RunningMoments
from mri_saliency.attribution.passes import Passes, for_captum, slices
from mri_saliency.attribution.path_integral import Paths, mean_gradients
from mri_saliency.methods import AUTO


def saliency(passes: Passes) -> BatchMaps:
    """Compute the magnitude of the gradient."""
    return BatchMaps(_gradients_at_voxels(passes).abs())


def input_x_gradient(passes: Passes) -> BatchMaps:
    """Compute the product of input and gradient."""
    return BatchMaps(passes.batch.inputs * _gradients_at_voxels(passes))


def integrated_gradients(passes: Passes) -> BatchMaps:
    """Integrate the gradient along the straight path from baseline to scan."""
    inputs = passes.batch.inputs
    maps, errors = _integrate(passes, list(range(len(inputs))), inputs)
    return BatchMaps(maps, passes.change(), errors)


def noise_tunnel_ig(passes: Passes) -> BatchMaps:
    """Average Integrated Gradients over noisy copies of the scan."""
    batch, settings = passes.batch, passes.settings
    moments = RunningMoments(torch.zeros_like(batch.inputs), settings.n_samples)
    # paths that are integrated together fill passes, though each has few open points
    points = 4 if settings.n_steps == AUTO else settings.n_steps
    for draws in draw(batch, settings, "noise_tunnel_ig", settings.batch_size // points, in_pairs=True):
        integrals, _ = _integrate(passes, draws.scans, batch.inputs[draws.scans] + draws.noise)
        for scan, integral in zip(draws.scans, integrals, strict=True):
            moments.add(scan, integral)
    return BatchMaps(moments.means, errors=moments.relative_errors())


def smooth_grad(passes: Passes) -> BatchMaps:
    """Average the gradient over noisy copies of the scan."""
    batch, settings, first = passes.batch, passes.settings, passes.network.first
    moments = RunningMoments(torch.zeros_like(batch.inputs), settings.n_samples)
    for draws in draw(batch, settings, "smooth_grad", settings.batch_size, in_pairs=True):
        gradients = passes.gradients(draws.scans, first(batch.inputs[draws.scans] + draws.noise))[0]
        for scan, gradient in zip(draws.scans, first.back(gradients, draws.noise), strict=True):
            moments.add(scan, gradient)
    return BatchMaps(moments.means, errors=moments.relative_errors())


def gradient_shap(passes: Passes) -> BatchMaps:
    """Average ``(x - noise) * gradient`` at a random point between noise and x.

    Sample i's point lies in the i-th of n_samples equal parts of the path: the same expectation as
    Captum's draws from the whole path, with less variance.
    """
    batch, settings, first = passes.batch, passes.settings, passes.network.first
    at_scans, n = passes.log_odds(), settings.n_samples
    moments, totals = (
        RunningMoments(torch.zeros_like(like), n, in_strata=True) for like in (batch.inputs, at_scans)
    )
    ends = first(batch.inputs)
    for draws in draw(batch, settings, "gradient_shap", settings.batch_size):
        points = torch.lerp(first(draws.noise), ends[draws.scans], draws.fractions[:, None, None, None])
        gradients = first.back(passes.gradients(draws.scans, points)[0], draws.noise)
        for i, scan in enumerate(draws.scans):
            product = (batch.inputs[scan] - draws.noise[i]) * gradients[i]
            moments.add(scan, product)
            totals.add(scan, product.sum(dtype=torch.float64))
    at_noise = log_odds(_outputs_at_noise(passes).double())[:, batch.targets]  # (n_samples, n)
    standard_errors = totals.standard_errors()
    if standard_errors is not None:
        standard_errors = standard_errors.hypot(at_noise.std(0) / n**0.5)
    # differences overlap, and strata differ in variance: about a third of the draws tell of it
    degrees = [n / 3] * len(at_scans)
    expected = at_scans - at_noise.mean(0)
    return BatchMaps(moments.means, expected, moments.relative_errors(), standard_errors, degrees)


def deep_lift(passes: Passes) -> BatchMaps:
    """Split the log-odds' difference from the baseline's over the voxels' differences."""
    batch, first = passes.batch, passes.network.first
    ends = first(batch.inputs)
    starts = first(batch.baselines).expand_as(ends)
    method = DeepLift(passes.network.later_with_deep_lift_rules, multiply_by_inputs=False)
    multipliers = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Captum announces its hooks for every call
        # Captum runs scans and baselines in one pass
        for group in slices(len(ends), passes.settings.batch_size // 2):
            leaves = ends[group].detach().requires_grad_()
            target = for_captum(batch.targets[group])
            multipliers.append(method.attribute(leaves, starts[group], target=target).detach())
    passes.counts.update(dict.fromkeys(range(len(ends)), 2))
    # the first layer is linear: its multipliers are its weights
    at_inputs = first.back(torch.cat(multipliers), batch.inputs)
    return BatchMaps((batch.inputs - batch.baselines) * at_inputs, passes.change())


METHOD_FUNCTIONS: dict[str, Callable[[Passes], BatchMaps]] = {
    function.__name__: function
    for function in (integrated_gradients, saliency, gradient_shap, expected_gradients)
    + (input_x_gradient, deep_lift, noise_tunnel_ig, smooth_grad)
}


def _outputs_at_noise(passes: Passes) -> Tensor:
    """Return the network's outputs for noise, (n_samples, n_logits): the same draws for all scans.

    For noise they vary far less than the sums of maps do; asked for each scan's own draws, they would cost a
    tenth of a default run.
    """
    network, settings = passes.network, passes.settings
    if network.at_noise is None:
        volumes = draw_noise(passes.batch.inputs, settings, "gradient_shap")
        network.at_noise = torch.cat([passes.predict(network.first(some)) for some in volumes])
    return network.at_noise


def _gradients_at_voxels(passes: Passes) -> Tensor:
    """Return the gradients at the scans, (n, 128, 128, n_slices)."""
    return passes.network.first.back(torch.stack(passes.end_gradients(scans=True)), passes.batch.inputs)


def _integrate(passes: Passes, scans: list[int], inputs: Tensor) -> tuple[Tensor, list[float | None] | None]:
    """Compute Integrated Gradients of `inputs`: the scans of these indices, or noisy copies of them.

    The path is straight behind the first layer as well, so the gradients are averaged there. The errors are
    those of `mean_gradients`; None for a number of steps.
    """
    batch, settings, first = passes.batch, passes.settings, passes.network.first
    baselines = batch.baselines if len(batch.baselines) == 1 else batch.baselines[scans]
    ends = first(inputs)
    starts = first(baselines).expand_as(ends)
    errors = None
    if settings.n_steps == AUTO:
        of_scans = inputs is batch.inputs
        known = passes.end_gradients(scans=of_scans, baselines=True)
        at_baselines = known[-len(batch.inputs) :]
        at_ends = known[: len(inputs)] if of_scans else [None] * len(inputs)
        means, errors = mean_gradients(
            Paths(starts, ends, [at_baselines[scan] for scan in scans], at_ends),
            lambda paths, points: passes.gradients([scans[path] for path in paths], points)[0],
            batch_size=settings.batch_size,
            map_error=settings.map_error,
        )
    else:
        means = _captums_means(passes, scans, (starts, ends), settings.n_steps)
    return (inputs - baselines) * first.back(means, inputs), errors


def _captums_means(passes: Passes, scans: list[int], path: tuple[Tensor, Tensor], n_steps: int) -> Tensor:
    """Return Captum's mean gradients, (n, channels, 64, 64), from the first of `path` to the second."""
    method = IntegratedGradients(passes.network.later, multiply_by_inputs=False)
    targets, batch_size = passes.targets(scans), passes.settings.batch_size
    starts, ends = path
    means = []
    for group in slices(len(ends), batch_size // n_steps):
        of_group = ends[group]
        # passes of equal size: a small last one costs nearly as much as a full one
        n_passes = math.ceil(n_steps / max(1, batch_size // len(of_group)))
        attributed = method.attribute(
            of_group,
            starts[group],
            target=for_captum(targets[group]),
            n_steps=n_steps,
            internal_batch_size=len(of_group) * math.ceil(n_steps / n_passes),
        )
        means.append(attributed.detach())
    passes.counts.update(scans * n_steps)
    return torch.cat(means).to(ends.dtype)  # Gauss-Legendre nodes are doubles, and so may the mean be
