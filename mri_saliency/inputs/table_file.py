"""A file of a table -> its cells as they are written, whatever separates them."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Collection
from pathlib import Path

import pandas as pd

from mri_saliency.errors import UserError

_SEPARATORS = ",;\t"


def read_table(csv_path: Path, wanted: Collection[str]) -> pd.DataFrame:
    """Read a table with a header row, in UTF-8, separated by commas, semicolons or tabs.

    Parameters
    ----------
    csv_path : Path
    wanted : collection of str
        Columns by which the separator is found: it is the one that gives most of them.

    Returns
    -------
    DataFrame
        All columns, of str; empty cells are NaN.

    Raises
    ------
    UserError
        The file cannot be read as a table.
    """
    if not os.path.isfile(csv_path):  # unlike Path.is_file, never raises
        found = "is a folder" if os.path.isdir(csv_path) else "no such file, or no permission to look"
        raise UserError(f"{csv_path}: {found}; expected the cohort's table. Name it with --csv_path.")
    try:
        text = csv_path.read_text(encoding="utf-8-sig")
        return pd.read_csv(
            io.StringIO(text),
            sep=_find_separator(text, wanted),
            dtype=str,  # cells stay as they are written
            keep_default_na=False,  # only an empty cell is missing
            na_values=[""],
            index_col=False,  # a comma at the end of each row makes no index
        )
    except OSError as error:
        raise UserError(f"{csv_path}: cannot read the table ({error.strerror}).") from error
    except (ValueError, csv.Error) as error:
        raise UserError(
            f"{csv_path}: expected a table in UTF-8 with a header row, separated by commas, "
            f"semicolons or tabs; could not read it ({error})."
        ) from error


def _find_separator(text: str, wanted: Collection[str]) -> str:
    """Return the separator that gives most wanted columns; of equal ones, that with most columns."""

    def columns_found(separator: str) -> tuple[int, int]:
        rows = csv.reader(io.StringIO(text), delimiter=separator)  # respects quotes
        header = next((row for row in rows if row), [])
        return len(set(wanted).intersection(header)), len(header)

    return max(_SEPARATORS, key=columns_found)
