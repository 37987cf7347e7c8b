"""One map -> the numbers that describe it: its row of the table of statistics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import MISSING, asdict, dataclass, fields
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np

from mri_saliency.errors import UserError
from mri_saliency.methods import METHODS
from mri_saliency.wording import listed, percent

if TYPE_CHECKING:
    from mri_saliency.attribution.result import Attribution
    from mri_saliency.inputs.loading import ScanContext

# A map whose sum misses the logit's change by more than this fraction of it gets the verdict "check"; and the
# share that the standard error of a method that draws should not exceed.
COMPLETENESS_TOLERANCE = 0.05
# Of a method that draws, it gets it beyond so many standard errors: of ten draws, 1.5% are by chance.
STANDARD_ERRORS = 3
# Differences below this many logits are the rounding of two float32 logits, whatever the fraction.
LOGIT_ROUNDING = 1e-4


@dataclass(frozen=True)
class MapStatistics:
    """A row of ``attribution_statistics.csv``; the fields are its columns, in its order.

    Attributes
    ----------
    method : str
        The attribution method.
    shape : str
        The array's shape, such as ``(115, 128, 128)``.
    mean, std, min, max, abs_mean : float
        Over all voxels, in the map's unit.
    positive_ratio, negative_ratio : float
        Shares of the voxels above and below zero.
    peak_slice : int or None
        The slice with the largest summed magnitude; None for a map of zeros.
    brain_share : float or None
        Summed magnitude inside the brain over that of the whole map; None for a map of zeros.
    subject_id, true_label, diagnosis, sample_idx
        From the scan's row of the scan table; the label is 0 for HC, 1 for TLE.
    prediction : float
        The probability of TLE.
    predicted_label : int
        The predicted class; 0 is HC, every other class is TLE.
    confidence : float
        The predicted class's probability.
    target : int
        Index of the explained class.
    baseline : str or None
        What the scan was compared with; None for a method without baseline.
    completeness_sum, completeness_expected, completeness_error, completeness_verdict
        As `completeness` returns them; None for a method that promises no sum.
    seconds : float
        Time the network took for the map.
    input_warning : str or None
        Why the scan's input looks unlike those that the network was trained on; None if it does not.
    subject : str or None
        The person; None in the records of earlier versions.
    brain_share_null : float or None
        `brain_share` of the map |scan - reference|, which knows nothing of the network; the reference is
        the baseline, or zero for a method without one. None in the records of earlier versions.
    map_error : float or None
        The map's estimated error, summed over voxels, over its summed magnitude; None where it is not known.
    passes : int or None
        Forward-backward passes of the network for the map; None in the records of earlier versions.
    cancellation : float or None
        `cancellation` of the map: near 0 where positive and negative values cancel. None for a map of zeros,
        and in the records of earlier versions.
    completeness_standard_error : float or None
        Of `completeness_sum` less `completeness_expected`, in logits, for a method that draws.
    n_networks : int or None
        How many runs' maps a combined map is the mean of; None for a map of one run.
    sign_agreement : float or None
        The share of these runs whose map has the sign of the mean, averaged over the brain's voxels; None
        for one map, and for methods without a sign.
    """

    method: str
    shape: str
    mean: float
    std: float
    min: float
    max: float
    abs_mean: float
    positive_ratio: float
    negative_ratio: float
    peak_slice: int | None
    brain_share: float | None
    subject_id: str
    true_label: int
    diagnosis: str
    prediction: float
    predicted_label: int
    confidence: float
    target: int
    baseline: str | None
    sample_idx: int
    completeness_sum: float | None
    completeness_expected: float | None
    completeness_error: float | None
    completeness_verdict: str | None
    seconds: float
    input_warning: str | None = None
    subject: str | None = None
    brain_share_null: float | None = None
    map_error: float | None = None
    passes: int | None = None
    cancellation: float | None = None
    completeness_standard_error: float | None = None
    n_networks: int | None = None
    sign_agreement: float | None = None

    @property
    def predicts_tle(self) -> bool:
        """Whether the predicted class is TLE: any class but 0."""
        return self.predicted_label > 0

    @property
    def is_tle(self) -> bool:
        """Whether the true class is TLE."""
        return self.true_label == 1

    def to_json(self) -> dict[str, Any]:
        """Return the columns and their values as a dict that JSON can hold."""
        return asdict(self)

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> MapStatistics:
        """Read what `to_json` returned; unknown keys are ignored.

        Raises
        ------
        KeyError
            A field without a default is missing.
        """
        names = [field.name for field in fields(cls) if field.name in content or field.default is MISSING]
        return cls(**{name: content[name] for name in names})


def measure_map(
    attribution: Attribution, context: ScanContext, method: str, baseline: str | None
) -> MapStatistics:
    """Compute a map's row of statistics.

    Parameters
    ----------
    attribution : Attribution
        The map, float32 (n_slices, 128, 128), with the logits it explains.
    context : ScanContext
        The scan, with its brain mask.
    method : str
        The method that made the map.
    baseline : str or None
        Name of what the scan was compared with; None for a method without baseline.

    Raises
    ------
    UserError
        The map has NaN or infinite values.
    """
    scan = context.scan
    if not np.isfinite(attribution.values).all():
        raise UserError(f"{scan.path}: the {method} map has NaN or infinite values.")
    return MapStatistics(
        method=method,
        **map_statistics(attribution.values, context.brain),
        subject_id=scan.subject_id,
        true_label=scan.label,
        diagnosis=scan.diagnosis,
        **prediction(attribution.logits),
        target=attribution.target,
        baseline=baseline,
        sample_idx=scan.sample_idx,
        **completeness(attribution.total, attribution.expected_total, attribution.standard_error),
        seconds=attribution.seconds,
        input_warning=context.input_warning,
        subject=scan.subject,
        brain_share_null=context.null_shares.get(METHODS[method].null_reference),
        map_error=attribution.map_error,
        passes=attribution.passes,
        cancellation=cancellation(attribution.values),
        completeness_standard_error=attribution.standard_error,
    )


def map_statistics(values: np.ndarray, brain: np.ndarray) -> dict[str, Any]:
    """Return the fields of `MapStatistics` that follow from a map's values alone.

    Parameters
    ----------
    values : ndarray
        float32 (n_slices, 128, 128).
    brain : ndarray
        bool, the same shape.

    Returns
    -------
    dict
        ``shape`` to ``brain_share``, as in `MapStatistics`.
    """
    magnitude = np.abs(values)
    slice_sums = magnitude.sum(axis=(1, 2), dtype=np.float64)
    return {
        "shape": str(values.shape),
        "mean": float(values.mean(dtype=np.float64)),
        "std": float(values.std(dtype=np.float64)),
        "min": float(values.min()),
        "max": float(values.max()),
        "abs_mean": float(magnitude.mean(dtype=np.float64)),
        "positive_ratio": float((values > 0).mean()),
        "negative_ratio": float((values < 0).mean()),
        "peak_slice": int(slice_sums.argmax()) if slice_sums.any() else None,
        "brain_share": brain_share(magnitude, brain),
    }


def brain_share(magnitude: np.ndarray, brain: np.ndarray) -> float | None:
    """Return the part of a map's summed magnitude inside the brain, bool; None for a map of zeros."""
    total = float(magnitude.sum(dtype=np.float64))
    return float(magnitude.sum(dtype=np.float64, where=brain)) / total if total else None


