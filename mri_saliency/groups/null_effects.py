"""The peaks of clusters -> the null map's contrast there: is it the network, or the anatomy alone."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

import numpy as np

from mri_saliency.cohort.source_scan import baseline_identity, read_null_map
from mri_saliency.groups.analysis_space import AnalysisSpace
from mri_saliency.output.folder import OutputFolder
from mri_saliency.output.record import MapRecord
from mri_saliency.runtime.workers import Workers
from mri_saliency.statistics.contrasts import Contrast, Subjects, contrast_test, exceeds_null
from mri_saliency.statistics.sign_flips import Estimate

_ENDS = ("", "_low", "_high")


@dataclass(eq=False)
class Peaks:
    """What was compared at the peaks of the clusters of a method's contrast."""

    method: str
    contrast: Contrast
    scans: Sequence[str]  # of which `subjects` has the indices
    subjects: Subjects
    space: AnalysisSpace
    points: np.ndarray  # int (n_peaks, 3), on the coarse grid
    values: np.ndarray  # the maps' logarithms, (n_subjects, n_peaks)
    rows: list[dict]  # of group_clusters.csv; `compare_null_maps` completes them
    nulls: np.ndarray | None = None  # the null maps' logarithms, NaN for subjects that have none

    def add_ratios(self, name: str, estimate: Estimate) -> None:
        """Add the peaks' estimated ratios with their 95 % intervals, in three columns."""
        ratios = np.exp([estimate.effect, *estimate.interval()])
        for row, of_row in zip(self.rows, ratios.T.tolist(), strict=True):
            row |= {f"{name}{end}": ratio for end, ratio in zip(_ENDS, of_row, strict=True)}

    def add_nulls(self, of_scans: dict[str, np.ndarray]) -> None:
        """Complete the rows; `of_scans` has the null maps' values and the mirrored ones', (2, n_peaks)."""
        known = np.array([all(self.scans[n] in of_scans for n in scans) for scans in self.subjects.scans])
        subjects = self.subjects.subset(known)
        if not subjects.has_enough(self.contrast):
            return
        plain, mirrored = subjects.average(lambda index: of_scans[self.scans[index]]).swapaxes(0, 1)
        values = subjects.align(plain, mirrored) if self.contrast.aligned else plain
        self.nulls = np.full_like(self.values, np.nan)
        self.nulls[known] = values
        for name, compared in (("null", values), ("over_null", self.values[known] - values)):
            tested, _ = contrast_test([self.contrast], subjects, {self.contrast.aligned: compared}, n_flips=0)
            if not tested:  # without these scans, covariates and diagnosis go together
                return
            self.add_ratios(f"effect_{name}", tested[0][1])
        for row in self.rows:
            ends = (row["peak_effect"], row["effect_over_null_low"], row["effect_over_null_high"])
            row["exceeds_null"] = exceeds_null(*map(float, np.log(ends)))


def compare_null_maps(
    folder: OutputFolder,
    records: Sequence[MapRecord],
    mirrored: dict[str, bool],
    peaks: Sequence[Peaks],
    workers: Workers,
) -> None:
    """Compare the null maps as the maps are, at the peaks of all methods' clusters; a scan is read once.

    `mirrored` says which scans' x axes must be reversed.
    """
    if not peaks:
        return
    compared = {of_contrast.method for of_contrast in peaks}
    scans: dict[str, list[MapRecord]] = {}
    for record in records:
        if record.method in compared and record.subject_id in mirrored:
            scans.setdefault(record.subject_id, []).append(record)
    all_points = np.concatenate([of_contrast.points for of_contrast in peaks])
    points, indices = np.unique(all_points, axis=0, return_inverse=True)
    parts = np.split(indices.ravel(), np.cumsum([len(of_contrast.points) for of_contrast in peaks])[:-1])
    values = partial(_null_values, folder, mirrored, peaks[0].space, points)
    found = workers.map_parts(values, list(scans.values()))
    for of_contrast, part in zip(peaks, parts, strict=True):
        of_contrast.add_nulls(
            {name: row[:, part] for method, name, row in found if method == of_contrast.method}
        )


def _null_values(
    folder: OutputFolder,
    mirrored: dict[str, bool],
    space: AnalysisSpace,
    points: np.ndarray,
    scans: Sequence[list[MapRecord]],
) -> list[tuple[str, str, np.ndarray]]:
    """Return method, scan, and its null map's logarithms at points, (2, n_points): as it is and mirrored.

    Runs in a worker. NaN beyond the brain's mirror image; a scan without null map is left out.
    """
    both = [space, space.mirrored()]
    found = []
    for records in scans:
        by_baseline: dict[str, np.ndarray] = {}
        for record in records:
            baseline, name = baseline_identity(record), record.subject_id
            if baseline not in by_baseline and (null := read_null_map(folder, record)) is not None:
                null = null[:, ::-1] if mirrored[name] else null
                with suppress(ZeroDivisionError):
                    by_baseline[baseline] = np.stack(
                        [
                            at_points(of_map, of_map.magnitudes(values), points)
                            for of_map, values in zip(both, (null, space.mirror(null)), strict=True)
                        ]
                    )
            if baseline in by_baseline:
                found.append((record.method, name, by_baseline[baseline]))
    return found


def at_points(space: AnalysisSpace, values: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Return the values of some points, (n_points, 3), from those of all that are inside; NaN elsewhere."""
    coarse = np.full(space.inside.shape, np.nan, np.float32)
    coarse[space.inside] = values
    return coarse[tuple(points.T)]
