"""The peaks of clusters -> the null map's contrast there: is it the network, or the anatomy alone."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

import numpy as np

from mri_saliency.cohort.effects import Places
from mri_saliency.cohort.source_scan import baseline_identity, read_null_map
from mri_saliency.groups.analysis_space import AnalysisSpace
from mri_saliency.output.folder import OutputFolder
from mri_saliency.output.record import MapRecord
from mri_saliency.runtime.workers import Workers


@dataclass(eq=False)
class Peaks(Places):
    """The peaks of the clusters of a method's contrast; their null maps are unknown at first."""

    points: np.ndarray  # int (n_peaks, 3), on the coarse grid
    space: AnalysisSpace
    scans: Sequence[str]  # of which `subjects` has the indices

    t = "peak_t"
    ratios = ("peak_effect", "effect_null", "effect_over_null")


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
    wanted = [(of_contrast.rows[0]["method"], of_contrast.points) for of_contrast in peaks]
    scans: dict[str, list[MapRecord]] = {}
    for record in records:
        if record.subject_id in mirrored and any(record.method == method for method, _ in wanted):
            scans.setdefault(record.subject_id, []).append(record)
    read = partial(_null_values, folder, mirrored, peaks[0].space, wanted)
    found = {key: values for key, values in workers.map_parts(read, list(scans.values()))}
    for number, of_contrast in enumerate(peaks):
        unknown = np.full((2, len(of_contrast.points)), np.nan, np.float32)
        nulls = [found.get((number, name), unknown) for name in of_contrast.scans]
        plain, reflected = of_contrast.subjects.average(nulls.__getitem__).swapaxes(0, 1)
        is_aligned = of_contrast.contrast.aligned
        of_contrast.nulls = of_contrast.subjects.align(plain, reflected) if is_aligned else plain
        of_contrast.add_ratios()


def _null_values(
    folder: OutputFolder,
    mirrored: dict[str, bool],
    space: AnalysisSpace,
    wanted: Sequence[tuple[str, np.ndarray]],
    scans: Sequence[list[MapRecord]],
) -> list[tuple[tuple[int, str], np.ndarray]]:
    """Return scans' null maps at methods' points, as they are and mirrored: (2, n_points).

    Each has the number of what is wanted and the scan's name. Runs in a worker.
    """
    other, found = space.mirrored(), []
    for records in scans:
        by_baseline: dict[str, np.ndarray] = {}
        for record in records:
            baseline, name = baseline_identity(record), record.subject_id
            if baseline not in by_baseline:
                by_baseline[baseline] = np.full((2, *space.inside.shape), np.nan, np.float32)
                null = read_null_map(folder, record)
                if null is not None:
                    null = null[:, ::-1] if mirrored[name] else null
                    with suppress(ZeroDivisionError):  # zeros in half of the brain
                        by_baseline[baseline][0, space.inside] = space.magnitudes(null)
                        by_baseline[baseline][1, other.inside] = other.magnitudes(space.mirror(null))
            for number, (method, points) in enumerate(wanted):
                if method == record.method:
                    found.append(((number, name), by_baseline[baseline][(slice(None), *points.T)]))
    return found
