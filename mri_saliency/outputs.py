"""The output folder: names, and writes that happen whole or not at all."""

from __future__ import annotations

import gzip
import json
import os
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from mri_saliency.errors import UserError

if TYPE_CHECKING:
    import nibabel as nib
    import pandas as pd
    from matplotlib.figure import Figure

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")  # a spreadsheet would run such a cell


class OutputFolder:
    """Names of everything a run writes.

    Parameters
    ----------
    root : Path
        The run's ``--output_dir``.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.statistics = root / "attribution_statistics.csv"
        self.summary = root / "attribution_summary.png"
        self.failures = root / "failures.csv"
        self.run_record = root / "run.json"
        self.hc_mean = root / "baseline_hc_mean.npy"

    def create(self) -> None:
        """Make the folder.

        Raises
        ------
        UserError
            It cannot be made or written to.
        """
        try:
            self.root.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise _cannot_write(self.root, error) from error
        if not os.access(self.root, os.W_OK | os.X_OK):
            raise UserError(f"{self.root}: no permission to write there. Choose another --output_dir.")

    def array(self, method: str, subject_id: str) -> Path:
        """Return the path of a map's array."""
        return self._of_map(method, subject_id, "attributions.npy")

    def nifti(self, method: str, subject_id: str) -> Path:
        """Return the path of a map in the scan's grid."""
        return self._of_map(method, subject_id, "attributions.nii.gz")

    def summary_figure(self, method: str, subject_id: str) -> Path:
        """Return the path of a map's summary."""
        return self._of_map(method, subject_id, "summary.png")

    def slice_figure(self, method: str, subject_id: str, index: int) -> Path:
        """Return the path of one slice's figure."""
        return self._of_map(method, subject_id, f"slice_{index}.png")

    def _of_map(self, method: str, subject_id: str, ending: str) -> Path:
        return self.root / method / subject_id / f"{subject_id}_{method}_{ending}"


def write_array(path: Path, array: np.ndarray) -> None:
    """Write a NumPy file."""
    with _whole_file(path) as file:
        np.save(file, array, allow_pickle=False)


def write_nifti(path: Path, image: nib.Nifti1Image) -> None:
    """Write a gzipped NIfTI file, stored rather than compressed.

    The digits of a float32 map do not compress: deflating one takes longer than drawing its
    figures, and spares little more than the zeros of the slices that the network did not see.
    """
    with _whole_file(path) as file:
        file.write(gzip.compress(image.to_bytes(), compresslevel=0, mtime=0))


def write_picture(path: Path, picture: np.ndarray) -> None:
    """Write uint8 (height, width, 4), RGBA without transparency, as an RGB PNG.

    Each row is stored as its difference from the row above, which is what suits these pictures;
    encoders in general try every filter on every row, at twice the time.
    """
    height, width, _ = picture.shape
    rows = np.ascontiguousarray(picture[..., :3]).reshape(height, -1)
    filtered = np.full((height, 1 + rows.shape[1]), 2, np.uint8)  # 2: "up", the row above
    filtered[0, 1:] = rows[0]
    np.subtract(rows[1:], rows[:-1], out=filtered[1:, 1:])
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)  # 8 bits a channel, RGB
    with _whole_file(path) as file:
        file.write(b"\x89PNG\r\n\x1a\n")
        for kind, content in (
            (b"IHDR", header),
            (b"IDAT", zlib.compress(filtered, level=2)),
            (b"IEND", b""),
        ):
            checksum = zlib.crc32(content, zlib.crc32(kind))
            file.write(struct.pack(">I4s", len(content), kind) + content + struct.pack(">I", checksum))


def write_figure(path: Path, figure: Figure) -> None:
    """Write a matplotlib figure as PNG."""
    with _whole_file(path) as file:
        figure.savefig(file, format="png")


def write_table(path: Path, table: pd.DataFrame) -> None:
    """Write a CSV file; text that a spreadsheet would run as a formula gets a leading quote."""

    def neutralised(cell: object) -> object:
        if isinstance(cell, str) and cell.startswith(_FORMULA_STARTS):
            return f"'{cell}"
        return cell

    text = table.map(neutralised).to_csv(index=False)
    with _whole_file(path) as file:
        file.write(text.encode("utf-8", "backslashreplace"))


def write_json(path: Path, content: dict) -> None:
    """Write a JSON file."""
    with _whole_file(path) as file:
        file.write(json.dumps(content, indent=2, ensure_ascii=False).encode() + b"\n")


@contextmanager
def _whole_file(path: Path) -> Iterator[BinaryIO]:
    """Open a file that appears under its name only once it is complete.

    Raises
    ------
    UserError
        The disk is full, or the folder cannot be written to.
    """
    part = path.with_name(f".{path.name[-150:]}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with part.open("wb") as file:
                yield file
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise _cannot_write(path, error) from error


def _cannot_write(path: Path, error: OSError) -> UserError:
    return UserError(
        f"{path}: cannot be written ({error.strerror or error}). "
        "Free space or choose another --output_dir; what was written before is intact."
    )
