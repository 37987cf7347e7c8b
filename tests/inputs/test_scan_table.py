"""The table gives the training code's cohort."""

import warnings

import pandas as pd
import pytest

from mri_saliency.errors import UserError
from mri_saliency.inputs.scan_table import TableColumns, read_scan_table

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
    assert "left out 1 rows without a file" in table.notes[1] and len(table.notes) == 2
    unknown = f"{DIAGNOSIS_COLUMN} is none of HC, left, right"
    assert [tuple(row.values()) for row in table.skipped] == [
        *(("/a/x.nii", "bilateral", unknown), ("/a/y.nii", "", unknown), ("", "HC", "no file"))
    ]


def test_repeated_rows_are_left_out_with_a_note(tmp_path):
    table = read_scan_table(write(tmp_path / "val.csv", ["/a.nii", "/a.nii", "/b.nii"], ["HC", "HC", "left"]))
    assert len(table.scans) == 2
    assert "1 repeated rows, the first for /a.nii" in table.notes[0]
    assert table.skipped == [{"file": "/a.nii", "value": "HC", "reason": "repeated row"}]


def test_columns_of_other_names(tmp_path):
    (tmp_path / "val.csv").write_text("path,side\na.nii,HC\nb.nii,right\n")
    table = read_scan_table(tmp_path / "val.csv", TableColumns("path", "side"))
    assert [(scan.path.name, scan.diagnosis) for scan in table.scans] == [("a.nii", "HC"), ("b.nii", "right")]
    for missing, flag in ((("path", "x"), "diagnosis"), (("path", "side", "x"), "subject")):
        with pytest.raises(UserError, match=f"no column 'x'; found 'path', 'side'.*--{flag}_column"):
            read_scan_table(tmp_path / "val.csv", TableColumns(*missing))


def test_labels_of_other_names(tmp_path):
    files, values = ["a.nii", "b.nii", "c.nii", "d.nii"], ["CN", "AD", "LTLE", "HC"]
    path = write(tmp_path / "val.csv", files, values)
    table = read_scan_table(path, labels={"CN": "HC", "AD": "TLE", "LTLE": "left"})
    assert [(s.label, s.diagnosis) for s in table.scans] == [(0, "HC"), (1, "TLE"), (1, "left")]
    assert [row["reason"] for row in table.skipped] == [f"{DIAGNOSIS_COLUMN} is none of CN, AD, LTLE"]


def test_two_words_for_one_group_are_one_diagnosis(tmp_path):
    path = write(tmp_path / "val.csv", ["a.nii", "a.nii"], ["left", "LTLE"])
    table = read_scan_table(path, labels={"left": "left", "LTLE": "left"})
    assert len(table.scans) == 1 and table.skipped[0]["reason"] == "repeated row"
    with pytest.raises(UserError, match="the diagnoses left and LTLE"):
        read_scan_table(path, labels={"left": "left", "LTLE": "TLE"})


def test_labels_are_suggested_where_a_value_is_recognised(tmp_path):
    path = write(tmp_path / "val.csv", ["a.nii", "b.nii", "c.nii"], ["HC", "LTLE", "other"])
    assert read_scan_table(path).notes[0].endswith("name their groups: --labels LTLE=left")


def test_subjects(tmp_path):
    header, path = f"file,{DIAGNOSIS_COLUMN}", tmp_path / "val.csv"

    def subjects(text, subject=None):
        path.write_text(text)
        return [scan.subject for scan in read_scan_table(path, TableColumns(subject=subject)).scans]

    rows = "sub-1_a.nii,HC,P1,Q1\nsub-1_b.nii,HC, P1 ,Q2\nsub-2_a.nii,left,,Q3\n"
    assert subjects(f"{header},sbj_nme,person\n{rows}") == ["P1", "P1", "sub-2"]
    assert subjects(f"{header},sbj_nme,person\n{rows}", "person") == ["Q1", "Q2", "Q3"]
    assert subjects(f"{header},id,person\n{rows}") == ["sub-1_a", "sub-1_b", "sub-2"]
    assert subjects(f"{header},sbj_nme\na.nii,HC,\n") == ["a"]


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
        (f"file;{DIAGNOSIS_COLUMN}\n", "no scan to explain"),
        (f"file,{DIAGNOSIS_COLUMN}\na.nii,HC\na.nii,left\n", "the diagnoses HC and left"),
    ],
)
def test_bad_tables(tmp_path, text, message):
    (tmp_path / "val.csv").write_text(text)
    with pytest.raises(UserError, match=message):
        read_scan_table(tmp_path / "val.csv")
