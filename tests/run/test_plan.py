"""The plan makes what is missing, redraws what is not drawn, keeps the rest, and refuses the rest's loss."""

from dataclasses import replace

import numpy as np
import pytest

from mri_saliency.errors import UserError
from mri_saliency.inputs.file_identity import FileIdentity
from mri_saliency.inputs.scan_table import Scan
from mri_saliency.methods import METHODS
from mri_saliency.output.files import write_array, write_json
from mri_saliency.output.folder import FORMAT, OutputFolder
from mri_saliency.output.record import Recipe
from mri_saliency.run.plan import Action, MapFiles, keep_names, make_plan, make_recipes

from ..made_cohort import made_record

COMMON = Recipe(1, "abc", 10, 0)
SETTINGS = {"baseline": "zero", "n_steps": 50, "n_samples": 10, "noise_std": 0.1, "seed": 0, "batch_size": 5}
SETTINGS |= {"references": "9 HC scans abc", "n_references": 50}


@pytest.fixture
def files(tmp_path):
    folder = OutputFolder(tmp_path / "maps")
    folder.create()
    return MapFiles(folder, (2, 5), nifti=True, n_logits=1)


@pytest.fixture
def scans(tmp_path):
    found = []
    for index, name in enumerate(("sub-A", "sub-B")):
        path = tmp_path / f"{name}.nii"
        path.write_text(name)
        found.append(Scan(name, path, 0, "HC", index))
    return found


def planned(scans, recipes, files, *, overwrite):
    records = list(files.folder.all_records())
    return make_plan(scans, recipes, files, records, overwrite=overwrite)


def finish(files, scan, method, recipe, **changes):
    folder = files.folder
    folder.open_map(method, scan.subject_id, replace=True)
    of_map = (folder.nifti, folder.thumbnail, folder.viewer)
    paths = [path(method, scan.subject_id) for path in of_map]
    paths += [folder.slice_figure(method, scan.subject_id, index) for index in files.key_slices]
    for path in paths:
        path.write_bytes(b"content")
    write_array(folder.array(method, scan.subject_id), np.zeros(3))
    sizes = {p.name: p.stat().st_size for p in [*paths, folder.array(method, scan.subject_id)]}
    source = FileIdentity.of(scan.path, "")
    made = made_record(scan.subject_id, method, recipe=recipe)
    folder.write_record(replace(made, files=sizes, source=source, **changes))
    write_json(folder.run_record, {"format": FORMAT, "checkpoint": {"sha256": "abc"}})


def test_recipes_hold_what_determines_a_method_and_no_more():
    recipes = make_recipes(METHODS, COMMON, SETTINGS, "NVIDIA H100")
    assert list(recipes) == list(METHODS)
    assert recipes["saliency"].settings == {}
    assert recipes["integrated_gradients"].settings == {"baseline": "zero", "n_steps": 50}
    drawn = {"n_samples": 10, "noise_std": 0.1, "seed": 0, "drawn_on": "NVIDIA H100"}
    assert recipes["gradient_shap"].settings == drawn
    # it draws no noise, and so the same on all hardware
    drawn = {"references": "9 HC scans abc", "n_references": 50, "seed": 0}
    assert recipes["expected_gradients"].settings == drawn


def test_an_empty_folder_needs_everything(files, scans):
    recipes = make_recipes(["saliency", "deep_lift"], COMMON, SETTINGS, "cpu")
    plan = planned(scans, recipes, files, overwrite=False)
    assert plan.count(Action.MAKE) == 4 and plan.unfinished(scans) == scans
    assert plan.indices(Action.MAKE, "deep_lift", scans) == [0, 1]


def test_finished_maps_are_kept_or_drawn_again(files, scans):
    recipes = make_recipes(["saliency"], COMMON, SETTINGS, "cpu")
    finish(files, scans[0], "saliency", recipes["saliency"])
    plan = planned(scans, recipes, files, overwrite=False)
    assert plan.actions == {("sub-A", "saliency"): Action.KEEP, ("sub-B", "saliency"): Action.MAKE}
    assert plan.unfinished(scans) == [scans[1]] and plan.open_methods(scans[0]) == []
    for change in ({"key_slices": (2,)}, {"key_slices": (2, 5, 7)}, {"smooth_mm": 0.0}):
        changed = replace(files, **change)
        plan = planned(scans, recipes, changed, overwrite=False)
        assert plan.indices(Action.REDRAW, "saliency", scans) == [0]
    files.folder.nifti("saliency", "sub-A").unlink()  # a map that is not whole
    assert planned(scans, recipes, files, overwrite=False).count(Action.MAKE) == 2


