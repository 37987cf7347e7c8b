"""Regions replaced by the baseline, against a plain loop of passes."""

import numpy as np
import pytest
import torch
from scipy import stats

from mri_saliency.checks.checked_scans import ExplainedScans
from mri_saliency.checks.region_ablation import ablate_regions, check_regions
from mri_saliency.checks.table import ABLATION, DIFFERENCE, MAP, SHUFFLED

from ..attribution.conftest import Linear, explainer_of
from .conftest import checked_scans

NAMES = {3: "Front", 5: "Middle", 40: "Back", 41: "Not in the scans"}


@pytest.fixture
def labels():
    """Three regions with gaps between, of labels that are not consecutive."""
    labels = np.zeros((9, 128, 128), np.int32)
    labels[:, 20:50], labels[:, 50:70, 30:90], labels[2:, 80:100] = 3, 5, 40
    return labels


@pytest.mark.parametrize("batch_size", [1, 4])
def test_changes_are_those_of_a_plain_loop(prepared, inputs, labels, batch_size):
    baselines = 0.5 * inputs.flip(0)
    checked = checked_scans(inputs.numpy(), baselines=baselines.numpy())
    scans = ExplainedScans(explainer_of(prepared, batch_size), checked)
    for index in (0, 2):
        found = ablate_regions(scans, index, labels)
        assert list(found) == [3, 5, 40]
        with torch.no_grad():
            whole = prepared(inputs[[index]])[0, 0]
            for label, change in found.items():
                mixed = torch.where(torch.from_numpy(labels == label), baselines[index], inputs[index])
                expected = float(whole - prepared(mixed[None])[0, 0])
                assert change == pytest.approx(expected, abs=1e-4 * abs(float(whole)))


def test_ranks_of_regions_follow_a_linear_networks_contributions(inputs, labels):
    """The sum of its contributions in a region is the logit's change."""
    weights = torch.randn(9, 128, 128, generator=torch.Generator().manual_seed(0))
    contributions = (inputs * weights).numpy()
    maps = {("deep_lift", MAP): contributions, ("deep_lift", SHUFFLED): -contributions}
    maps["saliency", MAP] = contributions
    regions = np.stack([labels, np.zeros_like(labels), labels])  # the second scan has no place in mm
    checked = checked_scans(inputs.numpy(), labels=regions, region_names=NAMES)
    scans = ExplainedScans(explainer_of(Linear(weights)), checked)
    rows = list(check_regions(scans, maps))
    changes = [row for row in rows if row.check == "region"]
    assert {row.method for row in changes} == {ABLATION} and {row.subject_id for row in changes} == {"a", "c"}
    assert [row.step for row in changes[:3]] == ["Front", "Middle", "Back"]
    sums = [contributions[0][labels == label].sum() for label in (3, 5, 40)]
    assert [row.value for row in changes[:3]] == pytest.approx(sums, rel=1e-3)
    ranks = {(row.method, row.order): row.value for row in rows if row.subject_id == "a" and row.order}
    assert ranks["deep_lift", MAP] == pytest.approx(1) and ranks["deep_lift", SHUFFLED] == pytest.approx(1)
    for key, values in (("saliency", contributions), (DIFFERENCE, checked.inputs)):
        masses = [np.abs(values[0][labels == label]).sum() for label in (3, 5, 40)]
        expected = stats.spearmanr(np.abs(sums), masses).statistic
        assert ranks[key, DIFFERENCE if key == DIFFERENCE else MAP] == pytest.approx(expected)
