"""A run's maps are counted, shown and recorded, however the run ends; few wait to be written."""

import json
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from mri_saliency.errors import OutputError, UserError
from mri_saliency.inputs.grid import Grid, difference_from_training_grid
from mri_saliency.inputs.loading import LoadedScan, ScanContext, UnreadableScan
from mri_saliency.inputs.scan_table import Scan
from mri_saliency.output.folder import OutputFolder
from mri_saliency.run import journal as module
from mri_saliency.run.journal import PENDING_PER_WORKER, Journal
from mri_saliency.run.outcome import STOP_AFTER, Failure, Outcome
from mri_saliency.run.plan import Action, MapFiles, Plan
from mri_saliency.run.run_record import RunRecord
from mri_saliency.runtime.ranks import Ranks
from mri_saliency.runtime.workers import Workers

from ..made_cohort import RECIPE, made_record
from ..runtime.jobs import wait_and_count

METHODS = ("saliency", "smooth_grad")
NETWORK = {"sha256": RECIPE.checkpoint, "n_slices": 9}


def scan(index):
    return Scan(f"sub-{index:02}", Path(f"/data/sub-{index:02}.nii"), 0, "HC", index)


def context(index, grid=None):
    grid = grid or made_record().grid
    return ScanContext(scan(index), None, grid, None, None, (0.0, 1.0), difference_from_training_grid(grid))


class MadeUpWork:
    """Thirty scans and two methods, of which one map is there already."""

    def __init__(self, root):
        self.folder = folder = OutputFolder(root)
        actions = {(scan(i).subject_id, method): Action.MAKE for i in range(30) for method in METHODS}
        actions["sub-29", "saliency"] = Action.KEEP
        folder.create()
        finish(folder, 29)
        self.plan = Plan(actions, dict.fromkeys(METHODS), MapFiles(folder, (2,), nifti=False, n_logits=1))
        self.ranks = Ranks()
        self.record = RunRecord(folder, datetime(2030, 1, 1, tzinfo=UTC), {"checkpoint": NETWORK})

    def prepare_folder(self):
        pass


@pytest.fixture
def clock(monkeypatch):
    """Seconds that pass when a test says so."""
    clock = SimpleNamespace(now_s=0.0, monotonic=lambda: clock.now_s)
    monkeypatch.setattr(module, "time", clock)
    return clock


@pytest.fixture
def pages():
    """What the page of the unfinished run showed, each time: its state, and the number of its maps."""
    return []


@pytest.fixture
def work(tmp_path):
    return MadeUpWork(tmp_path / "maps")


@pytest.fixture
def journal(work, pages, no_workers):
    return Journal(work, no_workers, lambda _, records, state: pages.append((state, len(records))))


def fail(error):
    raise error


def finish(folder, index):
    """Write a finished map, as a worker does."""
    made = made_record(f"sub-{index:02}", files=["attributions.npy"])
    folder.open_map("saliency", made.subject_id, replace=True)
    folder.array("saliency", made.subject_id).write_bytes(b"1")
    folder.write_record(made)
    return {"draw": 0.5}


def run_json(work):
    return json.loads(work.folder.run_record.read_text())


# --- the maps ---


def test_maps_are_counted_and_the_tables_have_them(journal, work, monkeypatch, capsys):
    monkeypatch.setattr(OutputFolder, "free_bytes", lambda _: 1_000_000)
    with journal, journal.making_maps():
        for index in range(3):
            journal.submit(scan(index), "saliency", finish, work.folder, index)
    assert "the new maps need about 0.1 GB, and 0.0 GB are free" in capsys.readouterr().err
    found = run_json(work)
    assert found["status"] == "done" and found["counts"] == {"maps": 3, "kept": 1, "failures": 0}
    assert found["work_s"] == {"draw": 1.5} and journal.exit_code == 0
    assert len(pd.read_csv(work.folder.statistics)) == 4 and not work.folder.failures.exists()


def test_a_failure_costs_its_map_and_a_full_disk_the_run(journal, work, capsys):
    with journal:
        with journal.making_maps():
            journal.write(context(0), "saliency", UserError("no good"))
            journal.submit(scan(1), "saliency", fail, ZeroDivisionError("a defect"))
            journal.submit(scan(2), "saliency", fail, OutputError("the disk is full"))
        pytest.fail("the run has ended")
    error = capsys.readouterr().err
    assert "failed: sub-00 (saliency): no good" in error and "Traceback" in error
    assert error.count("error: the disk is full") == 1 and journal.exit_code == 1
    failures = pd.read_csv(work.folder.failures)
    assert failures["subject_id"].tolist() == ["sub-00", "sub-01"]
    assert failures["reason"][1].startswith("unexpected ZeroDivisionError: a defect")
    assert run_json(work)["status"] == "interrupted"


def test_unreadable_scans_fail_for_the_methods_that_are_not_finished(journal, capsys):
    unusual = Grid((182, 218, 182), np.eye(4), 4, 10, 9)
    groups = [[loaded(0), UnreadableScan(scan(29), "damaged")], [loaded(2, unusual), loaded(3, unusual)]]
    found = list(journal.readable(groups))
    assert [[one.context.scan.sample_idx for one in group] for group in found] == [[0], [2, 3]]
    [failure] = journal.outcome.failures
    assert (failure.subject_id, failure.method, failure.reason) == ("sub-29", "smooth_grad", "damaged")
    assert journal.outcome.work_s["load"] == 1.5
    error = capsys.readouterr().err
    assert error.count("The network may see") == 1 and "sub-02 (at least)" in error
    assert "voxels of 1 x 1 x 1 mm" in error


