"""What is combined of several finished runs: which maps are averaged, and which means are finished."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from mri_saliency.combine.runs import FinishedRun, shared_methods
from mri_saliency.errors import UserError
from mri_saliency.inputs.scan_table import Scan
from mri_saliency.output.folder import OutputFolder
from mri_saliency.output.record import MapRecord, Recipe
from mri_saliency.run.plan import Action, MapFiles, Plan, keep_names, make_plan
from mri_saliency.wording import counted, span


@dataclass(frozen=True)
class Member:
    """A run's map of a scan: the run's name, folder and mark, and the map's record."""

    run: str
    folder: OutputFolder
    mark: str
    record: MapRecord

    def load(self) -> np.ndarray:
        """Open the map, memory-mapped: float32 (n_slices, 128, 128)."""
        path = self.folder.array(self.record.method, self.record.subject_id)
        return np.load(path, mmap_mode="r", allow_pickle=False)


@dataclass(frozen=True, eq=False)
class Combination:
    """What is combined.

    Attributes
    ----------
    runs : sequence of FinishedRun
    scans : list of Scan
        Those of all runs, by the content of their files; the first run's come first.
    members : dict
        (subject_id, method) -> the maps that are averaged, in the order of the runs.
    plan : Plan
    """

    runs: Sequence[FinishedRun]
    scans: list[Scan]
    members: dict[tuple[str, str], list[Member]]
    plan: Plan

    @property
    def checkpoint(self) -> str:
        """What takes the place of the network's SHA-256 in the folder: 64 digits, of all networks."""
        return _identity(self.runs)


def plan_combination(runs: Sequence[FinishedRun], files: MapFiles, *, overwrite: bool) -> Combination:
    """Find which maps are averaged, and which means are finished already.

    Scans are matched by the content of their files; they keep the name that they have in the first run.

    Raises
    ------
    UserError
        No method is shared; a scan has different diagnoses; or the folder holds maps made in another way, and
        `overwrite` is False.
    """
    recipes = {method: _mean_recipe(method, runs) for method in shared_methods(runs)}
    by_content: dict[str, dict[str, list[Member]]] = {}  # SHA-256 -> method -> maps
    for run in runs:
        for (sha256, method), record in run.maps.items():
            if method in recipes:
                member = Member(run.name, run.folder, _mark(run, record.recipe), record)
                by_content.setdefault(sha256, {}).setdefault(method, []).append(member)
    scans = [_scan(index, maps) for index, maps in enumerate(by_content.values())]
    scans = keep_names(scans, list(files.folder.all_records()))
    members, actions, kept = {}, {}, []
    for method, recipe in recipes.items():
        maps = {
            scan.subject_id: of_scan[method]
            for scan, of_scan in zip(scans, by_content.values(), strict=True)
            if method in of_scan
        }
        having = [scan for scan in scans if scan.subject_id in maps]
        actions |= make_plan(having, {method: recipe}, files, overwrite=overwrite).actions
        for subject_id, of_scan in maps.items():
            key = (subject_id, method)
            members[key] = of_scan
            record = files.folder.read_record(method, subject_id)
            if record is not None and not _is_of(of_scan, record, files):
                actions[key] = Action.MAKE
            kept += [record] if actions[key] == Action.KEEP else []
    return Combination(runs, scans, members, Plan(actions, recipes, files, tuple(kept)))


def combination_sentences(runs: Sequence[Mapping], n_members: Sequence[int | None]) -> list[str]:
    """Return how maps were averaged, in sentences for a paper.

    Parameters
    ----------
    runs : sequence of mapping
        run.json's ``combined``.
    n_members : sequence of int or None
        Of each mean, the number of its maps.
    """
    networks = {(run.get("checkpoint") or {}).get("sha256") for run in runs}
    text = f"The maps of {len(runs)} runs"
    if None not in networks:
        text += f", of {counted(len(networks), 'trained network')},"
    known = [n for n in n_members if n]
    if known and max(known) == 1:
        return [f"{text} were brought together; each is of one network, and was not averaged with others."]
    text += " were averaged scan by scan"
    if known:
        text += f", each mean over {span(known)} of them"
    return [f"{text}; probabilities of the classes were averaged too."]


def _is_of(members: Sequence[Member], record: MapRecord, files: MapFiles) -> bool:
    """Return whether a finished mean is of these maps, which runs may have added to, and has its images."""
    has_images = files.folder.spread(record.method, record.subject_id).name in record.files
    return record.combined == marks(members) and (has_images or len(members) == 1 or not files.nifti)


def _mean_recipe(method: str, runs: Sequence[FinishedRun]) -> Recipe:
    """Return how the means of a method's maps are made: what the runs share, and the runs."""
    having = [run for run in runs if method in run.recipes]
    recipes = [run.recipes[method] for run in having]
    settings = {
        key: value
        for key, value in recipes[0].settings.items()
        if all(other.settings.get(key) == value for other in recipes)
    }
    baselines = [str(recipe.settings["baseline"]) for recipe in recipes if "baseline" in recipe.settings]
    if baselines and "baseline" not in settings:
        names = dict.fromkeys(recipe.baseline_name for recipe in recipes)
        settings["baseline"] = f"{' and '.join(names)} {_digest(baselines)[:12]}"
    settings["combined"] = [_mark(run, run.recipes[method]) for run in having]
    return replace(recipes[0], checkpoint=_identity(runs), settings=settings)


def _scan(index: int, maps: Mapping[str, list[Member]]) -> Scan:
    """Return a scan of the runs, at the first place where its file is."""
    members = [member for of_method in maps.values() for member in of_method]
    first = members[0].record
    diagnoses = list(dict.fromkeys(member.record.statistics.diagnosis for member in members))
    if len(diagnoses) > 1:
        raise UserError(
            f"--combine: {first.source.path} has the diagnoses {' and '.join(diagnoses)} in different runs; "
            "expected one. Correct the runs' tables."
        )
    paths = [Path(member.record.source.path) for member in members]
    path = next((path for path in paths if path.is_file()), paths[0])
    row = first.statistics
    return Scan(first.subject_id, path, row.true_label, row.diagnosis, index, row.subject or "")


def _mark(run: FinishedRun, recipe: Recipe) -> str:
    """Return what distinguishes a run's maps by a method in a recipe: its network and its settings."""
    return f"{run.checkpoint['sha256'][:12]} {recipe.digest()}"


def marks(members: Sequence[Member]) -> tuple[str, ...]:
    """Return the marks of the runs whose maps are averaged, as a mean's record has them."""
    return tuple(member.mark for member in members)


def _identity(runs: Sequence[FinishedRun]) -> str:
    return _digest([run.checkpoint["sha256"] for run in runs])


def _digest(texts: Sequence[str]) -> str:
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()
