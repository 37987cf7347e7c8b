"""Files appear whole or not at all, and what is read back is what was written."""

import json
import os

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from mri_saliency.errors import UserError
from mri_saliency.output import files


def test_pictures_are_what_pillow_reads(tmp_path):
    picture = np.random.default_rng(0).integers(0, 256, (31, 17, 4), np.uint8)
    for mode in ("RGBA", "RGB"):
        files.write_picture(tmp_path / "a.png", picture)
        image = Image.open(tmp_path / "a.png")
        assert image.mode == mode
        np.testing.assert_array_equal(np.asarray(image), picture[..., : len(mode)])
        picture[..., 3] = 255  # opaque


def test_images_are_what_nibabel_reads(tmp_path):
    values = np.random.default_rng(0).standard_normal((5, 6, 7)).astype(np.float32)
    files.write_nifti(tmp_path / "a.nii.gz", nib.Nifti1Image(values, np.diag([-1.5, 1.5, 1.5, 1])))
    image = nib.load(tmp_path / "a.nii.gz")
    np.testing.assert_array_equal(image.get_fdata(dtype=np.float32), values)
    np.testing.assert_array_equal(image.affine, np.diag([-1.5, 1.5, 1.5, 1]))


def test_arrays_of_another_shape_damaged_or_not_finite_are_none(tmp_path):
    values = np.arange(6.0).reshape(2, 3)
    files.write_array(tmp_path / "a.npy", values)
    np.testing.assert_array_equal(files.read_array(tmp_path / "a.npy", (2, 3)), values)
    assert files.read_array(tmp_path / "a.npy", (3, 2)) is None
    for bad in (np.nan, np.inf, "a"):
        np.save(tmp_path / "a.npy", np.full((2, 3), bad))
        assert files.read_array(tmp_path / "a.npy", (2, 3)) is None
    (tmp_path / "a.npy").write_bytes(b"half")
    for name in ("a.npy", "absent.npy"):
        assert files.read_array(tmp_path / name, (2, 3)) is None


def test_an_interrupted_write_leaves_the_old_file_and_no_other(tmp_path):
    files.write_json(tmp_path / "a.json", {"old": 1})
    with pytest.raises(TypeError):
        files.write_json(tmp_path / "a.json", {"new": object()})
    with pytest.raises(RuntimeError), files.whole_file(tmp_path / "a.json") as file:
        file.write(b"half")
        raise RuntimeError
    assert (tmp_path / "a.json").read_text() == '{\n  "old": 1\n}\n'
    assert list(tmp_path.iterdir()) == [tmp_path / "a.json"]


def test_a_folder_that_cannot_be_written_to(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written"):
        files.write_array(tmp_path / "file" / "a.npy", np.zeros(3))


def test_json_has_no_nan_and_names_that_are_not_utf8_survive_it(tmp_path):
    name = os.fsdecode(b"donn\xe9es/a.nii")
    content = {"a": [float("nan"), 0.1, {"b": float("-inf")}], "name": name, "c": "é"}
    files.write_json(tmp_path / "a.json", content)
    text = (tmp_path / "a.json").read_text(encoding="utf-8")
    found = json.loads(text, parse_constant=lambda name: pytest.fail(name))
    assert found == files.read_json(tmp_path / "a.json") == content | {"a": [None, 0.1, {"b": None}]}
    assert files.relative_url(tmp_path / name, tmp_path) == "donn%E9es/a.nii"


def test_json_that_is_damaged_or_no_object_is_none(tmp_path):
    assert files.read_json(tmp_path / "a.json") is None
    for text in ("{", "[1]", "", '{"a": ' + "[" * 100_000):
        (tmp_path / "a.json").write_text(text)
        assert files.read_json(tmp_path / "a.json") is None


def test_names_that_look_like_numbers_stay_names_and_what_a_spreadsheet_would_run_is_quoted(tmp_path):
    table = pd.DataFrame({"x": ["=cmd|' /C calc'!A0", "plain"], "y": [-1.5, 2]})
    files.write_table(tmp_path / "a.csv", table)
    read = pd.read_csv(tmp_path / "a.csv").to_numpy().tolist()
    assert read == [["'=cmd|' /C calc'!A0", -1.5], ["plain", 2]]
    table = pd.DataFrame({"fingerprint": ["123456789012", "1234e012"], "subject_id": "0012", "value": 0.5})
    files.write_table(tmp_path / "a.csv", table)
    pd.testing.assert_frame_equal(files.read_table(tmp_path / "a.csv"), table, check_dtype=False)
    assert files.read_table(tmp_path / "absent.csv") is None


@pytest.mark.parametrize(
    ("name", "content", "found"),
    [
        ("failures", "subject,why\na,b\n", "no column 'subject_id'"),
        ("run_region_agreement", "method,region,icc\na,a,high\n", "'icc' has a cell that is no number"),
        ("failures", "", "No columns"),
    ],
)
def test_a_table_of_others_is_named(tmp_path, name, content, found):
    path = tmp_path / f"{name}.csv"
    path.write_text(content)
    with pytest.raises(UserError, match=rf"{name}.csv: is not as this program wrote it .*{found}"):
        files.read_table(path)


def test_a_table_without_rows_is_removed(tmp_path):
    path = tmp_path / "a.csv"
    files.write_or_remove_table(path, pd.DataFrame({"x": [1]}))
    assert path.read_text() == "x\n1\n"
    files.write_or_remove_table(path, pd.DataFrame())
    assert not path.exists()


def test_urls(tmp_path):
    path = tmp_path / "a b" / "c#1.png"
    assert files.relative_url(path, tmp_path) == "a%20b/c%231.png"
    path.parent.mkdir()
    path.write_bytes(b"abc")
    assert files.data_url(path) == "data:image/png;base64,YWJj"
