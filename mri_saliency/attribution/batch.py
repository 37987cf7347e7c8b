"""What goes into a method and what comes out: settings, scans that are explained together, their maps."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from torch import Tensor

from mri_saliency.methods import AUTO, MAP_ERROR

if TYPE_CHECKING:
    from mri_saliency.attribution.references import References


@dataclass(frozen=True)
class Settings:
    """What determines a map besides the network, the scan and the method.

    Attributes
    ----------
    batch_size : int
        The most volumes in one pass of the network. Changes a map by rounding only.
    n_steps : int or "auto"
        Points on the path of Integrated Gradients (Gauss-Legendre); "auto": for each path as many
        (Clenshaw-Curtis) as `map_error` asks for.
    n_samples : int
        Random draws of Gradient SHAP and of the noise tunnels.
    noise_std : float
        Standard deviation of those draws, in units of the network's input.
    seed : int
        With the scan's stable id and the method, the seed of its draws.
    map_error : float
        The error that a path's points should reach, relative to the map.
    n_references : int
        Draws of Expected Gradients: a reference and a place on the path from it.
    references : References or None
        The HC scans of Expected Gradients, which needs them.
    """

    batch_size: int
    n_steps: int | Literal["auto"] = AUTO
    n_samples: int = 10
    noise_std: float = 0.1
    seed: int = 0
    map_error: float = MAP_ERROR
    n_references: int = 50
    references: References | None = None

    def to_json(self) -> dict[str, object]:
        """Return the values as recipes and run.json have them; of the references, what identifies them."""
        references = None if self.references is None else self.references.identity
        return vars(self) | {"references": references}


@dataclass
class Batch:
    """Scans that are explained together, and what methods found out about them on the way.

    Attributes
    ----------
    inputs : Tensor
        float32 (n, 128, 128, n_slices): slices last, as the network keeps its data in memory.
    baselines : Tensor
        float32, (n, ...) as `inputs` or (1, ...) for all.
    scan_ids : list of str
        Stable ids (SHA-256 of the files) that seed each scan's draws, and by which references are left out.
    targets : list of int
        The index of the explained class, for each scan.
    outputs, baseline_outputs : Tensor or None
        The network's outputs for `inputs` and `baselines`, (n, n_logits).
    gradients : Tensor or None
        Gradients of the targets' log-odds at `inputs`, behind the first layer: (n, channels, 64, 64).
    baseline_gradients : dict
        (row of `baselines`, target) -> the same at a baseline, (channels, 64, 64).
    """

    inputs: Tensor
    baselines: Tensor
    scan_ids: list[str]
    targets: list[int]
    outputs: Tensor | None = None
    baseline_outputs: Tensor | None = None
    gradients: Tensor | None = None
    baseline_gradients: dict[tuple[int, int], Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class BatchMaps:
    """A method's maps of n scans, and what is known of their errors, as in `Attribution`.

    Attributes
    ----------
    values : Tensor
        float32 (n, 128, 128, n_slices), and so `voxel_errors`.
    expected_totals, standard_errors : Tensor or None
        float64 (n,).
    """

    values: Tensor
    expected_totals: Tensor | None = None
    errors: list[float | None] | None = None
    standard_errors: Tensor | None = None
    voxel_errors: Tensor | None = None
