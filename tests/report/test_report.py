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
from mri_saliency.output.folder import OutputFolder
from mri_saliency.regions.lateralisation import lateralisation_table
from mri_saliency.report.alarms import Alarm
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
from .pages import ANSWERS, CLUSTER, RUN, region_table, save_page

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
    regions = [f"Left planum temporale {i}" for i in range(5)]
    levels = {"subject_id": names, "method": methods, "region": regions}
    table = pd.MultiIndex.from_product(levels.values(), names=levels).to_frame(index=False)
    table = table.assign(subject=table["subject_id"], density=2.34567, density_z=3.45678, diagnosis="HC")
    table = table.assign(density_null=1.0, asymmetry=0.1)
    page = save_page(tmp_path, pictured(records, scales=range(1, 1921)), regions=table)
    assert page.classes.count("map") == 1920 <= page.source.count('loading="lazy"')
    assert page.text.count("(z 3.5)") == 5760
    assert len(page.source.encode()) < 2.9e6  # the rest is left to other parts


@pytest.mark.parametrize(
    ("status", "sentence"),
    [("interrupted", "was interrupted"), ("running", "had not ended"), ("done", "")],
)
def test_a_run_that_did_not_end_well_is_said(tmp_path, status, sentence):
    page = save_page(tmp_path, report_records(1), run=RUN | {"status": status})
    assert "26 November 2026" in page.text and sentence in page.text
    assert ("status" in page.classes) == bool(sentence)


def test_names_cannot_become_markup_and_no_address_leaves_the_folder(tmp_path):
    page = save_page(tmp_path, report_records())
    assert "<script>document.title" not in page.source and page.text.count(HOSTILE) >= 2
    assert not any(re.match(r"\w+:", url) for url in page.urls)
    assert "http" not in page.source.replace("http://www.w3.org", "")


def test_every_section_shows_its_numbers(tmp_path):
    agreement = {"subject_id": "sub-001", "method_a": REPORT_METHODS[0], "method_b": REPORT_METHODS[1]}
    agreement |= {"rank_correlation": -0.12, "rank_correlation_chance": -0.56}
    page = save_page(
        tmp_path,
        report_records(),
        alarms=[Alarm("saliency", "3 of 6 maps are odd")],
        regions=region_table(),
        groups=replace(GROUPS, figures={"saliency": {"HC": OutputFolder(tmp_path).summary}}),
        verdicts={"saliency": ANSWERS, "deep_lift": {"repeatable": Verdict(True, "alike")}},
        agreement=pd.DataFrame([agreement, agreement | {"method_b": NULL, "rank_correlation": 0.78}]),
    )
    assert "n_steps 50, seed 0; baseline zero" in page.text and "Saliency: 3 of 6 maps are odd." in page.text
    for row in (
        ["Hip", "−27, −30, −12", "815", "1.75 ×", "–", "6.0", "0.004"],
        ["Hippocampus <L>", "–", "2.50", "–", "–", "1.75", "–"],
        ["Saliency", "NO", "not judged", "–"],
        ["DeepLIFT", "–", "–", "yes"],
        ["without a network: |scan − baseline|", "0.78 (−0.56)", "– (–)"],
        ["Integrated Gradients", "5 of 6", "12.3%", "–", "70%", "60%"],
    ):
        assert row in page.rows, row
    assert "7 and 6 people; significant in 2.00% of the brain; smallest p 0.004" in page.text
    assert "1 more cluster, weaker" in page.text and len(page.rows_of("Hip")) == 10
    assert "Left was not compared (too few)." in page.text and page.text.count("Left was not compared") == 1
    assert "does not add up: off by 12.3%" in page.text


def test_what_was_not_measured_is_said(tmp_path):
    page = save_page(tmp_path, report_records())
    assert "groups" not in page.ids and not {"alarms", "badge"} & set(page.classes)
    assert "No method was tested on this network" in page.text and "No region was measured" in page.text


def test_regions_that_differ_between_groups_are_listed(tmp_path):
    columns = ("contrast", "n_patients", "region", "ratio", "t", "p")
    rows = [("left_minus_HC", 6, f"Region {i}", 2.5, 19.0 - i, 0.01) for i in range(11)]
    rows += [("right_minus_HC", 5, "A", 1.0, 1.0, 0.9), ("aligned_minus_HC", 11, "Left pole", 3.0, 5.0, 0.0)]
    table = pd.DataFrame(rows, columns=columns).assign(method="saliency", n_controls=9)
    regions = region_table(**dict.fromkeys(table["region"], 1.0))
    page = save_page(tmp_path, report_records(), region_test=table, regions=regions)
    [left] = page.rows_of("TLE, focus on the left, minus HC")
    assert left[1:3] == ["6 and 9", "11"] and left[3].startswith("Region 0 2.50 × (–; 0.010); Region 1 2.5")
    assert "Region 10" not in left[3] and left[3].endswith("; and 1 more")
    [right] = page.rows_of("TLE, focus on the right, minus HC")
    assert right[1:] == ["5 and 9", "1", "none; smallest p 0.900"]
    [aligned] = page.rows_of("TLE, all foci mirrored to the left, minus HC")
    assert aligned[1:] == ["6 + 5 and 9", "1", "pole, focus side 3.00 × (–; 0.000)"]


