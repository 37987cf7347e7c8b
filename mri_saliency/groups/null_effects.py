"""The peaks of clusters -> the null map's contrast there: is it the network, or the anatomy alone."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

import numpy as np

from mri_saliency.cohort.common_space import CommonSpace
from mri_saliency.cohort.effects import Places
from mri_saliency.cohort.source_scan import baseline_identity, read_null_map
from mri_saliency.groups.analysis_space import AnalysisSpace
from mri_saliency.output.folder import OutputFolder
from mri_saliency.output.record import MapRecord

Place = tuple[str, np.ndarray]  # a method, and points on the coarse grid, int (n_points, 3)


@dataclass(eq=False)
class Peaks(Places):
    """The peaks of the clusters of a method's contrast; their null maps are unknown at first."""

    points: np.ndarray  # int (n_peaks, 3), on the coarse grid
    space: AnalysisSpace
    scans: Sequence[str]  # of which `subjects` has the indices

    t = "peak_t"
    ratios = ("peak_effect", "effect_null", "effect_over_null")

    @property
    def place(self) -> Place:
        """Where the null maps are to be read."""
        return self.rows[0]["method"], self.points


def compare_null_maps(peaks: Sequence[Peaks], found: Mapping[tuple[int, str], np.ndarray]) -> None:
    """Compare the null maps as the maps are, at the peaks of all methods' clusters.

    `found` is from `read_nulls`, of all scans.
    """
    for number, of_contrast in enumerate(peaks):
        unknown = np.full((2, len(of_contrast.points)), np.nan, np.float32)
        nulls = [found.get((number, name), unknown) for name in of_contrast.scans]
        plain, reflected = of_contrast.subjects.average(nulls.__getitem__).swapaxes(0, 1)
        is_aligned = of_contrast.contrast.aligned
        of_contrast.nulls = of_contrast.subjects.align(plain, reflected) if is_aligned else plain
        of_contrast.add_ratios()


def read_nulls(
    folder: OutputFolder,
    common: CommonSpace,
    space: AnalysisSpace | None,
    places: Sequence[Place],
    scans: Sequence[list[MapRecord]],
) -> Iterator[dict[tuple[int, str], np.ndarray]]:
    """Return each scan's null maps at methods' points, as they are and mirrored: (2, n_points).

    Their keys are the place's number and the scan's name. Without a `space` there are no places.
    """
    mirrored = common.mirrored
    for records in scans:
        by_baseline: dict[str, np.ndarray] = {}
        found = {}
        for record in records:
            baseline, name = baseline_identity(record), record.subject_id
            numbers = [number for number, (method, _) in enumerate(places) if method == record.method]
            if space is None or not numbers or name not in mirrored:
                continue
            if baseline not in by_baseline:
                by_baseline[baseline] = np.full((2, *space.inside.shape), np.nan, np.float32)
                null = read_null_map(folder, record)
                if null is not None:
                    null = null[:, ::-1] if mirrored[name] else null
                    with suppress(ZeroDivisionError):  # zeros in half of the brain
                        plain, reflected = space.on_both_sides(null)
                        by_baseline[baseline][0, space.inside] = plain
                        by_baseline[baseline][1, space.mirrored.inside] = reflected
            for number in numbers:
                found[number, name] = by_baseline[baseline][(slice(None), *places[number][1].T)]
        yield found
