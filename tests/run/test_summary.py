"""The last lines of a run are few, and name what to do next."""

from mri_saliency.output.folder import OutputFolder
from mri_saliency.run.outcome import Failure, Outcome
from mri_saliency.run.summary import print_summary

from ..made_cohort import made_record


def test_the_summary_names_few_of_many_failures(tmp_path, capsys):
    outcome = Outcome(n_kept=4, n_written=2)
    outcome.failures += [Failure(f"sub-{n}", "saliency", "/a.nii", "damaged") for n in range(12)]
    print_summary(OutputFolder(tmp_path), [made_record()], outcome, 61.4, [])
    printed = capsys.readouterr()
    assert printed.out.startswith("2 maps made in 1 min 1 s; 4 were there; ")
    assert "has 1 map of 1 scan." in printed.out
    assert printed.err.count("damaged") == 10 and "and 2 more" in printed.err
    assert "report:" not in printed.out and "right" not in printed.out  # there is none, and no answer


def test_a_run_ends_with_its_answer_and_one_address(tmp_path, capsys):
    folder = OutputFolder(tmp_path)
    folder.report.write_text("")
    records = [made_record("sub-A", label_as) for label_as in ("saliency", "deep_lift")]
    records += [made_record(f"sub-{n}", true_label=1) for n in range(3)]  # predicted HC
    print_summary(folder, records, Outcome(n_written=5), 9.6, ["No region stood out."])
    first, right, answer, last = capsys.readouterr().out.splitlines()
    assert first.startswith("5 maps made in 10 s") and "has 5 maps of 4 scans" in first
    assert right == "The network was right on 1 of 4 scans (95% interval 5 to 70%)."  # Wilson's, by hand
    assert answer == "No region stood out."
    assert last == f"report: {folder.root.absolute().as_uri()}/report.html"
