"""The options -> everything that a run needs, read and checked before anything is written."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from mri_saliency.attribution.baselines import FEW_HEALTHY, Baseline, make_baseline
from mri_saliency.attribution.batch import Settings
from mri_saliency.attribution.explainer import MATHS, Explainer
from mri_saliency.attribution.references import load_references
from mri_saliency.attribution.scan_group import ScanGroup
from mri_saliency.errors import UserError, warn
from mri_saliency.inputs.checkpoint import Checkpoint, load_checkpoint
from mri_saliency.inputs.covariates import check_covariates
from mri_saliency.inputs.grid import Grid
from mri_saliency.inputs.loading import (
    LoadedScan,
    ScanContext,
    UnreadableScan,
    load_in_groups,
    load_scan,
    load_volume,
)
from mri_saliency.inputs.scan_table import Scan, ScanTable
from mri_saliency.maps.null_map import with_baseline
from mri_saliency.methods import AUTO, BATCH_SIZES
from mri_saliency.options import Options, check_key_slices, choose_target, find_parameters
from mri_saliency.output.folder import OutputFolder
from mri_saliency.output.ownership import check_own
from mri_saliency.output.record import Recipe
from mri_saliency.run.description import Description, read_description
from mri_saliency.run.moved_scans import follow_scans, read_table_of
from mri_saliency.run.plan import Action, MapFiles, Plan, keep_names, make_plan, make_recipes
from mri_saliency.run.run_record import RunRecord, prepare_folder
from mri_saliency.runtime.device import choose_device, hardware_name, move_to_device
from mri_saliency.runtime.ranks import Ranks
from mri_saliency.runtime.workers import Workers

if TYPE_CHECKING:
    import torch

    from mri_saliency.attribution.result import Attribution

GROUP_SIZE = 10  # scans loaded and explained together at most: memory hardly grows with the cohort
_TRIED_SCANS = 10  # of which the first readable one shows whether the atlas fits

Explained = tuple[ScanContext, "Attribution | Exception | None"]


@dataclass(frozen=True, eq=False)
class Request:
    """What goes into a run, read and checked."""

    device: "torch.device"
    checkpoint: Checkpoint
    target: int | None  # the class to explain; None: each scan's predicted class
    settings: Settings
    baseline: Baseline
    table: ScanTable
    scans: list[Scan]  # of the table, those that are explained
    # scans -> groups of loaded scans, in order, while workers load the next group
    load: Callable[..., Iterator[list[LoadedScan | UnreadableScan]]]
    description: Description
    n_checked: int  # scans whose maps are checked on the network

    def recipes(self, options: Options) -> dict[str, Recipe]:
        """Return how each method's maps are made."""
        # a single logit is explained as it is, and its recipe is that of maps from before there was a choice
        explains: dict[str, object] = {"explains": "log-odds"} if self.checkpoint.n_logits > 1 else {}
        common = Recipe(MATHS, self.checkpoint.sha256, options.first_slice, self.target, explains)
        settings = self.settings.to_json() | {"baseline": self.baseline.identity}
        if self.settings.n_steps != AUTO:
            del settings["map_error"]  # a number of steps has the recipe that it always had
        return make_recipes(options.methods, common, settings, hardware_name(self.device))

    def to_json(self, options: Options, command_line: str) -> dict:
        """Return the request as run.json has it."""
        checkpoint, references = self.checkpoint, self.settings.references
        return {
            "command_line": command_line,
            "working_directory": str(Path.cwd()),
            "options": options.to_json() | {"target": self.target, "check_maps": self.n_checked},
            "settings": self.settings.to_json(),
            "references": list(references.paths) if references else [],
            "checkpoint": {
                "path": str(checkpoint.path.absolute()),
                "sha256": checkpoint.sha256,
                "network": f"EfficientNetV2-{checkpoint.variant}",
                "n_slices": checkpoint.n_slices,
                "n_logits": checkpoint.n_logits,
            },
            "skipped_rows": self.table.skipped,
            "training_parameters": checkpoint.parameters,
            "device": {"name": str(self.device), "hardware": hardware_name(self.device)},
        }


@dataclass(frozen=True, eq=False)
class Run:
    """A run that can begin."""

    request: Request
    explainer: Explainer
    plan: Plan
    record: RunRecord
    ranks: Ranks

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
        finish = partial(with_baseline, baseline=self.request.baseline)
        return self.request.load(self.ranks.shard(self.plan.unfinished(self.request.scans)), finish=finish)

    def group(self, scans: list[LoadedScan]) -> ScanGroup:
        """Return loaded scans as a group that is explained together."""
        return ScanGroup(self.explainer, scans, self.request.target)

    def explain(self, group: ScanGroup, method: str) -> Iterator[Explained]:
        """Yield the group's scans whose map by a method is unfinished, and their attributions.

        None instead of an attribution: the map is made, and only its pictures are missing. An error: it
        cannot be made.
        """
        contexts = [scan.context for scan in group.scans]
        listed = [context.scan for context in contexts]
        for index in self.plan.indices(Action.REDRAW, method, listed):
            yield contexts[index], None
        for index, found in group.explain(method, self.plan.indices(Action.MAKE, method, listed)):
            yield contexts[index], found

    def prepare_folder(self) -> None:
        """Write what describes the folder, and the mean control."""
        prepare_folder(self.folder, self.request.baseline)


