"""Make maps of what a trained MRI classifier looked at, for every scan of a cohort.

Loads an EfficientNetV2 checkpoint, runs attribution methods on each scan, and writes for every scan
and method a figure of each key slice, a summary figure, the raw array and a NIfTI image in the
scan's own space; and over the cohort a table of statistics and a summary figure.
"""

from __future__ import annotations

import argparse
import platform
import shlex
import sys
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from mri_saliency import __version__
from mri_saliency.errors import UserError
from mri_saliency.machine import DEFAULT_DEVICE, choose_device, hardware_name, usable_cores, worker_pool
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

BATCH_SIZES = {"cpu": 10, "cuda": 50}
BASELINES = ("zero", "background", "hc_mean")
QUEUED_PER_WORKER = 3  # maps waiting to be drawn at most, so that memory does not grow
REPORT_EVERY_S = 20.0  # between progress lines where the output is no terminal
SHOWN_FAILURES = 10
RECORDED_PACKAGES = ("torch", "torchvision", "captum", "numpy", "pandas", "matplotlib", "nibabel")

DONE, SOME_FAILED, WRONG_REQUEST, INTERRUPTED = 0, 1, 2, 130  # exit codes

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
        return run(options, command_line)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return WRONG_REQUEST
    except KeyboardInterrupt:
        print("\ninterrupted; the maps written so far are intact.", file=sys.stderr)
        return INTERRUPTED


def run(options: argparse.Namespace, command_line: str) -> int:
    """Explain a cohort, from the checkpoint to the summary; returns the exit code."""
    from mri_saliency.attribution import Explainer
    from mri_saliency.checkpoint import load_checkpoint, sha256_of_file
    from mri_saliency.cohort import read_cohort
    from mri_saliency.outputs import OutputFolder

    started = datetime.now().astimezone()
    device = choose_device(options.device)
    if options.device is None and device.type == "cpu":
        warn("no CUDA device found; running on the CPU, which is many times slower.")
    checkpoint = load_checkpoint(options.model_path, find_parameters(options))
    check_against_network(options, checkpoint)
    cohort = read_cohort(options.csv_path, options.path_column, options.diagnosis_column)
    for note in cohort.notes:
        warn(note)
    scans = cohort.scans[: options.max_samples or None]
    folder = OutputFolder(options.output_dir)
    folder.create()
    explainer = Explainer(checkpoint.network.to(device), settings_for(options, device))
    print(
        f"EfficientNetV2-{checkpoint.variant}, {checkpoint.n_slices} slices, on {hardware_name(device)}; "
        f"{len(scans)} of {len(cohort.scans)} scans; {', '.join(options.methods)}",
        flush=True,
    )

    load = partial(
        load_scan,
        n_slices=checkpoint.n_slices,
        first_slice=options.first_slice,
        key_slices=options.key_slices,
    )
    write = partial(write_map, folder, key_slices=options.key_slices, with_nifti=options.nifti)
    # hashing the checkpoint reads the whole file, so it goes on beside the network
    with ThreadPoolExecutor(1) as beside, worker_pool(options.workers) as pool:
        checkpoint_hash = beside.submit(sha256_of_file, options.model_path)
        baseline = make_baseline(options, checkpoint.n_slices, cohort.scans, load, pool, folder)
        ledger = Ledger(len(scans) * len(options.methods))
        try:
            for group in load_ahead(scans, load, pool, explainer.settings.batch_size):
                group = ledger.without_unreadable(group, options.methods)
                if not group:
                    continue
                batch = make_batch(group, baseline, explainer, options.target)
                for method in options.methods:
                    for job in ledger.attempt(explainer, method, batch, group):
                        ledger.add(job, pool.submit(write, job))
                        ledger.collect(most_pending=QUEUED_PER_WORKER * max(1, options.workers))
            ledger.collect(most_pending=0)
        finally:
            ledger.close()
            write_tables(folder, ledger)
        summarise(folder, ledger, options.methods, pool)
        write_run_record(
            folder, options, command_line, checkpoint, checkpoint_hash.result(), explainer, ledger, started
        )
    return report(folder, ledger, started)


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
    _add(group, "--seed", 0, "seed of the draws, mixed with each scan's id", type=int)
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
        help="leave out the NIfTI images (default: written)",
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
    least |= {"batch_size": 1, "target": 0, "seed": 0}
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
    if options.model_path == MODEL_PATH and not MODEL_PATH.exists():
        raise UserError(
            f"{MODEL_PATH}: no such file, and it is the default checkpoint. Name yours with "
            f"--model_path, or try the tool on simulated scans: {DEMO_COMMAND}"
        )
    if options.csv_path == CSV_PATH and not CSV_PATH.exists():
        raise UserError(
            f"{CSV_PATH}: no such file, and it is the default cohort table. Name yours with --csv_path."
        )
    if options.baseline not in BASELINES and not Path(options.baseline).exists():
        raise UserError(
            f"--baseline: {options.baseline!r} is neither a file nor one of {', '.join(BASELINES)}."
        )


