"""The command line's options, as --help shows them."""

import argparse
from collections.abc import Mapping
from pathlib import Path

from mri_saliency import __version__
from mri_saliency.inputs.labels import DEFAULT_LABELS, GROUPS
from mri_saliency.maps.drawing import DEFAULT_SMOOTH_MM
from mri_saliency.methods import (
    AUTO,
    BATCH_SIZES,
    CHECKED_BY_DEFAULT,
    CHECKED_SCANS,
    DEFAULT_METHODS,
    MAP_ERROR,
    METHODS,
)
from mri_saliency.runtime.device import DEFAULT_DEVICE, usable_cores

RUN_FOLDER = Path("new_runs/runs_syn/syn_2723")
MODEL_PATH = RUN_FOLDER / "fold_1/best_model.pth"
PARAMETERS_PATH = RUN_FOLDER / "parameters.json"
CSV_PATH = Path("/space/mcdonald-syn01/1/projects/jsawant/Diffusion_paper/data_csvs/val.csv")
OUTPUT_DIR = RUN_FOLDER / "fold_1/saliency_maps_detailed"
DEMO_COMMAND = "python run_saliency_generation.py --demo"

EXAMPLES = """examples:
  python generate_saliency_maps.py --model_path RUN/fold_1/best_model.pth \\
      --parameters_path RUN/parameters.json --csv_path val.csv --output_dir maps
  python generate_saliency_maps.py --max_samples 0 --methods integrated_gradients deep_lift \\
      --baseline hc_mean
  python generate_saliency_maps.py --device cpu --methods saliency --key_slices 45 55 65 75
"""


def _label(text: str) -> tuple[str, str]:
    value, sign, group = text.rpartition("=")
    if not (sign and value and group in GROUPS):
        raise argparse.ArgumentTypeError(
            f"expected VALUE=GROUP, and as GROUP one of {', '.join(GROUPS)}; found {text!r}"
        )
    return value, group


def _method(text: str) -> str:
    if "," in text:
        raise argparse.ArgumentTypeError(
            f"separate methods by blanks, not commas: --methods {text.replace(',', ' ')}"
        )
    return text


def _folder(text: str) -> Path:
    if not text:  # an empty variable of a shell
        raise argparse.ArgumentTypeError("expected a folder, found nothing")
    return Path(text)


def _n_steps(text: str) -> int | str:
    try:
        return text if text == AUTO else int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected {AUTO} or a whole number, found {text!r}") from None


class _HelpFormatter(argparse.ArgumentDefaultsHelpFormatter, argparse.RawDescriptionHelpFormatter):
    """Shows defaults, and keeps the line breaks of description and epilog."""


def get_parser(description: str = "") -> argparse.ArgumentParser:
    """Return the parser of the script's options."""
    methods = "\n".join(f"  {method.name:22}{method.question}" for method in METHODS.values())
    parser = argparse.ArgumentParser(
        prog="generate_saliency_maps.py",
        description=description,
        epilog=f"methods (what a map answers):\n{methods}\n\n{EXAMPLES}",
        formatter_class=_HelpFormatter,
        argument_default=argparse.SUPPRESS,  # an option without a default says in its help what happens
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=__version__)
    _add_inputs(parser.add_argument_group("inputs and output"))
    _add_methods(parser.add_argument_group("methods"))
    _add_files(parser.add_argument_group("figures and files"))
    _add_cohort(parser.add_argument_group("the cohort"))
    _add_machine(parser.add_argument_group("machine"))
    return parser


def _per_device(numbers: Mapping[str, int]) -> str:
    return ", ".join(f"{number} on {kind}" for kind, number in numbers.items())


