"""Deletion and insertion, against the analytic curves of a linear network."""

import numpy as np
import pandas as pd
import pytest
import torch

from mri_saliency.attribution.explainer import Explainer, Settings
from mri_saliency.checks.checked_scans import ExplainedScans
from mri_saliency.checks.replacement import REPLACED_PERCENT, replacement, shared_order
from mri_saliency.checks.table import MAP, RANDOM

from ..attribution.conftest import Linear
from .conftest import checked_scans


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_replacement_follows_the_contributions_whatever_the_logits_sign(sign):
    """Partial sums of sorted contributions."""
    generator = torch.Generator().manual_seed(0)
    weights = torch.randn(4, 128, 128, generator=generator)
    inputs = (sign * weights * torch.rand(4, 128, 128, generator=generator))[None].numpy()
    scans = ExplainedScans(Explainer(Linear(weights), Settings(batch_size=4)), checked_scans(inputs))
    contributions = inputs * weights.numpy()
    table = pd.DataFrame(replacement(scans, ("input_x_gradient", MAP), contributions))
    ordered = np.sort(contributions.ravel() * sign)[::-1].astype(np.float64)
    gone = np.concatenate([[0], ordered.cumsum()])
    replaced = gone[np.ceil(np.array(REPLACED_PERCENT) / 100 * ordered.size).astype(int)]
    for check, expected in (("deletion", gone[-1] - replaced), ("insertion", replaced)):
        rows = table[table["check"] == check]
        assert rows["step"].tolist() == [str(percent) for percent in REPLACED_PERCENT]
        np.testing.assert_allclose(rows["value"], expected, atol=1e-3 * gone[-1])


def test_each_scan_has_its_own_baseline():
    generator = torch.Generator().manual_seed(0)
    weights, *others = torch.randn(5, 4, 128, 128, generator=generator)
    inputs, baselines = (torch.stack(pair).numpy() for pair in (others[:2], others[2:]))
    checked = checked_scans(inputs, baselines=baselines)
    scans = ExplainedScans(Explainer(Linear(weights), Settings(batch_size=4)), checked)
    table = pd.DataFrame(replacement(scans, ("saliency", MAP), checked.differences))
    whole = table[(table["check"] == "deletion") & (table["step"] == "0")].set_index("subject_id")["value"]
    changes = np.abs(((inputs - baselines) * weights.numpy()).sum((1, 2, 3), dtype=float))
    np.testing.assert_allclose(whole[["a", "b"]], changes, rtol=1e-3)


def test_voxels_at_random_are_the_brains_first():
    inputs = np.zeros((1, 4, 128, 128), np.float32)
    inputs[:, 1:3, 30:60] = 1
    checked = checked_scans(inputs)
    values = shared_order(RANDOM, checked)
    assert values[checked.brains].min() > values[~checked.brains].max()
    assert len(np.unique(values[checked.brains])) > 0.99 * checked.brains.sum()
