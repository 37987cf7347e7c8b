"""The maps of several finished runs -> their mean, spread and agreement in sign, scan by scan."""

from collections.abc import Sequence
from dataclasses import replace
from functools import reduce
from pathlib import Path

import nibabel as nib
import numpy as np

from mri_saliency.cohort.source_scan import read_null_map
from mri_saliency.combine.combination import Member, marks
from mri_saliency.errors import UserError
from mri_saliency.inputs.loading import ScanContext
from mri_saliency.inputs.preprocessing import unpad
from mri_saliency.maps.colours import colour_scale
from mri_saliency.maps.image import Meaning, estimate, to_nifti
from mri_saliency.maps.statistics import MapStatistics, cancellation, completeness, map_statistics
from mri_saliency.methods import METHODS
from mri_saliency.output.record import MeasuredMap, Recipe
from mri_saliency.run.map_writer import write_map
from mri_saliency.run.plan import MapFiles

_SIGNS = Meaning("estimate", "sign agreement", (0.5, 1.0), nearest=True)


def mean_map(maps: Sequence[np.ndarray]) -> np.ndarray:
    """Return the mean of maps, float64; if they are memory-mapped, one is in memory at a time."""
    return reduce(np.add, maps, np.zeros(maps[0].shape)) / len(maps)


def spread(maps: Sequence[np.ndarray]) -> np.ndarray:
    """Return the standard deviation of two maps or more, float32, with n - 1 below."""
    mean = mean_map(maps)
    squares = reduce(np.add, ((values - mean) ** 2 for values in maps))
    return np.sqrt(squares / (len(maps) - 1)).astype(np.float32)


def sign_agreement(maps: Sequence[np.ndarray]) -> np.ndarray:
    """Return the share of the maps that have the sign of the mean, float32."""
    sign = np.sign(mean_map(maps))
    n_agreeing = reduce(np.add, (np.sign(values) == sign for values in maps), np.zeros(sign.shape, np.int16))
    return (n_agreeing / len(maps)).astype(np.float32)


def combine_maps(
    context: ScanContext, members: Sequence[Member], recipe: Recipe, files: MapFiles, n_runs: int
) -> dict[str, float]:
    """Average a scan's maps by one method, and write the mean; a worker's job.

    Raises UserError if the scan's file has changed, or if the maps explain different classes.
    """
    first = members[0].record
    if context.source.sha256 != first.source.sha256:
        raise UserError(f"{context.scan.path}: has changed since the maps to combine were made.")
    targets = sorted({member.record.statistics.target for member in members})
    if len(targets) > 1:
        raise UserError(
            f"{context.scan.path}: the runs explain the classes {' and '.join(map(str, targets))}, each its "
            "network's prediction. Repeat them with one --target."
        )
    maps = [member.load() for member in members]
    values = mean_map(maps).astype(np.float32)
    signs = sign_agreement(maps) if len(maps) > 1 and METHODS[first.method].signed else None
    rows = [member.record.statistics for member in members]
    statistics = mean_statistics(
        values, context, rows, n_logits=files.n_logits, baseline=recipe.baseline_name
    )
    if signs is not None and context.brain.any():
        statistics = replace(statistics, sign_agreement=float(signs[context.brain].mean()))
    record = MeasuredMap.of(values, statistics, context, recipe, marks(members))
    name, folder, runs = (first.method, context.scan.subject_id), files.folder, f"{len(maps)} runs"
    images: dict[Path, nib.Nifti1Image | np.ndarray] = {}
    if METHODS[first.method].null_reference == "references":
        nulls = [read_null_map(member.folder, member.record) for member in members]
        if found := [null for null in nulls if null is not None]:
            images[folder.null(*name)] = mean_map(found).astype(np.float16)
    if len(maps) > 1:
        title = f"standard deviation, {first.method}, {runs}"
        images[folder.spread(*name)] = _image(spread(maps), context, first.method, title, signed=False)
    if signs is not None:
        title = f"share with the mean's sign, {first.method}, {runs}"
        images[folder.sign_agreement(*name)] = to_nifti(unpad(signs), context.grid, title, _SIGNS)
    if len(maps) == n_runs == 2:
        title, difference = f"{first.method}, second run minus first", maps[1] - maps[0]
        images[folder.difference(*name)] = _image(difference, context, first.method, title, signed=True)
    return write_map(context, record, values, files, images)


def _image(
    values: np.ndarray, context: ScanContext, method: str, title: str, *, signed: bool
) -> nib.Nifti1Image:
    """Return the image of an array in the method's unit, (n_slices, 128, 128)."""
    inside = unpad(values)
    meaning = estimate(METHODS[method].unit, colour_scale(inside, unpad(context.brain)), signed=signed)
    return to_nifti(inside, context.grid, title, meaning)


def mean_statistics(
    values: np.ndarray,
    context: ScanContext,
    rows: Sequence[MapStatistics],
    *,
    n_logits: int,
    baseline: str | None,
) -> MapStatistics:
    """Return the row of statistics of a mean, float32 (n_slices, 128, 128); `rows` are those of its maps.

    Probabilities are averaged (logits are not recorded); sums and the changes of the logit that they should
    equal too, so that the mean of complete maps is complete.
    """
    scan, first = context.scan, rows[0]
    expected = _mean([row.completeness_expected for row in rows])
    total = _mean([row.completeness_sum for row in rows])
    # at most, because networks that compare with the same draws err alike
    standard_error = _mean([row.completeness_standard_error for row in rows])
    probability, label, confidence = mean_prediction(rows, n_logits)
    return replace(
        first,
        **map_statistics(values, context.brain),
        subject_id=scan.subject_id,
        prediction=probability,
        predicted_label=label,
        confidence=confidence,
        baseline=baseline,
        sample_idx=scan.sample_idx,
        **completeness(total or 0.0, expected, standard_error),  # without `expected`, all are None
        completeness_standard_error=standard_error,
        seconds=sum(row.seconds for row in rows),
        input_warning=context.input_warning,
        brain_share_null=_mean([row.brain_share_null for row in rows]),
        map_error=None,
        passes=None,
        cancellation=cancellation(values),
        n_networks=len(rows),
        sign_agreement=None,
    )


def mean_prediction(rows: Sequence[MapStatistics], n_logits: int) -> tuple[float, int, float]:
    """Return the mean probability of TLE, the predicted label, and its confidence.

    Of one or two logits, the label is that of the mean probability. Of three or more classes only the
    predicted one's probability is recorded: the label is that of most networks, and the confidence the mean
    of those that predict it.
    """
    probability = float(np.mean([row.prediction for row in rows]))
    if n_logits <= 2:
        label = int(probability > 0.5)
        return probability, label, probability if label else 1 - probability
    confidences: dict[int, list[float]] = {}  # by label
    for row in rows:
        confidences.setdefault(row.predicted_label, []).append(row.confidence)
    label = max(confidences, key=lambda label: (len(confidences[label]), sum(confidences[label])))
    return probability, label, float(np.mean(confidences[label]))


def _mean(values: Sequence[float | None]) -> float | None:
    """Return the mean; None if a value is missing."""
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if len(known) == len(values) else None
