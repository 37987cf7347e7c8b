"""A map comes back to the scan's voxels, and to their place in mm."""

import nibabel as nib
import numpy as np
import pytest

from mri_saliency.inputs.grid import Grid
from mri_saliency.inputs.preprocessing import to_network_input, unpad
from mri_saliency.maps.image import to_nifti, to_scan_grid

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


def test_sign_survives_and_an_index_grid_is_marked():
    grid = Grid(SYNTHETIC_SHAPE, None, 0, first_slice=9, n_slices=115)
    values = np.full(MAP_SHAPE, -2.0, np.float32)
    image = to_nifti(values, grid, "saliency, logit")
    np.testing.assert_allclose(np.asarray(image.dataobj)[:, 9:124], -2.0, rtol=1e-5)
    np.testing.assert_array_equal(image.affine, np.eye(4))
    assert b"index grid" in image.header["descrip"].tobytes()


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
