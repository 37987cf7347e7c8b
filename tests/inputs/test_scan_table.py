"""The table gives the training code's cohort."""

import warnings

import pandas as pd
import pytest

from mri_saliency.errors import UserError
from mri_saliency.inputs.scan_table import read_scan_table

from ..conftest import DIAGNOSIS_COLUMN


def write(path, files, diagnoses):
    pd.DataFrame({"file": files, DIAGNOSIS_COLUMN: diagnoses, "age": None}).to_csv(path, index=False)
    return path


def test_labels_diagnoses_and_what_is_left_out(tmp_path):
    files = ["/a/mwp1sub-1_T1w.nii", "/a/sub-2_T1w.nii", "s/12_1.pkl", "/a/x.nii", "/a/y.nii", None]
    diagnoses = ["HC", "left", "right", "bilateral", None, "HC"]
    table = read_scan_table(write(tmp_path / "val.csv", files, diagnoses))
    found = [(s.subject_id, s.label, s.diagnosis, s.sample_idx) for s in table.scans]
    assert found == [("sub-1", 0, "HC", 0), ("sub-2", 1, "left", 1), ("12", 1, "right", 2)]
    assert table.scans[2].path == tmp_path / "s" / "12_1.pkl"
    assert "left out 2 of 6 rows" in table.notes[0] and "'bilateral': 1" in table.notes[0]
    assert "'(empty)': 1" in table.notes[0]
    assert "left out 1 rows without a file" in table.notes[1]


def test_repeated_rows_are_left_out_with_a_note(tmp_path):
    table = read_scan_table(write(tmp_path / "val.csv", ["/a.nii", "/a.nii", "/b.nii"], ["HC", "HC", "left"]))
    assert len(table.scans) == 2
    assert "1 repeated rows, the first for /a.nii" in table.notes[0]


def test_columns_of_other_names(tmp_path):
    (tmp_path / "val.csv").write_text("path,side\na.nii,HC\nb.nii,right\n")
    table = read_scan_table(tmp_path / "val.csv", "path", "side")
    assert [(scan.path.name, scan.diagnosis) for scan in table.scans] == [("a.nii", "HC"), ("b.nii", "right")]
    with pytest.raises(UserError, match="no column 'diagnosis'.*--diagnosis_column"):
        read_scan_table(tmp_path / "val.csv", "path", "diagnosis")


def test_a_path_written_in_two_ways_is_one_scan_and_commas_at_the_end_do_no_harm(tmp_path):
    rows = f"file,{DIAGNOSIS_COLUMN}\n{tmp_path}/x.nii,HC,\n{tmp_path}/b/../x.nii,HC,\n"
    (tmp_path / "val.csv").write_text(rows)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        table = read_scan_table(tmp_path / "val.csv")
    assert [scan.path for scan in table.scans] == [tmp_path / "x.nii"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path,label\na,b\n", "no column 'file'; found 'path', 'label'. Name it with --path_column"),
        (f"file,{DIAGNOSIS_COLUMN}\na.nii,other\n", "no scan to explain"),
        (f"file,{DIAGNOSIS_COLUMN}\na.nii,HC\na.nii,left\n", "the diagnoses HC and left"),
        ("", "expected a comma-separated table"),
    ],
)
def test_bad_tables(tmp_path, text, message):
    (tmp_path / "val.csv").write_text(text)
    with pytest.raises(UserError, match=message):
        read_scan_table(tmp_path / "val.csv")


def test_a_missing_table_and_one_that_is_not_text(tmp_path):
    with pytest.raises(UserError, match="no such file"):
        read_scan_table(tmp_path / "val.csv")
    with pytest.raises(UserError, match="is a folder"):
        read_scan_table(tmp_path)
    (tmp_path / "val.csv").write_bytes(b"\x89PNG\xff\xfe\x00")
    with pytest.raises(UserError, match="comma-separated"):
        read_scan_table(tmp_path / "val.csv")
