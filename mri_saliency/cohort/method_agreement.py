"""Finished maps -> how far a scan's maps agree with each other and with what knows nothing of the network."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, islice
from typing import NamedTuple, TypeVar

import numpy as np
import pandas as pd

from mri_saliency.cohort.common_space import CommonSpace
from mri_saliency.cohort.source_scan import baseline_identity, read_null_map, read_source
from mri_saliency.inputs.grid import Grid
from mri_saliency.maps.comparison import AGREEMENT, CHANCE, NULL, agreement
from mri_saliency.methods import METHODS
from mri_saliency.output.files import write_or_remove_table
from mri_saliency.output.folder import OutputFolder
from mri_saliency.output.record import MapRecord
from mri_saliency.wording import listed

T = TypeVar("T")


class Compared(NamedTuple):
    """The rows of one scan in method_agreement.csv, and whether it could be read again."""

    rows: list[dict]
    is_readable: bool


def write_agreement(folder: OutputFolder, found: Sequence[Compared]) -> tuple[pd.DataFrame, list[str]]:
    """Write what `compare_scans` found of all scans.

    Returns method_agreement.csv: `agreement` in the scan's brain, and by chance, of this scan's ``method_a``
    and another subject's ``method_b``; empty, and without a file, if there is no pair. And notes about scans
    that cannot be read any more.
    """
    table = pd.DataFrame([row for scan in found for row in scan.rows])
    write_or_remove_table(folder.agreement, table)
    n_gone = sum(not scan.is_readable for scan in found)
    n_without = sum(not scan.is_readable and not scan.rows for scan in found)
    notes = []
    if n_gone > n_without:
        notes.append(
            f"{n_gone - n_without} scans cannot be read any more, or have changed: agreement is "
            "measured inside the brain of the mean scan, and not with their null maps."
        )
    if n_without:
        notes.append(f"{n_without} scans cannot be read any more: agreement of their maps is not measured.")
    return table, notes


def with_partners(scans: Sequence[T], record_of: Callable[[T], MapRecord]) -> list[list[T]]:
    """Return each scan and, if there is one, its partner, with whose maps chance is measured.

    That is the next scan of another subject on the same grid; after the last comes the first. The partner of
    a scan mostly follows it.
    """
    by_grid: dict[Grid, list[T]] = {}
    for scan in scans:
        by_grid.setdefault(record_of(scan).grid, []).append(scan)
    found = []
    for members in by_grid.values():
        for place, scan in enumerate(members):
            subject = record_of(scan).statistics.subject
            following = members[place + 1 :] + members[:place]
            others = (other for other in following if record_of(other).statistics.subject != subject)
            found.append([scan, *islice(others, 1)])
    return found


def agreement_sentences(table: pd.DataFrame) -> list[str]:
    """Return how maps were compared with each other, in sentences for a paper; none without rows."""
    if table.empty:
        return []
    with_null = table["method_b"] == NULL
    compared = ["the maps of every two methods"] if not with_null.all() else []
    compared += ["every map with its null map"] if with_null.any() else []
    null = (
        "A null map is the scan's distance from the baseline, or from zero for a method without one, "
        "and knows nothing of the network."
    )
    return [
        f"Within the brain, {listed(compared)} were compared by Spearman's correlation of magnitudes, over "
        "every third voxel along each axis, with the maps of two different subjects as chance level.",
        *([null] if with_null.any() else []),
    ]


def compare_scans(
    folder: OutputFolder, space: CommonSpace, work: Sequence[list[list[MapRecord]]]
) -> Iterator[Compared]:
    """Compare each scan's maps with each other and with their null maps; `work` is from `with_partners`."""
    opened: dict[str, _OpenScan] = {}
    for scans in work:
        names = [maps[0].subject_id for maps in scans]
        opened = {
            name: opened.get(name) or _open_scan(folder, space, maps)
            for name, maps in zip(names, scans, strict=True)
        }
        rows = [{"subject_id": names[0]} | row for row in _compare(*opened.values())]
        yield Compared(rows, opened[names[0]].is_readable)


@dataclass(frozen=True, eq=False)
class _OpenScan:
    """A scan's maps and null maps, and which to compare: every two methods', each method's with its null map.

    Methods with the same reference share a null map. The brain is that of the mean scan if the scan cannot be
    read, None if neither is known.
    """

    maps: dict[str, np.ndarray]  # each (n_slices, 112, 112)
    pairs: list[tuple[str, str]]
    brain: np.ndarray | None
    is_readable: bool


def _open_scan(folder: OutputFolder, space: CommonSpace, records: list[MapRecord]) -> _OpenScan:
    maps = {record.method: folder.load_map(record.method, record.subject_id) for record in records}
    pairs = list(combinations(maps, 2))
    for record in records:
        name = f"{NULL} {baseline_identity(record)}"
        if name not in maps and (null := read_null_map(folder, record)) is not None:
            maps[name] = null
        if name in maps:
            pairs.append((record.method, name))
    if scan := read_source(records[0]):
        return _OpenScan(maps, pairs, scan.brain, is_readable=True)
    subject_id, brain = records[0].subject_id, None
    if space.brain is not None and subject_id in space.mirrored:
        brain = space.brain[:, ::-1] if space.mirrored[subject_id] else space.brain
    return _OpenScan(maps, pairs, brain, is_readable=False)


def _compare(scan: _OpenScan, partner: _OpenScan | None = None) -> Iterator[dict]:
    """Yield a row for each pair of a scan's maps."""
    if scan.brain is None:
        return
    values = agreement(scan.maps, scan.maps, scan.pairs, scan.brain)
    by_chance: dict[tuple[str, str], float] = {}
    if partner is not None and partner.brain is not None:
        possible = [(a, b) for a, b in scan.pairs if b in partner.maps]
        measured = agreement(scan.maps, partner.maps, possible, scan.brain & partner.brain)
        by_chance = dict(zip(possible, measured, strict=True))
    for (a, b), value in zip(scan.pairs, values, strict=True):
        chance = by_chance.get((a, b), np.nan)
        names = {"method_a": a, "method_b": b if b in METHODS else NULL}
        yield names | {AGREEMENT: value, AGREEMENT + CHANCE: chance}
