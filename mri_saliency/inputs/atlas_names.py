"""An atlas's table of labels and region names, in the layouts that atlases come with."""

from pathlib import Path

from mri_saliency.errors import UserError
from mri_saliency.inputs.table_file import SEPARATORS, split_rows

_LABEL_COLUMNS = ("index", "roiid", "label", "id", "value")  # BIDS and nilearn; CAT12; others
_NAME_COLUMNS = ("name", "roiname", "region", "label")


def read_names(path: Path) -> dict[int, str]:
    """Read label -> region name.

    The table is CSV or TSV (comma, semicolon or tab) with a column of labels (``index``, CAT12's ``ROIid``)
    and one of names (``name``, CAT12's ``ROIname``), or two columns without header. Raises UserError for a
    file that cannot be read, lacks a column, or has a row that does not fit.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read as a table of names ({error}).") from error
    separator = max(SEPARATORS, key=text.lstrip().partition("\n")[0].count)
    rows = [[" ".join(cell.split()) for cell in row] for row in split_rows(text, separator, path)]
    if rows and rows[0][0].isdigit():
        label_column, name_column = 0, 1
    else:
        label_column, name_column = _find_columns(rows.pop(0) if rows else [], path)
    try:
        return {int(row[label_column]): row[name_column] for row in rows}
    except (ValueError, IndexError) as error:
        raise UserError(f"{path}: a row has no whole number for its label, or no name ({error}).") from error


def _find_columns(header: list[str], path: Path) -> tuple[int, int]:
    header = [cell.casefold() for cell in header]
    label_column = next((header.index(name) for name in _LABEL_COLUMNS if name in header), None)
    candidates = [header.index(name) for name in _NAME_COLUMNS if name in header]
    name_column = next((column for column in candidates if column != label_column), None)
    if label_column is None or name_column is None:
        raise UserError(
            f"{path}: expected a column of labels (index or ROIid) and one of names (name or "
            f"ROIname); found {', '.join(header) or 'nothing'}."
        )
    return label_column, name_column
