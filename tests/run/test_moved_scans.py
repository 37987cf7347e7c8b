"""Maps follow their scans by content: to a table's paths, and with their folder."""

import json
import shutil
from dataclasses import replace

import pytest

from mri_saliency.inputs.file_identity import FileIdentity
from mri_saliency.output.folder import OutputFolder
from mri_saliency.run.moved_scans import find_scans, follow_scans

from ..made_cohort import RUN, made_record


def scan(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def record_of(path, subject_id, method="saliency"):
    return replace(made_record(subject_id, method), source=FileIdentity.of(path, ""))


def places(records):
    return [record.source.path for record in records]


def test_maps_follow_their_scans_to_other_names_and_places(tmp_path):
    old = [scan(tmp_path / "old" / f"{name}.nii", name) for name in "abc"]
    records = [record_of(path, path.stem, method) for path in old for method in ("saliency", "smooth_grad")]
    new = [scan(tmp_path / "new" / name, text) for name, text in (("b.nii", "b"), ("x.nii", "a"), ("c", "C"))]
    found = follow_scans(records, new)
    assert places(found) == [str(path) for path in (new[1], new[0], old[2]) for _ in range(2)]
    assert found[0].source == FileIdentity.of(new[1], "")
    assert found[4] is records[4]  # of that size, and of another content
    assert follow_scans(found, new) == found  # nothing is left to do


def test_of_equal_files_each_map_keeps_its_own(tmp_path):
    old = [scan(tmp_path / "old" / f"{name}.nii", "same") for name in "ab"]
    new = [scan(tmp_path / "new" / f"{name}.nii", "same") for name in "ba"]
    records = [record_of(path, path.stem) for path in old]
    assert places(follow_scans(records, new)) == [str(new[1]), str(new[0])]
    # one of them is recorded at its place already: the other one's map does not take it
    assert places(follow_scans([record_of(new[1], "a"), records[1]], new[1:])) == [str(new[1]), str(old[1])]
    mixed = [record_of(new[0], "b"), record_of(old[1], "b", "smooth_grad")]  # one method's was moved before
    assert places(follow_scans(mixed, new[:1])) == [str(new[0])] * 2


@pytest.mark.parametrize("by", ["table", "folder"])
def test_a_folders_scans_are_found_after_all_has_moved(tmp_path, by):
    path = scan(tmp_path / "study" / "scans" / "a.nii", "a")
    run = RUN | {"working_directory": str(tmp_path / "study"), "options": {"output_dir": "out/maps"}}
    root = tmp_path / "study" / "out" / "maps"
    root.mkdir(parents=True)
    (root / "run.json").write_text(json.dumps(run))
    records = [record_of(path, "a")]
    moved = tmp_path / "server" / "studies"
    shutil.move(tmp_path / "study", moved)
    folder, expected = OutputFolder(moved / "out" / "maps"), moved / "scans" / "a.nii"
    paths = []
    if by == "table":
        expected = expected.rename(tmp_path / "b.nii")
        paths = [expected]
    assert places(find_scans(folder, records, paths)) == [str(expected)]
    expected.unlink()
    assert find_scans(folder, records, paths) == records
