"""The grid that most scans share, and the mean scan on it."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from mri_saliency.cohort.common_space import find_common_space
from mri_saliency.inputs.loading import load_volume
from mri_saliency.inputs.preprocessing import brain_mask, unpad
from mri_saliency.wording import ClassNames

from ..made_cohort import GRID, N_SLICES


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
    assert note.sentence.startswith("1 scan on another grid than most") and note.detail == "sub-G"
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
    cohort.folder.class_names = ClassNames("CN", "AD")
    space, notes = find_common_space(cohort.folder, unreachable(cohort.records), no_workers)
    assert space.brain is None and not space.mean_scan.any() and space.mean_scan.shape == (N_SLICES, 112, 112)
    assert "AD and CN were not compared" in notes[1].sentence and not cohort.folder.mean_scan.exists()


def test_a_cohort_without_affines_has_its_own_grid(cohort, no_workers):
    synthetic = [record for record in cohort.records if record.subject_id == "12"]
    space, notes = find_common_space(cohort.folder, synthetic, no_workers)
    assert space.grid.affine is None and space.mirrored == {"12": False} and not notes
