"""Records -> the rows of the report's table of scans, and of its list of failures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from mri_saliency.inputs.grid import Grid
from mri_saliency.maps.drawing import OPACITY_POWER
from mri_saliency.maps.statistics import MapStatistics
from mri_saliency.output.record import MapRecord
from mri_saliency.regions.densities import OUTSIDE
from mri_saliency.report.findings import Findings
from mri_saliency.report.numbers import common_scale

_SHOWN_REGIONS = 5  # of a map


@dataclass(frozen=True)
class MapEntry:
    """A map in the report's table of scans.

    Attributes
    ----------
    row : MapStatistics
    has_sides : bool
        Whether the scan's left and right are known.
    stem : Path
        What all names of the map's files begin with.
    endings : int
        Which of the table's lists of file endings is the map's.
    figure, thumbnail : Path
    place : str
        The thumbnail's slice in words.
    strength : float
        The thumbnail's colour scale over the one that the method's maps share.
    regions : sequence of dict
        Its rows of `telling_regions`.
    """

    row: MapStatistics
    has_sides: bool
    stem: Path
    endings: int
    figure: Path
    thumbnail: Path
    place: str
    strength: float
    regions: Sequence[dict]

    @property
    def opacity(self) -> float:
        """The opacity of the thumbnail's overlay on the common scale; 1 for a map that is stronger."""
        return min(1.0, self.strength**OPACITY_POWER)


@dataclass(frozen=True)
class ScanEntry:
    """A scan's maps in the report's table; `row` is that of the first, for what it says of the scan."""

    row: MapStatistics
    maps: list[MapEntry]

    @property
    def is_right(self) -> bool:
        """Whether the scan's class was predicted."""
        return self.row.predicts_tle == self.row.is_tle


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


def scan_table(findings: Findings) -> ScanTable:
    """Return the table of scans."""
    folder, scales, telling = findings.folder, _common_scales(findings.records), telling_regions(findings)
    endings: dict[tuple[str, ...], int] = {}
    place_of = lru_cache(_place)  # scans of one grid share it
    scans: dict[str, ScanEntry] = {}
    for record in findings.records:
        name = record.method, record.subject_id
        prefix = folder.array(*name).name.removesuffix("attributions.npy")
        names = (*record.files, folder.sidecar(*name).name)
        ends = tuple(file.removeprefix(prefix) for file in names if file.startswith(prefix))
        common = scales[record.method]
        entry = MapEntry(
            row=record.statistics,
            has_sides=record.grid.affine is not None,
            stem=folder.array(*name).with_name(prefix),
            endings=endings.setdefault(ends, len(endings)),
            figure=folder.summary_figure(*name),
            thumbnail=folder.thumbnail(*name),
            place=place_of(record.grid, record.drawing.telling_slice),
            strength=record.drawing.overlay_scale / common if common else 0.0,
            regions=telling.get((record.subject_id, record.method), ()),
        )
        scans.setdefault(record.subject_id, ScanEntry(record.statistics, [])).maps.append(entry)
    ordered = sorted(scans.values(), key=lambda scan: (scan.is_right, scan.row.confidence))
    return ScanTable(ordered, list(endings))


def telling_regions(findings: Findings) -> dict[tuple[str, str], list[dict]]:
    """Return the regions of each map to look at first.

    Returns
    -------
    dict
        (subject, method) -> rows with `region`, `density`, `density_z`, `density_p`, those furthest from the
        normal range first; where there is none, the densest.
    """
    if findings.regions.empty:
        return {}
    regions = findings.regions[findings.regions["region"] != OUTSIDE]
    numbers = dict.fromkeys(("density", "density_z", "density_p"), float)
    ordered = regions.astype(numbers).sort_values(["density_p", "density"], ascending=[True, False])
    first = ordered.groupby(["subject_id", "method"], sort=False).head(_SHOWN_REGIONS)  # NaN came last
    found: dict[tuple[str, str], list[dict]] = {}
    for row in first[["subject_id", "method", "region", *numbers]].to_dict("records"):
        found.setdefault((row.pop("subject_id"), row.pop("method")), []).append(row)
    return found


def _common_scales(records: Sequence[MapRecord]) -> dict[str, float]:
    """Return the common scale of each method's thumbnails."""
    own: dict[str, list[float]] = {}
    for record in records:
        own.setdefault(record.method, []).append(record.drawing.overlay_scale)
    return {method: float(common_scale(scales)) for method, scales in own.items()}


def _place(grid: Grid, index: int) -> str:
    """Return where a slice of the network's input lies, such as "y = −21 mm"."""
    y_mm = grid.slice_y_mm(index)
    return f"slice {index}" if y_mm is None else f"y = {y_mm:.0f} mm".replace("-", "\N{MINUS SIGN}")


def failure_entries(failures: Sequence[Mapping[str, str]]) -> dict[tuple[str, str], list[str]]:
    """Return (scan, reason) -> the methods whose maps failed; `failures` are the rows of failures.csv."""
    methods: dict[tuple[str, str], list[str]] = {}
    for row in failures:
        methods.setdefault((row["subject_id"], row["reason"]), []).append(row["method"])
    return methods