def cancellation(values: np.ndarray) -> float | None:
    """Return |sum| over the sum of magnitudes: 1 where all values have one sign; None for a map of zeros."""
    magnitude = float(np.abs(values).sum(dtype=np.float64))
    return abs(float(values.sum(dtype=np.float64))) / magnitude if magnitude else None


def slice_profile(values: np.ndarray) -> np.ndarray:
    """Return each slice's share of a map's summed magnitude.

    float64 (n_slices,), sums to 1; all zero for a map of zeros.
    """
    slice_sums = np.abs(values).sum(axis=(1, 2), dtype=np.float64)
    return slice_sums / slice_sums.sum() if slice_sums.any() else slice_sums


def completeness(
    total: float, expected_total: float | None, standard_error: float | None = None
) -> dict[str, Any]:
    """Compare a map's sum with the change of the logit that it should equal.

    Parameters
    ----------
    total : float
        The sum over the map, in logits.
    expected_total : float or None
        The logit of the scan less that of the baseline; None for a method that promises no sum.
    standard_error : float or None
        Of the sum less `expected_total`, in logits, for a method that draws; None: only the fraction counts.

    Returns
    -------
    dict
        ``completeness_sum`` and ``completeness_expected`` in logits; ``completeness_error``, the
        difference over the expected change's magnitude (None where that is zero and the sum is
        not); ``completeness_verdict``, "ok" up to `COMPLETENESS_TOLERANCE` of the expected change,
        or with a `standard_error` up to `STANDARD_ERRORS` of them, or `LOGIT_ROUNDING` logits, else
        "check". All None if `expected_total` is None.
    """
    if expected_total is None:
        return dict.fromkeys(
            ("completeness_sum", "completeness_expected", "completeness_error", "completeness_verdict")
        )
    difference = abs(total - expected_total)
    if difference == 0:
        error = 0.0
    else:
        error = difference / abs(expected_total) if expected_total else None
    if standard_error is None:
        tolerance = COMPLETENESS_TOLERANCE * abs(expected_total)
    else:
        tolerance = STANDARD_ERRORS * standard_error
    accepted = difference <= max(tolerance, LOGIT_ROUNDING)
    return {
        "completeness_sum": total,
        "completeness_expected": expected_total,
        "completeness_error": error,
        "completeness_verdict": "ok" if accepted else "check",
    }


