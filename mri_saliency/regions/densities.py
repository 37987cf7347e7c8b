"""Maps and an atlas -> how each map's magnitude is divided among the regions."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from operator import attrgetter

import numpy as np
import pandas as pd

from mri_saliency.cohort.source_scan import baseline_identity, read_null_map, read_source
from mri_saliency.inputs.atlas import Atlas
from mri_saliency.inputs.grid import INPUT_SIZE, Grid
from mri_saliency.output.dictionary import TABLES
from mri_saliency.output.files import write_or_remove_table
from mri_saliency.output.folder import OutputFolder
from mri_saliency.output.record import MapRecord
from mri_saliency.statistics.normal_ranges import add_normal_ranges
from mri_saliency.wording import counted

OUTSIDE = "outside the brain"
_N_DENSEST = 10
_GRIDS_AT_A_TIME = 4  # whose labels a worker keeps


def regions_table(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Join what `divide_maps` found of all scans.

    Returns the rows of region_statistics.csv, with the columns ``subject`` (the person), ``diagnosis``,
    ``grey_matter_asymmetry`` (of the mean grey matter of the two sides in the scan's image), and both
    asymmetries of the brain's halves, ``hemisphere_...``.
    """
    tables = [table for table in tables if len(table)]
    return add_normal_ranges(pd.concat(tables, ignore_index=True)) if tables else pd.DataFrame()


def write_regions(folder: OutputFolder, table: pd.DataFrame) -> None:
    """Write region_statistics.csv, of `regions_table`; without rows, there is no file."""
    write_or_remove_table(folder.regions, table.reindex(columns=list(TABLES["region_statistics"])))


def region_sentences(table: pd.DataFrame, atlas_name: str, n_scans: int) -> list[str]:
    """Return how maps were divided among regions, for a paper; `n_scans` counts those without an affine."""
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
    if n_without := n_scans - table["subject_id"].nunique():
        scans = f"{counted(n_without, 'scan')} without coordinates {'was' if n_without == 1 else 'were'}"
        sentences.append(f"{scans} not divided among regions.")
    return sentences


def missing_null_notes(table: pd.DataFrame) -> list[str]:
    """Return a note for the user if maps have no ``density_null``."""
    if table.empty:
        return []
    has_null = table.groupby(["subject_id", "method"])["density_null"].count() > 0
    if has_null.all():
        return []
    return [
        f"the scan or the baseline of {(~has_null).sum()} of {len(has_null)} maps cannot be read any more: "
        "their regions have no density_null."
    ]


def divide_maps(
    folder: OutputFolder, atlas: Atlas, scans: Sequence[list[MapRecord]]
) -> Iterator[pd.DataFrame]:
    """Divide the maps of each scan among an atlas's regions; empty for a scan without an affine.

    Raises UserError if the atlas does not lie where a scan does.
    """

    @lru_cache(_GRIDS_AT_A_TIME)  # scans of one grid follow each other
    def regions_on(grid: Grid) -> PlacedRegions:
        return PlacedRegions(atlas, atlas.on_network_grid(grid))

    for maps in scans:
        placed = (record for record in maps if record.grid.affine is not None)
        tables = [  # maps of a scan on two grids are those of two files
            table
            for grid, of_grid in groupby(placed, key=attrgetter("grid"))
            for table in _tables_of_scan(folder, regions_on(grid), list(of_grid))
        ]
        yield pd.concat(tables) if tables else pd.DataFrame()


def _tables_of_scan(
    folder: OutputFolder, regions: "PlacedRegions", records: list[MapRecord]
) -> Iterator[pd.DataFrame]:
    """Yield the rows of each of a scan's maps."""
    scan = read_source(records[0])

    def by_region(values: np.ndarray | None, column: str) -> np.ndarray | float:
        if values is None or scan is None:
            return np.nan
        values = np.ascontiguousarray(values)  # or each look-up copies it
        return regions.divide(values, BrainMass.measured(values, scan.brain))[column]

    grey_matter = None if scan is None else scan.grey_matter
    halves = None if scan is None else brain_halves(scan.brain, records[0].grid)
    of_grey_matter = {
        "grey_matter_asymmetry": by_region(grey_matter, "asymmetry"),
        "hemisphere_grey_matter_asymmetry": half_asymmetry(grey_matter, halves),
    }
    nulls: dict[str, np.ndarray | float] = {}  # by baseline
    for record in records:
        baseline = baseline_identity(record)
        if baseline not in nulls:
            nulls[baseline] = by_region(read_null_map(folder, record), "density")
        values = np.ascontiguousarray(folder.load_map(record.method, record.subject_id))
        about = {
            "subject_id": record.subject_id,
            "method": record.method,
            "subject": record.statistics.subject,
            "diagnosis": record.statistics.diagnosis,
            "region": regions.names,
            "density_null": nulls[baseline],
            "hemisphere_asymmetry": half_asymmetry(values, halves),
        }
        yield pd.DataFrame(about | of_grey_matter | regions.divide(values, BrainMass.of(record)))


