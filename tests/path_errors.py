"""Print what maps of Integrated Gradients cost, and how far they are from the truth.

    python tests/path_errors.py FOLDER [option ...]

explains the simulated scans that `python run_saliency_generation.py --demo FOLDER` has made, from zero and from
hc_mean, with further options of the tool, such as `--max_samples 4`. The truth are 400 Gauss-Legendre points.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

sys.path[0] = str(Path(__file__).parent.parent)  # this file's folder has names of the standard library

import generate_saliency_maps  # noqa: E402
from tests.benchmark import read_maps  # noqa: E402


def explained(folder: Path, *options: str) -> pd.DataFrame:
    """Return the table of the demo's maps, with their arrays."""
    run = folder / "run"
    inputs = {
        "model": run / "fold_1/best_model.pth",
        "parameters": run / "parameters.json",
        "csv": folder / "val.csv",
    }
    command = [part for name, path in inputs.items() for part in (f"--{name}_path", str(path))]
    with tempfile.TemporaryDirectory() as output_dir:
        command += ["--methods", "integrated_gradients", "--output_dir", output_dir, "--max_samples", "0"]
        if generate_saliency_maps.main([*command, *options]):
            raise SystemExit(1)
        return read_maps(Path(output_dir))


def main(folder: str, *options: str) -> None:
    """Print a line for each baseline."""
    for baseline in ("zero", "hc_mean"):
        maps, truth = (
            explained(Path(folder), *options, "--baseline", baseline, "--n_steps", n) for n in ("auto", "400")
        )
        true = [
            np.abs(found - expected).sum(dtype=float) / np.abs(expected).sum(dtype=float)
            for found, expected in zip(maps["values"], truth["values"][maps.index], strict=True)
        ]
        above = np.array(true)[np.array(true) > 1e-5] / maps["map_error"][np.array(true) > 1e-5]
        print(
            f"from {baseline}: {maps['passes'].mean():.1f} passes a scan; errors: largest stated "
            f"{maps['map_error'].max():.1e}, largest true {max(true):.1e}, true over stated at most "
            f"{above.max() if len(above) else 0:.2f} (above 1e-5)"
        )


if __name__ == "__main__":
    main(*sys.argv[1:])
