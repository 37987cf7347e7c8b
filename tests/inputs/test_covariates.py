"""Columns of the table become numbers, and what is missing is named."""

from pathlib import Path

import numpy as np
import pytest

from mri_saliency.errors import UserError
from mri_saliency.inputs.covariates import check_covariates, read_covariates
from mri_saliency.inputs.scan_table import Scan


@pytest.fixture
def table(tmp_path):
    def write(text):
        (tmp_path / "val.csv").write_text(text)
        return tmp_path / "val.csv"

    return write


def test_numbers_stay_and_words_become_indicators(table, tmp_path):
    path = table("file,age,site\nscans/a.nii,31.5,Berlin\nb.nii,40, Rome\n")
    found = read_covariates(path, "file", ["age", "site"])
    assert list(found.columns) == ["age", "site=Rome"]
    assert found.loc[str(tmp_path / "scans/a.nii")].tolist() == [31.5, 0.0]
    assert found.loc[str(tmp_path / "b.nii")].tolist() == [40.0, 1.0]
    assert (found.dtypes == np.float64).all()


def test_missing_values_name_the_rows(table, tmp_path):
    path = table("file,age,sex\na.nii,1,f\nb.nii,,m\nc.nii,2,\nd.nii,,f\n")
    found = read_covariates(path, "file", ["age", "sex"])
    scans = [Scan(name, tmp_path / f"{name}.nii", 0, "HC", 0) for name in "abc"]
    with pytest.raises(UserError, match=r"2 of 3 scans .* empty cell.*: b.nii \(age\), c.nii \(sex=m\)\. "):
        check_covariates(found, scans, path)
    check_covariates(found, scans[:1], path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("file,sex\na.nii,f\n", "no column 'age'; found 'file', 'sex'. Name it with --covariates"),
        ("file,age\na.nii,inf\n", "'age' has an infinite value"),
        ("file;age\na.nii;1.5\nb.nii;2\nc.nii;3\nd.nii;30,5\n", r"3 cells, and 1 .*: '30,5' \(d.nii\)"),
        ("file;age\na.nii;1,500\nb.nii;2\n", "stand for decimals or for thousands, such as '1,500'"),
        ("file,age\n" + "".join(f"{i}.nii,w{i}\n" for i in range(21)), "'age' has 21 .* such as 'w0'"),
    ],
)
def test_unusable_columns_are_refused(table, text, message):
    with pytest.raises(UserError, match=message):
        read_covariates(table(text), "file", ["age"])


def test_paths_are_those_of_the_scans(table):
    """Of a repeated path the first row counts; rows without one do not."""
    path = table("file,age\n../x/./a.nii,1\n/abs/b.nii,2\n/abs/b.nii,3\n,4\n")
    found = read_covariates(path, "file", ["age"])
    assert found["age"].to_dict() == {str(Path(path.parent.parent, "x/a.nii")): 1, "/abs/b.nii": 2}


@pytest.mark.parametrize("word", ["NA", "n/a", " unknown ", "Missing", ""])
def test_words_for_missing_values_are_missing(table, word):
    path = table(f"file,age,sex\na.nii,31,f\nb.nii,{word},m\nc.nii,40,{word}\n")
    found = read_covariates(path, "file", ["age", "sex"])
    assert list(found.columns) == ["age", "sex=m"]
    np.testing.assert_array_equal(found, [[31, 0], [np.nan, 1], [40, np.nan]])
    assert read_covariates(table(f"file,age\na.nii,{word}\n"), "file", ["age"])["age"].isna().all()


def test_decimal_commas_of_a_whole_column_are_points(table):
    path = table("file;age;dose\na.nii;31,5;1,125\nb.nii;40;-0,5\n")
    np.testing.assert_array_equal(read_covariates(path, "file", ["age", "dose"]), [[31.5, 1.125], [40, -0.5]])
