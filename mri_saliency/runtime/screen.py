"""What is printed, whoever reads it: a stream that is closed, full, gone or not UTF-8 ends no run."""

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TextIO


@contextmanager
def forgiving_screen() -> Iterator[None]:
    """Let prints to stdout and stderr fail in silence; the streams are given back at the end."""
    _open_standard_descriptors()
    streams = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = map(_Forgiving, streams)
    try:
        yield
    finally:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        sys.stdout, sys.stderr = streams


def _open_standard_descriptors() -> None:
    """Open the null device where stdin, stdout or stderr is closed.

    Otherwise the next file that is opened takes its number, and receives what libraries print.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest free number


class _Forgiving(io.TextIOBase):
    """A stream that drops what cannot be written."""

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream
        with suppress(AttributeError, OSError, ValueError):
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]  # of any kind, or None

    def write(self, text: str) -> int:
        """Write what can be written; return the text's length."""
        self._attempt("write", text)
        return len(text)

    def flush(self) -> None:
        """Write what is buffered, if that is possible."""
        self._attempt("flush")

    def _attempt(self, name: str, *arguments: str) -> None:
        if self._stream is not None:
            try:
                getattr(self._stream, name)(*arguments)
            except (OSError, ValueError):
                self._give_up()

    def isatty(self) -> bool:
        """Return whether a person may be looking."""
        return self._stream is not None and self._stream.isatty()

    def fileno(self) -> int:
        """Return the stream's descriptor; raises OSError if there is none."""
        if self._stream is None:
            raise OSError("the stream is closed")
        return self._stream.fileno()

    def _give_up(self) -> None:
        """Send the rest nowhere, also what is buffered: the interpreter flushes once more when it ends."""
        with suppress(OSError, ValueError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.fileno())
            os.close(nowhere)
        self._stream = None
