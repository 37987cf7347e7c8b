"""A map comes back to the scan's voxels with its sum, to their place in mm, and says what its values are."""

import nibabel as nib
import numpy as np
import pytest

from mri_saliency.errors import UserError
from mri_saliency.inputs.grid import Grid
from mri_saliency.inputs.preprocessing import to_network_input, unpad
from mri_saliency.maps.colours import colour_scale
from mri_saliency.maps.image import (
    Meaning,
    estimate,
    map_to_nifti,
    neg_log10_p,
    t_score,
    to_nifti,
    to_scan_grid,
)
from mri_saliency.methods import METHODS

from ..conftest import AFFINE, FLIPPED, SYNTHETIC_SHAPE

MAP_SHAPE = (115, 112, 112)


@pytest.mark.parametrize("shape", [(113, 137, 113), (91, 130, 100), (140, 126, 113)])
@pytest.mark.parametrize("affine", [AFFINE, FLIPPED])
def test_a_blob_comes_back_at_its_voxel_and_mm(tmp_path, shape, affine):
    place = (30, 57, 41)
    distance2 = sum(
        (axis - centre) ** 2 for axis, centre in zip(np.indices(shape, sparse=True), place, strict=True)
    )
    blob = np.exp(-distance2 / 8.0).astype(np.float32)
    grid = Grid(shape, affine, 4, first_slice=10, n_slices=115)
    image = to_nifti(unpad(to_network_input(blob, 115)), grid, "blob")
    nib.save(image, tmp_path / "map.nii.gz")
    image = nib.load(tmp_path / "map.nii.gz")
    data = image.get_fdata()
    assert image.shape == shape and image.get_data_dtype() == np.float32
    np.testing.assert_array_equal(image.affine, affine)
    assert (int(image.header["sform_code"]), int(image.header["qform_code"])) == (4, 4)
    assert image.header.get_xyzt_units()[0] == "mm" and b"blob" in image.header["descrip"].tobytes()
    assert np.unravel_index(data.argmax(), shape) == place
    centre = sum(np.argwhere(data > 0.05) * data[data > 0.05][:, None]) / data[data > 0.05].sum()
    found_mm = nib.affines.apply_affine(image.affine, centre)
    np.testing.assert_allclose(found_mm, nib.affines.apply_affine(affine, place), atol=0.3)
    assert not data[:, :10].any() and not data[:, 125:].any()


def test_sign_survives_and_a_grid_without_affine_gets_none(tmp_path):
    grid = Grid(SYNTHETIC_SHAPE, None, 0, first_slice=9, n_slices=115)
    values = np.full(MAP_SHAPE, -2.0, np.float32)
    to_nifti(values, grid, "saliency, logit").to_filename(tmp_path / "map.nii")
    image = nib.load(tmp_path / "map.nii")
    np.testing.assert_array_equal(np.asarray(image.dataobj)[:, 9:124], -2.0)
    assert (int(image.header["sform_code"]), int(image.header["qform_code"])) == (0, 0)
    assert image.header.get_zooms() == (1, 1, 1) and image.header.get_xyzt_units()[0] == "unknown"
    assert b"index grid" in image.header["descrip"].tobytes()


@pytest.mark.parametrize("shape", [(113, 137, 113), (91, 130, 100), (140, 126, 113), (60, 130, 60)])
def test_the_sum_of_a_signed_map_is_kept_on_any_grid(shape):
    """Interpolation kept 130 of 196 logits of one map."""
    values = np.random.default_rng(0).standard_normal(MAP_SHAPE).astype(np.float32)
    values[60, 40:50, 70] += 30
    volume = to_scan_grid(values, Grid(shape, AFFINE, 4, 10, 115)).astype(np.float64)
    mass = np.abs(values).sum(dtype=np.float64)
    assert volume.sum() == pytest.approx(values.sum(dtype=np.float64), abs=1e-7 * mass, rel=1e-5)
    slices = values.sum(axis=(1, 2), dtype=np.float64)
    np.testing.assert_allclose(volume.sum(axis=(0, 2))[10:125], slices, atol=1e-3)
    magnitudes = to_scan_grid(np.abs(values), Grid(shape, AFFINE, 4, 10, 115)).sum(dtype=np.float64)
    assert magnitudes == pytest.approx(mass, rel=1e-5)
    assert np.abs(volume).sum() < mass  # neighbours of opposite sign share a voxel


def test_one_pixel_is_divided_by_area():
    """On 56 pixels, a pixel of the map is a quarter of one; on 224, it is four of them."""
    values = np.zeros(MAP_SHAPE, np.float32)
    values[3, 20, 41] = 8.0
    coarse = to_scan_grid(values, Grid((56, 137, 56), AFFINE, 4, 10, 115))
    assert coarse[10, 13, 20] == coarse.sum() == 8
    fine = to_scan_grid(values, Grid((224, 137, 224), AFFINE, 4, 10, 115))
    np.testing.assert_array_equal(fine[40:42, 13, 82:84], 2.0)
    assert fine.sum() == 8


