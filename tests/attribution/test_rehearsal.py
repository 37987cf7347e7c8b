"""On a device, everything a method needs is there, and the processor waits for it as rarely as is known."""

import copy

import numpy as np
import pytest

from mri_saliency.inputs.checkpoint import prepare_for_attribution
from mri_saliency.methods import METHODS

from ..conftest import lively_network
from ..rehearsal import NAME, rehearsed
from .conftest import assert_same_maps, batch_of, explainer_of, stacked

# For three scans in passes of four volumes at most: how often the processor waits for the device. Each map
# and its number are fetched; a path asks after each rule whether it suffices.
WAITS = {
    "integrated_gradients": 18,
    "saliency": 5,
    "gradient_shap": 9,
    "expected_gradients": 13,
    "input_x_gradient": 5,
    "deep_lift": 8,
    "noise_tunnel_ig": 31,
    "smooth_grad": 7,
}


def maps_of(network, inputs, method, **settings):
    targets = [network.classifier[-1].out_features - 1, 0, 0]
    explainer = explainer_of(network, n_steps="auto", **settings)
    return explainer.attribute(method, batch_of(explainer, inputs, targets=targets))


@pytest.mark.parametrize("n_logits", [1, 3])
@pytest.mark.parametrize("method", METHODS)
def test_maps_are_the_cpus(inputs, method, n_logits):
    prepared = prepare_for_attribution(lively_network(n_logits=n_logits))
    with rehearsed() as device:
        there = copy.deepcopy(prepared).to(NAME)
        device.counts.clear()
        found = maps_of(there, inputs, method)
        assert device.counts["waits"] <= WAITS[method]
    expected = maps_of(prepared, inputs, method)
    assert_same_maps(stacked(found), stacked(expected))
    for one, other in zip(found, expected, strict=True):
        assert one.passes == other.passes and one.total == pytest.approx(other.total, rel=1e-4, abs=1e-6)
        if one.voxel_errors is not None:
            atol = 1e-5 * one.voxel_errors.max()
            np.testing.assert_allclose(one.voxel_errors, other.voxel_errors, atol=atol)


@pytest.mark.filterwarnings("ignore:out of memory; going on with --batch_size")
@pytest.mark.parametrize("method", ["integrated_gradients", "expected_gradients", "deep_lift"])
def test_passes_become_smaller_until_they_fit(prepared, inputs, method):
    with rehearsed() as device:
        there = copy.deepcopy(prepared).to(NAME)
        explainer = explainer_of(there, batch_size=16, n_steps="auto")
        batch = batch_of(explainer, inputs)
        device.most_volumes = 3  # the scans themselves fit
        found = explainer.attribute(method, batch)
        assert explainer.settings.batch_size == 2
    explainer = explainer_of(prepared, batch_size=16, n_steps="auto")
    expected = explainer.attribute(method, batch_of(explainer, inputs))
    assert_same_maps(stacked(found), stacked(expected))
    assert [one.passes for one in found] == [one.passes for one in expected]
