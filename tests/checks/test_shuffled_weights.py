"""The cascade of shuffled weights."""

import torch

from mri_saliency.checks.shuffled_weights import block_names, randomised


def test_the_cascade_shuffles_block_by_block_and_spares_the_original(prepared):
    before = {name: value.clone() for name, value in prepared.named_parameters()}
    seen = []
    for block, shuffled in randomised(prepared):
        seen.append(block)
        for name, value in shuffled.named_parameters():
            ordered, expected = (values.detach().flatten().sort().values for values in (value, before[name]))
            assert torch.equal(ordered, expected), name
            if value.numel() > 50 and value.ndim > 1:
                is_shuffled = any(name.startswith(f"{done}.") for done in seen)
                assert torch.equal(value, before[name]) != is_shuffled, name
    assert seen == block_names(prepared) and seen[0] == "classifier" and seen[-1] == "features.0"
    assert all(torch.equal(value, before[name]) for name, value in prepared.named_parameters())


def test_each_number_has_its_own_shuffle(prepared):
    first, same, second = ([*randomised(prepared, n)][-1][1].features[0][0].weight for n in (0, 0, 1))
    assert torch.equal(first, same) and not torch.equal(first, second)
