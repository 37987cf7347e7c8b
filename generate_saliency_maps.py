"""Make maps of what a trained MRI classifier looked at, for every scan of a cohort.

Loads an EfficientNetV2 checkpoint, runs attribution methods on each scan, and writes for every scan
and method a figure of each key slice, a summary figure, the raw array and a NIfTI image in the
scan's own space; and over the cohort a table of statistics and a summary figure.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import platform
import shlex
import signal
import sys
import time
import traceback
from collections import Counter, deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from functools import partial
from importlib.metadata import version
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from mri_saliency import __version__
from mri_saliency.errors import OutputError, UserError
from mri_saliency.machine import (
    DEFAULT_DEVICE,
    Ranks,
    Work,
    Workers,
    choose_device,
    hardware_name,
    leave,
    return_freed_memory,
    usable_cores,
    without_collection,
)
from mri_saliency.methods import DEFAULT_METHODS, METHODS

# What loads PyTorch, pandas or matplotlib is imported where it is used, after the options are
# parsed: --help and a mistyped option answer at once.
if TYPE_CHECKING:
    import numpy as np
    import torch

    from mri_saliency.attribution import Batch, Explainer, Settings
    from mri_saliency.checkpoint import Checkpoint
    from mri_saliency.cohort import Scan
    from mri_saliency.figures import MapView
    from mri_saliency.outputs import OutputFolder
    from mri_saliency.volumes import Grid

RUN_FOLDER = Path("new_runs/runs_syn/syn_2723")
MODEL_PATH = RUN_FOLDER / "fold_1/best_model.pth"
PARAMETERS_PATH = RUN_FOLDER / "parameters.json"
CSV_PATH = Path("/space/mcdonald-syn01/1/projects/jsawant/Diffusion_paper/data_csvs/val.csv")
OUTPUT_DIR = RUN_FOLDER / "fold_1/saliency_maps_detailed"
DEMO_COMMAND = "python run_saliency_generation.py --demo"

BATCH_SIZES = {"cpu": 25, "cuda": 50}
BASELINES = ("zero", "background", "hc_mean")
# both small, so that memory hardly grows with the cohort
GROUP_SIZE = 10  # scans loaded and explained together at most
QUEUED_PER_WORKER = 2  # maps waiting to be drawn at most
REPORT_EVERY_S = 20.0  # between progress lines where the output is no terminal
SHOWN_FAILURES = 10
CHECKED_SCANS = 4
STOP_AFTER = 10  # scans that all fail, for one reason, before any map is made
RECORDED_PACKAGES = ("torch", "torchvision", "captum", "numpy", "pandas", "matplotlib", "nibabel")

DONE, SOME_FAILED, WRONG_REQUEST, INTERRUPTED = 0, 1, 2, 130  # exit codes
MAKE, REDRAW, KEEP = "make", "redraw", "keep"  # what is to be done about a map

EXAMPLES = """examples:
  python generate_saliency_maps.py --model_path RUN/fold_1/best_model.pth \\
      --parameters_path RUN/parameters.json --csv_path val.csv --output_dir maps
  python generate_saliency_maps.py --max_samples 0 --methods integrated_gradients deep_lift \\
      --baseline hc_mean
  python generate_saliency_maps.py --device cpu --methods saliency --key_slices 45 55 65 75
