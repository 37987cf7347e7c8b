"""The answer on the first screen follows from what was tested, on made tables."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mri_saliency.checks.verdicts import WEIGHTS, Verdict
from mri_saliency.groups.comparison import ComparedContrast, GroupComparison
from mri_saliency.regions.comparison import compare_regions, region_test_table
from mri_saliency.report.alarms import Alarm
from mri_saliency.report.answer import find_answer, short_answer, tiles
from mri_saliency.run.outcome import RunState
from mri_saliency.wording import ClassNames, Limitation

from ..made_cohort import made_record
from .pages import findings_of

IG, SHAP, LIFT = "integrated_gradients", "gradient_shap", "deep_lift"
BASES = ("hippocampus", *(f"area {n}" for n in range(11)))
PAIRS = [(f"Left {base}", f"Right {base}") for base in BASES]
SIDED = {"HC": 8, "left": 6, "right": 6}


def findings(effects, counts=SIDED, *, seed=0, with_test=True, **changes):
    """Findings of a cohort: `effects` is method -> factor of density in the focus' hippocampus."""
    generator = np.random.default_rng(seed)
    records, rows = [], []
    people = [(name, f"{name}{i}") for name, n in counts.items() for i in range(n)]
    for index, (diagnosis, subject) in enumerate(people):
        label = int(diagnosis != "HC")
        about = {"diagnosis": diagnosis, "true_label": label, "sample_idx": index}
        for method, factor in effects.items():
            numbers = {"completeness_verdict": "ok", "map_error": 0.001} if method != "saliency" else {}
            logit = [2.0 * label - 1.0 + 0.01 * index]
            records.append(made_record(subject, method, logits=logit, **about, **numbers))
            for side, region in ((side, f"{side} {base}") for side in ("Left", "Right") for base in BASES):
                density = np.exp(0.2 * generator.standard_normal()) * (1.5 if "hippo" in region else 1)
                is_focus = diagnosis == "TLE" or side.lower() == diagnosis
                density *= factor if is_focus and "hippo" in region else 1
                rows.append((subject, subject, diagnosis, method, region, density, 1.0))
    names = ["subject_id", "subject", "diagnosis", "method", "region", "density", "density_null"]
    regions = pd.DataFrame(rows, columns=names)
    if with_test:
        changes = {
            "regions": regions,
            "region_test": region_test_table(compare_regions(regions, PAIRS)),
        } | changes
    return findings_of(Path("maps"), records, **changes)


def test_a_true_focus_is_named_with_the_methods_that_agree():
    answer = find_answer(findings({"saliency": 1.0, LIFT: 6.0, IG: 6.0}))
    assert (
        answer.headline
        == "In patients the network relied most on the hippocampus of the side where seizures start."
    )
    assert answer.subline.startswith("Provisional: ") and "Two of three methods say so" in answer.subline
    assert "Saliency agrees in part" in answer.subline  # it is dense there in everyone
    assert [(row["region"], row["n_densest"], row["n_scanned"]) for row in answer.rows] == [
        ("Left hippocampus", 6, 6),
        ("Right hippocampus", 6, 6),
    ]
    for row in answer.rows:
        assert row["patients"] / row["controls"] == pytest.approx(row["ratio"], rel=1e-4)
    assert any("--check_maps" in action for action in answer.actions)


def test_without_a_difference_no_region_is_named():
    effects = dict.fromkeys((IG, SHAP, LIFT, "saliency"), 1.0)
    found = [find_answer(findings(effects, seed=seed)) for seed in range(20)]
    assert sum(bool(answer.rows) for answer in found) <= 1  # of 20, by the test's own error
    assert sum(answer.headline == "No region stood out." for answer in found) >= 19


def test_what_the_scans_alone_explain_does_not_stand_out():
    made = findings({IG: 6.0})
    answer = find_answer(replace(made, region_test=made.region_test.assign(exceeds_null=False)))
    assert answer.headline == "No region stood out." and "the scans themselves differ" in answer.subline
    known = replace(made, region_test=made.region_test.assign(exceeds_null=np.nan))
    assert "hippocampus" in find_answer(known).headline


def test_methods_that_contradict_are_named():
    answer = find_answer(findings({IG: 6.0, LIFT: 1 / 6}))
    assert answer.headline.startswith("Methods disagree. By Integrated Gradients, in patients")
    assert "DeepLIFT says the opposite" in answer.subline


def test_a_method_with_an_alarm_does_not_count():
    alarm = Alarm(SHAP, "too few draws", "repeat it with --n_samples 540")
    answer = find_answer(findings({IG: 6.0, SHAP: 1 / 6}, alarms=[alarm]))
    assert answer.headline.startswith("In patients") and "says the opposite, and fails" in answer.subline
    assert answer.methods[1].state == "cross" and "too few draws" in answer.methods[1].problems
    assert answer.actions[0] == "Leave Gradient SHAP out, or repeat it with --n_samples 540."
    vague = replace(alarm, remedy="raise --n_samples")  # the other says how far
    answer = find_answer(findings({IG: 6.0, SHAP: 1 / 6}, alarms=[vague, alarm]))
    assert answer.actions[0] == "Leave Gradient SHAP out, or repeat it with --n_samples 540."
    alone = find_answer(findings({IG: 1.0, SHAP: 6.0}, alarms=[alarm]))
    assert alone.headline == "No region stood out." and alone.methods[0].method == IG
    none = find_answer(findings({SHAP: 6.0}, alarms=[alarm, replace(alarm, problem="does not add up")]))
    assert none.headline.startswith("No method's maps can be used")
    harmless = find_answer(findings({IG: 6.0, SHAP: 6.0}, alarms=[replace(alarm, spoils=False)]))
    assert "Two of two methods say so." in harmless.subline


