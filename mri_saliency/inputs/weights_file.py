"""A file of torch.save -> the network's tensors. The file cannot run code, and its optimizer is not read."""

from __future__ import annotations

import pickle
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mri_saliency.errors import UserError, warn
from mri_saliency.inputs.file_identity import check_is_file
from mri_saliency.wording import first_of

_STATE_DICT_KEYS = ("model_state_dict", "state_dict")
STEM = "features.0.0.weight"  # the first layer's weights, by whose name the network is found


def read_weights(path: Path) -> dict[str, Tensor]:
    """Read a network's tensors, memory-mapped, by their names without the prefix of what held it.

    The prefix, such as ``backbone.`` or ``module.model.``, is what stands before the first layer's
    name. Tensors without it, such as a loss's, are left out with a warning.

    A file of ``torch.save`` is a dict with ``model_state_dict``, or a bare state dict. It is unpickled
    with ``weights_only``, admitting NumPy scalars, so it cannot run code.

    Raises UserError: the file is missing, truncated, not PyTorch's, a pickled module, has no state dict, or
    has several networks.
    """
    return _find_network(_find_state_dict(_load_safely(path), path), path)


def _load_safely(path: Path) -> object:
    check_is_file(path, "a checkpoint. Name it with --model_path")
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
            # files written before PyTorch 1.6 are not archives and cannot be mapped
            return torch.load(path, map_location="cpu", weights_only=True, mmap=is_archive)
    except pickle.UnpicklingError as error:
        raise UserError(_refusal_message(path, str(error))) from error
    # a damaged file can raise nearly anything from the opcodes it happens to spell
    except Exception as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(
            f"{path}: cannot be read as a PyTorch checkpoint ({reason}). "
            "It may be truncated or damaged; copy it again."
        ) from error


def _numpy_scalar_globals() -> list:
    """Return the globals of a pickled NumPy scalar, in NumPy 1's spelling and NumPy 2's."""
    scalar = np.float64(0).__reduce__()[0]
    number_types = (np.bool_, np.int32, np.int64, np.uint8, np.float16, np.float32, np.float64)
    return [
        (scalar, "numpy.core.multiarray.scalar"),
        (scalar, "numpy._core.multiarray.scalar"),
        np.dtype,
        *(type(np.dtype(number_type)) for number_type in number_types),
    ]


def _refusal_message(path: Path, message: str) -> str:
    found = re.search(r"(?:GLOBAL|Unsupported class) ([\w.]+)", message)
    if not found:
        return f"{path}: not a PyTorch checkpoint, or a damaged one ({message.splitlines()[0]})."
    name = found.group(1)
    if name.startswith(("torch.nn", "torchvision.", "__main__.")):
        return (
            f"{path}: holds a whole pickled module ({name}), which would run code when loaded; "
            "expected its weights. If you trust the file, re-save it: "
            "torch.save(torch.load(PATH, weights_only=False).state_dict(), NEW_PATH)"
        )
    return (
        f"{path}: holds the object {name}, which could run code when loaded, so it was refused; "
        "expected tensors, numbers and strings. Re-save the model_state_dict alone."
    )


def _find_state_dict(content: object, path: Path) -> Mapping[str, Tensor]:
    state, found = content, f"a {type(content).__name__}"
    if isinstance(content, Mapping):
        state = next((content[key] for key in _STATE_DICT_KEYS if key in content), content)
        found = "the keys " + ", ".join(map(repr, list(content)[:8]))
    if isinstance(state, Mapping) and state and all(isinstance(v, Tensor) for v in state.values()):
        return state
    raise UserError(f"{path}: expected a dict with 'model_state_dict', or a bare state dict; found {found}.")


def _find_network(state: Mapping[str, Tensor], path: Path) -> dict[str, Tensor]:
    """Return the tensors under the prefix of the first layer, without it; all of them if there is none."""
    prefixes = [name.removesuffix(STEM) for name in state if f".{name}".endswith(f".{STEM}")]
    if len(prefixes) > 1:
        raise UserError(
            f"{path}: holds {len(prefixes)} networks, under {', '.join(map(repr, prefixes))}; expected one. "
            "Save the model_state_dict of the one to explain alone."
        )
    prefix = prefixes[0] if prefixes else ""
    others = [name for name in state if not name.startswith(prefix)]
    if others:
        warn(
            f"{path}: holds {len(others)} tensor(s) that are not the network's, which is under "
            f"{prefix!r}; left out: {first_of(others)}."
        )
    return {name.removeprefix(prefix): tensor for name, tensor in state.items() if name.startswith(prefix)}
