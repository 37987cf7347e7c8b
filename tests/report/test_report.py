"""The report shows what the tables hold, keeps hostile names inert, and works in a browser."""

import re
import tomllib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import mri_saliency
from mri_saliency.checks.verdicts import Verdict
from mri_saliency.groups.comparison import ComparedContrast, GroupComparison
from mri_saliency.maps.comparison import NULL
from mri_saliency.output.files import relative_url, write_json, write_picture, write_table
from mri_saliency.output.folder import OutputFolder
from mri_saliency.regions.densities import densest
from mri_saliency.regions.lateralisation import lateralisation_table
from mri_saliency.report.bibliography import read_entries
from mri_saliency.report.findings import Findings
from mri_saliency.report.methods_text import MethodsText
from mri_saliency.report.report import Report, render, write_report
from mri_saliency.wording import ClassNames

from ..made_cohort import (
    HOSTILE,
    REPORT_METHODS,
    SIDED_PAIRS,
    made_record,
    pictured,
    report_records,
    sided_regions,
)

RUN = {
    "command_line": f"generate {HOSTILE}",
    "options": {"output_dir": "maps", "csv_path": "val.csv", "baseline": "zero"},
    "settings": {"n_steps": 50, "seed": 0},
    "checkpoint": {"network": "EfficientNetV2-S", "path": "best_model.pth", "sha256": "0" * 64},
    "device": {"name": "cpu", "hardware": "cpu"},
    "tool": {"name": "mri-saliency-maps", "version": "1"},
    "versions": {"python": "3", "torch": "2"},
    "started": "2026-01-01",  # and no "ended": a run that was killed
}
ANSWERS = {
    "finds the evidence": Verdict(False, "not ahead of |scan - baseline|."),
    "same with another seed": Verdict(None, "draws nothing"),
}


def save_page(folder, records, **changes):
    """Render a page into a folder; returns its text."""
    picture = folder / "a b" / "summary#1.png"
    if not picture.exists():
        picture.parent.mkdir()
        Image.fromarray(np.full((60, 200, 3), 120, np.uint8)).save(picture)
    content = {
        "run": RUN,
        "records": records,
        "alarms": ["something"],
        "figures": {"summary": picture},
        "groups": GroupComparison(figures={method: {"HC": picture} for method in REPORT_METHODS}),
        "folder": OutputFolder(folder),
        "agreement": pd.DataFrame(),
    } | changes
    text = render(Report(**content), lambda path: relative_url(path, folder))
    (folder / "report.html").write_text(text, encoding="utf-8")
    return text


def region_table():
    """Rows of region_statistics.csv, with diagnoses: two methods and two regions."""
    rows = [
        {"subject_id": "sub-001", "method": method, "region": region, "diagnosis": "left"}
        | {"mass": 1.0, "share": 0.5, "density": density, "asymmetry": -0.25, "density_null": 1.75}
        | dict.fromkeys(("density_z", "density_p", "asymmetry_z", "asymmetry_p"))
        for method in REPORT_METHODS
        for region, density in (("Hippocampus <L>", 2.5), ("outside the brain", 0.1))
    ]
    return pd.DataFrame(rows)


def agreement_table():
    row = {"subject_id": "sub-001", "method_a": REPORT_METHODS[0], "method_b": REPORT_METHODS[1]}
    row |= {"rank_correlation": -0.12, "top_overlap": 0.34}
    row |= {"rank_correlation_chance": -0.56, "top_overlap_chance": np.nan}
    return pd.DataFrame([row, row | {"method_b": NULL, "rank_correlation": 0.78}])


