"""Regions are compared as maps are: subjects, sides, covariates, and one correction for all regions."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from mri_saliency.output.dictionary import TABLES
from mri_saliency.regions.comparison import compare_regions
from mri_saliency.regions.densities import OUTSIDE

PAIRS = [("Left A", "Right A"), ("Left B", "Right B")]
NAMES = ["Left A", "Right A", "Left B", "Right B", "Middle", OUTSIDE]
DIAGNOSES = ["HC"] * 9 + ["left"] * 7 + ["right"] * 6


def made_regions(effect=1.0, seed=0):
    """Log-normal densities; region A on the side of the focus is denser by a factor of exp(effect)."""
    generator = np.random.default_rng(seed)
    rows = []
    for index, diagnosis in enumerate(DIAGNOSES):
        for name in NAMES:
            in_focus = name == f"{diagnosis.capitalize()} A"
            density = np.exp(0.3 * generator.standard_normal() + effect * in_focus)
            scan = {"subject_id": f"s{index}", "subject": f"p{index}", "diagnosis": diagnosis}
            rows.append(scan | {"method": "saliency", "region": name, "density": density})
    return pd.DataFrame(rows)


def test_the_region_on_the_side_of_the_focus_is_found():
    table = compare_regions(made_regions(), PAIRS)
    assert list(table.columns) == list(TABLES["region_group_test"])
    significant = table[table["p"] <= 0.05]
    assert set(zip(significant["contrast"], significant["region"], strict=True)) == {
        *(("left_minus_HC", "Left A"), ("right_minus_HC", "Right A"), ("aligned_minus_HC", "Left A"))
    }
    assert significant["ratio"].between(1.8, 4).all()
    assert table["p"].is_monotonic_increasing and OUTSIDE not in set(table["region"])
    assert (table[table["contrast"] == "aligned_minus_HC"]["n_patients"] == 13).all()


def test_t_is_welchs_of_the_logarithms():
    regions = made_regions()
    table = compare_regions(regions, PAIRS).set_index(["contrast", "region"])
    logs = np.log(regions[regions["region"] == "Middle"].set_index("diagnosis")["density"])
    expected = stats.ttest_ind(logs["right"], logs["HC"], equal_var=False).statistic
    assert table.loc[("right_minus_HC", "Middle"), "t"] == pytest.approx(expected, rel=1e-5)
    ratio = np.exp(logs["right"].mean() - logs["HC"].mean())
    assert table.loc[("right_minus_HC", "Middle"), "ratio"] == pytest.approx(ratio, rel=1e-5)


def test_regions_without_a_logarithm_are_left_out():
    regions = made_regions()
    regions.loc[(regions["subject_id"] == "s3") & (regions["region"] == "Right B"), "density"] = 0.0
    table = compare_regions(regions, PAIRS)
    assert "Right B" not in set(table["region"])
    aligned = table[table["contrast"] == "aligned_minus_HC"]["region"]
    assert set(aligned) == {"Left A", "Right A", "Middle"}  # B has no other side any more


def test_without_enough_subjects_or_regions_there_is_no_table():
    regions = made_regions()
    assert compare_regions(regions[regions["diagnosis"] == "HC"], PAIRS).empty
    assert compare_regions(regions[regions["region"] == OUTSIDE], PAIRS).empty
    assert compare_regions(pd.DataFrame(), PAIRS).empty


def test_covariates_count():
    regions = made_regions(effect=0.0)
    age = pd.DataFrame({"age": np.linspace(-1, 1, len(DIAGNOSES))}, index=[f"s{i}" for i in range(22)])
    regions["density"] *= np.exp(3 * age.loc[regions["subject_id"], "age"].to_numpy())
    assert (compare_regions(regions, PAIRS)["p"] <= 0.05).any()
    assert (compare_regions(regions, PAIRS, age)["p"] > 0.05).all()
    assert (compare_regions(regions, PAIRS, age.drop("s0"))["n_controls"] == 8).all()
