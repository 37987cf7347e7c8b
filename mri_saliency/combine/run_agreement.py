"""Maps of the same scans from several runs -> how far the runs agree, and whether more than chance."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations

import numpy as np
import pandas as pd

from mri_saliency.cohort.source_scan import read_brain, read_null_map
from mri_saliency.combine.combination import Combination, Member
from mri_saliency.combine.repeatability import OF_NULL, SIGNS, region_agreement
from mri_saliency.errors import warn
from mri_saliency.inputs.atlas import Atlas
from mri_saliency.inputs.preprocessing import unpad
from mri_saliency.maps.comparison import CHANCE, MEASURES, agreement
from mri_saliency.methods import METHODS
from mri_saliency.output.files import write_or_remove_table
from mri_saliency.output.folder import OutputFolder
from mri_saliency.regions.densities import OUTSIDE, BrainMass, region_rows
from mri_saliency.runtime.workers import Workers

_PARTS_PER_WORKER = 4  # so that the workers end at about the same time


@dataclass(frozen=True)
class _ScanMaps:
    """A scan's maps by one method.

    Attributes
    ----------
    subject_id, method : str
        The mean's.
    members : dict
        Run's name -> its map.
    partners : dict
        Run's name -> its map of another subject's scan, with which chance is measured.
    """

    subject_id: str
    method: str
    members: dict[str, Member]
    partners: dict[str, Member]


def compare_runs(
    folder: OutputFolder, combination: Combination, atlas: Atlas | None, workers: Workers
) -> None:
    """Write the agreement of every two runs' maps of the same scans.

    Writes run_agreement.csv, and with an atlas run_regions.csv and run_region_agreement.csv: the regions'
    densities in each run, and their intraclass correlation. Tables without rows are removed.
    """
    scans = _scans(combination)
    size = max(1, math.ceil(len(scans) / (_PARTS_PER_WORKER * max(1, workers.n))))
    parts = [scans[start : start + size] for start in range(0, len(scans), size)]
    found = [workers.submit(_compare_part, part, atlas) for part in parts]
    rows, regions, n_gone = [], [], 0
    for job in found:
        for of_scan in job.result():
            rows += of_scan.agreement
            regions += of_scan.regions
            n_gone += of_scan.is_gone
    densities = pd.DataFrame(regions)
    write_or_remove_table(folder.run_agreement, pd.DataFrame(rows))
    write_or_remove_table(folder.run_regions, densities)
    write_or_remove_table(folder.run_region_agreement, region_agreement(densities))
    if n_gone:
        warn(f"the scans of {n_gone} maps cannot be read any more: agreement of their runs is not measured.")


def _scans(combination: Combination) -> list[list[_ScanMaps]]:
    """Return the maps of every scan that two runs or more explained, by their methods."""
    by_run: dict[tuple[str, str], list[Member]] = {}  # run and method -> its maps, in the scans' order
    for (_, method), members in combination.members.items():
        for member in members:
            by_run.setdefault((member.run, method), []).append(member)
    partners: dict[tuple[str, str, str], Member | None] = {}
    for maps in by_run.values():
        partners |= zip(map(_key, maps), _partners(maps), strict=True)
    scans: dict[str, list[_ScanMaps]] = {}
    for (subject_id, method), members in combination.members.items():
        if len(members) > 1:
            found = {member.run: partners[_key(member)] for member in members}
            chosen = {run: partner for run, partner in found.items() if partner}
            maps = _ScanMaps(subject_id, method, {member.run: member for member in members}, chosen)
            scans.setdefault(subject_id, []).append(maps)
    return list(scans.values())


def _key(member: Member) -> tuple[str, str, str]:
    return member.run, member.record.method, member.record.subject_id


def _partners(maps: Sequence[Member]) -> list[Member | None]:
    """Return for each map the next one of another subject on its grid; after the last comes the first."""
    partners = []
    for place, member in enumerate(maps):
        following = (*maps[place + 1 :], *maps[:place])
        partners.append(next((other for other in following if _are_comparable(member, other)), None))
    return partners


def _are_comparable(member: Member, other: Member) -> bool:
    a, b = member.record, other.record
    subjects = [record.statistics.subject or record.subject_id for record in (a, b)]
    return subjects[0] != subjects[1] and a.grid == b.grid


@dataclass(frozen=True)
class _Compared:
    """The rows of a scan's maps by one method; none, and `is_gone`, if the scan cannot be read any more."""

    agreement: list[dict]
    regions: list[dict]
    is_gone: bool


