"""Which file a result was made from: its content's hash, and what is quick to compare."""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mri_saliency.errors import UserError

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class FileIdentity:
    """A file at a time."""

    path: str  # as it was given
    bytes: int
    modified_ns: int  # since 1970
    sha256: str  # 64 hexadecimal digits
    content_sha256: str  # of the scan's voxels and grid: copies in other formats share it

    @classmethod
    def of(cls, path: Path, content_sha256: str) -> "FileIdentity":
        """Read a file's identity; raises OSError if it cannot be read."""
        status = path.stat()
        return cls(str(path), status.st_size, status.st_mtime_ns, sha256_of_file(path), content_sha256)

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


def check_is_file(path: Path, expected: str) -> None:
    """Raise UserError if there is no file; `expected` says what should be there, and what to do."""
    if not os.path.isfile(path):  # unlike Path.is_file, never raises
        found = "is a folder" if os.path.isdir(path) else "no such file, or no permission to look"
        raise UserError(f"{path}: {found}; expected {expected}.")


def sha256_of_file(path: Path) -> str:
    """Return a file's hash as ``sha256sum`` prints it: 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256_of_array(array: "np.ndarray") -> str:
    """Return the hash of an array's values, in their order in memory: 64 hexadecimal digits."""
    return hashlib.sha256(array.data).hexdigest()
