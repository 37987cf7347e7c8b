"""What the tests have worker processes do; light, because each process imports it."""

import os
import signal
import time


def double(x):
    return 2 * x


def fail(message):
    raise ValueError(message)


def fail_unpicklably():
    class Local(Exception):
        pass

    raise Local("of this function")


def kill_worker(marker, always):
    if always or not marker.exists():
        marker.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return "done"


def wait_and_count():
    time.sleep(0.005)
    return {"draw": 0.1}


def describe_process():
    return os.getpid(), os.nice(0), os.environ["OMP_NUM_THREADS"]
