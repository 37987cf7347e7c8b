"""A file of a table -> its cells as they are written, whatever separates them."""

import codecs
import csv
import io
import re
from collections import Counter
from collections.abc import Collection, Mapping
from pathlib import Path

import pandas as pd

from mri_saliency.errors import UserError
from mri_saliency.inputs.file_identity import check_is_file
from mri_saliency.wording import first_of

SEPARATORS = ",;\t"


def read_table(csv_path: Path, wanted: Collection[str]) -> pd.DataFrame:
    """Read a table with a header row, in UTF-8 or UTF-16, separated by commas, semicolons or tabs.

    The separator is the one that gives most of the `wanted` columns, or that Excel's first line (``sep=;``)
    names. Returned are all columns, of str; empty cells are NaN. Raises UserError for a file that is no table
    or has a wanted column twice, and as `split_rows`.
    """
    check_is_file(csv_path, "the cohort's table. Name it with --csv_path")
    try:
        content = csv_path.read_bytes()
        is_utf16 = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        text = io.StringIO(content.decode("utf-16" if is_utf16 else "utf-8-sig"), newline=None).read()
        named = re.match(r'"?sep=(.)"?\n', text)
        text = text[named.end() - 1 :] if named else text  # keeps the line's end, for the numbers of lines
        rows = split_rows(text, named[1] if named else _find_separator(text, wanted), csv_path)
        if not rows:
            raise ValueError("it is empty")
    except OSError as error:
        raise UserError(f"{csv_path}: cannot read the table ({error.strerror}).") from error
    except ValueError as error:
        raise UserError(
            f"{csv_path}: expected a table in UTF-8 with a header row, separated by commas, "
            f"semicolons or tabs; could not read it ({error})."
        ) from error
    header, *cells = rows
    repeated = [name for name, n in Counter(header).items() if n > 1 and name in wanted]
    if repeated:
        raise UserError(f"{csv_path}: has the column {repeated[0]!r} twice; expected it once. Rename one.")
    table = pd.DataFrame(cells, columns=header, dtype=str)
    return table.mask(table == "")


def check_columns(table: pd.DataFrame, options: Mapping[str, str], csv_path: Path) -> None:
    """Raise UserError for a column that the table lacks; `options`: column -> the option that names it."""
    for column, option in options.items():
        if column not in table.columns:
            found = first_of(list(map(repr, table.columns)), 20)
            raise UserError(f"{csv_path}: no column {column!r}; found {found}. Name it with {option}.")


def split_rows(text: str, separator: str, path: Path) -> list[list[str]]:
    """Return the cells of all rows but empty ones; empty cells beyond the header's do not count.

    Raises UserError, with the line, for a row of more or fewer cells, and for quotes that swallow rows.
    """
    reader = csv.reader(io.StringIO(text), delimiter=separator, strict=True)
    rows: list[list[str]] = []
    n_cells = line = 0
    try:
        for row in reader:
            first, line = line + 1, reader.line_num
            if not "".join(row).strip() and len(row) <= 1:
                continue
            if not rows:
                n_cells = max((i for i, cell in enumerate(row, 1) if cell), default=len(row))
            swallowed = any("\n" in cell and cell.count(separator) >= n_cells - 1 for cell in row)
            if swallowed and n_cells > 1:
                raise csv.Error(f"what opens in line {first} closes in line {line}")
            if len(row) < n_cells or any(row[n_cells:]):
                raise UserError(
                    f"{path}: line {first} has {len(row)} cells, and the header {n_cells}; expected as many. "
                    f"Correct the line, or put cells that contain {separator!r} in quotes."
                )
            rows.append(row[:n_cells])
    except csv.Error as error:
        raise UserError(
            f"{path}: from line {line + 1} on, a quote does not close where its cell ends ({error}). "
            "Remove it, or write it twice within a quoted cell."
        ) from error
    return rows


def _find_separator(text: str, wanted: Collection[str]) -> str:
    """Return the separator that gives most wanted columns; of equal ones, that with most columns."""

    def columns_found(separator: str) -> tuple[int, int]:
        rows = csv.reader(io.StringIO(text), delimiter=separator)  # respects quotes
        header = next((row for row in rows if row), [])
        return len(set(wanted).intersection(header)), len(header)

    return max(SEPARATORS, key=columns_found)
