"""The scans whose maps are checked, and the methods that explain them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np

from mri_saliency.attribution.batch import Batch
from mri_saliency.attribution.explainer import Explainer
from mri_saliency.methods import METHODS


@dataclass(frozen=True)
class CheckedScans:
    """Scans whose maps are checked.

    Attributes
    ----------
    inputs : ndarray
        float32 (n, n_slices, 128, 128).
    baselines : ndarray
        float32, (n, ...) as `inputs` or (1, ...) for all.
    scan_ids : list of str
        Stable ids that seed each scan's random draws.
    targets : list of int, int or None
        The logit to explain, of each scan or of all; None: each scan's predicted class.
    subject_ids : list of str
    brains : ndarray
        bool (n, n_slices, 128, 128): where maps are compared.
    labels : ndarray or None
        int (n, n_slices, 128, 128), the region of each voxel, 0 for none; None without an atlas.
    region_names : mapping
        Label -> name.
    classes : list of int
        Each scan's true class; may be empty.
    """

    inputs: np.ndarray
    baselines: np.ndarray
    scan_ids: list[str]
    targets: list[int] | int | None
    subject_ids: list[str]
    brains: np.ndarray
    labels: np.ndarray | None = None
    region_names: Mapping[int, str] = field(default_factory=dict)
    classes: list[int] = field(default_factory=list)

    @property
    def other_scans(self) -> list[int]:
        """For each scan the index of another one: the next of another class, else the next.

        Two scans of a class may share their evidence, and then one's map is no impostor for the other.
        """
        n, classes = len(self.inputs), self.classes or [0] * len(self.inputs)
        following = [[(i + k) % n for k in range(1, n)] for i in range(n)]
        return [
            next((j for j in ahead if classes[j] != classes[i]), ahead[0] if ahead else i)
            for i, ahead in enumerate(following)
        ]

    @property
    def differences(self) -> np.ndarray:
        """|scan - baseline|, of the shape of `inputs`."""
        return np.abs(self.inputs - self.baselines)

    def select(self, indices: Sequence[int]) -> CheckedScans:
        """Return some of the scans."""
        indices = list(indices)
        return replace(
            self,
            inputs=self.inputs[indices],
            baselines=self.baselines if len(self.baselines) == 1 else self.baselines[indices],
            scan_ids=[self.scan_ids[index] for index in indices],
            targets=[self.targets[i] for i in indices] if isinstance(self.targets, list) else self.targets,
            subject_ids=[self.subject_ids[index] for index in indices],
            brains=self.brains[indices],
            labels=None if self.labels is None else self.labels[indices],
            classes=[self.classes[index] for index in indices] if self.classes else [],
        )


@dataclass(frozen=True)
class CheckedMethod:
    """A method, as the checks call it.

    Attributes
    ----------
    compute : callable
        Computes a batch's maps, (n, n_slices, 128, 128), under an explainer.
    signed : bool
        Whether a map has positive and negative values.
    stochastic : bool
        Whether it draws with the seed of the explainer's settings.
    from_zero : bool
        As `methods.Method.from_zero`.
    """

    compute: Callable[[Explainer, Batch], np.ndarray]
    signed: bool
    stochastic: bool = False
    from_zero: bool = False


def registered(names: Iterable[str]) -> dict[str, CheckedMethod]:
    """Return methods of the registry, by name."""
    return {
        name: CheckedMethod(
            partial(_attribute, name), METHODS[name].signed, METHODS[name].stochastic, METHODS[name].from_zero
        )
        for name in names
    }


class ExplainedScans:
    """Checked scans under one network and one seed.

    Parameters
    ----------
    explainer : Explainer
    checked : CheckedScans
    """

    def __init__(self, explainer: Explainer, checked: CheckedScans) -> None:
        self.explainer = explainer
        self.subject_ids = checked.subject_ids
        self.batch = explainer.batch(checked.inputs, checked.baselines, checked.scan_ids, checked.targets)

    def maps(self, method: CheckedMethod) -> np.ndarray:
        """Compute the scans' maps, (n, n_slices, 128, 128)."""
        return method.compute(self.explainer, self.batch)


def _attribute(name: str, explainer: Explainer, batch: Batch) -> np.ndarray:
    return np.stack([attribution.values for attribution in explainer.attribute(name, batch)])