def test_480_scans_by_four_methods_fit_into_3_mb(tmp_path):
    methods = ("integrated_gradients", "expected_gradients", "gradient_shap", "guided_backprop")
    names = [f"sub-SITE{i:03}_ses-M{i:03}" for i in range(480)]
    files = ("attributions.npy", "attributions.nii.gz", "viewer.js", *(f"slice_{i}.png" for i in range(7)))
    numbers = {"completeness_verdict": "ok", "completeness_error": 0.01, "brain_share_null": 0.123456}
    numbers |= {"map_error": 0.000123456}
    records = [made_record(name, method, files=files, **numbers) for name in names for method in methods]
    rows = [
        (name, method, f"Left planum temporale {i}", 2.34567, 3.45678, 0.0123456)
        for name in names
        for method in methods
        for i in range(5)
    ]
    columns = ("subject_id", "method", "region", "density", "density_z", "density_p")
    table = pd.DataFrame(rows, columns=columns).assign(density_null=1.0, asymmetry=0.1, diagnosis="HC")
    page = save_page(tmp_path, pictured(records, scales=range(1, 1921)), regions=table)
    assert page.count('class="map"') == 1920 and page.count("(z 3.5, p 0.012)") == 9600
    assert len(page.encode()) < 2.9e6  # the rest is left to other parts


def test_a_run_that_did_not_end_well_is_said_and_its_moment_is_legible(tmp_path):
    run = RUN | {"started": "2026-11-26T00:17:42+00:00", "status": "interrupted"}
    page = save_page(tmp_path, report_records(1), run=run)
    assert "26 November 2026, 00:17 UTC+0" in page and "The run was interrupted: maps or checks" in page
    for status in ("running", "describing", "done"):
        page = save_page(tmp_path, report_records(1), run=run | {"status": status})
        assert ("had not ended when this page was written" in page) == (status == "running")
        assert ('class="status"' in page) == (status == "running")


def test_names_cannot_become_markup_and_paths_become_urls(tmp_path):
    page = save_page(tmp_path, report_records())
    assert "<script>document.title" not in page and "&lt;script&gt;document.title" in page
    assert 'src="a%20b/summary%231.png"' in page
    assert "http:" not in page.replace("http://www.w3.org", "") and "https:" not in page


def test_every_section_shows_its_numbers(tmp_path):
    regions = region_table()
    failures = [
        {"subject_id": f"sub-{i}", "method": method, "file": f"{i}.nii", "reason": f"{i}.nii: is a folder"}
        for i in range(12)
        for method in REPORT_METHODS
    ]
    page = save_page(
        tmp_path,
        report_records(),
        regions=regions,
        densest=densest(regions),
        figures={name: tmp_path / f"{name}.png" for name in ("summary", "regions", "checks")},
        verdicts={"saliency": ANSWERS},
        agreement=agreement_table(),
        failures=failures,
    )
    for text in (
        *("n_steps 50, seed 0; baseline zero", "python 3, torch 2", "EfficientNetV2-S ·\n6 scans ·"),
        *("Hippocampus &lt;L&gt;", '<td class="n">2.50</td>', '<td class="n">−0.25</td>'),
        *('<td class="bad">NO<br>', '<small class="soft">draws nothing</small>'),
        *('src="checks.png"', 'src="regions.png"'),
        *('<td class="n">−0.12\n<span class="soft">(−0.56)</span></td>', "null map |scan − reference|"),
        *('<td class="n">0.34\n<span class="soft">(–)</span></td>', '<td class="n">0.78\n'),
        *("24 maps failed (failures.csv)", "integrated_gradients, saliency</td>"),
        *("check: off by 12.3%", "70% in brain, null 60%", "<li>something</li>"),
    ):
        assert text in page, text
    assert all(f"<td>{i}.nii: is a folder</td>" in page for i in range(12))
    without_figure = save_page(tmp_path, report_records(), verdicts={"saliency": ANSWERS})
    assert "Curves of the checks" not in without_figure and '<td class="bad">NO<br>' in without_figure
    assert "not ahead of |scan - baseline|." in without_figure


def test_a_check_that_only_one_method_has_gets_its_column(tmp_path):
    first, second = ({check: Verdict(True, "")} for check in ("finds the evidence", "repeatable"))
    page = save_page(tmp_path, report_records(), verdicts={"saliency": first, "deep_lift": second})
    table = page.split('id="checks"')[1].split("</table>")[0]
    assert table.count('<th scope="col">finds the evidence</th>') == table.count(">repeatable</th>") == 1
    assert table.count('<td class="good">yes') == table.count('<td class="soft">–</td>') == 2


