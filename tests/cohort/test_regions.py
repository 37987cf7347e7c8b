"""Regions divide a map's magnitude, and their masses add up."""

from dataclasses import replace

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from mri_saliency.cohort.atlas import Atlas, read_atlas
from mri_saliency.cohort.regions import OUTSIDE, BrainMass, densest, measure_regions, region_rows
from mri_saliency.inputs.grid import Grid
from mri_saliency.inputs.scan_table import ClassNames
from mri_saliency.output.record import in_order
from mri_saliency.runtime.workers import Workers

from ..conftest import AFFINE, REAL_SHAPE
from .conftest import COHORT_METHODS, GRID, made_record, save_names

WHOLE_HEAD = Grid(REAL_SHAPE, AFFINE, 4, 10, 115)


@pytest.fixture
def halves(tmp_path):
    """An atlas on the scans' grid: left and right half, as far as the tiny network looks."""
    labels = np.zeros(REAL_SHAPE, np.int16)
    labels[:57, :40], labels[57:, :40] = 1, 2
    nib.Nifti1Image(labels, AFFINE).to_filename(tmp_path / "atlas.nii.gz")
    names = save_names(tmp_path / "names.csv", "index,name\n1,Left Half\n2,Right Half\n")
    return read_atlas(tmp_path / "atlas.nii.gz", names)


def test_rows_add_up_and_give_density_and_asymmetry(atlas):
    labels = atlas.on_network_grid(WHOLE_HEAD)
    values = np.ones(labels.shape, np.float32)
    values[labels == 1] = -3.0
    total = float(np.abs(values).sum(dtype=np.float64))
    brain = BrainMass(mass=total, share=0.5, n_voxels=values.size // 4, n_outside=values.size * 3 // 4)
    rows = {row["region"]: row for row in region_rows(values, labels, atlas, brain)}
    assert set(rows) == {"Left Side", "Right Side", "Front", OUTSIDE}
    left, right = rows["Left Side"], rows["Right Side"]
    n_left, n_right = (labels == 1).sum(), (labels == 2).sum()
    assert left["mass"] == pytest.approx(3 * n_left) and right["mass"] == pytest.approx(n_right)
    assert left["share"] == pytest.approx(3 * n_left / total)
    assert left["density"] == pytest.approx(3 / (0.5 * total / (values.size // 4)))
    assert (
        left["asymmetry"]
        == right["asymmetry"]
        == pytest.approx((3 * n_left - n_right) / (3 * n_left + n_right))
    )
    assert rows["Front"]["asymmetry"] is None
    assert rows[OUTSIDE]["share"] == pytest.approx(0.5)


def test_a_map_of_zeros_has_no_shares(atlas):
    labels = atlas.on_network_grid(WHOLE_HEAD)
    brain = BrainMass(mass=0.0, share=None, n_voxels=10, n_outside=10)
    rows = region_rows(np.zeros(labels.shape, np.float32), labels, atlas, brain)
    assert all(row["share"] is row["density"] is row["asymmetry"] is None for row in rows)


def test_the_brains_mass_comes_from_the_record():
    record = made_record(abs_mean=0.5, brain_share=0.7)
    n = GRID.n_slices * 128**2
    assert BrainMass.of(record) == BrainMass(mass=0.5 * n, share=0.7, n_voxels=1000, n_outside=n - 1000)


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


def test_regions_divide_the_maps(cohort, no_workers, halves):
    returned = measure_regions(cohort.folder, in_order(cohort.records), halves, no_workers)
    table = pd.read_csv(cohort.folder.regions)
    assert list(table.columns) == ["subject_id", "method", "region", "mass", "share", "density", "asymmetry"]
    assert "12" not in set(table["subject_id"])  # it has no affine
    pd.testing.assert_frame_equal(table, returned.drop(columns="diagnosis"))
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
    assert np.asarray(Image.open(cohort.folder.region_figure)).std() > 10


def test_the_figure_has_the_classes_words(cohort, no_workers, halves, monkeypatch):
    legends = []

    def write(_, figure):
        legends.append([text.get_text() for text in figure.axes[0].get_legend().get_texts()])

    monkeypatch.setattr("mri_saliency.cohort.regions.write_figure", write)
    records = [record for record in in_order(cohort.records) if record.method == "saliency"]
    measure_regions(cohort.folder, records, halves, no_workers, ClassNames("CN", "AD"))
    measure_regions(cohort.folder, records, halves, no_workers)
    assert legends == [["CN", "left", "right"], ["HC", "left", "right"]]


def test_worker_processes_give_the_same_table(cohort, no_workers, halves):
    records = in_order(cohort.records)
    expected = measure_regions(cohort.folder, records, halves, no_workers)
    with Workers(2) as workers:
        found = measure_regions(cohort.folder, records, halves, workers)
    pd.testing.assert_frame_equal(found, expected)


def test_labels_are_computed_once_for_each_grid_and_the_atlas_is_sent_once_a_chunk(
    cohort, no_workers, halves, monkeypatch
):
    placed_on, sent = [], []
    plain, submit = Atlas.on_network_grid, no_workers.submit
    monkeypatch.setattr(
        Atlas, "on_network_grid", lambda self, grid: placed_on.append(grid) or plain(self, grid)
    )
    monkeypatch.setattr(no_workers, "submit", lambda *args: sent.append(len(args[2])) or submit(*args))
    on_one_grid = [record for record in cohort.records if record.grid == GRID]
    measure_regions(cohort.folder, on_one_grid, halves, no_workers)
    assert sent == [2, 2, 2, 2] and len(on_one_grid) == 8
    assert placed_on == [GRID] * len(sent)


def test_without_affines_there_are_no_regions_and_no_old_table(cohort, no_workers, halves):
    measure_regions(cohort.folder, cohort.records, halves, no_workers)
    unplaced = [record for record in cohort.records if record.subject_id == "12"]
    assert len(unplaced) == len(COHORT_METHODS)
    assert measure_regions(cohort.folder, unplaced, halves, no_workers).empty
    assert measure_regions(cohort.folder, [], halves, no_workers).empty
    assert not cohort.folder.regions.exists()


def test_a_map_of_zeros_leaves_its_cells_empty(cohort, no_workers, halves):
    [record] = [r for r in cohort.records if (r.subject_id, r.method) == ("sub-A", "saliency")]
    array = np.load(cohort.folder.array("saliency", "sub-A"))
    np.save(cohort.folder.array("saliency", "sub-A"), np.zeros_like(array))
    zero = replace(record, statistics=replace(record.statistics, abs_mean=0.0, brain_share=None))
    table = measure_regions(cohort.folder, [zero], halves, no_workers)
    assert (table["mass"] == 0).all() and table[["share", "density", "asymmetry"]].isna().all(axis=None)
