"""Every kind of file is read as it was written; a damaged or hostile one costs a clear error."""

import gzip
import io
import os
import pickle
import struct
import tracemalloc
import zlib

import nibabel as nib
import numpy as np
import pytest

from mri_saliency.errors import UserError
from mri_saliency.inputs.volume_file import is_synthetic, read_volume

from ..conftest import AFFINE, FLIPPED, brain, save_scan

SHAPE = (11, 13, 12)


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz", "A.NII", "a.mgz", "a.npy", "a.pkl"])
def test_voxels_and_affine_come_back(tmp_path, name):
    voxels = brain(SHAPE)
    save_scan(tmp_path / name.lower(), voxels, FLIPPED).rename(tmp_path / name)
    found, affine, space_code = read_volume(tmp_path / name)
    assert found.dtype == np.float64
    np.testing.assert_array_equal(found, voxels)
    has_affine = name[-3:] not in ("npy", "pkl")
    assert (affine is not None) == has_affine
    if has_affine:
        np.testing.assert_allclose(affine, FLIPPED)
    assert space_code == (4 if name.lower().startswith("a.nii") else 0)


def test_scaled_int16_is_read_with_its_scaling(tmp_path):
    image = nib.Nifti1Image(brain(SHAPE), AFFINE)
    image.set_data_dtype(np.int16)
    image.to_filename(tmp_path / "a.nii")
    np.testing.assert_allclose(read_volume(tmp_path / "a.nii")[0], brain(SHAPE), atol=1e-4)


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_synthetic_volumes_of_every_pickle_protocol(tmp_path, protocol):
    voxels = np.random.default_rng(0).standard_normal(SHAPE).astype(np.float32)
    path = tmp_path / "12_1.pkl"
    path.write_bytes(pickle.dumps({"image": voxels, "label": np.int64(1)}, protocol))
    assert is_synthetic(path)
    np.testing.assert_array_equal(read_volume(path)[0], voxels)


def test_a_space_that_nibabel_makes_up_is_none(tmp_path):
    image = nib.Nifti1Image(brain(SHAPE), None)
    image.to_filename(tmp_path / "a.nii")  # both codes 0: nibabel would guess, with x running to the left
    assert read_volume(tmp_path / "a.nii")[1:] == (None, 0)


