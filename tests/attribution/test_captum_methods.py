"""Maps equal plain Captum's on a plainly built network."""

import copy

import captum.attr
import numpy as np
import pytest
import torch

from mri_saliency.attribution.draws import seed_of
from mri_saliency.inputs.checkpoint import prepare_for_attribution

from ..conftest import lively_network, scan_inputs
from .conftest import N_SAMPLES, N_STEPS, NOISE, assert_same_maps, explain, stacked

CAPTUMS = 1e-4  # tolerance: Captum adds its steps up in another order
REFERENCES = {
    "saliency": (captum.attr.Saliency, {}),
    "input_x_gradient": (captum.attr.InputXGradient, {}),
    "integrated_gradients": (captum.attr.IntegratedGradients, {"n_steps": N_STEPS}),
}


def captums_map(method, network, inputs):
    kind, options = REFERENCES[method]
    leaves = inputs.clone().requires_grad_()
    return kind(network.requires_grad_(False)).attribute(leaves, **options).detach()


@pytest.mark.parametrize("method", REFERENCES)
def test_deterministic_methods_equal_captum(network, prepared, inputs, method):
    found = explain(prepared, inputs, method)
    assert_same_maps(stacked(found), captums_map(method, network, inputs), CAPTUMS)
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
        assert_same_maps(found, captums_map(method, plain, scans), CAPTUMS)


@pytest.mark.parametrize("shared", [False, True])
def test_integrated_gradients_start_from_the_baseline(network, prepared, inputs, shared):
    baseline = 0.5 * inputs.flip(0)[: 1 if shared else None]
    method = captum.attr.IntegratedGradients(network.requires_grad_(False))
    reference = method.attribute(inputs, baseline.expand_as(inputs).clone(), n_steps=N_STEPS)
    found = explain(prepared, inputs, "integrated_gradients", baseline=baseline)
    assert_same_maps(stacked(found), reference, CAPTUMS)
    with torch.no_grad():
        change = (network(inputs) - network(baseline))[:, 0]
    expected = torch.tensor([attribution.expected_total for attribution in found])
    torch.testing.assert_close(expected.float(), change, rtol=1e-3, atol=1e-4)


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
def test_noise_tunnels_equal_captums_under_the_same_draws(
    network, prepared, inputs, monkeypatch, method, inner, options
):
    x = inputs[:1]
    noise = torch.stack([noise for _, noise in documented_draws("a", method, N_SAMPLES, x.shape[1:])])
    monkeypatch.setattr(torch, "normal", lambda mean, std: mean + noise)
    reference = captum.attr.NoiseTunnel(inner(network)).attribute(
        x.clone(), nt_type="smoothgrad", nt_samples=N_SAMPLES, stdevs=NOISE, **options
    )
    monkeypatch.undo()
    found = stacked(explain(prepared, x, method, ids="a"))
    assert_same_maps(found, reference.detach(), CAPTUMS)


def test_gradient_shap_equals_captums_under_the_same_draws(network, prepared, inputs, monkeypatch):
    x = inputs[:1]
    draws = list(documented_draws("a", "gradient_shap", N_SAMPLES, x.shape[1:]))
    monkeypatch.setattr(np.random, "uniform", lambda *_: np.array([float(f) for f, _ in draws]))
    monkeypatch.setattr(np.random, "choice", lambda *_: np.arange(N_SAMPLES))
    baselines = torch.stack([noise for _, noise in draws])
    reference = captum.attr.GradientShap(network).attribute(x.clone(), baselines, n_samples=N_SAMPLES)
    monkeypatch.undo()
    found = explain(prepared, x, "gradient_shap", ids="a")
    assert_same_maps(stacked(found), reference.detach(), CAPTUMS)
    with torch.no_grad():
        change = network(x).mean() - network(baselines).mean()
    assert found[0].expected_total == pytest.approx(float(change), rel=1e-3, abs=1e-4)
