"""Time the tool against the plain way of making the same files, and against the network's passes alone.

    python tests/benchmark.py --device cpu --variant L --scans 10 --repeats 1

makes its own cohort and checkpoint, and runs in turn, each in a process of its own:

tool    generate_saliency_maps.py, as a user runs it;
plain   a Captum call for a scan and a matplotlib figure for a slice, as their tutorials show;
floor   the forward-backward passes that the tool's maps took, on the prepared network, and nothing else;
        `--contestants floor contiguous` compares it with that in PyTorch's default layout of the memory.

The floor is the time of its passes alone; the others' seconds are the whole process, start to end. The plain
way takes 50 steps for every map of Integrated Gradients; how far its maps are from the tool's is printed, to
compare times at equal errors.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch

ROOT = Path(__file__).parent.parent
sys.path[0] = str(ROOT)  # this file's folder has names of the standard library

from mri_saliency.methods import BATCH_SIZES  # noqa: E402
from tests.conftest import brain, lively_network, save_checkpoint, save_scan  # noqa: E402
from tests.plain_way import KEY_SLICES, PASSES  # noqa: E402

CONTESTANTS = ("tool", "plain", "floor")
LAYOUTS = {"floor": torch.channels_last, "contiguous": torch.contiguous_format}


def main() -> None:
    """Make the inputs, run the contestants in turn, and print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--variant", default="L", choices=("S", "M", "L"))
    parser.add_argument("--scans", default=10, type=int, help="size of the cohort (default: 10)")
    parser.add_argument("--methods", default=list(PASSES), nargs="+", choices=PASSES)
    parser.add_argument("--repeats", default=3, type=int)
    parser.add_argument("--contestants", default=CONTESTANTS, nargs="+", choices=(*CONTESTANTS, "contiguous"))
    parser.add_argument("--tool_options", default="", help="further options of the tool, in one string")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_inputs(folder, options.variant, options.scans)
        os.sync()  # or the first would run while they are being written to the disk
        runs, n_passes = [], options.scans * sum(PASSES[method] for method in options.methods)
        for _ in range(options.repeats):
            for contestant in options.contestants:
                runs.append(run_contestant(contestant, folder, options, n_passes))
                if contestant == "tool":
                    n_passes = int(runs[-1].maps["passes"].sum())
    print_report(runs, options)


def make_inputs(folder: Path, variant: str, n_scans: int) -> None:
    """Write a checkpoint of a network that passes signal on, and scans of noise in a brain's outline."""
    network = lively_network(variant)
    save_checkpoint(folder / "best_model.pth", network)
    torch.save(network.state_dict(), folder / "state.pth")
    (folder / "parameters.json").write_text('{"dropout_rate": 0.5}')
    rows = []
    for index in range(n_scans):
        path = save_scan(folder / f"mwp1sub-{index:03}_T1w.nii", brain(seed=index))
        rows.append({"file": str(path), "HC_vs_LTLE_vs_RTLE_string": ("HC", "left", "right")[index % 3]})
    pd.DataFrame(rows).to_csv(folder / "val.csv", index=False)


@dataclass(frozen=True)
class Run:
    """One run of a contestant."""

    contestant: str
    seconds: float
    peak_gib: float  # of its largest process
    again_s: float  # of the tool's same command once more, which makes no map: its start and description
    maps: pd.DataFrame  # its table, with the arrays of Integrated Gradients in the column ``values``


def run_contestant(contestant: str, folder: Path, options: argparse.Namespace, n_passes: int) -> Run:
    """Run one contestant to its end in a process of its own; the floor makes `n_passes`."""
    with tempfile.TemporaryDirectory(dir=folder) as output_dir:
        plain = f"run_plain{(str(folder), options.device, options.variant, options.methods, output_dir)!r}"
        floor = f"run_floor{(str(folder), options.device, n_passes, contestant)!r}"
        command = {
            "tool": _tools_command(folder, output_dir, options),
            "plain": ["-c", f"from tests import plain_way; plain_way.{plain}"],
        }.get(contestant, ["-c", f"from tests import benchmark; benchmark.{floor}"])
        began = time.perf_counter()
        process = subprocess.Popen([sys.executable, *command], stdout=subprocess.PIPE, text=True, cwd=ROOT)
        printed = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - began
        if status:
            raise SystemExit(f"{contestant} failed")
        if contestant in LAYOUTS:
            seconds = float(printed.splitlines()[-1])
        began, again_s = time.perf_counter(), 0.0
        if contestant == "tool":
            subprocess.run([sys.executable, *command], stdout=subprocess.DEVNULL, cwd=ROOT, check=True)
            again_s = time.perf_counter() - began
        maps = read_maps(Path(output_dir))
    print(f"{contestant}: {seconds:.1f} s", file=sys.stderr, flush=True)
    return Run(contestant, seconds, usage.ru_maxrss / 2**20, again_s, maps)


