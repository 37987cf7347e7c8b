"""A scan becomes the training code's input, and a map comes back to the scan's own voxels."""

import gzip
import io
import os
import pickle
import time

import nibabel as nib
import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import transforms

from mri_saliency import volumes
from mri_saliency.errors import UserError
from mri_saliency.volumes import Grid, load_volume

from .conftest import AFFINE, FLIPPED, REAL_SHAPE, SYNTHETIC_SHAPE, brain, save_scan


def reference_input(voxels, first, n, z_score=True):
    """Prepare slice by slice with PIL and torchvision, as the training code did."""
    if z_score:
        voxels = voxels.astype(np.float64)
        voxels = (voxels - voxels.mean()) / voxels.std()
    steps = transforms.Compose(
        [
            transforms.Resize((112, 112), transforms.InterpolationMode.BILINEAR),
            transforms.ToTensor(),
            transforms.Pad(8),
        ]
    )
    slices = [voxels[:, y, :].astype(np.float32) for y in range(first, first + n)]
    return torch.cat([steps(Image.fromarray(array)) for array in slices]).numpy()


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz", "a.mgz", "a.npy"])
def test_real_scan_agrees_with_pil_and_torchvision(tmp_path, name):
    voxels = brain()
    path = save_scan(tmp_path / name, voxels)
    found = load_volume(path, 115)
    assert found.network_input.dtype == np.float32 and found.network_input.shape == (115, 128, 128)
    np.testing.assert_allclose(found.network_input, reference_input(voxels, 10, 115), atol=1e-4)
    assert (found.grid.affine is None) == (name == "a.npy")


def test_scaled_int16_is_read_with_its_scaling(tmp_path):
    image = nib.Nifti1Image(brain(), AFFINE)
    image.set_data_dtype(np.int16)
    image.to_filename(tmp_path / "a.nii")
    stored = nib.load(tmp_path / "a.nii").get_fdata()
    found = load_volume(tmp_path / "a.nii", 115).network_input
    np.testing.assert_allclose(found, reference_input(stored, 10, 115), atol=1e-4)


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_synthetic_scan_is_not_scored_again(tmp_path, protocol):
    voxels = np.random.default_rng(0).standard_normal(SYNTHETIC_SHAPE).astype(np.float32)
    path = tmp_path / "12_1.pkl"
    path.write_bytes(pickle.dumps({"image": voxels, "label": np.int64(1)}, protocol))
    found = load_volume(path, 115)
    np.testing.assert_allclose(found.network_input, reference_input(voxels, 9, 115, False), atol=1e-4)
    assert found.grid.affine is None and found.grid.first_slice == 9


def test_a_scan_is_prepared_quickly(tmp_path):
    path = save_scan(tmp_path / "a.nii", brain())
    load_volume(path, 115)
    started = time.perf_counter()
    load_volume(path, 115)
    print(f"prepared in {time.perf_counter() - started:.3f} s")  # noisy machines: no assertion on time


@pytest.mark.parametrize("shape", [(113, 137, 113), (91, 130, 100), (140, 126, 113)])
@pytest.mark.parametrize("affine", [AFFINE, FLIPPED])
def test_a_blob_comes_back_at_its_voxel_and_mm(tmp_path, shape, affine):
    place = (30, 57, 41)
    distance2 = sum(
        (axis - centre) ** 2 for axis, centre in zip(np.indices(shape, sparse=True), place, strict=True)
    )
    blob = np.exp(-distance2 / 8.0).astype(np.float32)
    grid = Grid(shape, affine, 4, first_slice=10, n_slices=115)
    image = volumes.to_nifti(volumes.unpad(volumes.to_network_input(blob, 115)), grid, "blob")
    nib.save(image, tmp_path / "map.nii.gz")
    image = nib.load(tmp_path / "map.nii.gz")
    data = image.get_fdata()
    assert image.shape == shape and image.get_data_dtype() == np.float32
    np.testing.assert_array_equal(image.affine, affine)
    assert (int(image.header["sform_code"]), int(image.header["qform_code"])) == (4, 4)
    assert np.unravel_index(data.argmax(), shape) == place
    centre = sum(np.argwhere(data > 0.05) * data[data > 0.05][:, None]) / data[data > 0.05].sum()
    found_mm = nib.affines.apply_affine(image.affine, centre)
    np.testing.assert_allclose(found_mm, nib.affines.apply_affine(affine, place), atol=0.3)
    assert not data[:, :10].any() and not data[:, 125:].any()


def test_sign_survives_and_a_scan_without_affine_says_so():
    grid = Grid(SYNTHETIC_SHAPE, None, 0, first_slice=9, n_slices=115)
    values = np.full((115, 112, 112), -2.0, np.float32)
    image = volumes.to_nifti(values, grid, "saliency, logit")
    np.testing.assert_allclose(np.asarray(image.dataobj)[:, 9:124], -2.0, rtol=1e-5)
    np.testing.assert_array_equal(image.affine, np.eye(4))
    assert b"index grid" in image.header["descrip"].tobytes()


def test_a_space_that_nibabel_makes_up_is_none(tmp_path):
    image = nib.Nifti1Image(brain(), None)
    image.to_filename(tmp_path / "a.nii")  # both codes 0: nibabel would guess, with x running to the left
    assert load_volume(tmp_path / "a.nii", 115).grid.affine is None


