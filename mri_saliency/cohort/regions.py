"""Maps and an atlas -> how each map's magnitude is divided among the regions."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pandas as pd

from mri_saliency.cohort.atlas import Atlas
from mri_saliency.cohort.figures import region_figure
from mri_saliency.inputs.grid import INPUT_SIZE
from mri_saliency.inputs.scan_table import ClassNames
from mri_saliency.maps.figures import DEFAULT_CLASS_NAMES
from mri_saliency.output.files import write_figure, write_or_remove_table
from mri_saliency.output.folder import OutputFolder
from mri_saliency.output.record import MapRecord
from mri_saliency.runtime.workers import Workers

OUTSIDE = "outside the brain"
_N_DENSEST = 10
_CHUNKS_PER_WORKER = 4  # so that the workers end at about the same time
_GRIDS_AT_A_TIME = 4  # whose labels a worker keeps


def measure_regions(
    folder: OutputFolder,
    records: list[MapRecord],
    atlas: Atlas,
    workers: Workers,
    class_names: ClassNames = DEFAULT_CLASS_NAMES,
) -> pd.DataFrame:
    """Divide every map among an atlas's regions; write the table and its figure.

    Returns
    -------
    DataFrame
        The rows of region_statistics.csv with the column ``diagnosis``; none for scans without an affine.

    Raises
    ------
    UserError
        The atlas does not lie where a scan does.
    """
    placed = [record for record in records if record.grid.affine is not None]
    size = max(1, math.ceil(len(placed) / (_CHUNKS_PER_WORKER * max(1, workers.n))))
    chunks = [placed[start : start + size] for start in range(0, len(placed), size)]
    work = [workers.submit(_divide_maps, folder, chunk, atlas) for chunk in chunks]
    table = pd.DataFrame([row for job in work for row in job.result()])
    write_or_remove_table(folder.regions, table.drop(columns="diagnosis", errors="ignore"))
    if len(table):
        write_figure(folder.region_figure, region_figure(table, densest(table), class_names))
    return table


def _divide_maps(folder: OutputFolder, records: list[MapRecord], atlas: Atlas) -> list[dict]:
    """Return the rows of some maps; runs in a worker."""
    labels_on = lru_cache(_GRIDS_AT_A_TIME)(atlas.on_network_grid)  # maps of one grid follow each other
    rows = []
    for record in records:
        values = folder.load_map(record.method, record.subject_id)
        scan = {
            "subject_id": record.subject_id,
            "method": record.method,
            "diagnosis": record.statistics.diagnosis,
        }
        regions = region_rows(values, labels_on(record.grid), atlas, BrainMass.of(record))
        rows += [scan | region for region in regions]
    return rows


@dataclass(frozen=True)
class BrainMass:
    """How a map's magnitude is divided between the brain and the rest.

    Attributes
    ----------
    mass : float
        Summed magnitude of the whole map, pad included.
    share : float or None
        The part of it inside the brain; None for a map of zeros.
    n_voxels, n_outside : int
        Voxels in the brain, and outside, pad included.
    """

    mass: float
    share: float | None
    n_voxels: int
    n_outside: int

    @classmethod
    def of(cls, record: MapRecord) -> BrainMass:
        """Return a finished map's, from its record."""
        n_voxels = record.grid.n_slices * INPUT_SIZE**2
        return cls(
            mass=record.statistics.abs_mean * n_voxels,
            share=record.statistics.brain_share,
            n_voxels=record.brain_voxels,
            n_outside=n_voxels - record.brain_voxels,
        )


def region_rows(values: np.ndarray, labels: np.ndarray, atlas: Atlas, brain: BrainMass) -> list[dict]:
    """Divide a map's magnitude among regions.

    Parameters
    ----------
    values : ndarray
        (n_slices, height, width): a map without pad.
    labels : ndarray
        int, the same shape: `Atlas.on_network_grid`.
    atlas : Atlas
    brain : BrainMass

    Returns
    -------
    list of dict
        A row for each region that the network sees, and one for the rest of the head and the air:
        ``region``; ``mass``, summed magnitude in the map's unit; ``share`` of the whole map's; ``density``,
        mass per voxel over that of the brain (Boehle et al. 2019, Frontiers in Aging Neuroscience);
        ``asymmetry`` ``(L - R) / (L + R)`` of the two sides' mass, from -1 to 1. An undefined value is None.
    """
    n_labels = max(atlas.names) + 1
    masses = np.bincount(labels.ravel(), np.abs(values).ravel().astype(np.float64), n_labels)
    sizes = np.bincount(labels.ravel(), minlength=n_labels)
    total, share = brain.mass, brain.share
    brain_density = share * total / brain.n_voxels if share and brain.n_voxels else None
    pairs = atlas.pairs()

    def row(region: str, mass: float, size: int, asymmetry: float | None) -> dict:
        return {
            "region": region,
            "mass": mass,
            "share": mass / total if total else None,
            "density": mass / size / brain_density if brain_density and size else None,
            "asymmetry": asymmetry,
        }

    rows = []
    for label, name in atlas.names.items():
        if not sizes[label]:
            continue
        asymmetry = None
        if label in pairs:
            left, right = masses[list(pairs[label])]
            asymmetry = (left - right) / (left + right) if left + right else None
        rows.append(row(name, masses[label], sizes[label], asymmetry))
    outside = (1 - share) * total if share is not None else 0.0
    return [*rows, row(OUTSIDE, outside, brain.n_outside, None)]


def densest(table: pd.DataFrame) -> dict[str, list[str]]:
    """Return each method's ten regions of the highest mean density, the highest first.

    Parameters
    ----------
    table : DataFrame
        Rows of `region_rows`, with the column ``method``.
    """
    return {
        method: rows.astype({"density": float})
        .groupby("region")["density"]
        .mean()
        .nlargest(_N_DENSEST)
        .index.tolist()
        for method, rows in table.groupby("method", sort=False)
    }
