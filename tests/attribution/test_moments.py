"""Means and standard errors of draws, against NumPy's over all draws at once."""

import numpy as np
import pytest
import torch

from mri_saliency.attribution.draws import draw
from mri_saliency.attribution.explainer import Explainer, Settings
from mri_saliency.attribution.moments import RunningMoments, relative, sums

from .conftest import N_STEPS, assert_same_maps, batch_of, explain, stacked


@pytest.mark.parametrize("n", [6, 7])
def test_errors_are_those_of_pairs(n):
    """Of an odd number, the last one's distance from the pairs' mean is all that tells of its error."""
    drawn = np.random.default_rng(n).normal(5, 2, (2, n, 3, 4)).astype(np.float32)
    moments = RunningMoments(torch.zeros(2, 3, 4), n)
    for scan in range(2):
        for values in drawn[scan]:
            moments.add(scan, torch.from_numpy(values))
    for scan, used in enumerate(drawn.astype(float)):
        np.testing.assert_allclose(moments.means[scan], used.mean(0), rtol=1e-5)
        pairs = used[: n // 2 * 2].reshape(n // 2, 2, 3, 4).mean(1)
        variance = pairs.var(0, ddof=1) / (n // 2) * (2 * (n // 2) / n) ** 2
        variance += ((used[-1] - pairs.mean(0)) / n) ** 2 if n % 2 else 0
        errors = moments.standard_errors()[scan]
        np.testing.assert_allclose(errors, np.sqrt(variance), rtol=1e-4)
        share = float(errors.double().sum()) / np.abs(used.mean(0)).sum()
        assert moments.relative_errors()[scan] == pytest.approx(share, rel=1e-4)


@pytest.mark.parametrize("n", [10, 40])
@pytest.mark.parametrize("curve", [lambda f: np.sin(3 * f), lambda f: 0 * f])
def test_errors_of_draws_in_strata_are_true(n, curve):
    """Of places on a trend, with noise: stated over true 0.8 to 1.3; for independent draws up to 5."""
    generator = np.random.default_rng(n)
    places = (np.arange(n)[:, None] + generator.random((n, 3000))) / n
    drawn = curve(places) + generator.normal(0, 0.02, places.shape)
    moments = RunningMoments(torch.zeros(1, 3000, dtype=torch.float64), n, in_strata=True)
    for values in torch.from_numpy(drawn):
        moments.add(0, values)
    np.testing.assert_allclose(moments.means[0], drawn.mean(0), rtol=1e-5, atol=1e-8)
    stated = float(moments.standard_errors().square().mean().sqrt())
    assert 0.8 < stated / drawn.mean(0).std() < 1.3


@pytest.mark.parametrize("in_strata", [False, True])
def test_too_few_draws_have_no_standard_error(in_strata):
    for n in (1, 2, 3) if not in_strata else (1,):
        moments = RunningMoments(torch.zeros(1, dtype=torch.float64), n, in_strata=in_strata)
        for _ in range(n):
            moments.add(0, torch.tensor(3.0))
        assert moments.means.tolist() == [3]
        assert moments.standard_errors() is moments.relative_errors() is None


def test_errors_of_nothing():
    assert relative([0.0, 1.0, 1.0], [0.0, 0.0, 4.0]) == [0.0, None, 0.25]
    assert sums(torch.ones(2, 3, 4)) == [12, 12]


@pytest.mark.parametrize("method", ["smooth_grad", "noise_tunnel_ig"])
def test_a_maps_error_is_that_of_its_pairs_maps(prepared, inputs, method):
    """One map of four draws against four maps of one draw each: the same volumes of noise."""
    explainer = Explainer(prepared, Settings(4, N_STEPS, n_samples=4))
    batch = batch_of(explainer, inputs[:1], ids="a")
    [found] = explainer.attribute(method, batch)
    noise = next(draw(batch, explainer.settings, method, 4, in_pairs=True)).noise.permute(0, 3, 1, 2)
    assert torch.equal(noise[1], -noise[0]) and torch.equal(noise[3], -noise[2])
    inner = {"smooth_grad": "input_x_gradient", "noise_tunnel_ig": "integrated_gradients"}[method]
    values = stacked(explain(prepared, inputs[:1] + noise, inner, ids="abcd"))
    values = values / (inputs[:1] + noise) if method == "smooth_grad" else values
    pairs = values.double().unflatten(0, (2, 2)).mean(1)
    mean, errors = pairs.mean(0), pairs.std(0) / 2**0.5
    assert_same_maps(torch.from_numpy(found.values)[None], mean[None].float(), 1e-4)
    assert found.map_error == pytest.approx(float(errors.sum() / mean.abs().sum()), rel=1e-3)
    assert found.standard_error is None


def test_gradient_shaps_errors_are_the_spread_over_seeds(prepared, inputs):
    """Copies of one scan, each with draws of its own."""
    n_copies, n = 30, 10
    explainer = Explainer(prepared, Settings(25, n_samples=n))
    batch = batch_of(explainer, inputs[:1].expand(n_copies, -1, -1, -1), map(str, range(n_copies)))
    found = explainer.attribute("gradient_shap", batch)
    maps = stacked(found)
    true = float(maps.std(0).sum() / maps.mean(0).abs().sum())
    assert 0.8 < np.mean([one.map_error for one in found]) / true < 1.3
    missed = np.array([one.total - one.expected_total for one in found])
    stated = np.array([one.standard_error for one in found])
    assert 0.6 < np.sqrt((stated**2).mean() / (missed**2).mean()) < 1.7  # of 30, true to 13 %
    assert all(one.degrees_of_freedom == pytest.approx(n / 3) for one in found)
