"""The grid that most scans share, and the mean scan on it."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mri_saliency.cohort.common_space import find_common_space
from mri_saliency.inputs.loading import load_volume
from mri_saliency.inputs.preprocessing import brain_mask, unpad
from mri_saliency.output.folder import OutputFolder
from mri_saliency.wording import ClassNames

from ..made_cohort import GRID, N_SLICES, made_record


def unreachable(records):
    """Records of the same maps, whose scans are gone."""
    return [replace(record, source=replace(record.source, path="/gone.nii")) for record in records]


def test_most_scans_share_the_grid_and_mirrored_ones_are_turned(cohort, no_workers):
    space, notes = find_common_space(cohort.folder, cohort.records, no_workers)
    assert space.grid == GRID
    assert space.mirrored == {
        "sub-A": False, "sub-B": True, "12": False, "sub-D": False, "sub-E": False, "sub-F": False,
    }  # fmt: skip
    [note] = notes
    assert (
        note.sentence.startswith("1 scan on another grid than most was left out") and note.detail == "sub-G"
    )
    inputs = []
    for record in cohort.records:
        if record.method == "saliency" and record.subject_id != "sub-G":
            values = load_volume(Path(record.source.path), N_SLICES).network_input
            inputs.append(values[:, ::-1] if record.subject_id == "sub-B" else values)
    mean = np.mean(inputs, axis=0)
    np.testing.assert_allclose(space.mean_scan, unpad(mean), atol=1e-5)
    np.testing.assert_array_equal(space.brain, unpad(brain_mask(mean)))


def test_the_mean_scan_is_kept_for_when_the_scans_are_gone(cohort, no_workers):
    before, _ = find_common_space(cohort.folder, cohort.records, no_workers)
    after, notes = find_common_space(cohort.folder, unreachable(cohort.records), no_workers)
    np.testing.assert_array_equal(after.mean_scan, before.mean_scan)
    np.testing.assert_array_equal(after.brain, before.brain)
    assert len(notes) == 1
    cohort.folder.mean_scan.unlink()
    space, notes = find_common_space(cohort.folder, unreachable(cohort.records), no_workers)
    assert space.brain is None and not space.mean_scan.any() and space.mean_scan.shape == (N_SLICES, 112, 112)
    assert "TLE and HC were not compared" in notes[1].sentence and not cohort.folder.mean_scan.exists()


def test_the_space_has_the_classes_words(cohort, no_workers):
    names = ClassNames("CN", "AD")
    space, _ = find_common_space(cohort.folder, cohort.records, no_workers, names)
    assert space.class_names == names
    cohort.folder.mean_scan.unlink()
    space, notes = find_common_space(cohort.folder, unreachable(cohort.records), no_workers, names)
    assert space.class_names == names and "AD and CN were not compared" in notes[1].sentence


@pytest.fixture
def averaged(tmp_path, no_workers, monkeypatch):
    """A function: diagnoses of a table's scans -> the positions of those whose mean is drawn."""

    def load(record):
        loaded.append(int(record.subject_id))
        return np.zeros((N_SLICES, 128, 128), np.float32)

    def find(diagnoses):
        loaded.clear()
        records = [made_record(str(i), diagnosis=diagnosis) for i, diagnosis in enumerate(diagnoses)]
        find_common_space(OutputFolder(tmp_path), records, no_workers)
        assert len(loaded) == len(set(loaded))
        return loaded

    loaded = []
    monkeypatch.setattr("mri_saliency.cohort.common_space._load_input", load)
    return find


IN_TURN = ("HC", "left", "HC", "right")


@pytest.mark.parametrize(
    ("diagnoses", "expected"),
    [
        (IN_TURN * 25, {"HC": 7, "left": 6, "right": 7}),
        (sorted(IN_TURN * 25), {"HC": 7, "left": 6, "right": 7}),
        (("HC", "TLE") * 30, {"HC": 10, "TLE": 10}),
        (["HC"] * 50 + ["left"] * 3 + ["right", "TLE"], {"HC": 15, "left": 3, "right": 1, "TLE": 1}),
        (["HC"] * 11 + ["left"] * 9, {"HC": 11, "left": 9}),
        (["HC"] * 21, {"HC": 20}),
        (["left"], {"left": 1}),
    ],
)
def test_the_mean_scan_is_of_all_groups_alike(averaged, diagnoses, expected):
    assert Counter(diagnoses[position] for position in averaged(diagnoses)) == expected


def test_the_mean_scan_is_of_scans_from_all_over_the_table(averaged):
    chosen = sorted(averaged(IN_TURN * 25))
    assert chosen[0] < 4 and chosen[-1] >= 84 and max(np.diff(chosen)) <= 16
    assert sorted(averaged(["HC"] * 40)) == list(range(0, 40, 2))


def test_a_cohort_without_affines_has_its_own_grid(cohort, no_workers):
    synthetic = [record for record in cohort.records if record.subject_id == "12"]
    space, notes = find_common_space(cohort.folder, synthetic, no_workers)
    assert space.grid.affine is None and space.mirrored == {"12": False} and not notes
