"""Finished maps follow their scans to other places; a scan is known by its file's content."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cache
from pathlib import Path

from mri_saliency.errors import UserError
from mri_saliency.inputs.file_identity import FileIdentity
from mri_saliency.inputs.labels import DEFAULT_LABELS
from mri_saliency.inputs.scan_table import TableColumns, read_scan_table
from mri_saliency.options import Options
from mri_saliency.output.folder import OutputFolder
from mri_saliency.output.record import MapRecord


def follow_scans(records: Sequence[MapRecord], paths: Iterable[Path]) -> list[MapRecord]:
    """Return the records with their scans at these paths; that of a scan that is not there stays as it is."""
    places = {str(path): path for path in paths}
    owners = {record.source.path: record for record in records if record.source.path in places}
    sizes = {record.source.bytes for record in records if record.source.path not in places}
    found: dict[str, list[FileIdentity]] = {}  # by content
    for place, path in places.items():
        with suppress(OSError):
            status = path.stat()
            if status.st_size in sizes:
                as_now = (status.st_size, status.st_mtime_ns)
                source = owners[place].source if place in owners else _identity(path, *as_now)
                found.setdefault(source.sha256, []).append(source)

    def followed(record: MapRecord) -> MapRecord:
        was = record.source
        candidates = [
            source
            for source in found.get(was.sha256, ())
            if source.path not in owners or owners[source.path].subject_id == record.subject_id
        ]
        if was.path in places or not candidates:
            return record
        name = os.path.basename(was.path)  # tells equal files apart
        return replace(record, source=max(candidates, key=lambda now: os.path.basename(now.path) == name))

    return [followed(record) for record in records]


def table_paths(options: Options) -> list[Path]:
    """Return where the scans of ``--csv_path`` are; nothing if it cannot be read."""
    columns = TableColumns(options.path_column, options.diagnosis_column, options.subject_column)
    try:
        table = read_scan_table(options.csv_path, columns, DEFAULT_LABELS | dict(options.labels))
    except UserError:
        return []
    return [scan.path for scan in table.scans]


def find_scans(folder: OutputFolder, records: Sequence[MapRecord], paths: Sequence[Path]) -> list[MapRecord]:
    """Return a folder's records with their scans at these paths; else where both moved together."""
    records, run = follow_scans(records, paths), folder.last_run() or {}
    sources = dict.fromkeys(record.source.path for record in records)
    near = (path if os.path.exists(path) else moved_together(folder, run, path) for path in sources)
    return follow_scans(records, map(Path, near))


def moved_together(folder: OutputFolder, run: Mapping, path: Path | str) -> Path:
    """Return where a file is that a run of the folder read, if both have moved together since."""
    root = Path(run.get("working_directory", ""), run.get("options", {}).get("output_dir", ""))
    return Path(os.path.normpath(folder.root.absolute() / os.path.relpath(path, root)))


@cache
def _identity(path: Path, *_: int) -> FileIdentity:
    return FileIdentity.of(path)
