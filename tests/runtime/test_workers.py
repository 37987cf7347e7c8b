"""The pool returns results and errors, and survives processes that are killed at any moment."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mri_saliency.errors import UserError
from mri_saliency.runtime.workers import Workers

from .jobs import describe_process, double, fail, fail_unpicklably, kill_worker

needs_sigkill = pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")


@pytest.mark.parametrize("n", [0, 2])
def test_results_and_errors_come_back(n):
    with Workers(n) as workers:
        doubled = [workers.submit(double, x) for x in range(5)]
        assert [future.result() for future in doubled] == [0, 2, 4, 6, 8]
        with pytest.raises(ValueError, match="the message"):
            workers.submit(fail, "the message").result()
        assert workers.submit(double, x=3).result() == 6
        assert workers.map_parts(list, range(50)) == list(range(50)) and workers.map_parts(list, []) == []


def test_an_error_of_a_process_keeps_its_traceback_even_if_it_cannot_be_pickled():
    with Workers(1) as workers:
        with pytest.raises(ValueError) as caught:
            workers.submit(fail, "x").result()
        assert "in a worker process" in caught.value.__notes__[0] and "jobs.py" in caught.value.__notes__[0]
        with pytest.raises(RuntimeError, match="Local: of this function"):
            workers.submit(fail_unpicklably).result()
        with pytest.raises(Exception, match="[Pp]ickle"):
            workers.submit(lambda: 1).result()
        assert workers.submit(double, 2).result() == 4


def test_processes_use_a_core_each_and_yield_only_to_a_network_on_it():
    with Workers(1) as workers:
        pid, usual, n_threads = workers.submit(describe_process).result()
        assert pid != os.getpid() and usual == os.nice(0) and n_threads == "1"
        workers.behind_network = True
        assert workers.submit(describe_process).result()[:2] == (pid, 19)
        workers.behind_network = False
        assert workers.submit(describe_process).result()[:2] == (pid, usual)  # none is started anew
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


@needs_sigkill
def test_a_killed_process_is_replaced_and_its_job_repeated_once(tmp_path):
    with Workers(2) as workers:
        first = workers.submit(kill_worker, tmp_path / "once", always=False)
        others = [workers.submit(double, i) for i in range(5)]
        assert first.result() == "done"
        assert [future.result() for future in others] == [0, 2, 4, 6, 8]
        deadly = workers.submit(kill_worker, tmp_path / "always", always=True)
        others = [workers.submit(double, i) for i in range(3)]
        with pytest.raises(UserError, match="killed, twice"):
            deadly.result()
        assert [future.result() for future in others] == [0, 2, 4]
        assert workers.submit(double, 21).result() == 42


@needs_sigkill
def test_processes_killed_at_random_moments_lose_no_job():
    """Fifty kills: while processes start and work, between jobs, and at the end."""
    command = [sys.executable, str(Path(__file__).with_name("kill_processes.py")), "50", "10"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) >= 10  # 50 where the machine is not loaded


@needs_sigkill
def test_processes_end_when_the_main_one_is_killed():
    code = (
        "import os, signal\n"
        "from mri_saliency.runtime.workers import Workers\n"
        "from tests.runtime.jobs import describe_process\n"
        "print(Workers(1).submit(describe_process).result()[0], flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=root)
    place, deadline = Path(f"/proc/{int(done.stdout)}"), time.monotonic() + 30
    while place.exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