def test_only_what_was_tested_on_the_network_has_a_full_tick():
    passed = {IG: {WEIGHTS: Verdict(True, "it changed")}}
    made = findings({IG: 6.0, LIFT: 6.0}, verdicts=passed)
    answer = find_answer(made)
    assert [line.state for line in answer.methods] == ["tick", "half"]
    assert "Provisional" not in answer.subline and not any("--check_maps" in text for text in answer.actions)
    lines = "\n".join(short_answer(made))
    assert (
        answer.headline in lines and "Integrated Gradients passed" in lines and "DeepLIFT passed" not in lines
    )


def test_the_leading_method_is_signed_complete_and_precise():
    def leading(made, **changes):
        records = [
            replace(record, statistics=replace(record.statistics, **changes.get(record.method, {})))
            for record in made.records
        ]
        return find_answer(replace(made, records=records)).methods[0].method

    both = findings({"saliency": 6.0, IG: 6.0, LIFT: 6.0})
    assert leading(both, **{IG: {"map_error": 0.3}}) == LIFT
    assert leading(both, **{LIFT: {"completeness_verdict": "check"}}) == IG
    assert leading(findings({"saliency": 6.0, IG: 1.0})) == "saliency"  # a region stands out by it


def test_other_classes_have_no_side_where_seizures_start():
    made = findings({IG: 6.0}, {"HC": 7, "TLE": 7}, class_names=ClassNames("CN", "AD"))
    answer = find_answer(made)
    assert answer.headline == "In AD the network relied most on the hippocampus of both sides."
    text = " ".join([answer.subline, *answer.actions])
    assert "CN" in text and not any(word in text for word in ("seizure", "focus", "healthy", "side"))


def test_one_side_alone_is_named_as_such():
    answer = find_answer(findings({IG: 6.0}, {"HC": 8, "left": 6, "right": 2}))
    assert answer.headline.startswith("In patients with a focus on the left the network relied most on")


@pytest.mark.parametrize(
    ("counts", "headline", "words"),
    [
        ({"HC": 1}, "One scan", "this scan"),
        ({"left": 9}, "Too few people", "9 patients and 0 healthy controls"),
        ({"HC": 4, "left": 5}, "Too few people", "5 in each group"),
    ],
)
def test_what_is_missing_is_said(counts, headline, words):
    answer = find_answer(findings({IG: 6.0}, counts))
    assert answer.headline.startswith(headline) and words in answer.subline and not answer.rows


def test_classes_that_differ_between_maps_are_not_compared():
    groups = GroupComparison(limitations=[Limitation("Its maps explained different classes.")])
    answer = find_answer(findings({IG: 1.0}, groups=groups, with_test=False))
    assert answer.headline == "Groups were not compared." and "different classes" in answer.subline


def test_an_unfinished_run_has_no_answer():
    assert find_answer(findings({IG: 6.0}, state=RunState("running", 9, 2))).headline == "No answer yet."


def test_without_an_atlas_the_place_is_in_mm():
    rows = [
        {"method": IG, "contrast": name, "peak_effect": effect, "peak_x": x, "peak_y": -29.2, "peak_z": -12.0}
        for name, effect, x in (
            ("left_minus_HC", 0.5, 40.0),
            ("left_minus_HC", 9.0, -22.6),
            ("aligned_minus_HC", 9.0, -24.0),
            ("right_minus_HC", 8.0, 28.0),
        )
    ]
    contrast = ComparedContrast(IG, "left_minus_HC", 6, 8, 0.1, 0.001)
    groups = GroupComparison(contrasts=[contrast], clusters=rows)
    answer = find_answer(findings({IG: 1.0}, groups=groups, with_test=False))
    assert "x = −23, y = −29, z = −12 mm (focus on the left) and around x = 28" in answer.headline
    small = find_answer(findings({IG: 1.0}, groups=groups))  # with an atlas, of larger regions
    assert small.headline == "No region stood out." and "around x = −23" in small.subline
    groups.clusters = []
    assert find_answer(findings({IG: 1.0}, groups=groups, with_test=False)).headline == "No place stood out."


def test_ten_patients_are_shown_the_wrong_and_the_least_sure_first():
    scans = findings({IG: 1.0}, {"HC": 3, "left": 12}).scans
    wrong = replace(scans[-1], predicted_label=0)
    shown = tiles([*scans[:-1], wrong])
    assert len(shown) == 10 and shown[0] is wrong and all(scan.is_tle for scan in shown)
    assert [row.confidence for row in shown[1:]] == sorted(row.confidence for row in shown[1:])
    assert len(tiles(scans[:3])) == 3  # without patients, controls
