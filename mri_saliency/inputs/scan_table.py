"""The table of scans (val.csv) -> the scans with their ids, labels and diagnoses."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from mri_saliency.errors import UserError
from mri_saliency.inputs.subject_ids import subject_ids

LABELS = {"HC": 0, "left": 1, "right": 1}  # diagnosis -> label; 1 is TLE
PATH_COLUMN = "file"
DIAGNOSIS_COLUMN = "HC_vs_LTLE_vs_RTLE_string"


@dataclass(frozen=True)
class Scan:
    """One row of the table.

    Attributes
    ----------
    subject_id : str
        Unique in the table, safe as a file name.
    path : Path
        The volume's file.
    label : int
        0: HC, 1: TLE.
    diagnosis : str
        "HC", "left" or "right" (the side of the seizure focus).
    sample_idx : int
        Position among the table's scans, from 0.
    """

    subject_id: str
    path: Path
    label: int
    diagnosis: str
    sample_idx: int


@dataclass(frozen=True)
class ScanTable:
    """The scans of a table.

    Attributes
    ----------
    scans : list of Scan
        In the table's order.
    notes : list of str
        Warnings for the user: a sentence for each kind of row that was left out.
    """

    scans: list[Scan]
    notes: list[str]


def read_scan_table(
    csv_path: Path, path_column: str = PATH_COLUMN, diagnosis_column: str = DIAGNOSIS_COLUMN
) -> ScanTable:
    """Read the table of scans.

    Rows whose diagnosis is not HC, left or right are left out, as in training; so are rows without
    a path, and repeated rows. Relative paths are relative to the table's folder.

    Raises
    ------
    UserError
        The table cannot be read, lacks a column, has two diagnoses for one file, or has no scan.
    """
    rows = _select_columns(_read_csv(csv_path), csv_path, path_column, diagnosis_column)
    notes = []

    is_known = rows["diagnosis"].isin(LABELS)
    if not is_known.all():
        notes.append(
            f"{csv_path}: left out {(~is_known).sum()} of {len(rows)} rows whose {diagnosis_column} is "
            f"none of {', '.join(LABELS)} ({_most_common(rows.loc[~is_known, 'diagnosis'])})."
        )
    rows = rows[is_known]

    has_file = rows["file"].notna()
    if not has_file.all():
        notes.append(f"{csv_path}: left out {(~has_file).sum()} rows without a {path_column}.")
    rows = rows[has_file]

    folder = csv_path.parent.absolute()
    rows = rows.assign(path=[os.path.normpath(folder / file) for file in rows["file"]])
    is_repeated = rows.duplicated(["path", "diagnosis"])
    if is_repeated.any():
        first = rows.loc[is_repeated, "file"].iloc[0]
        notes.append(f"{csv_path}: left out {is_repeated.sum()} repeated rows, the first for {first}.")
    rows = rows[~is_repeated]

    _check_one_diagnosis(rows, csv_path)
    if rows.empty:
        raise UserError(
            f"{csv_path}: no scan to explain; expected rows with a {path_column} and one of "
            f"{', '.join(LABELS)} in {diagnosis_column}. " + " ".join(notes)
        )
    return ScanTable(_scans(rows), notes)


def _select_columns(
    table: pd.DataFrame, csv_path: Path, path_column: str, diagnosis_column: str
) -> pd.DataFrame:
    """Return the table's columns of paths and diagnoses, as "file" and "diagnosis"."""
    for column, flag in ((path_column, "--path_column"), (diagnosis_column, "--diagnosis_column")):
        if column not in table.columns:
            found = ", ".join(repr(name) for name in table.columns[:20])
            raise UserError(f"{csv_path}: no column {column!r}; found {found}. Name it with {flag}.")
    return pd.DataFrame({"file": table[path_column], "diagnosis": table[diagnosis_column]})


def _scans(rows: pd.DataFrame) -> list[Scan]:
    paths = [Path(path) for path in rows["path"]]
    return [
        Scan(subject_id, path, LABELS[diagnosis], diagnosis, index)
        for index, (subject_id, path, diagnosis) in enumerate(
            zip(subject_ids(paths), paths, rows["diagnosis"], strict=True)
        )
    ]


def _most_common(diagnoses: pd.Series) -> str:
    counts = Counter("(empty)" if pd.isna(value) else value for value in diagnoses)
    return ", ".join(f"{value!r}: {count}" for value, count in counts.most_common(5))


def _check_one_diagnosis(rows: pd.DataFrame, csv_path: Path) -> None:
    """Raise UserError if a path has two diagnoses; identical rows are gone already."""
    disputed = rows[rows.duplicated("path", keep=False)]
    if len(disputed):
        first = disputed[disputed["path"] == disputed["path"].iloc[0]]
        raise UserError(
            f"{csv_path}: {first['file'].iloc[0]} has the diagnoses "
            f"{' and '.join(first['diagnosis'])}; expected one. Correct the table."
        )


def _read_csv(csv_path: Path) -> pd.DataFrame:
    if not os.path.isfile(csv_path):  # unlike Path.is_file, never raises
        found = "is a folder" if os.path.isdir(csv_path) else "no such file, or no permission to look"
        raise UserError(f"{csv_path}: {found}; expected the cohort's table. Name it with --csv_path.")
    try:
        return pd.read_csv(
            csv_path,
            dtype=str,  # cells stay as they are written
            keep_default_na=False,  # only an empty cell is missing
            na_values=[""],
            index_col=False,  # a comma at the end of each row makes no index
            encoding="utf-8-sig",
        )
    except OSError as error:
        raise UserError(f"{csv_path}: cannot read the table ({error.strerror}).") from error
    except (ValueError, pd.errors.ParserError) as error:
        raise UserError(
            f"{csv_path}: expected a comma-separated table in UTF-8 with a header row; "
            f"could not read it ({error})."
        ) from error
