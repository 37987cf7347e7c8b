"""run.json has what is needed to make the maps again, and the runs before."""

import json
from datetime import UTC, datetime

from mri_saliency import __version__
from mri_saliency.output.folder import OutputFolder
from mri_saliency.output.program import program
from mri_saliency.run.run_record import RunRecord


def test_runs_before_are_kept_and_a_run_replaces_its_own_record(tmp_path):
    folder = OutputFolder(tmp_path)
    started = datetime(2030, 1, 1, tzinfo=UTC)  # in one second
    runs = {n: RunRecord(folder, started, {"command_line": f"number {n}"}) for n in (1, 2, 3)}
    for n, status in ((1, "running"), (1, "done"), (2, "done"), (3, "done")):
        runs[n].write(status, {"counts": {"maps": n}})
    found = json.loads(folder.run_record.read_text())
    assert (found["status"], found["command_line"], found["counts"]["maps"]) == ("done", "number 3", 3)
    assert [run["command_line"] for run in found["earlier_runs"]] == ["number 1", "number 2"]
    assert found["tool"]["version"] == __version__ and found["versions"]["torch"]
    assert program() == f"{__version__}+{found['tool']['source']}"
