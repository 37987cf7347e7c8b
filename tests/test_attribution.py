"""Maps equal plain Captum on a plainly built network, and do not depend on how they were batched."""

import copy
import warnings

import captum.attr
import numpy as np
import pytest
import torch
from captum.attr._core import deep_lift as captum_deep_lift
from torch import nn

from mri_saliency.attribution import Explainer, Settings, seed_of, with_deep_lift_rules
from mri_saliency.checkpoint import prepare_for_attribution
from mri_saliency.errors import UserError
from mri_saliency.methods import METHODS

from .conftest import lively_network, scan_inputs

N_STEPS, N_SAMPLES, NOISE = 4, 2, 0.1


@pytest.fixture(scope="module")
def inputs():
    return scan_inputs(1, 2, 3) * torch.tensor([0.8, 0.9, 1.0])[:, None, None, None]


@pytest.fixture(scope="module")
def prepared(network):
    return prepare_for_attribution(copy.deepcopy(network))


def explain(network, inputs, method, *, batch_size=4, ids="abc", baseline=None, target=0, seed=0):
    explainer = Explainer(network, Settings(batch_size, N_STEPS, N_SAMPLES, NOISE, seed))
    return explainer.attribute(method, batch_of(explainer, inputs, ids, baseline, target))


def batch_of(explainer, inputs, ids="abc", baseline=None, target=0):
    baseline = torch.zeros_like(inputs[:1]) if baseline is None else baseline
    return explainer.batch(inputs.numpy(), baseline.numpy(), list(ids), target)


def stacked(attributions):
    return torch.from_numpy(np.stack([attribution.values for attribution in attributions]))


def assert_equal_maps(found, expected, tolerance):
    for a, b in zip(found, expected, strict=True):
        assert (a - b).abs().max() <= tolerance * b.abs().max()


def test_the_registry_and_the_dispatch_name_the_same_methods(prepared):
    assert Explainer(prepared, Settings(1)).methods == set(METHODS)


def test_a_network_with_batch_normalisation_left_is_refused(network):
    with pytest.raises(ValueError, match="merged"):
        Explainer(network, Settings(1))


def test_deterministic_methods_equal_captum(network, prepared, inputs):
    plain = network.requires_grad_(False)
    x = inputs.clone().requires_grad_()
    expected = {
        "saliency": captum.attr.Saliency(plain).attribute(x),
        "input_x_gradient": captum.attr.InputXGradient(plain).attribute(x),
        "integrated_gradients": captum.attr.IntegratedGradients(plain).attribute(x, n_steps=N_STEPS),
    }
    for method, reference in expected.items():
        found = explain(prepared, inputs, method)
        assert_equal_maps(stacked(found), reference.detach(), 1e-4)
        assert found[0].values.dtype == np.float32 and found[0].values.shape == (115, 128, 128)
        assert np.isclose(found[0].total, found[0].values.sum(dtype=np.float64), rtol=1e-5)


def test_integrated_gradients_start_from_the_baseline(network, prepared, inputs):
    baselines = 0.5 * inputs.flip(0)
    method = captum.attr.IntegratedGradients(network.requires_grad_(False))
    for baseline in (baselines, baselines[:1]):
        reference = method.attribute(inputs, baseline.expand_as(inputs).clone(), n_steps=N_STEPS)
        found = explain(prepared, inputs, "integrated_gradients", baseline=baseline)
        assert_equal_maps(stacked(found), reference, 1e-4)
        with torch.no_grad():
            change = (network(inputs) - network(baseline))[:, 0]
        expected = torch.tensor([attribution.expected_total for attribution in found])
        torch.testing.assert_close(expected.float(), change, rtol=1e-3, atol=1e-4)


def test_the_scans_own_pass_is_shared(prepared, inputs):
    passes = []
    explainer = Explainer(prepared, Settings(4, N_STEPS, N_SAMPLES, NOISE))
    with prepared.features[1].register_forward_hook(lambda *_: passes.append(1)):
        batch = batch_of(explainer, inputs)
        for method in ("saliency", "input_x_gradient"):
            explainer.attribute(method, batch)
        logits = explainer.logits(batch)
    assert len(passes) == 1
    with torch.no_grad():
        torch.testing.assert_close(logits, prepared(inputs), rtol=1e-4, atol=1e-5)


def _draws(scan_id, method, n, shape):
    """Draw as documented: a uniform number and a volume of noise (slices last) for each sample."""
    generator = torch.Generator().manual_seed(seed_of(0, scan_id, method))
    for sample in range(n):
        fraction = (sample + torch.empty(()).uniform_(generator=generator)) / n
        noise = torch.empty(shape[1], shape[2], shape[0]).normal_(0, NOISE, generator=generator)
        yield fraction, noise.permute(2, 0, 1)


