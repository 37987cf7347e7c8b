"""One map -> the numbers that describe it: its row of the table of statistics."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import ndtr, softmax, stdtrit

from mri_saliency.errors import UserError
from mri_saliency.methods import METHODS
from mri_saliency.wording import column, listed, percent

if TYPE_CHECKING:
    from mri_saliency.attribution.result import Attribution
    from mri_saliency.inputs.loading import ScanContext

# A map whose sum misses the logit's change by more than this fraction of it gets the verdict "check"; and the
# share that the standard error of a method that draws should not exceed.
COMPLETENESS_TOLERANCE = 0.05
# Of a method that draws, it gets it beyond so many standard errors: 0.3% are by chance.
STANDARD_ERRORS = 3
# Differences below this many logits are the rounding of two float32 logits, whatever the fraction.
LOGIT_ROUNDING = 1e-4


def _column(meaning: str, unit: str | None = None, **more: Any) -> Any:
    """Return a field whose metadata are `column`'s."""
    return field(metadata=column(meaning, unit, **more))


OF_METHOD = "the method's unit"
METHOD_LEVELS = {name: f"{method.question}; in {method.unit}" for name, method in METHODS.items()}
_DIAGNOSES = {
    "HC": "healthy",
    "left": "TLE, focus on the left",
    "right": "TLE, focus on the right",
    "TLE": "side unknown",
}
_VERDICTS = {
    "ok": f"up to {COMPLETENESS_TOLERANCE:.0%} of it, for methods that draw up to {STANDARD_ERRORS} standard "
    f"errors (of few draws, as many as Student's t asks for); or {LOGIT_ROUNDING:g} logits",
    "check": "more",
}


@dataclass(frozen=True)
class MapStatistics:
    """A row of ``attribution_statistics.csv``; its fields are the columns, in their order. None: empty."""

    method: str = _column("attribution method", levels=METHOD_LEVELS)
    shape: str = _column("of the array, with padding")
    mean: float = _column("over the array", OF_METHOD, name="mean")
    std: float = _column("over the array", OF_METHOD, name="standard deviation")
    min: float = _column("over the array", OF_METHOD, name="smallest value")
    max: float = _column("over the array", OF_METHOD, name="largest value")
    abs_mean: float = _column("over the array", OF_METHOD, name="mean magnitude")
    positive_ratio: float = _column("shares above and below zero", name="share above zero")
    negative_ratio: float = _column("shares above and below zero", name="share below zero")
    peak_slice: int | None = _column("slice with the largest summed magnitude; empty for a map of zeros")
    brain_share: float | None = _column(
        "share of the magnitude in pixels with tissue on both sides along both axes of the slice"
    )
    subject_id: str = _column("the scan's name")
    true_label: int = _column("0 HC, 1 TLE", levels={"0": "HC", "1": "TLE"})
    diagnosis: str = _column("HC, left, right, or TLE (side unknown)", levels=_DIAGNOSES)
    prediction: float = _column("probability of TLE (several logits: 1 minus softmax of class 0)")
    predicted_label: int = _column("1 if `prediction` is above 0.5 (several logits: index of the largest)")
    confidence: float = _column("its probability")
    target: int = _column("index of the explained class (several logits: the map explains its log-odds)")
    baseline: str | None = _column("what the scan was compared with")
    sample_idx: int = _column("place in the cohort, from 0")
    completeness_sum: float | None = _column("sum of the map, if it must be complete", "logit")
    completeness_expected: float | None = _column(
        "the change of the class's log-odds that it should equal", "logit"
    )
    completeness_error: float | None = _column("their difference over the change")
    completeness_verdict: str | None = _column("`ok` or `check`", levels=_VERDICTS)
    seconds: float = _column("of the network; a shared pass counts for the first method", "s")
    input_warning: str | None = _column("how the scan differs from the training data")
    subject: str = _column("the person")
    brain_share_null: float | None = _column(
        "`brain_share` of the null map, which knows nothing of the network: |scan - baseline|, of "
        "expected_gradients the mean |scan - control|, |scan| for methods with neither"
    )
    map_error: float | None = _column(
        "estimated error, summed over voxels, over the summed magnitude. Methods that draw: the standard "
        "error; `--n_steps auto`: extrapolated from the map's changes by the last two doublings of its "
        "points, 1e-5 at least. Empty for others"
    )
    passes: int | None = _column(
        "forward-backward passes of the network; one that methods share counts for the first"
    )
    cancellation: float | None = _column("|sum| over the sum of magnitudes: 1 if all values have one sign")
    completeness_standard_error: float | None = _column(
        "for methods that draw, of `completeness_sum` less `completeness_expected`", "logit"
    )
    n_networks: int | None = _column(
        "runs whose maps were averaged (`--combine`); empty for a map of one run"
    )
    sign_agreement: float | None = _column(
        "mean share of these runs whose map has the mean's sign, over the brain's voxels"
    )

    @property
    def predicts_tle(self) -> bool:
        """Whether the predicted class is TLE: any class but 0."""
        return self.predicted_label > 0

    @property
    def is_tle(self) -> bool:
        """Whether the true class is TLE."""
        return self.true_label == 1

    @property
    def sum_error(self) -> float | None:
        """The standard error of the sum over the logit's change, for methods that draw."""
        error, change = self.completeness_standard_error, self.completeness_expected
        return error / abs(change) if error is not None and change else None


