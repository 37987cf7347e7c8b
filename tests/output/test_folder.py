"""The folder's names are a format, and a map is finished once all its files are whole."""

import os
from dataclasses import replace

import numpy as np
import pytest

from mri_saliency.errors import OutputError, UserError
from mri_saliency.output.files import write_array, write_json
from mri_saliency.output.folder import FORMAT, OutputFolder

from ..made_cohort import RECIPE, made_record


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


@pytest.mark.parametrize("damage", ["no sidecar", "half a sidecar", "half an array", "no array", "renamed"])
def test_a_map_that_is_not_whole_is_not_finished(folder, damage):
    write_map(folder)
    array, sidecar = folder.array("saliency", "sub-A"), folder.sidecar("saliency", "sub-A")
    if damage == "no sidecar":
        sidecar.unlink()
    elif damage == "half a sidecar":
        os.truncate(sidecar, 300)
    elif damage == "half an array":
        os.truncate(array, 1000)
    elif damage == "no array":
        array.unlink()
    else:
        folder.open_map("saliency", "sub-X", replace=False)
        array.rename(folder.array("saliency", "sub-X"))
        sidecar.rename(folder.sidecar("saliency", "sub-X"))
        assert folder.read_record("saliency", "sub-X") is None
    assert folder.read_record("saliency", "sub-A") is None and list(folder.all_records()) == []


def test_opening_a_map_removes_what_is_half_written_and_with_replace_the_previous_map(folder):
    write_map(folder)
    sidecar = folder.sidecar("saliency", "sub-A")
    part = sidecar.with_name(".x.123.part")
    part.write_bytes(b"half")
    folder.open_map("saliency", "sub-A", replace=False)
    assert not part.exists() and sidecar.exists()
    folder.open_map("saliency", "sub-A", replace=True)
    assert list(sidecar.parent.iterdir()) == []


def test_a_folder_that_was_deleted_is_not_made_again(folder):
    folder.root.rmdir()
    with pytest.raises(OutputError, match="cannot be written"):
        folder.open_map("saliency", "sub-A", replace=True)


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        OutputFolder(tmp_path / "file").create()


def test_the_last_runs_records(folder):
    for content in (None, {"status": "done"}, {"checkpoint": 3}):
        if content is not None:
            write_json(folder.run_record, {"format": FORMAT} | content)
        with pytest.raises(UserError, match="no run.json of a run there"):
            folder.last_records()
    write_json(folder.run_record, {"format": FORMAT, "checkpoint": {"sha256": "abc"}})
    with pytest.raises(UserError, match="no finished map of its checkpoint"):
        folder.last_records()
    write_map(folder)
    assert [made.subject_id for made in folder.last_records()] == ["sub-A"]


def test_group_folders_are_emptied(folder):
    for _ in range(2):
        folder.open_groups("saliency")
        assert list(folder.group_map("saliency", "").parent.iterdir()) == []
        folder.group_map("saliency", "HC.png").write_bytes(b"old")
