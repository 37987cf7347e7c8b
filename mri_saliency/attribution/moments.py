"""Means of random draws and their standard errors, from one draw after the other."""

from __future__ import annotations

import torch
from torch import Tensor


class RunningMoments:
    """The mean of each scan's draws, and how far it is from the mean of infinitely many.

    Welford's sums (1962), so that memory does not grow with the number of draws.

    Parameters
    ----------
    zeros : Tensor
        (n, ...): a zero for each of n scans, of the draws' shape, type and device.
    """

    def __init__(self, zeros: Tensor) -> None:
        self.means = zeros
        self._squares = torch.zeros_like(zeros)  # summed squared distances from the mean
        self._counts = [0] * len(zeros)

    def add(self, scan: int, drawn: Tensor) -> None:
        """Add a draw of a scan, of the shape of `means[scan]`."""
        self._counts[scan] += 1
        distance = drawn - self.means[scan]
        self.means[scan] += distance / self._counts[scan]
        self._squares[scan].addcmul_(distance, drawn - self.means[scan])

    def standard_errors(self) -> Tensor | None:
        """Return the standard errors of `means`, of their shape; None if a scan has a single draw.

        They are those of independent draws. Where draws are stratified, as Gradient SHAP's places on the path
        are, the differences between strata count as chance, and the mean is better than they say.
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
