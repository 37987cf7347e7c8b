"""Networks that know nothing: copies with their weights shuffled."""

from __future__ import annotations

import copy
from collections.abc import Iterator

import torch
from torch import nn

_SEED = 20_000


def block_names(network: nn.Module) -> list[str]:
    """Return the names of an EfficientNet's blocks from its head to its input."""
    names = [f"features.{name}" for name, _ in network.get_submodule("features").named_children()]
    return ["classifier", *reversed(names)]


def randomised(network: nn.Module, number: int = 0) -> Iterator[tuple[str, nn.Module]]:
    """Yield copies of a network with more and more of its weights shuffled, from the head down.

    The cascade of Adebayo et al. 2018 (Sanity checks for saliency maps, NeurIPS). Each tensor's values
    are shuffled among themselves, which keeps the activations' size in a network whose normalisation
    is merged into its convolutions. `network` itself is not changed.

    Each `number` has a shuffle of its own.
    """
    network = copy.deepcopy(network)
    generator = torch.Generator().manual_seed(_SEED + number)
    for block in block_names(network):
        with torch.no_grad():
            for weights in network.get_submodule(block).parameters():
                order = torch.randperm(weights.numel(), generator=generator).to(weights.device)
                weights.copy_(weights.flatten()[order].reshape(weights.shape))
        yield block, network
