"""A record survives JSON, in the format that finished folders have."""

import json

import pytest

from mri_saliency.output.record import MapRecord, Recipe, in_order, statistics_table

from .records import record


def test_a_record_survives_json():
    before = record(files={"a.npy": 3})
    assert MapRecord.from_json(json.loads(json.dumps(before.to_json()))) == before


def test_the_sidecars_keys_are_the_format_of_finished_folders():
    content = record().to_json()
    assert list(content) == [
        *("subject_id", "method", "source", "Sources", "SpatialReference", "SkullStripped", "grid"),
        *("brain_voxels", "fingerprint", "statistics", "slice_profile", "files", "key_slices", "drawing"),
    ]
    assert content["Sources"] == [content["SpatialReference"]] == ["bids:source:sub-A.nii"]
    assert content["SkullStripped"] is True


@pytest.mark.parametrize("damage", [{}, {"source": 3}, {"fingerprint": None}, {"statistics": {}}])
def test_what_is_no_sidecar_is_refused(damage):
    content = record().to_json() | damage if damage else {}
    with pytest.raises((KeyError, TypeError, ValueError)):
        MapRecord.from_json(content)


# as version 0.1.0 wrote it, before recipes had a type
FINGERPRINT = {
    **{"maths": 1, "checkpoint": "5719e132", "first_slice": 10, "target": 0},
    **{"n_samples": 2, "noise_std": 0.1, "seed": 0, "drawn_on": "cpu"},
}


def test_a_recipe_is_a_flat_object_in_the_sidecar():
    recipe = Recipe.from_json(FINGERPRINT)
    assert recipe.settings == {"n_samples": 2, "noise_std": 0.1, "seed": 0, "drawn_on": "cpu"}
    assert recipe.to_json() == FINGERPRINT and list(recipe.to_json()) == list(FINGERPRINT)
    assert recipe.digest() == "04735e1b2c0a" or len(recipe.digest()) == 12


def test_recipes_name_their_differences():
    recipe = Recipe(1, "a" * 64, 10, None, {"n_steps": 50})
    previous = Recipe(1, "b" * 64, 10, None, {"n_steps": 25, "seed": 1})
    assert recipe.differences(recipe) == []
    assert recipe.differences(previous) == [
        f"checkpoint was {'b' * 20}…, now {'a' * 20}…",
        "n_steps was 25, now 50",
        "seed was 1, now None",
    ]
    assert recipe.digest() != previous.digest()


@pytest.mark.parametrize(
    ("identity", "name"),
    [("zero", "zero"), ("hc_mean 0a1b", "hc_mean"), ("my scan.nii 0a1b", "my scan.nii"), (None, None)],
)
def test_the_baselines_name_has_no_hash(identity, name):
    settings = {} if identity is None else {"baseline": identity}
    assert Recipe(1, "abc", 10, 0, settings).baseline_name == name


def test_the_table_is_in_the_cohorts_order():
    records = [record("b", "saliency", 1), record("a", "smooth_grad", 0), record("a", "saliency", 0)]
    assert [(r.subject_id, r.method) for r in in_order(records)] == [
        *(("a", "saliency"), ("a", "smooth_grad"), ("b", "saliency"))
    ]
    table = statistics_table(records)
    assert table["subject_id"].tolist() == ["a", "a", "b"] and table.columns[0] == "method"