def test_noise_tunnels_equal_captums_under_the_same_draws(network, prepared, inputs, monkeypatch):
    x = inputs[:1]
    for method, inner in (
        ("smooth_grad", captum.attr.Saliency(network)),
        ("noise_tunnel_ig", captum.attr.IntegratedGradients(network)),
    ):
        noise = torch.stack([noise for _, noise in _draws("a", method, N_SAMPLES, x.shape[1:])])
        monkeypatch.setattr(torch, "normal", lambda mean, std, noise=noise: mean + noise)
        options = {"abs": False} if method == "smooth_grad" else {"n_steps": N_STEPS}
        reference = captum.attr.NoiseTunnel(inner).attribute(
            x.clone(), nt_type="smoothgrad", nt_samples=N_SAMPLES, stdevs=NOISE, **options
        )
        monkeypatch.undo()
        assert_equal_maps(stacked(explain(prepared, x, method, ids="a")), reference.detach(), 1e-4)


def test_gradient_shap_equals_captums_under_the_same_draws(network, prepared, inputs, monkeypatch):
    x = inputs[:1]
    draws = list(_draws("a", "gradient_shap", N_SAMPLES, x.shape[1:]))
    monkeypatch.setattr(np.random, "uniform", lambda *_: np.array([float(f) for f, _ in draws]))
    monkeypatch.setattr(np.random, "choice", lambda *_: np.arange(N_SAMPLES))
    baselines = torch.stack([noise for _, noise in draws])
    reference = captum.attr.GradientShap(network).attribute(x.clone(), baselines, n_samples=N_SAMPLES)
    monkeypatch.undo()
    found = explain(prepared, x, "gradient_shap", ids="a")[0]
    assert_equal_maps(torch.from_numpy(found.values)[None], reference.detach(), 1e-4)
    with torch.no_grad():
        change = network(x).mean() - network(baselines).mean()
    assert found.expected_total == pytest.approx(float(change), rel=1e-3, abs=1e-4)


@pytest.mark.parametrize("method", METHODS)
def test_maps_do_not_depend_on_batch_size_order_or_company(prepared, inputs, method):
    tolerance = 1e-5  # convolutions round differently for other batch sizes
    reference = stacked(explain(prepared, inputs, method, batch_size=3))
    for batch_size in (1, 8):
        assert_equal_maps(
            stacked(explain(prepared, inputs, method, batch_size=batch_size)), reference, tolerance
        )
    turned = stacked(explain(prepared, inputs.flip(0), method, ids="cba"))
    assert_equal_maps(turned.flip(0), reference, tolerance)
    alone = stacked(explain(prepared, inputs[1:2], method, ids="b"))
    assert_equal_maps(alone, reference[1:2], tolerance)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("batch_size", [2, 5])
def test_no_pass_exceeds_the_batch_size(prepared, inputs, method, batch_size):
    sizes = []
    with prepared.features[1].register_forward_hook(lambda *a: sizes.append(len(a[1][0]))):
        explainer = Explainer(prepared, Settings(batch_size, N_STEPS, N_SAMPLES))
        explainer.attribute(method, batch_of(explainer, inputs))
    assert max(sizes) <= batch_size


