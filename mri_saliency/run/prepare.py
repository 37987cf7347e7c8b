"""The options -> everything that a run needs, read and checked before anything is written."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property, partial
from typing import TYPE_CHECKING

from mri_saliency.attribution.baselines import Baseline, make_baseline
from mri_saliency.attribution.explainer import Explainer
from mri_saliency.attribution.scan_group import ScanGroup
from mri_saliency.inputs.labels import DEFAULT_LABELS
from mri_saliency.inputs.loading import LoadedScan, ScanContext, UnreadableScan, load_in_groups, load_scan
from mri_saliency.inputs.scan_table import TableColumns, read_scan_table
from mri_saliency.maps.null_map import contexts_with_nulls
from mri_saliency.options import Options
from mri_saliency.output.folder import OutputFolder
from mri_saliency.output.ownership import check_own
from mri_saliency.run.moved_scans import follow_scans
from mri_saliency.run.plan import Action, MapFiles, Plan, keep_names, make_plan
from mri_saliency.run.request import Request, read_request
from mri_saliency.run.run_record import RunRecord, prepare_folder
from mri_saliency.runtime.device import move_to_device
from mri_saliency.runtime.ranks import Ranks
from mri_saliency.runtime.workers import Workers

if TYPE_CHECKING:
    from mri_saliency.attribution.result import Attribution

GROUP_SIZE = 10  # scans loaded and explained together at most: memory hardly grows with the cohort

Explained = tuple[ScanContext, "Attribution | Exception | None"]


@dataclass(frozen=True, eq=False)
class Run:
    """A run that can begin."""

    request: Request
    explainer: Explainer
    baseline: Baseline
    plan: Plan
    record: RunRecord
    ranks: Ranks
    # scans -> groups of loaded scans, in order, while workers load the next group
    load: Callable[..., Iterator[list[LoadedScan | UnreadableScan]]]

    @property
    def folder(self) -> OutputFolder:
        """The run's ``--output_dir``."""
        return self.plan.files.folder

    @property
    def methods(self) -> list[str]:
        """The methods whose maps are made, in order."""
        return list(self.plan.recipes)

    def load_unfinished(self) -> Iterator[list[LoadedScan | UnreadableScan]]:
        """Yield this rank's scans that lack a map, in groups."""
        return self.load(self.ranks.shard(self.plan.unfinished(self.request.scans)))

    def prepare_folder(self) -> None:
        """Write what does not depend on the maps: what describes the folder, and the mean control."""
        prepare_folder(self.folder, self.baseline)


class Group:
    """Loaded scans that are explained together; what methods share is made once, when one needs it."""

    def __init__(self, run: Run, scans: list[LoadedScan]) -> None:
        self._scans, self._plan = scans, run.plan
        self._explained = ScanGroup(run.explainer, scans, run.baseline, run.request.target)

    def explain(self, method: str) -> Iterator[Explained]:
        """Yield the scans whose map by a method is unfinished, and their attributions.

        None instead of an attribution: the map is made, and only its pictures are missing. An error: it
        cannot be made.
        """
        listed = [scan.context.scan for scan in self._scans]
        for index in self._plan.indices(Action.REDRAW, method, listed):
            yield self._scans[index].context, None
        to_make = self._plan.indices(Action.MAKE, method, listed)
        for index, found in self._explained.explain(method, to_make):
            failed = isinstance(found, Exception)
            yield self._scans[index].context if failed else self._contexts[index], found

    @cached_property
    def _contexts(self) -> list[ScanContext]:
        """What the maps' files need, with the numbers of the scans' null maps."""
        return contexts_with_nulls(self._scans, self._explained.baselines)


def prepare(options: Options, command_line: str, workers: Workers) -> Run:
    """Read and check everything that a run needs; nothing is written yet.

    Raises UserError: a file cannot be read, options do not fit, or the folder holds what may not be replaced.
    """
    started, ranks = datetime.now().astimezone(), Ranks()
    folder = OutputFolder(options.output_dir, options.class_names)
    columns = TableColumns(options.path_column, options.diagnosis_column, options.subject_column)
    table = read_scan_table(options.csv_path, columns, DEFAULT_LABELS | dict(options.labels))
    places = [scan.path for scan in table.scans]
    check_own(folder, (options.model_path, options.csv_path, *places), overwrite=options.overwrite)
    found = list(folder.all_records())
    records = follow_scans(found, places)
    table = replace(table, scans=keep_names(table.scans, records))
    request = read_request(options, table, ranks)
    load = partial(
        load_in_groups,
        load=partial(load_scan, n_slices=request.checkpoint.n_slices, first_slice=options.first_slice),
        workers=workers,
        group_size=min(GROUP_SIZE, request.settings.batch_size),
    )
    baseline = make_baseline(options.baseline, request.healthy, load, **request.window)
    if "expected_gradients" in options.methods:
        request = request.with_references(load)
    network = move_to_device(request.checkpoint.network, request.device)
    workers.work_behind_network(request.device.type == "cpu")
    how = (options.key_slices, options.nifti, request.checkpoint.n_logits, options.smooth_mm)
    files = MapFiles(folder, *how)
    recipes = request.recipes(options.methods, baseline)
    plan = make_plan(request.scans, recipes, files, records, overwrite=options.overwrite)
    plan = replace(plan, moved=tuple(now for now, was in zip(records, found, strict=True) if now is not was))
    record = RunRecord(folder, started, request.to_json(options, command_line))
    return Run(request, Explainer(network, request.settings), baseline, plan, record, ranks, load)
