"""Scans and maps are counted, failures recorded and printed, and a hopeless run stops."""

from concurrent.futures import Future
from pathlib import Path

import pytest

from mri_saliency.errors import OutputError, UserError
from mri_saliency.inputs.grid import difference_from_training_grid
from mri_saliency.inputs.loading import LoadedScan, ScanContext, UnreadableScan
from mri_saliency.inputs.scan_table import Scan
from mri_saliency.output.folder import OutputFolder
from mri_saliency.run.bookkeeping import Bookkeeping
from mri_saliency.run.outcome import STOP_AFTER, Outcome
from mri_saliency.run.plan import Action, MapFiles, Plan
from mri_saliency.runtime.progress import Progress
from mri_saliency.runtime.ranks import Ranks

from ..made_cohort import GRID

METHODS = ("saliency", "smooth_grad")


def scan(index):
    return Scan(f"sub-{index:02}", Path(f"/data/sub-{index:02}.nii"), 0, "HC", index)


@pytest.fixture
def outcome():
    return Outcome()


@pytest.fixture
def books(outcome, tmp_path):
    actions = {(scan(i).subject_id, method): Action.MAKE for i in range(30) for method in METHODS}
    actions["sub-01", "saliency"] = Action.KEEP
    files = MapFiles(OutputFolder(tmp_path), (2,), nifti=False, n_logits=1)
    plan = Plan(actions, dict.fromkeys(METHODS), files)
    return Bookkeeping(plan, outcome, Progress(60, 1, Ranks()))


def over(result=None, error=None):
    future = Future()
    future.set_exception(error) if error else future.set_result(result)
    return future


def loaded(index, grid):
    warning = difference_from_training_grid(grid)
    context = ScanContext(scan(index), None, grid, None, None, (0.0, 1.0), warning)
    return LoadedScan(context, None, load_s=0.5)


def test_written_maps_and_their_seconds_are_counted(books, outcome):
    books.end_map((scan(0), "saliency"), over({"draw": 1.0, "network": 2.0}))
    books.end_map((scan(0), "smooth_grad"), over({"draw": 1.0}))
    assert outcome.counts() == {"maps": 2, "kept": 0, "failures": 0}
    assert outcome.work_s == {"draw": 2.0, "network": 2.0}


def test_a_failure_costs_its_map_and_a_full_disk_the_run(books, outcome, capsys):
    books.end_map((scan(0), "saliency"), over(error=UserError("no good")))
    books.end_map((scan(1), "saliency"), over(error=ZeroDivisionError("a defect")))
    assert [failure.reason for failure in outcome.failures][0] == "no good"
    assert outcome.failures[1].reason.startswith("unexpected ZeroDivisionError: a defect")
    error = capsys.readouterr().err
    assert "failed: sub-00 (saliency): no good" in error and "Traceback" in error
    with pytest.raises(OutputError):
        books.end_map((scan(2), "saliency"), over(error=OutputError("the disk is full")))
    assert len(outcome.failures) == 2


def test_unreadable_scans_fail_for_the_methods_that_are_not_finished(books, outcome, capsys):
    unusual = GRID.__class__(
        (182, 218, 182), ((1, 0, 0, 0), (0, 1, 0, 0), (0, 0, 1, 0), (0, 0, 0, 1)), 4, 10, 9
    )
    groups = [
        [loaded(0, GRID), UnreadableScan(scan(1), "damaged")],
        [loaded(2, unusual), loaded(3, unusual)],
    ]
    found = list(books.readable(groups))
    assert [[one.context.scan.sample_idx for one in group] for group in found] == [[0], [2, 3]]
    assert [(f.subject_id, f.method, f.reason) for f in outcome.failures] == [
        ("sub-01", "smooth_grad", "damaged")
    ]
    assert outcome.work_s["load"] == 1.5
    error = capsys.readouterr().err
    assert error.count("The network may see") == 1 and "sub-02 (at least)" in error
    assert "voxels of 1 x 1 x 1 mm" in error


def fail_scans(books, reason):
    for index in range(STOP_AFTER):
        books.fail(scan(index), list(METHODS), UserError(reason.format(path=scan(index).path, index=index)))


def test_ten_scans_that_fail_alike_stop_the_run(books):
    with pytest.raises(
        UserError, match=r"the first 10 scans all failed for the same reason: \(the scan\): gone"
    ):
        fail_scans(books, "{path}: gone")


def test_different_reasons_or_a_map_let_it_go_on(books, outcome):
    fail_scans(books, "{path}: gone, number {index}")
    assert len(outcome.failures) == 20
    outcome.failures.clear()
    outcome.n_written = 1
    fail_scans(books, "{path}: gone")
    outcome.n_written, outcome.n_kept = 0, 1
    fail_scans(books, "{path}: gone")


def test_outcomes_of_ranks_are_merged(outcome):
    outcome.n_written, outcome.n_kept = 2, 5
    other = Outcome(n_kept=5, n_written=3)
    other.add_failures(scan(0), ["saliency"], "damaged")
    other.work_s["draw"] += 1.5
    outcome.merge([other.to_json()])
    assert outcome.counts() == {"maps": 5, "kept": 5, "failures": 1}
    assert outcome.work_s["draw"] == 1.5 and outcome.failures == other.failures
