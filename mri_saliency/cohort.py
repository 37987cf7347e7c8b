"""val.csv -> the list of scans, with ids, labels and diagnoses."""

from __future__ import annotations

import hashlib
import os
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from mri_saliency.errors import UserError

LABELS = {"HC": 0, "left": 1, "right": 1}  # diagnosis -> label; 1 is TLE
LABEL_NAMES = ("HC", "TLE")
PATH_COLUMN = "file"
DIAGNOSIS_COLUMN = "HC_vs_LTLE_vs_RTLE_string"

_CAT12_PREFIX = "mwp1"
_MAX_ID_LENGTH = 80


@dataclass(frozen=True)
class Scan:
    """One row of the cohort.

    Attributes
    ----------
    subject_id : str
        Unique in the cohort, safe as a file name.
    path : Path
        The volume's file.
    label : int
        0: HC, 1: TLE.
    diagnosis : str
        "HC", "left" or "right" (the side of the seizure focus).
    sample_idx : int
        Position in the cohort, from 0.
    """

    subject_id: str
    path: Path
    label: int
    diagnosis: str
    sample_idx: int


@dataclass(frozen=True)
class Cohort:
    """The scans of a table, in its order, and what was left out of it.

    Attributes
    ----------
    scans : list of Scan
    notes : list of str
        A sentence for each kind of row that was dropped, to be said aloud.
    """

    scans: list[Scan]
    notes: list[str]


def read_cohort(
    csv_path: Path, path_column: str = PATH_COLUMN, diagnosis_column: str = DIAGNOSIS_COLUMN
) -> Cohort:
    """Read a cohort table.

    Rows whose diagnosis is none of HC, left and right are dropped, as training dropped them; so are
    rows without a path, and repeated rows. Relative paths are taken from the table's folder.

    Raises
    ------
    UserError
        The table cannot be read, lacks a column, gives one file two diagnoses, or has no scan.
    """
    table = _read_table(csv_path)
    for column, flag in ((path_column, "--path_column"), (diagnosis_column, "--diagnosis_column")):
        if column not in table.columns:
            found = ", ".join(repr(name) for name in table.columns[:20])
            raise UserError(f"{csv_path}: no column {column!r}; found {found}. Name it with {flag}.")
    notes = []

    known = table[diagnosis_column].isin(LABELS)
    if not known.all():
        others = Counter("(empty)" if pd.isna(v) else v for v in table.loc[~known, diagnosis_column])
        listed = ", ".join(f"{value!r}: {count}" for value, count in others.most_common(5))
        notes.append(
            f"{csv_path}: left out {(~known).sum()} of {len(table)} rows whose {diagnosis_column} is "
            f"none of {', '.join(LABELS)} ({listed})."
        )
    table = table[known]

    has_path = table[path_column].notna()
    if not has_path.all():
        notes.append(f"{csv_path}: left out {(~has_path).sum()} rows without a {path_column}.")
    table = table[has_path]

    folder = csv_path.parent.absolute()
    table = table.assign(path=[os.path.normpath(folder / path) for path in table[path_column]])
    repeated = table.duplicated(["path", diagnosis_column])
    if repeated.any():
        notes.append(
            f"{csv_path}: left out {repeated.sum()} repeated rows, "
            f"the first for {table.loc[repeated, path_column].iloc[0]}."
        )
    table = table[~repeated]
    disputed = table[table.duplicated("path", keep=False)]
    if len(disputed):
        first = disputed[disputed["path"] == disputed["path"].iloc[0]]
        raise UserError(
            f"{csv_path}: {first[path_column].iloc[0]} has the diagnoses "
            f"{' and '.join(first[diagnosis_column])}; expected one. Correct the table."
        )
    if table.empty:
        raise UserError(
            f"{csv_path}: no scan to explain; expected rows with a {path_column} and one of "
            f"{', '.join(LABELS)} in {diagnosis_column}. " + " ".join(notes)
        )

    paths = [Path(path) for path in table["path"]]
    scans = [
        Scan(subject_id, path, LABELS[diagnosis], diagnosis, index)
        for index, (subject_id, path, diagnosis) in enumerate(
            zip(subject_ids(paths), paths, table[diagnosis_column], strict=True)
        )
    ]
    return Cohort(scans, notes)


def subject_ids(paths: list[Path]) -> list[str]:
    """Name each scan: the first ``_``-separated token of its file name, less a leading ``mwp1``.

    Where scans share a name, all of them take the file's stem instead; where they share that too,
    the folder's name before it, and so on upward. Names are unique also where upper and lower case
    are one, and hold only letters, digits, ``.``, ``_`` and ``-``.
    """
    candidates = [list(_candidate_ids(path)) for path in paths]
    level = [0] * len(paths)
    while True:
        ids = [names[i] for names, i in zip(candidates, level, strict=True)]
        counts = Counter(name.casefold() for name in ids)
        shared = [i for i, name in enumerate(ids) if counts[name.casefold()] > 1]
        if not shared:
            return ids
        for i in shared:
            level[i] = min(level[i] + 1, len(candidates[i]) - 1)


def _candidate_ids(path: Path) -> Iterator[str]:
    """Yield ever longer names; the last holds a hash of the whole path and so is unique."""
    stem = re.sub(r"\.(nii\.gz|nii|mgz|npy|pkl)$", "", path.name, flags=re.IGNORECASE)
    stem = stem.removeprefix(_CAT12_PREFIX)
    yield _safe_name(stem.split("_")[0], path)
    yield _safe_name(stem, path)
    name = stem
    for folder in path.parents:
        if folder.name:
            name = f"{folder.name}_{name}"
            yield _safe_name(name, path)
    yield f"{_safe_name(stem, path)[: _MAX_ID_LENGTH - 9]}-{_path_hash(path)}"


def _safe_name(name: str, path: Path) -> str:
    """Make a file name of `name`; one cut for its length ends in a hash of the path."""
    safe = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip(".-") or f"scan-{_path_hash(path)}"
    if len(safe) > _MAX_ID_LENGTH:
        safe = f"{safe[: _MAX_ID_LENGTH - 9]}-{_path_hash(path)}"
    return safe


def _path_hash(path: Path) -> str:
    return hashlib.sha256(str(path).encode("utf-8", "surrogatepass")).hexdigest()[:8]


def _read_table(csv_path: Path) -> pd.DataFrame:
    if not os.path.isfile(csv_path):  # unlike Path.is_file, never raises
        what = "is a folder" if os.path.isdir(csv_path) else "no such file, or no permission to look"
        raise UserError(f"{csv_path}: {what}; expected the cohort's table. Name it with --csv_path.")
    try:
        # text as it stands: only an empty cell is missing, and no column is an index
        return pd.read_csv(
            csv_path,
            dtype=str,
            keep_default_na=False,
            na_values=[""],
            index_col=False,
            encoding="utf-8-sig",
        )
    except OSError as error:
        raise UserError(f"{csv_path}: cannot read the table ({error.strerror}).") from error
    except (ValueError, pd.errors.ParserError) as error:
        raise UserError(
            f"{csv_path}: expected a comma-separated table in UTF-8 with a header row; "
            f"could not read it ({error})."
        ) from error
