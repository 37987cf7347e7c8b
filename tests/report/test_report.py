"""The report shows what was found, keeps hostile names inert, and its links lead to files."""

import re
import tomllib
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pandas as pd
import pytest

import mri_saliency
from mri_saliency.checks.verdicts import Verdict
from mri_saliency.groups.comparison import ComparedContrast, GroupComparison
from mri_saliency.maps.comparison import NULL
from mri_saliency.output.files import write_picture
from mri_saliency.regions.lateralisation import lateralisation_table
from mri_saliency.wording import ClassNames, Limitation

from ..made_cohort import (
    HOSTILE,
    REPORT_METHODS,
    SIDED_PAIRS,
    made_record,
    pictured,
    report_records,
    sided_regions,
)
from .pages import ANSWERS, RUN, region_table, save_page

CLUSTER = {"method": "saliency", "contrast": "TLE_minus_HC", "peak_x": -27.4, "peak_y": -30.0}
CLUSTER |= {"peak_z": -12.1, "region": "Hip", "volume_mm3": 815.4, "peak_effect": 1.75, "peak_t": 6.04}
CLUSTER |= {"p": 0.004}
GROUPS = GroupComparison(
    [ComparedContrast("saliency", "TLE_minus_HC", 7, 6, 0.02, 0.004)],
    11 * [CLUSTER],
    limitations=[Limitation("Left was not compared.", "too few")],
)


def test_480_scans_by_four_methods_fit_into_3_mb(tmp_path):
    methods = ("integrated_gradients", "saliency", "input_x_gradient", "deep_lift")
    names = [f"sub-SITE{i:03}_ses-M{i:03}" for i in range(480)]
    files = ("attributions.npy", "attributions.nii.gz", "viewer.js", *(f"slice_{i}.png" for i in range(7)))
    numbers = {"completeness_verdict": "ok", "completeness_error": 0.01, "brain_share_null": 0.123456}
    records = [made_record(name, method, files=files, **numbers) for name in names for method in methods]
    rows = [
        (name, name, method, f"Left planum temporale {i}", 2.34567, 3.45678)
        for name in names
        for method in methods
        for i in range(5)
    ]
    columns = (
        "subject_id",
        "subject",
        "method",
        "region",
        "density",
        "density_z",
    )
    table = pd.DataFrame(rows, columns=columns).assign(density_null=1.0, asymmetry=0.1, diagnosis="HC")
    page = save_page(tmp_path, pictured(records, scales=range(1, 1921)), regions=table)
    assert page.classes.count("map") == 1920 <= page.source.count('loading="lazy"')
    assert page.text.count("(z 3.5)") == 9600
    assert len(page.source.encode()) < 2.9e6  # the rest is left to other parts


@pytest.mark.parametrize(
    ("status", "sentence"),
    [("interrupted", "was interrupted"), ("running", "had not ended"), ("describing", ""), ("done", "")],
)
def test_a_run_that_did_not_end_well_is_said(tmp_path, status, sentence):
    page = save_page(tmp_path, report_records(1), run=RUN | {"status": status})
    assert "26 November 2026, 00:18 UTC" in page.text and sentence in page.text
    assert ("status" in page.classes) == bool(sentence)


def test_names_cannot_become_markup_and_no_address_leaves_the_folder(tmp_path):
    page = save_page(tmp_path, report_records())
    assert "<script>document.title" not in page.source and page.text.count(HOSTILE) >= 2
    assert not any(re.match(r"\w+:", url) for url in page.urls)
    assert "http" not in page.source.replace("http://www.w3.org", "")


def test_every_section_shows_its_numbers(tmp_path):
    agreement = {"subject_id": "sub-001", "method_a": REPORT_METHODS[0], "method_b": REPORT_METHODS[1]}
    agreement |= {"rank_correlation": -0.12}
    agreement |= {"rank_correlation_chance": -0.56}
    page = save_page(
        tmp_path,
        report_records(),
        alarms=["Take care."],
        regions=region_table(),
        groups=replace(GROUPS, figures={"saliency": {"HC": tmp_path / "HC.png"}}),
        verdicts={"saliency": ANSWERS, "deep_lift": {"repeatable": Verdict(True, "alike")}},
        agreement=pd.DataFrame([agreement, agreement | {"method_b": NULL, "rank_correlation": 0.78}]),
    )
    assert "n_steps 50, seed 0; baseline zero" in page.text and "Take care." in page.text
    for row in (
        ["saliency", "TLE minus HC", "7, 6", "in 2.00% of the brain", "0.004"],
        ["saliency", "TLE minus HC", "−27, −30, −12", "Hip", "815", "1.75 ×", "6.0", "0.004"],
        ["Hippocampus <L>", "–", "2.50", "–", "–", "1.75", "–", "–", "−0.25", "–"],
        ["saliency", "NO not ahead of |scan - baseline|.", "not judged draws nothing", "–"],
        ["deep_lift", "–", "–", "yes alike"],
        ["saliency", "−0.12 (−0.56)", ""],
        ["null map |scan − reference|", "0.78 (−0.56)", "– (–)"],
    ):
        assert row in page.rows, row
    assert "the first 5 of 11 (group_clusters.csv has all)" in page.text
    assert "Left was not compared (too few)." in page.text
    assert "check: off by 12.3%" in page.text and "70% in brain, null 60%" in page.text
    assert {"groups", "regions", "checks", "agreement", "methods-text", "tables"} <= page.ids
    assert page.text.count("Shows:") == page.text.count("Does not show:") >= 5


