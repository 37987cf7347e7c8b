"""What the tests have worker processes do; light, because each process imports it."""

import os
import signal


def nothing():
    pass


def double(x):
    return 2 * x


def kill_worker(marker, always):
    if always or not marker.exists():
        marker.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return "done"