def test_normal_ranges_are_shown_where_there_are_some(tmp_path):
    regions = region_table()
    page = save_page(tmp_path, report_records(), regions=regions, densest=densest(regions))
    assert "outside the normal range" not in page.casefold() and "null, left" in page and ">1.75<" in page
    regions.loc[regions["method"] == "saliency", "density_p"] = [0.01, 0.5]
    page = " ".join(save_page(tmp_path, report_records(), regions=regions, densest=densest(regions)).split())
    assert page.count("<summary>Outside the normal range</summary>") == 1
    assert "of 1: left 1.0, expected by chance 0.1." in page
    assert '<td class="n">100%</td>' in page and "Crawford and Howell" in page


def test_regions_that_differ_between_groups_are_listed(tmp_path):
    row = {"method": "saliency", "contrast": "left_minus_HC", "n_patients": 6, "n_controls": 9}
    differing = [row | {"region": f"Region {i}", "ratio": 2.5, "t": 19.0 - i, "p": 0.01} for i in range(11)]
    same = row | {"contrast": "right_minus_HC", "region": "Region 0", "ratio": 1.0, "t": 0.1, "p": 0.9}
    page = save_page(tmp_path, report_records(), region_test=pd.DataFrame([*differing, same]))
    page = " ".join(page.split())
    assert "Region 0 2.50 ×, p 0.010; Region 1 2.50 ×, p 0.010;" in page
    assert "Region 10" not in page and "; and 1 more" in page and '<td class="n">11</td>' in page
    assert "none; smallest p 0.900" in page and "focus on the right, minus HC" in page
    assert "Regions that differ" not in save_page(tmp_path, report_records())


def test_lateralisation_compares_with_grey_matter_and_counts_the_pairs(tmp_path):
    table = lateralisation_table(sided_regions(effect=2.0), SIDED_PAIRS)
    figures = {name: tmp_path / f"{name}.png" for name in ("summary", "lateralisation")}
    page = save_page(tmp_path, report_records(), lateralisation=table, figures=figures)
    page = " ".join(page.split())
    for text in (
        *('id="lateralisation"', 'href="#lateralisation"', 'src="lateralisation.png"'),
        *(
            '<td>hippocampus <span class="soft">(densest)</span></td>',
            '<td class="n">6 / 6</td>',
            "1.00 (0.69 to 1.00)",
        ),
        "not shown to differ from grey matter there",
        *("saliency: of 2 pairs, the interval lies above 0.5 in 1 and below in 0", "about 0.1 each"),
    ):
        assert text in page, text
    unknown = table.assign(grey_matter_auc=np.nan, auc_difference=np.nan)
    page = save_page(tmp_path, report_records(), lateralisation=unknown)
    assert "grey matter is not known" in page
    assert "lateralisation.png" not in page


def test_what_was_not_measured_has_no_section(tmp_path):
    page = save_page(tmp_path, report_records(), alarms=[], groups=GroupComparison())
    for section in ("inputs", "groups", "regions", "lateralisation", "checks", "agreement"):
        assert f'id="{section}"' not in page and f'href="#{section}"' not in page
    assert "Needs a look" not in page and "failures.csv" not in page
    assert "<caption>" not in page and 'class="badge"' not in page and "were skipped" not in page


def test_table_and_badges_tell_one_prediction(tmp_path):
    """Of three classes, HC is the most probable though TLE's two together reach 0.6."""
    logits = np.log([0.4, 0.3, 0.3])
    tle = made_record("sub-B", logits=logits, true_label=1, diagnosis="left")
    page = save_page(tmp_path, [made_record("sub-A", logits=logits), tle])
    assert '<th scope="row">HC</th><td class="n">1</td><td class="n">0</td>' in page
    assert '<th scope="row">TLE</th><td class="n">1</td><td class="n">0</td>' in page
    flat = " ".join(page.split())
    assert flat.count("HC, correct") == flat.count("HC, wrong") == 1
    assert "TLE, correct" not in flat and "TLE, wrong" not in flat
    assert "confidence 40.0%" in flat and ">0.600<" in flat


WARNING = "its voxels are of <2> mm"


