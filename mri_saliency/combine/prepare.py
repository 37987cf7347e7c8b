"""The options -> what averaging finished runs needs, read and checked before anything is written."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path

from mri_saliency.combine.combination import Combination, plan_combination, shared_settings
from mri_saliency.combine.mean_maps import combine_maps
from mri_saliency.combine.runs import FinishedRun, read_runs
from mri_saliency.inputs.grid import INPUT_SIZE
from mri_saliency.inputs.loading import LoadedScan, UnreadableScan, load_in_groups, load_scan
from mri_saliency.inputs.scan_table import Scan
from mri_saliency.methods import BASELINES
from mri_saliency.options import Options
from mri_saliency.output.files import read_array, read_json, write_array, write_json
from mri_saliency.output.folder import OutputFolder
from mri_saliency.output.ownership import check_own
from mri_saliency.run.description import Description, read_description_of
from mri_saliency.run.map_writer import redraw_map
from mri_saliency.run.moved_scans import table_paths
from mri_saliency.run.plan import Action, MapFiles, Plan
from mri_saliency.run.run_record import RunRecord, prepare_folder
from mri_saliency.runtime.ranks import Ranks
from mri_saliency.runtime.workers import Workers

_GROUP_SIZE = 4  # scans loaded ahead
# of a run's run.json, kept in that of the combination
_OF_RUN = ("checkpoint", "options", "settings", "tool", "versions", "device")

Job = tuple[Callable[..., dict[str, float]], *tuple[object, ...]]  # a worker's function and its arguments


@dataclass(frozen=True, eq=False)
class CombinedRun:
    """A combination that can begin."""

    combination: Combination
    plan: Plan
    description: Description
    record: RunRecord
    ranks: Ranks

    @property
    def folder(self) -> OutputFolder:
        """Where the means are written."""
        return self.plan.files.folder

    def prepare_folder(self) -> None:
        """Write what does not depend on the means; the mean control, if all runs have the same."""
        prepare_folder(self.folder)
        copy_baseline(self.combination.runs, self.folder)

    def load_unfinished(self, workers: Workers) -> Iterator[list[LoadedScan | UnreadableScan]]:
        """Yield the scans that lack a mean, in groups."""
        recipe = next(iter(self.plan.recipes.values()))
        n_slices = self.combination.runs[0].checkpoint["n_slices"]
        load = partial(load_scan, n_slices=n_slices, first_slice=recipe.first_slice)
        return load_in_groups(self.plan.unfinished(self.combination.scans), load, workers, _GROUP_SIZE)

    def jobs(self, scans: Sequence[LoadedScan]) -> Iterator[tuple[Scan, str, Job]]:
        """Yield the jobs that write the unfinished means of some scans: scan, method, job."""
        for context in (scan.context for scan in scans):
            for method in self.plan.open_methods(context.scan):
                key = (context.scan.subject_id, method)
                job: Job = (redraw_map, context, method, self.plan.files)
                if self.plan.actions[key] == Action.MAKE:
                    made = (self.combination.members[key], self.plan.recipes[method], self.plan.files)
                    job = (combine_maps, context, *made, len(self.combination.runs))
                yield context.scan, method, job


def prepare_combination(options: Options, command_line: str) -> CombinedRun:
    """Read and check everything that a combination needs; nothing is written yet.

    Raises UserError as `read_runs`, `read_description_of` and `plan_combination`.
    """
    started, folder = datetime.now().astimezone(), OutputFolder(options.output_dir, options.class_names)
    check_own(folder, overwrite=options.overwrite)
    runs = read_runs(options.combine, folder, table_paths(options))
    description = read_description_of([record for run in runs for record in run.maps.values()], options)
    how = (options.key_slices, options.nifti, runs[0].checkpoint["n_logits"], options.smooth_mm)
    files = MapFiles(folder, *how)
    combination = plan_combination(runs, files, overwrite=options.overwrite)
    record = RunRecord(folder, started, request_json(combination, options.to_json(), command_line))
    return CombinedRun(combination, combination.plan, description, record, Ranks())


def request_json(combination: Combination, options: dict, command_line: str) -> dict:
    """Return what run.json says of the request; `options` as run.json has them."""
    runs, sha256 = combination.runs, combination.checkpoint
    first, networks = runs[0], dict.fromkeys(run.checkpoint["network"] for run in runs)
    baselines = dict.fromkeys(  # of a file, the path as one that holds in any folder
        name if name in BASELINES else str(Path(run.content["working_directory"], name))
        for run in runs
        for name in [run.content["options"]["baseline"]]
    )
    target = next(iter(combination.plan.recipes.values())).target
    of_runs = {"baseline": " and ".join(baselines), "csv_path": str(first.table), "target": target}
    return {
        "command_line": command_line,
        "working_directory": str(Path.cwd()),
        "options": options | of_runs,
        "settings": shared_settings([run.content["settings"] for run in runs]),
        "checkpoint": {
            "path": ", ".join(run.name for run in runs),
            "sha256": sha256,
            "network": f"mean over {len(runs)} runs of {' and '.join(networks)}",
            "n_slices": first.checkpoint["n_slices"],
            "n_logits": first.checkpoint["n_logits"],
        },
        "device": {"name": "none", "hardware": "no network was run"},
        "combined": [{"run": run.name} | {key: run.content[key] for key in _OF_RUN} for run in runs],
    }


def copy_baseline(runs: Sequence[FinishedRun], folder: OutputFolder) -> None:
    """Copy the mean control, which null maps need, if all runs have the same."""
    contents = [read_json(run.folder.hc_mean_scans) for run in runs]
    identities = [(content or {}).get("identity") for content in contents]
    if contents[0] is None or any(identity != identities[0] for identity in identities):
        return
    first = next(iter(runs[0].maps.values()))
    values = read_array(runs[0].folder.hc_mean, (first.grid.n_slices, INPUT_SIZE, INPUT_SIZE))
    if values is not None:
        write_array(folder.hc_mean, values)
        write_json(folder.hc_mean_scans, contents[0])
