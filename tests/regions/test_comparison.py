"""Regions are compared as maps are: subjects, sides, covariates, and one correction for all regions."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from mri_saliency.output.dictionary import TABLES
from mri_saliency.regions.comparison import compare_regions, region_test_table
from mri_saliency.regions.densities import OUTSIDE

PAIRS = [("Left A", "Right A"), ("Left B", "Right B")]
NAMES = ["Left A", "Right A", "Left B", "Right B", "Middle", OUTSIDE]
DIAGNOSES = ["HC"] * 9 + ["left"] * 7 + ["right"] * 6


def table_of(*arguments):
    return region_test_table(compare_regions(*arguments))


def made_regions(effect=1.0, seed=0, of_null=0.0):
    """Log-normal densities; region A on the side of the focus is denser by a factor of exp(effect).

    The null map's follow the maps', less what the network adds: there it is denser by exp(of_null).
    """
    generator = np.random.default_rng(seed)
    rows = []
    for index, diagnosis in enumerate(DIAGNOSES):
        for name in NAMES:
            in_focus = name == f"{diagnosis.capitalize()} A"
            own = 0.3 * generator.standard_normal()
            density, null = np.exp(own + effect * in_focus), np.exp(own / 2 + of_null * in_focus)
            rows.append((f"s{index}", f"p{index}", diagnosis, name, density, null))
    columns = ("subject_id", "subject", "diagnosis", "region", "density", "density_null")
    return pd.DataFrame(rows, columns=columns).assign(method="saliency")


def test_the_region_on_the_side_of_the_focus_is_found():
    table = table_of(made_regions(), PAIRS)
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
    table = table_of(regions, PAIRS).set_index(["contrast", "region"])
    logs = np.log(regions[regions["region"] == "Middle"].set_index("diagnosis")["density"])
    expected = stats.ttest_ind(logs["right"], logs["HC"], equal_var=False).statistic
    assert table.loc[("right_minus_HC", "Middle"), "t"] == pytest.approx(expected, rel=1e-5)
    ratio = np.exp(logs["right"].mean() - logs["HC"].mean())
    assert table.loc[("right_minus_HC", "Middle"), "ratio"] == pytest.approx(ratio, rel=1e-5)


def test_the_null_maps_effect_stands_beside_with_welchs_intervals():
    """In the focus only the maps' effect exceeds it; the intervals are scipy's."""
    regions = made_regions()
    rows = table_of(regions, PAIRS).set_index(["contrast", "region"])
    row = rows.loc[("left_minus_HC", "Left A")]
    focus = regions[regions["region"] == "Left A"].set_index("diagnosis")
    for name, values in (
        ("ratio", focus["density"]),
        ("ratio_null", focus["density_null"]),
        ("ratio_over_null", focus["density"] / focus["density_null"]),
    ):
        welch = stats.ttest_ind(np.log(values["left"]), np.log(values["HC"]), equal_var=False)
        expected = np.exp(welch.confidence_interval())
        assert row[[f"{name}_low", f"{name}_high"]].tolist() == pytest.approx(expected, rel=1e-4)
    assert row["exceeds_null"] and not rows.loc[("left_minus_HC", "Right B"), "exceeds_null"]
    of_anatomy = table_of(made_regions(effect=1.0, of_null=1.0), PAIRS)
    assert (of_anatomy["p"] <= 0.05).any() and not of_anatomy["exceeds_null"].any()
    less = table_of(made_regions(effect=-1.0), PAIRS).set_index(["contrast", "region"])
    assert less.loc[("left_minus_HC", "Left A"), "exceeds_null"]


def test_without_null_maps_nothing_is_said_of_them():
    """A few that cannot be read any more are left out of the null's part alone."""
    regions = made_regions()
    complete = table_of(regions, PAIRS)
    regions.loc[regions["subject_id"] == "s0", "density_null"] = np.nan
    fewer = table_of(regions, PAIRS)
    assert fewer["p"].equals(complete["p"]) and fewer["ratio_null"].notna().all()
    assert not np.allclose(fewer["ratio_null"], complete["ratio_null"])
    none = table_of(regions.assign(density_null=np.nan), PAIRS)
    assert none["p"].equals(complete["p"]) and none["exceeds_null"].isna().all()
    assert none["ratio_null"].isna().all() and none["ratio_low"].notna().all()


def test_regions_without_a_logarithm_are_left_out():
    regions = made_regions()
    regions.loc[(regions["subject_id"] == "s3") & (regions["region"] == "Right B"), "density"] = 0.0
    table = table_of(regions, PAIRS)
    assert "Right B" not in set(table["region"])
    aligned = table[table["contrast"] == "aligned_minus_HC"]["region"]
    assert set(aligned) == {"Left A", "Right A", "Middle"}  # B has no other side any more


def test_without_enough_subjects_or_regions_there_is_no_table():
    regions = made_regions()
    assert table_of(regions[regions["diagnosis"] == "HC"], PAIRS).empty
    assert table_of(regions[regions["region"] == OUTSIDE], PAIRS).empty
    assert table_of(pd.DataFrame(), PAIRS).empty


def test_covariates_count():
    regions = made_regions(effect=0.0)
    age = pd.DataFrame({"age": np.linspace(-1, 1, len(DIAGNOSES))}, index=[f"s{i}" for i in range(22)])
    regions["density"] *= np.exp(3 * age.loc[regions["subject_id"], "age"].to_numpy())
    assert (table_of(regions, PAIRS)["p"] <= 0.05).any()
    assert (table_of(regions, PAIRS, age)["p"] > 0.05).all()
    assert (table_of(regions, PAIRS, age.drop("s0"))["n_controls"] == 8).all()