def warned_records():
    """Six scans, three of them with an input warning: sub-000, which is wrong, sub-001 and sub-002."""
    warnings = {"sub-000": WARNING, "sub-001": WARNING, "sub-002": "its axes are rotated"}
    records = []
    for record in report_records():
        # the other method's maps are of a version that looked for no warning
        warning = warnings.get(record.subject_id) if record.method == "saliency" else None
        records.append(replace(record, statistics=replace(record.statistics, input_warning=warning)))
    return records


def test_input_warnings_are_counted_marked_and_classified_apart(tmp_path):
    page = " ".join(save_page(tmp_path, warned_records()).split())
    assert "3 of 6 scans have an input warning" in page
    assert '<td class="n">2</td><td>its voxels are of &lt;2&gt; mm</td>' in page
    assert '<td class="n">1</td><td>its axes are rotated</td>' in page
    assert '<th scope="row">sub-001 <br><span class="badge">warning: its voxels are of &lt;2&gt; mm' in page
    assert page.count('class="badge"') == page.count('data-warned="true"') == 3
    every, warned = page.split("<caption>")[1:3]
    assert every.startswith("all scans") and warned.startswith("with input warning")
    for part, hc, accuracy in ((every, (2, 1), "83.3%"), (warned, (1, 1), "66.7%")):
        assert f'<th scope="row">HC</th><td class="n">{hc[0]}</td><td class="n">{hc[1]}</td>' in part
        assert f"<dt>accuracy</dt><dd>{accuracy}</dd>" in part


def test_skipped_rows_are_in_the_report_with_their_reasons(tmp_path):
    skipped = [
        {"file": f"{i}.nii", "value": "<other>", "reason": "diagnosis is none of HC"} for i in range(30)
    ]
    skipped.append({"file": "", "value": None, "reason": "no file"})
    page = save_page(tmp_path, report_records(), run=RUN | {"skipped_rows": skipped})
    assert "31 rows of the table were skipped" in page
    assert page.count("<td>&lt;other&gt;</td><td>diagnosis is none of HC</td>") == 30
    assert "<td>(empty)</td><td>(empty)</td><td>no file</td>" in page
    assert page.index('href="#inputs"') < page.index('id="inputs"') < page.index("31 rows")


def test_notes_tell_which_maps_are_left_out(tmp_path):
    page = save_page(tmp_path, report_records(), notes=["sub-B (as sub-A)"])
    assert "<li>sub-B (as sub-A)</li>" in page and 'id="inputs"' in page


def without_sides(records):
    return [
        replace(r, statistics=replace(r.statistics, diagnosis="TLE" if r.statistics.is_tle else "HC"))
        for r in records
    ]


def test_patients_without_a_side_have_their_own_columns_and_filter(tmp_path):
    regions = region_table().assign(diagnosis="TLE")
    changes = {"regions": regions, "densest": densest(regions)}
    page = save_page(tmp_path, without_sides(report_records()), **changes)
    assert '<option value="TLE">TLE</option>' in page and "density, TLE" in page
    assert "density, left" not in page and 'value="left"' not in page
    mixed = [*report_records(), *without_sides([made_record("sub-x", true_label=1)])]
    page = save_page(tmp_path, mixed, **changes)
    for name, word in (("HC", "HC"), ("left", "left"), ("right", "right"), ("TLE", "TLE, side unknown")):
        assert f'<option value="{name}">{word}</option>' in page and f"density, {word}</th>" in page


def test_the_classes_words_replace_hc_and_tle(tmp_path):
    regions = region_table().assign(diagnosis="TLE")
    page = save_page(
        tmp_path,
        without_sides(warned_records()),
        class_names=ClassNames("CN", "<AD>"),
        regions=regions,
        densest=densest(regions),
        groups=GroupComparison(figures={"saliency": {"CN": tmp_path / "HC.png"}}),
    )
    flat = " ".join(page.split())
    for text in (
        *("specificity (CN found)", "sensitivity (&lt;AD&gt; found)", "CN called &lt;AD&gt;"),
        *("P(&lt;AD&gt;)", "&lt;AD&gt;, correct", "CN, correct"),
        *("density, &lt;AD&gt;", '<option value="TLE">&lt;AD&gt;</option>', "</span>CN</td>"),
    ):
        assert text in flat, text
    shown_text = re.sub(r"<(script|style)\b.*?</\1>|<[^>]*>", " ", flat)
    assert not re.search(r"\b(HC|TLE)\b", shown_text)


