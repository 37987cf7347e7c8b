"""The text for a paper states what was done and found, what was left out and failed, and nothing else."""

import re
from dataclasses import replace

import pandas as pd
import pytest

from mri_saliency.checks.verdicts import Verdict, verdicts
from mri_saliency.combine.repeatability import REPEATABLE
from mri_saliency.groups.comparison import ComparedContrast, ComparisonSettings, GroupComparison
from mri_saliency.maps.comparison import NULL
from mri_saliency.methods import METHODS
from mri_saliency.output.files import write_json, write_table
from mri_saliency.output.folder import OutputFolder
from mri_saliency.output.program import program
from mri_saliency.regions.lateralisation import lateralisation_table
from mri_saliency.report.bibliography import with_authors
from mri_saliency.report.methods_text import methods_text
from mri_saliency.statistics.normal_ranges import add_normal_ranges
from mri_saliency.wording import ClassNames, Limitation

from ..made_cohort import RECIPE, SIDED_PAIRS, checks_table, made_record, report_records, sided_regions
from .pages import ANSWERS, CLUSTER, RUN, findings_of, region_table, save_page

DIAGNOSES = {"sub-0": "HC", "sub-1": "left", "sub-2": "right", "sub-3": "HC"}


def records_of(method, settings=None, **statistics):
    """Maps of four scans; a value that is a list is dealt to them."""
    return [
        made_record(
            subject_id,
            method,
            recipe=replace(RECIPE, settings=settings or {}),
            diagnosis=diagnosis,
            true_label=int(diagnosis != "HC"),
            sample_idx=index,
            **{key: value[index] if isinstance(value, list) else value for key, value in statistics.items()},
        )
        for index, (subject_id, diagnosis) in enumerate(DIAGNOSES.items())
    ]


def integrated(**statistics):
    """Maps of Integrated Gradients, one of them not complete."""
    settings = {"baseline": "zero", "n_steps": "auto", "map_error": 0.001}
    known = {"map_error": [1e-4, 2e-4, 4e-4, 3e-3], "completeness_verdict": ["ok", "check", "ok", "ok"]}
    return records_of("integrated_gradients", settings, **known | statistics)


def text_of(root, records, **changes):
    """Return the text; what holds for every text is checked here."""
    paragraphs = methods_text(findings_of(root, records, **changes))
    text = with_authors("\n".join(paragraphs))
    sentences = re.split(r"(?<=[.])\s+(?=[A-Z“p0-9])", text)
    assert len(sentences) == len(set(sentences)), [s for s in sentences if sentences.count(s) > 1]
    assert all(sentence.endswith(".") for sentence in sentences) and "  " not in text and "[@" not in text
    assert "None" not in text and "nan" not in text and "{" not in text
    return text


def assert_states(text, *parts, not_this=""):
    assert [part for part in parts if part not in text] == []
    assert [word for word in filter(None, not_this.split(", ")) if word in text] == []


def test_a_plain_run(tmp_path):
    assert_states(
        text_of(tmp_path, integrated()),
        *("EfficientNetV2-L (Tan and Le, 2021)", "log-odds of TLE", "9 coronal slices (indices 10 to 18"),
        *("4 scans of 4 subjects: 2 HC, 1 TLE", "an input of zeros", "no more than 0.1% of its"),
        *("0.03% of their summed magnitude in the median and 0.3% at most", "in 1 of 4 Integrated Gradients"),
        *(f"mri-saliency-maps {program()}, Python 3.11.7, PyTorch 2.6 (Paszke", "ran on NVIDIA H100"),
        not_this="warning, left out, At most, could not be made, compared, checked, described with",
    )


def test_what_was_left_out_is_stated(tmp_path):
    warning = "its voxels are of 2 mm"
    skipped = [{"reason": reason} for reason in ("no file", "diagnosis is none of HC", "no file")]
    run = RUN | {"status": "interrupted", "options": {"max_samples": 5, "methods": ["integrated_gradients"]}}
    reason = "/data/z.nii: is a folder. Name another."
    text = text_of(
        tmp_path,
        integrated(input_warning=[None, warning, None, warning]),
        run=run | {"skipped_rows": skipped, "counts": {"maps": 4, "kept": 0, "failures": 1}},
        failures=[{"subject_id": "sub-Z", "method": "saliency", "file": "/data/z.nii", "reason": reason}],
        groups=GroupComparison(limitations=[Limitation("No groups were compared.", "sub-Q")]),
        comparison=ComparisonSettings(6.0),
        limitations=[Limitation("1 scan was left out.", "sub-B as sub-A")],
    )
    assert_states(
        text,
        "3 rows of the table were left out: no file (n = 2); diagnosis is none of HC (n = 1)",
        *("2 scans raised a warning", warning, "1 map of 1 scan could not be made: “is a folder. Name"),
        *("At most the first 5 scans", "The run was interrupted", "1 scan was left out.", "No groups were"),
        not_this="sub-, /data, Welch, mm full width",  # no names; nothing was tested
    )