def measure_map(
    attribution: "Attribution", context: "ScanContext", method: str, baseline: str | None
) -> MapStatistics:
    """Compute a map's row of statistics; raises UserError if the map has NaN or infinite values."""
    scan, null_share = context.scan, context.null_shares.get(METHODS[method].null_reference)
    if attribution.null is not None:
        null_share = brain_share(attribution.null, context.brain)
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
        **completeness(
            attribution.total,
            attribution.expected_total,
            attribution.standard_error,
            attribution.degrees_of_freedom,
        ),
        seconds=attribution.seconds,
        input_warning=context.input_warning,
        subject=scan.subject,
        brain_share_null=null_share,
        map_error=attribution.map_error,
        passes=attribution.passes,
        cancellation=cancellation(attribution.values),
        completeness_standard_error=attribution.standard_error,
        n_networks=None,
        sign_agreement=None,
    )


def map_statistics(values: np.ndarray, brain: np.ndarray) -> dict[str, Any]:
    """Return ``shape`` to ``brain_share`` of a map's `MapStatistics`; both arrays (n_slices, 128, 128)."""
    magnitude, precise = np.abs(values), values.astype(np.float64)
    slice_sums = magnitude.sum(axis=(1, 2), dtype=np.float64)
    return {
        "shape": str(values.shape),
        "mean": float(precise.mean()),
        "std": float(precise.std()),
        "min": float(values.min()),
        "max": float(values.max()),
        "abs_mean": float(slice_sums.sum() / values.size),
        "positive_ratio": float(np.count_nonzero(values > 0) / values.size),
        "negative_ratio": float(np.count_nonzero(values < 0) / values.size),
        "peak_slice": int(slice_sums.argmax()) if slice_sums.any() else None,
        "brain_share": brain_share(magnitude, brain),
    }


def brain_share(magnitude: np.ndarray, brain: np.ndarray) -> float | None:
    """Return the part of a map's summed magnitude inside the brain, bool; None for a map of zeros."""
    total = float(magnitude.sum(dtype=np.float64))
    return float(magnitude[brain].sum(dtype=np.float64)) / total if total else None


def cancellation(values: np.ndarray) -> float | None:
    """Return |sum| over the sum of magnitudes; None for a map of zeros."""
    magnitude = float(np.abs(values).sum(dtype=np.float64))
    return abs(float(values.sum(dtype=np.float64))) / magnitude if magnitude else None


def slice_profile(values: np.ndarray) -> np.ndarray:
    """Return each slice's share of a map's summed magnitude, float64 (n_slices,); 0 for a map of zeros."""
    slice_sums = np.abs(values).sum(axis=(1, 2), dtype=np.float64)
    return slice_sums / slice_sums.sum() if slice_sums.any() else slice_sums


def completeness(
    total: float,
    expected_total: float | None,
    standard_error: float | None = None,
    degrees_of_freedom: float | None = None,
) -> dict[str, Any]:
    """Compare a map's sum with the change of the logit that it should equal: ``completeness_…``'s columns.

    Arguments are `Attribution`'s, in logits. All columns are None for a method that promises no sum, and the
    error is None where the expected change is zero and the sum is not. `_VERDICTS` defines the verdicts.
    """
    if expected_total is None:
        return dict.fromkeys(f"completeness_{name}" for name in ("sum", "expected", "error", "verdict"))
    difference = abs(total - expected_total)
    error = difference / abs(expected_total) if expected_total else None if difference else 0.0
    if standard_error is None:
        tolerance = COMPLETENESS_TOLERANCE * abs(expected_total)
    else:
        tolerance = float(stdtrit(degrees_of_freedom or 1e9, ndtr(STANDARD_ERRORS))) * standard_error
    accepted = difference <= max(tolerance, LOGIT_ROUNDING)
    return {
        "completeness_sum": total,
        "completeness_expected": expected_total,
        "completeness_error": error,
        "completeness_verdict": "ok" if accepted else "check",
    }


def error_sentences(titles: Mapping[str, str], rows: Sequence[MapStatistics]) -> list[str]:
    """Return the errors that methods' maps reached, in sentences for a paper; `titles`: method -> title."""
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
            if spreads := [row.sum_error for row in rows_of[name] if row.sum_error is not None]:
                middle = percent(median(spreads))
                text += f"; that of their sum was {middle} of the logit's change in the median"
        else:
            text = f"The estimated error of {title} maps was {reached}"
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
    """Return ``prediction`` to ``confidence`` of a scan's `MapStatistics`, from its logits (n_logits,)."""
    logits = np.asarray(logits, np.float64)
    probabilities = softmax(np.append(0, logits) if logits.size == 1 else logits)
    label = int(probabilities.argmax())  # of equal ones, the first
    return {
        "prediction": float(probabilities[1:].sum()),
        "predicted_label": label,
        "confidence": float(probabilities[label]),
    }
