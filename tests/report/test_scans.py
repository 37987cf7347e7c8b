"""The report's table of scans: its order, its pictures' strengths, places and files; regions; failures."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mri_saliency.output.folder import OutputFolder
from mri_saliency.report.scans import failure_entries, scan_table, telling_regions

from ..made_cohort import GRID, made_record, pictured, report_records

FOLDER = OutputFolder(Path("maps"))


def test_wrong_predictions_come_first_then_the_least_confident():
    records = report_records(6)
    entries = scan_table(records, FOLDER).scans
    assert [entry.correct for entry in entries] == [False] + 5 * [True]
    assert entries[0].subject_id == "sub-000"
    confidences = [entry.confidence for entry in entries[1:]]
    assert confidences == sorted(confidences)
    first, second = entries[0].maps
    assert (first.method, first.figure) == (
        "integrated_gradients", FOLDER.summary_figure("integrated_gradients", "sub-000"),
    )  # fmt: skip
    assert (first.verdict, first.error, second.verdict, second.error) == ("ok", 0.123, "", None)


def test_a_scans_warning_is_that_of_any_of_its_maps():
    records = [
        made_record("sub-A"),
        made_record("sub-A", "deep_lift", input_warning="rotated"),
        made_record("sub-B", input_warning=""),
        made_record("sub-C"),
    ]
    entries = {entry.subject_id: entry.warning for entry in scan_table(records, FOLDER).scans}
    assert entries == {"sub-A": "rotated", "sub-B": "", "sub-C": ""}


def test_failures_of_a_scan_for_one_reason_are_one_entry():
    rows = [("a", "saliency", "gone"), ("b", "saliency", "gone"), ("a", "deep_lift", "gone")]
    rows.append(("a", "smooth_grad", "out of memory"))
    found = failure_entries([dict(zip(("subject_id", "method", "reason"), row, strict=True)) for row in rows])
    assert [(entry.subject_id, entry.methods, entry.reason) for entry in found] == [
        ("a", ["saliency", "deep_lift"], "gone"),
        ("b", ["saliency"], "gone"),
        ("a", ["smooth_grad"], "out of memory"),
    ]


def test_pictures_are_drawn_on_their_methods_common_scale(tmp_path):
    records = [made_record(name, method) for method in ("saliency", "deep_lift") for name in "abcdefghijk"]
    records = pictured(records, tmp_path, [*range(11), *range(100, 1200, 100)])
    table = scan_table([*records, made_record("a", "gradient_shap")], OutputFolder(tmp_path))
    maps = {(scan.subject_id, one.method): one for scan in table.scans for one in scan.maps}
    for method, unit in (("saliency", 9), ("deep_lift", 1000)):  # the 90th percentiles
        for place, name in enumerate("abcdefghijk"):
            own = place if method == "saliency" else 100 + 100 * place
            assert maps[name, method].strength == pytest.approx(own / unit)
            assert maps[name, method].opacity == pytest.approx(min(1, (own / unit) ** 0.6))
    picture, earlier = maps["a", "saliency"], maps["a", "gradient_shap"]
    assert picture.place == f"y = {GRID.slice_y_mm(4):.0f} mm".replace("-", "−")
    assert (earlier.thumbnail, earlier.strength, earlier.place) == (None, None, "")
    assert table.has_thumbnails and not scan_table([made_record()], FOLDER).has_thumbnails


def test_sides_are_marked_only_where_they_are_known(tmp_path):
    known, unknown = pictured([made_record("sub-A"), made_record("12")], tmp_path)
    unknown = replace(unknown, grid=replace(unknown.grid, affine=None))
    maps = {
        scan.subject_id: scan.maps[0] for scan in scan_table([known, unknown], OutputFolder(tmp_path)).scans
    }
    assert maps["sub-A"].has_sides and not maps["12"].has_sides


def test_maps_of_zeros_have_no_strength_but_a_picture(tmp_path):
    table = scan_table(pictured([made_record()], tmp_path, [0.0]), OutputFolder(tmp_path))
    assert (table.scans[0].maps[0].strength, table.scans[0].maps[0].opacity) == (0, 0)


def test_each_list_of_files_is_held_once():
    files = ("attributions.npy", "summary.png")
    records = [made_record(name, files=files) for name in ("sub-A", "sub-B")]
    records.append(made_record("sub-C", "expected_gradients", files=(*files, "standard_error.nii.gz")))
    table = scan_table(records, FOLDER)
    assert table.endings == [
        (*files, "attributions.json"),
        (*files, "standard_error.nii.gz", "attributions.json"),
    ]
    maps = {scan.subject_id: scan.maps[0] for scan in table.scans}
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
    found = telling_regions(table)
    assert [row["region"] for row in found["sub-A", "saliency"]] == list("BCEFA")
    assert [row["region"] for row in found["sub-A", "deep_lift"]] == list("FEDCB")
    assert found["sub-A", "saliency"][0] == {
        "region": "B", "density": 2.0, "density_z": 1.0, "density_p": 0.01,
    }  # fmt: skip
    [entry] = scan_table([made_record()], FOLDER, table).scans
    assert [row["region"] for row in entry.maps[0].regions] == list("BCEFA")