def loaded(index, grid=None):
    return LoadedScan(context(index, grid), None, load_s=0.5)


def fail_scans(journal, reason):
    for index in range(STOP_AFTER):
        error = UserError(reason.format(path=scan(index).path, index=index))
        list(journal.readable([[UnreadableScan(scan(index), str(error))]]))


def test_ten_scans_that_fail_alike_stop_a_run_without_maps(journal):
    journal.outcome.n_kept = 0
    fail_scans(journal, "{path}: gone, number {index}")  # different reasons do not
    journal.outcome.failures.clear()
    with pytest.raises(UserError, match=r"first 10 scans all failed .* reason: \(the scan\): gone"):
        fail_scans(journal, "{path}: gone")


@pytest.mark.parametrize("made", [{"n_written": 1}, {"n_kept": 1}])
def test_a_map_lets_a_run_go_on(journal, made):
    journal.outcome = Outcome(**made)
    fail_scans(journal, "{path}: gone")
    assert len(journal.outcome.failures) == 2 * STOP_AFTER


@pytest.mark.parametrize("n", [0, 1])
def test_few_maps_wait_and_are_counted_in_order(work, n):
    with Workers(n) as workers:
        journal = Journal(work, workers, lambda *_: None)
        for index in range(12):
            journal.submit(scan(index), "saliency", wait_and_count)
            assert len(journal._writing) <= PENDING_PER_WORKER * max(1, n)
        journal._end_writing(0)
    assert journal.outcome.n_written == 12


def test_after_an_interrupt_maps_that_were_begun_count(work):
    with Workers(1) as workers, pytest.raises(KeyboardInterrupt):
        with Journal(work, workers, lambda *_: None) as journal, journal.making_maps():
            for _ in range(50):
                journal._writing.append((scan(0), "saliency", workers.submit(wait_and_count)))
            raise KeyboardInterrupt
    found = run_json(work)
    assert found["status"] == "interrupted" and found["counts"]["maps"] < 50
    assert work.folder.statistics.exists()


def test_outcomes_of_ranks_are_added():
    outcome, other = Outcome(n_kept=5, n_written=2), Outcome(n_kept=5, n_written=3)
    other.failures.append(Failure("sub-00", "saliency", "/data/sub-00.nii", "damaged"))
    other.add_work({"draw": 1.5})
    outcome.add([json.loads(json.dumps(other.of_rank()))])
    assert outcome.to_json()["counts"] == {"maps": 5, "kept": 5, "failures": 1}
    assert outcome.work_s["draw"] == 1.5 and outcome.failures == other.failures


# --- the chapters ---


def test_a_chapter_that_fails_costs_no_other(journal, work, pages, capsys):
    with journal:
        with journal.making_maps():
            journal.submit(scan(0), "saliency", finish, work.folder, 0)
        with journal.chapter("checking"):
            raise UserError("too little memory")
        with journal.chapter("describing"):
            assert run_json(work)["status"] == "describing"
    assert "error: checking: too little memory" in capsys.readouterr().err
    assert journal.exit_code == 1 and run_json(work)["status"] == "interrupted"
    assert [state.status for state, _ in pages] == ["running", "checking", "describing"]


@pytest.mark.parametrize("error", [KeyboardInterrupt(), ZeroDivisionError("a defect"), OutputError("full")])
def test_a_description_that_fails_is_said_everywhere(journal, work, pages, error):
    try:
        with journal:
            with journal.making_maps():
                journal.submit(scan(0), "saliency", finish, work.folder, 0)
            with journal.chapter("describing"):
                raise error
    except KeyboardInterrupt:
        pass
    else:
        assert journal.exit_code == 1
    assert run_json(work)["status"] == "interrupted" and pages[-1][0].status == "interrupted"


# --- the page ---


def test_the_first_map_brings_the_page_and_then_every_30_seconds_at_most(clock, journal, work, pages):
    with journal, journal.making_maps():
        for index, (now_s, n_pages) in enumerate(((0, 1), (29, 1), (31, 2))):
            clock.now_s = now_s
            journal.submit(scan(index), "saliency", finish, work.folder, index)
            assert len(pages) == n_pages
    state, n_maps = pages[-1]
    assert (state.status, state.n_planned, state.n_done, n_maps) == ("running", 60, 4, 3)


def test_a_page_that_takes_long_is_written_less_often(clock, work, no_workers):
    n_pages = 0

    def write_page(*_):
        nonlocal n_pages
        n_pages, clock.now_s = n_pages + 1, clock.now_s + 2

    journal = Journal(work, no_workers, write_page)
    with journal, journal.making_maps():
        for now_s, expected in ((0, 1), (201, 1), (203, 2)):  # a hundredth of the time
            clock.now_s = now_s
            journal.submit(scan(0), "saliency", finish, work.folder, 0)
            assert n_pages == expected


@pytest.mark.parametrize("rank", [0, 1])
def test_the_main_rank_alone_writes_the_page_and_says_whose_maps_it_has(work, no_workers, pages, rank):
    work.ranks.rank, work.ranks.size = rank, 2
    journal = Journal(work, no_workers, lambda _, records, state: pages.append(state))
    work.folder.create()
    journal.submit(scan(0), "saliency", finish, work.folder, 0)
    assert [state.n_ranks for state in pages] == ([2] if rank == 0 else [])
