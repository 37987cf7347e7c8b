"""What is combined of several finished runs: which maps are averaged, and which means are finished."""

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
from mri_saliency.run.moved_scans import follow_scans
from mri_saliency.run.plan import Action, MapFiles, Plan, keep_names, make_plan
from mri_saliency.wording import counted, span


@dataclass(frozen=True)
class Member:
    """A map of a run that is called `run`."""

    run: str
    folder: OutputFolder
    mark: str  # what distinguishes the run's maps by this method: its network and its settings
    record: MapRecord

    def load(self) -> np.ndarray:
        """Open the map, as `OutputFolder.open_array`."""
        return self.folder.open_array(self.record.method, self.record.subject_id)


@dataclass(frozen=True, eq=False)
class Combination:
    """What is combined."""

    runs: Sequence[FinishedRun]
    scans: list[Scan]  # those of all runs, by the content of their files; the first run's come first
    # (subject_id, method) -> the maps that are averaged, in the order of the runs
    members: dict[tuple[str, str], list[Member]]
    plan: Plan

    @property
    def checkpoint(self) -> str:
        """What takes the place of the network's SHA-256 in the folder: 64 digits, of all networks."""
        return next(iter(self.plan.recipes.values())).checkpoint


def plan_combination(runs: Sequence[FinishedRun], files: MapFiles, *, overwrite: bool) -> Combination:
    """Find which maps are averaged, and which means are finished already.

    Scans are matched by the content of their files; they keep the name that they have in the first run.
    Raises UserError if no method is shared, if a scan has different diagnoses, or if the folder holds maps
    made in another way and `overwrite` is False.
    """
    recipes = {method: _mean_recipe(method, runs) for method in shared_methods(runs)}
    by_content: dict[str, dict[str, list[Member]]] = {}  # SHA-256 -> method -> maps
    for run in runs:
        for (sha256, method), record in run.maps.items():
            if method in recipes:
                member = Member(run.name, run.folder, _mark(run, record.recipe), record)
                by_content.setdefault(sha256, {}).setdefault(method, []).append(member)
    scans = [_scan(index, maps) for index, maps in enumerate(by_content.values())]
    found = list(files.folder.all_records())
    records = follow_scans(found, [scan.path for scan in scans])
    finished = {(record.subject_id, record.method): record for record in records}
    scans = keep_names(scans, records)
    members: dict[tuple[str, str], list[Member]] = {}
    actions: dict[tuple[str, str], Action] = {}
    kept = []
    for method, recipe in recipes.items():
        maps = {
            scan: of_method[method]
            for scan, of_method in zip(scans, by_content.values(), strict=True)
            if method in of_method
        }
        actions |= make_plan(maps, {method: recipe}, files, records, overwrite=overwrite).actions
        for scan, of_scan in maps.items():
            key = (scan.subject_id, method)
            members[key] = of_scan
            mean = finished.get(key)
            if mean is not None and not _is_of(of_scan, mean, files):
                actions[key] = Action.MAKE
            elif mean is not None and actions[key] == Action.KEEP:
                kept.append(mean)
    moved = tuple(now for now, was in zip(records, found, strict=True) if now is not was)
    return Combination(runs, scans, members, Plan(actions, recipes, files, tuple(kept), moved))


def combination_sentences(runs: Sequence[Mapping], n_members: Sequence[int | None]) -> list[str]:
    """Return how maps were averaged, in sentences for a paper.

    `runs` is run.json's ``combined``, `n_members` each map's ``n_networks``.
    """
    n_networks = len({run["checkpoint"]["sha256"] for run in runs})
    text = f"The maps of {len(runs)} runs, of {counted(n_networks, 'trained network')},"
    n_maps = [n or 1 for n in n_members]
    if max(n_maps) == 1:
        return [f"{text} were brought together; each is of one network, and was not averaged with others."]
    return [
        f"{text} were averaged scan by scan, each mean over {span(n_maps)} of them; probabilities of the "
        "classes were averaged too."
    ]


def _is_of(members: Sequence[Member], record: MapRecord, files: MapFiles) -> bool:
    """Return whether a finished mean is of these maps, which runs may have added to, and has its images."""
    has_images = files.folder.spread(record.method, record.subject_id).name in record.files
    return record.combined == marks(members) and (has_images or len(members) == 1 or not files.nifti)


def _mean_recipe(method: str, runs: Sequence[FinishedRun]) -> Recipe:
    """Return how the means of a method's maps are made: what the runs share, and the runs."""
    having = [run for run in runs if method in run.recipes]
    recipes = [run.recipes[method] for run in having]
    settings = shared_settings([recipe.settings for recipe in recipes])
    baselines = [str(recipe.settings["baseline"]) for recipe in recipes if "baseline" in recipe.settings]
    if baselines and "baseline" not in settings:
        names = dict.fromkeys(baseline.rsplit(" ", 1)[0] for baseline in baselines)
        settings["baseline"] = f"{' and '.join(names)} {_digest(baselines)[:12]}"
    settings["combined"] = [_mark(run, recipe) for run, recipe in zip(having, recipes, strict=True)]
    networks = _digest([run.checkpoint["sha256"] for run in runs])
    return replace(recipes[0], checkpoint=networks, settings=settings)


def shared_settings(settings: Sequence[Mapping[str, object]]) -> dict[str, object]:
    """Return the settings that all have, with the same value."""
    first = settings[0]
    return {key: first[key] for key in first if all(other.get(key) == first[key] for other in settings)}


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
    path = next(filter(Path.is_file, paths), paths[0])
    row = first.statistics
    return Scan(first.subject_id, path, row.true_label, row.diagnosis, index, row.subject)


def _mark(run: FinishedRun, recipe: Recipe) -> str:
    """Return the mark of a run's maps by a method, for a recipe and as `Member.mark`."""
    return f"{run.checkpoint['sha256'][:12]} {recipe.digest()}"


def marks(members: Sequence[Member]) -> tuple[str, ...]:
    """Return the marks of the runs whose maps are averaged, as a mean's record has them."""
    return tuple(member.mark for member in members)


def _digest(texts: Sequence[str]) -> str:
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()
