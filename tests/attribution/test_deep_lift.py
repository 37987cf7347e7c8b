"""DeepLIFT's rules make an EfficientNet's map complete; Captum's alone do not."""

import copy
import warnings

import captum.attr
import numpy as np
import pytest
import scipy.integrate
import scipy.special
import torch
from captum.attr._core import deep_lift as captum_deep_lift
from torch import nn

from mri_saliency.attribution.deep_lift import use_deep_lift_rules
from mri_saliency.attribution.first_layer import SplitNetwork
from mri_saliency.attribution.log_odds import LogOdds, log_odds
from mri_saliency.inputs.checkpoint import prepare_for_attribution

from ..conftest import lively_network, scan_inputs
from .conftest import PlainLogOdds, explain


@pytest.mark.parametrize("n_logits", [1, 3])
def test_deep_lift_is_complete_and_captums_is_not(n_logits):
    plain = lively_network("S", n_logits=n_logits)
    inputs, baseline = scan_inputs(1, 2, n_slices=115), 0.5 * scan_inputs(3, n_slices=115)
    before = dict(captum_deep_lift.SUPPORTED_NON_LINEAR)
    prepared = prepare_for_attribution(copy.deepcopy(plain))
    found = explain(prepared, inputs, "deep_lift", ids="ab", baseline=baseline)
    assert before == captum_deep_lift.SUPPORTED_NON_LINEAR
    if n_logits > 1:
        plain = PlainLogOdds(plain)
    with torch.no_grad():
        changes = (plain(inputs) - plain(baseline))[:, 0].tolist()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        captums = captum.attr.DeepLift(plain.requires_grad_(False)).attribute(inputs, baseline, target=0)
    for attribution, change in zip(found, changes, strict=True):
        assert attribution.expected_total == pytest.approx(change, rel=1e-2, abs=1e-4)
        assert abs(attribution.total - attribution.expected_total) < 1e-3 * abs(attribution.expected_total)
    # on an untrained network one scan's sum may be right by chance, but not both
    misses = np.abs(captums.sum((1, 2, 3)).detach().numpy() - changes)
    assert misses.sum() > 0.05 * np.abs(changes).sum()


@pytest.mark.parametrize("n_logits", [2, 3, 5])
@pytest.mark.parametrize("strength", [1, 300])  # of the head: log-odds change by 0.1, and by 30
def test_maps_of_several_logits_are_complete(inputs, n_logits, strength):
    plain = lively_network(n_logits=n_logits)
    with torch.no_grad():
        plain.classifier[1].weight.mul_(strength)
    found = explain(prepare_for_attribution(copy.deepcopy(plain)), inputs, "deep_lift", targets=[1, 0, 1])
    with torch.no_grad():
        log_odds = PlainLogOdds(plain.double())
        changes = log_odds(inputs.double()) - log_odds(torch.zeros_like(inputs[:1]).double())
    for attribution, change in zip(found, changes[range(3), [1, 0, 1]].tolist(), strict=True):
        assert attribution.expected_total == pytest.approx(change, rel=1e-3, abs=1e-4)
        assert attribution.total == pytest.approx(attribution.expected_total, rel=1e-4, abs=1e-6 * strength)


def multipliers_of(outputs, baseline_outputs, target):
    """Return the multipliers of log-odds, (n, n_logits), as the rule gives them for all scans at once."""
    network = nn.Sequential(LogOdds())
    use_deep_lift_rules(network)
    joined = torch.cat([outputs, baseline_outputs]).requires_grad_()
    found = network(joined)
    torch.testing.assert_close(found, log_odds(joined), equal_nan=True)
    scans, baselines = torch.autograd.grad(found[:, target].sum(), joined)[0].chunk(2)
    torch.testing.assert_close(scans, baselines, equal_nan=True)
    return scans


@pytest.mark.parametrize("n_logits", [2, 3, 10])
@pytest.mark.parametrize("size", [0, 1e-6, 1, 30, 1e3])
def test_multipliers_of_log_odds_are_the_mean_gradient_on_the_path(n_logits, size):
    generator = torch.Generator().manual_seed(0)
    z, z0 = torch.randn(2, 4, n_logits, dtype=torch.float64, generator=generator)
    z = z0 + size * z
    found = multipliers_of(z, z0, target=1)
    change = (log_odds(z) - log_odds(z0))[:, 1]
    torch.testing.assert_close(((z - z0) * found).sum(1), change, rtol=1e-8, atol=1e-12)
    torch.testing.assert_close(found.sum(1), torch.zeros(4).double(), rtol=0, atol=1e-8)
    torch.testing.assert_close(found[:, 1], torch.ones(4).double())
    others = [j for j in range(n_logits) if j != 1]
    for row in range(4):
        start, change = z0[row, others].numpy(), (z - z0)[row, others].numpy()
        places = np.linspace(0, 1, 20_001)[:, None]
        path = scipy.special.softmax(start + places * change, axis=1)
        means = scipy.integrate.trapezoid(path, places[:, 0], axis=0)
        np.testing.assert_allclose(-found[row, others], means, atol=1e-5)


@pytest.mark.parametrize("value", [1e6, 1e30, torch.inf, torch.nan])
def test_multipliers_of_log_odds_end_for_any_output(value):
    z, z0 = torch.tensor([[value, -1.0, 2.0]]), torch.zeros(1, 3)
    found = multipliers_of(z, z0, target=1)
    assert torch.isfinite(found).all() == np.isfinite(value)


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
