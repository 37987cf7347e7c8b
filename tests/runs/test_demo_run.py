"""The demo tells the truth that was built into it."""

import pandas as pd
import pytest

import run_saliency_generation as runner
from mri_saliency.attribution.sanity_verdicts import areas_between, mean_values, verdicts

METHODS = ("integrated_gradients", "saliency")


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """The demo's folder, with few steps and slices."""
    folder = tmp_path_factory.mktemp("demo")
    options = [
        "--methods",
        *METHODS,
        "--n_steps",
        "5",
        "--key_slices",
        "50",
        "--no_nifti",
        "--check_maps",
        "2",
    ]
    assert runner.main(["--demo", str(folder), *options]) == 0
    return folder


@pytest.fixture
def maps(demo):
    return demo / "run/fold_1/saliency_maps_detailed"


def test_the_hippocampus_comes_first_and_asymmetry_points_to_the_focus(maps):
    statistics = pd.read_csv(maps / "attribution_statistics.csv")
    diagnoses = statistics.drop_duplicates("subject_id").set_index("subject_id")["diagnosis"]
    regions = pd.read_csv(maps / "region_statistics.csv")
    regions["diagnosis"] = regions["subject_id"].map(diagnoses)
    for side in ("left", "right"):
        of_side = regions[regions["diagnosis"] == side]
        densities = of_side.groupby(["method", "region"])["density"].mean()
        assert densities["integrated_gradients"].idxmax() == f"{side.capitalize()} hippocampus"
        # saliency asks for sensitivity, which a network may have on the healthy side as well
        assert densities["saliency"].nlargest(2).index.str.endswith("hippocampus").any()
        left = of_side[of_side["region"] == "Left hippocampus"]
        asymmetry = left[left["method"] == "integrated_gradients"]["asymmetry"].mean()
        assert asymmetry > 0.2 if side == "left" else asymmetry < -0.2


def test_the_hippocampus_tells_the_side_of_every_scan(maps):
    table = pd.read_csv(maps / "lateralisation.csv").set_index(["method", "left_region"])
    hippocampus = table.loc[("integrated_gradients", "Left hippocampus")]
    assert hippocampus["n_left"] == hippocampus["n_right"] == 5
    assert hippocampus["auc"] == hippocampus["accuracy"] == hippocampus["grey_matter_auc"] == 1
    assert 0.5 < hippocampus["auc_low"] < 0.8
    assert hippocampus["auc_difference_low"] < 0 < hippocampus["auc_difference_high"]
    page = (maps / "report.html").read_text()
    assert 'id="lateralisation"' in page and (maps / "lateralisation.png").stat().st_size > 10_000


def test_groups_differ_in_the_hippocampi(maps):
    """Of each side. With all foci mirrored to one side, twice the patients show differences elsewhere too."""
    table = pd.read_csv(maps / "demo_groups.csv").set_index(["method", "contrast"])
    for side in ("left", "right"):
        row = table.loc[("integrated_gradients", f"{side}_minus_HC")]
        # machines round differently, so each trains another network
        assert row["near"] > 0.85 and row["found"] > 0.8
    assert table.loc[("integrated_gradients", "aligned_minus_HC"), "found"] > 0.8
    clusters = pd.read_csv(maps / "group_clusters.csv")
    clusters = clusters[
        (clusters["method"] == "integrated_gradients") & (clusters["quantity"] == "magnitude")
    ]
    strongest = clusters.groupby("contrast").first()
    for side, sign in (("left", -1), ("right", 1), ("aligned", -1)):
        peak = strongest.loc[f"{side}_minus_HC"]
        assert 10 < sign * peak["peak_x"] < 40 and -50 < peak["peak_y"] < 0
    regions = pd.read_csv(maps / "region_group_test.csv")
    regions = regions[regions["method"] == "integrated_gradients"].groupby("contrast").first()
    assert regions.loc["left_minus_HC", "region"] == "Left hippocampus"


def test_the_checks_on_the_demos_network(maps):
    """Saliency passes; of Integrated Gradients what holds however the network's training rounded."""
    table = pd.read_csv(maps / "map_checks.csv", keep_default_na=False)
    found = verdicts(table)
    assert set(found) == set(METHODS)
    assert all(verdict.steady_under_noise for verdict in found.values())
    assert found["saliency"].changes_with_weights and found["saliency"].finds_evidence
    shuffled = mean_values(table)["weights", "integrated_gradients", "features.0", "signed"]
    assert abs(shuffled) < 0.2
    assert areas_between(table, "integrated_gradients")["random"]["insertion"] > 0
    page = (maps / "report.html").read_text()
    assert "Left hippocampus" in page and "finds the evidence" in page
    assert (maps / "map_checks.png").stat().st_size > 10_000


def test_the_lesion_is_found(maps):
    table = pd.read_csv(maps / "demo_localisation.csv").set_index("method")
    assert table.loc["integrated_gradients", "enrichment"] > 10
    assert table.loc["integrated_gradients", "auc"] > 0.9
