"""Which file a result was made from: its content's hash, and what is quick to compare."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class FileIdentity:
    """A file at a time.

    Attributes
    ----------
    path : str
        As it was given.
    bytes : int
        Size.
    modified_ns : int
        Time of the last change, in ns since 1970.
    sha256 : str
        Of the content: 64 hexadecimal digits.
    """

    path: str
    bytes: int
    modified_ns: int
    sha256: str

    @classmethod
    def of(cls, path: Path) -> FileIdentity:
        """Read a file's identity; raises OSError if it cannot be read."""
        status = path.stat()
        return cls(str(path), status.st_size, status.st_mtime_ns, sha256_of_file(path))

    def matches(self, path: Path) -> bool:
        """Return whether a file is still this one.

        Path, size and time of change suffice; if one of them differs, the content decides. A file that
        cannot be read matches: without it, nothing better could be made.
        """
        try:
            status = path.stat()
            quick = (str(path), status.st_size, status.st_mtime_ns)
            return quick == (self.path, self.bytes, self.modified_ns) or sha256_of_file(path) == self.sha256
        except OSError:
            return True


def sha256_of_file(path: Path) -> str:
    """Return a file's hash as ``sha256sum`` prints it: 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256_of_array(array: np.ndarray) -> str:
    """Return the hash of an array's values, in their order in memory: 64 hexadecimal digits."""
    return hashlib.sha256(array).hexdigest()