def test_departures_from_the_trained_grid():
    def found(shape, steps):
        affine = np.diag([*steps, 1.0])
        return volumes.departure(volumes.Grid(shape, affine, 4, 10, 115))

    assert found(REAL_SHAPE, (1.5, 1.5, 1.5)) is None and found(REAL_SHAPE, (-1.5, 1.5, 1.5)) is None
    assert "voxels of 1 x 1 x 1 mm" in found((182, 218, 182), (1, 1, 1))
    assert "backward" in found(REAL_SHAPE, (1.5, -1.5, 1.5))
    assert "shape (121, 145, 121)" in found((121, 145, 121), (1.5, 1.5, 1.5))
    assert volumes.departure(volumes.Grid(SYNTHETIC_SHAPE, None, 0, 9, 115)) is None


def test_mm_of_slices_and_sides():
    grid = Grid(REAL_SHAPE, AFFINE, 4, 10, 115)
    assert (grid.slice_y_mm(40), grid.slice_y_mm(60)) == (-45.0, -15.0)
    assert grid.extent == (-84.75, 84.75, -72.75, 96.75)
    slices = np.zeros((1, 3, 3))
    slices[0, 0, 2] = 1  # smallest x, largest z
    left_top, right_top = (0, 0), (0, 2)
    for affine, place in ((AFFINE, left_top), (FLIPPED, right_top)):
        shown = volumes.upright(slices, Grid(REAL_SHAPE, affine, 4, 10, 115))[0]
        assert shown[place] == 1


def test_air_and_brain(tmp_path):
    voxels = brain()
    found = load_volume(save_scan(tmp_path / "a.nii", voxels), 115).network_input
    air = volumes.air_input(found)
    assert np.isclose(air[50, 64, 64], -voxels.mean() / voxels.std(), rtol=1e-4)
    assert not air[:, :8].any() and not air[:, :, -8:].any()
    mask = volumes.brain_mask(found)
    inside = volumes.to_network_input((voxels > 0).astype(float), 115) > 0.5
    assert (mask == inside).mean() > 0.99


def test_baseline_file(tmp_path):
    array = np.random.default_rng(0).standard_normal((115, 128, 128)).astype(np.float32)
    np.save(tmp_path / "baseline.npy", array)
    np.testing.assert_array_equal(volumes.load_baseline(tmp_path / "baseline.npy", 115), array)
    scan = save_scan(tmp_path / "scan.nii", brain())
    expected = load_volume(scan, 115).network_input
    np.testing.assert_array_equal(volumes.load_baseline(scan, 115), expected)


class Attack:
    def __init__(self, function, *args):
        self.call = function, args

    def __reduce__(self):
        return self.call


def npz():
    file = io.BytesIO()
    np.savez(file, np.zeros(3))
    return file.getvalue()


RECONSTRUCT = np.zeros(1).__reduce__()[0]  # NumPy moved it
BAD_SCANS = {
    "missing.nii": (None, "no such file"),
    "folder.nii": ("folder", "is a folder"),
    "empty.nii": (b"", "cannot be read"),
    "text.nii.gz": (b"hello", "cannot be read"),
    "scan.jpg": (b"x", "unknown kind of file"),
    "nan.npy": (np.where(brain() > 0.9, np.nan, 1), "NaN or infinite, the first at"),
    "constant.npy": (np.ones(REAL_SHAPE), "constant volume"),
    "4d.npy": (np.zeros((113, 137, 113, 2)), "expected a 3-D volume, found 4-D"),
    "short.npy": (np.random.rand(113, 100, 113), "has 100 coronal slices"),
    "complex.npy": (np.zeros(REAL_SHAPE, complex), "real numbers"),
    "objects.npy": (
        b"\x93NUMPY\x01\x00v\x00{'descr': '|O', 'fortran_order': False, 'shape': (1,)}",
        "cannot",
    ),
    "archive.npy": (npz(), "an archive of arrays"),
    "n" * 300 + ".nii": (None, "no such file"),
    "list.pkl": (pickle.dumps([1]), "found a list"),
    "keys.pkl": (pickle.dumps({"img": 1}), "the keys 'img'"),
    "broken.pkl": (b"\x80\x04garbage", "cannot be read"),
    "system.pkl": (pickle.dumps({"image": Attack(os.system, "touch attacked")}), "could run code"),
    "eval.pkl": (pickle.dumps({"image": Attack(eval, "1+1")}), "could run code"),
    "own.pkl": (pickle.dumps({"image": Attack(volumes.load_volume, "x", 1)}), "could run code"),
    "huge.pkl": (pickle.dumps({"image": Attack(RECONSTRUCT, np.ndarray, (10**11,), b"d")}), "claims memory"),
}


@pytest.mark.parametrize("name", BAD_SCANS)
def test_bad_scans_say_what_is_wrong(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / name
    content, message = BAD_SCANS[name]
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif isinstance(content, np.ndarray):
        np.save(path, content)
    elif content == "folder":
        path.mkdir()
    with pytest.raises(UserError, match=message) as caught:
        load_volume(path, 115)
    assert name in str(caught.value)
    assert not (tmp_path / "attacked").exists()


def test_truncated_gzip_wrong_axes_and_bombs(tmp_path):
    path = save_scan(tmp_path / "a.nii.gz", brain())
    path.write_bytes(path.read_bytes()[:100_000])
    with pytest.raises(UserError, match="truncated"):
        load_volume(path, 115)
    turned = AFFINE[:, [0, 2, 1, 3]]
    with pytest.raises(UserError, match="voxel axes run RSA"):
        load_volume(save_scan(tmp_path / "b.nii", brain(), turned), 115)
    header = nib.Nifti1Header()
    header.set_data_shape((30000, 30000, 30000))
    header.set_sform(AFFINE, 4)
    (tmp_path / "c.nii.gz").write_bytes(gzip.compress(header.binaryblock + bytes(4)))
    with pytest.raises(UserError, match="claims the shape"):
        load_volume(tmp_path / "c.nii.gz", 115)