@pytest.mark.parametrize("name", ["a.nii", "a.npy"])
def test_last_axes_of_one_do_not_count(tmp_path, name):
    path = save_scan(tmp_path / name, brain(SHAPE)[..., None, None])
    np.testing.assert_array_equal(read_volume(path)[0], brain(SHAPE))


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
BAD_FILES = {
    "missing.nii": (None, "no such file"),
    "folder.nii": ("folder", "is a folder"),
    "empty.nii": (b"", "cannot be read"),
    "scan.jpg": (b"x", "unknown kind of file"),
    "truncated.nii": (nib.Nifti1Image(brain(), AFFINE).to_bytes()[:100_000], "truncated"),
    "nan.npy": (np.where(brain() > 0.9, np.nan, 1), "NaN or infinite, the first at"),
    "first axis of one.npy": (np.zeros((1, *SHAPE)), "expected a 3-D volume, found 4-D"),
    "complex.npy": (np.zeros(SHAPE, complex), "real numbers"),
    "objects.npy": (np.array([None]), "cannot be read"),
    "archive.npy": (npz(), "an archive of arrays"),
    "list.pkl": (pickle.dumps([1]), "found a list"),
    "keys.pkl": (pickle.dumps({"img": 1}), "the keys 'img'"),
    "broken.pkl": (b"\x80\x04garbage", "cannot be read"),
    "system.pkl": (pickle.dumps({"image": Attack(os.system, "touch attacked")}), "could run code"),
    "own.pkl": (pickle.dumps({"image": Attack(read_volume, "x")}), "could run code"),
    "huge.pkl": (pickle.dumps({"image": Attack(RECONSTRUCT, np.ndarray, (10**11,), b"d")}), "cannot be read"),
    "called.pkl": (pickle.dumps({"image": Attack(np.ndarray, (10**9,), "O")}), "cannot be read"),
    "objects.pkl": (pickle.dumps({"image": np.array([None])}), "numpy.object_"),
    "memo in text.pkl": (b"Np268435455\n.", "claims memory"),
    "bytes.pkl": (b"\x80\x05\x96" + (2**30).to_bytes(8, "little") + b".", "cannot be read"),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_bad_files_say_what_is_wrong(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / name
    content, message = BAD_FILES[name]
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif isinstance(content, np.ndarray):
        np.save(path, content)
    elif content == "folder":
        path.mkdir()
    tracemalloc.start()
    with pytest.raises(UserError, match=f"{name}: .*{message}"):
        read_volume(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert not (tmp_path / "attacked").exists()
    assert peak < 5_000_000 or not name.endswith(".pkl")  # whatever size a pickle claims


def nifti_bytes(**header):
    """A NIfTI file's bytes, with fields of the header replaced."""
    image = nib.Nifti1Image(brain(SHAPE), AFFINE)
    image.set_sform(AFFINE, 4)
    image.set_qform(FLIPPED, 2)
    content = bytearray(image.to_bytes())
    found = image.header.__class__(bytes(content[:348]))
    for name, value in header.items():
        found[name] = value
    content[:348] = found.binaryblock
    return bytes(content)


def test_a_gzipped_file_is_checked_to_its_end(tmp_path):
    plain = nifti_bytes()
    bad = bytearray(plain)
    bad[5000] ^= 3
    stored = gzip.compress(bytes(bad), 0)
    of_plain = struct.pack("<I", zlib.crc32(plain))
    for content in (stored[:-8] + of_plain + stored[-4:], stored[:-8], stored[:-1000]):
        (tmp_path / "a.nii.gz").write_bytes(content)
        with pytest.raises(UserError, match="a.nii.gz: cannot be read; it is empty, truncated, damaged"):
            read_volume(tmp_path / "a.nii.gz")


def test_compression_is_seen_in_the_content(tmp_path):
    for name, content in (("a.nii", gzip.compress(nifti_bytes())), ("a.nii.gz", nifti_bytes())):
        (tmp_path / name).write_bytes(content)
        np.testing.assert_array_equal(read_volume(tmp_path / name)[0], brain(SHAPE))


@pytest.mark.parametrize("offset", [100, np.nan, 2**30])
def test_voxels_that_would_start_elsewhere_are_refused(tmp_path, offset):
    (tmp_path / "a.nii.gz").write_bytes(gzip.compress(nifti_bytes(vox_offset=offset)))
    with pytest.raises(UserError, match="vox_offset is"):
        read_volume(tmp_path / "a.nii.gz")


@pytest.mark.parametrize("zoom", [1.5, -1.5, np.nan])
def test_of_two_forms_the_usable_one_is_taken(tmp_path, zoom):
    path, pixdim = tmp_path / "a.nii", [-1, zoom, 1.5, 1.5, 0, 0, 0, 0]
    path.write_bytes(nifti_bytes(pixdim=pixdim))
    np.testing.assert_allclose(read_volume(path)[1], AFFINE)
    path.write_bytes(nifti_bytes(pixdim=pixdim, **{f"srow_{axis}": np.zeros(4) for axis in "xyz"}))
    if np.isfinite(zoom):
        found, affine, code = read_volume(path)
        np.testing.assert_allclose(affine, FLIPPED)
        assert code == 2
    else:
        with pytest.raises(UserError, match="singular or not finite"):
            read_volume(path)


def test_wrong_axes_are_refused(tmp_path):
    image = nib.Nifti1Image(brain(SHAPE), None)
    for affine, message in (
        (AFFINE[:, [0, 2, 1, 3]], "voxel axes run RSA"),
        (AFFINE * [1, 0, 1, 1], "singular or not finite"),
    ):
        image.header.set_sform(affine, 4)
        image.to_filename(tmp_path / "a.nii")
        with pytest.raises(UserError, match=message):
            read_volume(tmp_path / "a.nii")


def test_a_claimed_size_takes_no_memory(tmp_path):
    header = nib.Nifti1Header()
    header.set_data_shape((30000, 30000, 30000))
    header.set_sform(AFFINE, 4)
    (tmp_path / "a.nii.gz").write_bytes(gzip.compress(header.binaryblock + bytes(4)))
    array_header = io.BytesIO()
    claimed = {"descr": "<f8", "fortran_order": False, "shape": (400, 400, 400)}
    np.lib.format.write_array_header_1_0(array_header, claimed)
    with (tmp_path / "b.npy").open("wb") as file:
        file.write(array_header.getvalue())
        file.truncate(8 * 400**3 + len(array_header.getvalue()))  # a sparse file: 0 bytes on the disk
    for name in ("a.nii.gz", "b.npy"):
        with pytest.raises(UserError, match="claims the shape"):
            read_volume(tmp_path / name)
