"""Writes that happen whole or not at all, and reads that tolerate a damaged file."""

import base64
import gzip
import json
import os
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO
from urllib.parse import quote

import numpy as np
from PIL import Image  # matplotlib depends on it

from mri_saliency.errors import OutputError, UserError
from mri_saliency.output.dictionary import NEEDED_COLUMNS, TABLES, TEXT_COLUMNS

if TYPE_CHECKING:
    import nibabel as nib
    import pandas as pd
    from matplotlib.figure import Figure

# Of an output folder, beside those of the methods; made when a first file is written there.
SUBFOLDERS = TABLES_FOLDER, FIGURES, GROUP_MAPS = "tables", "figures", "group_maps"
_PART = ".mri-saliency.part"  # ends the name of a file that is being written
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")  # a spreadsheet would run such a cell


@contextmanager
def output_errors(path: Path) -> Iterator[None]:
    """Raise OutputError, which names `path`, for an OSError: the disk is full, or the folder is gone."""
    try:
        yield
    except OSError as error:
        raise OutputError(
            f"{path}: cannot be written ({error.strerror or error}). "
            "Free space or choose another --output_dir; what was written before is intact."
        ) from error


@contextmanager
def whole_file(path: Path, durably: bool = False) -> Iterator[BinaryIO]:
    """Open a file that appears under its name only once it is complete; raises as `output_errors`.

    `durably` waits until it is on the disk, for files that a later run trusts even after a power failure.
    """
    part = path.with_name(f".{path.name[-150:]}.{os.getpid()}{_PART}")
    with output_errors(path):
        try:
            if path.parent.name in SUBFOLDERS:
                make_folder(path.parent)
            with part.open("wb") as file:
                yield file
                if durably:
                    file.flush()
                    os.fsync(file.fileno())
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)


def make_folder(path: Path) -> None:
    """Make a folder in one that exists: a run whose folder is deleted should end."""
    if path.is_symlink():
        raise OutputError(f"{path}: is a link, through which nothing is written. Remove it.")
    path.mkdir(exist_ok=True)


def remove_parts(folder: Path) -> None:
    """Remove the half-written files that an ended run left in a folder; raises as `output_errors`."""
    with output_errors(folder):
        for path in folder.glob(f".*{_PART}"):
            path.unlink()


def write_array(path: Path, array: np.ndarray) -> None:
    """Write a NumPy file, durably."""
    with whole_file(path, durably=True) as file:
        np.save(file, array, allow_pickle=False)


def read_array(path: Path, shape: tuple[int, ...]) -> np.ndarray | None:
    """Read a NumPy file of numbers; None if it is missing, damaged, of another shape, or not finite."""
    try:
        array = open_array(path)
    except UserError:
        return None
    return np.array(array) if array.shape == shape else None


def open_array(path: Path) -> np.ndarray:
    """Open a NumPy file of numbers, memory-mapped; raises UserError if it is damaged or not finite."""
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise UserError(f"{path}: cannot be read ({error}).") from None
    if array.dtype.kind != "f" or not _is_finite(array):
        raise UserError(
            f"{path}: has values that are NaN, infinite or no numbers. Remove it and start again."
        )
    return array


def _is_finite(array: np.ndarray) -> bool:
    with np.errstate(all="ignore"):  # a finite sum has finite parts, and is found in half of the time
        return bool(np.isfinite(array.sum()) or np.isfinite(array).all())


def write_nifti(path: Path, image: "nib.Nifti1Image", *, durably: bool = False, level: int = 0) -> None:
    """Write a gzipped NIfTI file, by default stored rather than compressed.

    The digits of a float32 map do not compress: deflating one takes longer than drawing its
    figures, and saves little more than the zeros of the slices that the network did not see.
    """
    with (
        whole_file(path, durably) as file,
        gzip.GzipFile("", "wb", compresslevel=level, fileobj=file, mtime=0) as gzipped,
    ):
        image.to_stream(gzipped)


