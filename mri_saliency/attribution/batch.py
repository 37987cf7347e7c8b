"""What goes into a method and what comes out: settings, scans that are explained together, their maps."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from torch import Tensor

from mri_saliency.errors import UserError, check_counts
from mri_saliency.methods import AUTO, MAP_ERROR

if TYPE_CHECKING:
    from mri_saliency.attribution.references import References


@dataclass(frozen=True)
class Settings:
    """What determines a map besides the network, the scan and the method."""

    batch_size: int  # the most volumes in one pass of the network; changes a map by rounding only
    # Points on the path of Integrated Gradients (Gauss-Legendre); "auto": as many (Clenshaw-Curtis) as each
    # path's error, relative to the map, needs to fall to `map_error`.
    n_steps: int | Literal["auto"] = AUTO
    n_samples: int = 10  # random draws of Gradient SHAP and of the noise tunnels
    noise_std: float = 0.1  # of those draws, in units of the network's input
    seed: int = 0  # of draws, with the scan's stable id and the method
    map_error: float = MAP_ERROR
    n_references: int = 50  # draws of Expected Gradients: a reference and a place on the path from it
    references: "References | None" = None  # the HC scans of Expected Gradients, which needs them

    def __post_init__(self) -> None:
        """Raise UserError for a setting that makes no map."""
        n_steps = 1 if self.n_steps == AUTO else self.n_steps
        check_counts(1, batch_size=self.batch_size, n_steps=n_steps)
        check_counts(1, n_samples=self.n_samples, n_references=self.n_references)
        check_counts(0, seed=self.seed)
        for name, value in (("noise_std", self.noise_std), ("map_error", self.map_error)):
            if not (isinstance(value, int | float) and 0 < value < math.inf):
                raise UserError(f"{name}: expected a positive number, found {value!r}.")

    def to_json(self) -> dict[str, object]:
        """Return the values as recipes and run.json have them; of the references, what identifies them."""
        references = None if self.references is None else self.references.identity
        return vars(self) | {"references": references}


@dataclass
class Batch:
    """Scans that are explained together, and what passes found out about them and their baselines."""

    inputs: Tensor  # float32 (n, 128, 128, n_slices): slices last, as the network keeps its data in memory
    baselines: Tensor  # float32, as `inputs`, or (1, ...) for all
    scan_ids: list[str]  # SHA-256 of the files; they seed draws, and say which references are left out
    targets: list[int]  # the explained class of each scan
    # under which the two below have the scans, from 0, and their baselines, below 0
    keys: list[int] = field(default_factory=list)
    baseline_keys: list[int] = field(default_factory=list)
    outputs: dict[int, Tensor] = field(default_factory=dict)  # (n_logits,)
    # of the target's log-odds, behind the first layer: key and target -> (channels, 64, 64)
    gradients: dict[tuple[int, int], Tensor] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Set the keys of scans and baselines in a new batch."""
        self.keys = self.keys or list(range(len(self.inputs)))
        n_baselines = len(self.baselines)
        self.baseline_keys = self.baseline_keys or [-1 - key % n_baselines for key in self.keys]

    def part(self, scans: Sequence[int]) -> "Batch":
        """Return some of the scans; what passes find out about them is known to the whole batch too."""
        if list(scans) == list(range(len(self.inputs))):
            return self
        return replace(
            self,
            inputs=self.inputs[list(scans)],
            baselines=self.baselines if len(self.baselines) == 1 else self.baselines[list(scans)],
            scan_ids=[self.scan_ids[scan] for scan in scans],
            targets=[self.targets[scan] for scan in scans],
            keys=[self.keys[scan] for scan in scans],
            baseline_keys=[self.baseline_keys[scan] for scan in scans],
        )


@dataclass(frozen=True)
class BatchMaps:
    """A method's maps of n scans, and what is known of their errors, as in `Attribution`."""

    values: Tensor  # float32 (n, 128, 128, n_slices)
    expected_totals: Tensor | None = None  # float64 (n,)
    errors: list[float | None] | None = None
    standard_errors: Tensor | None = None  # float64 (n,)
    degrees_of_freedom: list[float] | None = None  # of `standard_errors`
    voxel_errors: Tensor | None = None  # as `values`
    nulls: Tensor | None = None  # as `values`
