"""The scans whose maps are checked."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from mri_saliency.attribution.explainer import Explainer
from mri_saliency.methods import METHODS


@dataclass(frozen=True)
class CheckedScans:
    """Scans whose maps are checked."""

    inputs: np.ndarray  # float32 (n, n_slices, 128, 128)
    baselines: np.ndarray  # float32, (n, ...) as `inputs` or (1, ...) for all
    scan_ids: list[str]  # stable ids that seed each scan's random draws
    targets: list[int]  # the class that each scan's map explains
    subject_ids: list[str]
    brains: np.ndarray  # bool, as `inputs`: where maps are compared
    labels: np.ndarray  # int, as `inputs`: the region of each voxel, 0 for none
    region_names: Mapping[int, str]  # label -> name
    classes: list[int]  # each scan's true class

    @property
    def other_scans(self) -> list[int]:
        """For each scan the index of the next of another class, which shares no evidence, else the next."""
        n = len(self.inputs)
        following = [[(i + k) % n for k in range(1, n + 1)] for i in range(n)]
        return [
            next((j for j in ahead if self.classes[j] != self.classes[i]), ahead[0])
            for i, ahead in enumerate(following)
        ]

    @property
    def differences(self) -> np.ndarray:
        """|scan - baseline|, of the shape of `inputs`."""
        return np.abs(self.inputs - self.baselines)

    def select(self, part: slice) -> "CheckedScans":
        """Return some of the scans."""
        whole = {"region_names"} | ({"baselines"} if len(self.baselines) == 1 else set())
        fields = {key: value if key in whole else value[part] for key, value in vars(self).items()}
        return CheckedScans(**fields)


class ExplainedScans:
    """Checked scans under one network and one seed."""

    def __init__(self, explainer: Explainer, checked: CheckedScans) -> None:
        self.explainer = explainer
        self.checked = checked
        self.batch = explainer.batch(checked.inputs, checked.baselines, checked.scan_ids, checked.targets)
        self._nulls: dict[str, np.ndarray] = {}  # of methods that were explained and make their own

    def maps(self, method: str) -> np.ndarray:
        """Compute the scans' maps, float32 (n, n_slices, 128, 128)."""
        found = self.explainer.attribute(method, self.batch)
        nulls = [attribution.null for attribution in found if attribution.null is not None]
        if nulls:
            self._nulls[method] = np.stack(nulls)
        return np.stack([attribution.values for attribution in found])

    def nulls(self, method: str) -> np.ndarray:
        """Return the scans' null maps, of the shape of `maps`, which were made before."""
        if method in self._nulls:
            return self._nulls[method]
        return np.abs(self.checked.inputs) if METHODS[method].from_zero else self.checked.differences