def write_picture(path: Path, picture: np.ndarray) -> None:
    """Write uint8 (height, width, 4), RGBA, as PNG; as an RGB one if nothing is transparent.

    Rows are stored as they are: in enlarged images they repeat. Pillow tries five filters for each row, which
    takes three times as long, half of a map's processor time, and makes files no smaller.
    """
    is_opaque = picture.view("<u4").min() >> 24 == 255
    mode, kind = ("RGB", 2) if is_opaque else ("RGBA", 6)  # the latter: the PNG standard's number
    pixels = np.frombuffer(Image.fromarray(picture).tobytes("raw", mode), np.uint8)
    height, width, _ = picture.shape
    rows = np.zeros((height, 1 + width * len(mode)), np.uint8)  # each begins with the number of no filter
    rows[:, 1:] = pixels.reshape(height, -1)
    chunks = {
        b"IHDR": struct.pack(">IIBBBBB", width, height, 8, kind, 0, 0, 0),
        b"IDAT": zlib.compress(rows.data, 1),
        b"IEND": b"",
    }
    with whole_file(path) as file:
        file.write(b"\x89PNG\r\n\x1a\n")
        for name, data in chunks.items():
            file.write(struct.pack(">I", len(data)) + name + data)
            file.write(struct.pack(">I", zlib.crc32(data, zlib.crc32(name))))


def picture_size(path: Path) -> tuple[int, int]:
    """Read a picture's width and height in pixels."""
    with Image.open(path) as image:
        return image.size


def write_figure(path: Path, figure: "Figure") -> None:
    """Write a matplotlib figure as PNG."""
    from matplotlib.text import Text

    from mri_saliency.maps.style import font_path, own_style

    with whole_file(path) as file, own_style(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # `font_path` warns of letters that no font has
        for text in figure.findobj(Text):
            text.get_fontproperties().set_file(font_path(text.get_text(), text.get_fontweight() == "bold"))
        figure.savefig(file, format="png")


def write_table(path: Path, table: "pd.DataFrame") -> None:
    """Write a CSV file; text that a spreadsheet would run as a formula gets a leading quote."""

    def neutralised(cell: object) -> object:
        return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA_STARTS) else cell

    texts = table.select_dtypes(exclude="number")
    write_text(path, table.assign(**texts.map(neutralised)).to_csv(index=False))


def write_or_remove_table(path: Path, table: "pd.DataFrame") -> None:
    """Write a CSV file; remove it if the table has no rows."""
    if len(table):
        write_table(path, table)
    else:
        path.unlink(missing_ok=True)


def read_table(path: Path) -> "pd.DataFrame | None":
    """Read a CSV file that `write_table` wrote; None if it is missing.

    Raises UserError if it lacks a column, or a column holds what it cannot.
    """
    import pandas as pd

    texts = dict.fromkeys(TEXT_COLUMNS, str)  # pandas takes a name made of digits for a number
    try:
        table = pd.read_csv(path, keep_default_na=False, na_values=[""], dtype=texts)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise _not_ours(path, str(error)) from None
    for name in TABLES.get(path.stem, {}):
        if name not in table and name in NEEDED_COLUMNS:
            raise _not_ours(path, f"no column {name!r}")
        if name in table and name not in TEXT_COLUMNS and table[name].dtype.kind not in "if":
            raise _not_ours(path, f"the column {name!r} has a cell that is no number")
    return table


def _not_ours(path: Path, found: str) -> UserError:
    return UserError(f"{path}: is not as this program wrote it ({found}). Restore or remove it.")


def write_text(path: Path, text: str, *, durably: bool = False) -> None:
    """Write a text file in UTF-8."""
    with whole_file(path, durably) as file:
        file.write(text.encode("utf-8", "backslashreplace"))  # JSON's own escape of a lone surrogate


def read_text(path: Path) -> str | None:
    """Read a text file; None if it is missing or not UTF-8."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return None


def write_json(path: Path, content: dict, *, durably: bool = False) -> None:
    """Write a JSON file; NaN and infinity, which JSON does not have, as null."""
    finite = json.loads(json.dumps(content), parse_constant=lambda _: None)
    write_text(path, json.dumps(finite, indent=2, ensure_ascii=False) + "\n", durably=durably)


def read_json(path: Path) -> dict | None:
    """Read a JSON object; None if it is missing or damaged."""
    try:
        content = json.loads(read_text(path) or "")
    except (ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None


def relative_url(path: Path, folder: Path) -> str:
    """Return a file's URL relative to a page in `folder`."""
    return quote(os.fsencode(path.relative_to(folder).as_posix()))


def data_url(path: Path) -> str:
    """Return a PNG file as a URL that contains it."""
    return "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode()
