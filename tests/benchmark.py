"""Time the tool against the plain way of making the same files, and against the network's passes alone.

    python tests/benchmark.py --device cpu --variant L --scans 10 --repeats 1

makes its own cohort and checkpoint, and runs in turn, each in a process of its own:

tool    generate_saliency_maps.py, as a user runs it;
previous  with --previous, the script of another version, in the same way;
plain   a Captum call for a scan and a matplotlib figure for a slice, as their tutorials show;
floor   the forward-backward passes that the tool's maps took, on the prepared network, and nothing else.

The floor is the time of its passes alone; the others' seconds are the whole process, start to end. The plain
way takes 50 steps for every map of Integrated Gradients; how far its maps are from the tool's is printed, to
compare times at equal errors. With a demo's trained network and scans:

    python tests/benchmark.py --demo FOLDER --scans 20 --repeats 1 --methods integrated_gradients
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    import torch

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from mri_saliency.methods import BATCH_SIZES  # noqa: E402
from tests.conftest import brain, lively_network, save_checkpoint, save_scan  # noqa: E402

# forward-backward passes of the plain way for a map
PASSES = {"integrated_gradients": 50, "saliency": 1, "gradient_shap": 10, "input_x_gradient": 1}
SCRIPT = ROOT / "generate_saliency_maps.py"
CONTESTANTS = ("tool", "plain", "floor")


def main() -> None:
    """Make the inputs, run the contestants in turn, and print the tables."""
    options = _get_parser().parse_args()
    if options.previous:
        options.contestants = [*options.contestants, "previous"]
    if options.contestant:
        {"plain": run_plain, "floor": run_floor}[options.contestant](options)
        return
    with tempfile.TemporaryDirectory(dir=options.scratch) as name:
        folder = Path(name)
        if options.demo:
            options.variant = "S"
            copy_demo(folder, options.demo)
        else:
            make_inputs(folder, options.variant, max(options.scans))
        os.sync()  # or the first would run while they are being written to the disk
        runs = []
        for _ in range(options.repeats):
            for n_scans in options.scans:
                n_passes = n_scans * sum(PASSES[method] for method in options.methods)
                for contestant in options.contestants:
                    runs.append(time_contestant(contestant, n_scans, folder, options, n_passes))
                    if contestant == "tool":
                        n_passes = int(runs[-1].maps["passes"].sum())
    print_report(runs, options)


def _get_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--variant", default="L", choices=("S", "M", "L"))
    parser.add_argument("--demo", type=Path, help="folder of a demo, whose network (S) and scans are used")
    parser.add_argument("--scans", default=[10], type=int, nargs="+", help="cohort sizes (default: 10)")
    parser.add_argument("--methods", default=list(PASSES)[:3], nargs="+", choices=PASSES)
    parser.add_argument("--key_slices", default=[40, 50, 60, 70, 80], type=int, nargs="+")
    parser.add_argument("--repeats", default=3, type=int)
    parser.add_argument("--contestants", default=CONTESTANTS, nargs="+", choices=CONTESTANTS)
    parser.add_argument("--scratch", type=Path, help="folder for the files made (default: the system's)")
    parser.add_argument("--tool_options", default="", help="further options of the tool, in one string")
    parser.add_argument("--previous", type=Path, help="another version's script, to run in turn as well")
    parser.add_argument("--contestant", choices=CONTESTANTS[1:], help=argparse.SUPPRESS)
    parser.add_argument("--n_passes", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--output_dir", type=Path, help=argparse.SUPPRESS)
    return parser


def make_inputs(folder: Path, variant: str, n_scans: int) -> None:
    """Write a checkpoint of a network that passes signal on, and scans of noise in a brain's outline."""
    save_checkpoint(folder / "best_model.pth", lively_network(variant))
    (folder / "parameters.json").write_text('{"dropout_rate": 0.5}')
    rows = []
    for index in range(n_scans):
        path = save_scan(folder / f"mwp1sub-{index:03}_T1w.nii", brain(seed=index))
        rows.append({"file": str(path), "HC_vs_LTLE_vs_RTLE_string": ("HC", "left", "right")[index % 3]})
    pd.DataFrame(rows).to_csv(folder / "val.csv", index=False)