@pytest.mark.parametrize(
    ("numbers", "words"),
    [
        ((0.3, 0.1, 0.5), "the maps tell more than grey matter there"),
        ((0.3, -0.1, 0.5), "not shown to differ from grey matter there"),
        ((np.nan, np.nan, np.nan), "grey matter is not known"),
    ],
)
def test_the_densest_pair_and_the_best_by_grey_matter_are_shown(tmp_path, numbers, words):
    table = lateralisation_table(sided_regions(effect=2.0), SIDED_PAIRS)  # the hippocampus is the densest
    table[["auc_difference", "auc_difference_low", "auc_difference_high"]] = numbers
    table.loc[table["left_region"] == "Left insula", "grey_matter_auc"] = 1.5
    page = save_page(tmp_path, report_records(), lateralisation=table)
    whole, first, second = (row for row in page.rows if row[-1] == words)
    assert whole[0] == "whole hemisphere (all of the brain)"
    assert first[:3] == ["hippocampus (densest)", "6 and 6", "1.00 (0.69 to 1.00)"]
    assert second[0] == "insula (best by grey matter)"
    assert "of 2, the maps' interval lies above 0.5 in 1, and 0 tell the sides better" in page.text


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
    assert page.classes.count("badge") == 3 and page.text.count(f"warning: {WARNING}") == 2
    numbers = [row[1:] for row in page.rows_of("HC", "TLE")]  # of all, of those with a warning
    assert numbers == [["2", "1"], ["0", "3"], ["1", "1"], ["0", "1"]]
    # Wilson's intervals of 5 of 6 and 2 of 3, by a calculator
    assert "accuracy 83.3%, 5 of 6 (95% interval 44 to 97%)" in page.text
    assert "accuracy 66.7%, 2 of 3 (95% interval 21 to 94%)" in page.text


def test_what_did_not_go_in_is_listed_with_its_reasons(tmp_path):
    skipped = [{"file": "", "value": None, "reason": "no file"}]
    skipped += [{"file": f"{i}.nii", "value": "<other>", "reason": "none of HC"} for i in range(30)]
    failed = {"subject_id": "sub-7", "file": "7.nii", "reason": "7.nii: is a folder"}
    failures = [failed | {"method": method} for method in REPORT_METHODS]
    page = save_page(
        tmp_path,
        report_records(),
        run=RUN | {"skipped_rows": skipped},
        failures=failures,
        limitations=[Limitation("1 scan was left out.", "sub-B as sub-A")],
        notes=["no normal range"],
    )
    assert "31 rows of the table skipped" in page.text and "2 maps failed" in page.text
    assert ["(empty)", "(empty)", "no file"] in page.rows and ["29.nii", "<other>", "none of HC"] in page.rows
    assert ["sub-7", "Integrated Gradients, Saliency", "7.nii: is a folder"] in page.rows
    assert "1 scan was left out (sub-B as sub-A). no normal range" in page.text
    assert page.text.count("1 scan was left out") == 2 and page.text.count("as sub-A") == 1  # not in a paper


def without_sides(records):
    return [
        replace(r, statistics=replace(r.statistics, diagnosis="TLE" if r.statistics.is_tle else "HC"))
        for r in records
    ]


def test_patients_without_a_side_have_their_own_columns_and_the_classes_words(tmp_path):
    regions = region_table().assign(diagnosis="TLE")
    records, groups = without_sides(warned_records()), OutputFolder(tmp_path).summary
    page = save_page(
        tmp_path,
        records,
        class_names=ClassNames("CN", "<AD>"),
        regions=regions,
        groups=replace(GROUPS, figures={"saliency": {"CN": groups}}),
    )
    assert '<option value="left">' not in page.source and ["CN", "<AD>", "CN", "<AD>"] in page.rows
    assert "<AD> minus CN" in page.text and not re.search(r"\b(HC|TLE)\b", page.text)
    mixed = [*report_records(), *without_sides([made_record("sub-x", true_label=1)])]
    assert "TLE, side unknown" in save_page(tmp_path, mixed, regions=regions).text


@pytest.fixture
def described(cohort):
    """A folder with the pictures that the report shows."""
    picture, folder = np.full((4, 5, 4), 255, np.uint8), cohort.folder
    records = pictured(cohort.records, folder.root)
    paths = [folder.cluster_figure]
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
    assert {"figures/group_clusters.png", "references.bib"} <= files
    assert {"group_maps/saliency/saliency_HC.png", "saliency/12/12_saliency_thumbnail.png"} <= files
    assert not [name for name in files if not (folder.root / name).exists()]


def test_an_embedded_report_needs_no_file(described, monkeypatch):
    monkeypatch.setattr("mri_saliency.report.viewer._EMBEDDED_SCANS", 1)
    page = save_page(described[0].root, described[1], embed=True, **described[2])
    assert all(url.startswith(("data:image/png;base64,", "#")) for url in page.urls)


def test_templates_are_packaged():
    package = Path(mri_saliency.__file__).parent
    settings = tomllib.loads((package.parent / "pyproject.toml").read_text())["tool"]["setuptools"]
    patterns = settings["package-data"]["mri_saliency.report"]
    packaged = {path for pattern in patterns for path in (package / "report").glob(pattern)}
    templates = set((package / "report" / "templates").iterdir())
    assert len(templates) > 10 and {*templates, package / "report" / "references.bib"} <= packaged


def test_thumbnails_of_scans_without_affine_have_no_sides(tmp_path):
    known, unknown = pictured([made_record("sub-A"), made_record("12")], tmp_path)
    unknown = replace(unknown, grid=replace(unknown.grid, affine=None))
    page = save_page(tmp_path, [known, unknown])
    assert page.classes.count("open") == 2 and page.classes.count("placed") == 1
