"""Networks that know nothing: copies with their weights shuffled."""

import copy

import torch
from torch import nn

_SEED = 20_000


def shuffled(network: nn.Module, number: int) -> nn.Module:
    """Return a copy of a network with all its weights shuffled; each `number` has a shuffle of its own.

    After Adebayo et al. 2018 (Sanity checks for saliency maps, NeurIPS). Each tensor's values are shuffled
    among themselves, which keeps the activations' size where normalisation is merged into convolutions.
    """
    network = copy.deepcopy(network)
    generator = torch.Generator().manual_seed(_SEED + number)
    with torch.no_grad():
        for weights in network.parameters():
            order = torch.randperm(weights.numel(), generator=generator).to(weights.device)
            weights.copy_(weights.flatten()[order].reshape(weights.shape))
    return network
