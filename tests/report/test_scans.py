"""The report's table of scans: its order, its pictures' strengths and places; regions."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mri_saliency.report.scans import scan_entries, telling_regions

from ..made_cohort import GRID, made_record, pictured, report_records
from .pages import findings_of


def scans_of(records, **changes):
    return scan_entries(findings_of(Path("maps"), records, **changes))


def test_wrong_predictions_come_first_then_the_least_confident():
    scans = scans_of(report_records(6))
    assert [scan.is_right for scan in scans] == [False] + 5 * [True]
    assert scans[0].row.subject_id == "sub-000"
    confidences = [scan.row.confidence for scan in scans[1:]]
    assert confidences == sorted(confidences)
    assert [one.record.method for one in scans[0].maps] == ["integrated_gradients", "saliency"]


def test_pictures_are_drawn_on_their_methods_common_scale():
    records = [made_record(name, method) for method in ("saliency", "deep_lift") for name in "abcdefghijk"]
    scans = scans_of(pictured(records, scales=[*range(11), *range(100, 1200, 100)]))
    maps = {(scan.row.subject_id, one.record.method): one for scan in scans for one in scan.maps}
    for place, name in enumerate("abcdefghijk"):  # over the 90th percentiles
        assert maps[name, "saliency"].strength == pytest.approx(place / 9)
        assert maps[name, "deep_lift"].strength == pytest.approx((place + 1) / 10)
    assert maps["a", "saliency"].place == f"y = {GRID.slice_y_mm(4):.0f} mm".replace("-", "−")
    assert (maps["a", "saliency"].strength, maps["a", "saliency"].opacity) == (0, 0)


def test_the_regions_to_look_at_are_the_least_normal_or_the_densest():
    regions = ("A", "B", "C", "D", "E", "F", "outside the brain")
    table = pd.DataFrame(
        {"subject_id": "sub-A", "method": method, "region": region, "density": density}
        | {"density_z": z if method == "saliency" else None}
        for method in ("saliency", "deep_lift")
        for region, density, z in zip(
            regions, (1, 2, 3, 4, 5, 6, 9), (0.5, -4, 2, np.nan, 1.5, -1, 9), strict=True
        )
    )
    found = telling_regions(findings_of(Path("maps"), [], regions=table))
    assert [row["region"] for row in found["sub-A", "saliency"]] == list("BCE")
    assert [row["region"] for row in found["sub-A", "deep_lift"]] == list("FED")
    assert found["sub-A", "saliency"][0] == {"region": "B", "density": 2.0, "density_z": -4.0}
    [scan] = scans_of([made_record()], regions=table)
    assert [row["region"] for row in scan.maps[0].regions] == list("BCE")