def copy_demo(folder: Path, demo: Path) -> None:
    """Put a demo's checkpoint and table where those of `make_inputs` are."""
    shutil.copy(demo / "run" / "fold_1" / "best_model.pth", folder)
    shutil.copy(demo / "run" / "parameters.json", folder)
    table = pd.read_csv(demo / "val.csv")
    table["file"] = [str(demo.absolute() / file) for file in table["file"]]
    table.to_csv(folder / "val.csv", index=False)


@dataclass(frozen=True)
class Run:
    """One run of a contestant: wall-clock seconds, peak memory of its processes, what it printed.

    `maps` has its table of maps, with the arrays of Integrated Gradients in the column ``values``.
    """

    contestant: str
    n_scans: int
    seconds: float
    peak_gib: float
    n_figures: int
    detail: dict
    maps: pd.DataFrame


def time_contestant(
    contestant: str, n_scans: int, folder: Path, options: argparse.Namespace, n_passes: int
) -> Run:
    """Run one contestant to its end in a process of its own; the floor makes `n_passes`."""
    with tempfile.TemporaryDirectory(dir=folder) as output_dir:
        shared = ["--device", options.device, "--output_dir", output_dir, "--methods", *options.methods]
        shared += ["--key_slices", *map(str, options.key_slices)]
        if contestant in ("tool", "previous"):
            script = options.previous if contestant == "previous" else SCRIPT
            command = [sys.executable, str(script), *shared]
            command += ["--model_path", str(folder / "best_model.pth")]
            command += ["--parameters_path", str(folder / "parameters.json")]
            command += ["--csv_path", str(folder / "val.csv"), "--max_samples", str(n_scans)]
            command += options.tool_options.split()
        else:
            command = [sys.executable, __file__, "--contestant", contestant, *shared]
            command += ["--folder", str(folder), "--variant", options.variant, "--scans", str(n_scans)]
            command += ["--n_passes", str(n_passes)]
        print(f"{contestant}, {n_scans} scans …", file=sys.stderr, flush=True)
        began = time.perf_counter()
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            memory = PeakMemory(process.pid)
            printed = process.stdout.read()
        seconds = time.perf_counter() - began
        if process.returncode:
            raise SystemExit(f"{contestant} failed with exit code {process.returncode}")
        detail = {}
        if contestant in ("tool", "previous"):
            detail = json.loads((Path(output_dir) / "run.json").read_text())["work_s"]
        else:
            detail = json.loads(printed.splitlines()[-1])
        seconds = detail.get("seconds", seconds)
        n_figures = len(list(Path(output_dir).rglob("*.png")))
        maps = read_maps(Path(output_dir))
    print(f"  {seconds:.1f} s", file=sys.stderr, flush=True)
    return Run(contestant, n_scans, seconds, memory.stop(), n_figures, detail, maps)


def read_maps(output_dir: Path) -> pd.DataFrame:
    """Return the table of the maps in a folder, with the arrays of Integrated Gradients; empty without."""
    path = output_dir / "attribution_statistics.csv"
    if not path.exists():
        return pd.DataFrame()
    table = pd.read_csv(path)
    table["values"] = [
        np.load(next((output_dir / row.method / row.subject_id).glob("*.npy")))
        if row.method == "integrated_gradients"
        else None
        for row in table.itertuples()
    ]
    return table


