"""The folder's names are a format, and a map is finished once all its files are whole."""

import json
import os
import re
from dataclasses import replace

import numpy as np
import pytest

from mri_saliency.errors import OutputError, UserError
from mri_saliency.output.files import SUBFOLDERS, whole_file, write_array, write_json, write_text
from mri_saliency.output.folder import FORMAT, OutputFolder

from ..made_cohort import RECIPE, RUN, made_record


@pytest.fixture
def folder(tmp_path):
    return OutputFolder(tmp_path)


def write_map(folder, subject_id="sub-A", method="saliency", checkpoint="abc"):
    folder.open_map(method, subject_id, replace=True)
    path = folder.array(method, subject_id)
    write_array(path, np.arange(9 * 128 * 128, dtype=np.float32).reshape(9, 128, 128))
    made = made_record(subject_id, method, recipe=replace(RECIPE, checkpoint=checkpoint))
    made = replace(made, files={path.name: path.stat().st_size})
    folder.write_record(made)
    return made


def test_names(folder):
    found = [
        *(file("saliency", "sub-1") for file in (folder.array, folder.sidecar, folder.summary_figure)),
        folder.slice_figure("saliency", "sub-1", 40),
        folder.statistics,
        folder.summary,
    ]
    stem = "saliency/sub-1/sub-1_saliency_"
    endings = ("attributions.npy", "attributions.json", "summary.png", "slice_40.png")
    cohort = ["attribution_statistics.csv", "attribution_summary.png"]
    assert found == [folder.root / name for name in [stem + ending for ending in endings] + cohort]


def test_a_finished_map_is_read_back(folder):
    made = write_map(folder)
    assert folder.read_record("saliency", "sub-A") == made
    write_map(folder, "sub-B", checkpoint="other")
    assert list(folder.all_records()) == [made, folder.read_record("saliency", "sub-B")]
    assert folder.records("abc") == [made]
    values = folder.load_map("saliency", "sub-A")
    assert values.shape == (9, 112, 112) and values[0, 0, 0] == 8 * 128 + 8
    assert not values.flags.writeable  # mapped from the file


def test_a_map_of_another_name_is_not_finished(folder):
    write_map(folder)
    array, sidecar = folder.array("saliency", "sub-A"), folder.sidecar("saliency", "sub-A")
    folder.open_map("saliency", "sub-X", replace=False)
    array.rename(folder.array("saliency", "sub-X"))
    sidecar.rename(folder.sidecar("saliency", "sub-X"))
    assert folder.read_record("saliency", "sub-X") is None and list(folder.all_records()) == []


def test_opening_a_map_removes_what_is_half_written_and_with_replace_the_previous_map(folder):
    write_map(folder)
    sidecar = folder.sidecar("saliency", "sub-A")
    part = sidecar.with_name(".x.123.mri-saliency.part")
    part.write_bytes(b"half")
    others = [sidecar.with_name(name) for name in (".x.123.part", "notes.txt", "sub-A_saliency_notes.txt")]
    for path in others:
        path.write_text("mine")
    folder.open_map("saliency", "sub-A", replace=False)
    assert not part.exists() and sidecar.exists()
    folder.open_map("saliency", "sub-A", replace=True)
    assert sorted(sidecar.parent.iterdir()) == sorted(others)


def test_a_sidecar_cannot_name_files_of_others(folder, tmp_path):
    write_map(folder)
    mine = tmp_path / "sub-A_saliency_mine.txt"
    mine.write_text("mine")
    sidecar = folder.sidecar("saliency", "sub-A")
    content = json.loads(sidecar.read_text())
    files = {str(mine): 4, "../../sub-A_saliency_mine.txt": 4, "notes.txt": 1}
    write_json(sidecar, content | {"files": files})
    sidecar.with_name("notes.txt").write_text("n")
    folder.open_map("saliency", "sub-A", replace=True)
    assert mine.exists() and sidecar.with_name("notes.txt").exists() and not sidecar.exists()


@pytest.mark.parametrize("linked", ["saliency", "saliency/sub-A", "group_maps/saliency", *SUBFOLDERS])
def test_nothing_is_written_or_removed_through_a_link(tmp_path, linked):
    folder, elsewhere = OutputFolder(tmp_path / "maps"), tmp_path / "elsewhere"
    (folder.root / linked).parent.mkdir(parents=True)
    for name in (".x.1.mri-saliency.part", "sub-A_saliency_attributions.json", "saliency_HC.png"):
        path = elsewhere / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("mine")
    (folder.root / linked).symlink_to(elsewhere)
    with pytest.raises(OutputError, match="is a link"):
        if linked in SUBFOLDERS:
            write_text(folder.root / linked / "a", "")
        elif linked.startswith("group"):
            folder.open_groups("saliency")
        else:
            folder.open_map("saliency", "sub-A", replace=True)
    assert len(list(elsewhere.iterdir())) == 3


def test_a_folder_that_was_deleted_is_not_made_again_and_a_file_in_its_place_is_named(folder):
    folder.root.rmdir()
    with pytest.raises(OutputError, match="cannot be written"):
        folder.open_map("saliency", "sub-A", replace=True)
    folder.root.write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        folder.create()


