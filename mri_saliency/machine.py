"""What the machine offers: its device, its memory, its worker processes, and torchrun's ranks."""

from __future__ import annotations

import ctypes
import gc
import json
import os
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from functools import partial
from multiprocessing import get_context, parent_process
from multiprocessing.connection import wait
from typing import TYPE_CHECKING, NoReturn

from mri_saliency.errors import UserError

if TYPE_CHECKING:
    import torch

DEFAULT_DEVICE = "cuda:0"


def usable_cores() -> int:
    """Count the CPU cores that this process may use: its share, among torchrun's ranks."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, cores // int(os.environ.get("LOCAL_WORLD_SIZE", "1")))


def choose_device(name: str | None, ranks: Ranks | None = None) -> torch.device:
    """Find the device asked for; without a wish the rank's GPU, else the CPU.

    Raises
    ------
    UserError
        There is no such device (the message names those there are), or one device is named for all
        of torchrun's ranks.
    """
    import torch

    # devices are counted even where the driver is too old for them
    n_gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    there = ["cpu", *(f"cuda:{index}" for index in range(n_gpus))]
    own = f"cuda:{ranks.local_rank}" if ranks else DEFAULT_DEVICE
    if ranks and ranks.size > 1 and name not in (None, "cpu", "cuda"):
        raise UserError(f"--device: with torchrun each rank takes its own GPU; leave {name!r} out.")
    if name is None:
        name = own if len(there) > 1 else "cpu"
    name = own if name == "cuda" else name
    if name not in there:
        raise UserError(f"--device: no device {name!r} here; there are {', '.join(there)}.")
    # float32 as written: NVIDIA's convolutions otherwise round their inputs to 10 bits
    torch.backends.cudnn.allow_tf32 = False
    keep_freed_memory()
    if name == "cpu" and ranks and ranks.size > 1:
        torch.set_num_threads(usable_cores())  # torchrun leaves each rank a single one
    return torch.device(name)


def hardware_name(device: torch.device) -> str:
    """Name the hardware behind a device."""
    import torch

    return torch.cuda.get_device_name(device) if device.type == "cuda" else f"{device.type}"


def keep_freed_memory() -> None:
    """Have glibc reuse blocks of up to 32 MiB instead of returning each to the system: a third less time.

    By default the memory of every activation, or of every copy of a volume, is mapped afresh, and
    its pages are cleared. Whole batches of volumes are few and leave gaps: they still go back. One heap
    serves all threads: what one leaves, such as the copy of a map on its way to a worker, another can use.
    """
    libc = _libc()
    if hasattr(libc, "mallopt"):
        m_trim_threshold, m_mmap_threshold, m_arena_max = -1, -3, -8  # malloc.h
        libc.mallopt(m_arena_max, 1)
        libc.mallopt(m_mmap_threshold, 2**25)  # the most that glibc before 2.35 accepts
        libc.mallopt(m_trim_threshold, 2**31 - 1)


def return_freed_memory() -> None:
    """Give the system back what `keep_freed_memory` kept: what follows needs less of it."""
    libc = _libc()
    if hasattr(libc, "malloc_trim"):
        libc.malloc_trim(0)


def _libc() -> ctypes.CDLL | None:
    return ctypes.CDLL(None) if sys.platform == "linux" else None


@contextmanager
def without_collection() -> Iterator[None]:
    """Import without looking for garbage: PyTorch makes a million objects, all of them to stay."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def leave(code: int) -> NoReturn:
    """End this process, whose work is done, without taking PyTorch apart first, which lasts seconds."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError, OSError):  # there is none, or nobody reads it
            stream.flush()
    os._exit(code)


class Workers:
    """Processes that work beside this one; with none, their work is done in this one.

    A process that dies (killed, or out of memory) is replaced, and its work is done again, once.

    Parameters
    ----------
    n : int
        How many processes.
    prepare : callable
        Called once in each, beside what this process does meanwhile.
    """

    def __init__(self, n: int, prepare: Callable[[], None]) -> None:
        self.n = n
        self._pool = self._start()
        if n:
            for _ in range(n):
                self._pool.submit(prepare)

    def submit(self, function: Callable, *args: object, **keywords: object) -> Work:
        """Ask for ``function(*args, **keywords)``."""
        return Work(self, partial(function, *args, **keywords))

    def __enter__(self) -> Workers:
        """Nothing to do: the processes start with the first work."""
        return self

    def __exit__(self, error_type: type | None, *_: object) -> None:
        """End the processes; after an error or interrupt, without the work that is still waiting."""
        self._pool.shutdown(cancel_futures=error_type is not None)

    def _start(self) -> Executor:
        if self.n == 0:
            return _InlineExecutor()
        return ProcessPoolExecutor(self.n, get_context("spawn"), _prepare_worker)

    def _send(self, call: Callable) -> tuple[Executor, Future]:
        try:
            return self._pool, self._pool.submit(call)
        except BrokenProcessPool:
            self._replace(self._pool)
            return self._pool, self._pool.submit(call)

    def _replace(self, broken: Executor) -> None:
        if self._pool is broken:  # else another piece of work has found it out before
            self._pool = self._start()


class Work:
    """A result to come from a worker."""

    def __init__(self, workers: Workers, call: Callable) -> None:
        self._workers, self._call = workers, call
        self._pool, self._future = workers._send(call)

    def cancel(self) -> bool:
        """Take it back, if no process has begun it; tells whether that was so."""
        return self._future.cancel()

    def done(self) -> bool:
        """Tell whether it is over, however it ended."""
        return self._future.done()

    def wait(self) -> None:
        """Wait until it is over, however it ends."""
        self._future.exception()

    def result(self) -> object:
        """Wait for it and return it; what the work raised is raised here.

        Raises
        ------
        UserError
            Two processes died of it.
        """
        try:
            return self._future.result()
        except BrokenProcessPool:
            self._workers._replace(self._pool)
        # who waits here asks for nothing else meanwhile: now it is alone with the new processes
        self._pool, self._future = self._workers._send(self._call)
        try:
            return self._future.result()
        except BrokenProcessPool as error:
            self._workers._replace(self._pool)
            raise UserError(
                "its worker process was killed, twice; often the machine is out of memory. "
                "Try fewer --workers."
            ) from error


class _InlineExecutor(Executor):
    """Runs each job at once, in this process."""

    def submit(self, function: Callable, /, *args: object, **keywords: object) -> Future:
        future: Future = Future()
        try:
            future.set_result(function(*args, **keywords))
        except Exception as error:
            future.set_exception(error)
        return future


def _prepare_worker() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the main process decides
    threading.Thread(target=_end_with_parent, daemon=True).start()
    keep_freed_memory()
    # a core a worker: NumPy, not loaded yet, would start threads on all of them
    os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"))
    if hasattr(os, "nice"):
        os.nice(19)  # on a CPU the network comes first


def _end_with_parent() -> None:
    """Leave when the main process is gone, however it went: nobody would ever ask again."""
    wait([parent_process().sentinel])
    os._exit(1)


class Ranks:
    """The processes that torchrun started, which share a run's scans; without torchrun, just this one.

    They meet in torchrun's key-value store.

    Attributes
    ----------
    rank, size : int
        This process's number, from 0, and how many there are.
    local_rank : int
        Its number on this machine.
    """

    def __init__(self) -> None:
        self.rank, self.size = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
        self.local_rank = int(os.environ.get("LOCAL_RANK", "0"))
        self._alone: Counter[str] = Counter()
        self._store = None
        if self.size > 1:
            from torch.distributed.rendezvous import rendezvous

            self._store = next(rendezvous("env://"))[0]

    @property
    def is_first(self) -> bool:
        """Whether this process speaks for all."""
        return self.rank == 0

    def share(self, items: list) -> list:
        """Return this rank's part of a list."""
        return items[self.rank :: self.size]

    def add(self, name: str, amount: int = 1) -> int:
        """Add to a count that all ranks share; returns its new value."""
        if self._store is not None:
            return self._store.add(name, amount)
        self._alone[name] += amount
        return self._alone[name]

    def meet(self, place: str, meanwhile: Callable[[], None] = lambda: None) -> None:
        """Wait until all ranks have come here."""
        self.add(place)
        while self.add(place, 0) < self.size:
            meanwhile()
            time.sleep(0.2)

    def hand_in(self, content: dict) -> None:
        """Leave something for the first rank."""
        if self._store is not None:
            self._store.set(f"of rank {self.rank}", json.dumps(content))

    def collect(self) -> list[dict]:
        """Return what the other ranks handed in."""
        return [json.loads(self._store.get(f"of rank {rank}")) for rank in range(1, self.size)]
