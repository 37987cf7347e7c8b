"""best_model.pth and parameters.json -> the network, ready to be attributed."""

from __future__ import annotations

import json
import os
import pickle
import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torchvision
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from mri_saliency.errors import UserError

VARIANTS = {
    "S": torchvision.models.efficientnet_v2_s,
    "M": torchvision.models.efficientnet_v2_m,
    "L": torchvision.models.efficientnet_v2_l,
}
_WRAPPER_PREFIXES = ("backbone.", "module.", "_orig_mod.")
_STATE_DICT_KEYS = ("model_state_dict", "state_dict")
_STEM, _HEAD = "features.0.0.weight", "classifier.1.weight"
_DEFAULT_DROPOUT = 0.5
_N_TENSORS = {"S": 782, "M": 1120, "L": 1548}
_NAMED_PROBLEMS = 4  # how many tensors an error lists before "and N more"


@dataclass(frozen=True)
class Checkpoint:
    """A trained classifier.

    Attributes
    ----------
    network : nn.Module
        float32 (n, n_slices, 128, 128) -> float32 (n, n_logits). In evaluation mode, parameters
        frozen, batch normalisation merged into the convolutions, channels-last.
    variant : str
        "S", "M" or "L" of EfficientNetV2.
    n_slices : int
        Input channels: the coronal slices.
    n_logits : int
        Outputs. 1: ``sigmoid(logit)`` is the probability of TLE. Several: softmax.
    parameters : dict
        parameters.json as it was read; empty without the file.
    """

    network: nn.Module
    variant: str
    n_slices: int
    n_logits: int
    parameters: dict


def load_checkpoint(path: Path, parameters_path: Path | None = None) -> Checkpoint:
    """Load a trained EfficientNetV2, reading its architecture off the weights' shapes.

    Parameters
    ----------
    path : Path
        A ``torch.save`` file: a dict with ``model_state_dict``, or a bare state dict. It is
        memory-mapped, so an optimizer's state in it is never read, and unpickled with
        ``weights_only``, so it cannot run code.
    parameters_path : Path, optional
        The training run's parameters.json.

    Raises
    ------
    UserError
        The file is missing, truncated, not PyTorch's, a pickled module, not an EfficientNetV2,
        or has missing, misshapen or non-finite tensors.
    """
    parameters = read_parameters(parameters_path) if parameters_path else {}
    state = _strip_prefixes(_find_state_dict(_load_safely(path), path))
    dropout = parameters.get("dropout_rate", _DEFAULT_DROPOUT)
    variant, network = _match_architecture(state, dropout, path)
    _check_tensors(state, network.state_dict(), variant, path)
    weights = {name: tensor.float() for name, tensor in state.items()}
    network.load_state_dict(weights, strict=False, assign=True)
    n_logits, n_slices = state[_HEAD].shape[0], state[_STEM].shape[1]
    return Checkpoint(prepare_for_attribution(network), variant, n_slices, n_logits, parameters)


def build_network(variant: str, n_slices: int, n_logits: int, dropout: float = _DEFAULT_DROPOUT) -> nn.Module:
    """Build the laboratory's network, untrained: torchvision's, with two layers replaced.

    float32 (n, n_slices, height, width) -> (n, n_logits).
    """
    network = VARIANTS[variant](weights=None)
    stem = network.features[0][0]
    network.features[0][0] = nn.Conv2d(
        n_slices, stem.out_channels, kernel_size=3, stride=2, padding=1, bias=False
    )
    features = network.classifier[1].in_features
    network.classifier = nn.Sequential(nn.Dropout(dropout), nn.Linear(features, n_logits))
    return network


