"""Records -> the rows of the report's table of scans, and of its list of failures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import pandas as pd

from mri_saliency.inputs.grid import Grid
from mri_saliency.maps.drawing import OPACITY_POWER
from mri_saliency.output.folder import OutputFolder
from mri_saliency.output.record import MapRecord
from mri_saliency.regions.densities import OUTSIDE
from mri_saliency.report.numbers import common_scale, input_warnings

_SHOWN_REGIONS = 5  # of a map


@dataclass(frozen=True)
class MapEntry:
    """A map in the report's table of scans.

    Attributes
    ----------
    method : str
    stem : Path
        What all names of the map's files begin with.
    endings : int
        Which of the table's lists of file endings is the map's.
    figure : Path
        The summary figure.
    thumbnail : Path or None
        None for a map of an earlier version.
    place : str
        The thumbnail's slice in words; empty without one.
    has_sides : bool
        Whether the scan's left and right are known.
    strength : float or None
        The thumbnail's colour scale over that of the method's maps; None without a thumbnail.
    opacity : float
        Of the thumbnail's overlay on the common scale; 1 for a map that is stronger.
    verdict : str
        Of completeness; empty for a method that promises no sum.
    error, map_error, brain_share, brain_share_null : float or None
        As in `mri_saliency.maps.statistics.MapStatistics`; `error` is that of completeness.
    regions : sequence of dict
        Its rows of `telling_regions`.
    """

    method: str
    stem: Path
    endings: int
    figure: Path
    thumbnail: Path | None
    place: str
    has_sides: bool
    strength: float | None
    opacity: float
    verdict: str
    error: float | None
    map_error: float | None
    brain_share: float | None
    brain_share_null: float | None
    regions: Sequence[dict]


@dataclass(frozen=True)
class ScanEntry:
    """A row of the report's table of scans."""

    subject_id: str
    diagnosis: str
    probability: float  # of TLE
    predicted: str  # "HC" or "TLE"
    confidence: float
    correct: bool
    warning: str  # about its input; empty if there is none
    maps: list[MapEntry]


@dataclass(frozen=True)
class ScanTable:
    """The report's table of scans.

    Attributes
    ----------
    scans : list of ScanEntry
        Wrong predictions first, then the least confident.
    endings : list of tuple
        The lists of file endings that occur, such as ``("attributions.npy", "summary.png")``.
    """

    scans: list[ScanEntry]
    endings: list[tuple[str, ...]]

    @property
    def has_thumbnails(self) -> bool:
        """Whether a map has a thumbnail."""
        return any(entry.thumbnail for scan in self.scans for entry in scan.maps)

    @property
    def has_regions(self) -> bool:
        """Whether regions of a map are listed."""
        return any(entry.regions for scan in self.scans for entry in scan.maps)


def scan_table(
    records: Sequence[MapRecord], folder: OutputFolder, regions: pd.DataFrame | None = None
) -> ScanTable:
    """Return the table; `regions` has the rows of region_statistics.csv with the column ``diagnosis``."""
    scales, telling = _common_scales(records), {} if regions is None else telling_regions(regions)
    warnings = input_warnings([record.statistics for record in records])
    endings: dict[tuple[str, ...], int] = {}
    place_of = lru_cache(_place)  # scans of one grid share it
    by_scan: dict[str, list[MapRecord]] = {}
    for record in records:
        by_scan.setdefault(record.subject_id, []).append(record)

    def map_entry(record: MapRecord) -> MapEntry:
        name, row = (record.method, record.subject_id), record.statistics
        array, thumbnail = folder.array(*name), folder.thumbnail(*name)
        prefix = array.name.removesuffix("attributions.npy")
        names = (*record.files, folder.sidecar(*name).name)
        ends = tuple(file.removeprefix(prefix) for file in names if file.startswith(prefix))
        strength = None
        if record.drawing and thumbnail.name in record.files:
            common = scales[record.method]
            strength = record.drawing.overlay_scale / common if common else 0.0
        return MapEntry(
            method=record.method,
            stem=array.with_name(prefix),
            endings=endings.setdefault(ends, len(endings)),
            figure=folder.summary_figure(*name),
            thumbnail=None if strength is None else thumbnail,
            place="" if strength is None else place_of(record.grid, record.drawing.telling_slice),
            has_sides=record.grid.affine is not None,
            strength=strength,
            opacity=1.0 if strength is None else min(1.0, strength**OPACITY_POWER),
            verdict=row.completeness_verdict or "",
            error=row.completeness_error,
            map_error=row.map_error,
            brain_share=row.brain_share,
            brain_share_null=row.brain_share_null,
            regions=telling.get((record.subject_id, record.method), ()),
        )

    entries = []
    for subject_id, maps in by_scan.items():
        scan = maps[0].statistics
        entries.append(
            ScanEntry(
                subject_id=subject_id,
                diagnosis=scan.diagnosis,
                probability=scan.prediction,
                predicted="TLE" if scan.predicts_tle else "HC",
                confidence=scan.confidence,
                correct=scan.predicts_tle == scan.is_tle,
                warning=warnings.get(subject_id, ""),
                maps=[map_entry(record) for record in maps],
            )
        )
    entries.sort(key=lambda entry: (entry.correct, entry.confidence))
    return ScanTable(entries, list(endings))


def telling_regions(regions: pd.DataFrame) -> dict[tuple[str, str], list[dict]]:
    """Return the regions of each map to look at first.

    Parameters
    ----------
    regions : DataFrame
        Rows of region_statistics.csv.

    Returns
    -------
    dict
        (subject, method) -> rows with `region`, `density`, `density_z`, `density_p`, those furthest from the
        normal range first; where there is none, the densest.
    """
    numbers = dict.fromkeys(("density", "density_z", "density_p"), float)
    of_brain = regions[regions["region"] != OUTSIDE].astype(numbers)
    ordered = of_brain.sort_values(["density_p", "density"], ascending=[True, False])  # NaN comes last
    first = ordered.groupby(["subject_id", "method"], sort=False).head(_SHOWN_REGIONS)
    found: dict[tuple[str, str], list[dict]] = {}
    for row in first[["subject_id", "method", "region", *numbers]].to_dict("records"):
        found.setdefault((row.pop("subject_id"), row.pop("method")), []).append(row)
    return found


def _common_scales(records: Sequence[MapRecord]) -> dict[str, float]:
    """Return the common scale of each method's thumbnails; methods without any have none."""
    own: dict[str, list[float]] = {}
    for record in records:
        if record.drawing:
            own.setdefault(record.method, []).append(record.drawing.overlay_scale)
    return {method: float(common_scale(scales)) for method, scales in own.items()}


def _place(grid: Grid, index: int) -> str:
    """Return where a slice of the network's input lies, such as "y = −21 mm"."""
    y_mm = grid.slice_y_mm(index)
    return f"slice {index}" if y_mm is None else f"y = {y_mm:.0f} mm".replace("-", "\N{MINUS SIGN}")


@dataclass(frozen=True)
class FailureEntry:
    """A row of the report's table of failures: a scan's maps that failed for one reason."""

    subject_id: str
    methods: list[str]
    reason: str


def failure_entries(failures: Sequence[Mapping[str, str]]) -> list[FailureEntry]:
    """Return an entry for each scan and reason; `failures` are the rows of failures.csv."""
    methods: dict[tuple[str, str], list[str]] = {}
    for row in failures:
        methods.setdefault((row["subject_id"], row["reason"]), []).append(row["method"])
    return [FailureEntry(subject_id, names, reason) for (subject_id, reason), names in methods.items()]