def test_what_was_not_measured_has_no_section(tmp_path):
    page = save_page(tmp_path, report_records())
    sections = {"inputs", "groups", "regions", "lateralisation", "checks", "agreement", "networks"}
    assert not sections & page.ids and "alarms" not in page.classes and "badge" not in page.classes


def test_regions_that_differ_between_groups_are_listed(tmp_path):
    row = {"method": "saliency", "contrast": "left_minus_HC", "n_patients": 6, "n_controls": 9}
    differing = [row | {"region": f"Region {i}", "ratio": 2.5, "t": 19.0 - i, "p": 0.01} for i in range(11)]
    same = row | {"contrast": "right_minus_HC", "region": "Region 0", "ratio": 1.0, "t": 0.1, "p": 0.9}
    page = save_page(tmp_path, report_records(), region_test=pd.DataFrame([*differing, same]))
    left, right = page.rows_of("saliency")
    assert left[:4] == ["saliency", "TLE, focus on the left, minus HC", "6, 9", "11"]
    assert left[4].startswith("Region 0 2.50 ×, p 0.010; Region 1 2.50 ×")
    assert "Region 10" not in left[4] and left[4].endswith("; and 1 more")
    assert right[3:] == ["1", "none; smallest p 0.900"]


def test_lateralisation_compares_with_grey_matter_and_counts_the_pairs(tmp_path):
    table = lateralisation_table(sided_regions(effect=2.0), SIDED_PAIRS)
    page = save_page(tmp_path, report_records(), lateralisation=table)
    whole, row = page.rows_of("saliency")
    assert whole[1].startswith("whole hemisphere")
    assert row[1:4] == ["hippocampus (densest)", "6 / 6", "1.00 (0.69 to 1.00)"]
    assert row[7] == "not shown to differ from grey matter there"
    assert "figures/lateralisation.png" in page.urls
    assert "of 2 pairs, the interval lies above 0.5 in 1, and 0 tell the sides better" in page.text


WARNING = "its voxels are of <2> mm"


def warned_records():
    """Six scans, three of them with an input warning: sub-000, which is wrong, sub-001 and sub-002."""
    warnings = {"sub-000": WARNING, "sub-001": WARNING, "sub-002": "its axes are rotated"}
    return [
        replace(record, statistics=replace(record.statistics, input_warning=warnings.get(record.subject_id)))
        for record in report_records()
    ]


def test_input_warnings_are_counted_marked_and_classified_apart(tmp_path):
    page = save_page(tmp_path, warned_records())
    assert "3 of 6 scans have an input warning" in page.text
    assert [WARNING, "2"] in page.rows and ["its axes are rotated", "1"] in page.rows
    assert page.classes.count("badge") == 3
    assert len(page.rows_of(f"sub-001 warning: {WARNING}")) == 1
    numbers = [row[1:] for row in page.rows_of("HC", "TLE")]  # of all, of those with a warning
    assert numbers == [["2", "1"], ["0", "3"], ["1", "1"], ["0", "1"]]
    assert "accuracy 83.3%" in page.text and "accuracy 66.7%" in page.text


def test_what_did_not_go_in_is_listed_with_its_reasons(tmp_path):
    skipped = [{"file": "", "value": None, "reason": "no file"}]
    skipped += [{"file": f"{i}.nii", "value": "<other>", "reason": "none of HC"} for i in range(30)]
    failures = [
        {"subject_id": f"sub-{i}", "method": method, "file": f"{i}.nii", "reason": f"{i}.nii: is a folder"}
        for i in range(12)
        for method in REPORT_METHODS
    ]
    page = save_page(
        tmp_path,
        report_records(),
        run=RUN | {"skipped_rows": skipped},
        failures=failures,
        limitations=[Limitation("1 scan was left out.", "sub-B as sub-A")],
        notes=["no normal range"],
    )
    assert "31 rows of the table skipped" in page.text and "24 maps failed" in page.text
    assert ["(empty)", "(empty)", "no file"] in page.rows and ["29.nii", "<other>", "none of HC"] in page.rows
    methods = ", ".join(REPORT_METHODS)
    assert all([f"sub-{i}", methods, f"{i}.nii: is a folder"] in page.rows for i in range(12))
    assert "1 scan was left out (sub-B as sub-A). no normal range" in page.text
    assert page.text.count("1 scan was left out") == 2 and page.text.count("as sub-A") == 1  # not in a paper


