"""On a device, everything a method needs is there, and the processor waits for it as rarely as is known."""

import copy

import numpy as np
import pytest

from mri_saliency.inputs.checkpoint import prepare_for_attribution
from mri_saliency.methods import METHODS

from ..conftest import lively_network
from ..rehearsal import NAME, rehearsed
from .conftest import assert_same_maps, batch_of, explainer_of, stacked

# For three scans in passes of four volumes at most: how often the processor waits for the device. Each map,
# its number and its null map are fetched; a path asks after each rule whether it suffices.
WAITS = dict(zip(METHODS, (18, 5, 9, 16, 5, 8, 31, 7), strict=True))


def maps_of(network, inputs, method, **settings):
    targets = [network.classifier[-1].out_features - 1, 0, 0]
    explainer = explainer_of(network, n_steps="auto", **settings)
    return explainer.attribute(method, batch_of(explainer, inputs, targets=targets))


def test_references_stay_in_the_main_memory_where_the_device_has_no_room(inputs, monkeypatch):
    prepared = prepare_for_attribution(lively_network())
    expected = stacked(maps_of(prepared, inputs, "expected_gradients"))
    monkeypatch.setattr("mri_saliency.attribution.expected_gradients.has_room", lambda *_: False)
    with rehearsed():
        found = maps_of(copy.deepcopy(prepared).to(NAME), inputs, "expected_gradients")
        assert_same_maps(stacked(found), expected)


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
