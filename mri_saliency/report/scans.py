"""Findings -> the rows of the report's table of scans, and of what did not go in as it should."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from mri_saliency.inputs.grid import Grid
from mri_saliency.maps.drawing import OPACITY_POWER
from mri_saliency.maps.statistics import MapStatistics
from mri_saliency.output.record import MapRecord
from mri_saliency.regions.densities import OUTSIDE
from mri_saliency.report.findings import Findings
from mri_saliency.report.numbers import common_scale
from mri_saliency.wording import counted, with_minus

_SHOWN_REGIONS = 5  # of a map


@dataclass(frozen=True)
class MapEntry:
    """A map in the report's table of scans."""

    record: MapRecord
    place: str  # the thumbnail's slice in words
    strength: float  # the thumbnail's colour scale over the one that the method's maps share
    regions: Sequence[dict]  # its rows of `telling_regions`

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


def scan_entries(findings: Findings) -> list[ScanEntry]:
    """Return the table of scans: wrong predictions first, then the least confident."""
    scales, telling = _common_scales(findings.records), telling_regions(findings)
    place_of = lru_cache(_place)  # scans of one grid share it
    scans: dict[str, ScanEntry] = {}
    for record in findings.records:
        common = scales[record.method]
        entry = MapEntry(
            record,
            place=place_of(record.grid, record.drawing.telling_slice),
            strength=record.drawing.overlay_scale / common if common else 0.0,
            regions=telling.get((record.subject_id, record.method), ()),
        )
        scans.setdefault(record.subject_id, ScanEntry(record.statistics, [])).maps.append(entry)
    return sorted(scans.values(), key=lambda scan: (scan.is_right, scan.row.confidence))


def telling_regions(findings: Findings) -> dict[tuple[str, str], list[dict]]:
    """Return the regions of each map to look at first.

    Returns a dict: (subject, method) -> rows with `region`, `density` and `density_z`, those furthest from
    the controls' mean first; where there is none, the densest.
    """
    if findings.regions.empty:
        return {}
    regions = findings.regions[findings.regions["region"] != OUTSIDE]
    numbers = dict.fromkeys(("density", "density_z"), float)
    regions = regions.astype(numbers).assign(distance=lambda table: table["density_z"].abs())
    ordered = regions.sort_values(["distance", "density"], ascending=False)
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
    return f"slice {index}" if y_mm is None else with_minus(f"y = {y_mm:.0f} mm")


def input_tables(findings: Findings) -> dict[str, tuple[tuple[str, ...], list[tuple]]]:
    """Return the title of a table -> its columns and rows: input warnings, skipped rows, failures."""
    warnings = Counter(findings.input_warnings.values()).most_common()
    skipped = [(row["file"], row["value"], row["reason"]) for row in findings.run.get("skipped_rows", ())]
    methods: dict[tuple[str, str], list[str]] = {}  # (scan, reason) -> of the maps that failed
    for row in findings.failures:
        methods.setdefault((row["subject_id"], row["reason"]), []).append(row["method"])
    failed = [(subject_id, ", ".join(names), reason) for (subject_id, reason), names in methods.items()]
    n_skipped, n_failed = counted(len(skipped), "row"), counted(len(findings.failures), "map")
    tables: dict[str, tuple[tuple[str, ...], list[tuple]]] = {
        "The input warnings": (("warning", "scans"), warnings),
        f"{n_skipped} of the table skipped": (("file", "value", "reason"), skipped),
        f"{n_failed} failed (failures.csv)": (("scan", "methods", "reason"), failed),
    }
    return {title: table for title, table in tables.items() if table[1]}