def _tools_command(folder: Path, output_dir: str, options: argparse.Namespace) -> list[str]:
    files = {"model": "best_model.pth", "parameters": "parameters.json", "csv": "val.csv"}
    command = ["generate_saliency_maps.py", "--max_samples", "0", "--output_dir", output_dir]
    command += [part for name, file in files.items() for part in (f"--{name}_path", str(folder / file))]
    command += ["--device", options.device, "--methods", *options.methods]
    return command + ["--key_slices", *map(str, KEY_SLICES), *options.tool_options.split()]


def read_maps(output_dir: Path) -> pd.DataFrame:
    """Return the table of the maps in a folder, with the arrays of Integrated Gradients; empty without."""
    path = output_dir / "attribution_statistics.csv"
    if not path.exists():
        return pd.DataFrame()
    table = pd.read_csv(path).set_index("subject_id")
    arrays = {path.parent.name: np.load(path) for path in output_dir.glob("integrated_gradients/*/*.npy")}
    return table.assign(values=table.index.map(arrays.get))


def run_floor(folder: str, device_name: str, n_passes: int, layout: str) -> None:
    """Run the bare passes in a layout of the memory, and print their seconds."""
    from mri_saliency.inputs.checkpoint import load_checkpoint
    from mri_saliency.runtime.device import choose_device

    device = choose_device(device_name)
    network = load_checkpoint(Path(folder) / "best_model.pth").network.to(device)
    network = network.to(memory_format=LAYOUTS[layout])
    batch_size = BATCH_SIZES[device.type]
    inputs = torch.randn(batch_size, 115, 128, 128, device=device)
    inputs = inputs.contiguous(memory_format=LAYOUTS[layout]).requires_grad_()

    def run_pass() -> None:
        torch.autograd.grad(network(inputs).sum(), inputs)
        if device.type == "cuda":
            torch.cuda.synchronize()

    run_pass()
    began = time.perf_counter()
    n_full = max(1, n_passes // batch_size)
    for _ in range(n_full):
        run_pass()
    print((time.perf_counter() - began) * n_passes / (n_full * batch_size))


def print_report(runs: list[Run], options: argparse.Namespace) -> None:
    """Print a row a contestant, medians over the repeats, as Markdown; and passes and errors of the maps."""
    from mri_saliency.runtime.device import hardware_name

    print(
        f"\nEfficientNetV2-{options.variant}, {' + '.join(options.methods)}, {len(KEY_SLICES)} key slices, "
        f"{options.scans} scans, on {hardware_name(torch.device(options.device))}; "
        f"PyTorch {torch.__version__.split('+')[0]}; medians of {options.repeats}\n"
    )
    print("| | seconds | s/scan | of plain's speed | of the floor's time | peak GiB |")
    print("| --- | --- | --- | --- | --- | --- |")
    of_name = {name: [run for run in runs if run.contestant == name] for name in options.contestants}
    seconds = {name: np.median([run.seconds for run in of]) for name, of in of_name.items()}
    for name, s in seconds.items():
        speed, of_floor = seconds.get("plain", np.nan) / s, s / seconds.get("floor", np.nan)
        peak_gib = max(run.peak_gib for run in of_name[name])
        of_others = f"{speed:.2f} × | {of_floor:.2f} ×"
        print(f"| {name} | {s:.1f} | {s / options.scans:.2f} | {of_others} | {peak_gib:.2f} |")
    if "tool" in of_name:
        again_s = np.median([run.again_s for run in of_name["tool"]])
        rest, of_floor = seconds["tool"] - again_s, seconds.get("floor", np.nan)
        print(f"\ntool without start and description ({again_s:.1f} s): {rest:.1f} s, ", end="")
        print(f"{rest / of_floor:.2f} × the floor")
        _print_passes({name: of[-1].maps for name, of in of_name.items()})


def _print_passes(maps: dict[str, pd.DataFrame]) -> None:
    """Print the tool's passes, and how far its maps of Integrated Gradients are from the plain way's."""
    for method, of_method in maps["tool"].groupby("method"):
        passes = of_method["passes"]
        print(f"\n{method}: {passes.mean():.1f} passes a scan, {passes.min()} to {passes.max()}", end="")
        print(f" (plain: {PASSES[method]}); largest error stated: {of_method['map_error'].max():.2g}", end="")
        if method == "integrated_gradients" and "plain" in maps:
            plain = maps["plain"].query("method == @method")["values"]
            differences = [
                np.abs(values - plain[subject]).sum() / np.abs(values).sum()
                for subject, values in of_method["values"].items()
            ]
            print(f"; largest difference from plain's maps: {max(differences):.2g}", end="")
    print()


if __name__ == "__main__":
    main()