"""


def main(args: list[str] | None = None) -> int:
    """Run the script; returns its exit code."""
    command_line = shlex.join([sys.argv[0], *(sys.argv[1:] if args is None else args)])
    options = _get_parser().parse_args(args)
    try:
        check_request(options)
        with terminated_as_interrupted():
            return run(options, command_line)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return WRONG_REQUEST
    except KeyboardInterrupt:
        print(f"\ninterrupted; what is written is whole. To continue: python {command_line}", file=sys.stderr)
        return INTERRUPTED


def run(options: argparse.Namespace, command_line: str) -> int:
    """Explain a cohort, from the checkpoint to the summary; returns the exit code."""
    from mri_saliency.outputs import sha256_of_file, write_array

    if options.report_only:
        return describe_again(options)
    started = datetime.now().astimezone()
    ranks = Ranks()
    # hashing the checkpoint reads the whole file, so it goes on beside what follows
    with ThreadPoolExecutor(1) as beside, Workers(options.workers, import_for_workers) as workers:
        hashing = beside.submit(sha256_of_file, options.model_path)
        task = prepare(options, hashing, workers, ranks)
        ranks.meet("planned")  # before anything is written
        record = RunRecord(task, command_line, started)
        if ranks.is_first:
            warn_of_small_disk(task)
            task.folder.clear_parts()
            if options.baseline == "hc_mean":
                write_array(task.folder.hc_mean, task.baseline.values)
            record.write("running")
            describe_dataset(task)

        ledger = Ledger(task.plan, ranks)
        stopped: UserError | KeyboardInterrupt | None = None
        try:
            groups = load_ahead(ranks.share(task.unfinished()), task.load, workers, task.group_size)
            # chained, not nested: no name here keeps a group while the next is explained
            for job in chain.from_iterable(map(partial(jobs_of, task=task, ledger=ledger), groups)):
                ledger.add(job, workers.submit(task.write, job))
                ledger.collect(most_pending=QUEUED_PER_WORKER * max(1, options.workers))
            ledger.collect(most_pending=0)
            ledger.join_ranks()
        except (UserError, KeyboardInterrupt) as reason:  # no scan's own failure: those are in the ledger
            stopped = reason
        ledger.close()
        if not ranks.is_first:
            return conclude(stopped, DONE)
        return_freed_memory()

        records = task.folder.records(task.checkpoint_hash)
        try:
            write_tables(task.folder, records, ledger)
            record.write("interrupted" if stopped else "describing", ledger)
            if not stopped and options.check_maps:
                try:
                    check_maps(task, workers, ranks)
                except Exception as error:  # the cohort is described all the same
                    stopped = UserError(f"--check_maps: {reason_of(error)}")
            if not isinstance(stopped, KeyboardInterrupt):
                describe_cohort(task.folder, records, options, workers)
            record.write("interrupted" if stopped else "done", ledger)
        except (UserError, KeyboardInterrupt) as reason:
            stopped = stopped or reason
        return conclude(stopped, report(task.folder, records, ledger, started))


@dataclass(frozen=True)
class Task:
    """What a run was asked for, resolved: the network, the scans, and what is to be done about each map."""

    options: argparse.Namespace
    folder: OutputFolder
    checkpoint: Checkpoint
    checkpoint_hash: str
    explainer: Explainer
    scans: list[Scan]
    baseline: Baseline
    fingerprints: dict[str, dict]  # by method
    plan: dict[tuple[str, str], str]  # (subject, method) -> MAKE, REDRAW or KEEP

    @property
    def group_size(self) -> int:
        """How many scans are explained together: no more than fit in a pass."""
        return min(GROUP_SIZE, self.explainer.settings.batch_size)

    @property
    def load(self) -> Callable[[Scan], LoadedScan]:
        """Load a scan; for a worker."""
        return loader(self.options, self.checkpoint)

    @property
    def write(self) -> Callable[[MapJob], dict[str, float]]:
        """Write a map; for a worker."""
        return partial(write_map, self.folder, n_logits=self.checkpoint.n_logits, options=self.options)

    def unfinished(self) -> list[Scan]:
        """Return the scans that have a map to be made or redrawn."""
        methods = self.options.methods
        return [scan for scan in self.scans if any(self.plan[scan.subject_id, m] != KEEP for m in methods)]


def prepare(options: argparse.Namespace, hashing: Future[str], workers: Workers, ranks: Ranks) -> Task:
    """Load the network, read the cohort, and find out what is to be done."""
    with without_collection():
        from mri_saliency.attribution import Explainer
        from mri_saliency.checkpoint import load_checkpoint
        from mri_saliency.cohort import read_cohort
        from mri_saliency.outputs import OutputFolder

    device = choose_device(options.device, ranks)
    checkpoint = load_checkpoint(options.model_path, find_parameters(options))
    check_against_network(options, checkpoint)
    cohort = read_cohort(options.csv_path, options.path_column, options.diagnosis_column)
    scans = cohort.scans[: options.max_samples or None]
    if ranks.is_first:
        if options.device is None and device.type == "cpu":
            warn("no CUDA device found; running on the CPU, which is many times slower.")
        for note in cohort.notes:
            warn(note)
        print(
            f"EfficientNetV2-{checkpoint.variant}, {checkpoint.n_slices} slices, on {hardware_name(device)}; "
            f"{len(scans)} of {len(cohort.scans)} scans; {', '.join(options.methods)}",
            flush=True,
        )
    check_atlas(options, scans, checkpoint.n_slices)
    folder = OutputFolder(options.output_dir)
    folder.create()
    try:
        network = checkpoint.network.to(device)
    except RuntimeError as error:
        reason = str(error).partition("\n")[0]
        raise UserError(
            f"--device: {device} cannot be used now ({reason}). Free it, or name another."
        ) from error
    explainer = Explainer(network, settings_for(options, device))
    baseline = make_baseline(options, checkpoint, cohort.scans, workers)
    checkpoint_hash = hashing.result()
    fingerprints = fingerprints_of(options, explainer, checkpoint_hash, baseline)
    plan = make_plan(scans, folder, fingerprints, options)
    return Task(options, folder, checkpoint, checkpoint_hash, explainer, scans, baseline, fingerprints, plan)


def conclude(stopped: UserError | KeyboardInterrupt | None, code: int) -> int:
    """Return the exit code of a run that came to its end (`code`), or was stopped before."""
    if isinstance(stopped, KeyboardInterrupt):
        raise stopped
    if stopped:
        print(f"error: {stopped}", file=sys.stderr)
        return SOME_FAILED
    return code


@contextmanager
def terminated_as_interrupted() -> Iterator[None]:
    """Let a SIGTERM, as a scheduler sends it, end the run as Ctrl-C does."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


# --- The request -------------------------------------------------------------------------------


