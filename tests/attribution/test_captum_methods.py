"""Maps equal plain Captum's on a plainly built network."""

import copy
from dataclasses import dataclass

import captum.attr
import numpy as np
import pytest
import scipy.stats
import torch
from torch import nn

from mri_saliency.attribution.draws import draw_references, seed_of
from mri_saliency.attribution.expected_gradients import error_contrasts
from mri_saliency.attribution.first_layer import SplitNetwork
from mri_saliency.attribution.references import References
from mri_saliency.errors import UserError
from mri_saliency.inputs.checkpoint import prepare_for_attribution

from ..conftest import lively_network, scan_inputs
from .conftest import (
    N_REFERENCES,
    N_SAMPLES,
    N_STEPS,
    NOISE,
    Linear,
    PlainLogOdds,
    assert_same_maps,
    batch_of,
    difference,
    explain,
    explainer_of,
    made_references,
    stacked,
)

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
    """Draw as documented: a uniform number for each sample, and noise (slices last) for each or each pair."""
    generator = torch.Generator().manual_seed(seed_of(0, scan_id, method))
    for sample in range(n):
        fraction = (sample + torch.empty(()).uniform_(generator=generator)) / n
        if method == "gradient_shap" or sample % 2 == 0:
            noise = torch.empty(shape[1], shape[2], shape[0]).normal_(0, NOISE, generator=generator)
        else:
            noise = -noise
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


def test_gradient_shap_expects_the_change_from_the_noise_that_all_scans_share(pair, inputs):
    generator = torch.Generator().manual_seed(seed_of(0, "", "gradient_shap"))
    noise = torch.stack(
        [torch.empty(128, 128, 9).normal_(0, NOISE, generator=generator) for _ in range(N_SAMPLES)]
    )
    with torch.no_grad():
        at_noise = pair.plain(noise.permute(0, 3, 1, 2))
        at_scans = pair.plain(inputs)
    found = explain(pair.prepared, inputs, "gradient_shap", targets=pair.targets)
    for one, at_scan, target in zip(found, at_scans, pair.targets, strict=True):
        change = float(at_scan[target] - at_noise[:, target].mean())
        assert one.expected_total == pytest.approx(change, rel=1e-3, abs=1e-4)


def test_the_error_of_the_shared_noise_is_in_gradient_shaps(inputs):
    """Of a linear network both means of noise err alike: without the shared one, 0.7 of it is stated."""
    weights = torch.randn(9, 128, 128, generator=torch.Generator().manual_seed(0))
    found = []
    for seed in range(100):
        explainer = explainer_of(Linear(weights), seed=seed)
        found += explainer.attribute("gradient_shap", batch_of(explainer, inputs[:1], "a"))
    missed = [one.total - one.expected_total for one in found]
    stated = [one.standard_error for one in found]
    ratio = np.sqrt(np.square(stated).mean() / np.square(missed).mean())
    assert 0.8 < ratio < 1.3


def test_the_network_is_asked_about_noise_once(prepared, inputs, monkeypatch):
    asked, predict = [], SplitNetwork.predict
    monkeypatch.setattr(
        SplitNetwork, "predict", lambda self, points, n: asked.append(len(points)) or predict(self, points, n)
    )
    explainer = explainer_of(prepared)
    for scan in range(2):
        explainer.attribute("gradient_shap", batch_of(explainer, inputs[scan : scan + 1], "ab"[scan]))
    assert sum(asked) == 2 + explainer.settings.n_samples


def reference_inputs():
    """The references' network inputs, float64 (n, n_slices, 128, 128)."""
    return torch.from_numpy(np.stack(made_references().inputs)).permute(0, 3, 1, 2).double()


def test_expected_gradients_of_a_linear_network_are_shaps(inputs):
    """phi = w (x - mean of the references)."""
    weights = torch.randn(9, 128, 128, generator=torch.Generator().manual_seed(0))
    explainer = explainer_of(Linear(weights), n_references=12)  # each of three or four equally often
    found = explainer.attribute("expected_gradients", batch_of(explainer, inputs))
    references = reference_inputs()
    for scan, left_out in enumerate((0, 1, None)):
        mean = torch.stack([r for index, r in enumerate(references) if index != left_out]).mean(0)
        expected = weights.double() * (inputs[scan].double() - mean)
        assert difference(torch.from_numpy(found[scan].values).double(), expected) <= 1e-6
        assert found[scan].total == pytest.approx(found[scan].expected_total, rel=1e-4, abs=1e-3)