def without_sides(records):
    return [
        replace(r, statistics=replace(r.statistics, diagnosis="TLE" if r.statistics.is_tle else "HC"))
        for r in records
    ]


def test_patients_without_a_side_have_their_own_columns_and_filter(tmp_path):
    regions = region_table().assign(diagnosis="TLE")
    page = save_page(tmp_path, without_sides(report_records()), regions=regions)
    assert '<option value="TLE">' in page.source and '<option value="left">' not in page.source
    assert "density, TLE" in page.text and "density, left" not in page.text
    mixed = [*report_records(), *without_sides([made_record("sub-x", true_label=1)])]
    assert "density, TLE, side unknown" in save_page(tmp_path, mixed, regions=regions).text


def test_the_classes_words_replace_hc_and_tle(tmp_path):
    page = save_page(
        tmp_path,
        without_sides(warned_records()),
        class_names=ClassNames("CN", "<AD>"),
        regions=region_table().assign(diagnosis="TLE"),
        groups=replace(GROUPS, figures={"saliency": {"CN": tmp_path / "CN.png"}}),
    )
    assert "<AD> minus CN" in page.text and "P(<AD>)" in page.text and "<AD>, correct" in page.text
    assert not re.search(r"\b(HC|TLE)\b", page.text)


@pytest.fixture
def described(cohort):
    """A folder with the pictures that the report shows."""
    picture, folder = np.full((4, 5, 4), 255, np.uint8), cohort.folder
    records = pictured(cohort.records, folder.root)
    paths = [folder.check_figure, folder.region_figure, folder.lateralisation_figure]
    paths += [folder.summary_figure(record.method, record.subject_id) for record in records]
    folder.open_groups("saliency")
    for path in (*paths, folder.group_map("saliency", "HC.png")):
        write_picture(path, picture)
    for name in ("README", "run.json"):
        (folder.root / name).touch()
    figures = {"saliency": {"HC": folder.group_map("saliency", "HC.png")}}
    found = {"groups": replace(GROUPS, figures=figures), "verdicts": {"saliency": ANSWERS}}
    found |= {"regions": region_table(), "lateralisation": lateralisation_table(sided_regions(), SIDED_PAIRS)}
    return folder, records, found


def test_every_link_of_the_report_leads_to_a_file(described):
    folder, records, found = described
    page = save_page(folder.root, records, **found)
    files = {unquote(url) for url in page.urls if not url.startswith("#")}
    assert {f"figures/{name}.png" for name in ("map_checks", "region_statistics", "lateralisation")} <= files
    assert "references.bib" in files
    assert {"group_maps/saliency/saliency_HC.png", "saliency/12/12_saliency_thumbnail.png"} <= files
    assert not [name for name in files if not (folder.root / name).exists()]


def test_an_embedded_report_needs_no_file(described, monkeypatch):
    monkeypatch.setattr("mri_saliency.report.viewer._EMBEDDED_SCANS", 1)
    page = save_page(described[0].root, described[1], embed=True, **described[2])
    assert all(url.startswith(("data:image/png;base64,", "#")) for url in page.urls)


def test_templates_are_packaged_and_have_short_lines():
    package = Path(mri_saliency.__file__).parent
    settings = tomllib.loads((package.parent / "pyproject.toml").read_text())["tool"]["setuptools"]
    patterns = settings["package-data"]["mri_saliency.report"]
    packaged = {path for pattern in patterns for path in (package / "report").glob(pattern)}
    templates = set((package / "report" / "templates").iterdir())
    assert len(templates) > 10 and templates <= packaged and package / "report" / "references.bib" in packaged
    for path in templates:
        assert max(map(len, path.read_text(encoding="utf-8").splitlines())) <= 110, path


def test_thumbnails_of_scans_without_affine_have_no_sides(tmp_path):
    known, unknown = pictured([made_record("sub-A"), made_record("12")], tmp_path)
    unknown = replace(unknown, grid=replace(unknown.grid, affine=None))
    page = save_page(tmp_path, [known, unknown])
    assert page.classes.count("slice") == 2 and page.classes.count("placed") == 1
