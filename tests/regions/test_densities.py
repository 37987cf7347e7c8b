"""Regions divide a map's magnitude, and their masses add up."""

from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from mri_saliency.inputs.atlas import read_atlas
from mri_saliency.inputs.grid import Grid
from mri_saliency.inputs.loading import load_volume
from mri_saliency.inputs.preprocessing import brain_mask, unpad
from mri_saliency.output.dictionary import TABLES
from mri_saliency.output.record import in_order
from mri_saliency.regions.densities import (
    OUTSIDE,
    BrainMass,
    PlacedRegions,
    densest,
    divide_maps,
    missing_null_notes,
    regions_table,
    write_regions,
)

from ..conftest import AFFINE, REAL_SHAPE
from ..made_cohort import COHORT_METHODS, save_halves

WHOLE_HEAD = Grid(REAL_SHAPE, AFFINE, 4, 10, 115)


@pytest.fixture
def halves(tmp_path):
    return read_atlas(*save_halves(tmp_path))


def measure_regions(folder, records, atlas):
    scans = {
        record.subject_id: [r for r in records if r.subject_id == record.subject_id] for record in records
    }
    table = regions_table(list(divide_maps(folder, atlas, list(scans.values()))))
    write_regions(folder, table)
    return table


def rows_of(atlas, labels, values, brain):
    """What `PlacedRegions` finds, by region."""
    regions = PlacedRegions(atlas, labels)
    return pd.DataFrame(regions.divide(values, brain), regions.names).to_dict("index")


def saliency_of(cohort, subject_id):
    [record] = [r for r in cohort.records if (r.subject_id, r.method) == (subject_id, "saliency")]
    return record


