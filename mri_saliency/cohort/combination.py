"""The maps of several finished runs -> their mean, spread and agreement in sign, scan by scan."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import nibabel as nib
import numpy as np

from mri_saliency.attribution.methods import BASELINES, METHODS
from mri_saliency.cohort.runs import FinishedRun, shared_methods
from mri_saliency.errors import UserError
from mri_saliency.inputs.loading import ScanContext, load_in_groups, load_scan
from mri_saliency.inputs.preprocessing import unpad
from mri_saliency.inputs.scan_table import Scan
from mri_saliency.maps.colours import colour_scale
from mri_saliency.maps.image import Meaning, estimate, to_nifti
from mri_saliency.maps.statistics import MapStatistics, completeness, map_statistics, slice_profile
from mri_saliency.output.bookkeeping import Bookkeeping
from mri_saliency.output.files import read_array, read_json, write_array, write_json
from mri_saliency.output.folder import OutputFolder
from mri_saliency.output.map_writer import redraw_map, write_map
from mri_saliency.output.outcome import Outcome
from mri_saliency.output.record import MapRecord, Recipe
from mri_saliency.output.resume import Action, MapFiles, Plan, keep_names, make_plan
from mri_saliency.runtime.progress import Progress
from mri_saliency.runtime.ranks import Ranks
from mri_saliency.runtime.workers import Workers
from mri_saliency.runtime.write_queue import WriteQueue

_GROUP_SIZE = 4  # scans loaded ahead
_SIGNS = Meaning("estimate", "sign agreement", (0.5, 1.0), nearest=True)


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

    @property
    def window(self) -> dict[str, int]:
        """The coronal slices that the networks see: ``n_slices`` and ``first_slice``."""
        recipe = next(iter(self.plan.recipes.values()))
        return {"n_slices": self.runs[0].checkpoint["n_slices"], "first_slice": recipe.first_slice}

    def to_json(self, options: dict, command_line: str) -> dict:
        """Return the part of run.json that describes the request; `options` as run.json has them."""
        first = self.runs[0]
        networks = list(dict.fromkeys(run.checkpoint["network"] for run in self.runs))
        baselines = dict.fromkeys(map(_baseline_option, self.runs))
        settings = [run.content["settings"] for run in self.runs]
        return {
            "command_line": command_line,
            "working_directory": str(Path.cwd()),
            "options": options
            | {"baseline": " and ".join(baselines), "csv_path": str(first.table), "target": self._target},
            "settings": {
                key: value
                for key, value in settings[0].items()
                if all(other.get(key) == value for other in settings)
            },
            "checkpoint": {
                "path": ", ".join(run.name for run in self.runs),
                "sha256": self.checkpoint,
                "network": f"mean over {len(self.runs)} runs of {' and '.join(networks)}",
                "n_slices": first.checkpoint["n_slices"],
                "n_logits": first.checkpoint["n_logits"],
            },
            "device": {"name": "none", "hardware": "no network was run"},
            "combined": [
                {
                    "run": run.name,
                    **{key: run.content.get(key) for key in ("checkpoint", "options", "settings", "tool")},
                }
                for run in self.runs
            ],
        }

    @property
    def _target(self) -> int | None:
        return next(iter(self.plan.recipes.values())).target


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
    members, actions = {}, {}
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
            if record is not None and record.combined != _marks(of_scan):  # a run has gone on since
                actions[key] = Action.MAKE
    return Combination(runs, scans, members, Plan(actions, recipes, files))


def copy_baseline(runs: Sequence[FinishedRun], folder: OutputFolder) -> None:
    """Copy the mean control, which null maps need, if all runs have the same."""
    contents = [read_json(run.folder.hc_mean_scans) for run in runs]
    if contents[0] is None or any(content != contents[0] for content in contents):
        return
    scan = next(iter(runs[0].maps.values()))
    values = read_array(runs[0].folder.hc_mean, (scan.grid.n_slices, 128, 128))
    if values is not None:
        write_array(folder.hc_mean, values)
        write_json(folder.hc_mean_scans, contents[0])


def write_means(
    combination: Combination, outcome: Outcome, workers: Workers
) -> UserError | KeyboardInterrupt | None:
    """Write the means that are not finished, and fill `outcome`; return why it ended before, if it did.

    Workers load the scans and average the maps; neither runs nor scans are kept.
    """
    plan, n_runs = combination.plan, len(combination.runs)
    outcome.n_kept = plan.count(Action.KEEP)
    progress = Progress(len(plan.actions), outcome.n_kept, Ranks())
    books = Bookkeeping(plan, outcome, progress)
    queue = WriteQueue(workers, books.end_map)
    load = partial(load_scan, **combination.window, key_slices=plan.files.key_slices)
    stopped: UserError | KeyboardInterrupt | None = None
    try:
        groups = load_in_groups(plan.unfinished(combination.scans), load, workers, _GROUP_SIZE)
        for context in (scan.context for scans in books.readable(groups) for scan in scans):
            for method in plan.open_methods(context.scan):
                label, key = (context.scan, method), (context.scan.subject_id, method)
                if plan.actions[key] == Action.REDRAW:
                    queue.put(label, redraw_map, context, method, plan.files)
                else:
                    job = (context, combination.members[key], plan.recipes[method], plan.files, n_runs)
                    queue.put(label, combine_maps, *job)
        queue.drain()
    except (UserError, KeyboardInterrupt) as reason:  # not of a single scan: those are in the outcome
        stopped = reason
    queue.close()
    progress.close()
    return stopped


class RunningMoments:
    """Mean and spread of maps that come one after the other, of which none is kept (Welford 1962).

    Attributes
    ----------
    n : int
    mean : ndarray
        float64, a map's shape.
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.n, self.mean = 0, np.zeros(shape)
        self._squares = np.zeros(shape)  # summed squared distances from the mean
        self._signs = np.zeros((3, *shape), np.int16)  # maps that are negative, zero, positive

    def add(self, values: np.ndarray) -> None:
        """Count a map."""
        self.n += 1
        distance = values - self.mean
        self.mean += distance / self.n
        self._squares += distance * (values - self.mean)
        for sign in (-1, 0, 1):
            self._signs[sign + 1] += np.sign(values) == sign

    def spread(self) -> np.ndarray:
        """Return the standard deviation, float32, with n - 1 below; needs two maps."""
        return np.sqrt(self._squares / (self.n - 1)).astype(np.float32)

    def sign_agreement(self) -> np.ndarray:
        """Return the share of the maps that have the sign of the mean, float32."""
        agreeing = np.choose(np.sign(self.mean).astype(int) + 1, self._signs)
        return (agreeing / self.n).astype(np.float32)


