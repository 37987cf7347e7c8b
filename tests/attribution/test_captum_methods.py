"""Maps equal plain Captum's on a plainly built network."""

import copy
from dataclasses import dataclass

import captum.attr
import numpy as np
import pytest
import torch
from torch import nn

from mri_saliency.attribution.draws import seed_of
from mri_saliency.inputs.checkpoint import prepare_for_attribution

from ..conftest import lively_network, scan_inputs
from .conftest import N_SAMPLES, N_STEPS, NOISE, PlainLogOdds, assert_same_maps, explain, stacked

CAPTUMS = 1e-4  # tolerance: Captum adds its steps up in another order
REFERENCES = {
    "saliency": (captum.attr.Saliency, {}),
    "input_x_gradient": (captum.attr.InputXGradient, {}),
    "integrated_gradients": (captum.attr.IntegratedGradients, {"n_steps": N_STEPS}),
}


@dataclass
class Pair:
    """A plainly built network that returns what maps explain, and its prepared copy."""

    plain: nn.Module
    prepared: nn.Module
    targets: list[int]  # of three scans


@pytest.fixture(scope="module", params=[1, 2, 3], ids="{}_logits".format)
def pair(request):
    n_logits = request.param
    plain = lively_network(n_logits=n_logits).requires_grad_(False)
    prepared = prepare_for_attribution(copy.deepcopy(plain))
    targets = [min(target, n_logits - 1) for target in (2, 0, 1)]
    return Pair(plain if n_logits == 1 else PlainLogOdds(plain), prepared, targets)


def captums_map(method, network, inputs, targets):
    kind, options = REFERENCES[method]
    leaves = inputs.clone().requires_grad_()
    return kind(network.requires_grad_(False)).attribute(leaves, target=targets, **options).detach()


@pytest.mark.parametrize("method", REFERENCES)
def test_deterministic_methods_equal_captum(pair, inputs, method):
    found = explain(pair.prepared, inputs, method, targets=pair.targets)
    assert_same_maps(stacked(found), captums_map(method, pair.plain, inputs, pair.targets), CAPTUMS)
    assert found[0].values.dtype == np.float32 and found[0].values.shape == (9, 128, 128)
    assert np.isclose(found[0].total, found[0].values.sum(dtype=np.float64), rtol=1e-5)
    is_complete = method == "integrated_gradients"
    assert all((attribution.expected_total is not None) == is_complete for attribution in found)


def test_maps_of_the_whole_architecture_equal_captums():
    plain = lively_network("S")
    prepared, scans = prepare_for_attribution(copy.deepcopy(plain)), scan_inputs(1, 2, n_slices=115)
    for method in ("saliency", "integrated_gradients"):
        found = stacked(explain(prepared, scans, method, ids="ab"))
        assert found.shape == (2, 115, 128, 128)
        assert_same_maps(found, captums_map(method, plain, scans, 0), CAPTUMS)


@pytest.mark.parametrize("shared", [False, True])
def test_integrated_gradients_start_from_the_baseline(pair, inputs, shared):
    baseline = 0.5 * inputs.flip(0)[: 1 if shared else None]
    targets = pair.targets
    method = captum.attr.IntegratedGradients(pair.plain)
    starts = baseline.expand_as(inputs).clone()
    reference = method.attribute(inputs, starts, target=targets, n_steps=N_STEPS)
    found = explain(pair.prepared, inputs, "integrated_gradients", baseline=baseline, targets=targets)
    assert_same_maps(stacked(found), reference, CAPTUMS)
    with torch.no_grad():
        change = (pair.plain(inputs) - pair.plain(baseline))[range(3), targets]
    expected = torch.tensor([attribution.expected_total for attribution in found])
    torch.testing.assert_close(expected.float(), change.float(), rtol=1e-3, atol=1e-4)


def documented_draws(scan_id, method, n, shape):
    """Draw as documented: a uniform number and a volume of noise (slices last) for each sample."""
    generator = torch.Generator().manual_seed(seed_of(0, scan_id, method))
    for sample in range(n):
        fraction = (sample + torch.empty(()).uniform_(generator=generator)) / n
        noise = torch.empty(shape[1], shape[2], shape[0]).normal_(0, NOISE, generator=generator)
        yield fraction, noise.permute(2, 0, 1)


@pytest.mark.parametrize(
    ("method", "inner", "options"),
    [
        ("smooth_grad", captum.attr.Saliency, {"abs": False}),
        ("noise_tunnel_ig", captum.attr.IntegratedGradients, {"n_steps": N_STEPS}),
    ],
)
def test_noise_tunnels_equal_captums_under_the_same_draws(pair, inputs, monkeypatch, method, inner, options):
    x = inputs[:1]
    noise = torch.stack([noise for _, noise in documented_draws("a", method, N_SAMPLES, x.shape[1:])])
    monkeypatch.setattr(torch, "normal", lambda mean, std: mean + noise)
    reference = captum.attr.NoiseTunnel(inner(pair.plain)).attribute(
        x.clone(), nt_type="smoothgrad", nt_samples=N_SAMPLES, stdevs=NOISE, target=pair.targets[0], **options
    )
    monkeypatch.undo()
    found = stacked(explain(pair.prepared, x, method, ids="a", targets=pair.targets[0]))
    assert_same_maps(found, reference.detach(), CAPTUMS)


def test_gradient_shap_equals_captums_under_the_same_draws(pair, inputs, monkeypatch):
    x, target = inputs[:1], pair.targets[0]
    draws = list(documented_draws("a", "gradient_shap", N_SAMPLES, x.shape[1:]))
    monkeypatch.setattr(np.random, "uniform", lambda *_: np.array([float(f) for f, _ in draws]))
    monkeypatch.setattr(np.random, "choice", lambda *_: np.arange(N_SAMPLES))
    baselines = torch.stack([noise for _, noise in draws])
    method = captum.attr.GradientShap(pair.plain)
    reference = method.attribute(x.clone(), baselines, n_samples=N_SAMPLES, target=target)
    monkeypatch.undo()
    found = explain(pair.prepared, x, "gradient_shap", ids="a", targets=target)
    assert_same_maps(stacked(found), reference.detach(), CAPTUMS)
    with torch.no_grad():
        change = (pair.plain(x).mean(0) - pair.plain(baselines).mean(0))[target]
    assert found[0].expected_total == pytest.approx(float(change), rel=1e-3, abs=1e-4)
