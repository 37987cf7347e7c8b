"""Maps and an atlas -> how each map's magnitude is divided among the regions."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pandas as pd

from mri_saliency.cohort.source_scan import ScanImage, read_null_map, read_scan_image
from mri_saliency.inputs.atlas import Atlas
from mri_saliency.inputs.grid import INPUT_SIZE, Grid
from mri_saliency.output.dictionary import TABLES
from mri_saliency.output.files import write_figure, write_table
from mri_saliency.output.folder import OutputFolder
from mri_saliency.output.record import MapRecord
from mri_saliency.regions.figure import region_figure
from mri_saliency.runtime.workers import Workers
from mri_saliency.statistics.normal_ranges import add_normal_ranges
from mri_saliency.wording import DEFAULT_CLASS_NAMES, ClassNames, counted

OUTSIDE = "outside the brain"
_NUMBERS = ("mass", "share", "density", "asymmetry", "density_null", "grey_matter_asymmetry")
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
        The rows of region_statistics.csv, NaN where a cell is empty, with the columns ``subject`` (the
        person), ``diagnosis`` and ``grey_matter_asymmetry`` (of the mean grey matter of the two sides in the
        scan's image); no rows for scans without an affine.

    Raises
    ------
    UserError
        The atlas does not lie where a scan does.
    """
    maps: dict[tuple[str, Grid], list[MapRecord]] = {}  # a scan's together: its file is read once for all
    for record in records:
        if record.grid.affine is not None:
            maps.setdefault((record.subject_id, record.grid), []).append(record)
    scans = list(maps.values())
    size = max(1, math.ceil(len(scans) / (_CHUNKS_PER_WORKER * max(1, workers.n))))
    chunks = [scans[start : start + size] for start in range(0, len(scans), size)]
    work = [workers.submit(_divide_maps, folder, chunk, atlas) for chunk in chunks]
    table = pd.DataFrame([row for job in work for row in job.result()])
    if table.empty:
        folder.regions.unlink(missing_ok=True)
        folder.region_figure.unlink(missing_ok=True)
        return table
    table = add_normal_ranges(table.astype(dict.fromkeys(_NUMBERS, float)))
    write_table(folder.regions, table[list(TABLES["region_statistics"])])
    write_figure(folder.region_figure, region_figure(table, densest(table), class_names))
    return table


def region_sentences(table: pd.DataFrame, atlas_name: str, n_scans: int) -> list[str]:
    """Return how maps were divided among regions, in sentences for a paper; none without rows.

    Parameters
    ----------
    table : DataFrame
        As `measure_regions` returns it.
    atlas_name : str
        Of the atlas's file.
    n_scans : int
        Scans of the cohort, with an affine or not.
    """
    if table.empty:
        return []
    n_regions = len(set(table["region"]) - {OUTSIDE})
    asymmetry = ""
    if table["asymmetry"].notna().any():
        asymmetry = ". Asymmetry was the difference of the two sides' magnitude per voxel over their sum"
    sentences = [
        f"Each map's magnitude was divided among the {n_regions} regions of the atlas {atlas_name}, taken to "
        "the map's voxels by nearest neighbour; a region's density was its magnitude per voxel over that of "
        f"the brain [@boehle2019]{asymmetry}."
    ]
    n_without = n_scans - table["subject_id"].nunique()
    if n_without:
        verb = "was" if n_without == 1 else "were"
        sentences.append(
            f"{counted(n_without, 'scan')} without coordinates {verb} not divided among regions."
        )
    return sentences


def missing_null_notes(table: pd.DataFrame) -> list[str]:
    """Return a note for the user if maps have no `density_null`; `table` as `measure_regions` returns it."""
    if table.empty:
        return []
    has_null = table.groupby(["subject_id", "method"])["density_null"].count() > 0
    if has_null.all():
        return []
    return [
        f"the scan or the baseline of {(~has_null).sum()} of {len(has_null)} maps cannot be read any more: "
        "their regions have no density_null."
    ]


def _divide_maps(folder: OutputFolder, scans: list[list[MapRecord]], atlas: Atlas) -> list[dict]:
    """Return the rows of the maps of some scans; runs in a worker."""
    labels_on = lru_cache(_GRIDS_AT_A_TIME)(atlas.on_network_grid)  # scans of one grid follow each other
    rows = []
    for records in scans:
        labels, image = labels_on(records[0].grid), read_scan_image(records[0])
        grey_matter = _rows_by_region(image and image.grey_matter, image, labels, atlas)
        nulls: dict[str | None, dict[str, dict]] = {}  # by baseline
        for record in records:
            baseline = record.recipe.settings.get("baseline")
            if baseline not in nulls:
                nulls[baseline] = _rows_by_region(read_null_map(folder, record), image, labels, atlas)
            scan = {
                "subject_id": record.subject_id,
                "method": record.method,
                "subject": record.statistics.subject or record.subject_id,
                "diagnosis": record.statistics.diagnosis,
            }
            values = folder.load_map(record.method, record.subject_id)
            for row in region_rows(values, labels, atlas, BrainMass.of(record)):
                null = nulls[baseline].get(row["region"], {}).get("density")
                asymmetry = grey_matter.get(row["region"], {}).get("asymmetry")
                rows.append(scan | row | {"density_null": null, "grey_matter_asymmetry": asymmetry})
    return rows


def _rows_by_region(
    values: np.ndarray | None, image: ScanImage | None, labels: np.ndarray, atlas: Atlas
) -> dict[str, dict]:
    """Return region -> its row, of an array on a scan's grid; nothing if it or the scan cannot be read."""
    if values is None or image is None:
        return {}
    rows = region_rows(values, labels, atlas, BrainMass.measured(values, image.brain))
    return {row["region"]: row for row in rows}


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

    @classmethod
    def measured(cls, values: np.ndarray, brain: np.ndarray) -> BrainMass:
        """Return that of an array without pad, (n_slices, 112, 112); `brain` is bool, the same shape."""
        mass = float(np.abs(values).sum(dtype=np.float64))
        inside = float(np.abs(values).sum(dtype=np.float64, where=brain))
        n_voxels, n_brain = len(values) * INPUT_SIZE**2, int(brain.sum())
        return cls(mass, inside / mass if mass else None, n_brain, n_voxels - n_brain)


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
        ``asymmetry`` ``(L - R) / (L + R)`` of the two sides' mass per voxel, from -1 to 1. An undefined
        value is None.
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
        sides = list(pairs.get(label, ()))
        asymmetry = None
        if sides and sizes[sides].all() and masses[sides].any():
            left, right = masses[sides] / sizes[sides]
            asymmetry = (left - right) / (left + right)
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
