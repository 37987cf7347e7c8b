"""Files appear whole or not at all, under the names the manual gives."""

import os

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from mri_saliency import outputs
from mri_saliency.errors import UserError


def test_names(tmp_path):
    folder = outputs.OutputFolder(tmp_path)
    found = folder.slice_figure("saliency", "sub-1", 40).relative_to(tmp_path)
    assert str(found) == os.path.join("saliency", "sub-1", "sub-1_saliency_slice_40.png")


def test_hashes_are_sha256sums(tmp_path):
    (tmp_path / "file").write_bytes(b"abc")
    assert outputs.sha256_of_file(tmp_path / "file").startswith("ba7816bf8f01cfea414140de5dae2223")
    array = np.frombuffer(b"abc", np.uint8)
    assert outputs.sha256_of_array(array) == outputs.sha256_of_file(tmp_path / "file")


def test_pictures_are_what_pillow_reads(tmp_path):
    picture = np.random.default_rng(0).integers(0, 256, (31, 17, 4), np.uint8)
    outputs.write_picture(tmp_path / "a.png", picture)
    image = Image.open(tmp_path / "a.png")
    assert image.mode == "RGB"
    np.testing.assert_array_equal(np.asarray(image), picture[..., :3])


def test_images_are_what_nibabel_reads(tmp_path):
    values = np.random.default_rng(0).standard_normal((5, 6, 7)).astype(np.float32)
    outputs.write_nifti(tmp_path / "a.nii.gz", nib.Nifti1Image(values, np.diag([-1.5, 1.5, 1.5, 1])))
    image = nib.load(tmp_path / "a.nii.gz")
    np.testing.assert_array_equal(image.get_fdata(dtype=np.float32), values)
    np.testing.assert_array_equal(image.affine, np.diag([-1.5, 1.5, 1.5, 1]))


def test_an_interrupted_write_leaves_the_old_file_and_no_other(tmp_path):
    outputs.write_json(tmp_path / "a.json", {"old": 1})
    with pytest.raises(TypeError):
        outputs.write_json(tmp_path / "a.json", {"new": object()})
    with pytest.raises(RuntimeError), outputs._whole_file(tmp_path / "a.json") as file:
        file.write(b"half")
        raise RuntimeError
    assert (tmp_path / "a.json").read_text() == '{\n  "old": 1\n}\n'
    assert list(tmp_path.iterdir()) == [tmp_path / "a.json"]


def test_a_folder_that_cannot_be_written_to(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written"):
        outputs.write_array(tmp_path / "file" / "a.npy", np.zeros(3))
    with pytest.raises(UserError, match="cannot be written"):
        outputs.OutputFolder(tmp_path / "file").create()


def test_cells_that_a_spreadsheet_would_run_are_quoted(tmp_path):
    outputs.write_table(
        tmp_path / "a.csv", pd.DataFrame({"x": ["=cmd|' /C calc'!A0", "plain"], "y": [-1.5, 2]})
    )
    read = pd.read_csv(tmp_path / "a.csv")
    assert read["x"].tolist() == ["'=cmd|' /C calc'!A0", "plain"]
    assert read["y"].tolist() == [-1.5, 2]


def test_names_that_look_like_numbers_stay_names(tmp_path):
    table = pd.DataFrame(
        {"fingerprint": ["123456789012", "12345678e012"], "subject_id": "0012", "value": 0.5}
    )
    outputs.write_table(tmp_path / "a.csv", table)
    pd.testing.assert_frame_equal(outputs.read_table(tmp_path / "a.csv"), table, check_dtype=False)