def test_each_comparison_says_what_it_shows_and_what_it_does_not(tmp_path):
    regions = region_table()
    compared = ComparedContrast("saliency", "TLE_minus_HC", 7, 6, 0.02, 0.004)
    cluster = {"method": "saliency", "contrast": "TLE_minus_HC", "region": "Hip"}
    cluster |= dict.fromkeys(("peak_x", "peak_y", "peak_z", "volume_mm3", "peak_effect", "peak_t", "p"), 1.0)
    row = {"method": "saliency", "contrast": "left_minus_HC", "region": "Hip", "p": 0.5}
    region_test = pd.DataFrame([row | {"ratio": 1.0, "t": 0.1, "n_patients": 6, "n_controls": 9}])
    page = save_page(
        tmp_path,
        report_records(),
        regions=regions,
        densest=densest(regions),
        groups=GroupComparison([compared], [cluster], {"saliency": {"HC": tmp_path / "a.png"}}),
        region_test=region_test,
        lateralisation=lateralisation_table(sided_regions(), SIDED_PAIRS),
        verdicts={"saliency": ANSWERS},
        methods_text=MethodsText(["Done [1]."], "@misc{a2000,\n  year = {2000}\n}\n"),
        references=tmp_path / "references.bib",
    )
    for heading in (
        *("<h3>Where patients and controls differ</h3>", "<summary>Clusters</summary>"),
        *('<h2 id="regions">Regions</h2>', "<h3>Regions that differ between patients and controls</h3>"),
        *(
            '<h2 id="lateralisation">Lateralisation</h2>',
            '<h2 id="checks">Checks of the maps on this network</h2>',
        ),
        '<h2 id="methods-text">For a paper</h2>',
    ):
        after = page.split(heading)[1].lstrip()
        assert after.startswith('<p class="reading"><strong>Shows:</strong>'), heading
        assert "<strong>Does not show:</strong>" in after.split("</p>")[0], heading


def test_the_text_for_a_paper_links_its_references(tmp_path):
    text = MethodsText(["A <b> & done (Tan and Le, 2021).", "More."], "@misc{a2000,\n  year = {2000}\n}\n")
    changes = {"methods_text": text, "references": tmp_path / "references.bib"}
    page = save_page(tmp_path, report_records(), **changes)
    assert "<p>A &lt;b&gt; &amp; done (Tan and Le, 2021).</p>" in page and "@misc{a2000," in page
    assert 'href="references.bib"' in page and 'href="#methods-text"' in page
    page = save_page(tmp_path, report_records(), embedded=True, **changes)
    assert 'href="references.bib"' not in page and "@misc{a2000," in page
    without = save_page(tmp_path, report_records())
    assert "methods-text" not in without and "data-copy" not in without


def findings_of(records, **changes):
    nothing = {"agreement": pd.DataFrame(), "groups": GroupComparison(), "regions": None}
    return Findings(records, **nothing | {"verdicts": {}, "alarms": []} | changes)


@pytest.fixture
def described(cohort):
    """A folder with the pictures that the report links."""
    write_json(cohort.folder.run_record, RUN)
    picture = np.full((4, 5, 4), 255, np.uint8)
    paths = [cohort.folder.summary, cohort.folder.check_figure, cohort.folder.region_figure]
    paths.append(cohort.folder.lateralisation_figure)
    paths += [cohort.folder.summary_figure(record.method, record.subject_id) for record in cohort.records]
    for method in ("saliency", "input_x_gradient"):
        cohort.folder.open_groups(method)
        paths += [cohort.folder.group_map(method, f"{name}.png") for name in ("HC", "TLE_minus_HC")]
    for path in paths:
        write_picture(path, picture)
    return cohort