def combine_maps(
    context: ScanContext, members: Sequence[Member], recipe: Recipe, files: MapFiles, n_runs: int
) -> Counter[str]:
    """Average a scan's maps by one method, and write the mean; a worker's job.

    Raises
    ------
    UserError
        The scan's file has changed, or the maps explain different classes.
    """
    first = members[0].record
    if context.source.sha256 != first.source.sha256:
        raise UserError(f"{context.scan.path}: has changed since the maps to combine were made.")
    targets = sorted({member.record.statistics.target for member in members})
    if len(targets) > 1:
        raise UserError(
            f"{context.scan.path}: the runs explain the classes {' and '.join(map(str, targets))}, each its "
            "network's prediction. Repeat them with one --target."
        )
    moments = RunningMoments(members[0].load().shape)
    for member in members:
        moments.add(member.load())
    values = moments.mean.astype(np.float32)
    is_signed_mean = moments.n > 1 and METHODS[first.method].signed
    signs = moments.sign_agreement() if is_signed_mean else None
    rows = [member.record.statistics for member in members]
    words = {"n_logits": files.n_logits, "baseline": recipe.baseline_name}
    statistics = mean_statistics(values, context, rows, **words)
    if signs is not None and context.brain.any():
        statistics = replace(statistics, sign_agreement=float(signs[context.brain].mean()))
    record = MapRecord(
        subject_id=context.scan.subject_id,
        method=first.method,
        source=context.source,
        grid=context.grid,
        brain_voxels=int(context.brain.sum()),
        recipe=recipe,
        statistics=statistics,
        slice_profile=tuple(slice_profile(values).tolist()),
        combined=_marks(members),
    )
    images = {}
    if moments.n > 1:
        images = _images(record, moments.spread(), signs, files.folder)
    if moments.n == n_runs == 2:
        images |= _difference_image(record, members, files.folder)
    return write_map(context, record, values, files, images)