def test_the_last_runs_records(folder):
    for content in (None, {"status": "done"}, RUN | {"checkpoint": {}}):
        if content is not None:
            write_json(folder.run_record, {"format": FORMAT} | content)
        with pytest.raises(UserError, match="no run.json of a run there"):
            folder.last_records()
    write_json(folder.run_record, RUN | {"checkpoint": RUN["checkpoint"] | {"sha256": "abc"}})
    with pytest.raises(UserError, match="no finished map of its checkpoint"):
        folder.last_records()
    write_map(folder)
    assert [made.subject_id for made in folder.last_records()] == ["sub-A"]


@pytest.mark.parametrize(
    "content",
    [
        *({"checkpoint": 3}, {"status": None}, {"earlier_runs": {}}, {"earlier_runs": [{"options": 1}]}),
        *({"versions": {"numpy": 2}}, {"checkpoint": {"n_slices": "9"}}, {"combined": [3]}),
    ],
)
def test_a_run_json_with_other_kinds_of_values_is_named(folder, content):
    write_json(folder.run_record, RUN | content)
    with pytest.raises(UserError, match=r"run\.json.*: expected .*found .*Restore it"):
        folder.last_run()


def test_damaged_maps_are_told_from_maps_that_are_not_there(folder):
    for subject_id in ("sub-A", "sub-B", "sub-C", "sub-D", "sub-E", "sub-F"):
        write_map(folder, subject_id)
    sidecar, array = folder.sidecar, folder.array
    os.truncate(sidecar("saliency", "sub-B"), 300)
    os.truncate(array("saliency", "sub-C"), 1000)
    array("saliency", "sub-D").unlink()
    sidecar("saliency", "sub-E").unlink()  # is not finished, which is no damage
    np.save(array("saliency", "sub-F"), np.full((9, 128, 128), np.nan, np.float32))
    records = folder.records("abc")
    assert [record.subject_id for record in records] == ["sub-A"]
    expected = ("sub-B.*lacks", "sub-C.*has 1000 of", "sub-D.*has 0 of", "sub-F.*NaN")
    damages = folder.damages(records)
    assert len(damages) == len(expected)
    for damage, pattern in zip(damages, expected, strict=True):
        assert re.search(pattern, damage)
    for path in (array("saliency", "sub-A"), sidecar("saliency", "sub-A")):
        path.unlink()
    write_json(folder.run_record, RUN | {"checkpoint": RUN["checkpoint"] | {"sha256": "abc"}})
    with pytest.raises(UserError, match="no finished map of its checkpoint. Damaged are 4: .*sub-B"):
        folder.last_records()


def test_a_map_that_is_not_finite_is_named(folder):
    write_map(folder)
    values = np.ones((9, 128, 128), np.float32)
    values[3, 20, 30] = np.inf
    np.save(folder.array("saliency", "sub-A"), values)
    os.utime(folder.array("saliency", "sub-A"), ns=(1, 1))  # before its record: found when it is read
    assert folder.read_record("saliency", "sub-A") is not None
    with pytest.raises(UserError, match="sub-A_saliency_attributions.npy: has values that are NaN"):
        folder.load_map("saliency", "sub-A")


def write_groups(folder, *names):
    """Write group files as a run does, which replaces each; return what is there then, but for the list."""
    folder.open_groups("saliency")
    for name in names:
        with whole_file(folder.group_map("saliency", name)) as file:
            file.write(name.encode())
    return group_names(folder)


def group_names(folder):
    names = {
        path.name.removeprefix("saliency_") for path in folder.group_map("saliency", "").parent.iterdir()
    }
    return names - {"files.json"}


def test_only_group_files_of_earlier_runs_are_removed_and_only_after_the_new_ones_are_there(folder):
    write_groups(folder, "HC.png", "left.png")
    folder.close_groups("saliency")
    parent = folder.group_map("saliency", "").parent
    (parent / "@eaDir").mkdir()
    mine = {"notes.txt", "mine.png"}
    for path in (parent / "notes.txt", folder.group_map("saliency", "mine.png")):
        path.write_text("mine")
    folder.group_map("saliency", "link.png").symlink_to(parent / "notes.txt")
    mine |= {"@eaDir", "link.png"}
    assert write_groups(folder, "HC.png", "right.png") == mine | {"HC.png", "left.png", "right.png"}
    folder.close_groups("saliency")
    assert group_names(folder) == mine | {"HC.png", "right.png"}
    write_groups(folder, "TLE.png")  # and then the run is killed
    write_groups(folder, "HC.png")
    folder.close_groups("saliency")
    assert group_names(folder) == mine | {"HC.png"}


def test_a_list_of_group_files_that_is_none_removes_nothing(folder):
    write_groups(folder, "HC.png")
    folder.close_groups("saliency")
    for content in (
        {"written": ["saliency_HC.png", 3]},
        {"before": {"saliency_HC.png": 1}, "written": ["saliency_HC.png"]},
    ):
        write_json(folder.group_map("saliency", "files.json"), content)
        write_groups(folder)
        folder.close_groups("saliency")
        assert group_names(folder) == {"HC.png"}
