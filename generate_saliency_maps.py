"""Make maps of what a trained MRI classifier looked at, for every scan of a cohort.

Loads an EfficientNetV2 checkpoint, runs attribution methods on each scan, and writes for every scan
and method a figure of each key slice, a summary figure, the raw array and a NIfTI image in the
scan's own space; and over the cohort a table of statistics, a summary figure and a report.
"""

from __future__ import annotations

import atexit
import gc
import os
import shlex
import sys
from typing import TYPE_CHECKING

import mri_saliency as tool  # its names are imported where they are first used: --help answers at once
from mri_saliency.errors import UserError
from mri_saliency.options import Options, read_options
from mri_saliency.runtime.screen import forgiving_screen
from mri_saliency.runtime.signals import signals_as_interrupt
from mri_saliency.runtime.workers import Workers

if TYPE_CHECKING:
    from mri_saliency.output.folder import OutputFolder
    from mri_saliency.output.record import MapRecord
    from mri_saliency.run.description import Description

DONE, WRONG_REQUEST, INTERRUPTED = 0, 2, 130  # exit codes; 1: some maps failed
WORKER_MODULES = ("mri_saliency.inputs.loading", "mri_saliency.run.map_writer")


def main(args: list[str] | None = None) -> int:
    """Run the script; return its exit code."""
    command_line = shlex.join([sys.argv[0], *(sys.argv[1:] if args is None else args)])
    os.environ["MPLBACKEND"] = "agg"  # figures are files, whatever a notebook has set
    atexit.register(gc.freeze)  # or Python searches PyTorch for garbage before it ends: a second
    with forgiving_screen():
        try:
            options = read_options(__doc__, args)
            with signals_as_interrupt(), tool.locked(options.output_dir):  # one run at a time writes there
                if options.combine:
                    return combine(options, command_line)
                return report_again(options) if options.report_only else generate(options, command_line)
        except UserError as error:
            print(f"error: {error}", file=sys.stderr)
            return WRONG_REQUEST
        except KeyboardInterrupt:
            words = "interrupted; what is written is whole. To continue"
            print(f"\n{words}: python {command_line}", file=sys.stderr)
            return INTERRUPTED


def generate(options: Options, command_line: str) -> int:
    """Explain a cohort: prepare, make the maps, check some of them, describe them; return the exit code."""
    with Workers(options.workers, WORKER_MODULES) as workers:
        run = tool.prepare(options, command_line, workers)  # network, scans, plan; nothing is written yet
        with tool.Journal(run, workers, tool.write_unfinished) as journal:  # counts, screen, run.json, page
            with journal.making_maps():
                for scans in journal.readable(run.load_unfinished()):  # workers load the next group meanwhile
                    group = run.group(scans)  # what methods share is made once, when one needs it
                    for method in run.methods:
                        for scan, attribution in run.explain(group, method):
                            journal.write(scan, method, attribution)  # a worker draws and writes it
            if run.ranks.is_main and run.request.n_checked:
                with journal.chapter("checking"):  # a failure here costs this chapter alone
                    tool.check_some_maps(run)
            if run.ranks.is_main and journal.records:
                with journal.chapter("describing"):
                    journal.answer = describe(run.folder, journal.records, run.request.description, workers)
        return journal.exit_code


def combine(options: Options, command_line: str) -> int:
    """Average the maps of finished runs, and describe the means as a run's maps; return the exit code."""
    run = tool.prepare_combination(options, command_line)  # which maps are averaged; nothing is written yet
    with Workers(options.workers, WORKER_MODULES) as workers:
        with tool.Journal(run, workers, tool.write_unfinished) as journal:
            with journal.making_maps():
                for scans in journal.readable(run.load_unfinished(workers)):
                    for scan, method, job in run.jobs(scans):
                        journal.submit(scan, method, *job)  # a worker averages, draws and writes
            if journal.records:
                with journal.chapter("describing"):
                    tool.compare_runs(run.folder, run.combination, run.description.atlas, workers)
                    journal.answer = describe(run.folder, journal.records, run.description, workers)
        return journal.exit_code


def report_again(options: Options) -> int:
    """Describe the maps that are in the folder, without making any; return the exit code."""
    folder = tool.OutputFolder(options.output_dir, options.class_names)
    records = tool.find_scans(folder, folder.last_records(), tool.table_paths(options))
    with Workers(options.workers) as workers:
        answer = describe(folder, records, tool.read_description_of(records, options), workers)
    tool.print_answer(folder, records, answer)
    return DONE


def describe(folder: OutputFolder, records: list[MapRecord], how: Description, workers: Workers) -> list[str]:
    """Find what the maps in a folder show together, and write the report; return its answer, in lines."""
    findings = tool.describe_cohort(folder, records, how, workers)
    return tool.write_report(findings, embed=how.embed)


if __name__ == "__main__":
    sys.exit(main())
