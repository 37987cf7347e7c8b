"""A record survives JSON; a recipe names its differences."""

import json

import pytest

from mri_saliency.output.record import MapRecord, Recipe, in_order, statistics_table

from ..made_cohort import made_record


def test_a_record_survives_json():
    before = made_record(files=["attributions.npy"], baseline="zero", peak_slice=None)
    assert MapRecord.from_json(json.loads(json.dumps(before.to_json()))) == before


def changed(content, path, value):
    """Return JSON with another value at a place such as "grid.affine"; None: without it."""
    content = json.loads(json.dumps(content))
    *parents, last = path.split(".")
    part = content
    for name in parents:
        part = part[name]
    part[last] = value
    if value is None:
        del part[last]
    return content


def nested(depth):
    return json.loads("[" * depth + "]" * depth)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        *((path, None) for path in ("source", "fingerprint", "drawing", "combined", "grid.affine")),
        *((f"statistics.{name}", None) for name in ("passes", "sample_idx")),
        *((f"statistics.{name}", "text") for name in ("sample_idx", "diagnosis", "mean", "true_label")),
        *((f"statistics.{name}", -1) for name in ("sample_idx", "true_label")),
        *(("statistics.subject_id", "sub-B"), ("statistics.std", float("nan")), ("statistics.max", 10**400)),
        *(("statistics", [1]), ("fingerprint", "text"), ("fingerprint.n_steps", nested(500))),
        *(("fingerprint.maths", 1.5), ("fingerprint.target", True), ("source.path", 3)),
        *(("grid.shape", [113, 137]), ("grid.affine", [[1, 0], [0, 1]]), ("grid.n_slices", 8)),
        *(("slice_profile", {"0": 1}), ("slice_profile", [None] * 9), ("key_slices", [2, 9])),
        *(("drawing.telling_slice", -1), ("files", ["a"]), ("files", {"a": "1"}), ("combined", [1])),
    ],
)
def test_a_record_that_is_none_is_refused(path, value):
    content = changed(made_record().to_json(), path, value)
    with pytest.raises(ValueError):
        MapRecord.from_json(content)


def test_a_recipe_is_a_flat_object_in_the_sidecar():
    settings = {"n_samples": 2, "noise_std": 0.1, "seed": 0, "drawn_on": "cpu"}
    content = {"maths": 1, "checkpoint": "5719e132", "first_slice": 10, "target": 0} | settings
    recipe = Recipe.from_json(content)
    assert recipe.settings == settings and recipe.to_json() == content and recipe.baseline_name is None
    for identity, name in (("zero", "zero"), ("a scan.nii 0a1b", "a scan.nii")):
        assert Recipe(1, "abc", 10, 0, {"baseline": identity}).baseline_name == name


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


def test_the_table_is_in_the_cohorts_order():
    scans = (("b", "saliency", 1), ("a", "smooth_grad", 0), ("a", "saliency", 0))
    records = [made_record(subject_id, method, sample_idx=index) for subject_id, method, index in scans]
    assert in_order(records) == records[::-1][:2] + records[:1]
    table = statistics_table(records)[["subject_id", "method"]].to_numpy().tolist()
    assert table == [["a", "saliency"], ["a", "smooth_grad"], ["b", "saliency"]]
