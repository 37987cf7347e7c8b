"""Columns of the table of scans -> numbers that a comparison of groups accounts for."""

import os
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from mri_saliency.errors import UserError
from mri_saliency.inputs.scan_table import Scan
from mri_saliency.inputs.table_file import check_columns, read_table
from mri_saliency.wording import first_of

_MAX_WORDS = 20  # different ones in a column
_MOSTLY = 0.75  # share of a column's cells that are numbers, from which all must be
_MISSING = "na n/a #n/a #na <na> nan -nan null nil unknown unk missing ? - -- . ..".split()
_DECIMAL_COMMA = re.compile(r"[+-]?\d+(,\d+)?")


def read_covariates(csv_path: Path, path_column: str, names: Sequence[str]) -> pd.DataFrame:
    """Read covariates: a column of numbers as it is, a column of words as a column of 0 and 1 for each word.

    float64, indexed by the scans' paths as in `Scan.path`; NaN where a cell is empty or says that it is
    missing (``NA``, ``unknown``). Of repeated rows, the first. The first of a column's words has no column:
    it is where all others are 0. Decimal commas count if the whole column has no other form of number. Raises
    UserError for a table without one of the columns, and for a column of more than 20 words, or of numbers
    but for a few cells.
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
            f"{csv_path}: --covariates: {len(incomplete)} of {len(scans)} scans have an empty cell, or one "
            f"that says so (NA): {first_of(named)}. Fill the cells, leave the rows out of the table, or name "
            "fewer covariates."
        )


def _as_numbers(column: pd.Series, csv_path: Path) -> pd.DataFrame:
    """Return a column as numbers, float64; a column of words as indicators of all words but the first."""
    where = f"{csv_path}: --covariates: {column.name!r}"
    cells = column.fillna("").str.strip()
    cells = cells.mask(cells.str.casefold().isin(_MISSING) | (cells == ""))
    present = cells.dropna()
    if present.str.contains(",").any() and present.str.fullmatch(_DECIMAL_COMMA).all():
        commas = present[present.str.contains(",")]
        if commas.str.fullmatch(r"[+-]?[1-9]\d{0,2},\d{3}").all():
            raise UserError(
                f"{where} has commas that stand for decimals or for thousands, such as {commas.iloc[0]!r}. "
                "Write the numbers with points, or without separators."
            )
        cells = cells.str.replace(",", ".")
    numbers = pd.to_numeric(cells, errors="coerce")
    odd = cells[cells.notna() & numbers.isna()]
    if not len(odd):
        if np.isinf(numbers).any():
            raise UserError(f"{where} has an infinite value.")
        return numbers.astype(float).to_frame()
    if len(odd) <= (1 - _MOSTLY) * len(present):
        named = [f"{cell!r} ({Path(str(path)).name})" for path, cell in odd.items()]
        raise UserError(
            f"{where} has numbers in {len(present) - len(odd)} cells, and {len(odd)} that are none: "
            f"{first_of(named)}. Correct them, with a point before decimals, or leave them empty."
        )
    words = sorted(present.unique())
    if len(words) > _MAX_WORDS:
        raise UserError(
            f"{where} has {len(words)} different words, such as {words[0]!r} and {words[1]!r}, each of which "
            f"would be a group; expected numbers, or {_MAX_WORDS} words at most."
        )
    indicators = {
        f"{column.name}={word}": (cells == word).astype(float).where(cells.notna()) for word in words[1:]
    }
    return pd.DataFrame(indicators, index=column.index)