def test_an_affine_of_an_unknown_space_gets_a_code_that_keeps_it():
    image = to_nifti(np.zeros(MAP_SHAPE, np.float32), Grid((113, 137, 113), AFFINE, 0, 10, 115), "x" * 200)
    assert (int(image.header["sform_code"]), int(image.header["qform_code"])) == (1, 1)
    np.testing.assert_array_equal(image.affine, AFFINE)


def test_nearest_values_are_not_mixed_and_unseen_slices_are_filled():
    values = np.random.default_rng(0).integers(0, 2, MAP_SHAPE).astype(np.float32)
    grid = Grid((150, 137, 90), AFFINE, 4, first_slice=10, n_slices=115)
    volume = to_scan_grid(values, grid, nearest=True, fill=7.0)
    assert volume.shape == grid.shape and volume.dtype == np.float32
    assert set(np.unique(volume[:, 10:125])) == {0.0, 1.0}
    assert (volume[:, :10] == 7).all() and (volume[:, 125:] == 7).all()
    same_size = to_scan_grid(values, Grid((112, 137, 112), AFFINE, 4, 10, 115), nearest=True)
    np.testing.assert_array_equal(same_size[:, 10:125], values.transpose(1, 0, 2))
    mixed = to_scan_grid(values, grid)
    assert 0 < np.median(mixed[:, 10:125]) < 1


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
def test_a_map_opens_with_its_figures_colour_scale(tmp_path, method):
    values = np.random.default_rng(1).standard_normal(MAP_SHAPE).astype(np.float32)
    values = values if method.signed else np.abs(values)
    scale = colour_scale(values)
    grid = Grid((91, 137, 100), AFFINE, 4, 10, 115)
    image = to_nifti(values, grid, method.name, estimate(method.unit, scale, signed=method.signed))
    image.to_filename(tmp_path / "map.nii")
    header = nib.load(tmp_path / "map.nii").header
    shown = scale * 112**2 / (91 * 100)  # a voxel has more than one pixel's value
    low = -shown if method.signed else 0
    assert (header["cal_min"], header["cal_max"]) == pytest.approx((low, shown))
    assert int(header["intent_code"]) == 1001
    assert header["intent_name"].item().decode() == method.unit.replace(" per unit of ", "/")


@pytest.mark.parametrize(
    ("meaning", "code", "parameters", "window"),
    [
        (t_score(4.0, 7), 3, (7,), (-4, 4)),
        (neg_log10_p(0.05, 1e-3), 24, (), (1.30103, 3)),
        (Meaning(), 0, (), (0, 0)),
    ],
    ids=lambda value: value.intent if isinstance(value, Meaning) else "",
)
def test_intents_are_those_of_the_nifti_standard(meaning, code, parameters, window):
    grid = Grid((91, 137, 100), AFFINE, 4, 10, 115)
    image = to_nifti(np.ones(MAP_SHAPE, np.float32), grid, "test", meaning)
    assert int(image.header["intent_code"]) == code
    assert image.header.get_intent()[1] == parameters
    assert (image.header["cal_min"], image.header["cal_max"]) == pytest.approx(window)
    assert len(meaning.name) <= 15
    assert image.get_fdata()[:, :10].max() == meaning.fill


@pytest.mark.parametrize("affine", [AFFINE, FLIPPED])
def test_input_affine_agrees_with_the_map_in_the_scans_grid(affine):
    """A bump's centre of mass has the same mm in the map's indices as in the NIfTI image."""
    grid = Grid((90, 130, 100), affine, 4, 10, 115)
    k, x, z = np.indices(MAP_SHAPE, sparse=True)
    bump = np.exp(-((k - 50) ** 2 + (x - 30) ** 2 + (z - 71) ** 2) / 30).astype(np.float32)
    data = to_nifti(bump, grid, "bump").get_fdata()
    centre = (np.argwhere(data > 1e-3) * data[data > 1e-3][:, None]).sum(0) / data[data > 1e-3].sum()
    found_mm = nib.affines.apply_affine(affine, centre)
    np.testing.assert_allclose(nib.affines.apply_affine(grid.input_affine, (50, 30, 71)), found_mm, atol=0.1)


@pytest.mark.parametrize("method", ["saliency", "gradient_shap"])
def test_a_methods_map_is_shown_with_the_scale_of_its_figures(method):
    grid = Grid((113, 137, 113), AFFINE, 4, first_slice=10, n_slices=115)
    values = np.random.default_rng(0).normal(size=(115, 128, 128)).astype(np.float32)
    known = METHODS[method]
    scale = colour_scale(values)
    meaning = estimate(known.unit, scale, signed=known.signed)
    expected = to_nifti(unpad(values), grid, f"{method}, {known.unit}", meaning)
    for image in (map_to_nifti(values, grid, method), map_to_nifti(values, grid, method, scale)):
        assert image.header == expected.header
        np.testing.assert_array_equal(image.dataobj, expected.dataobj)
    with pytest.raises(UserError, match="no method 'grad_cam'"):
        map_to_nifti(values, grid, "grad_cam")
