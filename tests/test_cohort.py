"""The table gives the training code's cohort, with ids that never collide."""

import warnings
from pathlib import Path

import pandas as pd
import pytest

from mri_saliency.cohort import read_cohort, subject_ids
from mri_saliency.errors import UserError

from .conftest import DIAGNOSIS_COLUMN


def write(path, files, diagnoses):
    pd.DataFrame({"file": files, DIAGNOSIS_COLUMN: diagnoses, "age": None}).to_csv(path, index=False)
    return path


def test_labels_diagnoses_and_what_is_left_out(tmp_path):
    files = ["/a/mwp1sub-1_T1w.nii", "/a/sub-2_T1w.nii", "s/12_1.pkl", "/a/x.nii", "/a/y.nii", None]
    diagnoses = ["HC", "left", "right", "bilateral", None, "HC"]
    cohort = read_cohort(write(tmp_path / "val.csv", files, diagnoses))
    found = [(s.subject_id, s.label, s.diagnosis, s.sample_idx) for s in cohort.scans]
    assert found == [("sub-1", 0, "HC", 0), ("sub-2", 1, "left", 1), ("12", 1, "right", 2)]
    assert cohort.scans[2].path == tmp_path / "s" / "12_1.pkl"
    assert "left out 2 of 6 rows" in cohort.notes[0] and "'bilateral': 1" in cohort.notes[0]
    assert "left out 1 rows without a file" in cohort.notes[1]


def test_repeated_rows_are_dropped_aloud(tmp_path):
    cohort = read_cohort(write(tmp_path / "val.csv", ["/a.nii", "/a.nii", "/b.nii"], ["HC", "HC", "left"]))
    assert len(cohort.scans) == 2
    assert "1 repeated rows" in cohort.notes[0]


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        (["mwp1sub-1_T1w.nii", "sub-2_T1w.nii.gz"], ["sub-1", "sub-2"]),
        (
            ["mwp1sub-1_ses-01_T1w.nii", "mwp1sub-1_ses-02_T1w.nii", "12_1.pkl"],
            ["sub-1_ses-01_T1w", "sub-1_ses-02_T1w", "12"],
        ),
        (["/d/HC/12_1.pkl", "/d/TLE/12_1.pkl"], ["HC_12_1", "TLE_12_1"]),
        (["/p/HC/12_1.pkl", "/q/HC/12_1.pkl"], ["p_HC_12_1", "q_HC_12_1"]),
        (["SUB_1.nii", "sub_2.nii"], ["SUB_1", "sub_2"]),
    ],
)
def test_ids(paths, expected):
    assert subject_ids([Path(path) for path in paths]) == expected


def test_ids_are_unique_and_safe_whatever_the_paths():
    paths = [Path(p) for p in ("/a/x.nii", "/a/x.nii.gz", "/b/..nii", "/b/=cmd|_1.nii", "/b/" + "n" * 300)]
    paths += [Path("/a/b_x.nii"), Path("/a/b/x.nii"), Path("/c/sub\n1_2.nii"), Path("/c/-_2.nii")]
    ids = subject_ids(paths)
    assert len({name.casefold() for name in ids}) == len(paths)
    for name in ids:
        assert name.isascii() and len(name) <= 80 and name[0].isalnum()
        assert not set(name) & set("/\\\n=| ")


def test_a_path_written_in_two_ways_is_one_scan_and_commas_at_the_end_do_no_harm(tmp_path):
    rows = f"file,{DIAGNOSIS_COLUMN}\n{tmp_path}/x.nii,HC,\n{tmp_path}/b/../x.nii,HC,\n"
    (tmp_path / "val.csv").write_text(rows)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cohort = read_cohort(tmp_path / "val.csv")
    assert [scan.path for scan in cohort.scans] == [tmp_path / "x.nii"]


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
        read_cohort(tmp_path / "val.csv")


def test_a_table_that_is_not_there_or_not_text(tmp_path):
    with pytest.raises(UserError, match="no such file"):
        read_cohort(tmp_path / "val.csv")
    (tmp_path / "val.csv").write_bytes(b"\x89PNG\xff\xfe\x00")
    with pytest.raises(UserError, match="comma-separated"):
        read_cohort(tmp_path / "val.csv")
