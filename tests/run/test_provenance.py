"""run.json has what is needed to make the maps again, and the runs before."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mri_saliency import __version__
from mri_saliency.inputs.scan_table import Scan
from mri_saliency.output.folder import OutputFolder
from mri_saliency.run.outcome import Outcome
from mri_saliency.run.provenance import RunRecord, print_summary, write_tables

from ..made_cohort import made_record


@pytest.fixture
def folder(tmp_path):
    return OutputFolder(tmp_path)


def read(folder):
    return json.loads(folder.run_record.read_text())


def test_runs_before_are_kept_and_a_run_replaces_its_own_record(folder):
    for hour, status in ((1, "running"), (1, "done"), (2, "done"), (3, "done")):
        started = datetime(2030, 1, 1, hour, tzinfo=UTC)
        RunRecord(folder, started, {"command_line": f"at {hour}"}).write(status, Outcome(n_written=hour))
    found = read(folder)
    assert (found["status"], found["command_line"], found["counts"]["maps"]) == ("done", "at 3", 3)
    assert [run["command_line"] for run in found["earlier_runs"]] == ["at 1", "at 2"]
    assert found["tool"]["version"] == __version__ and found["versions"]["torch"]


def test_tables_are_written_or_removed(folder):
    outcome = Outcome()
    outcome.add_failures(Scan("sub-A", Path("/a.nii"), 0, "HC", 0), ["saliency"], "damaged")
    write_tables(folder, [made_record()], outcome)
    assert folder.failures.read_text() == "subject_id,method,file,reason\nsub-A,saliency,/a.nii,damaged\n"
    assert folder.statistics.read_text().startswith("method,shape,mean,std,min,max,abs_mean,")
    write_tables(folder, [], Outcome())
    assert not folder.failures.exists() and not folder.statistics.exists()


def test_the_summary_names_few_of_many_failures(folder, capsys):
    outcome = Outcome(n_kept=4, n_written=2)
    for index in range(12):
        outcome.add_failures(Scan(f"sub-{index}", Path("/a.nii"), 0, "HC", index), ["saliency"], "damaged")
    print_summary(folder, [made_record()], outcome, 61.4)
    printed = capsys.readouterr()
    assert printed.out.startswith("2 maps in 61 s, 4 were there: ")
    assert printed.err.count("damaged") == 10 and "and 2 more" in printed.err
    assert "next:" not in printed.out  # there is no report to read


def test_a_run_ends_with_addresses_that_can_be_clicked(folder, capsys):
    folder.report.write_text('<dialog id="map-viewer">')
    folder.statistics.write_text("")
    print_summary(folder, [made_record()], Outcome(), 61.4)
    *_, first, second, third = capsys.readouterr().out.splitlines()
    root = folder.root.absolute().as_uri()
    assert first.endswith(f" {root}/report.html") and second.endswith(f" {root}/report.html#view")
    assert third.endswith(f" {root}/attribution_statistics.csv")
    folder.report.write_text("of a run that was interrupted")
    print_summary(folder, [made_record()], Outcome(), 61.4)
    assert "#view" not in capsys.readouterr().out
