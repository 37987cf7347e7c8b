"""Group maps are means on the common grid; TLE is tested against HC where that can be done."""

from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from mri_saliency.cohort.common_space import find_common_space
from mri_saliency.cohort.group_maps import map_groups
from mri_saliency.cohort.permutation_test import N_PERMUTATIONS
from mri_saliency.inputs.grid import Grid
from mri_saliency.maps.image import to_nifti, to_scan_grid

from ..conftest import AFFINE
from .conftest import GRID, SCANS, made_record
from .test_common_space import unreachable

KEY_SLICES = (4, 6)


@pytest.fixture
def drawn(cohort, no_workers):
    """The figures' paths of the cohort's group maps."""
    return draw(cohort.folder, cohort.records, no_workers)


def draw(folder, records, workers):
    space, _ = find_common_space(folder, records, workers)
    return map_groups(folder, records, space, KEY_SLICES, workers)


def image_of(cohort, method, name):
    return nib.load(cohort.folder.group_map(method, f"{name}.nii.gz"))


def test_group_maps_are_means_on_the_common_grid(cohort, drawn):
    maps = [cohort.load("input_x_gradient", subject) for subject in ("sub-A", "sub-D", "sub-E")]
    found = image_of(cohort, "input_x_gradient", "HC_mean")
    expected = to_nifti(np.mean(maps, axis=0), GRID, "")
    np.testing.assert_array_equal(found.affine, AFFINE)
    np.testing.assert_allclose(found.get_fdata(), expected.get_fdata(), atol=1e-6 * np.abs(maps).max())
    assert "mean of 3 HC" in found.header["descrip"].item().decode()
    # the mirrored scan turned, the one without affine where training has it, the one of 2 mm left out
    maps = [cohort.load("saliency", subject) for subject in ("sub-B", "12", "sub-F")]
    found = image_of(cohort, "saliency", "TLE_magnitude").get_fdata()
    expected = to_scan_grid(np.mean(maps, axis=0), GRID)
    np.testing.assert_allclose(found, expected, atol=1e-6 * expected.max())


def test_the_difference_is_tested_and_p_is_one_where_nothing_was(cohort, drawn):
    p = image_of(cohort, "saliency", "TLE_minus_HC_p").get_fdata()
    assert p.min() >= 1 / (N_PERMUTATIONS + 1) - 1e-6 and (p[:, :10] == 1).all() and p[0, 0, 0] == 1
    assert p.min() < 1
    log_p = image_of(cohort, "saliency", "TLE_minus_HC_neg_log10_p").get_fdata()
    np.testing.assert_allclose(log_p, -np.log10(p), atol=1e-6)
    assert log_p[0, 0, 0] == 0 and not np.signbit(log_p).any()
    names = ("HC", "TLE", "left", "right", "TLE_minus_HC", "TLE_correct", "TLE_wrong")
    folder = cohort.folder.group_map("saliency", "").parent
    assert {path.name for path in folder.glob("*.png")} == {f"saliency_{name}.png" for name in names}
    assert {*drawn["saliency"]} == {*names} and all(path.exists() for path in drawn["saliency"].values())


def test_images_open_with_the_figures_scale_and_state_what_they_hold(cohort, drawn):
    """All groups of a method share a scale; a viewer takes the score for a t-value, as which it was made."""
    shown = {
        name: image_of(cohort, "input_x_gradient", name).header
        for name in ("HC_mean", "TLE_mean", "HC_magnitude", "TLE_minus_HC_difference", "TLE_minus_HC_score")
    }
    windows = {name: (float(header["cal_min"]), float(header["cal_max"])) for name, header in shown.items()}
    assert windows["HC_mean"] == windows["TLE_mean"] and windows["HC_magnitude"][0] == 0
    for name in ("HC_mean", "TLE_minus_HC_difference", "TLE_minus_HC_score"):
        assert windows[name][1] == -windows[name][0] > 0
    units = {name: header["intent_name"].item().decode() for name, header in shown.items()}
    assert units["HC_mean"] == "logit" and units["TLE_minus_HC_difference"] == "mean magnitudes"
    code, degrees_of_freedom, _ = shown["TLE_minus_HC_score"].get_intent()
    assert (code, degrees_of_freedom) == ("t test", (2,))  # three controls
    image = image_of(cohort, "saliency", "TLE_minus_HC_neg_log10_p")
    assert (image.header["cal_min"], image.header["cal_max"]) == pytest.approx((1.301, 3.0004), abs=1e-3)
    assert int(image.header["intent_code"]) == 24
    assert image_of(cohort, "saliency", "TLE_minus_HC_p").header["cal_max"] == pytest.approx(0.05)