def brain_halves(brain: np.ndarray, grid: Grid) -> list[np.ndarray]:
    """Return the flat indices of the brain's voxels left of x = 0 mm, and of those right of it."""
    affine = grid.input_affine
    assert affine is not None  # of scans without one, no region is measured
    axes = np.ogrid[tuple(map(slice, brain.shape))]
    x_mm = sum(factor * axis for factor, axis in zip(affine[0], axes, strict=False)) + affine[0, 3]
    return [np.flatnonzero(brain & (x_mm <= 0)), np.flatnonzero(brain & (x_mm > 0))]


def half_asymmetry(values: np.ndarray | None, halves: list[np.ndarray] | None) -> float:
    """Return (L - R) / (L + R) of a map's magnitude per voxel in `brain_halves`; NaN where undefined."""
    if values is None or halves is None:
        return np.nan
    sides = (np.abs(values.take(half)) for half in halves)
    left, right = (float(side.sum(dtype=np.float64)) / max(1, side.size) for side in sides)
    return (left - right) / (left + right) if left and right else np.nan


@dataclass(frozen=True)
class BrainMass:
    """How a map's magnitude is divided between the brain and the rest."""

    inside: float  # summed magnitude in the brain, and outside
    outside: float
    n_inside: int  # voxels in the brain, and outside, pad included
    n_outside: int

    @classmethod
    def of(cls, record: MapRecord) -> "BrainMass":
        """Return a finished map's, from its record."""
        n_voxels, n_inside = record.grid.n_slices * INPUT_SIZE**2, record.brain_voxels
        mass, share = record.statistics.abs_mean * n_voxels, record.statistics.brain_share or 0.0
        return cls(share * mass, (1 - share) * mass, n_inside, n_voxels - n_inside)

    @classmethod
    def measured(cls, values: np.ndarray, brain: np.ndarray) -> "BrainMass":
        """Return that of an array without pad, (n_slices, 112, 112); `brain` is bool, the same shape."""
        magnitude, n_inside = np.abs(values), int(brain.sum())
        inside, total = (float(part.sum(dtype=np.float64)) for part in (magnitude[brain], magnitude))
        return cls(inside, max(0.0, total - inside), n_inside, len(values) * INPUT_SIZE**2 - n_inside)


class PlacedRegions:
    """An atlas's regions on one grid, where `labels`, from `Atlas.on_network_grid`, are.

    `names` are of those that the network sees, and last the rest of head and air.
    """

    def __init__(self, atlas: Atlas, labels: np.ndarray) -> None:
        places = np.flatnonzero(labels)
        of_places = labels.take(places)
        self._places = places[of_places.argsort(kind="stable")]  # region by region
        seen, self._sizes = np.unique(of_places, return_counts=True)
        self._starts = np.cumsum(self._sizes) - self._sizes
        order = {label: index for index, label in enumerate(seen.tolist())}
        labels_shown, pairs = [label for label in atlas.names if label in order], atlas.pairs()
        self._shown = [order[label] for label in labels_shown]
        self.names = [*map(atlas.names.__getitem__, labels_shown), OUTSIDE]
        paired = [label for label in labels_shown if set(pairs.get(label, {None})) <= order.keys()]
        self._paired = list(map(labels_shown.index, paired))  # rows; below, their left and right regions
        self._sides = np.array([[order[side] for side in pairs[label]] for label in paired], int)

    def divide(self, values: np.ndarray, brain: BrainMass) -> dict[str, np.ndarray]:
        """Divide a map's magnitude: columns of region_statistics.csv, float64 (n_names,), NaN if undefined.

        `values` is a map without pad, (n_slices, 112, 112). The density is that of Boehle et al. 2019,
        Frontiers in Aging Neuroscience.
        """
        magnitudes = np.abs(values.take(self._places))
        masses = np.add.reduceat(magnitudes, self._starts, dtype=np.float64)
        asymmetry = np.full(len(self.names), np.nan)
        left, right = (masses / self._sizes)[self._sides.reshape(-1, 2).T]
        mass = np.append(masses[self._shown], brain.outside)
        sizes = np.append(self._sizes[self._shown], brain.n_outside)
        of_brain = brain.inside / max(1, brain.n_inside) or np.nan
        with np.errstate(invalid="ignore"):  # nothing on both sides
            asymmetry[self._paired] = (left - right) / (left + right)
            density = mass / sizes / of_brain
        share = mass / (brain.inside + brain.outside or np.nan)
        return {"mass": mass, "share": share, "density": density, "asymmetry": asymmetry}


def densest(table: pd.DataFrame) -> dict[str, list[str]]:
    """Return each method's ten regions of the highest mean density, the highest first."""
    return {
        method: rows.groupby("region")["density"].mean().nlargest(_N_DENSEST).index.tolist()
        for method, rows in table.groupby("method", sort=False)
    }
