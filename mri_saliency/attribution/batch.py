"""What determines a map: the settings, and the scans that are explained together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import Tensor

if TYPE_CHECKING:
    from mri_saliency.attribution.references import References


@dataclass(frozen=True)
class Settings:
    """What determines a map besides the network, the scan and the method.

    Attributes
    ----------
    batch_size : int
        The most volumes in one pass of the network. Changes a map by rounding only.
    n_steps : int
        Points on the path of Integrated Gradients (Gauss-Legendre).
    n_samples : int
        Random draws of Gradient SHAP and of the noise tunnels.
    noise_std : float
        Standard deviation of those draws, in units of the network's input.
    seed : int
        With the scan's stable id and the method, the seed of its draws.
    n_references : int
        Draws of Expected Gradients: a reference and a place on the path from it.
    references : References or None
        The HC scans of Expected Gradients, which needs them.
    """

    batch_size: int
    n_steps: int = 50
    n_samples: int = 10
    noise_std: float = 0.1
    seed: int = 0
    n_references: int = 50
    references: References | None = None

    def to_json(self) -> dict[str, object]:
        """Return the values as recipes and run.json have them; of the references, what identifies them."""
        references = None if self.references is None else self.references.identity
        return vars(self) | {"references": references}


@dataclass
class Batch:
    """Scans that are explained together; `Explainer.batch` and `Explainer.select` make it.

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
    outputs : Tensor or None
        The network's outputs (n, n_logits), once a pass has computed them.
    baseline_outputs : Tensor or None
        The network's outputs for `baselines`, once a method has needed them.
    gradients : Tensor or None
        Gradients of the targets' log-odds at `inputs`, once a method has needed them.
    """

    inputs: Tensor
    baselines: Tensor
    scan_ids: list[str]
    targets: list[int]
    outputs: Tensor | None = None
    baseline_outputs: Tensor | None = None
    gradients: Tensor | None = None
