"""Paths of scans -> their ids, which name the folders and files of their maps."""

import hashlib
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

_CAT12_PREFIX = "mwp1"
_MAX_ID_LENGTH = 80


def subject_ids(paths: Sequence[Path]) -> list[str]:
    """Return an id for each scan: the first ``_``-separated token of its file name, less a leading ``mwp1``.

    Scans that would share an id get their file's stem instead; those that share that too, the
    folder's name before it, and so on upward. Ids are unique even where upper and lower case are the
    same, and hold only letters, digits, ``.``, ``_`` and ``-``.
    """
    candidates = [list(candidate_ids(path)) for path in paths]
    level = [0] * len(paths)
    while True:
        ids = [names[i] for names, i in zip(candidates, level, strict=True)]
        counts = Counter(name.casefold() for name in ids)
        shared = [i for i, name in enumerate(ids) if counts[name.casefold()] > 1]
        if not shared:
            return ids
        for i in shared:
            level[i] = min(level[i] + 1, len(candidates[i]) - 1)


def candidate_ids(path: Path) -> Iterator[str]:
    """Yield ids of increasing length; the last ends in a hash of the whole path and so is unique."""
    stem = re.sub(r"\.(nii\.gz|nii|mgz|npy|pkl)$", "", path.name, flags=re.IGNORECASE)
    stem = stem.removeprefix(_CAT12_PREFIX)
    yield _safe_name(stem.lstrip("_").split("_")[0], path)
    yield _safe_name(stem, path)
    name = stem
    for folder in path.parents:
        if folder.name:
            name = f"{folder.name}_{name}"
            yield _safe_name(name, path)
    yield f"{_safe_name(stem, path)[: _MAX_ID_LENGTH - 9]}-{_path_hash(path)}"


def _safe_name(name: str, path: Path) -> str:
    """Return `name` as a file name; if it must be shortened, it ends in a hash of the path."""
    safe = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip(".-") or f"scan-{_path_hash(path)}"
    if len(safe) > _MAX_ID_LENGTH:
        safe = f"{safe[: _MAX_ID_LENGTH - 9]}-{_path_hash(path)}"
    return safe


def _path_hash(path: Path) -> str:
    return hashlib.sha256(str(path).encode("utf-8", "surrogatepass")).hexdigest()[:8]
