"""Mean gradients along straight paths, each with as many points as its own error asks for."""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mri_saliency.attribution import clenshaw_curtis
from mri_saliency.attribution.clenshaw_curtis import FIRST, POINTS
from mri_saliency.attribution.moments import relative

ROUNDING = 1e-5  # relative error of a map below which float32 hides a rule's own


@dataclass(frozen=True)
class Paths:
    """Straight paths behind the first layer, (n, channels, 64, 64), and the known gradients at their ends."""

    starts: Tensor
    ends: Tensor
    start_gradients: Sequence[Tensor | None]
    end_gradients: Sequence[Tensor | None]


def mean_gradients(
    paths: Paths, gradients_at: Callable[[list[int], Tensor], Tensor], *, batch_size: int, map_error: float
) -> tuple[Tensor, list[float | None]]:
    """Average the gradient along each path.

    While a path's error is above `map_error`, its number of points is doubled. A pass takes the next points
    of whatever paths have some open, so that passes stay full.

    `gradients_at` takes the index of each point's path, and at most `batch_size` points. Returns the means,
    float32, of the shape of `paths.ends`, and each path's `_Sums.error`.
    """
    sums = [_Sums(end - start) for start, end in zip(paths.starts, paths.ends, strict=True)]
    places = paths.ends.new_tensor(clenshaw_curtis.places())
    last = POINTS[-1] - 1
    waiting: deque[tuple[int, int]] = deque()  # path and point
    for path in range(len(sums)):
        for point, known in ((0, paths.start_gradients[path]), (last, paths.end_gradients[path])):
            if known is not None:
                sums[path].add([point], known[None])
        waiting += [(path, point) for point in sums[path].missing]
    while waiting:
        group = [waiting.popleft() for _ in range(min(batch_size, len(waiting)))]
        of_paths = [path for path, _ in group]
        where = places[[point for _, point in group]][:, None, None, None]
        points = torch.lerp(paths.starts[of_paths], paths.ends[of_paths], where)
        gradients = gradients_at(of_paths, points)
        for path in dict.fromkeys(of_paths):
            rows = [row for row, of_path in enumerate(of_paths) if of_path == path]
            sums[path].add([group[row][1] for row in rows], gradients[rows])
            if not sums[path].missing and sums[path].raise_above(map_error):
                waiting += [(path, point) for point in sums[path].missing]
    return torch.stack([of_path.mean() for of_path in sums]), [of_path.error for of_path in sums]


class _Sums:
    """The weighted sums of a path's gradients: those of every rule at once, so that no gradient is kept.

    `difference` is the path's end less its start, (channels, 64, 64). `error` is the map's estimated error,
    relative to the map, in L1. With d the change of the map by the last doubling, which is the error of the
    rule before, and d' that by the doubling before it: d min(1, d / d'), as rules converge geometrically at
    least, and no less than `ROUNDING`. Changes are taken behind the first layer, where a map is the mean
    gradient times `difference`. None for a map that is zero with these points, but was not with fewer.
    """

    def __init__(self, difference: Tensor) -> None:
        self._difference = difference.double().abs()
        # float64: the decision to go on should not depend on the order of additions
        self._weights = torch.from_numpy(clenshaw_curtis.weights()).to(difference.device)
        self._sums = self._difference.new_zeros(len(POINTS), *difference.shape)
        self._rule = FIRST
        self.missing = clenshaw_curtis.new_points(POINTS[FIRST])  # the current rule's points without gradient
        self.error: float | None = None

    def add(self, points: list[int], gradients: Tensor) -> None:
        """Add the gradients at points, (n, channels, 64, 64)."""
        self._sums += torch.tensordot(self._weights[:, points], gradients.double(), dims=1)
        self.missing = [point for point in self.missing if point not in points]

    def raise_above(self, map_error: float) -> bool:
        """Estimate the error; if it is above `map_error`, go on to the next rule. Return whether it did.

        A map that changed more than by the doubling before goes on too: it does not converge yet.
        """
        rules = self._sums[self._rule - 2 : self._rule + 1]  # (3, channels, 64, 64)
        maps = torch.cat([rules.diff(dim=0), rules[1:]]).abs() * self._difference
        sizes = maps.flatten(1).sum(1).tolist()
        before, self.error = relative(sizes[:2], sizes[2:])
        converges = self.error is not None and (self.error <= ROUNDING or self.error < (before or 0))
        if self.error and converges:
            self.error = max(ROUNDING, self.error * min(1, self.error / (before or 1)))
        if self._rule + 1 == len(POINTS) or (converges and (self.error or 0) <= map_error):
            return False
        self._rule += 1
        self.missing = clenshaw_curtis.new_points(POINTS[self._rule])
        return True

    def mean(self) -> Tensor:
        """Return the mean gradient by the current rule, float32."""
        return self._sums[self._rule].float()
