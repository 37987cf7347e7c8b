"""A table's cells are read as they are written, whatever separates them."""

import csv

import pytest

from mri_saliency.errors import UserError
from mri_saliency.inputs.table_file import read_table

HEADER = ["note, one; two\tthree", "file", "diagnosis", "empty"]
ROWS = [["a, b; c\td", "/a;b/1,5.nii", "HC", ""], ["NA", "x.nii", "1,5", ""]]


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_the_separator_is_found_in_the_header(tmp_path, separator):
    with (tmp_path / "a.csv").open("w", newline="") as file:
        csv.writer(file, delimiter=separator).writerows([HEADER, *ROWS])
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


def read(tmp_path, text, encoding="utf-8"):
    (tmp_path / "val.csv").write_bytes(text.encode(encoding))
    return read_table(tmp_path / "val.csv", ["file", "diagnosis"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("file,age,diagnosis\na,1,HC\nb,30,5,HC\n", "line 3 has 4 cells, and the header 3"),
        ("file,age,diagnosis\n\na,1,HC\nb,30\n", "line 4 has 2 cells, and the header 3"),
        ("sep=;\nfile;diagnosis\na;HC;x\n", "line 3 has 3 cells"),
        ('file,diagnosis,note\na,HC,"see\nb,HC,ok"\nc,HC,x\n', "line 2 closes in line 3"),
        ('file,diagnosis,note\na,HC,"see\n', "does not close where its cell ends"),
        ("file,diagnosis,note,note,file\na,HC,x,y,b\n", "has the column 'file' twice"),
    ],
)
def test_nothing_of_a_row_vanishes(tmp_path, text, message):
    with pytest.raises(UserError, match=message):
        read(tmp_path, text)


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("sep=;\nfile;diagnosis\na,1;HC\n", "utf-8-sig"),
        ('"sep=;"\r\nfile;diagnosis\r\na,1;HC\r\n', "utf-8"),
        ("file\tdiagnosis\na,1\tHC\n", "utf-16"),
        ('file,diagnosis,,\n"a,1",HC,,\n\n  \n', "utf-8"),
        ('"file","diagnosis"\r"a,1","HC"\r', "utf-8"),
    ],
)
def test_tables_as_spreadsheets_write_them(tmp_path, text, encoding):
    table = read(tmp_path, text, encoding)
    assert (list(table.columns), table.to_numpy().tolist()) == (["file", "diagnosis"], [["a,1", "HC"]])


def test_a_cell_may_have_lines_and_quotes_and_columns_that_are_not_wanted_may_repeat(tmp_path):
    table = read(tmp_path, 'file,diagnosis,note\na,HC,"two\nlines, 5"" tall"\nb,HC,6" tall\n')
    assert table["note"].tolist() == ['two\nlines, 5" tall', '6" tall']
    assert read(tmp_path, "file,x,diagnosis,x\na,,HC,2\n")["file"].tolist() == ["a"]
