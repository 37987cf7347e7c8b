"""A pool of worker processes that survives the death of its processes."""

import gc
import math
import os
import pickle
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from importlib import import_module
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import TypeVar

from mri_saliency.errors import UserError
from mri_saliency.runtime.device import keep_freed_memory

_SPAWN = get_context("spawn")
_PARTS_PER_WORKER = 4  # so that the workers end at about the same time
T = TypeVar("T")
R = TypeVar("R")


class Workers:
    """A pool of worker processes. With ``n=0``, jobs run at once, in this process.

    Each process belongs to a thread of its own, which sends it jobs over a pipe that no other process shares:
    a process that dies, at whatever moment, costs its own job alone. The job is repeated in a new process,
    once. (In the pools of the standard library and of loky all processes share their queues' locks; killed
    at the wrong moment, a process takes a lock with it, and the pool hangs.)

    Each process imports the modules `preload` at once, while the main process is still busy; without them, a
    process starts with its first job.
    """

    def __init__(self, n: int, preload: tuple[str, ...] = ()) -> None:
        self.n = n
        self._executor: Executor = ThreadPoolExecutor(n) if n else _SerialExecutor()
        self._of_thread = threading.local()
        self._processes: list[_WorkerProcess] = []  # alive, as far as is known
        self.behind_network = False  # whether jobs yield to a network that runs on this machine's cores
        if n and preload:
            for _ in range(n):
                self.submit(_import, preload)

    def submit(self, function: Callable, /, *args: object, **keywords: object) -> Future:
        """Start ``function(*args, **keywords)`` in a worker process; return its result to come.

        The future raises what the function raised; UserError if two processes died of it.
        """
        return self.submit_then(as_it_is, function, *args, **keywords)

    def submit_then(self, then: Callable, function: Callable, /, *args: object, **keywords: object) -> Future:
        """As `submit`; `then` takes the result, in this process, but in a thread beside the main one."""
        call = partial(function, *args, **keywords)
        return self._executor.submit(lambda: then(self._run(call) if self.n else call()))

    def map_parts(self, function: Callable[[Sequence[T]], list[R]], items: Sequence[T]) -> list[R]:
        """Return the lists that `function` returns of parts of `items`, joined; each part is a job."""
        size = max(1, math.ceil(len(items) / (_PARTS_PER_WORKER * max(1, self.n))))
        parts = [items[start : start + size] for start in range(0, len(items), size)]
        jobs = [self.submit(function, part) for part in parts]
        return [result for job in jobs for result in job.result()]

    def __enter__(self) -> "Workers":
        """Return the pool."""
        return self

    def __exit__(self, error_type: type | None, *_: object) -> None:
        """End the processes; after an error or interrupt, without the jobs that have not begun."""
        self._executor.shutdown(cancel_futures=error_type is not None)
        for process in self._processes:
            process.close()
        for process in self._processes:
            process.join()

    def _run(self, call: Callable) -> object:
        for _ in range(2):
            process = self._process()
            try:
                return process.run(call, self.behind_network)
            except _ProcessDied:
                self._forget(process)
        raise UserError(
            "its worker process was killed, twice; often the machine is out of memory. Try fewer --workers."
        )

    def _process(self) -> "_WorkerProcess":
        process: _WorkerProcess | None = getattr(self._of_thread, "process", None)
        if process is None:
            process = self._of_thread.process = _WorkerProcess()
            self._processes.append(process)
        return process

    def _forget(self, process: "_WorkerProcess") -> None:
        self._of_thread.process = None
        self._processes.remove(process)
        process.close()
        process.join()


def as_it_is(result: T) -> T:
    """Return a result unchanged, where `Workers.submit_then` has nothing to do."""
    return result


class _ProcessDied(Exception):
    """A worker process ended in the middle of a job."""


class _WorkerProcess:
    """A process that runs one job at a time, and the only pipe to it."""

    def __init__(self) -> None:
        self._pipe, pipe_of_process = _SPAWN.Pipe()
        self._process: BaseProcess = _SPAWN.Process(target=_serve, args=(pipe_of_process,), daemon=True)
        self._process.start()
        pipe_of_process.close()  # now only the process holds it, and its death ends the pipe

    def run(self, call: Callable, yields: bool) -> object:
        try:
            self._pipe.send((call, yields))
            succeeded, result = self._pipe.recv()
        except (EOFError, OSError) as error:
            raise _ProcessDied from error
        if succeeded:
            return result
        raise result

    def close(self) -> None:
        self._pipe.close()  # the process ends when it has nothing to wait for

    def join(self) -> None:
        self._process.join()


def _import(modules: tuple[str, ...]) -> None:
    for module in modules:
        import_module(module)


def _serve(pipe: Connection) -> None:
    """Run the jobs that come through the pipe, until the main process closes it or is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the main process decides
    # a core for each worker: NumPy, not loaded yet, would start threads on all of them
    os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"))
    keep_freed_memory()
    behind_network = ThreadPoolExecutor(1, initializer=_yield_to_others)
    while True:
        try:
            job = pipe.recv_bytes()
        except (EOFError, OSError):
            gc.freeze()  # or Python searches all that was imported for garbage before it ends
            return
        try:
            call, yields = pickle.loads(job)  # what this tool's own main process pickled
            answer = (True, behind_network.submit(call).result() if yields else call())
        except Exception as error:
            error.add_note(f"in a worker process:\n{traceback.format_exc()}")
            answer = (False, _picklable(error))
        pipe.send(answer)


def _yield_to_others() -> None:
    """Give this thread the lowest priority, for good; only Linux has one for each thread of a process."""
    if sys.platform == "linux":
        with suppress(OSError):  # a container may forbid it
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 19)


def _picklable(error: Exception) -> Exception:
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}\n{traceback.format_exc()}")
    return error


class _SerialExecutor(Executor):
    """Stands in for the pool: runs each job at once, in this process."""

    def submit(self, function: Callable, /, *args: object, **keywords: object) -> Future:
        future: Future = Future()
        try:
            future.set_result(function(*args, **keywords))
        except Exception as error:
            future.set_exception(error)
        return future
