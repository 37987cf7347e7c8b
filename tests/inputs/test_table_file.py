"""A table's cells are read as they are written, whatever separates them."""

import csv

import pytest

from mri_saliency.errors import UserError
from mri_saliency.inputs.table_file import read_table

HEADER = ["note, one; two\tthree", "file", "diagnosis", "empty"]
ROWS = [["a, b; c\td", "/a;b/1,5.nii", "HC", ""], ["NA", "x.nii", "1,5", ""]]


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("quoting", [csv.QUOTE_MINIMAL, csv.QUOTE_ALL])
def test_the_separator_is_found_in_the_header(tmp_path, separator, encoding, quoting):
    with (tmp_path / "a.csv").open("w", newline="", encoding=encoding) as file:
        csv.writer(file, delimiter=separator, quoting=quoting).writerows([HEADER, *ROWS])
    table = read_table(tmp_path / "a.csv", ["file", "diagnosis"])
    assert list(table.columns) == HEADER
    assert table["empty"].isna().all()
    assert table.fillna("").to_numpy().tolist() == ROWS


def test_the_separator_is_the_one_that_gives_the_wanted_columns(tmp_path):
    (tmp_path / "a.csv").write_text("a,b,c,d;file;x,y\n1,2,3,4;s.nii;5,6\n")
    assert read_table(tmp_path / "a.csv", ["file"])["file"].tolist() == ["s.nii"]
    assert list(read_table(tmp_path / "a.csv", ["other"]).columns) == ["a", "b", "c", "d;file;x", "y"]


def test_a_missing_table_and_one_that_is_not_text(tmp_path):
    with pytest.raises(UserError, match="no such file.*--csv_path"):
        read_table(tmp_path / "val.csv", ["file"])
    with pytest.raises(UserError, match="is a folder"):
        read_table(tmp_path, ["file"])
    for content in (b"\x89PNG\xff\xfe\x00", b"", b"\n\n"):
        (tmp_path / "val.csv").write_bytes(content)
        with pytest.raises(UserError, match="expected a table in UTF-8 with a header row"):
            read_table(tmp_path / "val.csv", ["file"])
