"""One run at a time writes into a folder."""

import json
import os
import shlex
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

from mri_saliency.errors import UserError
from mri_saliency.output.files import output_errors, read_json

if sys.platform != "win32":
    import fcntl

LOCK = ".mri-saliency.lock"


@contextmanager
def locked(root: Path) -> Iterator[None]:
    """Keep other runs out of a folder; it is made, and removed again if nothing is written into it.

    The system drops the lock when the process ends, however it ends, also that of another machine on NFS. A
    file system without locks is written to without one. torchrun's first process locks for the others.
    Raises UserError, which names it, if another run writes there.
    """
    if int(os.environ.get("RANK", "0")):
        yield
        return
    made = [folder for folder in (root, *root.parents) if not folder.exists()]
    with output_errors(root):
        root.mkdir(parents=True, exist_ok=True)
        descriptor = _open_locked(root)
    try:
        yield
    finally:
        with suppress(OSError):
            os.unlink(root / LOCK)
        os.close(descriptor)
        with suppress(OSError):  # not empty
            for folder in made:
                os.rmdir(folder)


def check_unlocked(root: Path) -> None:
    """Raise UserError if a run writes into a folder now."""
    with suppress(OSError):
        descriptor = os.open(root / LOCK, os.O_RDWR)
        try:
            _lock(root, descriptor)
        finally:
            os.close(descriptor)


def _open_locked(root: Path) -> int:
    while True:
        descriptor = os.open(root / LOCK, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            _lock(root, descriptor)
            if os.path.exists(root / LOCK) and os.path.samestat(os.fstat(descriptor), os.stat(root / LOCK)):
                break  # else its holder has removed it meanwhile
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)
    holder = {
        "host": socket.gethostname(),
        "process": os.getpid(),
        "since": datetime.now().astimezone().isoformat(timespec="seconds"),
        "command": shlex.join(sys.argv),
    }
    os.ftruncate(descriptor, 0)
    os.write(descriptor, json.dumps(holder).encode("utf-8", "backslashreplace"))
    return descriptor


def _lock(root: Path, descriptor: int) -> None:
    if sys.platform == "win32":
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        holder = read_json(root / LOCK) or {}
        words = ", ".join(f"{key} {holder[key]}" for key in ("host", "process", "since") if key in holder)
        raise UserError(
            f"{root}: another run writes there{f' ({words})' if words else ''}. Wait for its end, or choose "
            "another --output_dir."
        ) from None
    except OSError:
        pass  # a file system without locks
