"""The output folder: names, and writes that happen whole or not at all."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import os
import shutil
import struct
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO
from urllib.parse import quote

import numpy as np
from PIL import Image  # matplotlib depends on it

from mri_saliency.errors import OutputError

if TYPE_CHECKING:
    import nibabel as nib
    import pandas as pd
    from matplotlib.figure import Figure

_SIDECAR_KEYS = {
    *("method", "subject_id", "source", "grid", "brain_voxels", "fingerprint"),
    *("statistics", "slice_profile", "key_slices", "files"),
}
_PART = ".part"  # ends the name of a file that is being written
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")  # a spreadsheet would run such a cell


class OutputFolder:
    """Names of everything a run writes, and what of it is done.

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
        self.mean_scan = root / "mean_scan.npy"
        self.agreement = root / "method_agreement.csv"
        self.regions = root / "region_statistics.csv"
        self.region_figure = root / "region_statistics.png"
        self.checks = root / "map_checks.csv"
        self.check_figure = root / "map_checks.png"
        self.report = root / "report.html"
        self.dataset_description = root / "dataset_description.json"

    def create(self) -> None:
        """Make the folder.

        Raises
        ------
        OutputError
            It cannot be made or written to.
        """
        try:
            self.root.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise _cannot_write(self.root, error) from error
        if not os.access(self.root, os.W_OK | os.X_OK):
            raise OutputError(f"{self.root}: no permission to write there. Choose another --output_dir.")

    def clear_parts(self) -> None:
        """Remove what an ended run left half written beside the tables."""
        try:
            _remove_parts(self.root)
        except OSError as error:
            raise _cannot_write(self.root, error) from error

    def free_bytes(self) -> int:
        """Return the space left on the folder's disk."""
        return shutil.disk_usage(self.root).free

    def array(self, method: str, subject_id: str) -> Path:
        """Return the path of a map's array."""
        return self._of_map(method, subject_id, "attributions.npy")

    def nifti(self, method: str, subject_id: str) -> Path:
        """Return the path of a map in the scan's grid."""
        return self._of_map(method, subject_id, "attributions.nii.gz")

    def sidecar(self, method: str, subject_id: str) -> Path:
        """Return the path of the JSON file that says how a map was made; written last."""
        return self._of_map(method, subject_id, "attributions.json")

    def summary_figure(self, method: str, subject_id: str) -> Path:
        """Return the path of a map's summary."""
        return self._of_map(method, subject_id, "summary.png")

    def slice_figure(self, method: str, subject_id: str, index: int) -> Path:
        """Return the path of one slice's figure."""
        return self._of_map(method, subject_id, f"slice_{index}.png")

    def group_map(self, method: str, name: str) -> Path:
        """Return the path of a file about a method's maps of a group."""
        return self.root / "group_maps" / method / f"{method}_{name}"

    def open_groups(self, method: str) -> None:
        """Make the folder of a method's group maps, empty."""
        folder = self.group_map(method, "").parent
        try:
            for parent in (folder.parent, folder):
                parent.mkdir(exist_ok=True)
            for path in folder.iterdir():
                path.unlink()
        except OSError as error:
            raise _cannot_write(folder, error) from error

    def _of_map(self, method: str, subject_id: str, ending: str) -> Path:
        return self.root / method / subject_id / f"{subject_id}_{method}_{ending}"

    def open_map(self, method: str, subject_id: str, *, afresh: bool) -> None:
        """Make a map's folder, free of what an ended run left half written.

        With `afresh`, files of an earlier map go too, its sidecar first.
        """
        sidecar = self.sidecar(method, subject_id)
        try:
            for folder in (sidecar.parent.parent, sidecar.parent):
                folder.mkdir(exist_ok=True)  # not the root: a run whose folder is deleted should end
            if afresh:
                sidecar.unlink(missing_ok=True)
                for path in sidecar.parent.glob(f"{subject_id}_{method}_*"):
                    path.unlink()
            _remove_parts(sidecar.parent)
        except OSError as error:
            raise _cannot_write(sidecar.parent, error) from error

    def write_sidecar(self, method: str, subject_id: str, record: dict, files: Iterable[Path]) -> None:
        """Write a map's sidecar: `record`, and the names and sizes of its `files`."""
        sizes = {path.name: path.stat().st_size for path in files}
        write_json(self.sidecar(method, subject_id), record | {"files": sizes}, durably=True)

    def read_sidecar(self, method: str, subject_id: str) -> dict | None:
        """Return what a map's sidecar says; None if the map is not there whole."""
        record = read_json(self.sidecar(method, subject_id)) or {}
        if not _SIDECAR_KEYS <= record.keys() or record["method"] != method:
            return None
        folder = self.sidecar(method, subject_id).parent
        try:
            found = {entry.name: entry.stat().st_size for entry in os.scandir(folder)}
        except OSError:
            return None
        whole = all(found.get(name) == size for name, size in record["files"].items())
        return record if whole and self.array(method, subject_id).name in record["files"] else None

    def sidecars(self) -> Iterator[dict]:
        """Yield what the sidecars of all whole maps in the folder say."""
        for path in sorted(self.root.glob("*/*/*_attributions.json")):
            method, subject_id = path.parts[-3:-1]
            if path == self.sidecar(method, subject_id) and (record := self.read_sidecar(method, subject_id)):
                yield record

    def records(self, checkpoint_hash: str) -> list[dict]:
        """Return what the sidecars of all whole maps of one checkpoint say."""
        return [r for r in self.sidecars() if r["fingerprint"].get("checkpoint") == checkpoint_hash]

    def last_run(self) -> dict | None:
        """Return what the last run into this folder wrote to run.json."""
        return read_json(self.run_record)


