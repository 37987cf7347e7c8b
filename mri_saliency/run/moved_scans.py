"""Finished maps follow their scans to other places; a scan is known by its file's content."""

import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cache
from pathlib import Path

from mri_saliency.errors import UserError
from mri_saliency.inputs.file_identity import FileIdentity
from mri_saliency.inputs.labels import DEFAULT_LABELS
from mri_saliency.inputs.scan_table import ScanTable, TableColumns, read_scan_table
from mri_saliency.options import Options
from mri_saliency.output.folder import OutputFolder
from mri_saliency.output.record import MapRecord

_identity = cache(lambda path: FileIdentity.of(path, ""))  # what it holds is known once its bytes are


def follow_scans(records: Sequence[MapRecord], paths: Iterable[Path]) -> list[MapRecord]:
    """Return the records with their scans at these paths; that of a scan that is not there stays as it is."""
    places = {str(path): path for path in paths}
    there = {record.source.path: record for record in records if record.source.path in places}
    sizes = {record.source.bytes for record in records if record.source.path not in places}
    found: dict[str, list[FileIdentity]] = {}  # by content
    for place, path in places.items():
        with suppress(OSError):
            if path.stat().st_size in sizes:
                source = there[place].source if place in there else _identity(path)
                found.setdefault(source.sha256, []).append(source)

    def followed(record: MapRecord) -> MapRecord:
        name, was = record.subject_id, record.source
        free = [
            source
            for source in found.get(was.sha256, ())
            if source.path not in there or there[source.path].subject_id == name
        ]
        if was.path in places or not free:
            return record
        # of equal files, the one of the same name
        source = max(free, key=lambda now: Path(now.path).name == Path(was.path).name)
        return replace(record, source=replace(source, content_sha256=was.content_sha256))

    return [followed(record) for record in records]


def read_table_of(options: Options) -> ScanTable:
    """Read ``--csv_path``; raises as `read_scan_table`."""
    columns = TableColumns(options.path_column, options.diagnosis_column, options.subject_column)
    return read_scan_table(options.csv_path, columns, DEFAULT_LABELS | dict(options.labels))


def table_paths(options: Options) -> list[Path]:
    """Return where the scans of ``--csv_path`` are; nothing if it cannot be read."""
    with suppress(UserError):
        return [scan.path for scan in read_table_of(options).scans]
    return []


def find_scans(folder: OutputFolder, records: Sequence[MapRecord], paths: Sequence[Path]) -> list[MapRecord]:
    """Return a folder's records with their scans at these paths; else where both moved together."""
    records, run = follow_scans(records, paths), folder.last_run() or {}
    was = Path(run.get("working_directory", ""), run.get("options", {}).get("output_dir", ""))
    places = {record.source.path for record in records}
    near = (
        path
        if os.path.exists(path)
        else os.path.normpath(folder.root.absolute() / os.path.relpath(path, was))
        for path in places
    )
    return follow_scans(records, map(Path, near))
