"""Files appear whole or not at all, under the names the manual gives."""

import os

import numpy as np
import pandas as pd
import pytest

from mri_saliency import outputs
from mri_saliency.errors import UserError


def test_names(tmp_path):
    folder = outputs.OutputFolder(tmp_path)
    found = folder.slice_figure("saliency", "sub-1", 40).relative_to(tmp_path)
    assert str(found) == os.path.join("saliency", "sub-1", "sub-1_saliency_slice_40.png")


def test_an_interrupted_write_leaves_the_old_file_and_no_other(tmp_path):
    outputs.write_json(tmp_path / "a.json", {"old": 1})
    with pytest.raises(TypeError):
        outputs.write_json(tmp_path / "a.json", {"new": object()})
    with pytest.raises(RuntimeError), outputs._whole_file(tmp_path / "a.json") as file:
        file.write(b"half")
        raise RuntimeError
    assert (tmp_path / "a.json").read_text() == '{\n  "old": 1\n}\n'
    assert list(tmp_path.iterdir()) == [tmp_path / "a.json"]


def test_a_folder_that_cannot_be_written_to(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written"):
        outputs.write_array(tmp_path / "file" / "a.npy", np.zeros(3))
    with pytest.raises(UserError, match="cannot be written"):
        outputs.OutputFolder(tmp_path / "file").create()


def test_cells_that_a_spreadsheet_would_run_are_quoted(tmp_path):
    outputs.write_table(
        tmp_path / "a.csv", pd.DataFrame({"x": ["=cmd|' /C calc'!A0", "plain"], "y": [-1.5, 2]})
    )
    read = pd.read_csv(tmp_path / "a.csv")
    assert read["x"].tolist() == ["'=cmd|' /C calc'!A0", "plain"]
    assert read["y"].tolist() == [-1.5, 2]