def find_parameters(options: argparse.Namespace) -> Path | None:
    """Return the path of parameters.json; None if it was not asked for and is not there."""
    if options.parameters_path == PARAMETERS_PATH and not PARAMETERS_PATH.exists():
        warn(f"no {PARAMETERS_PATH}; going on without it (nothing in it changes a map).")
        return None
    return options.parameters_path


def check_against_network(options: argparse.Namespace, checkpoint: Checkpoint) -> None:
    """Raise UserError for options that this network cannot serve."""
    beyond = [index for index in options.key_slices if index >= checkpoint.n_slices]
    if beyond:
        raise UserError(
            f"--key_slices: the network has slices 0 to {checkpoint.n_slices - 1}; "
            f"found {', '.join(map(str, beyond))}."
        )
    if options.target is not None and options.target >= checkpoint.n_logits:
        raise UserError(
            f"--target: the network has {checkpoint.n_logits} logit(s), counted from 0; "
            f"found {options.target}."
        )


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


# --- Scans, loaded ahead by the workers ---------------------------------------------------------


@dataclass(frozen=True)
class LoadedScan:
    """A scan, the network's input for it, and what its maps' files need."""

    scan: Scan
    network_input: np.ndarray | None  # float32 (n_slices, 128, 128); None once it has been explained
    grid: Grid
    brain: np.ndarray  # bool (n_slices, 128, 128)
    anatomy: np.ndarray  # (key slices, height, width), upright
    window: tuple[float, float]  # intensities drawn black and white
    work_s: float  # processor time of loading


def load_scan(scan: Scan, *, n_slices: int, first_slice: int, key_slices: list[int]) -> LoadedScan:
    """Load a scan; runs in a worker."""
    from mri_saliency import figures, volumes

    began = time.process_time()
    volume = volumes.load_volume(scan.path, n_slices, first_slice)
    slices = volumes.unpad(volume.network_input)
    return LoadedScan(
        scan,
        volume.network_input,
        volume.grid,
        volumes.brain_mask(volume.network_input),
        volumes.upright(slices[key_slices], volume.grid),
        figures.intensity_window(slices),
        time.process_time() - began,
    )


def load_ahead(
    scans: list[Scan], load: Callable[[Scan], LoadedScan], pool: Executor, group_size: int
) -> Iterator[list[LoadedScan | UnreadableScan]]:
    """Yield the scans in order, in groups, while workers load the next group."""
    waiting: deque[tuple[Scan, Future]] = deque()
    unasked = iter(scans)
    group = []
    for _ in scans:
        while len(waiting) < group_size and (scan := next(unasked, None)):
            waiting.append((scan, pool.submit(load, scan)))
        scan, future = waiting.popleft()
        try:
            group.append(future.result())
        except UserError as error:
            group.append(UnreadableScan(scan, str(error)))
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


def make_baseline(
    options: argparse.Namespace,
    n_slices: int,
    cohort: list[Scan],
    load: Callable[[Scan], LoadedScan],
    pool: Executor,
    folder: OutputFolder,
) -> np.ndarray | None:
    """Make the baseline all scans share, float32 (n_slices, 128, 128); None: each has its own."""
    import numpy as np

    from mri_saliency import volumes
    from mri_saliency.outputs import write_array

    if options.baseline == "background":
        return None
    if options.baseline == "zero":
        return np.zeros((n_slices, volumes.INPUT_SIZE, volumes.INPUT_SIZE), np.float32)
    if options.baseline != "hc_mean":
        return volumes.load_baseline(Path(options.baseline), n_slices, options.first_slice)
    healthy = [scan for scan in cohort if scan.label == 0]
    print(f"averaging {len(healthy)} HC scans for the baseline", flush=True)
    total, count = 0.0, 0
    for group in load_ahead(healthy, load, pool, group_size=8):
        for loaded in group:
            if isinstance(loaded, UnreadableScan):
                warn(f"left out of the baseline: {loaded.reason}")
            else:
                total, count = total + loaded.network_input.astype(np.float64), count + 1
    if not count:
        raise UserError(f"--baseline hc_mean: {options.csv_path} has no readable HC scan to average.")
    baseline = (total / count).astype(np.float32)
    write_array(folder.hc_mean, baseline)
    return baseline


