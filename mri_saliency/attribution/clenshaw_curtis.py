"""Clenshaw-Curtis rules on a path from 0 to 1: each has the points of the one before, and as many new."""

from collections.abc import Sequence

import numpy as np

from mri_saliency.methods import AUTO
from mri_saliency.wording import listed, percent

POINTS = (3, 5, 9, 17, 33, 65, 129)  # of each rule
FIRST = 2  # the index of the first rule of a map; those before serve to estimate its error


def places() -> np.ndarray:
    """Return the places of the largest rule's points on the path, ascending: float64 (129,)."""
    n = POINTS[-1] - 1
    return np.sin(np.pi * np.arange(n + 1) / (2 * n)) ** 2  # (1 - cos) / 2, exact near 0


def weights() -> np.ndarray:
    """Return the weights of all rules at `places`, float64 (7, 129); zero where a rule has no point."""
    table = np.zeros((len(POINTS), POINTS[-1]))
    for row, n_points in zip(table, POINTS, strict=True):
        row[:: stride(n_points)] = rule_weights(n_points)
    return table


def rule_weights(n_points: int) -> np.ndarray:
    """Return the weights of one rule, float64 (n_points,), for an odd number of points; they add up to 1.

    The integral of the polynomial through the values at the points (Clenshaw and Curtis 1960,
    https://doi.org/10.1007/BF01386223).
    """
    n = n_points - 1
    k, j = np.arange(n_points), np.arange(1, n // 2 + 1)
    of_cosines = np.where(j == n // 2, 1, 2) / (4 * j**2 - 1)
    cosines = np.cos(2 * np.pi * np.outer(k, j) / n)  # (n_points, n // 2)
    at_ends = np.where((k == 0) | (k == n), 1, 2)
    return at_ends / (2 * n) * (1 - cosines @ of_cosines)


def steps_sentence(titles: Sequence[str], n_steps: int | str, map_error: float | None) -> str:
    """Return how the paths of methods, given by their titles, were integrated, in a sentence for a paper.

    `map_error` is that of "auto"; None where it differs between combined runs.
    """
    if n_steps != AUTO:
        return (
            f"The path of {listed(titles)} was integrated with {n_steps} points of a Gauss-Legendre rule, "
            "without an estimate of the error."
        )
    limit = "little" if map_error is None else f"no more than {percent(map_error)} of its summed magnitude"
    return (
        f"The path of {listed(titles)} was integrated by nested Clenshaw-Curtis rules [@clenshaw1960] of "
        f"{', '.join(map(str, POINTS[FIRST:-1]))} or {POINTS[-1]} points: for each integral, their number "
        "was doubled until its error, estimated from the changes by the last two doublings, was "
        f"{limit}, or {POINTS[-1]} were reached."
    )


def new_points(n_points: int) -> list[int]:
    """Return which of `places` a rule adds to those of the rule before it; for a map's first rule, all."""
    step = stride(n_points)
    first, apart = (0, step) if n_points == POINTS[FIRST] else (step, 2 * step)
    return list(range(first, POINTS[-1], apart))


def stride(n_points: int) -> int:
    """Return the distance of a rule's points in `places`."""
    return (POINTS[-1] - 1) // (n_points - 1)
