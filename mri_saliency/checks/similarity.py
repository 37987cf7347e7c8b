"""Rank correlations of maps inside the brain."""

import numpy as np

from mri_saliency.maps.comparison import centred_ranks, correlation, rank_correlation

# Every fourth pixel of each slice. A network's first convolutions have strides of 2, which leave a pattern
# of period 2 and 4 in every map, whatever the weights; pixels at one place in it do not share the pattern.
SAMPLED = (slice(None), slice(None, None, 4), slice(None, None, 4))

_NOTHING = 1e-6  # share of the ranks' variance, up to which nothing is left of them


def similarity(a: np.ndarray, b: np.ndarray, brain: np.ndarray) -> float:
    """Compute Spearman's correlation of maps (n_slices, 128, 128) in the brain; NaN where one is constant."""
    return rank_correlation(_inside(a, brain), _inside(b, brain))


def partial_similarity(a: np.ndarray, b: np.ndarray, factor: np.ndarray, brain: np.ndarray) -> float:
    """Compute Spearman's partial correlation of two maps' magnitudes inside the brain.

    Less what a linear regression of ranks explains by `factor`'s magnitude, and by place, because with any
    weights a convolutional network reacts more to the middle of its input than to its edges. NaN where a map
    is constant, or where the regression leaves nothing of it.
    """
    ranks_a, ranks_b, *given = (
        centred_ranks(_inside(values, brain)) for values in (abs(a), abs(b), abs(factor), *_places(a.shape))
    )
    return correlation(_without(ranks_a, given), _without(ranks_b, given))


def _places(shape: tuple[int, ...]) -> list[np.ndarray]:
    """Return slice, row, column and distance from the slice's middle of every voxel."""
    slices, rows, columns = np.indices(shape)
    middle_row, middle_column = ((length - 1) / 2 for length in shape[1:])
    return [slices, rows, columns, np.hypot(rows - middle_row, columns - middle_column)]


def _inside(values: np.ndarray, brain: np.ndarray) -> np.ndarray:
    return values[SAMPLED][brain[SAMPLED]]


def _without(ranks: np.ndarray, given: list[np.ndarray]) -> np.ndarray:
    """Return what a regression on `given` leaves of `ranks`, all (n,); zeros if that is rounding."""
    factors = np.stack(given, axis=1)  # (n, n_factors)
    left = ranks - factors @ np.linalg.lstsq(factors, ranks, rcond=None)[0]
    return left if left @ left > _NOTHING * (ranks @ ranks) else np.zeros_like(ranks)
