"""A file of a table -> its cells as they are written, whatever separates them."""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Mapping
from pathlib import Path

import pandas as pd

from mri_saliency.errors import UserError
from mri_saliency.inputs.file_identity import check_is_file
from mri_saliency.wording import first_of

_SEPARATORS = ",;\t"


def read_table(csv_path: Path, wanted: Collection[str]) -> pd.DataFrame:
    """Read a table with a header row, in UTF-8, separated by commas, semicolons or tabs.

    The separator is the one that gives most of the `wanted` columns. Returned are all columns, of str;
    empty cells are NaN. Raises UserError for a file that is no table.
    """
    check_is_file(csv_path, "the cohort's table. Name it with --csv_path")
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


def check_columns(table: pd.DataFrame, options: Mapping[str, str], csv_path: Path) -> None:
    """Raise UserError for a column that the table lacks; `options`: column -> the option that names it."""
    for column, option in options.items():
        if column not in table.columns:
            found = first_of(list(map(repr, table.columns)), 20)
            raise UserError(f"{csv_path}: no column {column!r}; found {found}. Name it with {option}.")


def _find_separator(text: str, wanted: Collection[str]) -> str:
    """Return the separator that gives most wanted columns; of equal ones, that with most columns."""

    def columns_found(separator: str) -> tuple[int, int]:
        rows = csv.reader(io.StringIO(text), delimiter=separator)  # respects quotes
        header = next((row for row in rows if row), [])
        return len(set(wanted).intersection(header)), len(header)

    return max(_SEPARATORS, key=columns_found)
