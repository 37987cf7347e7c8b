"""The scans of a cohort -> the grid on which their maps can be averaged, and the mean scan on it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mri_saliency.errors import UserError
from mri_saliency.inputs.grid import INPUT_SIZE, Grid, orientation_to
from mri_saliency.inputs.loading import load_volume
from mri_saliency.inputs.preprocessing import brain_mask, unpad
from mri_saliency.output.files import read_array, write_array
from mri_saliency.output.folder import OutputFolder
from mri_saliency.output.record import MapRecord
from mri_saliency.runtime.workers import Workers
from mri_saliency.wording import DEFAULT_CLASS_NAMES, ClassNames, Limitation, left_out

BACKGROUND_SCANS = 20  # at most; their mean is drawn under group maps


@dataclass(frozen=True, eq=False)
class CommonSpace:
    """What a cohort's group maps share: their grid, the anatomy on it, and the classes' words.

    Attributes
    ----------
    grid : Grid
    mirrored : dict
        Subject -> whether its x axis must be reversed; a scan on another grid has no entry.
    mean_scan : ndarray
        float32 (n_slices, 112, 112): the mean network input of some scans; zero if none can be read.
    brain : ndarray or None
        bool, the same shape; None if no scan can be read.
    class_names : ClassNames
    """

    grid: Grid
    mirrored: dict[str, bool]
    mean_scan: np.ndarray
    brain: np.ndarray | None
    class_names: ClassNames = DEFAULT_CLASS_NAMES


def find_common_space(
    folder: OutputFolder,
    records: list[MapRecord],
    workers: Workers,
    class_names: ClassNames = DEFAULT_CLASS_NAMES,
) -> tuple[CommonSpace, list[Limitation]]:
    """Return the grid that most scans share, with the mean of some scans on it, and what is left out.

    The mean is written to the folder. It is read from there when the scans are no longer available.
    """
    first = {record.subject_id: record for record in records}
    with_affine = [record.grid for record in first.values() if record.grid.affine is not None]
    candidates = with_affine or [record.grid for record in first.values()]
    [(common, _)] = Counter(candidates).most_common(1)
    mirrored = {}
    for subject_id, record in first.items():
        orientation = orientation_to(record.grid, common)
        if orientation is not None:
            mirrored[subject_id] = orientation == "mirrored"
    limitations = []
    elsewhere = [subject_id for subject_id in first if subject_id not in mirrored]
    if elsewhere:
        group_maps = "the group maps and their comparison"
        limitations.append(
            left_out(len(elsewhere), "scan", "on another grid than most", group_maps, elsewhere)
        )
    shape = (common.n_slices, INPUT_SIZE, INPUT_SIZE)
    mean_scan = _mean_input([(first[subject_id], mirrored[subject_id]) for subject_id in mirrored], workers)
    if mean_scan is not None:
        write_array(folder.mean_scan, mean_scan)
    else:
        mean_scan = read_array(folder.mean_scan, shape)
    if mean_scan is None:
        limitations.append(
            Limitation(
                f"Maps of {class_names.tle} and {class_names.hc} were not compared, because no scan could be "
                "read again to find the brain.",
                "nor have group maps anatomy under them",
            )
        )
        empty = unpad(np.zeros(shape, np.float32))
        return CommonSpace(common, mirrored, empty, None, class_names), limitations
    brain = unpad(brain_mask(mean_scan))
    return CommonSpace(common, mirrored, unpad(mean_scan), brain, class_names), limitations


def _mean_input(scans: list[tuple[MapRecord, bool]], workers: Workers) -> np.ndarray | None:
    """Return the mean network input, float32 (n_slices, 128, 128), of some scans given with `mirrored`.

    None if none of them can be read.
    """
    chosen = _from_all_groups(scans, BACKGROUND_SCANS)
    work = [(workers.submit(_load_input, record), is_mirrored) for record, is_mirrored in chosen]
    total, count = np.zeros(()), 0
    for loading, is_mirrored in work:
        try:
            network_input = loading.result()
        except UserError:  # the file may have been moved since its map was made
            continue
        total = total + (network_input[:, ::-1] if is_mirrored else network_input).astype(np.float64)
        count += 1
    return (total / count).astype(np.float32) if count else None


def _from_all_groups(scans: list[tuple[MapRecord, bool]], n: int) -> list[tuple[MapRecord, bool]]:
    """Return `n` scans, as many of each diagnosis as there are, evenly spread over each; all if fewer."""
    groups: dict[str, list[tuple[MapRecord, bool]]] = {}
    for scan in scans:
        groups.setdefault(scan[0].statistics.diagnosis, []).append(scan)
    chosen: list[tuple[MapRecord, bool]] = []
    for place, members in enumerate(sorted(groups.values(), key=len)):  # what a small one lacks, others give
        share = min(len(members), (n - len(chosen)) // (len(groups) - place))
        chosen += [members[number * len(members) // share] for number in range(share)]
    return chosen


def _load_input(record: MapRecord) -> np.ndarray:
    """Return a scan's network input, float32 (n_slices, 128, 128); runs in a worker."""
    path = Path(record.source.path)
    return load_volume(path, record.grid.n_slices, record.recipe.first_slice).network_input
