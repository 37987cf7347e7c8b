"""Finished runs that are combined: what each holds, and whether their maps fit each other."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

from mri_saliency.cohort.comparable import comparable, damage_limitations
from mri_saliency.errors import UserError, warn
from mri_saliency.methods import METHODS
from mri_saliency.output.folder import OutputFolder
from mri_saliency.output.lock import check_unlocked
from mri_saliency.output.record import MapRecord, Recipe
from mri_saliency.run.moved_scans import find_scans


@dataclass(frozen=True, eq=False)
class FinishedRun:
    """A run whose maps are combined with those of others."""

    name: str  # its folder, as it was given
    folder: OutputFolder
    content: dict  # its run.json
    # (SHA-256 of the scan's file, method) -> the map's record; by each method, maps of one recipe
    maps: dict[tuple[str, str], MapRecord]

    @property
    def checkpoint(self) -> dict:
        """The network's part of run.json."""
        return self.content["checkpoint"]

    @property
    def table(self) -> Path:
        """The table of its scans."""
        return Path(self.content["working_directory"], self.content["options"]["csv_path"])

    @property
    def scans(self) -> set[str]:
        """SHA-256 of the scans' files."""
        return {sha256 for sha256, _ in self.maps}

    @property
    def recipes(self) -> dict[str, Recipe]:
        """Method -> how its maps were made."""
        return {method: record.recipe for (_, method), record in self.maps.items()}


def read_runs(
    roots: Sequence[Path], output: OutputFolder, scan_paths: Sequence[Path] = ()
) -> list[FinishedRun]:
    """Read the runs to combine, in the order in which they are given; their scans may be at `scan_paths`.

    Raises UserError if there are fewer than two, if one is no run or not ended, if `output` is one, or if
    their maps are of different cohorts or measure different things.
    """
    if len(roots) < 2:
        raise UserError(f"--combine: expected the folders of two runs or more, found {len(roots)}.")
    runs: list[FinishedRun] = []
    counts: Counter[Path] = Counter()
    for root in roots:
        if root.resolve() == output.root.resolve():
            raise UserError(
                f"{root}: is to be combined, and is --output_dir too. Choose another --output_dir."
            )
        counts[root] += 1
        if counts[root] > 1:
            warn(f"{root}: is given {counts[root]} times and counts as so many runs.")
        name = f"{root} ({counts[root]})" if counts[root] > 1 else str(root)
        runs.append(_read_run(root, name, scan_paths))
    _check_cohort(runs)
    _check_what_maps_measure(runs)
    return runs


def shared_methods(runs: Sequence[FinishedRun]) -> list[str]:
    """Return the methods of two runs or more, in the registry's order; raises UserError without any."""
    counts = Counter(method for run in runs for method in run.recipes)
    shared = [method for method in METHODS if counts[method] > 1]
    if not shared:
        found = "; ".join(f"{run.name}: {', '.join(run.recipes)}" for run in runs)
        raise UserError(f"--combine: expected a method of two runs or more, found none ({found}).")
    for run in runs:
        alone = [method for method in run.recipes if counts[method] == 1]
        if alone:
            warn(f"{', '.join(alone)}: only {run.name} has maps by it; left out.")
    return shared


def _read_run(root: Path, name: str, scan_paths: Sequence[Path]) -> FinishedRun:
    folder = OutputFolder(root)
    check_unlocked(root)
    found = find_scans(folder, folder.last_records(), scan_paths)
    records, limitations = comparable(found)
    limitations += damage_limitations(folder.damages(found))
    content = folder.last_run() or {}
    if content["status"] != "done":
        warn(f"{name}: the run is not finished (status {content['status']}); its finished maps count.")
    for limitation in limitations:
        warn(f"{name}: {limitation}")
    return FinishedRun(
        name, folder, content, {(record.source.sha256, record.method): record for record in records}
    )


def _check_cohort(runs: Sequence[FinishedRun]) -> None:
    """Raise UserError if a run has no scan in common with the others, and is not of the same tables.

    Folds, each of which explains the scans that it held out, share none; their tables lie in one folder.
    """
    joined, left = [runs[0]], list(runs[1:])
    while left:
        scans, tables = set().union(*(run.scans for run in joined)), set(map(_table_folder, joined))
        near = [run for run in left if run.scans & scans]
        near = near or [run for run in left if _table_folder(run) in tables]
        if not near:
            raise UserError(
                f"{left[0].name}: is of another cohort than {runs[0].name}: they have no scan in common, and "
                f"their tables are in different folders ({left[0].table}, {runs[0].table})."
            )
        joined += near
        left = [run for run in left if run not in near]
    if not any(a.scans & b.scans for a, b in combinations(runs, 2)):
        warn("--combine: no scan was explained in two runs, so each map is that of one run.")


def _table_folder(run: FinishedRun) -> Path:
    return run.table.parent.resolve()


def _check_what_maps_measure(runs: Sequence[FinishedRun]) -> None:
    """Raise UserError for maps of different slices, logits, classes or units."""

    def of_recipes(run: FinishedRun, value: Callable[[Recipe], object]) -> str:
        return " and ".join(sorted({str(value(recipe)) for recipe in run.recipes.values()}))

    def measured(run: FinishedRun) -> dict[str, object]:
        return {
            "the network's number of slices is": run.checkpoint["n_slices"],
            "the network's number of logits is": run.checkpoint["n_logits"],
            "the first slice (--first_slice) is": of_recipes(run, lambda recipe: recipe.first_slice),
            "the explained class (--target) is": of_recipes(run, lambda recipe: recipe.target),
            "the unit is": of_recipes(run, lambda recipe: recipe.settings.get("explains", "logit")),
        }

    expected = measured(runs[0])
    for run in runs[1:]:
        for what, found in measured(run).items():
            if found != expected[what]:
                raise UserError(
                    f"--combine: maps of {runs[0].name} and {run.name} measure different things: {what} "
                    f"{expected[what]} and {found}."
                )
