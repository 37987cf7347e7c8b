"""The report's table of scans: its order, its pictures' strengths, places and files; regions; failures."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mri_saliency.report.scans import failure_entries, scan_table, telling_regions

from ..made_cohort import GRID, made_record, pictured, report_records
from .pages import findings_of


def table_of(records, **changes):
    return scan_table(findings_of(Path("maps"), records, **changes))


def test_wrong_predictions_come_first_then_the_least_confident():
    scans = table_of(report_records(6)).scans
    assert [scan.is_right for scan in scans] == [False] + 5 * [True]
    assert scans[0].row.subject_id == "sub-000"
    confidences = [scan.row.confidence for scan in scans[1:]]
    assert confidences == sorted(confidences)
    assert [one.row.method for one in scans[0].maps] == ["integrated_gradients", "saliency"]


def test_failures_of_a_scan_for_one_reason_are_one_entry():
    rows = [("a", "saliency", "gone"), ("b", "saliency", "gone"), ("a", "deep_lift", "gone")]
    rows.append(("a", "smooth_grad", "out of memory"))
    names = ("subject_id", "method", "reason")
    assert failure_entries([dict(zip(names, row, strict=True)) for row in rows]) == {
        ("a", "gone"): ["saliency", "deep_lift"],
        ("b", "gone"): ["saliency"],
        ("a", "out of memory"): ["smooth_grad"],
    }


def test_pictures_are_drawn_on_their_methods_common_scale():
    records = [made_record(name, method) for method in ("saliency", "deep_lift") for name in "abcdefghijk"]
    table = table_of(pictured(records, scales=[*range(11), *range(100, 1200, 100)]))
    maps = {(scan.row.subject_id, one.row.method): one for scan in table.scans for one in scan.maps}
    for method, unit in (("saliency", 9), ("deep_lift", 1000)):  # the 90th percentiles
        for place, name in enumerate("abcdefghijk"):
            own = place if method == "saliency" else 100 + 100 * place
            assert maps[name, method].strength == pytest.approx(own / unit)
            assert maps[name, method].opacity == pytest.approx(min(1, (own / unit) ** 0.6))
    assert maps["a", "saliency"].place == f"y = {GRID.slice_y_mm(4):.0f} mm".replace("-", "−")
    [zero] = table_of(pictured([made_record()], scales=[0.0])).scans[0].maps
    assert (zero.strength, zero.opacity) == (0, 0)


def test_each_list_of_files_is_held_once():
    files = ("attributions.npy", "summary.png")
    records = [made_record(name, files=files) for name in ("sub-A", "sub-B")]
    records.append(made_record("sub-C", "expected_gradients", files=(*files, "standard_error.nii.gz")))
    table = table_of(records)
    assert table.endings == [
        (*files, "attributions.json"),
        (*files, "standard_error.nii.gz", "attributions.json"),
    ]
    maps = {scan.row.subject_id: scan.maps[0] for scan in table.scans}
    assert [maps[name].endings for name in ("sub-A", "sub-B", "sub-C")] == [0, 0, 1]
    assert maps["sub-B"].stem == Path("maps/saliency/sub-B/sub-B_saliency_")


def test_the_regions_to_look_at_are_the_least_normal_or_the_densest():
    regions = ("A", "B", "C", "D", "E", "F", "outside the brain")
    table = pd.DataFrame(
        {"subject_id": "sub-A", "method": method, "region": region, "density": density, "density_z": 1.0}
        | {"density_p": p if method == "saliency" else None}
        for method in ("saliency", "deep_lift")
        for region, density, p in zip(
            regions, (1, 2, 3, 4, 5, 6, 9), (0.5, 0.01, 0.2, np.nan, 0.3, 0.4, 0.001), strict=True
        )
    )
    found = telling_regions(findings_of(Path("maps"), [], regions=table))
    assert [row["region"] for row in found["sub-A", "saliency"]] == list("BCEFA")
    assert [row["region"] for row in found["sub-A", "deep_lift"]] == list("FEDCB")
    assert found["sub-A", "saliency"][0] == {
        "region": "B", "density": 2.0, "density_z": 1.0, "density_p": 0.01,
    }  # fmt: skip
    [scan] = table_of([made_record()], regions=table).scans
    assert [row["region"] for row in scan.maps[0].regions] == list("BCEFA")
