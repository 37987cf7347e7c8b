"""The peaks of clusters -> the null map's contrast there: is it the network, or the anatomy alone."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from mri_saliency.cohort.source_scan import baseline_identity, read_null_map
from mri_saliency.groups.analysis_space import AnalysisSpace
from mri_saliency.output.folder import OutputFolder
from mri_saliency.output.record import MapRecord
from mri_saliency.runtime.workers import Workers
from mri_saliency.statistics.contrasts import Contrast, Subjects, ratios_beside_null

_RATIOS = ("peak_effect", "effect_null", "effect_over_null")


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
    nulls: np.ndarray = field(init=False)  # the null maps', alike; NaN for subjects who have none

    def __post_init__(self) -> None:
        """Complete the rows by what the maps show alone."""
        self.add_nulls({})

    def add_nulls(self, of_scans: dict[str, np.ndarray]) -> None:
        """Complete the rows; `of_scans` has the null maps' values and the mirrored ones', (2, n_peaks)."""
        unknown = np.full((2, len(self.points)), np.nan, np.float32)
        both = self.subjects.average(lambda index: of_scans.get(self.scans[index], unknown))
        self.nulls = both[:, 0]
        if self.contrast.aligned:
            self.nulls = self.subjects.align(both[:, 0], both[:, 1])
        table = ratios_beside_null(self.contrast, self.subjects, self.values, self.nulls, _RATIOS)
        for row, found in zip(self.rows, table.to_dict("records"), strict=True):
            row |= found


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