def prepare_for_attribution(network: nn.Module) -> nn.Module:
    """Freeze a network for attribution, in place: same function, faster gradients.

    Evaluation mode; parameters without gradients; every batch normalisation that follows a
    convolution merged into it, which changes the input gradient by rounding only; channels-last.
    """
    network.eval().requires_grad_(False)
    for block in [module for module in network.modules() if isinstance(module, nn.Sequential)]:
        for index in range(len(block) - 1):
            convolution, norm = block[index], block[index + 1]
            if isinstance(convolution, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                block[index] = fuse_conv_bn_eval(convolution, norm).requires_grad_(False)
                block[index + 1] = nn.Identity()
    return network.to(memory_format=torch.channels_last)


def read_parameters(path: Path) -> dict:
    """Read the training run's parameters.json.

    Raises
    ------
    UserError
        The file is missing, is not JSON, or is not a JSON object.
    """
    try:
        parameters = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(
            f"{path}: cannot read the training parameters ({error.strerror}). "
            "Name parameters.json of the training run with --parameters_path."
        ) from error
    except ValueError as error:
        raise UserError(f"{path}: expected JSON, found something else ({error}).") from error
    if not isinstance(parameters, dict):
        raise UserError(
            f"{path}: expected a JSON object of hyper-parameters, found {type(parameters).__name__}."
        )
    dropout = parameters.get("dropout_rate", _DEFAULT_DROPOUT)
    if not isinstance(dropout, int | float) or not 0 <= dropout <= 1:
        raise UserError(f"{path}: dropout_rate should be a number from 0 to 1, found {dropout!r}.")
    return parameters


def _load_safely(path: Path) -> object:
    """Unpickle with ``weights_only`` and the NumPy scalars' globals; memory-map if possible."""
    if not os.path.isfile(path):  # unlike Path.is_file, never raises
        what = "is a folder" if os.path.isdir(path) else "no such file, or no permission to look"
        raise UserError(f"{path}: {what}; expected a checkpoint. Name it with --model_path.")
    try:
        with path.open("rb") as file:
            start = file.read(4)
    except OSError as error:
        raise UserError(f"{path}: cannot read the checkpoint ({error.strerror}).") from error
    is_archive = start.startswith(b"PK")
    if is_archive and not zipfile.is_zipfile(path):
        raise UserError(
            f"{path}: the checkpoint is truncated (a PyTorch archive without its end, "
            f"{path.stat().st_size} bytes). Copy it again."
        )
    if not is_archive and not start.startswith(b"\x80"):
        raise UserError(f"{path}: not a PyTorch file: expected what torch.save writes.")
    try:
        with torch.serialization.safe_globals(_numpy_scalar_globals()):
            # files written before PyTorch 1.6 are no archives and cannot be mapped
            return torch.load(path, map_location="cpu", weights_only=True, mmap=is_archive)
    except pickle.UnpicklingError as error:
        raise UserError(_explain_refusal(path, str(error))) from error
    # a damaged file can raise nearly anything from the opcodes it happens to spell
    except Exception as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(
            f"{path}: cannot be read as a PyTorch checkpoint ({reason}). "
            "It may be truncated or damaged; copy it again."
        ) from error


def _numpy_scalar_globals() -> list:
    """List what a pickled NumPy scalar names, in NumPy 1's spelling and NumPy 2's."""
    scalar = np.float64(0).__reduce__()[0]
    number_types = (np.bool_, np.int32, np.int64, np.uint8, np.float16, np.float32, np.float64)
    return [
        (scalar, "numpy.core.multiarray.scalar"),
        (scalar, "numpy._core.multiarray.scalar"),
        np.dtype,
        *(type(np.dtype(number_type)) for number_type in number_types),
    ]


def _explain_refusal(path: Path, message: str) -> str:
    found = re.search(r"(?:GLOBAL|Unsupported class) ([\w.]+)", message)
    if not found:
        return f"{path}: not a PyTorch checkpoint, or a damaged one ({message.splitlines()[0]})."
    name = found.group(1)
    if name.startswith(("torch.nn", "torchvision.", "__main__.")):
        return (
            f"{path}: holds a whole pickled module ({name}), which would run code when loaded; "
            "expected its weights. Where you trust the file, re-save it: "
            "torch.save(torch.load(PATH, weights_only=False).state_dict(), NEW_PATH)"
        )
    return (
        f"{path}: holds the object {name}, which could run code when loaded, so it was refused; "
        "expected tensors, numbers and strings. Re-save the model_state_dict alone."
    )


def _find_state_dict(content: object, path: Path) -> Mapping[str, Tensor]:
    candidates = [content]
    if isinstance(content, Mapping):
        candidates = [content[key] for key in _STATE_DICT_KEYS if key in content] or [content]
    state = candidates[0]
    if isinstance(state, Mapping) and state and all(isinstance(v, Tensor) for v in state.values()):
        return state
    if isinstance(content, Mapping):
        found = "the keys " + ", ".join(map(repr, list(content)[:8]))
    else:
        found = f"a {type(content).__name__}"
    raise UserError(f"{path}: expected a dict with 'model_state_dict', or a bare state dict; found {found}.")


def _strip_prefixes(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Drop the wrappers' prefixes, in any nesting, as long as every name carries one."""
    stripped = dict(state)
    while True:
        for prefix in _WRAPPER_PREFIXES:
            if all(name.startswith(prefix) for name in stripped):
                stripped = {name.removeprefix(prefix): value for name, value in stripped.items()}
                break
        else:
            return stripped


def _match_architecture(state: Mapping[str, Tensor], dropout: float, path: Path) -> tuple[str, nn.Module]:
    """Find the variant that shares the most tensors' shapes; returns it with its network, without weights."""
    n_slices, n_logits = (
        state[name].shape[axis] if name in state and state[name].ndim > axis else 1
        for name, axis in ((_STEM, 1), (_HEAD, 0))
    )
    best, best_share = None, 0.0
    # building one takes half a second, so the likeliest comes first
    for variant in sorted(VARIANTS, key=lambda variant: abs(len(state) - _N_TENSORS[variant])):
        with torch.device("meta"):
            network = build_network(variant, n_slices, n_logits, dropout)
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
    """Raise with the first few names if tensors are missing, misshapen, unknown or not finite."""
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
        shown = "; ".join(problems[:_NAMED_PROBLEMS])
        more = len(problems) - _NAMED_PROBLEMS
        raise UserError(
            f"{path}: the weights do not make an EfficientNetV2-{variant}: {shown}"
            + (f"; and {more} more." if more > 0 else ".")
        )
