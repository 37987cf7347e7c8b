"""Finished maps -> how far a scan's maps agree with each other and with what knows nothing of the network."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd

from mri_saliency.cohort.common_space import CommonSpace
from mri_saliency.cohort.source_scan import read_brain, read_null_map
from mri_saliency.inputs.grid import Grid
from mri_saliency.maps.comparison import CHANCE, MEASURES, NULL, TOP_SHARE, agreement
from mri_saliency.methods import METHODS
from mri_saliency.output.files import write_or_remove_table
from mri_saliency.output.folder import OutputFolder
from mri_saliency.output.record import MapRecord
from mri_saliency.runtime.workers import Workers
from mri_saliency.wording import listed

_PARTS_PER_WORKER = 4  # so that the workers end at about the same time


def compare_methods(
    folder: OutputFolder, records: list[MapRecord], space: CommonSpace, workers: Workers
) -> tuple[pd.DataFrame, list[str]]:
    """Write and return the agreement of every scan's maps, with each other and with their null maps.

    Returns
    -------
    table : DataFrame
        One row for each scan and pair of methods, or of a method and `NULL`: ``subject_id``, ``method_a``,
        ``method_b``, the `MEASURES` of `mri_saliency.maps.comparison.agreement` in the scan's brain, and
        the same, ``_chance``, of this scan's ``method_a`` and another subject's ``method_b``. Empty, and
        without a file, if there is no pair.
    notes : list of str
        About scans that cannot be read any more.
    """
    scans: dict[str, list[MapRecord]] = {}
    for record in records:
        scans.setdefault(record.subject_id, []).append(record)
    work = [workers.submit(_compare_scans, folder, space, part) for part in _parts(scans.values(), workers.n)]
    found = {subject_id: rows for job in work for subject_id, rows in job.result().items()}
    table = pd.DataFrame([row for subject_id in scans for row in found[subject_id].rows])
    write_or_remove_table(folder.agreement, table)
    return table, _notes(found)


def agreement_sentences(table: pd.DataFrame) -> list[str]:
    """Return how maps were compared with each other, in sentences for a paper; none without rows."""
    if table.empty:
        return []
    with_null = table["method_b"] == NULL
    compared = ["the maps of every two methods"] if (~with_null).any() else []
    null = ""
    if with_null.any():
        compared.append("every map with its null map")
        null = (
            ". A null map is the scan's distance from the baseline, or from zero for a method without one, "
            "and knows nothing of the network"
        )
    return [
        f"Within the brain, {listed(compared)} were compared by Spearman's correlation of magnitudes, over "
        f"every third voxel along each axis, and by the overlap of the {TOP_SHARE:.0%} of voxels with the "
        f"largest magnitudes, with the maps of two different subjects as chance level{null}."
    ]


@dataclass(frozen=True)
class _Compared:
    """The rows of one scan, and whether it could be read again."""

    rows: list[dict]
    is_readable: bool


def _notes(found: Mapping[str, _Compared]) -> list[str]:
    """Return a note on scans whose brain is not known."""
    gone = [subject_id for subject_id, compared in found.items() if not compared.is_readable]
    without = [subject_id for subject_id in gone if not found[subject_id].rows]
    notes = []
    if len(gone) > len(without):
        notes.append(
            f"{len(gone) - len(without)} scans cannot be read any more, or have changed: agreement is "
            "measured inside the brain of the mean scan, and not with their null maps."
        )
    if without:
        notes.append(
            f"{len(without)} scans cannot be read any more: agreement of their maps is not measured."
        )
    return notes


_Pair = tuple[list[MapRecord], list[MapRecord] | None]  # a scan's maps, and those of its partner for chance


def _parts(scans: Collection[list[MapRecord]], n_workers: int) -> list[list[_Pair]]:
    """Divide scans among jobs, with partners; the partner of a scan mostly follows it.

    A partner is the next scan of another subject on the same grid; after the last comes the first.
    """
    by_grid: dict[Grid, list[list[MapRecord]]] = {}
    for scan in scans:
        by_grid.setdefault(scan[0].grid, []).append(scan)
    pairs: list[_Pair] = []
    for members in by_grid.values():
        for place, scan in enumerate(members):
            following = members[place + 1 :] + members[:place]
            others = (other for other in following if _subject(other) != _subject(scan))
            pairs.append((scan, next(others, None)))
    size = max(1, math.ceil(len(pairs) / (_PARTS_PER_WORKER * max(1, n_workers))))
    return [pairs[start : start + size] for start in range(0, len(pairs), size)]


def _subject(scan: list[MapRecord]) -> str:
    return scan[0].statistics.subject or scan[0].subject_id


def _compare_scans(folder: OutputFolder, space: CommonSpace, pairs: list[_Pair]) -> dict[str, _Compared]:
    """Return each scan's rows; runs in a worker."""
    opened: dict[str, _OpenScan] = {}

    def open_once(records: list[MapRecord]) -> _OpenScan:
        subject_id = records[0].subject_id
        if subject_id not in opened:
            opened[subject_id] = _open_scan(folder, space, records)
        return opened[subject_id]

    found = {}
    for records, other_records in pairs:
        scan = open_once(records)
        other = None if other_records is None else open_once(other_records)
        rows = [{"subject_id": records[0].subject_id} | row for row in _compare(scan, other)]
        found[records[0].subject_id] = _Compared(rows, scan.is_readable)
        opened = {} if other is None else {other_records[0].subject_id: other}  # it mostly comes next
    return found


