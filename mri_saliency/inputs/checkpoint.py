"""best_model.pth and parameters.json -> the network, ready for attribution."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
import torchvision
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval
from torchvision.models import EfficientNet

from mri_saliency.errors import UserError, warn
from mri_saliency.inputs.weights_file import STEM, read_weights
from mri_saliency.runtime.device import plain_pytorch
from mri_saliency.wording import first_of


@dataclass(frozen=True)
class Variant:
    """An EfficientNetV2: torchvision's function that builds it, and the length of its state dict."""

    build: Callable[..., EfficientNet]
    n_tensors: int


VARIANTS = {
    "S": Variant(torchvision.models.efficientnet_v2_s, 782),
    "M": Variant(torchvision.models.efficientnet_v2_m, 1120),
    "L": Variant(torchvision.models.efficientnet_v2_l, 1548),
}
_HEAD = "classifier.1.weight"
_PICTURE_CHANNELS = {1: "grey pictures", 3: "colour pictures, such as ImageNet's"}


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A trained classifier.

    `network` takes float32 (n, n_slices, 128, 128), coronal slices as channels, and returns float32
    (n, n_logits). One logit: its sigmoid is the probability of TLE. Several: softmax.
    """

    network: nn.Module  # as `prepare_for_attribution` leaves it
    variant: str  # "S", "M" or "L" of EfficientNetV2
    n_slices: int
    n_logits: int
    parameters: dict  # the content of parameters.json; empty without the file
    path: Path
    sha256: str


@plain_pytorch()
def load_checkpoint(path: Path | str, parameters_path: Path | None = None) -> Checkpoint:
    """Load a trained EfficientNetV2; its architecture is derived from the shapes of the weights.

    Raises UserError as `read_weights`, and for a network that is no EfficientNetV2, takes pictures of 1 or 3
    channels, or has missing, misshapen or non-finite tensors.
    """
    path = Path(path)
    parameters = read_parameters(parameters_path) if parameters_path else {}
    state, sha256 = read_weights(path)
    variant, network = _match_architecture(state, path)
    _check_tensors(state, network.state_dict(), variant, path)
    n_slices, n_logits = state[STEM].shape[1], state[_HEAD].shape[0]
    if n_slices in _PICTURE_CHANNELS:
        raise UserError(
            f"{path}: the network has {n_slices} input channel(s), as one for {_PICTURE_CHANNELS[n_slices]}; "
            "expected one that was trained on scans, with the coronal slices as input channels, such as 115. "
            "Name its checkpoint with --model_path."
        )
    network.load_state_dict(
        {name: state.pop(name).float() for name in list(state)}, strict=False, assign=True
    )
    network = prepare_for_attribution(network)
    return Checkpoint(network, variant, n_slices, n_logits, parameters, path, sha256)


def build_network(variant: str, n_slices: int, n_logits: int, dropout: float = 0.5) -> nn.Module:
    """Return the laboratory's network, untrained: torchvision's, with two layers replaced.

    float32 (n, n_slices, height, width) -> (n, n_logits).
    """
    network = VARIANTS[variant].build(weights=None)
    stem = network.features[0][0]
    network.features[0][0] = nn.Conv2d(
        n_slices, stem.out_channels, kernel_size=3, stride=2, padding=1, bias=False
    )
    features = network.classifier[1].in_features
    network.classifier = nn.Sequential(nn.Dropout(dropout), nn.Linear(features, n_logits))
    return network


def prepare_for_attribution(network: nn.Module) -> nn.Module:
    """Freeze a network in place and return it: the same function, with faster gradients.

    Evaluation mode; parameters without gradients; every batch normalisation that follows a
    convolution merged into it, which changes the input gradient by rounding only; channels-last.
    """
    network.eval().requires_grad_(False)
    for module in network.modules():
        if isinstance(module, nn.SiLU):
            module.inplace = False  # autograd would clone its input: a tenth of the memory traffic
    for block in [module for module in network.modules() if isinstance(module, nn.Sequential)]:
        for index in range(len(block) - 1):
            convolution, norm = block[index], block[index + 1]
            if isinstance(convolution, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                block[index] = fuse_conv_bn_eval(convolution, norm).requires_grad_(False)
                block[index + 1] = nn.Identity()
    return network.to(memory_format=torch.channels_last)


def read_parameters(path: Path) -> dict:
    """Read the training run's parameters.json. Nothing in it changes a map: other content costs a warning.

    NaN and Infinity, which are not JSON, become strings. Raises UserError for a file that cannot be read.
    """
    try:
        parameters = json.loads(path.read_bytes().decode("utf-8-sig"), parse_constant=str)
    except OSError as error:
        raise UserError(
            f"{path}: cannot read the training parameters ({error.strerror}). "
            "Name parameters.json of the training run with --parameters_path."
        ) from error
    except (ValueError, RecursionError) as error:
        parameters = f"something else ({error})"
    if isinstance(parameters, dict):
        return parameters
    warn(f"{path}: expected a JSON object of hyper-parameters, found {str(parameters)[:80]}; it is not used.")
    return {}


def _match_architecture(state: Mapping[str, Tensor], path: Path) -> tuple[str, nn.Module]:
    """Return the variant with the most tensors of equal name and shape, and its network without weights."""
    n_slices, n_logits = (
        state[name].shape[axis] if name in state and state[name].ndim > axis else 1
        for name, axis in ((STEM, 1), (_HEAD, 0))
    )
    best, best_share = None, 0.0
    # building one takes half a second, so the most probable is first
    for variant in sorted(VARIANTS, key=lambda variant: abs(len(state) - VARIANTS[variant].n_tensors)):
        with torch.device("meta"):
            network = build_network(variant, n_slices, n_logits)
        expected = network.state_dict()
        agreeing = sum(name in state and state[name].shape == expected[name].shape for name in expected)
        if agreeing / len(expected) > best_share:
            best, best_share = (variant, network), agreeing / len(expected)
        if best_share > 0.9:
            break
    if best is None or best_share < 0.5:
        raise UserError(
            f"{path}: expected the weights of torchvision's EfficientNetV2 (S, M or L); found "
            f"{len(state)} tensors, of which at most {best_share:.0%} fit; "
            f"the first is {next(iter(state))!r}."
        )
    return best


def _check_tensors(
    state: Mapping[str, Tensor], expected: Mapping[str, Tensor], variant: str, path: Path
) -> None:
    """Raise UserError, with the first few names, for missing, misshapen, unknown or non-finite tensors."""
    # counters of training steps: old files lack them, and evaluation does not use them
    expected = {k: v for k, v in expected.items() if not k.endswith("num_batches_tracked")}
    problems = [f"{name}: missing" for name in expected if name not in state]
    problems += [
        f"{name}: expected shape {tuple(tensor.shape)}, found {tuple(state[name].shape)}"
        for name, tensor in expected.items()
        if name in state and state[name].shape != tensor.shape
    ]
    problems += [
        f"{name}: not part of the network"
        for name in state
        if name not in expected and not name.endswith("num_batches_tracked")
    ]
    if not problems:
        problems = [
            f"{name}: NaN or infinite values" for name in expected if not state[name].isfinite().all()
        ]
    if problems:
        raise UserError(f"{path}: the weights do not make an EfficientNetV2-{variant}: {first_of(problems)}.")