def _get_parser() -> argparse.ArgumentParser:
    methods = "\n".join(f"  {method.name:22}{method.question}" for method in METHODS.values())
    parser = argparse.ArgumentParser(
        prog="generate_saliency_maps.py",
        description=__doc__,
        epilog=f"methods (what a map answers):\n{methods}\n\n{EXAMPLES}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=__version__)

    group = parser.add_argument_group("inputs and output")
    _add(group, "--model_path", MODEL_PATH, "the trained checkpoint", type=Path)
    _add(group, "--parameters_path", PARAMETERS_PATH, "its run's parameters.json", type=Path)
    _add(group, "--csv_path", CSV_PATH, "the cohort's table, a row a scan", type=Path)
    _add(group, "--path_column", "file", "column with the volumes' paths")
    _add(
        group,
        "--diagnosis_column",
        "HC_vs_LTLE_vs_RTLE_string",
        "column with the diagnoses HC, left and right; other rows are left out",
    )
    _add(group, "--output_dir", OUTPUT_DIR, "folder for everything written", type=Path)
    _add(group, "--max_samples", 50, "scans to explain, from the table's top; 0: all", type=int)
    _add(
        group,
        "--first_slice",
        10,
        "coronal slice of a real scan that is the network's first (synthetic volumes: one less)",
        type=int,
    )

    group = parser.add_argument_group("methods")
    _add(
        group,
        "--methods",
        DEFAULT_METHODS,
        "attribution methods, listed below",
        nargs="+",
        choices=METHODS,
        metavar="METHOD",
    )
    _add(
        group,
        "--baseline",
        "zero",
        "what integrated_gradients, noise_tunnel_ig and deep_lift compare a scan with: zero; "
        "background, the scan's own air; hc_mean, the mean input of all the table's HC scans; or "
        "a file, a scan or a .npy array of the input's shape",
    )
    _add(group, "--n_steps", 50, "points on Integrated Gradients' path", type=int)
    _add(group, "--n_samples", 10, "draws of gradient_shap, noise_tunnel_ig, smooth_grad", type=int)
    _add(group, "--noise_std", 0.1, "standard deviation of the draws, in input units", type=float)
    _add(group, "--seed", 0, "seed of the draws, mixed with each scan's content", type=int)
    group.add_argument(
        "--target",
        type=int,
        help="class to explain, for networks of several logits (default: each scan's predicted class)",
    )

    group = parser.add_argument_group("figures and files")
    _add(
        group,
        "--key_slices",
        (30, 40, 50, 60, 70, 80, 90),
        "slices to draw, counted from 0 in the network's input",
        nargs="+",
        type=int,
        metavar="SLICE",
    )
    group.add_argument(
        "--no_nifti",
        dest="nifti",
        action="store_false",
        help="leave out the scans' NIfTI images (default: written)",
    )

    group.add_argument(
        "--overwrite",
        action="store_true",
        help="replace maps in --output_dir that were made otherwise (default: refuse)",
    )

    group = parser.add_argument_group("the cohort")
    group.add_argument(
        "--atlas",
        type=Path,
        help="label image in the scans' space, whose regions divide the maps (default: none)",
    )
    group.add_argument(
        "--atlas_names", type=Path, help="its table of labels and names, CSV or TSV (default: none)"
    )
    group.add_argument(
        "--check_maps",
        type=int,
        nargs="?",
        const=CHECKED_SCANS,
        default=0,
        metavar="SCANS",
        help="check the maps on the network itself, on so many scans: weights shuffled, voxels "
        f"replaced, maps repeated (default: no; {CHECKED_SCANS} scans where no number is given)",
    )
    group.add_argument(
        "--report_only",
        action="store_true",
        help="make no maps; describe those in --output_dir again (default: make maps)",
    )
    group.add_argument(
        "--report_embed",
        action="store_true",
        help="put all pictures into report.html, to mail one file; for few scans (default: linked)",
    )

    group = parser.add_argument_group("machine")
    group.add_argument(
        "--device",
        help=f"PyTorch device (default: {DEFAULT_DEVICE}, or cpu where there is no CUDA device)",
    )
    group.add_argument(
        "--batch_size",
        type=int,
        help="most volumes in one pass of the network; less needs less memory (default: "
        + ", ".join(f"{size} on {kind}" for kind, size in BATCH_SIZES.items())
        + ")",
    )
    _add(
        group,
        "--workers",
        usable_cores(),
        "processes that load and draw; 0: none beside the main one",
        type=int,
    )
    return parser


def _add(group: argparse._ArgumentGroup, flag: str, default: object, help_text: str, **rest: object) -> None:
    many = isinstance(default, tuple)
    shown = " ".join(map(str, default)) if many else str(default)
    default = list(default) if many else default
    group.add_argument(flag, default=default, help=f"{help_text} (default: {shown})", **rest)


def check_request(options: argparse.Namespace) -> None:
    """Raise UserError for options that cannot be right, before anything heavy is loaded."""
    least = {"max_samples": 0, "first_slice": 0, "n_steps": 1, "n_samples": 1, "workers": 0}
    least |= {"batch_size": 1, "target": 0, "seed": 0, "check_maps": 0}
    for name, smallest in least.items():
        value = getattr(options, name)
        if value is not None and value < smallest:
            raise UserError(f"--{name}: expected {smallest} or more, found {value}.")
    if not 0 < options.noise_std < float("inf"):
        raise UserError(f"--noise_std: expected a positive number, found {options.noise_std}.")
    if min(options.key_slices) < 0:
        raise UserError(f"--key_slices: expected 0 or more, found {min(options.key_slices)}.")
    options.key_slices = list(dict.fromkeys(options.key_slices))
    options.methods = list(dict.fromkeys(options.methods))
    if options.atlas_names is not None and options.atlas is None:
        raise UserError("--atlas_names: names the regions of an --atlas, and none is given.")
    if options.report_only:
        if options.check_maps:
            raise UserError("--check_maps needs the network, which --report_only does without; choose one.")
        return
    if options.model_path == MODEL_PATH and not os.path.exists(MODEL_PATH):
        raise UserError(
            f"{MODEL_PATH}: no such file, and it is the default checkpoint. Name yours with "
            f"--model_path, or try the tool on simulated scans: {DEMO_COMMAND}"
        )
    if options.csv_path == CSV_PATH and not os.path.exists(CSV_PATH):
        raise UserError(
            f"{CSV_PATH}: no such file, and it is the default cohort table. Name yours with --csv_path."
        )
    if options.baseline not in BASELINES and not os.path.exists(options.baseline):
        raise UserError(
            f"--baseline: {options.baseline!r} is neither a file nor one of {', '.join(BASELINES)}."
        )


def find_parameters(options: argparse.Namespace) -> Path | None:
    """Return the path of parameters.json; None if it was not asked for and is not there."""
    if options.parameters_path == PARAMETERS_PATH and not os.path.exists(PARAMETERS_PATH):
        warn(f"no {PARAMETERS_PATH}; going on without it (nothing in it changes a map).")
        return None
    return options.parameters_path


def check_against_network(options: argparse.Namespace, checkpoint: Checkpoint) -> None:
    """Raise UserError for options that this network cannot serve; a single logit is the target."""
    check_key_slices(options, checkpoint.n_slices)
    if options.target is not None and options.target >= checkpoint.n_logits:
        raise UserError(
            f"--target: the network has {checkpoint.n_logits} logit(s), counted from 0; "
            f"found {options.target}."
        )
    if checkpoint.n_logits == 1:
        options.target = 0


def check_key_slices(options: argparse.Namespace, n_slices: int) -> None:
    """Raise UserError for key slices that the network has not."""
    beyond = [index for index in options.key_slices if index >= n_slices]
    if beyond:
        raise UserError(
            f"--key_slices: the network has slices 0 to {n_slices - 1}; found {', '.join(map(str, beyond))}."
        )


def check_atlas(options: argparse.Namespace, scans: list[Scan], n_slices: int) -> None:
    """Raise UserError if ``--atlas`` cannot serve these scans, of which one is tried."""
    if options.atlas is None:
        return
    from mri_saliency import evidence, volumes

    for scan in scans[:STOP_AFTER]:
        try:
            grid = volumes.load_volume(scan.path, n_slices, options.first_slice).grid
        except UserError:  # costs that scan alone, and is reported where it is explained
            continue
        if grid.affine is not None:
            return evidence.check_atlas(options.atlas, options.atlas_names, grid.record())


def settings_for(options: argparse.Namespace, device: torch.device) -> Settings:
    """Gather what determines the maps."""
    from mri_saliency.attribution import Settings

    return Settings(
        batch_size=options.batch_size or BATCH_SIZES[device.type],
        n_steps=options.n_steps,
        n_samples=options.n_samples,
        noise_std=options.noise_std,
        seed=options.seed,
    )


# --- What is done already -----------------------------------------------------------------------


def fingerprints_of(
    options: argparse.Namespace, explainer: Explainer, checkpoint_hash: str, baseline: Baseline
) -> dict[str, dict]:
    """Name all that determines a map beside its scan, for each method."""
    from mri_saliency.attribution import MATHS

    settings = asdict(explainer.settings) | {"baseline": baseline.identity}
    of_all = {
        "maths": MATHS,
        "checkpoint": checkpoint_hash,
        "first_slice": options.first_slice,
        "target": options.target,
    }
    # a CPU and each model of GPU draw different numbers
    drawn_on = {"drawn_on": hardware_name(next(explainer.network.parameters()).device)}
    return {
        name: of_all
        | {setting: settings[setting] for setting in METHODS[name].settings}
        | (drawn_on if METHODS[name].stochastic else {})
        for name in options.methods
    }


def make_plan(
    scans: list[Scan], folder: OutputFolder, fingerprints: dict[str, dict], options: argparse.Namespace
) -> dict[tuple[str, str], str]:
    """Decide for each (subject, method) whether its map is made, redrawn or kept.

    Raises
    ------
    UserError
        Maps are there that were made otherwise, and ``--overwrite`` was not given.
    """
    plan, differing = {}, []
    is_ours = folder.last_run() is not None
    for scan in scans:
        for method, fingerprint in fingerprints.items():
            name = (method, scan.subject_id)
            record = folder.read_sidecar(*name)
            if record is not None:
                difference = difference_of(record, fingerprint, scan)
            elif not is_ours and folder.array(*name).exists():
                difference = "another program made it, or an earlier version of this one"
            else:
                difference = None
            if difference and not options.overwrite:
                differing.append(f"{method} of {scan.subject_id}: {difference}")
            if record is None or difference:
                plan[scan.subject_id, method] = MAKE
            else:
                plan[scan.subject_id, method] = KEEP if is_drawn(record, folder, options) else REDRAW
    if differing:
        raise UserError(
            f"{folder.root}: {len(differing)} maps are there that were made otherwise, such as "
            f"{differing[0]}. Choose another --output_dir, or replace them with --overwrite."
        )
    return plan


def difference_of(record: dict, fingerprint: dict, scan: Scan) -> str | None:
    """Say in what the making of a map, by its sidecar, differs from what is asked now."""
    from mri_saliency.outputs import is_same_file

    then = record["fingerprint"]
    changed = [
        f"{key} was {_short(then.get(key))}, now {_short(fingerprint.get(key))}"
        for key in {**then, **fingerprint}
        if then.get(key) != fingerprint.get(key)
    ]
    if not is_same_file(record["source"], scan.path):
        changed.append(f"the scan's file has changed, or is another ({record['source']['path']} then)")
    return "; ".join(changed) or None


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 24 else f"{text[:20]}…"


def is_drawn(record: dict, folder: OutputFolder, options: argparse.Namespace) -> bool:
    """Tell whether all files that are asked for are beside a map's array."""
    name = (record["method"], record["subject_id"])
    wanted = {folder.slice_figure(*name, index).name for index in options.key_slices}
    if options.nifti:
        wanted.add(folder.nifti(*name).name)
    return wanted <= record["files"].keys() and record["key_slices"] == options.key_slices


def warn_of_small_disk(task: Task) -> None:
    """Warn if the new maps' files will hardly fit on the disk."""
    options, n_maps = task.options, list(task.plan.values()).count(MAKE)
    array, image, picture = 4 * task.checkpoint.n_slices * 128**2, 4 * 113 * 137 * 113, 150_000  # bytes
    need = n_maps * (array + image * options.nifti + picture * (2 + len(options.key_slices)))
    free = task.folder.free_bytes()
    if need > free:
        warn(
            f"{task.folder.root}: the new maps need about {need / 1e9:.1f} GB, and {free / 1e9:.1f} GB are "
            "free. --no_nifti and fewer --key_slices need less."
        )


# --- Scans, loaded ahead by the workers ---------------------------------------------------------


def import_for_workers() -> None:
    """Import what a worker's work needs."""
    with without_collection():
        from mri_saliency import evidence, figures, measures, outputs, volumes  # noqa: F401


@dataclass(frozen=True)
class LoadedScan:
    """A scan, the network's input for it, and what its maps' files need."""

    scan: Scan
    source: dict  # its file's identity
    network_input: np.ndarray | None  # float32 (n_slices, 128, 128); None once it has been explained
    grid: Grid
    brain: np.ndarray  # bool (n_slices, 128, 128)
    anatomy: np.ndarray  # (key slices, height, width), upright
    window: tuple[float, float]  # intensities drawn black and white
    work_s: float  # processor time of loading


def load_scan(scan: Scan, *, n_slices: int, first_slice: int, key_slices: list[int]) -> LoadedScan:
    """Load a scan; runs in a worker."""
    from mri_saliency import figures, outputs, volumes

    began = time.process_time()
    volume = volumes.load_volume(scan.path, n_slices, first_slice)
    slices = volumes.unpad(volume.network_input)
    return LoadedScan(
        scan,
        outputs.source_of(scan.path),
        volume.network_input,
        volume.grid,
        volumes.brain_mask(volume.network_input),
        volumes.upright(slices[key_slices], volume.grid),
        figures.intensity_window(slices),
        time.process_time() - began,
    )


def loader(options: argparse.Namespace, checkpoint: Checkpoint) -> Callable[[Scan], LoadedScan]:
    """Return `load_scan` for this network."""
    return partial(
        load_scan,
        n_slices=checkpoint.n_slices,
        first_slice=options.first_slice,
        key_slices=options.key_slices,
    )


def load_ahead(
    scans: list[Scan], load: Callable[[Scan], LoadedScan], workers: Workers, group_size: int
) -> Iterator[list[LoadedScan | UnreadableScan]]:
    """Yield the scans in order, in groups, while workers load the next group."""
    waiting: deque[tuple[Scan, Work]] = deque()
    unasked = iter(scans)
    group = []
    for _ in scans:
        while len(waiting) < group_size and (scan := next(unasked, None)):
            waiting.append((scan, workers.submit(load, scan)))
        scan, loading = waiting.popleft()
        try:
            group.append(loading.result())
        except Exception as error:  # whatever a file does, it costs its own scan only
            group.append(UnreadableScan(scan, reason_of(error)))
        if len(group) == group_size:
            yield group
            group = []
    if group:
        yield group


@dataclass(frozen=True)
class UnreadableScan:
    """A scan that could not be loaded, and why."""

    scan: Scan
    reason: str


def reason_of(error: Exception) -> str:
    """Say why something failed; what is no mistake of the user's keeps its traceback in the log."""
    if isinstance(error, UserError):
        return str(error)
    traceback.print_exception(error)
    return (
        f"unexpected {type(error).__name__}: {error} (a defect of this program; its traceback is in the log)"
    )


@dataclass(frozen=True)
class Baseline:
    """What scans are compared with: float32 (n_slices, 128, 128), or None where each has its own."""

    identity: str
    values: np.ndarray | None


def make_baseline(
    options: argparse.Namespace,
    checkpoint: Checkpoint,
    cohort: list[Scan],
    workers: Workers,
) -> Baseline:
    """Make the baseline that ``--baseline`` asks for."""
    import numpy as np

    from mri_saliency import volumes
    from mri_saliency.outputs import sha256_of_array

    if options.baseline == "background":
        return Baseline(options.baseline, None)
    if options.baseline == "zero":
        zeros = np.zeros((checkpoint.n_slices, volumes.INPUT_SIZE, volumes.INPUT_SIZE), np.float32)
        return Baseline(options.baseline, zeros)
    if options.baseline != "hc_mean":
        path = Path(options.baseline)
        values = volumes.load_baseline(path, checkpoint.n_slices, options.first_slice)
        return Baseline(f"{path.name} {sha256_of_array(values)}", values)
    healthy = [scan for scan in cohort if scan.label == 0]
    print(f"averaging {len(healthy)} HC scans for the baseline", flush=True)
    total, files = 0.0, []
    for group in load_ahead(healthy, loader(options, checkpoint), workers, group_size=8):
        for loaded in group:
            if isinstance(loaded, UnreadableScan):
                warn(f"left out of the baseline: {loaded.reason}")
            else:
                total = total + loaded.network_input.astype(np.float64)
                files.append(loaded.source["sha256"])
    if not files:
        raise UserError(f"--baseline hc_mean: {options.csv_path} has no readable HC scan to average.")
    # known by its scans: the last digits of the mean are the processor's
    identity = hashlib.sha256("".join(sorted(files)).encode()).hexdigest()
    return Baseline(f"hc_mean {identity}", (total / len(files)).astype(np.float32))


# --- Maps, made by the network ------------------------------------------------------------------


def jobs_of(group: list[LoadedScan | UnreadableScan], task: Task, ledger: Ledger) -> Iterator[MapJob]:
    """Make the maps of a group of scans, method by method, and yield what is to be written."""
    plan, methods = task.plan, task.options.methods
    readable = ledger.without_unreadable(group, methods)
    for loaded in readable:
        for method in methods:
            if plan[loaded.scan.subject_id, method] == REDRAW:
                yield MapJob(replace(loaded, network_input=None), method)
    batch = None
    for method in methods:
        chosen = [loaded for loaded in readable if plan[loaded.scan.subject_id, method] == MAKE]
        at_a_time = task.explainer.scans_at_a_time(method)
        for start in range(0, len(chosen), at_a_time):
            part = slice(start, start + at_a_time)
            try:
                if batch is None or batch.scan_ids != ids_of(chosen):
                    batch = make_batch(chosen, task)
                made = make_maps(method, batch, part, task, ledger)
            except Exception as error:
                for loaded in chosen[part]:
                    ledger.fail(loaded.scan, [method], reason_of(error))
                continue
            for loaded in chosen[part]:  # none is kept here while the next method runs
                yield MapJob(replace(loaded, network_input=None), method, made.pop(0))


def make_maps(method: str, batch: Batch, part: slice, task: Task, ledger: Ledger) -> list[MadeMap]:
    """Make the maps of a part of a batch's scans."""
    began = time.perf_counter()
    batch = task.explainer.part_of(batch, part)
    attributions = task.explainer.attribute(method, batch)
    logits = task.explainer.logits(batch).cpu().numpy()
    seconds = time.perf_counter() - began
    ledger.work_s["network"] += seconds
    return [
        MadeMap(
            **vars(attribution),
            logits=logits[index],
            target=batch.targets[index],
            seconds=seconds / len(attributions),
            fingerprint=task.fingerprints[method],
        )
        for index, attribution in enumerate(attributions)
    ]


def ids_of(group: list[LoadedScan]) -> list[str]:
    """Identify scans by their files' content, which their random draws depend on."""
    return [loaded.source["sha256"] for loaded in group]


def make_batch(group: list[LoadedScan], task: Task) -> Batch:
    """Gather scans and what they are compared with."""
    import numpy as np

    from mri_saliency.volumes import air_input

    inputs = np.stack([loaded.network_input for loaded in group])
    if task.baseline.values is None:
        baselines = np.stack([air_input(network_input) for network_input in inputs])
    else:
        baselines = task.baseline.values[None]
    return task.explainer.batch(inputs, baselines, ids_of(group), task.options.target)


# --- Maps, written by the workers ---------------------------------------------------------------


@dataclass(frozen=True)
class MadeMap:
    """A map as the network made it."""

    values: np.ndarray  # float32 (n_slices, 128, 128)
    total: float  # their sum
    expected_total: float | None  # the change of the logit it should equal
    logits: np.ndarray  # (n_logits,)
    target: int  # which of them is explained
    seconds: float  # the network's time for it
    fingerprint: dict


@dataclass(frozen=True)
class MapJob:
    """A map to be written, or, with none made, to be drawn again from its array.

    It crosses to a worker, so it holds no tensor and no network input.
    """

    loaded: LoadedScan
    method: str
    made: MadeMap | None = None


def write_map(
    folder: OutputFolder, job: MapJob, *, n_logits: int, options: argparse.Namespace
) -> dict[str, float]:
    """Measure a map, draw it, and write its files; runs in a worker.

    Returns the processor time by kind of work.
    """
    import numpy as np

    from mri_saliency import figures, outputs, volumes

    began = time.process_time()
    scan, grid = job.loaded.scan, job.loaded.grid
    name = (job.method, scan.subject_id)
    if job.made is None:
        values = np.load(folder.array(*name), allow_pickle=False)
        record = folder.read_sidecar(*name)
    else:
        values = job.made.values
        record = describe_map(job, job.made, options)
    view = view_of(job.loaded, values, record, n_logits, options.key_slices)
    pictures = {folder.summary_figure(*name): figures.summary_figure(view)}
    for index, picture in zip(options.key_slices, figures.slice_figures(view), strict=True):
        pictures[folder.slice_figure(*name, index)] = picture
    drawn = time.process_time()

    folder.open_map(*name, afresh=job.made is not None)
    files = [folder.array(*name).with_name(file) for file in record["files"]]
    if job.made is not None:
        outputs.write_array(folder.array(*name), values)
        files.append(folder.array(*name))
    if options.nifti:
        description = f"{job.method}, {METHODS[job.method].unit}"
        image = volumes.to_nifti(volumes.unpad(values), grid, description)
        outputs.write_nifti(folder.nifti(*name), image, durably=True)
        files.append(folder.nifti(*name))
    for path, picture in pictures.items():
        outputs.write_picture(path, picture)
    folder.write_sidecar(*name, record | {"key_slices": options.key_slices}, [*files, *pictures])
    return {"draw": drawn - began, "write": time.process_time() - drawn}


def describe_map(job: MapJob, made: MadeMap, options: argparse.Namespace) -> dict:
    """Make the content of a map's sidecar: how it was made, and its row of statistics."""
    import numpy as np

    from mri_saliency import measures

    scan = job.loaded.scan
    if not np.isfinite(made.values).all():
        raise UserError(f"{scan.path}: the {job.method} map has NaN or infinite values.")
    baseline = Path(options.baseline).name if "baseline" in METHODS[job.method].settings else None
    return {
        "subject_id": scan.subject_id,
        "method": job.method,
        "source": job.loaded.source,
        "Sources": [scan.path.absolute().as_uri()],  # these three are BIDS's names
        "SpatialReference": scan.path.absolute().as_uri(),
        "SkullStripped": True,
        "grid": job.loaded.grid.record(),
        "brain_voxels": int(job.loaded.brain.sum()),
        "fingerprint": made.fingerprint,
        "statistics": {
            "method": job.method,
            **measures.map_statistics(made.values, job.loaded.brain),
            "subject_id": scan.subject_id,
            "true_label": scan.label,
            "diagnosis": scan.diagnosis,
            **measures.prediction(made.logits),
            "target": made.target,
            "baseline": baseline,
            "sample_idx": scan.sample_idx,
            **measures.completeness(made.total, made.expected_total),
            "seconds": made.seconds,
        },
        "slice_profile": measures.slice_profile(made.values).tolist(),
        "files": {},
    }


def view_of(
    loaded: LoadedScan, values: np.ndarray, record: dict, n_logits: int, key_slices: list[int]
) -> MapView:
    """Gather what a map's figures show."""
    from mri_saliency import figures, volumes

    grid, method, row = loaded.grid, METHODS[record["method"]], record["statistics"]
    values = volumes.unpad(values)
    in_mm = grid.affine is not None
    compared = f" from {_shortened(row['baseline'], 24)}" if row["baseline"] else ""
    return figures.MapView(
        anatomy=loaded.anatomy,
        attribution=volumes.upright(values[key_slices], grid),
        slice_titles=grid.slice_titles(key_slices),
        title=f"{_shortened(row['subject_id'], 32)}   {method.name}{compared}",
        subtitle=_verdict(row, n_logits) + ("" if in_mm else "; no affine: sides unknown"),
        extent=grid.extent,
        in_mm=in_mm,
        signed=method.signed,
        unit=method.unit,
        scale=figures.colour_scale(values),
        window=loaded.window,
    )


def _verdict(row: dict, n_logits: int) -> str:
    """Say the prediction, the truth and, where there is a choice, the class explained, in words."""
    names = ("HC", "TLE") if n_logits <= 2 else [f"class {index}" for index in range(n_logits)]
    truth = "HC" if row["true_label"] == 0 else f"TLE ({row['diagnosis']})"
    return (
        f"predicted {names[row['predicted_label']]} with {row['confidence']:.1%} confidence; "
        f"true diagnosis {truth}" + (f"; explains {names[row['target']]}" if n_logits > 1 else "")
    )


def _shortened(text: str, length: int) -> str:
    """Leave out the middle of a text that is too long for a title."""
    half = (length - 1) // 2
    return text if len(text) <= length else f"{text[:half]}…{text[-half:]}"


class Ledger:
    """What was asked of the workers, what came back, what failed, and how far it all is."""

    def __init__(self, plan: dict[tuple[str, str], str], ranks: Ranks) -> None:
        self.counts = Counter(plan.values())
        self.n_written = 0
        self.failures: list[dict] = []
        self.work_s: Counter[str] = Counter()  # workers' processor time, the network's wall-clock time
        self._reasons: dict[str, str] = {}  # of scans that failed, without the scan's own path
        self._departures: set[str] = set()
        self._pending: deque[tuple[MapJob, Work]] = deque()
        self._ranks = ranks
        self._progress = Progress(len(plan), self.counts[KEEP], ranks)

    def add(self, job: MapJob, writing: Work) -> None:
        """Note a map that a worker is writing."""
        self._pending.append((job, writing))

    def collect(self, most_pending: int) -> None:
        """Take in the maps that are written, and wait until at most this many are still to come.

        Raises
        ------
        OutputError
            The output folder cannot be written to.
        """
        while self._pending and (len(self._pending) > most_pending or self._pending[0][1].done()):
            job, writing = self._pending.popleft()
            try:
                self.work_s.update(writing.result())
            except OutputError:
                raise
            except Exception as error:
                self.fail(job.loaded.scan, [job.method], reason_of(error))
            else:
                self.n_written += 1
                self._progress.advance()

    def without_unreadable(
        self, group: list[LoadedScan | UnreadableScan], methods: list[str]
    ) -> list[LoadedScan]:
        """Note the scans that could not be loaded, and warn of unusual ones; returns those loaded."""
        from mri_saliency.volumes import departure

        readable = []
        for loaded in group:
            if isinstance(loaded, UnreadableScan):
                self.fail(loaded.scan, methods, loaded.reason)
                continue
            readable.append(loaded)
            self.work_s["load"] += loaded.work_s
            unusual = departure(loaded.grid)
            if unusual and unusual not in self._departures:
                self._departures.add(unusual)
                self._progress.say(
                    f"warning: {loaded.scan.subject_id} (at least) is not on the grid that the laboratory's "
                    f"networks were trained on: {unusual}. The network sees another part of the head."
                )
        return readable

    def fail(self, scan: Scan, methods: list[str], reason: str) -> None:
        """Note a failure and say it at once.

        Raises
        ------
        UserError
            It is the tenth scan that fails for the same reason, and no map has been made.
        """
        self._progress.say(f"failed: {scan.subject_id} ({', '.join(methods)}): {reason}")
        for method in methods:
            self.failures.append(
                {
                    "subject_id": scan.subject_id,
                    "method": method,
                    "file": str(scan.path),
                    "reason": reason,
                }
            )
            self._progress.advance()
        self._reasons.setdefault(scan.subject_id, reason.replace(str(scan.path), "(the scan)"))
        none_made = not (self.n_written or self._pending or self.counts[KEEP])
        if len(self._reasons) >= STOP_AFTER and none_made and len(set(self._reasons.values())) == 1:
            raise UserError(
                f"stopped: the first {STOP_AFTER} scans all failed for the same reason: "
                f"{self._reasons[scan.subject_id]}"
            )

    def join_ranks(self) -> None:
        """Wait for torchrun's other ranks; the first takes what they report into its own account."""
        self._ranks.hand_in({"n": self.n_written, "failures": self.failures, "work_s": self.work_s})
        self._ranks.meet("ended", meanwhile=self._progress.refresh)
        self._progress.refresh()
        if self._ranks.is_first:
            for account in self._ranks.collect():
                self.n_written += account["n"]
                self.failures += account["failures"]
                self.work_s.update(account["work_s"])

    def close(self) -> None:
        """Drop the maps that wait for a worker, wait for those being written, and end the progress bar."""
        for _, writing in self._pending:
            if not writing.cancel():
                writing.wait()
        self._progress.close()


class Progress:
    """One bar with the time left, of all ranks; plain lines now and then where there is no terminal."""

    def __init__(self, total: int, before: int, ranks: Ranks, unit: str = "map") -> None:
        from tqdm import tqdm

        self._is_terminal = sys.stderr.isatty()
        self._bar = tqdm(
            total=total,
            initial=before,
            unit=unit,
            disable=not (self._is_terminal and ranks.is_first),
            smoothing=0.05,
        )
        self._total, self._before, self._ranks, self._unit = total, before, ranks, unit
        self._shown = 0
        self._began = self._reported = time.monotonic()

    def advance(self, n: int = 1) -> None:
        """Count maps of this rank, finished or failed, and show how far all ranks are."""
        done = self._ranks.add(self._unit, n)
        self._bar.update(done - self._shown)
        now = time.monotonic()
        at_end = self._before + done == self._total and done > self._shown
        self._shown = done
        says_lines = self._ranks.is_first and not self._is_terminal
        if says_lines and done and (now - self._reported > REPORT_EVERY_S or at_end):
            self._reported = now
            left_s = (now - self._began) / done * (self._total - self._before - done)
            elapsed, left = (self._bar.format_interval(t) for t in (now - self._began, left_s))
            print(
                f"{self._before + done} of {self._total} {self._unit}s, {elapsed} elapsed, {left} left",
                file=sys.stderr,
                flush=True,
            )

    def refresh(self) -> None:
        """Show how far all ranks are."""
        self.advance(0)

    def say(self, message: str) -> None:
        """Print a line without breaking the bar."""
        self._bar.write(message, file=sys.stderr)

    def close(self) -> None:
        """Leave the bar as it is."""
        self._bar.close()


# --- The cohort ---------------------------------------------------------------------------------


def write_tables(folder: OutputFolder, records: list[dict], ledger: Ledger) -> None:
    """Write the statistics of all maps in the folder, and this run's failures."""
    import pandas as pd

    from mri_saliency.evidence import statistics_of
    from mri_saliency.outputs import write_table

    if records:
        write_table(folder.statistics, statistics_of(records))
    else:
        folder.statistics.unlink(missing_ok=True)
    if ledger.failures:
        write_table(folder.failures, pd.DataFrame(ledger.failures))
    else:
        folder.failures.unlink(missing_ok=True)


def describe_cohort(
    folder: OutputFolder, records: list[dict], options: argparse.Namespace, workers: Workers
) -> None:
    """Tell what the maps in the folder show together; needs no network."""
    from mri_saliency import evidence

    if not records:
        return
    records, notes = evidence.comparable(records)
    agreement = evidence.compare_methods(folder, records, workers)
    summarising = workers.submit(evidence.summarise, folder, records, agreement)
    space, more_notes = evidence.find_common_space(folder, records, workers)
    group_figures = evidence.map_groups(folder, records, space, options.key_slices, workers)
    regions = None
    if options.atlas is not None:
        regions = evidence.measure_regions(folder, records, options.atlas, options.atlas_names, workers)
    elif folder.regions.exists():
        notes.append(f"{folder.regions} is of an earlier run; --atlas brings it up to date.")
    summarising.result()
    verdicts = evidence.judge_checks(folder, records)
    alarms = evidence.alarms_of(records, verdicts)
    for message in (*notes, *more_notes, *alarms):
        warn(message)
    findings = evidence.Findings(agreement, group_figures, regions, verdicts, alarms)
    evidence.write_report(folder, records, findings, embed=options.report_embed)


def describe_again(options: argparse.Namespace) -> int:
    """Describe the maps that are in the folder, without making any; returns the exit code."""
    from mri_saliency import evidence
    from mri_saliency.outputs import OutputFolder

    folder = OutputFolder(options.output_dir)
    last = folder.last_run()
    if last is None or "checkpoint" not in last:
        raise UserError(
            f"{folder.root}: no run.json of a run there, so no maps to describe. Name a run's --output_dir."
        )
    records = folder.records(last["checkpoint"]["sha256"])
    if not records:
        raise UserError(f"{folder.root}: has no finished map of its checkpoint to describe.")
    check_key_slices(options, records[0]["grid"]["n_slices"])
    if options.atlas is not None:
        placed = [record["grid"] for record in records if record["grid"]["affine"]]
        evidence.check_atlas(options.atlas, options.atlas_names, (placed or [records[0]["grid"]])[0])
    with Workers(options.workers, import_for_workers) as workers:
        describe_cohort(folder, records, options, workers)
    print(f"{len(records)} maps described: {folder.report}")
    return DONE


def check_maps(task: Task, workers: Workers, ranks: Ranks) -> None:
    """Check each method's maps on the network itself, on a few scans, and write what was found."""
    import numpy as np

    from mri_saliency import checks, evidence, figures
    from mri_saliency.outputs import write_figure, write_table

    n_asked = min(task.options.check_maps, len(task.scans))
    chosen = [task.scans[i] for i in np.linspace(0, len(task.scans) - 1, n_asked).round().astype(int)]
    group = next(load_ahead(chosen, task.load, workers, n_asked))
    loaded = [scan for scan in group if isinstance(scan, LoadedScan)]
    if len(loaded) < 2:
        warn("--check_maps needs two readable scans at least, whose maps it compares; left out.")
        return
    methods = task.options.methods
    checked = checks.Checked(
        make_batch(loaded, task),
        [one.scan.subject_id for one in loaded],
        np.stack([one.brain for one in loaded]),
    )
    print(f"checking the maps of {len(loaded)} scans on the network", flush=True)
    progress = Progress(checks.n_stages(task.explainer.network, methods), 0, ranks, unit="check")
    table = checks.check_maps(task.explainer, checked, methods, progress.advance)
    progress.close()
    for method, verdict in checks.verdicts(table).items():
        print(f"{method}: " + "; ".join(f"{check}: {answer}" for check, answer in verdict.answers().items()))
    means = checks.mean_values(table)
    curves = {
        check: {name: checks.curve(means, check, name) for name in (*methods, *checks.ORDERS)}
        for check in ("deletion", "insertion")
    }
    areas = {method: checks.areas_between(table, method) for method in methods}
    figure = figures.check_figure(means, checks.pass_lines(table), curves, areas)
    write_figure(task.folder.check_figure, figure)
    digests = {method: evidence.digest_of(fingerprint) for method, fingerprint in task.fingerprints.items()}
    table.insert(0, "fingerprint", table["method"].map(digests))
    write_table(task.folder.checks, table)


@dataclass(frozen=True)
class RunRecord:
    """run.json: what is needed to say how these maps were made, and to make them again."""

    task: Task
    command_line: str
    started: datetime

    def write(self, status: str, ledger: Ledger | None = None) -> None:
        """Write it; runs before this one are kept in it, without their own list of earlier ones."""
        from mri_saliency.outputs import write_json

        task = self.task
        device = next(task.explainer.network.parameters()).device
        started = self.started.isoformat(timespec="seconds")
        content = {
            "tool": {"name": "mri-saliency-maps", "version": __version__},
            "status": status,
            "command_line": self.command_line,
            "working_directory": str(Path.cwd()),
            "options": {key: _plain(value) for key, value in vars(task.options).items()},
            "settings": asdict(task.explainer.settings),
            "checkpoint": {
                "path": str(task.options.model_path.absolute()),
                "sha256": task.checkpoint_hash,
                "network": f"EfficientNetV2-{task.checkpoint.variant}",
                "n_slices": task.checkpoint.n_slices,
                "n_logits": task.checkpoint.n_logits,
            },
            "training_parameters": task.checkpoint.parameters,
            "device": {"name": str(device), "hardware": hardware_name(device)},
            "platform": platform.platform(),
            "versions": {"python": platform.python_version()}
            | {package: version(package) for package in RECORDED_PACKAGES},
            "started": started,
        }
        if ledger is not None:
            content |= {
                "ended": datetime.now().astimezone().isoformat(timespec="seconds"),
                "work_s": {kind: round(seconds, 2) for kind, seconds in ledger.work_s.items()},
                "counts": {
                    "maps": ledger.n_written,
                    "kept": ledger.counts[KEEP],
                    "failures": len(ledger.failures),
                },
            }
        last = task.folder.last_run() or {}
        earlier = last.pop("earlier_runs", [])
        if last and last.get("started") != started:
            earlier.append(last)
        write_json(task.folder.run_record, content | {"earlier_runs": earlier})


def describe_dataset(task: Task) -> None:
    """Write dataset_description.json, which tells BIDS tools what the folder is."""
    from mri_saliency.outputs import write_json

    content = {
        "Name": "Attribution maps of an MRI classifier",
        "BIDSVersion": "1.10.0",
        "DatasetType": "derivative",
        "GeneratedBy": [{"Name": "mri-saliency-maps", "Version": __version__}],
        "SourceDatasets": [{"URL": task.options.csv_path.absolute().parent.as_uri()}],
    }
    write_json(task.folder.dataset_description, content)


def _plain(value: object) -> object:
    return str(value) if isinstance(value, Path) else value


def report(folder: OutputFolder, records: list[dict], ledger: Ledger, started: datetime) -> int:
    """Say what was made, what to look at and what failed; returns the exit code."""
    seconds = (datetime.now().astimezone() - started).total_seconds()
    kept = f", {ledger.counts[KEEP]} were there" if ledger.counts[KEEP] else ""
    print(f"{ledger.n_written} maps in {seconds:.0f} s{kept}: {folder.root}; read report.html there first")
    verdicts = Counter((record["method"], record["statistics"]["completeness_verdict"]) for record in records)
    for method in dict.fromkeys(method for method, verdict in verdicts if verdict):
        ok, check = verdicts[method, "ok"], verdicts[method, "check"]
        print(f"completeness of {method}: {ok} ok, {check} to check")
    if not ledger.failures:
        return DONE
    print(f"{len(ledger.failures)} maps failed, listed in {folder.failures}:", file=sys.stderr)
    for failure in ledger.failures[:SHOWN_FAILURES]:
        print(f"  {failure['subject_id']} {failure['method']}: {failure['reason']}", file=sys.stderr)
    if len(ledger.failures) > SHOWN_FAILURES:
        print(f"  and {len(ledger.failures) - SHOWN_FAILURES} more", file=sys.stderr)
    return SOME_FAILED


def warn(message: str) -> None:
    """Print a warning."""
    print(f"warning: {message}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    leave(main())
