"""The linear first layer of an EfficientNet, and the layers after it.

A straight path between two inputs is straight behind the first layer too, and gradients behind it can be
averaged before one step back to the voxels. So the methods work there, on a fourteenth of the numbers.
"""

import copy
from functools import cached_property
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn.grad import conv2d_input

from mri_saliency.attribution.deep_lift import use_deep_lift_rules
from mri_saliency.attribution.log_odds import LogOdds
from mri_saliency.errors import UserError

if TYPE_CHECKING:
    from torchvision.models import EfficientNet


class SplitNetwork:
    """A network, as `Explainer` takes it, split behind its first layer; both parts share its weights."""

    def __init__(self, network: "EfficientNet") -> None:
        in_use = hasattr(network, "features") and not network.training
        if not in_use or any(isinstance(module, nn.BatchNorm2d) for module in network.modules()):
            raise UserError(
                "expected the network of load_checkpoint, or an EfficientNet after prepare_for_attribution; "
                f"found {type(network).__name__}, which is none or not prepared."
            )
        self.first = FirstLayer(network)
        self.later = LaterLayers(network)
        # of Expected Gradients: the volumes, where they are kept, (128, 128, n_slices) each; they behind the
        # first layer, (n, channels, 64, 64); and the outputs for them
        self.references: tuple[list[Tensor], Tensor, Tensor] | None = None
        self.at_noise: Tensor | None = None  # of Gradient SHAP: the outputs for noise, (n_samples, n_logits)

    def predict(self, points: Tensor, batch_size: int) -> Tensor:
        """Return the network's outputs (n, n_logits) for `points` behind the first layer."""
        with torch.no_grad():
            return torch.cat([self.later.layers(chunk) for chunk in points.split(batch_size)])

    @cached_property
    def later_with_deep_lift_rules(self) -> nn.Module:
        """The later layers with DeepLIFT's rules in their backward pass; they share the weights."""
        weights = {id(parameter): parameter for parameter in self.later.parameters()}
        layers = copy.deepcopy(self.later, memo=weights)
        use_deep_lift_rules(layers)
        return layers


class FirstLayer:
    """The first layer, of volumes with their slices last: a convolution, linear but for its bias."""

    def __init__(self, network: "EfficientNet") -> None:
        self._convolution = network.features[0][0]

    def __call__(self, inputs: Tensor) -> Tensor:
        """Apply the layer: (n, 128, 128, n_slices) -> (n, channels, 64, 64)."""
        with torch.no_grad():
            return self._convolution(inputs.permute(0, 3, 1, 2))

    def back(self, gradients: Tensor, inputs: Tensor, some: slice = slice(None)) -> Tensor:
        """Return gradients at some slices of inputs, (n, 128, 128, n_slices), from those behind it."""
        layer, shape = self._convolution, inputs.permute(0, 3, 1, 2).shape
        back = conv2d_input(shape, layer.weight[:, some], gradients, layer.stride, layer.padding)
        return back.permute(0, 2, 3, 1)


class LaterLayers(nn.Module):
    """What follows the first layer's convolution, and `log_odds`: (n, channels, 64, 64) -> (n, n_logits)."""

    def __init__(self, network: "EfficientNet") -> None:
        super().__init__()
        self.layers = nn.Sequential(
            network.features[0][-1],  # not in place: Captum's input is a leaf, which must not be overwritten
            *network.features[1:],
            network.avgpool,
            nn.Flatten(),
            network.classifier,
        )
        self.log_odds = LogOdds()
        self.latest_outputs = torch.empty(0)  # (n, n_logits) of the network, which Captum does not return

    def forward(self, points: Tensor) -> Tensor:
        """Return each class's log-odds for points behind the first layer."""
        outputs = self.layers(points)
        self.latest_outputs = outputs.detach()
        return self.log_odds(outputs)
