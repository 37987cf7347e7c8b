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
from mri_saliency.output.files import write_table
from mri_saliency.output.folder import OutputFolder
from mri_saliency.output.record import MapRecord
from mri_saliency.statistics.normal_ranges import add_normal_ranges
from mri_saliency.wording import counted

OUTSIDE = "outside the brain"
_NUMBERS = (
    *("mass", "share", "density", "asymmetry", "density_null", "grey_matter_asymmetry"),
    *("hemisphere_asymmetry", "hemisphere_grey_matter_asymmetry"),
)
_N_DENSEST = 10
_GRIDS_AT_A_TIME = 4  # whose labels a worker keeps


def write_regions(folder: OutputFolder, rows: list[dict]) -> pd.DataFrame:
    """Write what `divide_maps` found of all scans.

    Returns the rows of region_statistics.csv, with the columns ``subject`` (the person), ``diagnosis``,
    ``grey_matter_asymmetry`` (of the mean grey matter of the two sides in the scan's image), and both
    asymmetries of the brain's halves, ``hemisphere_...``.
    """
    table = pd.DataFrame(rows)
    if table.empty:
        folder.regions.unlink(missing_ok=True)
        return table
    table = add_normal_ranges(table.astype(dict.fromkeys(_NUMBERS, float)))
    write_table(folder.regions, table[list(TABLES["region_statistics"])])
    return table


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


def divide_maps(folder: OutputFolder, atlas: Atlas, scans: Sequence[list[MapRecord]]) -> Iterator[list[dict]]:
    """Divide the maps of each scan among an atlas's regions; no rows for a scan without an affine.

    Raises UserError if the atlas does not lie where a scan does.
    """

    @lru_cache(_GRIDS_AT_A_TIME)  # scans of one grid follow each other
    def regions_on(grid: Grid) -> PlacedRegions:
        return PlacedRegions(atlas, atlas.on_network_grid(grid))

    for maps in scans:
        placed = (record for record in maps if record.grid.affine is not None)
        yield [  # maps of a scan on two grids are those of two files
            row
            for grid, of_grid in groupby(placed, key=attrgetter("grid"))
            for row in _rows_of_scan(folder, regions_on(grid), list(of_grid))
        ]


def _rows_of_scan(folder: OutputFolder, regions: "PlacedRegions", records: list[MapRecord]) -> Iterator[dict]:
    """Yield the rows of a scan's maps."""
    scan = read_source(records[0])

    def by_region(values: np.ndarray | None, column: str) -> dict[str, float | None]:
        if values is None or scan is None:
            return {}
        measured = regions.rows(values, BrainMass.measured(values, scan.brain))
        return {row["region"]: row[column] for row in measured}

    grey_matter = None if scan is None else scan.grey_matter
    of_grey_matter = by_region(grey_matter, "asymmetry")
    halves = None if scan is None else brain_halves(scan.brain, records[0].grid)
    nulls: dict[str, dict[str, float | None]] = {}  # by baseline
    for record in records:
        baseline = baseline_identity(record)
        if baseline not in nulls:
            nulls[baseline] = by_region(read_null_map(folder, record), "density")
        values = folder.load_map(record.method, record.subject_id)
        about = {
            "subject_id": record.subject_id,
            "method": record.method,
            "subject": record.statistics.subject,
            "diagnosis": record.statistics.diagnosis,
            "hemisphere_asymmetry": half_asymmetry(values, halves),
            "hemisphere_grey_matter_asymmetry": half_asymmetry(grey_matter, halves),
        }
        for row in regions.rows(values, BrainMass.of(record)):
            row["density_null"] = nulls[baseline].get(row["region"])
            row["grey_matter_asymmetry"] = of_grey_matter.get(row["region"])
            yield about | row


def brain_halves(brain: np.ndarray, grid: Grid) -> list[np.ndarray]:
    """Return the flat indices of the brain's voxels left of x = 0 mm, and of those right of it."""
    affine = grid.input_affine
    assert affine is not None  # of scans without one, no region is measured
    axes = np.ogrid[tuple(map(slice, brain.shape))]
    x_mm = sum(factor * axis for factor, axis in zip(affine[0], axes, strict=False)) + affine[0, 3]
    return [np.flatnonzero(brain & (x_mm <= 0)), np.flatnonzero(brain & (x_mm > 0))]


def half_asymmetry(values: np.ndarray | None, halves: list[np.ndarray] | None) -> float | None:
    """Return (L - R) / (L + R) of a map's magnitude per voxel in `brain_halves`; None where undefined."""
    if values is None or halves is None:
        return None
    sides = (np.abs(values.take(half)) for half in halves)
    left, right = (float(side.sum(dtype=np.float64)) / max(1, side.size) for side in sides)
    return (left - right) / (left + right) if left and right else None


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
        inside, outside = (float(magnitude.sum(dtype=np.float64, where=part)) for part in (brain, ~brain))
        return cls(inside, outside, n_inside, len(values) * INPUT_SIZE**2 - n_inside)


class PlacedRegions:
    """An atlas's regions on one grid, where `labels`, from `Atlas.on_network_grid`, are."""

    def __init__(self, atlas: Atlas, labels: np.ndarray) -> None:
        self._atlas, self._pairs = atlas, atlas.pairs()
        self._places = np.flatnonzero(labels)
        self._labels = labels.take(self._places)
        self._sizes = np.bincount(self._labels, minlength=max(atlas.names) + 1)

    def rows(self, values: np.ndarray, brain: BrainMass) -> list[dict]:
        """Divide a map's magnitude among the regions that the network sees, and the rest of head and air.

        `values` is a map without pad, (n_slices, 112, 112). Rows have columns of region_statistics.csv; the
        density is that of Boehle et al. 2019, Frontiers in Aging Neuroscience. An undefined value is None.
        """
        sizes, magnitudes = self._sizes, np.abs(values.take(self._places))
        masses = np.bincount(self._labels, magnitudes, len(sizes))
        total = brain.inside + brain.outside
        brain_density = brain.inside / brain.n_inside if brain.n_inside else 0.0

        def row(region: str, mass: float, size: int, asymmetry: float | None) -> dict:
            return {
                "region": region,
                "mass": mass,
                "share": mass / total if total else None,
                "density": mass / size / brain_density if brain_density and size else None,
                "asymmetry": asymmetry,
            }

        rows = []
        for label, name in self._atlas.names.items():
            if not sizes[label]:
                continue
            sides = list(self._pairs.get(label, ()))
            asymmetry = None
            if sides and sizes[sides].all() and masses[sides].any():
                left, right = masses[sides] / sizes[sides]
                asymmetry = (left - right) / (left + right)
            rows.append(row(name, masses[label], sizes[label], asymmetry))
        return [*rows, row(OUTSIDE, brain.outside, brain.n_outside, None)]


def densest(table: pd.DataFrame) -> dict[str, list[str]]:
    """Return each method's ten regions of the highest mean density, the highest first."""
    return {
        method: rows.groupby("region")["density"].mean().nlargest(_N_DENSEST).index.tolist()
        for method, rows in table.groupby("method", sort=False)
    }