def prepare(options: Options, command_line: str, workers: Workers) -> Run:
    """Read and check everything that a run needs; nothing is written yet.

    Raises UserError: a file cannot be read, options do not fit, or the folder holds what may not be replaced.
    """
    started, ranks = datetime.now().astimezone(), Ranks()
    folder, table = OutputFolder(options.output_dir, options.class_names), read_table_of(options)
    places = [scan.path for scan in table.scans]
    check_own(folder, (options.model_path, options.csv_path, *places), overwrite=options.overwrite)
    found = list(folder.all_records())
    records = follow_scans(found, places)
    table = replace(table, scans=keep_names(table.scans, records))
    request = _read_request(options, table, ranks, workers)
    network = move_to_device(request.checkpoint.network, request.device)
    workers.behind_network = request.device.type == "cpu"
    how = (options.key_slices, options.nifti, request.checkpoint.n_logits, options.smooth_mm)
    files, recipes = MapFiles(folder, *how), request.recipes(options)
    plan = make_plan(request.scans, recipes, files, records, overwrite=options.overwrite)
    plan = replace(plan, moved=tuple(now for now, was in zip(records, found, strict=True) if now is not was))
    record = RunRecord(folder, started, request.to_json(options, command_line))
    return Run(request, Explainer(network, request.settings), plan, record, ranks)


def _read_request(options: Options, table: ScanTable, ranks: Ranks, workers: Workers) -> Request:
    """Read the network and what scans are compared with; check that the options fit them and the table."""
    device = choose_device(options.device, ranks)
    checkpoint = load_checkpoint(options.model_path, find_parameters(options.parameters_path))
    check_key_slices(options.key_slices, checkpoint.n_slices)
    target = choose_target(options.target, checkpoint.n_logits)
    scans = table.scans[: options.max_samples or None]
    if ranks.is_main:
        if options.device is None and device.type == "cpu":
            warn("no CUDA device found; running on the CPU, which is many times slower.")
        for note in table.notes:
            warn(note)
        print(
            f"EfficientNetV2-{checkpoint.variant}, {checkpoint.n_slices} slices, on {hardware_name(device)}; "
            f"{len(scans)} of {len(table.scans)} scans; {', '.join(options.methods)}",
            flush=True,
        )
    window = {"n_slices": checkpoint.n_slices, "first_slice": options.first_slice}
    description = read_description(options, _grids(scans, **window))
    if description.covariates is not None:
        check_covariates(description.covariates, scans, options.csv_path)
    batch_size = options.batch_size or BATCH_SIZES[device.type]
    load_one = partial(load_scan, n_slices=checkpoint.n_slices, first_slice=options.first_slice)
    group_size = min(GROUP_SIZE, batch_size)
    load = partial(load_in_groups, load=load_one, workers=workers, group_size=group_size)
    healthy = [scan for scan in table.scans if scan.label == 0]
    baseline, references = make_baseline(options.baseline, healthy, load, **window), None
    drawn = {"n_references": options.n_references, "seed": options.seed}
    if "expected_gradients" in options.methods:
        references = load_references(table.scans, load, **drawn)
    controls = (baseline.healthy and baseline.healthy.scans, references and references.inputs)
    n_controls = min((len(scans) for scans in controls if scans), default=FEW_HEALTHY)
    if n_controls < FEW_HEALTHY:
        warn(f"{n_controls} HC scans are a rough control; {FEW_HEALTHY} or more are better.")
    settings = Settings(
        batch_size,
        n_steps=options.n_steps,
        n_samples=options.n_samples,
        noise_std=options.noise_std,
        map_error=options.map_error,
        references=references,
        **drawn,
    )
    known = (device, checkpoint, target, settings, baseline, table, scans, load, description)
    return Request(*known, options.scans_to_check(device.type))


def _grids(scans: list[Scan], n_slices: int, first_slice: int) -> Iterable[Grid]:
    """Yield the grids of the first readable scans."""
    for scan in scans[:_TRIED_SCANS]:
        try:
            yield load_volume(scan.path, n_slices, first_slice).grid
        except UserError:  # costs that scan alone, and is reported when it is explained
            continue
