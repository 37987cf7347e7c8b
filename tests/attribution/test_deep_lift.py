"""DeepLIFT's rules make an EfficientNet's map complete; Captum's alone do not."""

import copy
import warnings

import captum.attr
import numpy as np
import pytest
import torch
from captum.attr._core import deep_lift as captum_deep_lift
from torch import nn

from mri_saliency.attribution.deep_lift import use_deep_lift_rules
from mri_saliency.attribution.first_layer import SplitNetwork
from mri_saliency.inputs.checkpoint import prepare_for_attribution

from ..conftest import lively_network, scan_inputs
from .conftest import explain


@pytest.mark.parametrize("variant", ["S", "M", "L"])
def test_deep_lift_is_complete_and_captums_is_not(variant):
    plain = lively_network(variant)
    inputs, baseline = scan_inputs(1, 2, n_slices=115), 0.5 * scan_inputs(3, n_slices=115)
    before = dict(captum_deep_lift.SUPPORTED_NON_LINEAR)
    prepared = prepare_for_attribution(copy.deepcopy(plain))
    found = explain(prepared, inputs, "deep_lift", ids="ab", baseline=baseline)
    assert before == captum_deep_lift.SUPPORTED_NON_LINEAR
    with torch.no_grad():
        changes = (plain(inputs) - plain(baseline))[:, 0].tolist()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        captums = captum.attr.DeepLift(plain.requires_grad_(False)).attribute(inputs, baseline)
    for attribution, change in zip(found, changes, strict=True):
        assert attribution.expected_total == pytest.approx(change, rel=1e-2, abs=1e-4)
        assert abs(attribution.total - attribution.expected_total) < 1e-3 * abs(attribution.expected_total)
    # on an untrained network one scan's sum may be right by chance, but not both
    misses = np.abs(captums.sum((1, 2, 3)).detach().numpy() - changes)
    assert misses.sum() > 0.05 * np.abs(changes).sum()


def test_rules_leave_the_outputs_and_the_original_network_unchanged(prepared, inputs):
    split = SplitNetwork(prepared)
    before = [type(module) for module in split.later.modules()]
    points = split.first(inputs[:2].permute(0, 2, 3, 1))
    with torch.no_grad():
        torch.testing.assert_close(
            split.later_with_deep_lift_rules(points), split.later(points), rtol=1e-5, atol=1e-6
        )
    assert [type(module) for module in split.later.modules()] == before


def test_rescale_rule_equals_captums_where_captum_knows_the_non_linearity():
    generator = torch.Generator().manual_seed(0)
    network = nn.Sequential(nn.Linear(4, 8), nn.Sigmoid(), nn.Linear(8, 5), nn.Sigmoid(), nn.Linear(5, 1))
    network = network.double().requires_grad_(False)
    for weights in network.parameters():
        weights.copy_(torch.randn(weights.shape, generator=generator, dtype=torch.float64))
    x, x0 = torch.randn(2, 6, 4, dtype=torch.float64, generator=generator)
    ruled = copy.deepcopy(network)
    use_deep_lift_rules(ruled)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        reference = captum.attr.DeepLift(network).attribute(x, x0)
        found = captum.attr.DeepLift(ruled).attribute(x, x0)
    # where two activations differ by less than 1e-2 the derivative midway stands for the secant
    torch.testing.assert_close(found, reference, rtol=1e-4, atol=1e-6)
