"""The demo tells the truth that was built into it."""

import itertools

import pandas as pd
import pytest

import run_saliency_generation as runner
from mri_saliency.checks.verdicts import CHECKS, MAGNITUDES, SEED, verdicts
from mri_saliency.demo import demo as module
from mri_saliency.inputs.checkpoint import build_network
from mri_saliency.output.files import read_table
from mri_saliency.output.folder import OutputFolder

SMALLER = {"TRAINING_STEPS": 30, "LEARNING_RATE": 0.02, "N_UNSEEN": 12, "CUBE_MM": 60}
N_BATCHES = 4  # that the network is trained on again and again: to simulate takes longer than to learn


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """The demo's folder, with a tiny network, which learns in seconds, and few steps and slices."""
    folder = tmp_path_factory.mktemp("demo")
    options = "--methods integrated_gradients --n_steps 5 --key_slices 50 --no_nifti --check_maps 4".split()
    simulate, calls, made = module.Simulator.inputs, itertools.count(), {}

    def inputs(simulator, n, generator):
        key = n, next(calls) % N_BATCHES
        if key not in made:
            made[key] = simulate(simulator, n, generator)
        return made[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module.Simulator, "inputs", inputs)
        patch.setattr(module, "build_network", lambda _, *shape: build_network("tiny", *shape))
        for name, value in SMALLER.items():
            patch.setattr(module, name, value)
        assert runner.main(["--demo", str(folder), *options]) == 0
    return folder


@pytest.fixture
def maps(demo):
    return demo / "run/fold_1/saliency_maps_detailed"


def test_the_hippocampus_comes_first_and_asymmetry_points_to_the_focus(maps):
    statistics = pd.read_csv(maps / "attribution_statistics.csv")
    diagnoses = statistics.drop_duplicates("subject_id").set_index("subject_id")["diagnosis"]
    regions = pd.read_csv(maps / "tables/region_statistics.csv")
    regions["diagnosis"] = regions["subject_id"].map(diagnoses)
    for side in ("left", "right"):
        of_side = regions[regions["diagnosis"] == side]
        densities = of_side.groupby("region")["density"].mean()
        assert densities.idxmax() == f"{side.capitalize()} hippocampus"
        asymmetry = of_side[of_side["region"] == "Left hippocampus"]["asymmetry"].mean()
        assert asymmetry > 0.2 if side == "left" else asymmetry < -0.2


def test_the_hippocampus_tells_the_side_of_every_scan(maps):
    table = pd.read_csv(maps / "tables/lateralisation.csv").set_index(["method", "left_region"])
    hippocampus = table.loc[("integrated_gradients", "Left hippocampus")]
    assert table.index[0][1] == "whole left hemisphere" and hippocampus["better_than_hemisphere"] == "no"
    assert hippocampus["n_left"] == hippocampus["n_right"] == 5
    assert hippocampus["auc"] == hippocampus["grey_matter_auc"] == 1
    assert 0.5 < hippocampus["auc_low"] < 0.8
    assert hippocampus["auc_difference_low"] < 0 < hippocampus["auc_difference_high"]


def test_groups_differ_in_the_hippocampi(maps):
    """Of each side. With all foci mirrored to one side, twice the patients show differences elsewhere too."""
    table = pd.read_csv(maps / "tables/demo_groups.csv").set_index("contrast")
    assert (table["found"] > 0.8).all() and len(table) == 3
    # by chance 1 %; a network so small sees less sharply than the demo's own, of which 90 % are near
    assert (table.loc[["left_minus_HC", "right_minus_HC"], "near"] > 0.2).all()
    strongest = pd.read_csv(maps / "tables/group_clusters.csv").groupby("contrast").first()
    for side, sign in (("left", -1), ("right", 1), ("aligned", -1)):
        peak = strongest.loc[f"{side}_minus_HC"]
        assert 10 < sign * peak["peak_x"] < 40 and -50 < peak["peak_y"] < 0
    regions = pd.read_csv(maps / "tables/region_group_test.csv").set_index("contrast")
    for side in ("left", "right"):
        first = regions.loc[f"{side}_minus_HC"].nlargest(1, "ratio").iloc[0]
        assert first["region"] == f"{side.capitalize()} hippocampus" and first["p"] <= 0.05


def test_the_lesion_is_found(maps):
    table = pd.read_csv(maps / "tables/demo_localisation.csv").set_index("method")
    assert table.loc["integrated_gradients", "enrichment"] > 10
    assert table.loc["integrated_gradients", "auc"] > 0.9


def test_integrated_gradients_pass_the_checks_on_the_demos_network(maps):
    answers = verdicts(read_table(OutputFolder(maps).checks))["integrated_gradients"]
    found = {check: verdict.passed for check, verdict in answers.items()}
    # the lesion is where a scan differs most from the baseline, so that |scan - baseline| finds it too
    assert found | {MAGNITUDES: True} == dict.fromkeys(CHECKS, True) | {SEED: None}, answers