def _add_inputs(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--model_path", type=Path, default=MODEL_PATH, help="the trained checkpoint")
    add("--parameters_path", type=Path, default=PARAMETERS_PATH, help="its run's parameters.json")
    add("--csv_path", type=Path, default=CSV_PATH, help="the cohort's table, one row for each scan")
    add("--path_column", default="file", help="column with the volumes' paths")
    add(
        "--diagnosis_column",
        default="HC_vs_LTLE_vs_RTLE_string",
        help="column with the diagnoses; rows with a value that --labels does not name are skipped",
    )
    add(
        "--labels",
        nargs="+",
        type=_label,
        metavar="VALUE=GROUP",
        default=list(DEFAULT_LABELS.items()),
        help="what the diagnoses mean: GROUP is HC, left, right (the side of the focus), or TLE (a patient "
        "without a side), such as CN=HC AD=TLE (default: HC=HC left=left right=right)",
    )
    add(
        "--class_names",
        nargs=2,
        metavar=("HC", "TLE"),
        default=["HC", "TLE"],
        help="words for the two classes in figures and the report (default: HC TLE)",
    )
    add(
        "--subject_column",
        help="column that names the person of each scan (default: sbj_nme where the table has it)",
    )
    add("--output_dir", type=_folder, default=OUTPUT_DIR, help="folder for everything written")
    add("--max_samples", type=int, default=50, help="scans to explain, from the table's top; 0: all")
    add(
        "--first_slice",
        type=int,
        default=10,
        help="coronal slice of a real scan that is the network's first (synthetic volumes: one less)",
    )


def _add_methods(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add(
        "--methods",
        nargs="+",
        type=_method,
        choices=METHODS,
        metavar="METHOD",
        default=list(DEFAULT_METHODS),
        help="attribution methods, listed below",
    )
    add(
        "--baseline",
        default="zero",
        help="what integrated_gradients, noise_tunnel_ig and deep_lift compare a scan with: zero; "
        "background, the scan's own air; hc_mean, the mean input of all the table's HC scans but the scan's "
        "own subject's; or a file, a scan or a .npy array of the input's shape",
    )
    add(
        "--n_steps",
        type=_n_steps,
        default=AUTO,
        help="points on Integrated Gradients' path: auto, for each scan as many as --map_error asks for; or "
        "a number",
    )
    add(
        "--map_error",
        type=float,
        default=MAP_ERROR,
        help="with --n_steps auto, points are doubled until a map's estimated error is this part of it",
    )
    add("--n_samples", type=int, default=10, help="draws of gradient_shap, noise_tunnel_ig, smooth_grad")
    add("--noise_std", type=float, default=0.1, help="standard deviation of the draws, in input units")
    add("--seed", type=int, default=0, help="seed of the draws, mixed with each scan's content")
    add(
        "--n_references",
        type=int,
        default=50,
        help="draws of expected_gradients, each an HC scan of the table and a place on the path from it; no "
        "more HC scans are kept in memory",
    )
    add(
        "--target",
        type=int,
        help="class to explain, for networks of several logits (default: each scan's predicted class)",
    )


def _add_files(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add(
        "--key_slices",
        nargs="+",
        type=int,
        metavar="SLICE",
        default=[30, 40, 50, 60, 70, 80, 90],
        help="slices to draw, counted from 0 in the network's input",
    )
    add(
        "--no_nifti",
        dest="nifti",
        action="store_false",
        help="do not write the maps' NIfTI images (default: write them)",
    )
    add(
        "--overwrite",
        action="store_true",
        help="replace maps in --output_dir that were made in another way; without it the run refuses",
    )


def _add_cohort(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add(
        "--atlas",
        type=Path,
        help="label image in the scans' space, whose regions divide the maps (default: none)",
    )
    add(
        "--atlas_names",
        type=Path,
        help="its table of labels and names, CSV or TSV (default: none)",
    )
    add(
        "--smooth_mm",
        type=float,
        default=DEFAULT_SMOOTH_MM,
        help="smoothing of overlays, and of maps before groups are compared: full width at half maximum, in "
        "mm; 0: none",
    )
    add(
        "--covariates",
        nargs="+",
        metavar="COLUMN",
        help="columns of the table that the comparison of groups accounts for, such as age sex site: numbers "
        "as they are, words as categories (default: none)",
    )
    add(
        "--check_maps",
        type=int,
        nargs="?",
        const=CHECKED_SCANS,
        metavar="SCANS",
        help="check the maps on the network itself, on so many scans (3 at least for an interval): weights "
        "shuffled, voxels and, with --atlas, regions replaced, maps repeated; "
        f"{CHECKED_SCANS} scans where no number is given, 0: no checks (default: "
        f"{_per_device(CHECKED_BY_DEFAULT)})",
    )
    add("--report_only", action="store_true", help="make no maps; describe those in --output_dir again")
    add(
        "--combine",
        nargs="+",
        type=Path,
        metavar="RUN",
        help="folders of two finished runs or more, such as those of folds: write the means of their maps, "
        "and how far they agree, to --output_dir; needs the scans, but no network and no table (default: "
        "none)",
    )
    add(
        "--report_embed",
        action="store_true",
        help="put all pictures into report.html, to mail one file, and the maps of its viewer up to 20 scans",
    )


def _add_machine(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add(
        "--device",
        help=f"PyTorch device (default: {DEFAULT_DEVICE}, or cpu where there is no CUDA device)",
    )
    add(
        "--batch_size",
        type=int,
        help="most volumes in one pass of the network; less needs less memory (default: "
        f"{_per_device(BATCH_SIZES)})",
    )
    add(
        "--workers",
        type=int,
        default=usable_cores(),
        help="processes that load and draw; 0: the main process does it",
    )
