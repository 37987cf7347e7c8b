"""Findings -> the scans of the report, with their maps."""

from collections.abc import Sequence
from dataclasses import dataclass

from mri_saliency.maps.drawing import OPACITY_POWER
from mri_saliency.maps.statistics import MapStatistics
from mri_saliency.output.record import MapRecord
from mri_saliency.regions.densities import OUTSIDE
from mri_saliency.report.alarms import is_below_null
from mri_saliency.report.findings import Findings
from mri_saliency.report.numbers import common_scale

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
        """Whether the map is `is_below_null`."""
        return is_below_null(self.record.statistics)


@dataclass(frozen=True)
class ScanEntry:
    """A scan's maps in the report."""

    row: MapStatistics  # of the first map
    maps: list[MapEntry]

    @property
    def is_right(self) -> bool:
        """Whether the scan's class was predicted."""
        return self.row.predicts_tle == self.row.is_tle


def scan_entries(findings: Findings) -> list[ScanEntry]:
    """Return the scans: wrong predictions first, then the least confident."""
    telling, scans = telling_regions(findings), dict[str, ScanEntry]()
    own: dict[str, list[float]] = {}
    for record in findings.records:
        own.setdefault(record.method, []).append(record.drawing.overlay_scale)
    scales = {method: float(common_scale(of_method)) for method, of_method in own.items()}
    for record in findings.records:
        common = scales[record.method]
        entry = MapEntry(
            record,
            place=record.grid.slice_place(record.drawing.telling_slice),
            strength=record.drawing.overlay_scale / common if common else 0.0,
            regions=telling.get((record.subject_id, record.method), ()),
        )
        scans.setdefault(record.subject_id, ScanEntry(record.statistics, [])).maps.append(entry)
    return sorted(scans.values(), key=lambda scan: (scan.is_right, scan.row.confidence))


def telling_regions(findings: Findings) -> dict[tuple[str, str], list[dict]]:
    """Return the regions to look at first: those furthest from the controls' mean, without it the densest.

    Returns a dict: (subject, method) -> rows with `region`, `density` and `density_z`.
    """
    if findings.regions.empty:
        return {}
    regions = findings.regions[findings.regions["region"] != OUTSIDE]
    numbers = dict.fromkeys(("density", "density_z"), float)
    regions = regions.astype(numbers).assign(distance=lambda table: table["density_z"].abs())
    ordered = regions.sort_values(["distance", "density"], ascending=False)  # NaN comes last
    shown = ["region", *numbers]
    return {
        key: rows.head(_SHOWN_REGIONS)[shown].to_dict("records")
        for key, rows in ordered.groupby(["subject_id", "method"], sort=False)
    }
