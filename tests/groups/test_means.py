"""Group maps are means on the common grid."""

from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest

from mri_saliency.cohort.common_space import find_common_space
from mri_saliency.groups.means import write_means
from mri_saliency.groups.method_maps import find_method_maps
from mri_saliency.inputs.grid import Grid
from mri_saliency.maps.image import to_nifti, to_scan_grid

from ..conftest import AFFINE
from ..made_cohort import GRID, SCANS
from ..maps.test_viewer_data import assert_holds


@pytest.fixture
def drawn(cohort, no_workers):
    """The figures' paths of the cohort's group maps."""
    return draw(cohort.folder, cohort.records, no_workers)


def draw(folder, records, workers):
    space, _ = find_common_space(folder, records, workers)
    figures = {}
    for maps in find_method_maps(folder, records, space, (4, 6)):
        folder.open_groups(maps.method.name)
        figures[maps.method.name] = write_means(maps, 6.0)
    return figures


def image_of(cohort, method, name):
    return nib.load(cohort.folder.group_map(method, f"{name}.nii.gz"))


def test_group_maps_are_means_on_the_common_grid(cohort, drawn):
    maps = [cohort.load("input_x_gradient", subject) for subject in ("sub-A", "sub-D", "sub-E")]
    found = image_of(cohort, "input_x_gradient", "HC_mean")
    expected = to_nifti(np.mean(maps, axis=0), GRID, "")
    np.testing.assert_array_equal(found.affine, AFFINE)
    assert found.get_data_dtype() == np.int16
    expected = expected.get_fdata()
    np.testing.assert_allclose(found.get_fdata(), expected, atol=2e-5 * np.abs(expected).max())
    assert "mean of 3 HC" in found.header["descrip"].item().decode()
    # the mirrored scan turned, the one without affine where training has it, the one of 2 mm left out
    maps = [cohort.load("saliency", subject) for subject in ("sub-B", "12", "sub-F")]
    found = image_of(cohort, "saliency", "TLE_mean").get_fdata()
    expected = to_scan_grid(np.mean(maps, axis=0), GRID)
    np.testing.assert_allclose(found, expected, atol=2e-5 * expected.max())


def test_the_viewers_means_are_the_images(cohort, drawn):
    for name in ("HC", "TLE"):
        script = cohort.folder.group_map("saliency", f"{name}_mean_viewer.js").read_text(encoding="utf-8")
        key, content = assert_holds(script, image_of(cohort, "saliency", f"{name}_mean"))
        assert key == f"group_maps/saliency/{name}" and content["smooth_mm"] == 6


def test_correct_and_wrong_predictions_are_separate_where_somebody_is_wrong(cohort, drawn, no_workers):
    titles = {"TLE, predicted TLE", "TLE, predicted HC"}
    assert titles <= {*drawn["saliency"]}
    right = [record for record in cohort.records if record.statistics.predicts_tle]
    assert not titles & {*draw(cohort.folder, right, no_workers)["saliency"]}


def test_synthetic_cohorts_have_group_maps_too(cohort, no_workers):
    records = [record for record in cohort.records if record.subject_id == "12"]
    assert records[0].grid == Grid((112, 136, 112), None, 0, 9, 9)
    drawn = draw(cohort.folder, records, no_workers)
    assert {*drawn["saliency"]} == {"TLE", "TLE, focus on the right", "TLE, predicted HC"}
    description = image_of(cohort, "saliency", "TLE_mean").header["descrip"].item().decode()
    assert description.startswith("index grid") and SCANS["12"][1] is None


def test_images_open_with_the_scale_that_the_groups_figures_share(cohort, drawn):
    shown = {name: image_of(cohort, "input_x_gradient", name).header for name in ("HC_mean", "TLE_mean")}
    windows = {name: (float(header["cal_min"]), float(header["cal_max"])) for name, header in shown.items()}
    assert windows["HC_mean"] == windows["TLE_mean"]
    assert windows["HC_mean"][1] == -windows["HC_mean"][0] > 0


def test_maps_of_different_classes_are_called_mixed(cohort, no_workers):
    records = [
        replace(record, statistics=replace(record.statistics, target=record.statistics.true_label))
        for record in cohort.records
    ]
    draw(cohort.folder, records, no_workers)
    for method in ("input_x_gradient", "saliency"):  # magnitudes toward any class can be averaged
        description = image_of(cohort, method, "left_mean").header["descrip"].item().decode()
        assert ("maps toward different classes" in description) == (method != "saliency")
