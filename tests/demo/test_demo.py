"""The simulated cohort has the contract's form, and its lesion is where it is said to be."""

import nibabel as nib
import numpy as np
import pytest

from mri_saliency.demo import demo
from mri_saliency.inputs.atlas import read_atlas
from mri_saliency.inputs.checkpoint import load_checkpoint
from mri_saliency.inputs.loading import load_volume
from mri_saliency.inputs.scan_table import read_scan_table
from mri_saliency.methods import DEFAULT_METHODS
from mri_saliency.output.files import write_json
from mri_saliency.parser import get_parser

from ..conftest import lively_network


@pytest.fixture(scope="module")
def simulator():
    return demo.Simulator()


def test_lesions_are_hippocampal_and_on_their_side(simulator):
    for side, sign in (("left", -1), ("right", 1)):
        lesion = simulator.lesions[side]
        x, y, z = nib.affines.apply_affine(demo.AFFINE, np.argwhere(lesion).mean(axis=0))
        assert sign * x == pytest.approx(27, abs=3)
        assert y == pytest.approx(-25, abs=4) and z == pytest.approx(-12, abs=4)
        assert 1000 < lesion.sum() < 2500


def test_tle_loses_grey_matter_in_the_lesion_alone(simulator):
    brain = simulator.brain(np.random.default_rng(0))
    lesioned = simulator.with_lesion(brain, "left", np.random.default_rng(1))
    lesion = simulator.lesions["left"]
    np.testing.assert_array_equal(brain[~lesion], lesioned[~lesion])
    assert lesioned[lesion].mean() < 0.3 * brain[lesion].mean()
    assert simulator.with_lesion(brain, "HC", np.random.default_rng(1)) is brain


def test_cohort_and_run_have_the_contracts_form(tmp_path, simulator, monkeypatch):
    monkeypatch.setattr(demo, "N_SCANS", 4)
    (tmp_path / "scans").mkdir()
    (tmp_path / "run/fold_1").mkdir(parents=True)
    demo.write_cohort(tmp_path, simulator)
    scans = read_scan_table(tmp_path / "val.csv").scans
    assert [scan.diagnosis for scan in scans] == ["HC", "left", "HC", "right"]
    grid = load_volume(scans[1].path, 115).grid
    np.testing.assert_array_equal(grid.matrix, demo.AFFINE)
    assert grid.space_code == 4
    lesion, brain = demo.load_lesion_and_brain(demo.scan_path(tmp_path, "sub-DEMO02"))
    assert 500 < lesion.sum() < 3000 and (lesion & brain).sum() > 500
    demo.write_run(tmp_path / "run", lively_network("S"), 1.0)
    loaded = load_checkpoint(tmp_path / "run/fold_1/best_model.pth", tmp_path / "run/parameters.json")
    assert loaded.variant == "S"


def test_the_atlas_has_each_cube_around_the_centre_that_its_name_tells(tmp_path, simulator):
    demo.write_atlas(tmp_path, simulator)
    atlas = read_atlas(tmp_path / "atlas.nii.gz", tmp_path / "atlas.csv")
    assert (
        len(atlas.paired_names()) > 50 and ("Left hippocampus", "Right hippocampus") in atlas.paired_names()
    )
    for label, name in atlas.names.items():
        side, kind, *words = name.split()
        if kind == "cube":
            centre_mm = np.array(words[1:4], float) * (-1 if side == "Left" else 1, 1, 1)
            places_mm = nib.affines.apply_affine(atlas.affine, np.argwhere(atlas.labels == label))
            assert np.abs(places_mm - centre_mm).max() <= demo.CUBE_MM / 2


def test_what_groups_differ_in_is_held_against_the_lesion():
    lesion = np.zeros((20, 20, 20), bool)
    lesion[5:7, 5, 5] = True
    significant = np.zeros_like(lesion)
    significant[[5, 10, 11], 5, 5] = True  # 0, 6 and 7.5 mm away
    found = demo.group_localisation(significant, lesion)
    assert found == pytest.approx({"n_significant": 3, "near": 2 / 3, "found": 0.5})
    nothing = demo.group_localisation(np.zeros_like(lesion), lesion)
    assert np.isnan(nothing["near"]) and nothing["found"] == 0


def test_the_demo_compares_with_its_controls_unless_asked_otherwise(tmp_path, monkeypatch):
    monkeypatch.setattr(demo, "make", lambda _: None)
    asked = []
    for passed_on in ([], ["--methods", "saliency"], ["--report_only"]):
        demo.run(tmp_path, passed_on, lambda args: asked.append(get_parser().parse_args(args)) or 2)
    assert asked[0].methods == [*DEFAULT_METHODS, "expected_gradients"] and asked[0].n_references == 20
    assert asked[1].methods == ["saliency"]
    assert asked[0].check_maps >= 3 and "check_maps" not in asked[2]  # which needs no network


def test_a_made_demo_is_reused(tmp_path, monkeypatch, capsys):
    recipe = {"version": demo.__version__, "steps": demo.TRAINING_STEPS, "scans": demo.N_SCANS}
    write_json(tmp_path / "demo.json", {"recipe": recipe, "accuracy": 1.0})
    monkeypatch.setattr(demo, "Simulator", None)
    demo.make(tmp_path)
    assert "reusing" in capsys.readouterr().out