def error_sentences(titles: Mapping[str, str], rows: Sequence[MapStatistics]) -> list[str]:
    """Return the errors that methods' maps reached, in sentences for a paper.

    Parameters
    ----------
    titles : mapping
        Method -> its title.
    rows : sequence of MapStatistics
    """
    rows_of = {name: [row for row in rows if row.method == name] for name in titles}
    sentences = []
    for name, title in titles.items():
        errors = [row.map_error for row in rows_of[name] if row.map_error is not None]
        if not errors:
            continue
        middle, most = percent(median(errors)), percent(max(errors))
        reached = f"{middle} of their summed magnitude in the median and {most} at most"
        if METHODS[name].stochastic:
            text = f"The standard error of {title} maps over draws, summed over the voxels, was {reached}"
            spreads = [
                row.completeness_standard_error / abs(row.completeness_expected)
                for row in rows_of[name]
                if row.completeness_standard_error is not None and row.completeness_expected
            ]
            if spreads:
                middle = percent(median(spreads))
                text += f"; that of their sum was {middle} of the logit's change in the median"
        else:
            text = f"The last doubling changed {title} maps by {reached}"
        sentences.append(f"{text}.")
    return sentences + _completeness_sentences(titles, rows_of)


def _completeness_sentences(
    titles: Mapping[str, str], rows_of: Mapping[str, Sequence[MapStatistics]]
) -> list[str]:
    """Return in how many maps completeness was missed, in a sentence; none if no method promises it."""
    with_sum = {name: [row for row in rows if row.completeness_verdict] for name, rows in rows_of.items()}
    has_error = [row.completeness_standard_error is not None for rows in with_sum.values() for row in rows]
    if not has_error:
        return []
    limits = [] if all(has_error) else [f"{COMPLETENESS_TOLERANCE:.0%} of that change"]
    if any(has_error):
        limits.append(f"{STANDARD_ERRORS} standard errors of the sum where random draws gave one")
    found = []
    for name, rows in with_sum.items():
        if rows:
            n = sum(row.completeness_verdict == "check" for row in rows)
            found.append(f"{n or 'none'} of {len(rows)} {titles[name]} maps")
    return [
        "Completeness, the agreement of a map's sum with the change of the logit that it explains, was "
        f"missed by more than {', or '.join(limits)}, in {listed(found)}."
    ]


def prediction(logits: np.ndarray) -> dict[str, Any]:
    """Convert a scan's logits, float (n_logits,), to a prediction.

    Returns
    -------
    dict
        ``prediction``: the probability of TLE: the sigmoid of a single logit; with several, one
        less the softmax of class 0 (HC). ``predicted_label``: 1 if a single logit's probability is
        above 0.5, else 0; with several, the class of the largest. ``confidence``: the predicted
        class's probability.

    Notes
    -----
    With three or more logits, ``prediction`` can be above 0.5 where class 0 is the most probable
    single class; ``predicted_label`` decides.
    """
    logits = np.asarray(logits, np.float64)
    if logits.size == 1:
        probabilities = np.exp(-np.logaddexp(0, np.array([1, -1]) * logits))  # (HC, TLE)
        label = int(probabilities[1] > 0.5)
    else:
        exponentials = np.exp(logits - logits.max())
        probabilities = exponentials / exponentials.sum()
        label = int(probabilities.argmax())
    return {
        "prediction": float(probabilities[1:].sum()),
        "predicted_label": label,
        "confidence": float(probabilities[label]),
    }