def mean_statistics(
    values: np.ndarray,
    context: ScanContext,
    rows: Sequence[MapStatistics],
    *,
    n_logits: int,
    baseline: str | None,
) -> MapStatistics:
    """Return the row of statistics of a mean of maps.

    Probabilities are averaged (logits are not recorded); sums and the changes of the logit that they should
    equal too, so that the mean of complete maps is complete.

    Parameters
    ----------
    values : ndarray
        float32 (n_slices, 128, 128): the mean.
    context : ScanContext
    rows : sequence of MapStatistics
        Of the maps that it is the mean of.
    n_logits : int
        The networks' number of logits.
    baseline : str or None
        Name of what the scan was compared with.
    """
    scan, first = context.scan, rows[0]
    expected = _mean([row.completeness_expected for row in rows])
    total = _mean([row.completeness_sum for row in rows])
    return MapStatistics(
        method=first.method,
        **map_statistics(values, context.brain),
        subject_id=scan.subject_id,
        true_label=scan.label,
        diagnosis=scan.diagnosis,
        **mean_prediction(rows, n_logits),
        target=first.target,
        baseline=baseline,
        sample_idx=scan.sample_idx,
        **completeness(total, expected),
        seconds=sum(row.seconds for row in rows),
        input_warning=context.input_warning,
        subject=scan.subject,
        brain_share_null=_mean([row.brain_share_null for row in rows]),
        n_networks=len(rows),
    )


def mean_prediction(rows: Sequence[MapStatistics], n_logits: int) -> dict[str, float | int]:
    """Return the prediction of the mean probability; of three or more classes, that of most networks.

    The fields are those of `mri_saliency.maps.statistics.prediction`. Of three or more classes only the
    predicted one's probability is recorded: the confidence is the mean of the networks that predict it.
    """
    probability = float(np.mean([row.prediction for row in rows]))
    labels = Counter(row.predicted_label for row in rows)
    if n_logits <= 2:
        label = int(probability > 0.5)
        confidence = probability if label else 1 - probability
    else:
        certainty: Counter[int] = Counter()
        for row in rows:
            certainty[row.predicted_label] += row.confidence
        label = max(labels, key=lambda label: (labels[label], certainty[label]))
        confidence = certainty[label] / labels[label]
    return {"prediction": probability, "predicted_label": label, "confidence": confidence}


def _mean(values: Sequence[float | None]) -> float | None:
    """Return the mean; None if a value is missing."""
    return None if None in values else float(np.mean(values))


def _images(
    record: MapRecord, spread: np.ndarray, signs: np.ndarray | None, folder: OutputFolder
) -> dict[Path, nib.Nifti1Image]:
    """Return the images of the spread and, for a signed method, of the agreement in sign."""
    method, name = METHODS[record.method], (record.method, record.subject_id)
    words = f"{method.name}, {record.statistics.n_networks} runs"
    spread = unpad(spread)
    meaning = estimate(method.unit, colour_scale(spread), signed=False)
    images = {folder.spread(*name): to_nifti(spread, record.grid, f"standard deviation, {words}", meaning)}
    if signs is not None:
        image = to_nifti(unpad(signs), record.grid, f"share with the mean's sign, {words}", _SIGNS)
        images[folder.sign_agreement(*name)] = image
    return images


def _difference_image(
    record: MapRecord, members: Sequence[Member], folder: OutputFolder
) -> dict[Path, nib.Nifti1Image]:
    """Return the image of the second run's map minus the first one's."""
    first, second = (unpad(member.load()) for member in members)
    values = second - first
    meaning = estimate(METHODS[record.method].unit, colour_scale(values), signed=True)
    image = to_nifti(values, record.grid, f"{record.method}, second run minus first", meaning)
    return {folder.difference(record.method, record.subject_id): image}


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


def _baseline_option(run: FinishedRun) -> str:
    """Return a run's ``--baseline``; the path of a file as one that holds in any folder."""
    baseline = run.content["options"]["baseline"]
    return baseline if baseline in BASELINES else str(Path(run.content["working_directory"], baseline))


def _mark(run: FinishedRun, recipe: Recipe) -> str:
    """Return what distinguishes a run's maps by a method in a recipe: its network and its settings."""
    return f"{run.checkpoint['sha256'][:12]} {recipe.digest()}"


def _marks(members: Sequence[Member]) -> tuple[str, ...]:
    return tuple(member.mark for member in members)


def _identity(runs: Sequence[FinishedRun]) -> str:
    return _digest([run.checkpoint["sha256"] for run in runs])


def _digest(texts: Sequence[str]) -> str:
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()
