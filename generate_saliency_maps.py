"""Make maps of what a trained MRI classifier looked at, for every scan of a cohort.

Loads an EfficientNetV2 checkpoint, runs attribution methods on each scan, and writes for every scan
and method a figure of each key slice, a summary figure, the raw array and a NIfTI image in the
scan's own space; and over the cohort a table of statistics, a summary figure and a report.
"""

from __future__ import annotations

import gc
import shlex
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING

from mri_saliency.errors import UserError, failure_message
from mri_saliency.inputs.labels import DEFAULT_LABELS
from mri_saliency.options import Options, check_key_slices, read_options
from mri_saliency.run.write_queue import WriteQueue
from mri_saliency.runtime.device import move_to_device
from mri_saliency.runtime.progress import Progress
from mri_saliency.runtime.ranks import Ranks
from mri_saliency.runtime.signals import sigterm_as_interrupt
from mri_saliency.runtime.workers import Workers

# What loads PyTorch, pandas or matplotlib is imported where it is used: --help and a mistyped option
# answer at once, and no worker process loads PyTorch.
if TYPE_CHECKING:
    from mri_saliency.attribution.baselines import Baseline
    from mri_saliency.attribution.explainer import Explainer
    from mri_saliency.describe import Description
    from mri_saliency.inputs.loading import LoadedScan
    from mri_saliency.output.record import MapRecord
    from mri_saliency.run.outcome import Outcome
    from mri_saliency.run.plan import Plan
    from mri_saliency.run.provenance import RunRecord

DONE, SOME_FAILED, WRONG_REQUEST, INTERRUPTED = 0, 1, 2, 130  # exit codes
WORKER_MODULES = ("mri_saliency.inputs.loading", "mri_saliency.run.map_writer")
GROUP_SIZE = 10  # scans loaded and explained together at most: memory hardly grows with the cohort


def main(args: list[str] | None = None) -> int:
    """Run the script; return its exit code."""
    command_line = shlex.join([sys.argv[0], *(sys.argv[1:] if args is None else args)])
    try:
        options = read_options(__doc__, args)
        with sigterm_as_interrupt():
            if options.combine:
                return combine(options, command_line)
            return report_again(options) if options.report_only else generate(options, command_line)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return WRONG_REQUEST
    except KeyboardInterrupt:
        print(f"\ninterrupted; what is written is whole. To continue: python {command_line}", file=sys.stderr)
        return INTERRUPTED


