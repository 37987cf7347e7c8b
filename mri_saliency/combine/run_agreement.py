"""Maps of the same scans from several runs -> how far the runs agree, and whether more than chance."""

import math
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import combinations
from operator import attrgetter

import numpy as np
import pandas as pd

from mri_saliency.cohort.method_agreement import with_partners
from mri_saliency.cohort.source_scan import read_null_map, read_source
from mri_saliency.combine.combination import Combination, Member
from mri_saliency.combine.repeatability import OF_NULL, SIGNS, region_agreement
from mri_saliency.errors import UserError, warn
from mri_saliency.inputs.atlas import Atlas
from mri_saliency.inputs.grid import Grid
from mri_saliency.inputs.preprocessing import unpad
from mri_saliency.maps.comparison import AGREEMENT, CHANCE, agreement
from mri_saliency.methods import METHODS
from mri_saliency.output.files import write_or_remove_table
from mri_saliency.output.folder import OutputFolder
from mri_saliency.regions.densities import BrainMass, PlacedRegions
from mri_saliency.runtime.workers import Workers


@dataclass(frozen=True)
class _ScanMaps:
    """A scan's maps by one method, by run; the scan is named as its mean is."""

    subject_id: str
    method: str
    members: dict[str, Member]
    partners: dict[str, Member]  # maps of another subject's scan, with which chance is measured


def compare_runs(
    folder: OutputFolder, combination: Combination, atlas: Atlas | None, workers: Workers
) -> None:
    """Write the agreement of every two runs' maps of the same scans.

    Writes run_agreement.csv, and with an atlas run_regions.csv and run_region_agreement.csv: the regions'
    densities in each run, and their intraclass correlation. Tables without rows are removed.
    """
    found = workers.map_parts(partial(_compare_scans, atlas), _scans(combination))
    regions = pd.DataFrame([row for _, of_regions in found for row in of_regions])
    write_or_remove_table(folder.run_agreement, pd.DataFrame([row for rows, _ in found for row in rows]))
    write_or_remove_table(folder.run_regions, regions)
    write_or_remove_table(folder.run_region_agreement, region_agreement(regions))
    n_gone = sum(not rows for rows, _ in found)
    if n_gone:
        warn(
            f"{n_gone} maps or their scans cannot be read any more: agreement of their runs is not measured."
        )


def _scans(combination: Combination) -> list[list[_ScanMaps]]:
    """Return the maps of every scan that two runs or more explained, by their methods."""
    by_run: dict[tuple[str, str], list[Member]] = {}  # run and method -> its maps, in the scans' order
    for (_, method), members in combination.members.items():
        for member in members:
            by_run.setdefault((member.run, method), []).append(member)
    partners: dict[tuple[str, str, str], list[Member]] = {}  # of a run, a method and a scan
    for key, maps in by_run.items():
        for member, *partner in with_partners(maps, attrgetter("record")):
            partners[*key, member.record.subject_id] = partner
    scans: dict[str, list[_ScanMaps]] = {}
    for (subject_id, method), members in combination.members.items():
        if len(members) > 1:
            of_runs = {member.run: member for member in members}
            others = {
                run: partner
                for run, member in of_runs.items()
                for partner in partners[run, method, member.record.subject_id]
            }
            scans.setdefault(subject_id, []).append(_ScanMaps(subject_id, method, of_runs, others))
    return list(scans.values())


def _compare_scans(
    atlas: Atlas | None, scans: Sequence[list[_ScanMaps]]
) -> list[tuple[list[dict], list[dict]]]:
    """Return the rows of run_agreement.csv and of run_regions.csv, method by method; runs in a worker.

    Of a map that cannot be read any more there are none; without its scan, none for run_agreement.csv.
    """
    placed: dict[Grid, PlacedRegions] = {}  # of the last scan
    found = []
    for maps in (maps for scan in scans for maps in scan):
        record, regions, rows = next(iter(maps.members.values())).record, [], []
        if atlas is not None and record.grid.affine is not None:
            if record.grid not in placed:
                placed = {record.grid: PlacedRegions(atlas, atlas.on_network_grid(record.grid))}
        with suppress(UserError):  # a map is damaged
            if atlas is not None and record.grid.affine is not None:
                regions = _region_densities(maps, placed[record.grid])
            if scan := read_source(record):
                rows = _agreement_rows(maps, scan.brain)
        found.append((rows, regions))
    return found


def _agreement_rows(maps: _ScanMaps, brain: np.ndarray) -> list[dict]:
    values = {run: unpad(member.load()) for run, member in maps.members.items()}
    is_signed = METHODS[maps.method].signed
    beside: dict[str, dict[str, float]] = {run: {} for run in values}  # what less alike maps reach
    for run, member in maps.members.items():
        partner = maps.partners.get(run)
        if partner and (other := read_source(partner.record)):
            found = _compare(values[run], unpad(partner.load()), brain & other.brain, is_signed=is_signed)
            beside[run] |= {f"{measure}{CHANCE}": value for measure, value in found.items()}
        null = read_null_map(member.folder, member.record)
        if null is not None:
            found = _compare(values[run], null, brain, is_signed=False)
            beside[run][AGREEMENT + OF_NULL] = found[AGREEMENT]
    columns = (AGREEMENT + CHANCE, SIGNS + CHANCE, AGREEMENT + OF_NULL)
    return [
        {"subject_id": maps.subject_id, "method": maps.method, "run_a": a, "run_b": b}
        | _compare(values[a], values[b], brain, is_signed=is_signed)
        | {key: sum(beside[run].get(key, math.nan) for run in (a, b)) / 2 for key in columns}
        for a, b in combinations(values, 2)
    ]


def _compare(a: np.ndarray, b: np.ndarray, brain: np.ndarray, *, is_signed: bool) -> dict[str, float]:
    """Return the `agreement` of two maps, and that in sign; NaN for maps without signs."""
    [value] = agreement({"a": a}, {"b": b}, [("a", "b")], brain)
    return {AGREEMENT: value, SIGNS: sign_agreement(a, b, brain) if is_signed else math.nan}


def sign_agreement(a: np.ndarray, b: np.ndarray, brain: np.ndarray) -> float:
    """Return the share of the brain's voxels where two maps have the same sign; NaN without a brain."""
    return float((np.sign(a[brain]) == np.sign(b[brain])).mean()) if brain.any() else math.nan


def _region_densities(maps: _ScanMaps, regions: PlacedRegions) -> list[dict]:
    rows = []
    for run, member in maps.members.items():
        about = {"subject_id": maps.subject_id, "method": maps.method, "run": run}
        about["diagnosis"] = member.record.statistics.diagnosis
        found = regions.divide(unpad(member.load()), BrainMass.of(member.record))
        of_regions = list(zip(regions.names, found["density"], strict=True))[:-1]  # less the air
        rows += [about | {"region": name, "density": density} for name, density in of_regions]
    return rows
