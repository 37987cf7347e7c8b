"""Means of random draws and their standard errors, from one draw after the other."""

import torch
from torch import Tensor

_SHARES = (0, 1 / 2, 1 / 6, 1 / 20)  # a draw's variance over that of differences of order 1 to 3


class RunningMoments:
    """The mean of each scan's draws, and how far it is from the mean of infinitely many.

    Draws come scan by scan, `n_draws` of each; `zeros`, (n, ...), has their shape, type and device.

    Draws in antithetic pairs count as one: errors are those of the pairs' means. Draws `in_strata`, one in
    each of successive strata, follow a trend that is no chance; it is gone from their second and third
    differences, of which the errors are (after von Neumann 1941).
    """

    def __init__(self, zeros: Tensor, n_draws: int, *, in_strata: bool = False) -> None:
        self.means = zeros
        self._n_draws, self._in_strata = n_draws, in_strata
        self._squares = torch.zeros_like(zeros)
        self._counts = [0] * len(zeros)
        self._last: list[Tensor] = []  # the latest draw, and in strata the differences up to it

    def add(self, scan: int, drawn: Tensor) -> None:
        """Add a draw of a scan, of the shape of `means[scan]`."""
        self._counts[scan] += 1
        count = self._counts[scan]
        self.means[scan] += (drawn - self.means[scan]) / count
        if self._in_strata:
            self._add_differences(scan, drawn, self._last if count > 1 else [])
        elif count % 2 == 0:
            n_pairs = count // 2
            self._add_distance(scan, (self._last[0] + drawn) / 2, n_pairs / max(1, n_pairs - 1))
        elif count == self._n_draws > 1:  # without a partner, and the only one to tell its own error
            self._add_distance(scan, drawn, self._n_terms / (count - 1) ** 2)
        else:
            self._last = [drawn]

    def _add_distance(self, scan: int, drawn: Tensor, weight: float) -> None:
        """Add the squared distance from the mean so far, weighted as if from the mean of earlier pairs."""
        distance = drawn - self.means[scan]
        self._squares[scan].addcmul_(distance, distance, value=weight)

    def _add_differences(self, scan: int, drawn: Tensor, earlier: list[Tensor]) -> None:
        differences = [drawn]
        for difference in earlier:
            differences.append(differences[-1] - difference)
        self._last = differences[:3]
        order = len(differences) - 1
        if order < 3:  # with few draws the highest difference there is
            self._squares[scan].zero_()
        for of_order in (2, 3) if order == 3 else (order,):
            difference = differences[of_order]
            self._squares[scan].addcmul_(difference, difference, value=_SHARES[of_order])

    def standard_errors(self) -> Tensor | None:
        """Return the standard errors of `means`, of their shape; None with a single draw or pair."""
        return (self._squares / self._n_terms).sqrt() if self._n_terms else None

    @property
    def _n_terms(self) -> float:
        """What the squares are divided by for the squared standard errors; 0 where they tell nothing."""
        n, n_pairs = self._n_draws, self._n_draws // 2
        if self._in_strata:
            return n * max(1, 2 * n - 5) if n > 1 else 0
        return n**2 * (n_pairs - 1) / (4 * n_pairs) if n_pairs else 0

    def relative_errors(self) -> list[float | None] | None:
        """Return each scan's summed standard errors over its summed magnitudes, as `relative` does."""
        errors = self.standard_errors()
        return None if errors is None else relative(sums(errors), sums(self.means.abs()))


def sums(maps: Tensor) -> list[float]:
    """Return the sum of each map in float64: (n, ...) -> n numbers."""
    return maps.flatten(1).sum(dim=1, dtype=torch.float64).tolist()


def relative(errors: list[float], magnitudes: list[float]) -> list[float | None]:
    """Return errors over magnitudes; 0 where there is no error, None where there is one of nothing."""
    return [
        0.0 if error == 0 else error / magnitude if magnitude else None
        for error, magnitude in zip(errors, magnitudes, strict=True)
    ]
