"""Rank correlations of maps inside the brain."""

from __future__ import annotations

import numpy as np
import pandas as pd

# Every fourth pixel of each slice. A network's first convolutions have strides of 2, which leave a pattern
# of period 2 and 4 in every map, whatever the weights; pixels at one place in it do not share the pattern.
SAMPLED = (slice(None), slice(None, None, 4), slice(None, None, 4))

_NOTHING = 1e-6  # share of the ranks' variance, up to which nothing is left of them
_FEWEST = 3  # voxels that have a correlation


def similarity(a: np.ndarray, b: np.ndarray, brain: np.ndarray) -> dict[str, float]:
    """Compute Spearman's correlation of two maps inside the brain: of their values and magnitudes.

    Parameters
    ----------
    a, b : ndarray
        (n_slices, 128, 128).
    brain : ndarray
        bool, the same shape.

    Returns
    -------
    dict
        ``signed`` and ``absolute``; NaN where a map is constant.
    """
    a, b = _inside(a, brain), _inside(b, brain)
    return {
        "signed": _correlation(_ranks(a), _ranks(b)),
        "absolute": _correlation(_ranks(np.abs(a)), _ranks(np.abs(b))),
    }


def partial_similarity(a: np.ndarray, b: np.ndarray, factor: np.ndarray, brain: np.ndarray) -> float:
    """Compute Spearman's partial correlation of two maps' magnitudes inside the brain.

    What is correlated is what a linear regression of the two maps' ranks leaves: on the ranks of
    `factor`'s magnitude, and of place (slice, row, column, distance from the slice's middle), because
    with any weights a convolutional network reacts more to the middle of its input than to its edges. NaN
    where a map is constant, or where the regression leaves nothing of it.
    """
    given = [_ranks(np.abs(_inside(factor, brain)))]
    given += [_ranks(_inside(values, brain)) for values in _places(a.shape)]
    ranks = [_ranks(np.abs(_inside(values, brain))) for values in (a, b)]
    return _correlation(*(_without(values, np.stack(given, axis=1)) for values in ranks))


def _places(shape: tuple[int, ...]) -> list[np.ndarray]:
    """Return slice, row, column and distance from the slice's middle of every voxel."""
    _, rows, columns = indices = np.indices(shape)
    middle = ((length - 1) / 2 for length in shape[1:])
    return [*indices, np.hypot(*(place - at for place, at in zip((rows, columns), middle, strict=True)))]


def _inside(values: np.ndarray, brain: np.ndarray) -> np.ndarray:
    return values[SAMPLED][brain[SAMPLED]]


def _ranks(values: np.ndarray) -> np.ndarray:
    """Return the ranks of values (n,) less their mean; ties have their mean rank."""
    ranks = pd.Series(values).rank().to_numpy()
    return ranks - ranks.mean() if len(ranks) else ranks


def _without(ranks: np.ndarray, given: np.ndarray) -> np.ndarray:
    """Return what a regression on `given`, (n, k), leaves of `ranks`, (n,); zeros if that is rounding."""
    if len(ranks) < _FEWEST:
        return ranks
    left = ranks - given @ np.linalg.lstsq(given, ranks, rcond=None)[0]
    return left if left @ left > _NOTHING * (ranks @ ranks) else np.zeros_like(ranks)


def _correlation(a: np.ndarray, b: np.ndarray) -> float:
    if len(a) < _FEWEST or not a.any() or not b.any():
        return float("nan")
    return float(a @ b / np.sqrt((a @ a) * (b @ b)))