def test_expected_gradients_equal_a_plain_loop(pair, inputs):
    """In float64, on the plain network, with the documented draws; their standard error too."""
    plain = copy.deepcopy(pair.plain).double()
    references = reference_inputs()
    found = explain(pair.prepared, inputs, "expected_gradients", targets=pair.targets)
    for scan, (scan_id, available) in enumerate({"a": [1, 2, 3], "b": [0, 2, 3], "c": [0, 1, 2, 3]}.items()):
        x, target = inputs[scan].double(), pair.targets[scan]
        drawn, places = draw_references(available, N_REFERENCES, seed_of(0, scan_id, "expected_gradients"))
        shares, logits = [], []
        for index, place in zip(drawn, places, strict=True):
            point = (references[index] + place * (x - references[index]))[None].requires_grad_()
            [gradient] = torch.autograd.grad(plain(point)[0, target], point)
            shares.append(((x - references[index]) * gradient[0]).detach().numpy())
            logits.append(float(plain(references[index][None])[0, target]))
        mean = np.mean(shares, axis=0)
        assert difference(torch.from_numpy(found[scan].values), torch.from_numpy(mean)) <= CAPTUMS
        change = float(plain(x[None])[0, target]) - np.mean(logits)
        assert found[scan].expected_total == pytest.approx(change, rel=1e-3, abs=1e-4)

        contrasts, degrees = error_contrasts(drawn)
        expected = np.sqrt(np.square(np.tensordot(contrasts, shares, 1)).sum(0))
        error = torch.from_numpy(found[scan].voxel_errors)
        assert difference(error, torch.from_numpy(expected)) <= CAPTUMS
        assert found[scan].voxel_errors.dtype == np.float32
        null = np.mean([np.abs(x - references[index]).numpy() for index in drawn], axis=0)
        assert difference(torch.from_numpy(found[scan].null), torch.from_numpy(null)) <= 1e-6
        missed = np.sum(shares, axis=(1, 2, 3)) - (float(plain(x[None])[0, target]) - np.array(logits))
        stated = np.linalg.norm(contrasts @ missed)
        assert found[scan].standard_error == pytest.approx(stated, rel=1e-2, abs=1e-4)
        assert found[scan].degrees_of_freedom == degrees


def draw_on_paths(n_references, n, kind, seed):
    """Random functions of references, smooth along the path, of mean 0; each one's own too for a "sum"."""
    generator = np.random.default_rng(seed)
    common, own = generator.normal(0, 1, 3), generator.normal(0, 0.3, (n_references, 3))
    common[0], own[:, 0] = 0, own[:, 0] * (kind == "voxel")
    drawn, places = draw_references(range(n_references), n, seed)
    waves = np.cos(np.pi * np.arange(3) * places[:, None]) / (1, 1, 2)  # of mean 0 but for the first
    return drawn, ((common + own[drawn]) * waves).sum(1)


@pytest.mark.parametrize("n", [10, 20, 40])
@pytest.mark.parametrize("n_references", [2, 5, 10, 20])
@pytest.mark.parametrize("kind", ["sum", "voxel"])
def test_errors_of_references_are_true(n_references, n, kind):
    """Over cohorts and draws; few stray beyond what Student's t allows."""
    errors, stated, beyond = [], [], 0
    for seed in range(400):
        drawn, values = draw_on_paths(n_references, n, kind, seed)
        contrasts, degrees = error_contrasts(drawn)
        errors.append(values.mean())
        stated.append(np.linalg.norm(contrasts @ values))
        beyond += abs(errors[-1]) > scipy.stats.t.isf(0.01, degrees) * stated[-1]
    ratio = np.sqrt(np.square(stated).mean() / np.square(errors).mean())
    # four places of each reference, one in a quarter of the path, are truer than their spread tells
    assert 0.8 < ratio < (1.4 if kind == "sum" and n == 4 * n_references else 1.3)
    assert beyond < 400 * 0.06


def test_the_standard_error_is_the_spread_over_seeds(prepared, inputs):
    """Where every reference may be drawn or not: 3 of 40, again and again."""
    generator = np.random.default_rng(0)
    pool = [generator.normal(0, 1, (128, 128, 9)).astype(np.float32) for _ in range(40)]
    maps, squared_errors = [], []
    for seed in range(30):
        chosen = generator.choice(40, 3, replace=False)
        references = References(tuple(pool[i] for i in chosen), ("p", "q", "r"), (frozenset(),) * 3)
        explainer = explainer_of(prepared, seed=seed, n_references=3, references=references)
        [found] = explainer.attribute("expected_gradients", batch_of(explainer, inputs[:1], "a"))
        maps.append(found.values)
        squared_errors.append(np.square(found.voxel_errors))
    inside = inputs[0].numpy() != 0
    spread = np.var(maps, axis=0, ddof=1)[inside].mean() ** 0.5
    assert np.mean(squared_errors, axis=0)[inside].mean() ** 0.5 == pytest.approx(spread, rel=0.15)


def test_one_reference_tells_nothing_of_the_error_and_none_is_an_error(prepared, inputs):
    references = References(made_references().inputs[:1], ("r0",), (frozenset({"r0"}),))
    explainer = explainer_of(prepared, references=references)
    batch = batch_of(explainer, inputs[:1], "a")
    [found] = explainer.attribute("expected_gradients", batch)
    assert np.isfinite(found.values).all() and np.isnan(found.voxel_errors).all()
    with pytest.raises(UserError, match=r"Settings\(references=.*found None"):
        explainer_of(prepared, references=None).attribute("expected_gradients", batch)
