"""Expected Gradients: the mean over HC scans, and each voxel's standard error."""

import math
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from mri_saliency.attribution.batch import BatchMaps
from mri_saliency.attribution.draws import draw_references, seed_of
from mri_saliency.attribution.moments import relative, sums
from mri_saliency.attribution.passes import Passes, of_targets, slices
from mri_saliency.attribution.references import References
from mri_saliency.errors import UserError
from mri_saliency.runtime.device import has_room


def expected_gradients(passes: Passes) -> BatchMaps:
    """Average ``(x - x') * gradient`` over HC scans x' and random points between x' and x.

    Raises UserError: the settings have no references.
    """
    batch, references = passes.batch, passes.settings.references
    n, seed = passes.settings.n_references, passes.settings.seed
    if references is None:
        raise UserError("expected_gradients: expected Settings(references=...), found None.")
    volumes, starts, start_outputs = _on_device(passes, references)
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
    nulls, standard_errors, degrees_of_freedom = torch.empty_like(maps), torch.empty_like(at_scans), []
    for scan, (of_scan, _) in enumerate(draws):
        part = slice(scan * n, (scan + 1) * n)
        contrasts, degrees = error_contrasts(of_scan)
        degrees_of_freedom.append(degrees)
        of_draws = torch.from_numpy(contrasts).to(missed)
        standard_errors[scan] = (of_draws @ missed[part]).norm()
        parts = _contributions(passes, volumes, scan, of_scan, gradients[part])
        for some, nulls[scan, ..., some], contributions in parts:
            maps[scan, ..., some] = contributions.mean(0)
            contrasted = torch.tensordot(of_draws.to(contributions), contributions, dims=1)
            voxel_errors[scan, ..., some] = contrasted.square_().sum(0).sqrt_()
    expected = changes.unflatten(0, (-1, n)).mean(1)
    if standard_errors.isnan().any():  # a single reference
        return BatchMaps(maps, expected, voxel_errors=voxel_errors, nulls=nulls)
    errors = relative(sums(voxel_errors), sums(maps.abs()))
    return BatchMaps(maps, expected, errors, standard_errors, degrees_of_freedom, voxel_errors, nulls)


def _on_device(passes: Passes, references: References) -> tuple[list[Tensor], Tensor, Tensor]:
    """Return the references, on the device if it has room; they behind the first layer; their outputs."""
    network, device = passes.network, passes.batch.inputs.device
    if network.references is None:
        volumes = [torch.from_numpy(values) for values in references.inputs]
        if has_room(device, sum(values.nbytes for values in references.inputs)):
            volumes = [volume.to(device) for volume in volumes]
        points = torch.cat([network.first(volume[None].to(device)) for volume in volumes])
        network.references = volumes, points, passes.predict(points)
    return network.references


def _contributions(
    passes: Passes, references: list[Tensor], scan: int, drawn: np.ndarray, gradients: Tensor
) -> Iterator[tuple[slice, Tensor, Tensor]]:
    """Yield some slices, and there the scan's null map (128, 128, n_some), and each draw's contribution.

    Contributions, (n, ...), have the memory of four volumes, which a CPU's can use again
    (`keep_freed_memory`).
    """
    volume = passes.batch.inputs[scan]
    n_slices = volume.shape[-1]
    used, of_draws = np.unique(drawn, return_inverse=True)
    for some in slices(n_slices, n_slices * min(4, passes.settings.batch_size) // len(drawn)):
        inputs = torch.stack([references[index][..., some] for index in used]).to(volume.device)
        differences = (volume[..., some] - inputs)[of_draws]
        null = differences.abs().mean(0)
        yield some, null, differences.mul_(passes.network.first.back(gradients, differences, some))


def error_contrasts(drawn: np.ndarray) -> tuple[np.ndarray, float]:
    """Return weights of a mean's draws whose weighted sums, squared, add up to its squared standard error.

    `drawn` are the draws' references, in the order of their places on the path. The trend along the path,
    which the places' strata take out of the mean's error, is taken out as a polynomial. What remains differs
    between references by chance: the weighted sums are those of each reference's distance from the mean.
    Returns float64 (n_references, n), NaN for a single reference, and the degrees of freedom.
    """
    n = len(drawn)
    of_reference = np.unique(drawn)[:, None] == drawn
    degree = max(0, min(4, n // 2, n - 2))  # as high as so few draws can tell
    trend = np.linalg.qr(np.vander(np.linspace(-1, 1, n), degree + 1))[0]
    contrasts = of_reference / n - of_reference.mean(axis=1, keepdims=True) / n
    contrasts -= contrasts @ trend @ trend.T
    variances = np.linalg.svd(contrasts, compute_uv=False) ** 2
    if len(of_reference) == 1 or not variances.any():
        return np.full_like(contrasts, np.nan), math.nan
    # scaled to what independent draws of equal variance ask for
    contrasts *= (n * variances.sum()) ** -0.5
    return contrasts, float(variances.sum() ** 2 / (variances**2).sum())
