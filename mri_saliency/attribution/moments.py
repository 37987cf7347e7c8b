"""Means of random draws and their standard errors, from one draw after the other."""

from __future__ import annotations

import torch
from torch import Tensor


class RunningMoments:
    """The mean of each scan's draws, and how far it is from the mean of infinitely many.

    Welford's sums (1962), so that memory does not grow with the number of draws. `zeros`, (n, ...), have a
    draw's shape for each of n scans. With `in_strata` a scan's draws are one in each of successive strata:
    only neighbours are compared (von Neumann 1941), as differences of distant strata are no chance.
    """

    def __init__(self, zeros: Tensor, *, in_strata: bool = False) -> None:
        self.means = zeros
        self._squares = torch.zeros_like(zeros)  # over n - 1 draws: a draw's variance
        self._previous = torch.zeros_like(zeros) if in_strata else None
        self._counts = [0] * len(zeros)

    def add(self, scan: int, drawn: Tensor) -> None:
        """Add a draw of a scan, of the shape of `means[scan]`."""
        self._counts[scan] += 1
        distance = drawn - self.means[scan]
        self.means[scan] += distance / self._counts[scan]
        if self._previous is None:
            self._squares[scan].addcmul_(distance, drawn - self.means[scan])
        else:
            if self._counts[scan] > 1:
                self._squares[scan] += 0.5 * (drawn - self._previous[scan]).square()
            self._previous[scan] = drawn

    def standard_errors(self) -> Tensor | None:
        """Return the standard errors of `means`, of their shape; None if a scan has a single draw.

        Of stratified draws they are a little too large: neighbouring strata differ too.
        """
        if min(self._counts) < 2:
            return None
        factors = self.means.new_tensor([1 / (n * (n - 1)) for n in self._counts])
        return (self._squares * factors.reshape(-1, *[1] * (self.means.dim() - 1))).sqrt()

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