@pytest.mark.parametrize(
    "error", [torch.OutOfMemoryError("injected"), RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED")]
)
def test_out_of_memory_halves_the_batch_and_repeats(prepared, inputs, error):
    def too_much_for(limit):
        def check(_module, arguments):
            if len(arguments[0]) > limit:
                raise error

        return check

    reference = stacked(explain(prepared, inputs, "gradient_shap"))
    explainer = Explainer(prepared, Settings(8, N_STEPS, N_SAMPLES, NOISE))
    batch, layer = batch_of(explainer, inputs), prepared.features[1]
    with layer.register_forward_pre_hook(too_much_for(2)), pytest.warns(match="--batch_size 2"):
        found = stacked(explainer.attribute("gradient_shap", batch))
    assert explainer.settings.batch_size == 2
    assert_equal_maps(found, reference, 1e-5)
    with layer.register_forward_pre_hook(too_much_for(0)), pytest.warns():
        with pytest.raises(UserError, match="one volume at a time"):
            explainer.attribute("saliency", batch)


def test_other_errors_of_the_device_are_not_taken_for_a_lack_of_memory(prepared, inputs):
    def fail(*_):
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    explainer = Explainer(prepared, Settings(8))
    batch = batch_of(explainer, inputs)
    with prepared.features[1].register_forward_pre_hook(fail), pytest.raises(RuntimeError, match="illegal"):
        explainer.attribute("saliency", batch)
    assert explainer.settings.batch_size == 8


def test_scans_that_the_device_cannot_hold_are_named(prepared, inputs, monkeypatch):
    def full(_):
        raise torch.OutOfMemoryError("injected")

    monkeypatch.setattr("torch.from_numpy", full)
    with pytest.raises(UserError, match="3 scans.*--batch_size"):
        batch_of(Explainer(prepared, Settings(8)), inputs)


def test_a_shared_baseline_passes_the_network_once(prepared, inputs):
    explainer = Explainer(prepared, Settings(N_STEPS, N_STEPS))
    batch = batch_of(explainer, inputs)
    predicted = []  # volumes of the passes without gradients

    def note(_module, arguments, _output):
        if not torch.is_grad_enabled():
            predicted.append(len(arguments[0]))

    with prepared.features[1].register_forward_hook(note):
        for scan in range(len(inputs)):
            explainer.attribute("integrated_gradients", explainer.part_of(batch, slice(scan, scan + 1)))
    assert predicted == [len(inputs), 1]


def test_the_seed_matters_to_stochastic_methods_alone(prepared, inputs):
    for name, method in METHODS.items():
        first, second = (stacked(explain(prepared, inputs[:1], name, ids="a", seed=s)) for s in (0, 1))
        assert torch.equal(first, second) != method.stochastic, name


def test_global_generators_are_left_alone(prepared, inputs):
    torch.manual_seed(5)
    before = torch.get_rng_state(), np.random.get_state()[1].copy()
    explain(prepared, inputs[:1], "gradient_shap", ids="a")
    assert torch.equal(before[0], torch.get_rng_state())
    assert (before[1] == np.random.get_state()[1]).all()


def test_targets_choose_the_logit(inputs):
    network = lively_network(n_logits=3)
    prepared = prepare_for_attribution(copy.deepcopy(network))
    with torch.no_grad():
        predicted = network(inputs).argmax(dim=1).tolist()
    assert predicted != [1] * 3
    for target, targets in ((1, [1] * 3), (None, predicted)):
        x = inputs.clone().requires_grad_()
        reference = captum.attr.Saliency(network).attribute(x, target=targets)
        assert_equal_maps(stacked(explain(prepared, inputs, "saliency", target=target)), reference, 1e-4)


@pytest.mark.parametrize("variant", ["S", "M", "L"])
def test_deep_lift_is_complete_and_captums_is_not(variant):
    plain = lively_network(variant)
    inputs, baseline = scan_inputs(1, 2), 0.5 * scan_inputs(3)
    before = dict(captum_deep_lift.SUPPORTED_NON_LINEAR)
    found = explain(prepare_for_attribution(copy.deepcopy(plain)), inputs, "deep_lift", baseline=baseline)
    assert before == captum_deep_lift.SUPPORTED_NON_LINEAR
    with torch.no_grad():
        changes = (plain(inputs) - plain(baseline))[:, 0].tolist()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        captums = captum.attr.DeepLift(plain.requires_grad_(False)).attribute(inputs, baseline)
    for attribution, change, captums_total in zip(found, changes, captums.sum((1, 2, 3)), strict=True):
        assert attribution.expected_total == pytest.approx(change, rel=1e-2, abs=1e-4)
        assert abs(attribution.total - attribution.expected_total) < 1e-3 * abs(attribution.expected_total)
        assert abs(captums_total - change) > 0.05 * abs(change)


def test_rescale_rule_equals_captums_where_captum_knows_the_non_linearity():
    network = nn.Sequential(nn.Linear(4, 8), nn.Sigmoid(), nn.Linear(8, 5), nn.Sigmoid(), nn.Linear(5, 1))
    network = network.double().requires_grad_(False)
    x, x0 = torch.randn(2, 6, 4, dtype=torch.float64)
    ruled = copy.deepcopy(network)
    with_deep_lift_rules(ruled)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        reference = captum.attr.DeepLift(network).attribute(x, x0)
        found = captum.attr.DeepLift(ruled).attribute(x, x0)
    # where two activations differ by less than 1e-2 the derivative midway stands for the secant
    torch.testing.assert_close(found, reference, rtol=1e-4, atol=1e-6)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("method", sorted(name for name in METHODS if not METHODS[name].stochastic))
def test_gpu_agrees_with_the_cpu(prepared, inputs, method):
    torch.backends.cudnn.allow_tf32 = False
    on_gpu = explain(copy.deepcopy(prepared).cuda(), inputs, method)
    assert_equal_maps(stacked(on_gpu), stacked(explain(prepared, inputs, method)), 1e-3)
