"""Print what maps of Integrated Gradients cost, and how far they are from those of 400 Gauss-Legendre points.

    python tests/path_errors.py FOLDER [option ...]

explains the simulated scans of `python run_saliency_generation.py --demo FOLDER`, from zero and from hc_mean,
with further options of the tool, such as `--max_samples 4`.
"""

import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

sys.path[0] = str(Path(__file__).parent.parent)  # this file's folder has names of the standard library

import generate_saliency_maps  # noqa: E402
from tests.benchmark import read_maps  # noqa: E402


def explained(folder: str, *options: str) -> pd.DataFrame:
    """Return the table of the demo's maps, with their arrays."""
    command = [f"--model_path={folder}/run/fold_1/best_model.pth", f"--csv_path={folder}/val.csv"]
    command += [f"--parameters_path={folder}/run/parameters.json", "--methods=integrated_gradients"]
    with tempfile.TemporaryDirectory() as output_dir:
        command += [f"--output_dir={output_dir}", "--max_samples=0", *options]
        if generate_saliency_maps.main(command):
            raise SystemExit(1)
        return read_maps(Path(output_dir))


def main(folder: str, *options: str) -> None:
    """Explain the scans with the points that the tool chooses and with 400, and print how they compare."""
    for baseline in ("zero", "hc_mean"):
        maps, truth = (
            explained(folder, *options, f"--baseline={baseline}", f"--n_steps={n}") for n in ("auto", "400")
        )
        pairs = zip(maps["values"], truth["values"][maps.index], strict=True)
        true = np.array([np.abs(found - exact).sum() / np.abs(exact).sum() for found, exact in pairs])
        over_stated = (true / maps["map_error"])[true > 1e-5].max()
        print(
            f"from {baseline}: {maps['passes'].mean():.1f} passes a scan; largest error {true.max():.1e}, "
            f"stated {maps['map_error'].max():.1e}; "
            f"true over stated at most {over_stated:.2f} (errors above 1e-5)"
        )


if __name__ == "__main__":  # worker processes load this file too
    main(*sys.argv[1:])