def test_the_report_links_its_pictures_or_contains_them(described):
    folder = described.folder
    figures = {"HC": folder.group_map("saliency", "HC.png")}
    figures["magnitude, TLE minus HC"] = folder.group_map("saliency", "TLE_minus_HC.png")
    compared = ComparedContrast("saliency", "TLE_minus_HC", 7, 6, 0.02, 0.004)
    cluster = {"method": "saliency", "contrast": "TLE_minus_HC", "region": "Hip"}
    cluster |= {"peak_x": -27.4, "peak_y": -30.0, "peak_z": -12.1, "volume_mm3": 815.4}
    cluster |= {"peak_effect": 1.75, "peak_t": 6.04, "p": 0.004}
    groups = GroupComparison([compared], 11 * [cluster], {"saliency": figures}, ["left was not compared"])
    findings = findings_of(
        described.records,
        groups=groups,
        verdicts={"saliency": ANSWERS},
        regions=region_table(),
        lateralisation=lateralisation_table(sided_regions(), SIDED_PAIRS),
        alarms=["look"],
    )
    write_report(folder, findings, embed=False)
    page = folder.report.read_text(encoding="utf-8")
    for name in ("map_checks", "region_statistics", "lateralisation", "attribution_summary"):
        assert f'src="{name}.png"' in page
    assert 'src="saliency/sub-A/sub-A_saliency_summary.png"' in page and "data:image" not in page
    assert 'alt="saliency, magnitude, TLE minus HC"' in page and 'alt="saliency, HC"' in page
    flat = " ".join(page.split())
    assert '<td>TLE minus HC</td> <td class="n">7, 6</td> <td>in 2.00% of the brain</td>' in flat
    assert "−27, −30, −12" in flat.replace("-27, -30, -12", "−27, −30, −12") and "<td>Hip</td>" in page
    assert '<td class="n">815</td>' in page and ">1.75 ×<" in page and "left was not compared" in page
    assert "the first 5 of 11 (group_clusters.csv has all)" in flat
    renamed = replace(findings, class_names=ClassNames("CN", "AD"), notes=["some maps are left out"])
    write_report(folder, renamed, embed=False)
    page = folder.report.read_text(encoding="utf-8")
    assert "<td>AD minus CN</td>" in page and "P(AD)" in page
    assert "<li>some maps are left out</li>" in page
    assert "Input × gradient (Shrikumar et al., 2016) multiplied" in page
    assert set(read_entries(folder.references.read_text())) >= {"shrikumar2016", "simonyan2014", "tan2021"}
    write_report(folder, findings, embed=True)
    page = folder.report.read_text(encoding="utf-8")
    assert 'src="data:image/png;base64,' in page and 'src="saliency/' not in page


def test_the_report_lists_failures_and_leaves_out_what_was_not_measured(described):
    failures = pd.DataFrame([{"subject_id": "sub-Z", "method": "saliency", "file": "z", "reason": "gone"}])
    write_table(described.folder.failures, failures)
    empty = findings_of(described.records, regions=pd.DataFrame(), lateralisation=pd.DataFrame())
    write_report(described.folder, empty, embed=False)
    page = described.folder.report.read_text(encoding="utf-8")
    assert '<th scope="row">sub-Z</th><td>saliency</td>' in page and "<td>gone</td>" in page
    assert "map_checks" not in page and "region_statistics" not in page
    assert "lateralisation" not in page
    assert page.index('data-id="sub-D"') < page.index('data-id="sub-A"')  # the wrong one first


def test_the_templates_are_packaged():
    package = Path(mri_saliency.__file__).parent
    settings = tomllib.loads((package.parent / "pyproject.toml").read_text())["tool"]["setuptools"]
    packaged = {
        path
        for name, patterns in settings["package-data"].items()
        for pattern in patterns
        for path in (package.parent / name.replace(".", "/")).glob(pattern)
    }
    assert set((package / "cohort" / "templates").iterdir()) <= packaged
    assert package / "cohort" / "references.bib" in packaged


def test_templates_have_short_lines():
    for path in (Path(mri_saliency.__file__).parent / "cohort" / "templates").iterdir():
        assert max(map(len, path.read_text(encoding="utf-8").splitlines())) <= 110, path


def test_thumbnails_of_scans_without_affine_have_no_sides(tmp_path):
    known, unknown = pictured([made_record("sub-A"), made_record("12")], tmp_path)
    unknown = replace(unknown, grid=replace(unknown.grid, affine=None))
    page = save_page(tmp_path, [known, unknown])
    assert page.count('class="slice placed"') == page.count('class="slice"') == 1
