"""Ids never collide, and are safe as file names."""

from pathlib import Path

import pytest

from mri_saliency.inputs.subject_ids import subject_ids


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        (["mwp1sub-1_ses-01.nii", "sub-1_ses-02.nii", "12_1.pkl"], ["sub-1_ses-01", "sub-1_ses-02", "12"]),
        (["/p/HC/12_1.pkl", "/q/HC/12_1.pkl"], ["p_HC_12_1", "q_HC_12_1"]),
        (["SUB_1.nii", "sub_2.nii"], ["SUB_1", "sub_2"]),
        (["mwp1_0012.nii.gz", "mwp1__ADNI_002.nii", "_7_x.pkl"], ["0012", "ADNI", "7"]),
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