def make_batch(
    group: list[LoadedScan], baseline: np.ndarray | None, explainer: Explainer, target: int | None
) -> Batch:
    """Put scans on the network's device, and predict them."""
    import numpy as np
    import torch

    from mri_saliency.attribution import Batch
    from mri_saliency.volumes import air_input

    if baseline is None:
        baselines = np.stack([air_input(loaded.network_input) for loaded in group])
    else:
        baselines = baseline[None]
    device = next(explainer.network.parameters()).device
    inputs, baselines = (
        torch.from_numpy(array).to(device, memory_format=torch.channels_last)
        for array in (np.stack([loaded.network_input for loaded in group]), baselines)
    )
    logits = explainer.predict(inputs)
    targets = logits.argmax(dim=1).tolist() if target is None else [target] * len(group)
    return Batch(inputs, logits, targets, baselines, [loaded.scan.subject_id for loaded in group])


# --- Maps, written by the workers ---------------------------------------------------------------


@dataclass(frozen=True)
class MapJob:
    """A map to be written. It crosses to a worker, so it holds no tensor and no network input."""

    loaded: LoadedScan
    method: str
    values: np.ndarray  # float32 (n_slices, 128, 128)
    total: float  # their sum
    expected_total: float | None  # the change of the logit it should equal
    logits: np.ndarray  # (n_logits,)
    seconds: float  # the network's time for it


@dataclass(frozen=True)
class WrittenMap:
    """What the cohort's tables keep of a map: its row, and its share of magnitude by slice."""

    row: dict
    profile: np.ndarray
    work_s: dict[str, float]  # processor time by kind of work


def write_map(folder: OutputFolder, job: MapJob, *, key_slices: list[int], with_nifti: bool) -> WrittenMap:
    """Measure a map, draw it, and write its files; runs in a worker."""
    import numpy as np

    from mri_saliency import figures, measures, outputs, volumes

    began = time.process_time()
    scan, values = job.loaded.scan, job.values
    if not np.isfinite(values).all():
        raise UserError(f"{scan.path}: the {job.method} map has NaN or infinite values.")
    predicted = measures.prediction(job.logits)
    row = {
        "method": job.method,
        **measures.map_statistics(values, job.loaded.brain),
        "subject_id": scan.subject_id,
        "true_label": scan.label,
        "diagnosis": scan.diagnosis,
        **predicted,
        "sample_idx": scan.sample_idx,
        **measures.completeness(job.total, job.expected_total),
        "seconds": job.seconds,
    }
    view = view_of(job, key_slices, predicted)
    summary, slices = figures.summary_figure(view), list(figures.slice_figures(view))
    drawn = time.process_time()

    name = (job.method, scan.subject_id)
    outputs.write_array(folder.array(*name), values)
    if with_nifti:
        description = f"{job.method}, {METHODS[job.method].unit}"
        image = volumes.to_nifti(values, job.loaded.grid, description)
        outputs.write_nifti(folder.nifti(*name), image)
    outputs.write_picture(folder.summary_figure(*name), summary)
    for index, picture in zip(key_slices, slices, strict=True):
        outputs.write_picture(folder.slice_figure(*name, index), picture)
    work_s = {"draw": drawn - began, "write": time.process_time() - drawn}
    return WrittenMap(row, measures.slice_profile(values), work_s)


def view_of(job: MapJob, key_slices: list[int], predicted: dict) -> MapView:
    """Gather what a map's figures show."""
    from mri_saliency import figures, volumes

    loaded, method = job.loaded, METHODS[job.method]
    grid, values = loaded.grid, volumes.unpad(job.values)
    in_mm = grid.affine is not None
    titles = [
        f"slice {index}, y = {grid.slice_y_mm(index):.1f} mm".replace("-", "\N{MINUS SIGN}")
        if in_mm
        else f"slice {index}"
        for index in key_slices
    ]
    return figures.MapView(
        anatomy=loaded.anatomy,
        attribution=volumes.upright(values[key_slices], grid),
        slice_titles=titles,
        title=f"{loaded.scan.subject_id}   {job.method}",
        subtitle=_verdict(loaded.scan, predicted, len(job.logits))
        + ("" if in_mm else "; the scan has no affine: sides and mm unknown"),
        extent=grid.extent,
        in_mm=in_mm,
        signed=method.signed,
        unit=method.unit,
        scale=figures.colour_scale(values),
        window=loaded.window,
    )


