"""Findings -> the scans of the report, with their maps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from mri_saliency.inputs.grid import Grid
from mri_saliency.maps.drawing import OPACITY_POWER
from mri_saliency.maps.statistics import MapStatistics
from mri_saliency.output.record import MapRecord
from mri_saliency.regions.densities import OUTSIDE
from mri_saliency.report.alarms import NULL_MARGIN
from mri_saliency.report.findings import Findings
from mri_saliency.report.numbers import common_scale
from mri_saliency.wording import with_minus

_SHOWN_REGIONS = 3  # of a map


@dataclass(frozen=True)
class MapEntry:
    """A map of a scan in the report."""

    record: MapRecord
    place: str  # the thumbnail's slice in words
    strength: float  # the thumbnail's colour scale over the one that the method's maps share
    regions: Sequence[dict]  # its rows of `telling_regions`

    @property
    def opacity(self) -> float:
        """The opacity of the thumbnail's overlay on the common scale; 1 for a map that is stronger."""
        return min(1.0, self.strength**OPACITY_POWER)

    @property
    def is_below_null(self) -> bool:
        """Whether less of the map lies in the brain than of its null map, by more than chance."""
        row = self.record.statistics
        if row.brain_share is None or row.brain_share_null is None:
            return False
        return row.brain_share < row.brain_share_null - NULL_MARGIN


@dataclass(frozen=True)
class ScanEntry:
    """A scan's maps in the report; `row` is that of the first, for what it says of the scan."""

    row: MapStatistics
    maps: list[MapEntry]

    @property
    def is_right(self) -> bool:
        """Whether the scan's class was predicted."""
        return self.row.predicts_tle == self.row.is_tle


def scan_entries(findings: Findings) -> list[ScanEntry]:
    """Return the scans: wrong predictions first, then the least confident."""
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
