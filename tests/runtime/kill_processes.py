"""Kill worker processes at random moments while jobs are submitted; print how many were killed.

A process of its own, because a new worker imports its main module again: this one imports little.
"""

import os
import random
import signal
import sys
import threading
import time
from contextlib import suppress
from multiprocessing import active_children
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from mri_saliency.errors import UserError  # noqa: E402
from mri_saliency.runtime.workers import Workers  # noqa: E402

N_JOBS = 40
MOMENTS = random.Random(0)


def slowly_double(x):
    """Return 2 x after 5 ms."""
    time.sleep(0.005)
    return 2 * x


def kill(over, killed):
    """Kill one or both processes every now and then."""
    while not over.wait(MOMENTS.uniform(0, 0.2)):
        for pid in [child.pid for child in active_children()][: MOMENTS.randint(1, 2)]:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
                killed.append(pid)


def run_jobs(killed):
    """Run jobs in a pool under fire, and check every result."""
    over = threading.Event()
    with Workers(2) as workers:
        killer = threading.Thread(target=kill, args=(over, killed))
        killer.start()
        futures = []
        for job in range(N_JOBS):
            futures.append(workers.submit(slowly_double, job))
            time.sleep(MOMENTS.uniform(0, 0.005))
        over.wait(MOMENTS.uniform(0, 0.5))  # some jobs are still waiting, or none
        over.set()
        killer.join()
        for job, future in enumerate(futures):
            try:
                assert future.result(timeout=60) == 2 * job
            except UserError as error:  # reported, not lost
                assert "killed, twice" in str(error)


if __name__ == "__main__":
    n_kills, limit_s = int(sys.argv[1]), float(sys.argv[2])
    killed, end_s = [], time.monotonic() + limit_s
    while len(killed) < n_kills and time.monotonic() < end_s:
        run_jobs(killed)
    print(len(killed))
