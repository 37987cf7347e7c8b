"""The scans of a cohort -> the grid on which their maps can be averaged, and the mean scan on it."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from mri_saliency.cohort.groups import representative
from mri_saliency.cohort.source_scan import read_source
from mri_saliency.inputs.grid import INPUT_SIZE, Grid, orientation_to
from mri_saliency.inputs.preprocessing import brain_mask, unpad
from mri_saliency.output.files import read_array, write_array
from mri_saliency.output.folder import OutputFolder
from mri_saliency.output.record import MapRecord
from mri_saliency.runtime.workers import Workers
from mri_saliency.wording import Limitation, left_out

BACKGROUND_SCANS = 20  # at most; their mean is drawn under group maps


@dataclass(frozen=True, eq=False)
class CommonSpace:
    """What a cohort's group maps share: their grid, the anatomy on it, and the classes' words."""

    grid: Grid
    # scan -> whether its x axis must be reversed; a scan on another grid has no entry
    mirrored: dict[str, bool]
    # float32 (n_slices, 112, 112): the mean network input of some scans; zero if none can be read
    mean_scan: np.ndarray
    brain: np.ndarray | None  # bool, the same shape; None if no scan can be read


def find_common_space(
    folder: OutputFolder, records: list[MapRecord], workers: Workers
) -> tuple[CommonSpace, list[Limitation]]:
    """Return the grid that most scans share, with the mean of some scans on it, and what is left out.

    The mean is written to the folder. It is read from there when the scans are no longer available.
    """
    first = {record.subject_id: record for record in records}
    with_affine = [record.grid for record in first.values() if record.grid.affine is not None]
    candidates = with_affine or [record.grid for record in first.values()]
    [(common, _)] = Counter(candidates).most_common(1)
    orientations = {name: orientation_to(record.grid, common) for name, record in first.items()}
    mirrored = {name: found == "mirrored" for name, found in orientations.items() if found}
    elsewhere = [name for name, found in orientations.items() if not found]
    limitations = []
    if elsewhere:
        which, of = "on another grid than most", "the group maps and their comparison"
        limitations.append(left_out(len(elsewhere), "scan", which, of, elsewhere))
    shape = (common.n_slices, INPUT_SIZE, INPUT_SIZE)
    mean_scan = _mean_input(first, mirrored, workers)
    if mean_scan is not None:
        write_array(folder.mean_scan, mean_scan)
    else:
        mean_scan = read_array(folder.mean_scan, shape)
    if mean_scan is None:
        names = folder.class_names
        limitations.append(
            Limitation(
                f"Maps of {names.tle} and {names.hc} were not compared, because no scan could be "
                "read again to find the brain.",
                "nor have group maps anatomy under them",
            )
        )
        empty = unpad(np.zeros(shape, np.float32))
        return CommonSpace(common, mirrored, empty, None), limitations
    brain = unpad(brain_mask(mean_scan))
    return CommonSpace(common, mirrored, unpad(mean_scan), brain), limitations


def _mean_input(
    records: Mapping[str, MapRecord], mirrored: Mapping[str, bool], workers: Workers
) -> np.ndarray | None:
    """Return the mean network input of some scans, float32 (n_slices, 128, 128); None if none can be read.

    Both mappings are by scan; those in `mirrored` count.
    """
    chosen = representative([records[name].statistics for name in mirrored], BACKGROUND_SCANS)
    names = [row.subject_id for row in chosen]
    jobs = [workers.submit(_load_input, records[name], mirrored[name]) for name in names]
    inputs = [job.result() for job in jobs if job.result() is not None]
    return np.asarray(np.mean(inputs, axis=0, dtype=np.float64), np.float32) if inputs else None


def _load_input(record: MapRecord, is_mirrored: bool) -> np.ndarray | None:
    """Return a scan's network input, float32 (n_slices, 128, 128); None if it cannot be read."""
    if (scan := read_source(record)) is None:
        return None
    return scan.network_input[:, ::-1] if is_mirrored else scan.network_input