@dataclass(frozen=True, eq=False)
class _OpenScan:
    """A scan's maps.

    Attributes
    ----------
    maps : dict
        Method, or a name of `_null_name` -> (n_slices, 112, 112).
    pairs : list of tuple
        Those to compare: every two methods', and each method's with its null map.
    brain : ndarray or None
        bool; the mean scan's if the scan cannot be read, None if neither is known.
    is_readable : bool
    """

    maps: dict[str, np.ndarray]
    pairs: list[tuple[str, str]]
    brain: np.ndarray | None
    is_readable: bool


def _open_scan(folder: OutputFolder, space: CommonSpace, records: list[MapRecord]) -> _OpenScan:
    maps = {record.method: folder.load_map(record.method, record.subject_id) for record in records}
    pairs = list(combinations(maps, 2))
    for record in records:
        name = _null_name(record)
        if name not in maps and (null := read_null_map(folder, record)) is not None:
            maps[name] = null
        if name in maps:
            pairs.append((record.method, name))
    brain = read_brain(records[0])
    is_readable = brain is not None
    subject_id = records[0].subject_id
    if not is_readable and space.brain is not None and subject_id in space.mirrored:
        brain = space.brain[:, ::-1] if space.mirrored[subject_id] else space.brain
    return _OpenScan(maps, pairs, brain, is_readable)


def _null_name(record: MapRecord) -> str:
    """Return a name that the null maps of methods with the same reference share."""
    return f"{NULL} {record.recipe.settings.get('baseline', 'zero')}"


def _compare(scan: _OpenScan, other: _OpenScan | None) -> Iterator[dict]:
    """Yield a row for each pair of a scan's maps; `other` is the scan that chance is measured with."""
    if scan.brain is None:
        return
    pairs = scan.pairs
    values = agreement(scan.maps, scan.maps, pairs, scan.brain)
    by_chance: dict[tuple[str, str], dict[str, float]] = {}
    if other is not None and other.brain is not None:
        possible = [(a, b) for a, b in pairs if b in other.maps]
        measured = agreement(scan.maps, other.maps, possible, scan.brain & other.brain)
        by_chance = dict(zip(possible, measured, strict=True))
    for (a, b), row in zip(pairs, values, strict=True):
        chance = by_chance.get((a, b), {})
        yield {
            "method_a": a,
            "method_b": b if b in METHODS else NULL,
            **row,
            **{measure + CHANCE: chance.get(measure, np.nan) for measure in MEASURES},
        }