class PeakMemory(threading.Thread):
    """Watches the memory of a process and its children (Linux).

    The sum of each one's own peak, which the system keeps, however short: at least what they had at any
    one time. Pages of files, such as libraries, which they share, count as the most that one of them has.
    """

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self._pid, self._ended = pid, threading.Event()
        self._peaks_kib: dict[int, tuple[int, int]] = {}  # of its own pages and of those of files
        self.start()

    def run(self) -> None:
        """Look four times a second."""
        while not self._ended.wait(0.25):
            for pid in self._family(self._pid):
                with suppress(OSError, KeyError):  # it is gone
                    self._peaks_kib[pid] = self._kib(pid)

    def stop(self) -> float:
        """End the watch; returns the peak in GiB."""
        self._ended.set()
        self.join()
        own, of_files = zip(*self._peaks_kib.values(), strict=True)
        return (sum(own) + max(of_files)) / 2**20

    def _family(self, pid: int) -> list[int]:
        try:
            children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        except OSError:
            children = []
        return [pid, *(member for child in children for member in self._family(int(child)))]

    def _kib(self, pid: int) -> tuple[int, int]:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        fields = {name: rest.split() for name, _, rest in (line.partition(":") for line in lines)}
        peak, of_files = int(fields["VmHWM"][0]), int(fields["RssFile"][0])
        return peak - of_files, of_files


