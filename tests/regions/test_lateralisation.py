"""Asymmetries tell the side of the focus in a direction fixed in advance, beside grey matter."""

import numpy as np
import pandas as pd
import pytest

from mri_saliency.inputs.atlas import HEMISPHERES, Atlas
from mri_saliency.maps.comparison import roc_auc
from mri_saliency.output.dictionary import TABLES
from mri_saliency.output.folder import OutputFolder
from mri_saliency.regions.lateralisation import (
    LEAST_SUBJECTS,
    RESPONSE_OF_A_SIDE,
    lateralisation_sentences,
    lateralisation_table,
    lateralise,
)
from mri_saliency.statistics.intervals import auc_interval, pair_wins
from mri_saliency.wording import ClassNames

from ..made_cohort import SIDED_PAIRS, sided_regions


@pytest.fixture
def folder(tmp_path):
    return OutputFolder(tmp_path)


@pytest.fixture
def atlas(tmp_path):
    names = dict(enumerate((name for pair in SIDED_PAIRS for name in pair), start=1))
    return Atlas(np.zeros((2, 2, 2), np.int32), np.eye(4), names | {9: "Brain stem"}, tmp_path / "atlas.nii")


def test_areas_against_a_plain_loop():
    regions = sided_regions(n=7, effect=0.3)
    table = lateralisation_table(regions, SIDED_PAIRS)
    halves = regions.assign(asymmetry=regions["hemisphere_asymmetry"], region=HEMISPHERES[0])
    halves["grey_matter_asymmetry"] = regions["hemisphere_grey_matter_asymmetry"]
    halves = halves.drop_duplicates("subject")
    # the brain's halves, then the densest
    assert list(table["left_region"]) == [HEMISPHERES[0], "Left hippocampus", "Left insula"]
    assert list(table.columns) == list(TABLES["lateralisation"])
    for _, row in table.iterrows():
        rows = pd.concat([regions, halves]).query("region == @row.left_region")
        patients = rows[rows["diagnosis"] != "HC"]
        is_left = (patients["diagnosis"] == "left").to_numpy()
        for prefix, column, sign in (("", "asymmetry", 1), ("grey_matter_", "grey_matter_asymmetry", -1)):
            score = sign * patients[column].to_numpy()
            assert row[f"{prefix}auc"] == pytest.approx(roc_auc(score, is_left))
            found = row[[f"{prefix}auc_low", f"{prefix}auc_high"]]
            assert tuple(found) == pytest.approx(auc_interval(pair_wins(score[is_left], score[~is_left])))
            assert row[f"{prefix}n_left"] == row[f"{prefix}n_right"] == 7
        assert row["auc_difference"] == pytest.approx(row["auc"] - row["grey_matter_auc"])
        assert row["auc_difference_low"] < row["auc_difference"] < row["auc_difference_high"]


def test_the_direction_is_never_turned_to_fit():
    regions = sided_regions(effect=-2.0)
    hippocampus = lateralisation_table(regions, SIDED_PAIRS).iloc[1]
    assert hippocampus["auc"] == hippocampus["grey_matter_auc"] == 0


@pytest.mark.parametrize(("hemispheres", "better"), [(0.0, ["yes", "no"]), (3.0, ["no", "no"])])
def test_a_region_is_judged_against_the_whole_hemisphere(hemispheres, better):
    """An area of 1 does not localise where the whole side tells as much."""
    regions = sided_regions(n=12, effect=3.0, hemispheres=hemispheres)
    table = lateralisation_table(regions, SIDED_PAIRS).set_index("left_region")
    pairs = table.drop(index=HEMISPHERES[0])
    assert pairs["better_than_hemisphere"].tolist() == better
    assert pairs.loc["Left hippocampus", "auc"] == 1
    expected = pairs["auc"] - table.loc[HEMISPHERES[0], "auc"]
    np.testing.assert_allclose(pairs["hemisphere_difference"], expected)
    words = " ".join(lateralisation_sentences(table.reset_index(), ClassNames()))
    assert "2 pairs" in words and (RESPONSE_OF_A_SIDE in words) == (hemispheres == 3)


def test_a_subjects_sessions_are_averaged_first():
    regions = sided_regions()
    is_first = regions["subject"] == "left0"
    sessions = [
        regions[is_first].assign(subject_id=f"session{i}", asymmetry=asymmetry)
        for i, asymmetry in enumerate((-0.9, 0.9, 0.3))
    ]
    found = lateralisation_table(pd.concat([regions[~is_first], *sessions]), SIDED_PAIRS)
    averaged = regions.assign(asymmetry=regions["asymmetry"].mask(is_first, 0.1))
    pd.testing.assert_frame_equal(found, lateralisation_table(averaged, SIDED_PAIRS))
    assert (found["n_left"] == 6).all()


def test_subjects_without_grey_matter_leave_the_difference_alone():
    regions = sided_regions(n=7, effect=0.3)
    gone = regions["subject"].isin(["left0", "right3"])
    grey_matter = ["grey_matter_asymmetry", "hemisphere_grey_matter_asymmetry"]
    partly = regions.assign(**{name: regions[name].mask(gone) for name in grey_matter})
    found = lateralisation_table(partly, SIDED_PAIRS)
    both = lateralisation_table(regions[~gone], SIDED_PAIRS)
    for column in ("grey_matter_auc", "grey_matter_auc_low", "auc_difference", "auc_difference_high"):
        np.testing.assert_allclose(found[column], both[column])
    whole = lateralisation_table(regions, SIDED_PAIRS)
    np.testing.assert_allclose(found["auc"], whole["auc"])
    assert (found["grey_matter_n_left"] == 6).all() and (found["n_left"] == 7).all()
    none = lateralisation_table(regions.assign(**dict.fromkeys(grey_matter, np.nan)), SIDED_PAIRS)
    assert none[["grey_matter_auc", "auc_difference"]].isna().all(axis=None)


def test_files_are_written_and_old_ones_removed(folder, atlas):
    table, notes = lateralise(folder, sided_regions(), atlas)
    assert notes == []
    pd.testing.assert_frame_equal(pd.read_csv(folder.lateralisation), table)
    few, [note] = lateralise(folder, sided_regions(n=LEAST_SUBJECTS - 1), atlas)
    assert few.empty and not folder.lateralisation.exists()
    assert "5 subjects of each side" in note and "at most 4 and 4" in note
    unnamed = Atlas(atlas.labels, atlas.affine, {1: "label 1", 2: "label 2"}, atlas.path)
    [note] = lateralise(folder, sided_regions(), unnamed)[1]
    assert "no region of the atlas" in note
    assert lateralise(folder, pd.DataFrame(), atlas)[1] == []
