"""The table of scans (val.csv) -> the scans with their ids, labels, diagnoses and subjects."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from mri_saliency.errors import UserError
from mri_saliency.inputs.labels import DEFAULT_LABELS, GROUPS, suggest_labels
from mri_saliency.inputs.subject_ids import subject_ids
from mri_saliency.inputs.table_file import check_columns, read_table
from mri_saliency.wording import first_of

SUBJECT_COLUMN = "sbj_nme"  # read where the table has it and no other is named


@dataclass(frozen=True)
class Scan:
    """One row of the table."""

    subject_id: str  # unique in the table, safe as a file name
    path: Path
    label: int  # 0: HC, 1: TLE
    diagnosis: str  # "HC", "left" or "right" (the side of the focus), or "TLE" (a patient without a side)
    sample_idx: int  # position among the table's scans, from 0
    subject: str = ""  # the person, who may have several scans; without one, the scan's own id

    def __post_init__(self) -> None:
        """Make a scan without a subject its own subject."""
        object.__setattr__(self, "subject", self.subject or self.subject_id)


@dataclass(frozen=True)
class TableColumns:
    """The columns that are read."""

    path: str = "file"
    diagnosis: str = "HC_vs_LTLE_vs_RTLE_string"
    subject: str | None = None  # None: `SUBJECT_COLUMN`, if the table has it


@dataclass(frozen=True)
class ScanTable:
    """The scans of a table, and the rows that were left out, in the table's order."""

    scans: list[Scan]
    notes: list[str]  # warnings for the user: a sentence for each kind of row that was left out
    skipped: list[dict[str, str]]  # "file" and "value": path and diagnosis, "" if empty; "reason"


def read_scan_table(
    csv_path: Path, columns: TableColumns | None = None, labels: Mapping[str, str] = DEFAULT_LABELS
) -> ScanTable:
    """Read the table of scans; `labels`: value of the diagnosis column -> "HC", "left", "right" or "TLE".

    Rows whose diagnosis is none of the labels are left out, as in training; so are rows without a path, and
    repeated rows. Relative paths are relative to the table's folder. Raises UserError as `read_table`, and
    for a table that lacks a column, or has two diagnoses for one file or no scan.
    """
    columns = columns or TableColumns()
    wanted = (columns.path, columns.diagnosis, columns.subject or SUBJECT_COLUMN)
    rows = _select_columns(read_table(csv_path, wanted), csv_path, columns)
    rows["diagnosis"] = [labels.get(value) for value in rows["value"]]
    folder = csv_path.parent.absolute()
    rows["path"] = [os.path.normpath(folder / file) if file else None for file in rows["file"]]

    rows["reason"], sentences = _reasons_to_skip(rows, columns, labels)
    notes = [f"{csv_path}: left out {sentence}" for sentence in sentences]
    kept = rows[rows["reason"] == ""]
    disputed = kept[kept.duplicated("path", keep=False)]  # identical rows are gone already
    if len(disputed):
        first = disputed[disputed["path"] == disputed["path"].iloc[0]]
        raise UserError(
            f"{csv_path}: {first['file'].iloc[0]} has the diagnoses "
            f"{' and '.join(first['value'])}; expected one. Correct the table."
        )
    if kept.empty:
        raise UserError(
            f"{csv_path}: no scan to explain; expected rows with a {columns.path} and one of "
            f"{', '.join(labels)} in {columns.diagnosis}. " + " ".join(notes)
        )
    skipped = rows.loc[rows["reason"] != "", ["file", "value", "reason"]]
    paths = [Path(path) for path in kept["path"]]
    cells = zip(subject_ids(paths), paths, kept["diagnosis"], kept["subject"], strict=True)
    scans = [
        Scan(subject_id, path, GROUPS[diagnosis], diagnosis, index, subject)
        for index, (subject_id, path, diagnosis, subject) in enumerate(cells)
    ]
    return ScanTable(scans, notes, skipped.to_dict("records"))


def _select_columns(table: pd.DataFrame, csv_path: Path, columns: TableColumns) -> pd.DataFrame:
    """Return the cells of paths, diagnoses and subjects as "file", "value" and "subject"; "" if empty."""
    named = {column: f"--{kind}_column" for kind, column in vars(columns).items() if column is not None}
    check_columns(table, named, csv_path)
    table = table.fillna("")
    subject_column = SUBJECT_COLUMN if columns.subject is None else columns.subject
    has_subjects = subject_column in table.columns
    return pd.DataFrame(
        {
            "file": table[columns.path],
            "value": table[columns.diagnosis],
            "subject": table[subject_column].str.strip() if has_subjects else "",
        }
    )


def _reasons_to_skip(
    rows: pd.DataFrame, columns: TableColumns, labels: Mapping[str, str]
) -> tuple[pd.Series, list[str]]:
    """Return for each row why it is left out, "" for the scans; and a sentence for each reason."""
    reasons, notes = pd.Series("", rows.index), []
    unknown = rows["diagnosis"].isna()
    if unknown.any():
        reasons[unknown] = f"{columns.diagnosis} is none of {', '.join(labels)}"
        values = rows.loc[unknown, "value"]
        option = suggest_labels(values.unique(), labels)
        counts = values.replace("", "(empty)").value_counts()
        found = [f"{value!r}: {count}" for value, count in counts.items()]
        notes.append(
            f"{len(values)} of {len(rows)} rows whose {columns.diagnosis} is none of {', '.join(labels)} "
            f"({first_of(found, 5)})."
            + (f" If they belong to the cohort, name their groups: {option}" if option else "")
        )
    without_path = ~unknown & (rows["file"] == "")
    if without_path.any():
        reasons[without_path] = f"no {columns.path}"
        notes.append(f"{without_path.sum()} rows without a {columns.path}.")
    candidates = rows[reasons == ""]
    repeated = candidates[candidates.duplicated(["path", "diagnosis"])]
    if len(repeated):
        reasons[repeated.index] = "repeated row"
        notes.append(f"{len(repeated)} repeated rows, the first for {repeated['file'].iloc[0]}.")
    return reasons, notes