def _compare_part(scans: Sequence[list[_ScanMaps]], atlas: Atlas | None) -> list[_Compared]:
    """Compare the maps of some scans; runs in a worker."""
    labels_on = lru_cache(1)(atlas.on_network_grid) if atlas else None
    found = []
    for maps in (maps for scan in scans for maps in scan):
        first = next(iter(maps.members.values())).record
        brain = read_brain(first)
        rows = [] if brain is None else _agreement_rows(maps, brain)
        regions = []
        if atlas is not None and first.grid.affine is not None:
            regions = _region_densities(maps, labels_on(first.grid), atlas)
        found.append(_Compared(rows, regions, brain is None))
    return found


def _agreement_rows(maps: _ScanMaps, brain: np.ndarray) -> list[dict]:
    """Return a row for each pair of runs."""
    values = {run: unpad(member.load()) for run, member in maps.members.items()}
    pairs = list(combinations(values, 2))
    is_signed = METHODS[maps.method].signed
    by_chance, with_null = {}, {}
    for run, member in maps.members.items():
        partner = maps.partners.get(run)
        other_brain = None if partner is None else read_brain(partner.record)
        if other_brain is not None:
            both, other = brain & other_brain, unpad(partner.load())
            by_chance[run] = agreement({run: values[run]}, {run: other}, [(run, run)], both)[0]
            by_chance[run][SIGNS] = sign_agreement(values[run], other, both) if is_signed else math.nan
        null = read_null_map(member.folder, member.record)
        if null is not None:
            with_null[run] = agreement({run: values[run]}, {run: null}, [(run, run)], brain)[0]
    return [
        {
            "subject_id": maps.subject_id,
            "method": maps.method,
            "run_a": a,
            "run_b": b,
            **row,
            SIGNS: sign_agreement(values[a], values[b], brain) if is_signed else math.nan,
            **{f"{measure}{CHANCE}": _mean_of(by_chance, a, b, measure) for measure in (*MEASURES, SIGNS)},
            **{f"{measure}{OF_NULL}": _mean_of(with_null, a, b, measure) for measure in MEASURES},
        }
        for (a, b), row in zip(pairs, agreement(values, values, pairs, brain), strict=True)
    ]


def sign_agreement(a: np.ndarray, b: np.ndarray, brain: np.ndarray) -> float:
    """Return the share of the brain's voxels where two maps have the same sign; NaN without a brain."""
    return float((np.sign(a[brain]) == np.sign(b[brain])).mean()) if brain.any() else math.nan


def _mean_of(found: Mapping[str, Mapping[str, float]], a: str, b: str, measure: str) -> float:
    """Return the mean over two runs; NaN if one has no value."""
    return (found[a][measure] + found[b][measure]) / 2 if a in found and b in found else math.nan


def _region_densities(maps: _ScanMaps, labels: np.ndarray, atlas: Atlas) -> list[dict]:
    """Return a row for each run and region of the brain."""
    return [
        {"subject_id": maps.subject_id, "method": maps.method, "run": run}
        | {key: row[key] for key in ("region", "density")}
        for run, member in maps.members.items()
        for row in region_rows(unpad(member.load()), labels, atlas, BrainMass.of(member.record))
        if row["region"] != OUTSIDE
    ]
