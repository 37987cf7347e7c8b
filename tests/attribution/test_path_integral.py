"""Points are added path by path, until the map's error is small; against Captum with 400 steps."""

import captum.attr
import numpy as np
import pytest
import torch

from mri_saliency.attribution import clenshaw_curtis
from mri_saliency.attribution.clenshaw_curtis import POINTS
from mri_saliency.attribution.explainer import Explainer, Settings
from mri_saliency.attribution.path_integral import Paths, mean_gradients
from mri_saliency.inputs.checkpoint import prepare_for_attribution

from ..conftest import lively_network
from .conftest import assert_same_maps, batch_of, stacked

IG = "integrated_gradients"


def relative_error(found, expected):
    """Return the summed error of a map over its summed magnitude."""
    return float((found - expected).abs().sum() / expected.abs().sum())


def explained(network, inputs, *, batch_size=25, map_error=0.001, method=IG, **batch):
    explainer = Explainer(network, Settings(batch_size, n_samples=2, map_error=map_error))
    return explainer.attribute(method, batch_of(explainer, inputs, **batch))


@pytest.fixture(scope="module")
def baselines(inputs):
    """Of two scans, each its own."""
    return 0.1 * inputs[1:]


@pytest.fixture(scope="module")
def exact(inputs, baselines):
    """Captum's maps of two scans, of 400 steps on a plainly built network."""
    method = captum.attr.IntegratedGradients(lively_network().requires_grad_(False))
    return method.attribute(inputs[:2], baselines, n_steps=400, internal_batch_size=50).float()


def map_by_rule(network, baseline, scan, n_points):
    """Integrate by one rule, in a plain loop over the voxels' gradients."""
    step = clenshaw_curtis.stride(n_points)
    places, weights = clenshaw_curtis.places()[::step], clenshaw_curtis.rule_weights(n_points)
    total = torch.zeros_like(scan, dtype=torch.float64)
    for place, weight in zip(places, weights, strict=True):
        point = (baseline + place * (scan - baseline)).float().requires_grad_()
        total += weight * torch.autograd.grad(network(point[None]).sum(), point)[0].double()
    return total * (scan - baseline)


@pytest.mark.parametrize("map_error", [0.1, 1e-3, 1e-5])
def test_the_error_is_extrapolated_from_two_doublings(prepared, inputs, baselines, exact, map_error):
    maps = explained(prepared, inputs[:2], ids="ab", baseline=baselines, map_error=map_error)
    for i, found in enumerate(maps):
        quarter, half, whole = (
            map_by_rule(prepared, baselines[i], inputs[i], (found.passes - 1) // part + 1)
            for part in (4, 2, 1)
        )
        assert_same_maps(torch.from_numpy(found.values)[None], whole[None], 1e-5)
        expected = relative_error(half, whole) ** 2 / relative_error(quarter, half)
        if expected > 2e-5:  # the map's is taken behind the first layer
            assert 0.5 * expected < found.map_error < 2 * expected
        assert relative_error(whole, exact[i]) <= max(2 * found.map_error, 1e-5)
        assert relative_error(whole, exact[i]) <= map_error and found.map_error <= map_error
        assert found.total == pytest.approx(found.expected_total, rel=1e-3, abs=1e-4)


def test_noisy_copies_are_integrated_by_the_same_rule(prepared, inputs):
    found = explained(prepared, inputs, method="noise_tunnel_ig", map_error=1e-4)
    explainer = Explainer(prepared, Settings(batch_size=50, n_steps=60, n_samples=2))
    expected = explainer.attribute("noise_tunnel_ig", batch_of(explainer, inputs))
    assert_same_maps(stacked(found), stacked(expected), 1e-4)


def test_points_that_are_known_are_not_passed_again(prepared, inputs):
    """A second time, neither the scans nor what they have in common is passed."""
    explainer = Explainer(prepared, Settings(25))
    batch = batch_of(explainer, inputs)
    first = explainer.attribute(IG, batch)
    again = explainer.attribute(IG, batch.part([2, 0]))
    assert [one.passes for one in again] == [first[2].passes - 1, first[0].passes - 2]
    assert_same_maps(stacked(again), stacked(first)[[2, 0]])


def test_gradients_at_a_shared_baseline_are_of_each_target(inputs):
    network = prepare_for_attribution(lively_network(n_logits=3))
    found = explained(network, inputs, targets=[2, 0, 2])
    for i, target in enumerate((2, 0, 2)):
        alone = explained(network, inputs[i : i + 1], ids="abc"[i], targets=target)
        assert_same_maps(stacked(found)[i : i + 1], stacked(alone))


def integrate(gradients, frequencies, n_voxels=1, **settings):
    """Integrate `gradients(place, frequency)` from 0 to 1; returns means, errors and each call's paths."""
    calls, zeros = [], torch.zeros(len(frequencies), n_voxels, 1, 1)

    def gradients_at(indices, points):
        calls.append(indices)
        return gradients(points.double(), torch.tensor(frequencies)[indices][:, None, None, None])

    paths = Paths(zeros, torch.ones_like(zeros), *(2 * [[None] * len(frequencies)]))
    return *mean_gradients(paths, gradients_at, map_error=1e-3, **settings), calls


def test_paths_are_raised_alone_and_calls_stay_full():
    frequencies = [0.5, 200.0, 0.5, 30.0, 0.5, 30.0]
    means, errors, calls = integrate(lambda x, f: torch.cos(f * x), frequencies, batch_size=8)
    counts = [sum(indices.count(path) for indices in calls) for path in range(6)]
    assert counts[0] == counts[2] == counts[4] == 9
    assert counts[1] == 129 and counts[3] == counts[5] and counts[3] in (33, 65)
    assert [len(indices) for indices in calls].count(8) >= len(calls) - 2  # some of several paths
    reached = [0, 2, 3, 4, 5]
    expected = (np.sin(frequencies) / frequencies)[reached]
    np.testing.assert_allclose(means.flatten()[reached], expected, rtol=1e-3)
    assert all(errors[path] <= 1e-3 for path in reached)


@pytest.mark.parametrize(("pole", "n_points"), [(0.005, 33), (0.02, 17), (0.1, 9), (3.0, 9)])
def test_a_path_stops_where_its_error_is_reached(pole, n_points):
    """At 50 voxels with gradients 1 / (place + pole)."""
    poles = torch.linspace(pole, 2 * pole, 50, dtype=torch.float64)[:, None, None]
    means, [error], calls = integrate(lambda x, _: 1 / (x + poles), [0.0], batch_size=8, n_voxels=50)
    assert error <= 1e-3 and relative_error(means[0], (1 / poles).log1p()) <= 2 * error
    assert sum(map(len, calls)) == n_points


def test_a_path_that_changes_more_than_by_the_doubling_before_goes_on():
    """It changes by 5e-4, 8e-4 and 7e-6, all less than the error asked for."""
    _, [error], calls = integrate(lambda x, f: 1 + 1e-3 * torch.cos(f * x), [19.0], batch_size=8)
    assert sum(map(len, calls)) == 17 and error == 1e-5


def test_a_path_that_cannot_reach_the_error_says_so():
    _, [error], calls = integrate(lambda x, f: torch.cos(f * x), [2000.0], batch_size=50)
    assert error > 1e-3 and sum(map(len, calls)) == POINTS[-1]


def test_a_scan_that_is_its_baseline_has_a_map_of_zeros(prepared, inputs):
    [found] = explained(prepared, inputs[:1], ids="a", baseline=inputs[:1])
    assert not found.values.any() and found.map_error == 0 and found.passes <= 9
