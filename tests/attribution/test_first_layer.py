"""The split network is the whole one, and the way back through its first layer is the gradient."""

import pytest
import torch

from mri_saliency.attribution.first_layer import SplitNetwork


@pytest.fixture(scope="module")
def slices_last(inputs):
    return inputs.permute(0, 2, 3, 1).contiguous()


def test_first_and_later_layers_are_the_network(prepared, inputs, slices_last):
    split = SplitNetwork(prepared)
    with torch.no_grad():
        expected = prepared(inputs)
    for batch_size in (1, 2, 8):
        logits = split.predict(split.first(slices_last), batch_size)
        torch.testing.assert_close(logits, expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(split.later(split.first(slices_last)), expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(split.later.latest_outputs, expected, rtol=1e-4, atol=1e-5)


def test_gradients_go_back_to_the_voxels_with_their_slices_last(prepared, slices_last):
    split = SplitNetwork(prepared)
    behind = torch.randn(3, 8, 64, 64, generator=torch.Generator().manual_seed(0))
    leaves = slices_last.clone().requires_grad_()
    convolution = prepared.features[0][0]
    (convolution(leaves.permute(0, 3, 1, 2)) * behind).sum().backward()
    found = split.first.back(behind, slices_last)
    assert found.shape == slices_last.shape
    torch.testing.assert_close(found, leaves.grad, rtol=1e-4, atol=1e-5)


def test_what_captum_hands_in_is_not_overwritten(prepared, slices_last):
    split = SplitNetwork(prepared)
    points = split.first(slices_last)
    before = points.clone()
    split.later(points)
    assert torch.equal(points, before)
    assert not split.later.layers[0].inplace


def test_both_parts_and_the_deep_lift_network_share_the_weights(prepared):
    split = SplitNetwork(prepared)
    weights = {parameter.data_ptr() for parameter in prepared.parameters()}
    for part in (split.later, split.later_with_deep_lift_rules):
        assert {parameter.data_ptr() for parameter in part.parameters()} <= weights