def _verdict(scan: Scan, predicted: dict, n_logits: int) -> str:
    """Say the prediction and the truth in words."""
    label = predicted["predicted_label"]
    name = ("HC", "TLE")[label] if n_logits <= 2 else f"class {label}"
    truth = scan.diagnosis if scan.label == 0 else f"TLE ({scan.diagnosis})"
    return f"predicted {name} with {predicted['confidence']:.1%} confidence; true diagnosis {truth}"


class Ledger:
    """What was asked of the workers, what came back, what failed, and how far it all is."""

    def __init__(self, n_maps: int) -> None:
        self.maps: list[WrittenMap] = []
        self.failures: list[dict] = []
        self.work_s: Counter[str] = Counter()  # workers' processor time, the network's wall-clock time
        self._pending: deque[tuple[MapJob, Future]] = deque()
        self._progress = Progress(n_maps)

    def add(self, job: MapJob, written: Future) -> None:
        """Note a map that a worker is writing."""
        self._pending.append((job, written))

    def collect(self, most_pending: int) -> None:
        """Wait until at most this many maps are still being written."""
        while len(self._pending) > most_pending:
            job, future = self._pending.popleft()
            try:
                written = future.result()
            except UserError as error:
                self.fail(job.loaded.scan, [job.method], str(error))
            else:
                self.maps.append(written)
                self.work_s.update(written.work_s)
                self._progress.advance()

    def without_unreadable(
        self, group: list[LoadedScan | UnreadableScan], methods: list[str]
    ) -> list[LoadedScan]:
        """Note the scans that could not be loaded; returns the others."""
        for scan in group:
            if isinstance(scan, UnreadableScan):
                self.fail(scan.scan, methods, scan.reason)
            else:
                self.work_s["load"] += scan.work_s
        return [scan for scan in group if isinstance(scan, LoadedScan)]

    def attempt(
        self, explainer: Explainer, method: str, batch: Batch, group: list[LoadedScan]
    ) -> list[MapJob]:
        """Make a group's maps; none, if that failed."""
        began = time.perf_counter()
        try:
            attributions = explainer.attribute(method, batch)
        except UserError as error:
            for loaded in group:
                self.fail(loaded.scan, [method], str(error))
            return []
        seconds = time.perf_counter() - began
        self.work_s["network"] += seconds
        return [
            MapJob(
                replace(loaded, network_input=None),
                method,
                **vars(attribution),
                logits=logits,
                seconds=seconds / len(group),
            )
            for loaded, attribution, logits in zip(
                group, attributions, batch.logits.cpu().numpy(), strict=True
            )
        ]

    def fail(self, scan: Scan, methods: list[str], reason: str) -> None:
        """Note a failure and say it at once."""
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

    def close(self) -> None:
        """End the progress bar."""
        self._progress.close()


class Progress:
    """One bar with the time left; plain lines now and then where the output is no terminal."""

    def __init__(self, total: int) -> None:
        from tqdm import tqdm

        self._bar = tqdm(total=total, unit="map", disable=not sys.stderr.isatty(), smoothing=0.05)
        self._total, self._done = total, 0
        self._began = self._reported = time.monotonic()

    def advance(self) -> None:
        """Count one map, finished or failed."""
        self._done += 1
        self._bar.update()
        now = time.monotonic()
        if self._bar.disable and (now - self._reported > REPORT_EVERY_S or self._done == self._total):
            self._reported = now
            left_s = (now - self._began) / self._done * (self._total - self._done)
            elapsed, left = (self._bar.format_interval(t) for t in (now - self._began, left_s))
            print(
                f"{self._done} of {self._total} maps, {elapsed} elapsed, {left} left",
                file=sys.stderr,
                flush=True,
            )

    def say(self, message: str) -> None:
        """Print a line without breaking the bar."""
        self._bar.write(message, file=sys.stderr)

    def close(self) -> None:
        """Leave the bar as it is."""
        self._bar.close()


# --- The cohort ---------------------------------------------------------------------------------


