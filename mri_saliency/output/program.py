"""Which program this is: its version, and a hash of its source."""

import hashlib
from functools import lru_cache
from pathlib import Path

import mri_saliency

TOOL = "mri-saliency-maps"
_SUFFIXES = {".py", ".html", ".css", ".js"}


@lru_cache
def source_hash() -> str:
    """Return 12 hexadecimal digits that differ between states of the package's source."""
    root, digest = Path(mri_saliency.__file__).parent, hashlib.sha256()
    for path in sorted(path for path in root.rglob("*") if path.suffix in _SUFFIXES):
        digest.update(f"{path.relative_to(root).as_posix()}\0".encode() + path.read_bytes())
    return digest.hexdigest()[:12]


def program() -> str:
    """Return the version with the hash, such as ``0.3.0+1f0c4a5b6d7e``."""
    return f"{mri_saliency.__version__}+{source_hash()}"