def test_an_image_that_was_not_asked_for_is_added(files, scans):
    recipes = make_recipes(["saliency"], COMMON, SETTINGS, "cpu")
    finish(files, scans[0], "saliency", recipes["saliency"])
    made = files.folder.read_record("saliency", "sub-A")
    without = {k: v for k, v in made.files.items() if not k.endswith(".gz")}
    files.folder.write_record(replace(made, files=without))
    assert planned(scans, recipes, files, overwrite=False).count(Action.REDRAW) == 1
    no_image = replace(files, nifti=False)
    assert planned(scans, recipes, no_image, overwrite=False).count(Action.KEEP) == 1


def test_a_map_without_its_standard_error_is_made_again(files, scans):
    recipes = make_recipes(["expected_gradients"], COMMON, SETTINGS, "cpu")
    finish(files, scans[0], "expected_gradients", recipes["expected_gradients"])
    no_image = replace(files, nifti=False)
    assert planned(scans[:1], recipes, no_image, overwrite=False).count(Action.KEEP) == 1
    assert planned(scans[:1], recipes, files, overwrite=False).count(Action.MAKE) == 1
    path = files.folder.standard_error("expected_gradients", "sub-A")
    path.write_bytes(b"content")
    made = files.folder.read_record("expected_gradients", "sub-A")
    files.folder.write_record(replace(made, files=made.files | {path.name: len(b"content")}))
    assert planned(scans[:1], recipes, files, overwrite=False).count(Action.KEEP) == 1
    other_slices = replace(files, key_slices=(2,))
    assert planned(scans[:1], recipes, other_slices, overwrite=False).count(Action.REDRAW) == 1


def test_maps_made_in_another_way_are_refused_or_replaced(files, scans):
    recipes = make_recipes(["deep_lift"], COMMON, SETTINGS, "cpu")
    finish(files, scans[0], "deep_lift", recipes["deep_lift"])
    other = make_recipes(["deep_lift"], COMMON, SETTINGS | {"baseline": "background"}, "cpu")
    message = "holds 1 maps that were made in another way.*baseline was zero, now background.*--overwrite"
    with pytest.raises(UserError, match=message):
        planned(scans, other, files, overwrite=False)
    assert planned(scans, other, files, overwrite=True).count(Action.MAKE) == 2


def test_another_scan_under_the_same_name_is_refused(files, scans):
    recipes = make_recipes(["saliency"], COMMON, SETTINGS, "cpu")
    finish(files, scans[0], "saliency", recipes["saliency"])
    scans[0].path.write_text("another scan")
    with pytest.raises(UserError, match="the scan's file has changed"):
        planned(scans, recipes, files, overwrite=False)


def test_a_file_has_maps_of_one_name_whatever_else_the_table_holds(files, scans):
    """Alone, each scan would be called sub-P."""
    first, second = (replace(scan, subject_id="sub-P") for scan in scans)
    finish(files, first, "saliency", COMMON)
    records = list(files.folder.all_records())
    for table, names in (([first], ["sub-P"]), ([second], ["sub-B"]), ([second, first], ["sub-B", "sub-P"])):
        assert [scan.subject_id for scan in keep_names(table, records)] == names
    assert keep_names([replace(first, subject_id="other")], records) == [first]


def test_a_small_disk_is_warned_of(files, monkeypatch, capsys):
    monkeypatch.setattr(OutputFolder, "free_bytes", lambda _: 100_000_000)
    files.warn_of_full_disk(n_maps=2, n_slices=115)
    assert capsys.readouterr().err == ""
    files.warn_of_full_disk(n_maps=100, n_slices=115)
    assert "the new maps need about 1.6 GB, and 0.1 GB are free" in capsys.readouterr().err