def sha256_of_file(path: Path) -> str:
    """Hash a file as ``sha256sum`` does; returns 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256_of_array(array: np.ndarray) -> str:
    """Hash an array's values, in their memory order; returns 64 hexadecimal digits."""
    return hashlib.sha256(array).hexdigest()


def source_of(path: Path) -> dict:
    """Identify a scan's file: by its content, and by what is quick to compare."""
    status = path.stat()
    return {
        "path": str(path),
        "bytes": status.st_size,
        "modified_ns": status.st_mtime_ns,
        "sha256": sha256_of_file(path),
    }


def is_same_file(source: dict, path: Path) -> bool:
    """Tell whether a scan's file is the one of `source_of`; one out of reach counts as the same."""
    try:
        status = path.stat()
        quick = {"path": str(path), "bytes": status.st_size, "modified_ns": status.st_mtime_ns}
        return quick.items() <= source.items() or sha256_of_file(path) == source["sha256"]
    except OSError:
        return True


def _remove_parts(folder: Path) -> None:
    for path in folder.glob(f".*{_PART}"):
        path.unlink()


def write_array(path: Path, array: np.ndarray) -> None:
    """Write a NumPy file."""
    with _whole_file(path, durably=True) as file:
        np.save(file, array, allow_pickle=False)


def read_array(path: Path, shape: tuple[int, ...]) -> np.ndarray | None:
    """Read a NumPy file; None where there is none of that shape, or a damaged one."""
    try:
        array = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    return array if array.shape == shape else None


def write_nifti(path: Path, image: nib.Nifti1Image, *, durably: bool = False) -> None:
    """Write a gzipped NIfTI file, stored rather than compressed.

    The digits of a float32 map do not compress: deflating one takes longer than drawing its
    figures, and spares little more than the zeros of the slices that the network did not see.
    """
    with (
        _whole_file(path, durably) as file,
        gzip.GzipFile("", "wb", compresslevel=0, fileobj=file, mtime=0) as gzipped,
    ):
        image.to_stream(gzipped)


def write_picture(path: Path, picture: np.ndarray) -> None:
    """Write uint8 (height, width, 4), RGBA without transparency, as an RGB PNG.

    Each row is stored as its difference from the row above, which is what suits these pictures;
    encoders in general try every filter on every row, at twice the time.
    """
    height, width, _ = picture.shape
    rows = np.asarray(Image.fromarray(picture).convert("RGB")).reshape(height, -1)
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

    write_text(path, table.map(neutralised).to_csv(index=False))


def write_text(path: Path, text: str) -> None:
    """Write a text file in UTF-8."""
    with _whole_file(path) as file:
        file.write(text.encode("utf-8", "backslashreplace"))


def read_table(path: Path) -> pd.DataFrame | None:
    """Read a CSV file that `write_table` wrote; None where there is none, or a damaged one."""
    import pandas as pd

    try:
        # numbers are told by their looks, but names are names
        names = dict.fromkeys(("subject_id", "fingerprint", "step"), str)
        return pd.read_csv(path, keep_default_na=False, na_values=[""], dtype=names)
    except (OSError, ValueError):
        return None


def relative_url(path: Path, folder: Path) -> str:
    """Return the URL of a file as a page in `folder` names it."""
    return quote(path.relative_to(folder).as_posix())


def data_url(path: Path) -> str:
    """Return a PNG file as a URL that holds it."""
    return "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode()


def write_json(path: Path, content: dict, *, durably: bool = False) -> None:
    """Write a JSON file."""
    with _whole_file(path, durably) as file:
        file.write(json.dumps(content, indent=2, ensure_ascii=False).encode() + b"\n")


def read_json(path: Path) -> dict | None:
    """Read a JSON object; None where there is none, or a damaged one."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None


@contextmanager
def _whole_file(path: Path, durably: bool = False) -> Iterator[BinaryIO]:
    """Open a file that appears under its name only once it is complete.

    Parameters
    ----------
    durably : bool
        Wait until it is on the disk, for what a later run trusts though the power failed.

    Raises
    ------
    OutputError
        The disk is full, or the folder is gone or cannot be written to.
    """
    part = path.with_name(f".{path.name[-150:]}.{os.getpid()}{_PART}")
    try:
        try:
            with part.open("wb") as file:
                yield file
                if durably:
                    file.flush()
                    os.fsync(file.fileno())
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise _cannot_write(path, error) from error


def _cannot_write(path: Path, error: OSError) -> OutputError:
    return OutputError(
        f"{path}: cannot be written ({error.strerror or error}). "
        "Free space or choose another --output_dir; what was written before is intact."
    )
