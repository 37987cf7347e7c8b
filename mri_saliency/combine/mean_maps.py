"""The maps of several finished runs -> their mean, spread and agreement in sign, scan by scan."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np

from mri_saliency.combine.combination import Member, marks
from mri_saliency.errors import UserError
from mri_saliency.inputs.loading import ScanContext
from mri_saliency.inputs.preprocessing import unpad
from mri_saliency.maps.colours import colour_scale
from mri_saliency.maps.image import Meaning, estimate, to_nifti
from mri_saliency.maps.statistics import (
    MapStatistics,
    cancellation,
    completeness,
    map_statistics,
)
from mri_saliency.methods import METHODS
from mri_saliency.output.folder import OutputFolder
from mri_saliency.output.record import MeasuredMap, Recipe
from mri_saliency.run.map_writer import write_map
from mri_saliency.run.plan import MapFiles

_SIGNS = Meaning("estimate", "sign agreement", (0.5, 1.0), nearest=True)


class RunningMoments:
    """Mean and spread of maps that come one after the other, of which none is kept (Welford 1962).

    Attributes
    ----------
    n : int
    mean : ndarray
        float64, a map's shape.
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.n, self.mean = 0, np.zeros(shape)
        self._squares = np.zeros(shape)  # summed squared distances from the mean
        self._signs = np.zeros((3, *shape), np.int16)  # maps that are negative, zero, positive

    def add(self, values: np.ndarray) -> None:
        """Count a map."""
        self.n += 1
        distance = values - self.mean
        self.mean += distance / self.n
        self._squares += distance * (values - self.mean)
        for sign in (-1, 0, 1):
            self._signs[sign + 1] += np.sign(values) == sign

    def spread(self) -> np.ndarray:
        """Return the standard deviation, float32, with n - 1 below; needs two maps."""
        return np.sqrt(self._squares / (self.n - 1)).astype(np.float32)

    def sign_agreement(self) -> np.ndarray:
        """Return the share of the maps that have the sign of the mean, float32."""
        agreeing = np.choose(np.sign(self.mean).astype(int) + 1, self._signs)
        return (agreeing / self.n).astype(np.float32)


def combine_maps(
    context: ScanContext, members: Sequence[Member], recipe: Recipe, files: MapFiles, n_runs: int
) -> dict[str, float]:
    """Average a scan's maps by one method, and write the mean; a worker's job.

    Raises
    ------
    UserError
        The scan's file has changed, or the maps explain different classes.
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
    moments = RunningMoments(members[0].load().shape)
    for member in members:
        moments.add(member.load())
    values = moments.mean.astype(np.float32)
    is_signed_mean = moments.n > 1 and METHODS[first.method].signed
    signs = moments.sign_agreement() if is_signed_mean else None
    rows = [member.record.statistics for member in members]
    words = {"n_logits": files.n_logits, "baseline": recipe.baseline_name}
    statistics = mean_statistics(values, context, rows, **words)
    if signs is not None and context.brain.any():
        statistics = replace(statistics, sign_agreement=float(signs[context.brain].mean()))
    record = MeasuredMap.of(values, statistics, context, recipe, marks(members))
    images = {}
    if moments.n > 1:
        images = _images(context, record, moments.spread(), signs, files.folder)
    if moments.n == n_runs == 2:
        images |= _difference_image(context, record, members, files.folder)
    return write_map(context, record, values, files, images)


def mean_statistics(
    values: np.ndarray,
    context: ScanContext,
    rows: Sequence[MapStatistics],
    *,
    n_logits: int,
    baseline: str | None,
) -> MapStatistics:
    """Return the row of statistics of a mean of maps.

    Probabilities are averaged (logits are not recorded); sums and the changes of the logit that they should
    equal too, so that the mean of complete maps is complete.

    Parameters
    ----------
    values : ndarray
        float32 (n_slices, 128, 128): the mean.
    context : ScanContext
    rows : sequence of MapStatistics
        Of the maps that it is the mean of.
    n_logits : int
        The networks' number of logits.
    baseline : str or None
        Name of what the scan was compared with.
    """
    scan, first = context.scan, rows[0]
    expected = _mean([row.completeness_expected for row in rows])
    total = _mean([row.completeness_sum for row in rows])
    # at most, because networks that compare with the same draws err alike
    standard_error = _mean([row.completeness_standard_error for row in rows])
    return MapStatistics(
        method=first.method,
        **map_statistics(values, context.brain),
        subject_id=scan.subject_id,
        true_label=scan.label,
        diagnosis=scan.diagnosis,
        **mean_prediction(rows, n_logits),
        target=first.target,
        baseline=baseline,
        sample_idx=scan.sample_idx,
        **completeness(total, expected, standard_error),
        completeness_standard_error=standard_error,
        seconds=sum(row.seconds for row in rows),
        input_warning=context.input_warning,
        subject=scan.subject,
        brain_share_null=_mean([row.brain_share_null for row in rows]),
        map_error=None,
        passes=None,
        cancellation=cancellation(values),
        n_networks=len(rows),
        sign_agreement=None,
    )


def mean_prediction(rows: Sequence[MapStatistics], n_logits: int) -> dict[str, float | int]:
    """Return the prediction of the mean probability; of three or more classes, that of most networks.

    The fields are those of `mri_saliency.maps.statistics.prediction`. Of three or more classes only the
    predicted one's probability is recorded: the confidence is the mean of the networks that predict it.
    """
    probability = float(np.mean([row.prediction for row in rows]))
    labels = Counter(row.predicted_label for row in rows)
    if n_logits <= 2:
        label = int(probability > 0.5)
        confidence = probability if label else 1 - probability
    else:
        certainty: Counter[int] = Counter()
        for row in rows:
            certainty[row.predicted_label] += row.confidence
        label = max(labels, key=lambda label: (labels[label], certainty[label]))
        confidence = certainty[label] / labels[label]
    return {"prediction": probability, "predicted_label": label, "confidence": confidence}


def _mean(values: Sequence[float | None]) -> float | None:
    """Return the mean; None if a value is missing."""
    return None if None in values else float(np.mean(values))


def _images(
    context: ScanContext,
    record: MeasuredMap,
    spread: np.ndarray,
    signs: np.ndarray | None,
    folder: OutputFolder,
) -> dict[Path, nib.Nifti1Image]:
    """Return the images of the spread and, for a signed method, of the agreement in sign."""
    method, name = METHODS[record.method], (record.method, record.subject_id)
    words = f"{method.name}, {record.statistics.n_networks} runs"
    spread, brain = unpad(spread), unpad(context.brain)
    meaning = estimate(method.unit, colour_scale(spread, brain), signed=False)
    images = {folder.spread(*name): to_nifti(spread, record.grid, f"standard deviation, {words}", meaning)}
    if signs is not None:
        image = to_nifti(unpad(signs), record.grid, f"share with the mean's sign, {words}", _SIGNS)
        images[folder.sign_agreement(*name)] = image
    return images


def _difference_image(
    context: ScanContext, record: MeasuredMap, members: Sequence[Member], folder: OutputFolder
) -> dict[Path, nib.Nifti1Image]:
    """Return the image of the second run's map minus the first one's."""
    first, second = (unpad(member.load()) for member in members)
    values = second - first
    meaning = estimate(METHODS[record.method].unit, colour_scale(values, unpad(context.brain)), signed=True)
    image = to_nifti(values, record.grid, f"{record.method}, second run minus first", meaning)
    return {folder.difference(record.method, record.subject_id): image}
