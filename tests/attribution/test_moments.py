"""Means and standard errors of draws, against NumPy's over all draws at once."""

import numpy as np
import pytest
import torch

from mri_saliency.attribution.draws import draw
from mri_saliency.attribution.moments import RunningMoments, relative, sums

from .conftest import assert_same_maps, batch_of, explain, explainer_of, stacked


def test_moments_are_numpys_of_all_draws():
    drawn = np.random.default_rng(0).normal(5, 2, (2, 7, 3, 4)).astype(np.float32)
    moments = RunningMoments(torch.zeros(2, 3, 4))
    for scan, n in ((0, 7), (1, 3)):
        for values in drawn[scan, :n]:
            moments.add(scan, torch.from_numpy(values))
    for scan, n in ((0, 7), (1, 3)):
        used = drawn[scan, :n].astype(float)
        np.testing.assert_allclose(moments.means[scan], used.mean(0), rtol=1e-5)
        errors = used.std(0, ddof=1) / n**0.5
        np.testing.assert_allclose(moments.standard_errors()[scan], errors, rtol=1e-4)
        share = errors.sum() / np.abs(used.mean(0)).sum()
        assert moments.relative_errors()[scan] == pytest.approx(share, rel=1e-4)


def test_in_strata_neighbours_are_compared():
    """So the slope of draws along the strata is no chance: errors of a mean, over many repetitions."""
    generator = np.random.default_rng(1)
    n, n_repetitions = 20, 2000
    drawn = np.linspace(0, 30, n)[:, None] + generator.normal(0, 2, (n, n_repetitions))
    stratified, plain = (
        RunningMoments(torch.zeros(1, n_repetitions), in_strata=flag) for flag in (True, False)
    )
    for values in torch.from_numpy(drawn.astype(np.float32)):
        stratified.add(0, values)
        plain.add(0, values)
    np.testing.assert_allclose(stratified.means, drawn.mean(0)[None], rtol=1e-5)
    expected = np.sqrt((np.diff(drawn, axis=0) ** 2).sum(0) / 2 / n / (n - 1))
    np.testing.assert_allclose(stratified.standard_errors()[0], expected, rtol=1e-4)
    true = drawn.mean(0).std()
    assert 0.95 * true < float(stratified.standard_errors().square().mean().sqrt()) < 1.3 * true
    assert float(plain.standard_errors().mean()) > 4 * true


def test_one_draw_has_no_standard_error():
    moments = RunningMoments(torch.zeros(2, dtype=torch.float64))
    for scan in (0, 0, 1):
        moments.add(scan, torch.tensor(3.0))
    assert moments.means.tolist() == [3, 3]
    assert moments.standard_errors() is moments.relative_errors() is None


def test_errors_of_nothing():
    assert relative([0.0, 1.0, 1.0], [0.0, 0.0, 4.0]) == [0.0, None, 0.25]
    assert sums(torch.ones(2, 3, 4)) == [12, 12]


@pytest.mark.parametrize("method", ["smooth_grad", "noise_tunnel_ig", "gradient_shap"])
def test_a_maps_error_is_that_of_its_draws_maps(prepared, inputs, method):
    """One map of n draws against n maps of one draw each: the same volumes of noise."""
    explainer = explainer_of(prepared)
    batch = batch_of(explainer, inputs[:1], ids="a")
    n = explainer.settings.n_samples
    [found] = explainer.attribute(method, batch)
    assert found.map_error > 0
    if method == "gradient_shap":
        values, missed = shap_draws(explainer, batch)
        error = missed.std(ddof=1) / n**0.5
        assert found.standard_error == pytest.approx(error, rel=1e-3)
        assert found.total - found.expected_total == pytest.approx(missed.mean(), rel=1e-2, abs=1e-5)
    else:
        assert found.standard_error is None
        noise = next(draw(batch, explainer.settings, method, n)).noise.permute(0, 3, 1, 2)
        inner = {"smooth_grad": "input_x_gradient", "noise_tunnel_ig": "integrated_gradients"}[method]
        values = stacked(explain(prepared, inputs[:1] + noise, inner, ids="ab"))
        values = values / (inputs[:1] + noise) if method == "smooth_grad" else values
    values = values.double()
    mean, errors = values.mean(0), values.std(0) / n**0.5
    assert_same_maps(torch.from_numpy(found.values)[None], mean[None].float(), 1e-4)
    assert found.map_error == pytest.approx(float(errors.sum() / mean.abs().sum()), rel=1e-3)


def shap_draws(explainer, batch):
    """Gradient SHAP's draws one by one: their maps, and by how much their sums miss the logit's change."""
    network, x = explainer.network, batch.inputs[0].permute(2, 0, 1)
    maps, missed = [], []
    for draws in draw(batch, explainer.settings, "gradient_shap", 1):
        noise = draws.noise[0].permute(2, 0, 1)
        point = (noise + draws.fractions * (x - noise)).requires_grad_()
        (gradient,) = torch.autograd.grad(network(point[None]).sum(), point)
        maps.append((x - noise) * gradient)
        with torch.no_grad():
            change = float(network(x[None]) - network(noise[None]))
        missed.append(float(maps[-1].sum(dtype=torch.float64)) - change)
    return torch.stack(maps), np.array(missed)