def generate(options: Options, command_line: str) -> int:
    """Explain a cohort, told in order; return the exit code."""
    from mri_saliency.inputs.scan_table import TableColumns, read_scan_table

    started, ranks = datetime.now().astimezone(), Ranks()
    columns = TableColumns(options.path_column, options.diagnosis_column, options.subject_column)
    table = read_scan_table(options.csv_path, columns, DEFAULT_LABELS | dict(options.labels))
    with Workers(options.workers, WORKER_MODULES) as workers:  # they start while this process imports
        gc.disable()  # PyTorch makes a million objects, all to stay: 0.7 s less for a run's start
        from mri_saliency.attribution.baselines import make_baseline
        from mri_saliency.attribution.explainer import Explainer
        from mri_saliency.inputs.loading import load_in_groups
        from mri_saliency.output.folder import OutputFolder
        from mri_saliency.report.live import LiveReport, write_status
        from mri_saliency.run.bookkeeping import Bookkeeping
        from mri_saliency.run.outcome import Outcome
        from mri_saliency.run.plan import Action, MapFiles, keep_names, make_plan
        from mri_saliency.run.provenance import RunRecord, prepare_folder
        from mri_saliency.run.request import read_request

        gc.enable()
        # What goes in: the network, the scans, and what they are compared with.
        folder = OutputFolder(options.output_dir)
        table = replace(table, scans=keep_names(table.scans, list(folder.all_records())))
        request = read_request(options, table, ranks)
        group_size = min(GROUP_SIZE, request.settings.batch_size)
        in_groups = partial(load_in_groups, load=request.load, workers=workers, group_size=group_size)
        baseline = make_baseline(options.baseline, request.healthy, in_groups, **request.window)
        if "expected_gradients" in options.methods:
            request = request.with_references(in_groups)
        explainer = Explainer(move_to_device(request.checkpoint.network, request.device), request.settings)

        # What is finished already.
        n_logits = request.checkpoint.n_logits
        files = MapFiles(folder, options.key_slices, options.nifti, n_logits, options.smooth_mm)
        files = replace(files, class_names=request.class_names, source_folder=options.csv_path.parent)
        recipes = request.recipes(options.methods, baseline)
        plan = make_plan(request.scans, recipes, files, overwrite=options.overwrite)
        folder.create()
        ranks.barrier("planned")  # before anything is written
        run_record = RunRecord(folder, started, request.to_json(options, command_line))
        if ranks.is_main:
            files.warn_of_full_disk(plan.count(Action.MAKE), request.checkpoint.n_slices)
            prepare_folder(folder, baseline, options.csv_path.parent)
            run_record.write("running")

        # The maps.
        outcome = Outcome(n_kept=plan.count(Action.KEEP), n_planned=len(plan.actions))
        progress = Progress(outcome.n_planned, outcome.n_kept, ranks)
        books = Bookkeeping(plan, outcome, progress, LiveReport(plan, outcome, ranks).update)
        queue = WriteQueue(workers, books.end_map)
        stopped: UserError | KeyboardInterrupt | None = None
        try:
            groups = in_groups(ranks.shard(plan.unfinished(request.scans)))
            make_maps(books.readable(groups), explainer, baseline, plan, queue)
            queue.drain()
            outcome.merge(ranks.gather(outcome.to_json(), meanwhile=progress.refresh))
        except (UserError, KeyboardInterrupt) as reason:  # not of a single scan: those are in the outcome
            stopped = reason
        queue.close()
        progress.close()
        if not ranks.is_main:
            return end(stopped)

        # The cohort.
        records = folder.records(request.checkpoint.sha256)
        if options.check_maps and not stopped:
            from mri_saliency.checks.run import check_some_maps, representative

            try:
                write_status("checking", run_record, records, outcome)
                groups = in_groups(representative(request.scans, options.check_maps))
                check_some_maps(groups, explainer, baseline, plan, request.atlas)
            except KeyboardInterrupt as reason:
                stopped = reason
            except Exception as error:  # the cohort is described all the same
                stopped = UserError(f"--check_maps: {failure_message(error)}")

        def describe() -> None:
            from mri_saliency.describe import Description, describe_cohort
            from mri_saliency.report.report import write_report

            description = Description(
                options.key_slices, request.class_names, request.atlas, options.smooth_mm, request.covariates
            )
            findings = describe_cohort(folder, records, description, workers)
            write_report(findings, embed=options.report_embed)

        return finish(run_record, records, outcome, stopped, describe)


def make_maps(
    groups: Iterable[list[LoadedScan]],
    explainer: Explainer,
    baseline: Baseline,
    plan: Plan,
    queue: WriteQueue,
) -> None:
    """Make the maps of each group of scans, method by method; worker processes write them."""
    from mri_saliency.maps.null_map import contexts_with_nulls
    from mri_saliency.run.map_writer import redraw_map, write_new_map
    from mri_saliency.run.plan import Action

    for scans in groups:
        contexts = [scan.context for scan in scans]
        listed = [context.scan for context in contexts]
        batch = None  # all scans of the group, on the device
        for method, recipe in plan.recipes.items():
            for index in plan.indices(Action.REDRAW, method, listed):
                queue.put((listed[index], method), redraw_map, contexts[index], method, plan.files)
            to_make = plan.indices(Action.MAKE, method, listed)
            while to_make:
                n = explainer.scans_at_a_time(method)
                part, to_make = to_make[:n], to_make[n:]
                try:
                    if batch is None:
                        baselines = baseline.of(scans)
                        batch = explainer.batch_of(scans, baselines, recipe.target)
                        contexts = contexts_with_nulls(scans, baselines)
                    attributions = explainer.attribute(method, explainer.select(batch, part))
                except Exception as error:
                    for index in part:
                        queue.put_failure((listed[index], method), error)
                    continue
                for index, attribution in zip(part, attributions, strict=True):
                    job = (contexts[index], method, attribution, recipe, plan.files)
                    queue.put((listed[index], method), write_new_map, *job)


