"""Scans that are loaded together -> their maps, in parts that fit the device's memory."""

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from mri_saliency.attribution.batch import Batch
from mri_saliency.attribution.result import Attribution

if TYPE_CHECKING:
    from mri_saliency.attribution.explainer import Explainer
    from mri_saliency.inputs.loading import LoadedScan


class ScanGroup:
    """Scans that are loaded together, with baselines; what methods share is computed once, on the device.

    `target` is the class to explain; None: each scan's predicted class.
    """

    def __init__(self, explainer: "Explainer", scans: "Sequence[LoadedScan]", target: int | None) -> None:
        self.scans = scans
        self._explainer, self._target = explainer, target

    @cached_property
    def _batch(self) -> Batch:
        baselines = [scan.baseline for scan in self.scans]
        if all(baseline is baselines[0] for baseline in baselines):
            del baselines[1:]
        inputs = [scan.network_input for scan in self.scans]
        scan_ids = [scan.context.source.sha256 for scan in self.scans]
        return self._explainer.batch(inputs, baselines, scan_ids, self._target)

    def explain(self, method: str, indices: Iterable[int]) -> Iterator[tuple[int, Attribution | Exception]]:
        """Yield the index of each scan with its map, or with the error for which it has none.

        Scans that fill passes together fail together; the others are explained all the same.
        """
        waiting = list(indices)
        while waiting:
            n = self._explainer.scans_at_a_time(method)
            part, waiting = waiting[:n], waiting[n:]
            found: Sequence[Attribution | Exception]
            try:
                if len(part) < len(self.scans):
                    self._explainer.logits(self._batch)  # of all, in full passes
                found = self._explainer.attribute(method, self._batch.part(part))
            except Exception as error:
                found = [error] * len(part)
            yield from zip(part, found, strict=True)