def test_rows_add_up_and_give_density_and_asymmetry(atlas):
    labels = atlas.on_network_grid(WHOLE_HEAD)
    values = np.ones(labels.shape, np.float32)
    values[labels == 1] = -3.0
    total = float(np.abs(values).sum(dtype=np.float64))
    brain = BrainMass(0.5 * total, 0.5 * total, n_inside=values.size // 4, n_outside=values.size * 3 // 4)
    rows = rows_of(atlas, labels, values, brain)
    assert set(rows) == {"Left Side", "Right Side", "Front", OUTSIDE}
    left, right = rows["Left Side"], rows["Right Side"]
    n_left, n_right = (labels == 1).sum(), (labels == 2).sum()
    assert left["mass"] == pytest.approx(3 * n_left) and right["mass"] == pytest.approx(n_right)
    assert left["share"] == pytest.approx(3 * n_left / total)
    assert left["density"] == pytest.approx(3 / (0.5 * total / (values.size // 4)))
    assert left["asymmetry"] == right["asymmetry"] == pytest.approx((3 - 1) / (3 + 1))
    assert np.isnan(rows["Front"]["asymmetry"])
    assert rows[OUTSIDE]["share"] == pytest.approx(0.5)


def test_densest_regions_come_first():
    rows = [
        {"method": method, "region": f"region {i}", "density": i * sign if i else None}
        for method, sign in (("b", 1.0), ("a", -1.0))
        for i in range(12)
        for _ in range(2)
    ]
    found = densest(pd.DataFrame(rows))
    assert list(found) == ["b", "a"] and len(found["b"]) == 10
    assert found["b"][0] == "region 11" and found["a"][0] == "region 1"


def test_regions_divide_the_maps(cohort, halves):
    returned = measure_regions(cohort.folder, in_order(cohort.records), halves)
    table = pd.read_csv(cohort.folder.regions)
    assert list(table.columns) == list(TABLES["region_statistics"])
    assert "12" not in set(table["subject_id"])  # it has no affine
    pd.testing.assert_frame_equal(table, returned[table.columns])
    halves_own = {"hemisphere_asymmetry", "hemisphere_grey_matter_asymmetry"}
    assert set(returned) - set(table) == {"subject", "diagnosis", "grey_matter_asymmetry"} | halves_own
    diagnoses = returned.groupby("subject_id")["diagnosis"].first()
    assert diagnoses["sub-A"] == "HC" and diagnoses["sub-B"] == "left"
    shares = {(r.subject_id, r.method): r.statistics.brain_share for r in cohort.records}
    for subject, left_is_low in (("sub-A", True), ("sub-B", False)):
        values = np.abs(cohort.folder.load_map("saliency", subject))
        sums = values[:, :56].sum(dtype=float), values[:, 57:].sum(dtype=float)
        left, right = sums if left_is_low else sums[::-1]
        rows = table[(table["subject_id"] == subject) & (table["method"] == "saliency")].set_index("region")
        assert rows.loc["Left Half", "mass"] == pytest.approx(left, rel=0.03)
        assert rows.loc["Left Half", "asymmetry"] == pytest.approx((left - right) / (left + right), abs=0.03)
        assert rows.loc[OUTSIDE, "share"] == pytest.approx(1 - shares[subject, "saliency"])
        record = saliency_of(cohort, subject)
        brain = unpad(brain_mask(load_volume(Path(record.source.path), 9).network_input))
        means = [values[:, half][brain[:, half]].mean() for half in (slice(56), slice(56, None))]
        left, right = means if left_is_low else means[::-1]
        of_map = returned[(returned["subject_id"] == subject) & (returned["method"] == "saliency")]
        expected = (left - right) / (left + right)
        np.testing.assert_allclose(of_map["hemisphere_asymmetry"], expected, atol=1e-6)


def test_without_affines_there_are_no_regions_and_no_old_table(cohort, halves):
    measure_regions(cohort.folder, cohort.records, halves)
    unplaced = [record for record in cohort.records if record.subject_id == "12"]
    assert len(unplaced) == len(COHORT_METHODS)
    assert measure_regions(cohort.folder, unplaced, halves).empty
    assert measure_regions(cohort.folder, [], halves).empty
    assert not cohort.folder.regions.exists()


def test_a_uniform_map_over_sides_of_unequal_size_is_symmetric(atlas):
    labels = np.zeros((4, 112, 112), int)
    labels[0, 0, :100], labels[1, 0, :80] = 1, 2
    brain = BrainMass(1.0, 0.0, n_inside=10, n_outside=10)
    uniform = np.ones(labels.shape, np.float32)
    rows = rows_of(atlas, labels, uniform, brain)
    assert rows["Left Side"]["asymmetry"] == rows["Right Side"]["asymmetry"] == 0
    one_sided = (labels == 1).astype(np.float32)
    assert rows_of(atlas, labels, one_sided, brain)["Left Side"]["asymmetry"] == 1
    without_right = np.where(labels == 2, 0, labels)  # not seen by the network
    rows = rows_of(atlas, without_right, one_sided, brain)
    assert list(rows) == ["Left Side", OUTSIDE] and np.isnan(rows["Left Side"]["asymmetry"])
    rows = rows_of(atlas, labels, np.zeros_like(one_sided), brain)
    assert np.isnan(rows["Left Side"]["asymmetry"]) and rows["Left Side"]["density"] == 0
    nothing = rows_of(atlas, labels, uniform, BrainMass(0.0, 0.0, n_inside=10, n_outside=0))
    assert all(np.isnan([row["share"], row["density"]]).all() for row in nothing.values())


def test_the_null_is_measured_as_the_map_is(cohort, halves):
    """Saliency has no baseline, so its null is the scan's magnitude."""
    record = saliency_of(cohort, "sub-A")
    table = measure_regions(cohort.folder, [record], halves).set_index("region")
    network_input = load_volume(Path(record.source.path), 9).network_input
    null, brain = np.abs(unpad(network_input)).astype(float), unpad(brain_mask(network_input))
    labels = halves.on_network_grid(record.grid)
    expected = null[labels == 1].mean() / null[brain].mean()
    assert table.loc["Left Half", "density_null"] == pytest.approx(expected, rel=1e-5)
    outside = null[~brain].sum() / (9 * 128**2 - brain.sum()) / null[brain].mean()
    assert table.loc[OUTSIDE, "density_null"] == pytest.approx(outside, rel=1e-5)


def test_grey_matter_is_measured_on_the_scans_own_intensities(cohort, halves):
    records = [r for r in cohort.records if r.subject_id == "sub-B"]
    table = measure_regions(cohort.folder, records, halves)
    voxels = np.asarray(nib.load(records[0].source.path).dataobj, float)[::-1, 10:19]  # x rises to the right
    left, right = voxels[:56].mean(), voxels[57:].mean()
    of_halves = table[table["region"] != OUTSIDE]
    assert len(of_halves) == 4
    np.testing.assert_allclose(of_halves["grey_matter_asymmetry"], (left - right) / (left + right), atol=0.01)
    assert table.loc[table["region"] == OUTSIDE, "grey_matter_asymmetry"].isna().all()


def test_without_the_scans_what_needs_them_is_empty_and_said(cohort, halves):
    records = in_order(cohort.records)
    whole = measure_regions(cohort.folder, records, halves)
    assert missing_null_notes(whole) == missing_null_notes(pd.DataFrame()) == []
    gone = [replace(r, source=replace(r.source, path="/gone.nii")) for r in records]
    table = measure_regions(cohort.folder, gone, halves)
    assert table[["density_null", "grey_matter_asymmetry", "hemisphere_asymmetry"]].isna().all(axis=None)
    pd.testing.assert_frame_equal(table[["density", "asymmetry"]], whole[["density", "asymmetry"]])
    [note] = missing_null_notes(table)
    assert "12 of 12 maps" in note and "density_null" in note
