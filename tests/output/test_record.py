"""A record survives JSON; a recipe names its differences."""

import json

import pytest

from mri_saliency.output.record import MapRecord, Recipe, in_order, statistics_table

from ..made_cohort import made_record


def test_a_record_survives_json():
    before = made_record(files=["attributions.npy"], baseline="zero", peak_slice=None)
    assert MapRecord.from_json(json.loads(json.dumps(before.to_json()))) == before


@pytest.mark.parametrize(
    "path", ["source", "fingerprint", "drawing", "combined", "statistics", "statistics.passes", "grid.affine"]
)
def test_a_record_without_a_part_is_refused(path):
    content = json.loads(json.dumps(made_record().to_json()))
    *parents, last = path.split(".")
    part = content
    for name in parents:
        part = part[name]
    del part[last]
    with pytest.raises((KeyError, TypeError)):
        MapRecord.from_json(content)


def test_a_recipe_is_a_flat_object_in_the_sidecar():
    settings = {"n_samples": 2, "noise_std": 0.1, "seed": 0, "drawn_on": "cpu"}
    content = {"maths": 1, "checkpoint": "5719e132", "first_slice": 10, "target": 0} | settings
    recipe = Recipe.from_json(content)
    assert recipe.settings == settings and recipe.to_json() == content


def test_recipes_name_their_differences():
    recipe = Recipe(1, "a" * 64, 10, None, {"n_steps": 50})
    previous = Recipe(1, "b" * 64, 10, None, {"n_steps": 25, "seed": 1})
    assert recipe.differences(recipe) == []
    assert recipe.differences(previous) == [
        f"checkpoint was {'b' * 20}…, now {'a' * 20}…",
        "n_steps was 25, now 50",
        "seed was 1, now None",
    ]
    assert recipe.digest() != previous.digest() and len(recipe.digest()) == 12


def test_the_baselines_name_has_no_hash():
    assert Recipe(1, "abc", 10, 0).baseline_name is None
    for identity, name in (("zero", "zero"), ("hc_mean 0a1b", "hc_mean"), ("a scan.nii 0a1b", "a scan.nii")):
        assert Recipe(1, "abc", 10, 0, {"baseline": identity}).baseline_name == name


def test_the_table_is_in_the_cohorts_order():
    scans = (("b", "saliency", 1), ("a", "smooth_grad", 0), ("a", "saliency", 0))
    records = [made_record(subject_id, method, sample_idx=index) for subject_id, method, index in scans]
    expected = [("a", "saliency"), ("a", "smooth_grad"), ("b", "saliency")]
    assert [(record.subject_id, record.method) for record in in_order(records)] == expected
    table = statistics_table(records)
    assert list(zip(table["subject_id"], table["method"], strict=True)) == expected
