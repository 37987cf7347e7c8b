"""What the machine offers: its device, its memory, its worker processes."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Callable
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from multiprocessing import get_context
from typing import TYPE_CHECKING

from mri_saliency.errors import UserError

if TYPE_CHECKING:
    import torch

DEFAULT_DEVICE = "cuda:0"


def usable_cores() -> int:
    """Count the CPU cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def choose_device(name: str | None) -> torch.device:
    """Find the device asked for; without a wish the first GPU, else the CPU.

    Raises
    ------
    UserError
        There is no such device; the message names those there are.
    """
    import torch

    there = ["cpu", *(f"cuda:{index}" for index in range(torch.cuda.device_count()))]
    if name is None:
        name = DEFAULT_DEVICE if DEFAULT_DEVICE in there else "cpu"
    if {"cuda": DEFAULT_DEVICE}.get(name, name) not in there:
        raise UserError(f"--device: no device {name!r} here; there are {', '.join(there)}.")
    # float32 as written: NVIDIA's convolutions otherwise round their inputs to 10 bits
    torch.backends.cudnn.allow_tf32 = False
    if name == "cpu":
        keep_freed_memory()
    return torch.device(name)


def hardware_name(device: torch.device) -> str:
    """Name the hardware behind a device."""
    import torch

    return torch.cuda.get_device_name(device) if device.type == "cuda" else f"{device.type}"


def keep_freed_memory() -> None:
    """Have glibc reuse large blocks instead of returning each to the system: a third less time.

    By default the memory of every activation, or of every copy of a volume, is mapped afresh, and
    its pages are cleared.
    """
    libc = ctypes.CDLL(None) if sys.platform == "linux" else None
    if hasattr(libc, "mallopt"):
        m_trim_threshold, m_mmap_threshold = -1, -3  # malloc.h
        libc.mallopt(m_mmap_threshold, 2**30)
        libc.mallopt(m_trim_threshold, 2**31 - 1)


def worker_pool(n_workers: int) -> Executor:
    """Start processes that work beside this one; with 0, do their work in this one."""
    if n_workers == 0:
        return InlineExecutor()
    return ProcessPoolExecutor(n_workers, get_context("spawn"), _prepare_worker)


class InlineExecutor(Executor):
    """Runs each job at once, in this process."""

    def submit(self, function: Callable, /, *args: object, **keywords: object) -> Future:
        """Run a job and return its finished future."""
        future: Future = Future()
        try:
            future.set_result(function(*args, **keywords))
        except Exception as error:
            future.set_exception(error)
        return future


def _prepare_worker() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the main process decides
    keep_freed_memory()
    # a core a worker: NumPy, not loaded yet, would start threads on all of them
    os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"))
    if hasattr(os, "nice"):
        os.nice(19)  # on a CPU the network comes first