def run_floor(options: argparse.Namespace) -> None:
    """Run the bare passes, and print their seconds."""
    import torch

    from mri_saliency.inputs.checkpoint import load_checkpoint
    from mri_saliency.runtime.device import choose_device

    device = choose_device(options.device)
    network = load_checkpoint(options.folder / "best_model.pth").network.to(device)
    batch_size = BATCH_SIZES[device.type]
    inputs = torch.randn(batch_size, 115, 128, 128, device=device)
    inputs = inputs.contiguous(memory_format=torch.channels_last).requires_grad_()

    def run_pass() -> torch.Tensor:
        (gradients,) = torch.autograd.grad(network(inputs).sum(), inputs)
        if device.type == "cuda":
            torch.cuda.synchronize()
        return gradients

    run_pass()
    n_passes = options.n_passes
    began = time.perf_counter()
    n_full = max(1, n_passes // batch_size)
    for _ in range(n_full):
        run_pass()
    seconds = (time.perf_counter() - began) * n_passes / (n_full * batch_size)
    detail = {"seconds": seconds, "volumes a second": n_passes / seconds}
    if device.type == "cuda":
        detail |= measure_repeatability(run_pass)
    print(json.dumps(detail))


def measure_repeatability(run_pass: Callable[[], torch.Tensor], n_passes: int = 10) -> dict[str, float]:
    """Measure how far a repeated pass differs, and what it costs that it does not (`cudnn.deterministic`)."""
    import torch

    seconds, differences = [], []
    for deterministic in (False, True):
        torch.backends.cudnn.deterministic = deterministic
        first = run_pass().cpu()
        began = time.perf_counter()
        for _ in range(n_passes):
            repeated = run_pass()
        seconds.append(time.perf_counter() - began)
        differences.append(float((repeated.cpu() - first).abs().max() / first.abs().max()))
    return {
        "a repeated pass differs by ppm of its maximum": 1e6 * differences[0],
        "with deterministic kernels": 1e6 * differences[1],
        "their time in % of the others'": 100 * seconds[1] / seconds[0],
    }


def run_plain(options: argparse.Namespace) -> None:
    """Make the same files as the tutorials of Captum and matplotlib would."""
    import matplotlib
    import nibabel as nib
    import torch
    import torch.nn.functional as F
    from captum.attr import GradientShap, InputXGradient, IntegratedGradients, Saliency

    from mri_saliency.inputs.checkpoint import build_network

    matplotlib.use("Agg")
    model = build_network(options.variant, 115, 1)
    state = torch.load(options.folder / "best_model.pth", weights_only=False)["model_state_dict"]
    model.load_state_dict({key.removeprefix("backbone."): value for key, value in state.items()})
    model = model.to(options.device).eval()
    attribute = {
        "integrated_gradients": lambda x: IntegratedGradients(model).attribute(x, n_steps=50),
        "saliency": lambda x: Saliency(model).attribute(x),
        "gradient_shap": lambda x: GradientShap(model).attribute(
            x, baselines=0.1 * torch.randn(10, *x.shape[1:], device=x.device), n_samples=10
        ),
        "input_x_gradient": lambda x: InputXGradient(model).attribute(x),
    }
    rows, drawing_s = [], 0.0
    for row in pd.read_csv(options.folder / "val.csv").head(options.scans[0]).itertuples():
        subject = Path(row.file).name.split("_")[0].removeprefix("mwp1")
        scan = nib.load(row.file)
        voxels = scan.get_fdata()
        voxels = (voxels - voxels.mean()) / voxels.std()
        slices = torch.from_numpy(voxels[:, 10:125, :].transpose(1, 0, 2)).float()[None]
        x = F.interpolate(slices, (112, 112), mode="bilinear", antialias=True)
        x = F.pad(x, (8, 8, 8, 8)).to(options.device)
        with torch.no_grad():
            probability = model(x).sigmoid().item()
        for method in options.methods:
            x.requires_grad_()
            attribution = attribute[method](x).detach().float().cpu()[0]
            name = options.output_dir / method / subject / f"{subject}_{method}"
            name.parent.mkdir(parents=True)
            np.save(f"{name}_attributions.npy", attribution.numpy())
            back = F.interpolate(attribution[None, :, 8:-8, 8:-8], (113, 113), mode="bilinear")[0]
            volume = np.zeros(scan.shape, np.float32)
            volume[:, 10:125, :] = back.numpy().transpose(1, 0, 2)
            nib.save(nib.Nifti1Image(volume, scan.affine), f"{name}_attributions.nii.gz")
            image = x.detach().cpu()[0].numpy()
            began = time.process_time()
            for index in options.key_slices:
                draw_plain_slice(image[index], attribution[index].numpy(), f"{name}_slice_{index}.png")
            title = f"{subject} {method}: TLE {probability:.2f}, true {row[2]}"
            draw_plain_summary(image, attribution.numpy(), options.key_slices, title, f"{name}_summary.png")
            drawing_s += time.process_time() - began
            rows.append(
                {
                    "subject_id": subject,
                    "method": method,
                    "mean": attribution.mean().item(),
                    "std": attribution.std().item(),
                    "abs_mean": attribution.abs().mean().item(),
                    "prediction": probability,
                }
            )
    table = pd.DataFrame(rows)
    table.to_csv(options.output_dir / "attribution_statistics.csv", index=False)
    draw_plain_cohort(table, options.output_dir / "attribution_summary.png")
    print(json.dumps({"draw figures and write them": drawing_s}))


def draw_plain_slice(image: np.ndarray, attribution: np.ndarray, path: str) -> None:
    """Draw a slice in three panels."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 3, figsize=(15, 5))
    limit = np.abs(attribution).max()
    axes[0].imshow(np.rot90(image), cmap="gray")
    axes[0].set_title("Original slice")
    drawn = axes[1].imshow(np.rot90(attribution), cmap="RdBu_r", vmin=-limit, vmax=limit)
    axes[1].set_title("Attribution")
    figure.colorbar(drawn, ax=axes[1])
    axes[2].imshow(np.rot90(image), cmap="gray")
    drawn = axes[2].imshow(np.rot90(np.abs(attribution)), cmap="hot", alpha=0.5)
    axes[2].set_title("Overlay")
    figure.colorbar(drawn, ax=axes[2])
    for panel in axes:
        panel.axis("off")
    plt.tight_layout()
    plt.savefig(path, bbox_inches="tight")
    plt.close(figure)


def draw_plain_summary(
    image: np.ndarray, attribution: np.ndarray, key_slices: list[int], title: str, path: str
) -> None:
    """Draw the key slices above their attributions."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(2, len(key_slices), figsize=(3 * len(key_slices), 6), squeeze=False)
    limit = np.abs(attribution).max()
    for column, index in enumerate(key_slices):
        axes[0, column].imshow(np.rot90(image[index]), cmap="gray")
        axes[0, column].set_title(f"Slice {index}")
        axes[1, column].imshow(np.rot90(attribution[index]), cmap="RdBu_r", vmin=-limit, vmax=limit)
    for panel in axes.flat:
        panel.axis("off")
    figure.suptitle(title)
    plt.tight_layout()
    plt.savefig(path, bbox_inches="tight")
    plt.close(figure)


def draw_plain_cohort(table: pd.DataFrame, path: Path) -> None:
    """Draw attribution strength by method, and against the prediction."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(12, 5))
    table.boxplot("abs_mean", by="method", ax=axes[0])
    axes[1].scatter(table["prediction"], table["abs_mean"])
    plt.tight_layout()
    plt.savefig(path, bbox_inches="tight")
    plt.close(figure)


def print_report(runs: list[Run], options: argparse.Namespace) -> None:
    """Print a row a contestant and cohort size: medians over the repeats, as Markdown."""
    import torch

    from mri_saliency.runtime.device import hardware_name

    print(
        f"\nEfficientNetV2-{options.variant}, {' + '.join(options.methods)}, {len(options.key_slices)} key "
        f"slices, on {hardware_name(torch.device(options.device))}; "
        f"PyTorch {torch.__version__.split('+')[0]}; medians of {options.repeats}\n"
    )
    print("| | scans | seconds | s/scan | of plain's speed | of the floor's time | peak GiB | figures/s |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for n_scans in options.scans:
        of_size = {
            name: [run for run in runs if (run.contestant, run.n_scans) == (name, n_scans)]
            for name in options.contestants
        }
        seconds = {name: statistics.median(run.seconds for run in of) for name, of in of_size.items()}
        for name, of in of_size.items():
            s = seconds[name]
            cells = [
                name,
                str(n_scans),
                f"{s:.1f}",
                f"{s / n_scans:.2f}",
                f"{seconds['plain'] / s:.2f} ×" if "plain" in seconds else "",
                f"{s / seconds['floor']:.2f} ×" if "floor" in seconds else "",
                f"{max(run.peak_gib for run in of):.2f}",
                f"{of[0].n_figures / s:.1f}" if of[0].n_figures else "",
            ]
            print("| " + " | ".join(cells) + " |")
        _print_passes(runs, n_scans)
    if options.previous:
        _print_against_previous(runs, options.scans)
    for name in options.contestants:
        last = [run for run in runs if run.contestant == name][-1]
        parts = ", ".join(f"{key} {value:.1f}" for key, value in last.detail.items())
        print(f"\n{name}'s last run, seconds of work: {parts}; {last.n_figures} figures")


def _print_passes(runs: list[Run], n_scans: int) -> None:
    """Print the tool's passes, and how far its maps of Integrated Gradients are from the plain way's."""
    last = {run.contestant: run.maps for run in runs if run.n_scans == n_scans}
    if "tool" not in last:
        return
    for method, maps in last["tool"].groupby("method"):
        passes = maps["passes"]
        print(f"\n{method}: {passes.mean():.1f} passes a scan, {passes.min()} to {passes.max()}", end="")
        print(f" (plain: {PASSES[method]})", end="")
        if maps["map_error"].notna().any():
            print(f"; largest error stated: {maps['map_error'].max():.2g}", end="")
        if method == "integrated_gradients" and "plain" in last:
            plain = last["plain"].query("method == @method").set_index("subject_id")["values"]
            differences = [
                np.abs(values - plain[subject]).sum() / np.abs(values).sum()
                for subject, values in zip(maps["subject_id"], maps["values"], strict=True)
            ]
            print(f"; largest difference from plain's maps: {max(differences):.2g}", end="")
    print()


def _print_against_previous(runs: list[Run], sizes: list[int]) -> None:
    """Print the tool's time and memory over the other version's: the median of the pairs run in turn."""
    for n_scans in sizes:
        tool, previous = (
            [run for run in runs if (run.contestant, run.n_scans) == (name, n_scans)]
            for name in ("tool", "previous")
        )
        pairs = list(zip(tool, previous, strict=True))
        times = sorted(a.seconds / b.seconds for a, b in pairs)
        memory = statistics.median(a.peak_gib / b.peak_gib for a, b in pairs)
        shown = ", ".join(f"{ratio:.3f}" for ratio in times)
        print(
            f"\n{n_scans} scans: {statistics.median(times):.3f} of the previous version's time ({shown}), "
            f"{memory:.3f} of its memory"
        )


if __name__ == "__main__":
    main()