def combine(options: Options, command_line: str) -> int:
    """Write the means of finished runs' maps, and describe them as a run's; return the exit code."""
    from mri_saliency.combine.combination import copy_baseline, plan_combination
    from mri_saliency.combine.mean_maps import write_means
    from mri_saliency.combine.run_agreement import compare_runs
    from mri_saliency.combine.runs import read_runs
    from mri_saliency.describe import describe_cohort
    from mri_saliency.output.folder import OutputFolder
    from mri_saliency.report.report import write_report
    from mri_saliency.run.outcome import Outcome
    from mri_saliency.run.plan import Action, MapFiles
    from mri_saliency.run.provenance import RunRecord, prepare_folder

    started, folder = datetime.now().astimezone(), OutputFolder(options.output_dir)
    runs = read_runs(options.combine, folder)
    description = read_description(options, [record for run in runs for record in run.maps.values()])
    n_logits = runs[0].checkpoint["n_logits"]
    files = MapFiles(folder, options.key_slices, options.nifti, n_logits, options.smooth_mm)
    files = replace(files, class_names=description.class_names, source_folder=runs[0].table.parent)
    combination = plan_combination(runs, files, overwrite=options.overwrite)
    folder.create()  # nothing is written before
    run_record = RunRecord(folder, started, combination.to_json(options.to_json(), command_line))
    files.warn_of_full_disk(combination.plan.count(Action.MAKE), runs[0].checkpoint["n_slices"])
    prepare_folder(folder, None, runs[0].table.parent)
    copy_baseline(runs, folder)
    run_record.write("running")
    outcome = Outcome()
    with Workers(options.workers, WORKER_MODULES) as workers:
        stopped = write_means(combination, outcome, workers)
        records = folder.records(combination.checkpoint)

        def describe() -> None:
            compare_runs(folder, combination, description.atlas, workers)
            findings = describe_cohort(folder, records, description, workers)
            write_report(findings, embed=options.report_embed)

        return finish(run_record, records, outcome, stopped, describe)


def finish(
    run_record: RunRecord,
    records: list[MapRecord],
    outcome: Outcome,
    stopped: UserError | KeyboardInterrupt | None,
    describe: Callable[[], None],
) -> int:
    """Write the tables and what `describe` writes, and say how the run ended; return the exit code."""
    from mri_saliency.report.live import write_interrupted, write_status
    from mri_saliency.run.provenance import print_summary, write_tables

    try:
        write_tables(run_record.folder, records, outcome)
        write_status("interrupted" if stopped else "describing", run_record, records, outcome)
        if records and not isinstance(stopped, KeyboardInterrupt):
            describe()
        run_record.write("interrupted" if stopped else "done", outcome)
    except (UserError, KeyboardInterrupt) as reason:
        stopped = stopped or reason
        write_interrupted(run_record, records, outcome)
    seconds = (datetime.now().astimezone() - run_record.started).total_seconds()
    print_summary(run_record.folder, records, outcome, seconds)
    return end(stopped, SOME_FAILED if outcome.failures else DONE)


def report_again(options: Options) -> int:
    """Describe the maps that are in the folder, without making any; return the exit code."""
    from mri_saliency.describe import describe_cohort
    from mri_saliency.output.folder import OutputFolder
    from mri_saliency.report.report import write_report
    from mri_saliency.run.provenance import print_next_steps

    folder = OutputFolder(options.output_dir)
    records = folder.last_records()
    description = read_description(options, records)
    with Workers(options.workers) as workers:
        findings = describe_cohort(folder, records, description, workers)
    write_report(findings, embed=options.report_embed)
    print_next_steps(folder)
    return DONE


def read_description(options: Options, records: Sequence[MapRecord]) -> Description:
    """Read how finished maps are to be described; raise UserError for what does not fit them."""
    from mri_saliency.describe import Description
    from mri_saliency.inputs.atlas import read_atlas_for
    from mri_saliency.inputs.covariates import read_covariates
    from mri_saliency.wording import ClassNames

    check_key_slices(options.key_slices, records[0].grid.n_slices)
    atlas = read_atlas_for(options.atlas, options.atlas_names, (record.grid for record in records))
    covariates = None
    if options.covariates:
        covariates = read_covariates(options.csv_path, options.path_column, options.covariates)
    names = ClassNames(*options.class_names)
    return Description(options.key_slices, names, atlas, options.smooth_mm, covariates)


def end(stopped: UserError | KeyboardInterrupt | None, code: int = DONE) -> int:
    """Return the exit code of a run that came to its end, with `code`, or was stopped before."""
    if isinstance(stopped, KeyboardInterrupt):
        raise stopped
    if stopped:
        print(f"error: {stopped}", file=sys.stderr)
        return SOME_FAILED
    return code


if __name__ == "__main__":
    sys.exit(main())
