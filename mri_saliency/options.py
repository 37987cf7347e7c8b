"""The command line: its parser, and the checks that need nothing heavy."""

import json
import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mri_saliency.errors import UserError, warn
from mri_saliency.inputs.file_identity import check_is_file
from mri_saliency.methods import BASELINES, CHECKED_BY_DEFAULT
from mri_saliency.parser import CSV_PATH, DEMO_COMMAND, MODEL_PATH, PARAMETERS_PATH, get_parser
from mri_saliency.wording import ClassNames


@dataclass(frozen=True)
class Options:
    """The command line's values; `get_parser` describes each."""

    model_path: Path
    parameters_path: Path
    csv_path: Path
    path_column: str
    diagnosis_column: str
    labels: tuple[tuple[str, str], ...]
    class_names: ClassNames
    output_dir: Path
    max_samples: int
    first_slice: int
    methods: tuple[str, ...]
    baseline: str
    n_steps: int | Literal["auto"]
    map_error: float
    n_samples: int
    noise_std: float
    seed: int
    n_references: int
    key_slices: tuple[int, ...]
    workers: int
    smooth_mm: float
    overwrite: bool = False
    report_only: bool = False
    report_embed: bool = False
    check_maps: int | None = None  # None: the device decides
    covariates: tuple[str, ...] = ()
    nifti: bool = True
    subject_column: str | None = None
    target: int | None = None
    atlas: Path | None = None
    atlas_names: Path | None = None
    device: str | None = None
    batch_size: int | None = None
    combine: tuple[Path, ...] = ()

    def scans_to_check(self, device_type: str) -> int:
        """Return how many scans' maps are checked on the network."""
        return CHECKED_BY_DEFAULT[device_type] if self.check_maps is None else self.check_maps

    def to_json(self) -> dict:
        """Return the values as run.json has them."""
        labels = [f"{value}={group}" for value, group in self.labels]
        return json.loads(json.dumps(vars(self) | {"labels": labels}, default=str))


def read_options(description: str, args: list[str] | None = None) -> Options:
    """Read the command line; raises UserError if a value cannot be right, and argparse's SystemExit."""
    values = vars(get_parser(description).parse_args(args))
    for name in ("methods", "key_slices", "labels", "covariates"):
        values[name] = tuple(dict.fromkeys(values.get(name, ())))
    values["combine"] = tuple(values.get("combine", ()))  # a run may be given twice
    # as figures can draw them: without line breaks, and bytes that are not UTF-8 replaced
    words = [os.fsencode(name).decode("utf-8", "replace").split() for name in values["class_names"]]
    values["class_names"] = ClassNames(*map(" ".join, words))
    options = Options(**values)
    _check_numbers(options)
    if options.atlas_names is not None and options.atlas is None:
        raise UserError("--atlas_names: names the regions of an --atlas, and none is given.")
    if options.report_only and options.check_maps:
        raise UserError("--check_maps needs the network, which --report_only does without; choose one.")
    if options.combine and (options.report_only or options.check_maps):
        other = "--report_only" if options.report_only else "--check_maps"
        raise UserError(f"--combine makes new maps of finished ones without a network; leave {other} out.")
    if options.combine and int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise UserError("--combine runs in one process and its --workers; start it without torchrun.")
    if not (options.report_only or options.combine):
        _check_paths(options)
    return options


def find_parameters(path: Path) -> Path | None:
    """Return the path of parameters.json; None if it is the default one and does not exist."""
    if path == PARAMETERS_PATH and not os.path.exists(path):
        warn(f"no {PARAMETERS_PATH}; going on without it (nothing in it changes a map).")
        return None
    return path


def check_key_slices(key_slices: tuple[int, ...], n_slices: int) -> None:
    """Raise UserError for key slices that the network does not have."""
    beyond = [index for index in key_slices if index >= n_slices]
    if beyond:
        raise UserError(
            f"--key_slices: the network has slices 0 to {n_slices - 1}; found {', '.join(map(str, beyond))}."
        )


def choose_target(target: int | None, n_logits: int) -> int | None:
    """Return the class to explain: a single logit's, or ``--target``; None is each scan's predicted class.

    Raises UserError: the network has no such logit.
    """
    if target is not None and target >= n_logits:
        raise UserError(f"--target: the network has {n_logits} logit(s), counted from 0; found {target}.")
    return 0 if n_logits == 1 else target


def _check_numbers(options: Options) -> None:
    least = {"max_samples": 0, "first_slice": 0, "n_steps": 1, "n_samples": 1, "workers": 0}
    least |= {"batch_size": 1, "target": 0, "seed": 0, "check_maps": 0, "n_references": 2}
    for name, smallest in least.items():
        value = getattr(options, name)
        if isinstance(value, int) and value < smallest:
            raise UserError(f"--{name}: expected {smallest} or more, found {value}.")
    for name in ("noise_std", "map_error"):
        if not 0 < getattr(options, name) < math.inf:
            raise UserError(f"--{name}: expected a positive number, found {getattr(options, name)}.")
    if not 0 <= options.smooth_mm < math.inf:
        raise UserError(f"--smooth_mm: expected 0 or more, found {options.smooth_mm}.")
    if min(options.key_slices) < 0:
        raise UserError(f"--key_slices: expected 0 or more, found {min(options.key_slices)}.")


def _check_paths(options: Options) -> None:
    if options.baseline not in BASELINES and not os.path.exists(options.baseline):
        raise UserError(
            f"--baseline: {options.baseline!r} is neither a file nor one of {', '.join(BASELINES)}."
        )
    demo = f"the default checkpoint (to try the tool on simulated scans: {DEMO_COMMAND})"
    defaults = {MODEL_PATH: demo, CSV_PATH: "the default cohort table"}
    for name in ("model_path", "csv_path", "atlas", "atlas_names"):
        if (path := getattr(options, name)) is not None:
            check_is_file(path, f"{defaults.get(path, 'a file')}. Name yours with --{name}")