def test_every_method_is_described_with_its_settings(tmp_path):
    settings = {"n_samples": 10, "noise_std": 0.1, "seed": 3, "n_references": 20, "n_steps": 50}
    settings |= {"references": "12 HC scans abc", "baseline": "hc_mean abc"}
    records = [
        record
        for name, method in METHODS.items()
        for record in records_of(name, {key: settings[key] for key in method.settings if key in settings})
    ]
    write_json(OutputFolder(tmp_path).hc_mean_scans, {"identity": "hc_mean abc", "scans": [{}] * 12})
    assert_states(
        text_of(tmp_path, records[1:]),
        *("available for 3 of the 4 scans", "the mean network input of 12 scans of controls"),
        *("with 50 points of a Gauss-Leg", "For Gradient SHAP, 10 draws", "standard deviation of 0.1"),
        *("20 draws were made for each scan, from 12 scans", "seeded by the number 3", "10 copies of each"),
    )


@pytest.fixture
def all_found(tmp_path, atlas):
    """What a run with an atlas, groups, sides, agreement and checks found."""
    regions = add_normal_ranges(sided_regions(n_controls=16, effect=2.0))
    left = ComparedContrast("saliency", "left_minus_HC", 6, 16, 0.1, 0.01)
    aligned = replace(left, contrast="aligned_minus_HC", n_patients=12)
    numbers = {"n_patients": 6, "n_controls": 15, "p": 0.01}
    region_test = pd.DataFrame([{"method": "saliency", "contrast": "left_minus_HC"} | numbers])
    table = checks_table("saliency", weights=0.9)
    write_table(OutputFolder(tmp_path).checks, table)
    covariates = pd.DataFrame({"age": [40.0], "site=B": [1.0], "site=C": [0.0]})
    small = [Limitation("A group was small.")]
    return {
        "groups": GroupComparison([left, aligned], [{"method": "saliency"}], limitations=small),
        "regions": regions,
        "lateralisation": lateralisation_table(regions, SIDED_PAIRS),
        "region_test": region_test,
        "agreement": pd.DataFrame({"method_a": ["saliency"] * 2, "method_b": ["deep_lift", NULL]}),
        "verdicts": verdicts(table),
        "comparison": ComparisonSettings(6.0, covariates, atlas),
        "class_names": ClassNames("controls", "epilepsy"),
    }


def test_groups_regions_sides_and_checks(tmp_path, all_found):
    assert_states(
        text_of(tmp_path, records_of("saliency"), **all_found),
        *("the log-odds of epilepsy", "the 4 regions of the atlas mni.nii.gz", "6 mm full width"),
        "“epilepsy, focus on the left, minus controls” (6 and 15 to 16 subjects)",
        *("mirrored at x = 0 mm", "the covariates age and site", "all points of the brain or regions and"),
        *("A group was small.", "from right epilepsy (6 and 6 subjects)", "4 scans were checked on the net"),
        "These checks failed: saliency (“changes with the weights”)",
        not_this="seed",  # saliency draws nothing, which is no failure
    )


def test_what_was_not_done_is_not_stated(tmp_path, all_found):
    groups = all_found["groups"]
    nothing = dict.fromkeys(("regions", "region_test", "lateralisation", "agreement"), pd.DataFrame())
    without = all_found | nothing | {"comparison": ComparisonSettings(0.0), "verdicts": {}}
    without["groups"] = GroupComparison(groups.contrasts[:1])
    assert_states(
        text_of(tmp_path, records_of("saliency"), **without),
        *("for all points of the brain and contrasts", "without smoothing"),
        not_this="region, atlas, mirrored, covariate, cluster, Spearman, checked",
    )


