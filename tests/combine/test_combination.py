"""The plan of a combination: what the runs share goes into the recipe, and what is finished is kept."""

import json
from dataclasses import replace

import numpy as np
import pytest

from mri_saliency.combine.combination import plan_combination
from mri_saliency.combine.prepare import copy_baseline, request_json
from mri_saliency.output.files import write_array, write_json
from mri_saliency.output.folder import OutputFolder
from mri_saliency.run.plan import Action, MapFiles

from ..conftest import N_SLICES
from ..made_cohort import COHORT_METHODS, RUN, SCANS


@pytest.fixture
def files(tmp_path):
    return MapFiles(OutputFolder(tmp_path / "combined"), (4,), nifti=False, n_logits=1)


def with_settings(run, **settings):
    """Return a run whose maps were made with other settings."""
    maps = {
        key: replace(record, recipe=replace(record.recipe, settings=settings))
        for key, record in run.maps.items()
    }
    return replace(run, maps=maps)


def test_every_scan_and_method_is_averaged_over_the_runs(two_runs, files):
    combination = plan_combination(two_runs, files, overwrite=False)
    assert [scan.subject_id for scan in combination.scans] == list(SCANS)
    assert [scan.sample_idx for scan in combination.scans] == list(range(len(SCANS)))
    assert set(combination.members) == {(subject, method) for subject in SCANS for method in COHORT_METHODS}
    for members in combination.members.values():
        assert [member.run for member in members] == [run.name for run in two_runs]
    assert set(combination.plan.actions.values()) == {Action.MAKE}
    recipe = combination.plan.recipes["saliency"]
    assert recipe.checkpoint == combination.checkpoint and len(recipe.checkpoint) == 64
    assert len(recipe.settings["combined"]) == 2


def test_the_recipe_has_the_settings_that_the_runs_share(two_runs, files):
    one = with_settings(two_runs[0], n_steps=9, seed=1, baseline="zero")
    two = with_settings(two_runs[1], n_steps=9, seed=2, baseline="hc_mean 0123456789ab")
    recipe = plan_combination([one, two], files, overwrite=False).plan.recipes["input_x_gradient"]
    assert recipe.settings["n_steps"] == 9 and "seed" not in recipe.settings
    assert recipe.baseline_name == "zero and hc_mean"
    other = with_settings(two, n_steps=9, seed=3, baseline="hc_mean 0123456789ab")
    changed = plan_combination([one, other], files, overwrite=False).plan.recipes["input_x_gradient"]
    assert changed.digest() != recipe.digest()


def test_run_json_names_the_runs_and_what_they_share(two_runs, files):
    two_runs[1].content["options"]["baseline"] = "air.npy"
    two_runs[0].content["settings"] |= {"n_steps": 3, "seed": 0}
    two_runs[1].content["settings"] |= {"n_steps": 4, "seed": 0}
    combination = plan_combination(two_runs, files, overwrite=False)
    content = request_json(combination, {"output_dir": "x", "baseline": "zero"}, "command")
    assert content["options"]["baseline"] == "zero and /data/air.npy"
    assert content["options"]["csv_path"] == "/data/val.csv"
    assert content["settings"] == {"seed": 0}
    assert [run["run"] for run in content["combined"]] == [run.name for run in two_runs]
    assert content["checkpoint"]["network"] == "mean over 2 runs of tiny"
    assert content["checkpoint"]["sha256"] == combination.checkpoint != RUN["checkpoint"]["sha256"]
    json.dumps(content)


def test_the_mean_control_is_copied_if_all_runs_have_it(two_runs, files):
    folder = files.folder
    folder.create()
    values = np.ones((N_SLICES, 128, 128), np.float32)
    copy_baseline(two_runs, folder)
    assert not folder.hc_mean.exists()
    for run, identity in zip(two_runs, ("hc_mean 1", "hc_mean 2"), strict=True):
        write_array(run.folder.hc_mean, values)
        write_json(run.folder.hc_mean_scans, {"identity": identity})
    copy_baseline(two_runs, folder)
    assert not folder.hc_mean.exists()
    write_json(two_runs[1].folder.hc_mean_scans, {"identity": "hc_mean 1", "scans": ["elsewhere"]})
    copy_baseline(two_runs, folder)
    np.testing.assert_array_equal(np.load(folder.hc_mean), values)
    assert json.loads(folder.hc_mean_scans.read_text()) == {"identity": "hc_mean 1"}
