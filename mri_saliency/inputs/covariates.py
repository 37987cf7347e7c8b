"""Columns of the table of scans -> numbers that a comparison of groups accounts for."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from mri_saliency.errors import UserError
from mri_saliency.inputs.scan_table import Scan
from mri_saliency.inputs.table_file import check_columns, read_table
from mri_saliency.wording import first_of

_MAX_WORDS = 20  # different ones in a column


def read_covariates(csv_path: Path, path_column: str, names: Sequence[str]) -> pd.DataFrame:
    """Read covariates: a column of numbers as it is, a column of words as a column of 0 and 1 for each word.

    float64, indexed by the scans' paths as in `Scan.path`; NaN where a cell is empty. Of repeated rows, the
    first. The first of a column's words has no column: it is where all others are 0.

    Raises UserError: the table cannot be read, lacks a column, or has a column of more than 20 words.
    """
    table = read_table(csv_path, (path_column, *names))
    check_columns(table, {path_column: "--path_column"} | dict.fromkeys(names, "--covariates"), csv_path)
    table = table[table[path_column].notna()]
    folder = csv_path.parent.absolute()
    table.index = [os.path.normpath(folder / file) for file in table[path_column]]
    table = table[~table.index.duplicated()]
    return pd.concat([_as_numbers(table[name], csv_path) for name in names], axis=1)


def check_covariates(covariates: pd.DataFrame, scans: Sequence[Scan], csv_path: Path) -> None:
    """Raise UserError if a scan lacks a covariate."""
    of_scans = covariates.reindex([str(scan.path) for scan in scans])
    incomplete = of_scans[of_scans.isna().any(axis=1)]
    if len(incomplete):
        named = [
            f"{Path(path).name} ({', '.join(row.index[row.isna()])})" for path, row in incomplete.iterrows()
        ]
        raise UserError(
            f"{csv_path}: --covariates: {len(incomplete)} of {len(scans)} scans have an empty cell: "
            f"{first_of(named)}. Fill the cells, leave the rows out of the table, or name fewer covariates."
        )


def _as_numbers(column: pd.Series, csv_path: Path) -> pd.DataFrame:
    """Return a column as numbers, float64; a column of words as indicators of all words but the first."""
    numbers = pd.to_numeric(column, errors="coerce")
    if (numbers.notna() == column.notna()).all():
        if np.isinf(numbers).any():
            raise UserError(f"{csv_path}: --covariates: {column.name!r} has an infinite value.")
        return numbers.astype(float).to_frame()
    words = sorted(column.dropna().str.strip().unique())
    if len(words) > _MAX_WORDS:
        raise UserError(
            f"{csv_path}: --covariates: {column.name!r} has {len(words)} different words, such as "
            f"{words[0]!r} and {words[1]!r}; expected numbers, or {_MAX_WORDS} words at most."
        )
    cells = column.str.strip()
    indicators = {
        f"{column.name}={word}": (cells == word).astype(float).where(column.notna()) for word in words[1:]
    }
    return pd.DataFrame(indicators, index=column.index)