def test_checks_that_cannot_be_judged_are_no_pass(tmp_path):
    found = {"saliency": {"finds the evidence": Verdict(None, "too few scans")}}
    text = text_of(tmp_path, records_of("saliency"), verdicts=found)
    assert_states(text, "could not be judged: saliency (“finds the evidence”)", not_this="No check, deleted")
    passed = {"saliency": {"finds the evidence": Verdict(True, "ahead")}}
    text = text_of(tmp_path, records_of("saliency"), verdicts=passed)
    assert_states(text, "No check that could be judged failed.", "Petsiuk")


def test_combined_runs(tmp_path):
    nowhere = {"name": "none", "hardware": "no network was run"}
    parts = [RUN | {"run": name, "checkpoint": RUN["checkpoint"] | {"sha256": name}} for name in "ab"]
    run = RUN | {"combined": parts, "device": nowhere}
    settings = {"baseline": "zero and hc_mean 123456789abc", "combined": ["a x", "b y"]}
    records = records_of("integrated_gradients", settings, n_networks=[2, 2, 1, 2])
    found = {"integrated_gradients": {REPEATABLE: Verdict(False, "")}}
    names = {"method": ["integrated_gradients"], "subject_id": ["1"], "run_a": ["a"], "run_b": ["b"]}
    pairs = pd.DataFrame(names | {"rank_correlation": [0.5]})
    write_table(OutputFolder(tmp_path).run_agreement, pairs)
    text = text_of(tmp_path, records, run=run, verdicts=found)
    assert_states(
        text,
        "The maps of 2 runs, of 2 trained networks, were averaged scan by scan, each mean over 1 to 2",
        *("differed between the runs: zero and hc_mean", "did not agree between these 2 networks"),
        *("Two runs' maps", "The network ran on NVIDIA H100"),
        not_this="no network was run, At most, path of, checked",
    )


def test_synthetic_volumes_are_not_z_scored(tmp_path):
    first, *others = records_of("saliency")
    synthetic = replace(first, source=replace(first.source, path="/scans/12_1.pkl"))
    assert "except for 1 synthetic one" in text_of(tmp_path, [synthetic, *others])


def test_only_runs_that_made_the_maps_are_named(tmp_path):
    def run_with(version, n_maps):
        return {"counts": {"maps": n_maps}, "versions": {"torch": version}, "tool": RUN["tool"]}

    earlier = [run_with("1.0", 4), run_with("2.5", 2), run_with("2.7", 0)]
    run = RUN | run_with("2.6", 2) | {"earlier_runs": earlier}
    assert "PyTorch 2.6 and 2.5 (Paszke" in text_of(tmp_path, integrated(), run=run)


def test_results_for_a_paper_are_those_of_the_leading_method_and_hedged(tmp_path):
    left = ComparedContrast("integrated_gradients", "left_minus_HC", 6, 9, 0.0, 0.25)
    cluster = CLUSTER | {"method": "integrated_gradients", "contrast": "left_minus_HC", "region": ""}
    row = {"method": "integrated_gradients", "contrast": "left_minus_HC", "n_patients": 6, "n_controls": 9}
    regions = [row | {"region": name, "ratio": 12.0, "t": 9.0, "p": 0.002} for name in "ABCD"]
    other = row | {"method": "saliency", "region": "E", "ratio": 7.0, "t": 9.0, "p": 0.001}
    lateralisation = lateralisation_table(sided_regions(effect=2.0), SIDED_PAIRS)
    lateralisation["method"] = "integrated_gradients"

    def text(clusters=(), **changes):
        groups = GroupComparison([left], list(clusters))
        page = save_page(tmp_path, report_records(), groups=groups, **changes)
        return page.text.split(" Results ")[1].split(" A figure as PDF")[0]

    table, densities = pd.DataFrame([other, *regions]), region_table(**dict.fromkeys("ABCDE", 1.0))
    found = text(region_test=table, regions=densities, lateralisation=lateralisation)
    assert "classified 5 of 6 scans correctly (95% interval 44 to 97%)" in found
    assert "differed significantly in 4 regions, most clearly in A (12 times the controls', " in found
    assert "E (" not in found and "told left from right TLE with an area" in found
    assert "weights was not tested" in found and "neither that the tissue there is ill" in found
    by_place = text([cluster], verdicts={"integrated_gradients": ANSWERS})
    assert "in a cluster around −27, −30, −12 mm (1.8 times the controls', corrected p 0.004)" in by_place
    assert "failed “finds the evidence” and are no evidence" in by_place and "not tested" not in by_place
    assert "in no cluster (smallest corrected p 0.250)" in text()
