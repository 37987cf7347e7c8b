"""run.json has what is needed to make the maps again, and the runs before."""

import json
from datetime import UTC, datetime

import pytest

from mri_saliency import __version__
from mri_saliency.output.folder import OutputFolder
from mri_saliency.output.program import program
from mri_saliency.run.run_record import RunRecord


@pytest.fixture
def folder(tmp_path):
    return OutputFolder(tmp_path)


def read(folder):
    return json.loads(folder.run_record.read_text())


def test_runs_before_are_kept_and_a_run_replaces_its_own_record(folder):
    for hour, status in ((1, "running"), (1, "done"), (2, "done"), (3, "done")):
        started = datetime(2030, 1, 1, hour, tzinfo=UTC)
        RunRecord(folder, started, {"command_line": f"at {hour}"}).write(status, {"counts": {"maps": hour}})
    found = read(folder)
    assert (found["status"], found["command_line"], found["counts"]["maps"]) == ("done", "at 3", 3)
    assert [run["command_line"] for run in found["earlier_runs"]] == ["at 1", "at 2"]
    assert found["tool"]["version"] == __version__ and found["versions"]["torch"]
    assert program() == f"{__version__}+{found['tool']['source']}"
