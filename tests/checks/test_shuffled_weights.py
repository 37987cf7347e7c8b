"""Shuffled weights."""

import torch

from mri_saliency.checks.shuffled_weights import shuffled


def test_every_tensor_is_shuffled_and_the_original_spared(prepared):
    before = {name: value.clone() for name, value in prepared.named_parameters()}
    for name, value in shuffled(prepared, 0).named_parameters():
        ordered, expected = (values.detach().flatten().sort().values for values in (value, before[name]))
        assert torch.equal(ordered, expected), name
        if value.numel() > 50 and value.ndim > 1:
            assert not torch.equal(value, before[name]), name
    assert all(torch.equal(value, before[name]) for name, value in prepared.named_parameters())


def test_each_number_has_its_own_shuffle(prepared):
    first, same, second = (shuffled(prepared, number).features[0][0].weight for number in (0, 0, 1))
    assert torch.equal(first, same) and not torch.equal(first, second)