def write_tables(folder: OutputFolder, ledger: Ledger) -> None:
    """Write the statistics and the failures, whatever there is of them."""
    import pandas as pd

    from mri_saliency.outputs import write_table

    if ledger.maps:
        write_table(folder.statistics, pd.DataFrame([written.row for written in ledger.maps]))
    if ledger.failures:
        write_table(folder.failures, pd.DataFrame(ledger.failures))
    else:
        folder.failures.unlink(missing_ok=True)


def summarise(folder: OutputFolder, ledger: Ledger, methods: list[str], pool: Executor) -> None:
    """Draw what the cohort's maps show together."""
    import numpy as np
    import pandas as pd

    from mri_saliency import figures, measures
    from mri_saliency.outputs import write_figure

    if not ledger.maps:
        return
    statistics = pd.DataFrame([written.row for written in ledger.maps])
    statistics["class"] = np.where(statistics["true_label"] == 0, "HC", "TLE")
    methods = [method for method in methods if method in set(statistics["method"])]

    profiles = {}
    for (method, name), rows in statistics.groupby(["method", "class"]):
        profiles[method, name] = np.mean([ledger.maps[i].profile for i in rows.index], axis=0)

    complete = statistics.groupby("subject_id")["method"].agg(set) == set(methods)
    subjects = complete.index[complete]
    correlations = [pool.submit(compare_methods, folder, subject, methods) for subject in subjects]
    matrices = [np.full((len(methods), len(methods)), np.nan)]
    matrices += [future.result() for future in correlations]
    counted = np.isfinite(matrices).sum(axis=0)
    mean = np.nansum(matrices, axis=0) / np.where(counted, counted, np.nan)
    agreement = pd.DataFrame(mean, index=methods, columns=methods)

    strength = {
        method: measures.rank_correlation(rows["confidence"], rows["abs_mean"])
        for method, rows in statistics.groupby("method")
    }
    figure = figures.cohort_figure(
        statistics, profiles, agreement, {method: strength[method] for method in methods}
    )
    write_figure(folder.summary, figure)


def compare_methods(folder: OutputFolder, subject_id: str, methods: list[str]) -> np.ndarray:
    """Correlate a scan's maps with each other, (methods, methods); runs in a worker."""
    import numpy as np

    from mri_saliency import measures, volumes

    maps = [
        volumes.unpad(np.load(folder.array(method, subject_id), mmap_mode="r", allow_pickle=False))
        for method in methods
    ]
    return measures.rank_correlations(maps)


def write_run_record(
    folder: OutputFolder,
    options: argparse.Namespace,
    command_line: str,
    checkpoint: Checkpoint,
    checkpoint_hash: str,
    explainer: Explainer,
    ledger: Ledger,
    started: datetime,
) -> None:
    """Write run.json: what is needed to say how these maps were made, and to make them again."""
    from mri_saliency.outputs import write_json

    device = next(explainer.network.parameters()).device
    write_json(
        folder.run_record,
        {
            "tool": {"name": "mri-saliency-maps", "version": __version__},
            "command_line": command_line,
            "working_directory": str(Path.cwd()),
            "options": {key: _plain(value) for key, value in vars(options).items()},
            "settings": asdict(explainer.settings),
            "checkpoint": {
                "path": str(options.model_path.absolute()),
                "sha256": checkpoint_hash,
                "network": f"EfficientNetV2-{checkpoint.variant}",
                "n_slices": checkpoint.n_slices,
                "n_logits": checkpoint.n_logits,
            },
            "device": {"name": str(device), "hardware": hardware_name(device)},
            "platform": platform.platform(),
            "versions": {"python": platform.python_version()}
            | {package: version(package) for package in RECORDED_PACKAGES},
            "started": started.isoformat(timespec="seconds"),
            "ended": datetime.now().astimezone().isoformat(timespec="seconds"),
            "work_s": {kind: round(seconds, 2) for kind, seconds in ledger.work_s.items()},
            "counts": {"maps": len(ledger.maps), "failures": len(ledger.failures)},
        },
    )


def _plain(value: object) -> object:
    return str(value) if isinstance(value, Path) else value


def report(folder: OutputFolder, ledger: Ledger, started: datetime) -> int:
    """Say what was made, what to look at and what failed; returns the exit code."""
    seconds = (datetime.now().astimezone() - started).total_seconds()
    print(f"{len(ledger.maps)} maps in {seconds:.0f} s: {folder.root}")
    verdicts = Counter(
        (written.row["method"], written.row["completeness_verdict"]) for written in ledger.maps
    )
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
    sys.exit(main())