def test_means_keep_the_maps_sum(cohort, drawn):
    maps = [cohort.load("input_x_gradient", subject) for subject in ("sub-A", "sub-D", "sub-E")]
    found = image_of(cohort, "input_x_gradient", "HC_mean").get_fdata().sum()
    expected, mass = (part.sum(dtype=np.float64) / 3 for part in (np.array(maps), np.abs(maps)))
    assert found == pytest.approx(expected, abs=1e-6 * mass)


def test_the_difference_is_that_of_maps_in_units_of_their_mean(cohort, drawn):
    """So that a scan with a strong map does not outweigh the others."""
    rows = {record.subject_id: record.statistics for record in cohort.records if record.method == "saliency"}

    def mean(*subjects):
        return np.mean([cohort.load("saliency", s) / rows[s].abs_mean for s in subjects], axis=0)

    expected = to_scan_grid(mean("sub-B", "12", "sub-F") - mean("sub-A", "sub-D", "sub-E"), GRID)
    found = image_of(cohort, "saliency", "TLE_minus_HC_difference").get_fdata()
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_predicted_groups_follow_the_predicted_label(cohort, no_workers):
    """Of three logits, HC can be the most probable class though TLE's classes together reach 0.6."""
    three = made_record(logits=np.log([0.4, 0.3, 0.3])).statistics
    numbers = {name: getattr(three, name) for name in ("prediction", "predicted_label", "confidence")}
    records = [replace(r, statistics=replace(r.statistics, **numbers)) for r in cohort.records]
    assert three.prediction == pytest.approx(0.6) and three.predicted_label == 0
    drawn = draw(cohort.folder, records, no_workers)
    assert "TLE_wrong" in drawn["saliency"] and "TLE_correct" not in drawn["saliency"]


def test_without_a_brain_tle_is_not_tested_and_old_maps_are_removed(cohort, drawn, no_workers):
    tested = [
        cohort.folder.group_map("saliency", f"TLE_minus_HC_{name}.nii.gz") for name in ("p", "neg_log10_p")
    ]
    assert all(path.exists() for path in tested)
    cohort.folder.mean_scan.unlink()
    figures = draw(cohort.folder, unreachable(cohort.records), no_workers)
    assert "TLE_minus_HC" not in figures["saliency"] and "TLE" in figures["saliency"]
    assert not any(path.exists() for path in tested)


def test_maps_of_different_classes_are_not_compared(cohort, no_workers):
    records = [
        replace(record, statistics=replace(record.statistics, target=record.statistics.true_label))
        for record in cohort.records
    ]
    drawn = draw(cohort.folder, records, no_workers)
    assert all("TLE_minus_HC" not in figures for figures in drawn.values())

    def description(method):
        return image_of(cohort, method, "left_mean").header["descrip"].item().decode()

    assert "maps toward different classes" in description("input_x_gradient")
    assert "different classes" not in description("saliency")  # magnitudes toward any class can be averaged


def test_two_scans_a_group_are_not_compared(cohort, no_workers):
    records = [record for record in cohort.records if record.subject_id not in ("sub-E", "sub-G")]
    assert "TLE_minus_HC" not in draw(cohort.folder, records, no_workers)["saliency"]


def test_figures_show_the_key_slices_side_by_side(cohort, no_workers):
    few = [record for record in cohort.records if record.subject_id in ("sub-A", "sub-D")]
    space, _ = find_common_space(cohort.folder, few, no_workers)
    heights = []
    for key_slices in ((4,), (4, 6, 8, 2, 1)):
        drawn = map_groups(cohort.folder, few, space, key_slices, no_workers)
        assert {*drawn["saliency"]} == {"HC"}
        heights.append(Image.open(drawn["saliency"]["HC"]).size[0])
    assert heights[1] > heights[0]


def test_synthetic_cohorts_have_group_maps_too(cohort, no_workers):
    records = [record for record in cohort.records if record.subject_id == "12"]
    assert records[0].grid == Grid((112, 136, 112), None, 0, 9, 9)
    drawn = draw(cohort.folder, records, no_workers)
    assert {*drawn["saliency"]} == {"TLE", "right", "TLE_wrong"}
    description = image_of(cohort, "saliency", "TLE_mean").header["descrip"].item().decode()
    assert description.startswith("index grid") and SCANS["12"][1] is None
