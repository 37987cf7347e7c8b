"""The last lines of a run are few, and name what to do next."""

import pytest

from mri_saliency.output.folder import OutputFolder
from mri_saliency.run.outcome import Failure, Outcome
from mri_saliency.run.summary import print_summary

from ..made_cohort import made_record


@pytest.fixture
def folder(tmp_path):
    return OutputFolder(tmp_path)


def test_the_summary_names_few_of_many_failures(folder, capsys):
    outcome = Outcome(n_kept=4, n_written=2)
    for index in range(12):
        outcome.failures.append(Failure(f"sub-{index}", "saliency", "/a.nii", "damaged"))
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
