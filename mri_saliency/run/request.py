"""What a run was asked for, read and checked: the network, the scans, the settings."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from mri_saliency.attribution.baselines import Baseline
from mri_saliency.attribution.batch import Settings
from mri_saliency.attribution.explainer import MATHS
from mri_saliency.attribution.references import load_references
from mri_saliency.errors import UserError, warn
from mri_saliency.inputs.checkpoint import Checkpoint, load_checkpoint
from mri_saliency.inputs.covariates import check_covariates
from mri_saliency.inputs.grid import Grid
from mri_saliency.inputs.loading import load_volume
from mri_saliency.inputs.scan_table import Scan, ScanTable
from mri_saliency.methods import AUTO, BATCH_SIZES
from mri_saliency.options import Options, check_key_slices, choose_target, find_parameters
from mri_saliency.output.record import Recipe
from mri_saliency.run.description import Description, read_description
from mri_saliency.run.plan import make_recipes
from mri_saliency.runtime.device import choose_device, hardware_name
from mri_saliency.runtime.ranks import Ranks

if TYPE_CHECKING:
    import torch

_TRIED_SCANS = 10  # of which the first readable one shows whether the atlas fits


@dataclass(frozen=True, eq=False)
class Request:
    """What goes into a run."""

    device: torch.device
    checkpoint: Checkpoint
    target: int | None  # the class to explain; None: each scan's predicted class
    settings: Settings
    table: ScanTable
    scans: list[Scan]  # of the table, those that are explained
    window: dict[str, int]  # ``n_slices`` and ``first_slice``: the coronal slices that the network sees
    description: Description
    n_checked: int  # scans whose maps are checked on the network

    @property
    def healthy(self) -> list[Scan]:
        """The table's HC scans."""
        return [scan for scan in self.table.scans if scan.label == 0]

    def with_references(self, in_groups: Callable[..., Iterator[list]]) -> Request:
        """Return the request with the references of Expected Gradients; raises as `load_references`."""
        how = {"n_references": self.settings.n_references, "seed": self.settings.seed}
        references = load_references(self.table.scans, in_groups, **how)
        return replace(self, settings=replace(self.settings, references=references))

    def recipes(self, methods: Iterable[str], baseline: Baseline) -> dict[str, Recipe]:
        """Return how each method's maps are made."""
        # a single logit is explained as it is, and its recipe is that of maps from before there was a choice
        explains: dict[str, object] = {"explains": "log-odds"} if self.checkpoint.n_logits > 1 else {}
        common = Recipe(MATHS, self.checkpoint.sha256, self.window["first_slice"], self.target, explains)
        settings = self.settings.to_json() | {"baseline": baseline.identity}
        if self.settings.n_steps != AUTO:
            del settings["map_error"]  # a number of steps has the recipe that it always had
        return make_recipes(methods, common, settings, hardware_name(self.device))

    def to_json(self, options: Options, command_line: str) -> dict:
        """Return the request as run.json has it."""
        checkpoint, references = self.checkpoint, self.settings.references
        return {
            "command_line": command_line,
            "working_directory": str(Path.cwd()),
            "options": options.to_json() | {"target": self.target, "check_maps": self.n_checked},
            "settings": self.settings.to_json(),
            "references": list(references.paths) if references else [],
            "checkpoint": {
                "path": str(checkpoint.path.absolute()),
                "sha256": checkpoint.sha256,
                "network": f"EfficientNetV2-{checkpoint.variant}",
                "n_slices": checkpoint.n_slices,
                "n_logits": checkpoint.n_logits,
            },
            "skipped_rows": self.table.skipped,
            "training_parameters": checkpoint.parameters,
            "device": {"name": str(self.device), "hardware": hardware_name(self.device)},
        }


def read_request(options: Options, table: ScanTable, ranks: Ranks) -> Request:
    """Read the network, and check that the options fit it and the table.

    Raises UserError: a file cannot be read, or an option does not fit.
    """
    device = choose_device(options.device, ranks)
    checkpoint = load_checkpoint(options.model_path, find_parameters(options.parameters_path))
    check_key_slices(options.key_slices, checkpoint.n_slices)
    target = choose_target(options.target, checkpoint.n_logits)
    scans = table.scans[: options.max_samples or None]
    if ranks.is_main:
        if options.device is None and device.type == "cpu":
            warn("no CUDA device found; running on the CPU, which is many times slower.")
        for note in table.notes:
            warn(note)
        print(
            f"EfficientNetV2-{checkpoint.variant}, {checkpoint.n_slices} slices, on {hardware_name(device)}; "
            f"{len(scans)} of {len(table.scans)} scans; {', '.join(options.methods)}",
            flush=True,
        )
    window = {"n_slices": checkpoint.n_slices, "first_slice": options.first_slice}
    description = read_description(options, _grids(scans, **window))
    if description.covariates is not None:
        check_covariates(description.covariates, scans, options.csv_path)
    settings = Settings(
        batch_size=options.batch_size or BATCH_SIZES[device.type],
        n_steps=options.n_steps,
        n_samples=options.n_samples,
        noise_std=options.noise_std,
        seed=options.seed,
        map_error=options.map_error,
        n_references=options.n_references,
    )
    n_checked = options.scans_to_check(device.type)
    return Request(device, checkpoint, target, settings, table, scans, window, description, n_checked)


def _grids(scans: list[Scan], n_slices: int, first_slice: int) -> Iterable[Grid]:
    """Yield the grids of the first readable scans."""
    for scan in scans[:_TRIED_SCANS]:
        try:
            yield load_volume(scan.path, n_slices, first_slice).grid
        except UserError:  # costs that scan alone, and is reported when it is explained
            continue
