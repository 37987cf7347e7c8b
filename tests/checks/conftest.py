"""The tiny network and its scans, and scans to check."""

import numpy as np

from mri_saliency.checks.checked_scans import CheckedScans

from ..attribution.conftest import inputs, prepared

__all__ = ["checked_scans", "inputs", "prepared"]


def checked_scans(inputs, **known):
    """Scans to check, named a, b, …, whose brain is where they are not zero; `known` replaces the rest."""
    n = len(inputs)
    names = [chr(97 + index) for index in range(n)]
    nothing = {"labels": np.zeros(inputs.shape, np.int32), "region_names": {}, "classes": [0] * n}
    nothing |= {"targets": [0] * n, "baselines": np.zeros_like(inputs[:1])}
    return CheckedScans(
        inputs=inputs, scan_ids=names, subject_ids=names, brains=inputs != 0, **nothing | known
    )
