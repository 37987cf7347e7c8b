"""Expected Gradients: the mean over HC scans, and each voxel's standard error."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from mri_saliency.attribution.batch import BatchMaps
from mri_saliency.attribution.draws import draw_references, seed_of
from mri_saliency.attribution.moments import relative, sums
from mri_saliency.attribution.passes import Passes, of_targets
from mri_saliency.attribution.references import References


def expected_gradients(passes: Passes) -> BatchMaps:
    """Average ``(x - x') * gradient`` over HC scans x' and random points between x' and x.

    Raises ValueError: the settings have no references, or all are left out for a scan.
    """
    batch, references = passes.batch, passes.settings.references
    n, seed = passes.settings.n_references, passes.settings.seed
    if references is None:
        raise ValueError("expected_gradients: expected Settings.references, found None")
    starts, start_outputs = _behind_first_layer(passes, references)
    draws = [
        draw_references(references.available(scan_id), n, seed_of(seed, scan_id, "expected_gradients"))
        for scan_id in batch.scan_ids
    ]
    drawn, fractions = (np.concatenate(parts) for parts in zip(*draws, strict=True))
    scans = [scan for scan in range(len(draws)) for _ in range(n)]
    places = torch.from_numpy(fractions).to(starts)[:, None, None, None]
    ends = passes.network.first(batch.inputs)[scans]
    gradients, _ = passes.gradients(scans, torch.lerp(starts[drawn], ends, places))

    at_scans = passes.log_odds()
    changes = at_scans[scans] - of_targets(start_outputs[drawn], passes.targets(scans))
    # the sum over voxels of a draw's contribution, without going back to them: the first layer is linear
    missed = ((ends - starts[drawn]) * gradients).sum(dim=(1, 2, 3), dtype=torch.float64) - changes

    maps, voxel_errors = torch.empty_like(batch.inputs), torch.empty_like(batch.inputs)
    nulls = torch.zeros_like(batch.inputs)

    def contribution(scan: int, index: int, weight: float, gradient: Tensor) -> Tensor:
        difference = batch.inputs[scan] - torch.from_numpy(references.inputs[index]).to(maps.device)
        nulls[scan].add_(difference.abs(), alpha=weight)
        return difference * passes.network.first.back(gradient[None], difference[None])[0]

    standard_errors = torch.empty_like(at_scans)
    for scan, (of_scan, _) in enumerate(draws):
        part = slice(scan * n, (scan + 1) * n)
        contributions = (
            (weight, contribution(scan, index, weight, gradient))
            for index, weight, gradient in _by_reference(of_scan, gradients[part])
        )
        maps[scan], voxel_errors[scan] = _mean_and_standard_error(contributions)
        of_missed = ((weight, mean) for _, weight, mean in _by_reference(of_scan, missed[part]))
        standard_errors[scan] = _mean_and_standard_error(of_missed)[1]
    expected = changes.unflatten(0, (-1, n)).mean(1)
    if standard_errors.isnan().any():  # a single reference
        return BatchMaps(maps, expected, voxel_errors=voxel_errors, nulls=nulls)
    errors = relative(sums(voxel_errors), sums(maps.abs()))
    return BatchMaps(maps, expected, errors, standard_errors, voxel_errors, nulls)


def _behind_first_layer(passes: Passes, references: References) -> tuple[Tensor, Tensor]:
    """Return the references behind the first layer, and the network's outputs for them; computed once."""
    network = passes.network
    if network.references is None:
        inputs = (torch.from_numpy(values)[None].to(network.first.device) for values in references.inputs)
        points = torch.cat([network.first(values) for values in inputs])
        network.references = points, passes.predict(points)
    return network.references


def _by_reference(drawn: np.ndarray, values: Tensor) -> Iterator[tuple[int, float, Tensor]]:
    """Yield each drawn reference, its share of the draws, and the mean of its draws' values."""
    for index in np.unique(drawn):
        places = np.flatnonzero(drawn == index)
        yield index, len(places) / len(drawn), values[places].mean(0)


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
