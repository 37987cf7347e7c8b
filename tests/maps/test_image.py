"""A map comes back to the scan's voxels with its sum, to their place in mm, and says what its values are."""

import nibabel as nib
import numpy as np
import pytest

from mri_saliency.errors import UserError
from mri_saliency.inputs.grid import Grid
from mri_saliency.inputs.preprocessing import to_network_input, unpad
from mri_saliency.maps.colours import colour_scale
from mri_saliency.maps.image import Meaning, map_to_nifti, neg_log10_p, t_score, to_nifti, to_scan_grid
from mri_saliency.methods import METHODS

from ..conftest import AFFINE, FLIPPED, REAL_SHAPE, SYNTHETIC_SHAPE

MAP_SHAPE = (115, 112, 112)
SHAPES = [REAL_SHAPE, (91, 130, 100), (140, 126, 113)]  # the last two: fewer and more pixels than the map's


def grid_of(shape, affine=AFFINE):
    return Grid(shape, affine, 4, first_slice=10, n_slices=115)


def noise(shape=MAP_SHAPE):
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


def codes_of(image):
    return int(image.header["sform_code"]), int(image.header["qform_code"])


@pytest.mark.parametrize(("shape", "of"), [(MAP_SHAPE, "grid"), ((), "grid"), ((115, 128, 128), "volume")])
def test_a_map_of_another_shape_or_grid_is_refused(shape, of):
    expected = {"grid": r"shape \(115, 128, 128\), found \(", "volume": "grid of a volume, found str"}[of]
    with pytest.raises(UserError, match=expected):
        map_to_nifti(np.zeros(shape), grid_of(REAL_SHAPE) if of == "grid" else "scan.nii", "saliency")


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("affine", [AFFINE, FLIPPED])
def test_a_blob_comes_back_at_its_voxel_and_mm(tmp_path, shape, affine):
    place = (30, 57, 41)
    offsets = zip(np.indices(shape, sparse=True), place, strict=True)
    blob = np.exp(-sum((axis - centre) ** 2 for axis, centre in offsets) / 8).astype(np.float32)
    image = to_nifti(unpad(to_network_input(blob, 115)), grid_of(shape, affine), "blob")
    nib.save(image, tmp_path / "map.nii.gz")
    image = nib.load(tmp_path / "map.nii.gz")
    data = image.get_fdata()
    assert image.shape == shape and image.get_data_dtype() == np.float32
    np.testing.assert_array_equal(image.affine, affine)
    assert codes_of(image) == (4, 4) and image.header.get_xyzt_units()[0] == "mm"
    assert b"blob" in image.header["descrip"].tobytes()
    assert np.unravel_index(data.argmax(), shape) == place
    centre = np.average(np.argwhere(data > 0.05), axis=0, weights=data[data > 0.05])
    found_mm, expected_mm = (nib.affines.apply_affine(affine, voxel) for voxel in (centre, place))
    np.testing.assert_allclose(found_mm, expected_mm, atol=0.3)
    assert not data[:, :10].any() and not data[:, 125:].any()


def test_sign_survives_and_a_grid_without_affine_gets_none(tmp_path):
    grid = Grid(SYNTHETIC_SHAPE, None, 0, first_slice=9, n_slices=115)
    to_nifti(np.full(MAP_SHAPE, -2.0, np.float32), grid, "saliency").to_filename(tmp_path / "map.nii")
    image = nib.load(tmp_path / "map.nii")
    np.testing.assert_array_equal(np.asarray(image.dataobj)[:, 9:124], -2.0)
    assert codes_of(image) == (0, 0) and image.header.get_zooms() == (1, 1, 1)
    assert image.header.get_xyzt_units()[0] == "unknown"
    assert b"index grid" in image.header["descrip"].tobytes()
    image = to_nifti(noise(), Grid(REAL_SHAPE, AFFINE, 0, 10, 115), "x" * 200)  # in an unknown space
    assert codes_of(image) == (1, 1)
    np.testing.assert_array_equal(image.affine, AFFINE)


@pytest.mark.parametrize("shape", [*SHAPES, (60, 130, 60)])
def test_the_sum_of_a_signed_map_is_kept_on_any_grid(shape):
    """Interpolation kept 130 of 196 logits of one map."""
    values = noise()
    values[60, 40:50, 70] += 30
    volume = to_scan_grid(values, grid_of(shape)).astype(np.float64)
    slices = values.sum(axis=(1, 2), dtype=np.float64)
    np.testing.assert_allclose(volume.sum(axis=(0, 2))[10:125], slices, atol=1e-3)
    mass = np.abs(values).sum(dtype=np.float64)
    assert to_scan_grid(np.abs(values), grid_of(shape)).sum(dtype=np.float64) == pytest.approx(mass, rel=1e-5)
    assert np.abs(volume).sum() < mass  # neighbours of opposite sign share a voxel


def test_one_pixel_is_divided_by_area():
    """On 56 pixels, a pixel of the map is a quarter of one; on 224, it is four of them."""
    values = np.zeros(MAP_SHAPE, np.float32)
    values[3, 20, 41] = 8.0
    coarse, fine = (to_scan_grid(values, grid_of((n, 137, n))) for n in (56, 224))
    assert coarse[10, 13, 20] == coarse.sum() == 8
    np.testing.assert_array_equal(fine[40:42, 13, 82:84], 2.0)
    assert fine.sum() == 8


def test_nearest_values_are_not_mixed_and_unseen_slices_are_filled():
    values = (noise() > 0).astype(np.float32)
    volume = to_scan_grid(values, grid_of((150, 137, 90)), nearest=True, fill=7.0)
    assert volume.shape == (150, 137, 90) and volume.dtype == np.float32
    assert set(np.unique(volume[:, 10:125])) == {0.0, 1.0}
    assert (volume[:, :10] == 7).all() and (volume[:, 125:] == 7).all()
    same_size = to_scan_grid(values, grid_of((112, 137, 112)), nearest=True)
    np.testing.assert_array_equal(same_size[:, 10:125], values.transpose(1, 0, 2))


@pytest.mark.parametrize("method", [METHODS["integrated_gradients"], METHODS["saliency"]])
def test_a_map_opens_with_its_figures_colour_scale(tmp_path, method):
    values, grid = noise((115, 128, 128)), grid_of((91, 137, 100))
    map_to_nifti(values, grid, method.name).to_filename(tmp_path / "map.nii")
    image = nib.load(tmp_path / "map.nii")
    np.testing.assert_array_equal(image.get_fdata(), to_scan_grid(unpad(values), grid))
    shown = colour_scale(values) * 112**2 / (91 * 100)  # a voxel has more than one pixel's value
    low = -shown if method.signed else 0
    assert (image.header["cal_min"], image.header["cal_max"]) == pytest.approx((low, shown))
    assert int(image.header["intent_code"]) == 1001
    assert image.header["intent_name"].item().decode() == method.unit.replace(" per unit of ", "/")
    assert method.name in image.header["descrip"].item().decode()


def test_a_method_that_is_not_known_has_no_image():
    with pytest.raises(UserError, match="no method 'grad_cam'"):
        map_to_nifti(noise((115, 128, 128)), grid_of(REAL_SHAPE), "grad_cam", 1.0)


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
    image = to_nifti(np.ones(MAP_SHAPE, np.float32), grid_of((91, 137, 100)), "test", meaning)
    assert int(image.header["intent_code"]) == code
    assert image.header.get_intent()[1] == parameters
    assert (image.header["cal_min"], image.header["cal_max"]) == pytest.approx(window)
    assert len(meaning.name) <= 15
    assert image.get_fdata()[:, :10].max() == meaning.fill
