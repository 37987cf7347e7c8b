"""A file of torch.save -> the network's tensors. The file cannot run code, and its optimizer is not read."""

import hashlib
import io
import os
import pickle
import re
import sys
import zipfile
import zlib
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
from torch import Tensor
from torch._weights_only_unpickler import Unpickler  # public ones read every tensor, or map the file

from mri_saliency.errors import UserError, warn
from mri_saliency.inputs.file_identity import check_is_file
from mri_saliency.inputs.pickle_file import PickledObject
from mri_saliency.wording import first_of

_STATE_DICT_KEYS = ("model_state_dict", "state_dict")
STEM = "features.0.0.weight"  # the first layer's weights, by whose name the network is found
_CLAIMS = "a tensor that claims more than the file holds"
_OTHER_KINDS = {  # how other files begin
    rb".{8}\{\s*\"": "safetensors: load it with its package, and save the weights with torch.save",
    rb"\x89HDF": "HDF5, as Keras writes it",
    rb"\x08\x01\x12": "a TensorFlow SavedModel",
    rb"\x08[\x02-\x20][\x12\x1a\x22\x2a\x32\x3a\x42]": "ONNX",
    rb".{4}TFL3": "TensorFlow Lite",
    rb"version https://git-lfs": "a pointer of Git LFS, whose file was not fetched: run git lfs pull",
    rb"\s*<": "a web page or XML; a download may have failed",
    rb"\x1f\x8b|BZh|\xfd7zXZ|7z\xbc\xaf|\x28\xb5\x2f\xfd|Rar!|.{257}ustar": "a packed file: unpack it first",
}


def read_weights(path: Path) -> tuple[dict[str, Tensor], str]:
    """Read a network's tensors, by their names without the prefix of what held it, and the file's SHA-256.

    The prefix, such as ``backbone.`` or ``module.model.``, is what stands before the first layer's
    name. Tensors without it, such as a loss's, are left out with a warning.

    The file is unpickled as with ``weights_only``, admitting NumPy's arrays and scalars, so it cannot run
    code. The hash is of the bytes that were loaded; only the network's tensors take memory. Raises UserError
    for a file that is missing, damaged, not PyTorch's, written meanwhile, a pickled module, or has no state
    dict or several networks.
    """
    check_is_file(path, "a checkpoint. Name it with --model_path")
    with _opened(path) as file:
        start = file.read(512)
        if start.startswith(b"PK"):
            return _read_archive(file, path)
        if start.startswith(b"\x80"):  # of before PyTorch 1.6, or of another program
            sha256 = _sha256(file)
            file.seek(0)
            content = torch.load(file, map_location="cpu", weights_only=True)
            return _find_network(_find_state_dict(content, path), path), sha256
    found = [kind for pattern, kind in _OTHER_KINDS.items() if re.match(pattern, start, re.DOTALL)]
    found = ["not a PyTorch file", *found[:1]]
    raise UserError(f"{path}: {', but '.join(found)}; expected what torch.save writes.")


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    """Open a checkpoint; raise UserError for whatever reading it raises, and if it changes meanwhile."""
    try:
        with path.open("rb") as file, torch.serialization.safe_globals(_numpy_globals()):
            before = os.fstat(file.fileno())
            try:
                yield file
            finally:
                now = os.fstat(file.fileno())
                if (now.st_size, now.st_mtime_ns) != (before.st_size, before.st_mtime_ns):
                    raise UserError(
                        f"{path}: changed while it was read; a training may be saving it. Start again with "
                        "a copy of it."
                    )
    except UserError:
        raise
    except pickle.UnpicklingError as error:
        raise UserError(_refusal_message(path, str(error))) from error
    # a damaged file can raise nearly anything from the opcodes it happens to spell
    except Exception as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(
            f"{path}: cannot be read as a PyTorch checkpoint ({reason}). "
            "If it is truncated or damaged, copy it again."
        ) from error


def _sha256(file: BinaryIO) -> str:
    file.seek(0)
    return hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]


def _read_archive(file: BinaryIO, path: Path) -> tuple[dict[str, Tensor], str]:
    """Read a file of PyTorch 1.6 or later: a zip archive that stores a pickle and the tensors' bytes."""
    unpickler = _StorageUnpickler(file, _records(file, path))
    network = _find_network(_find_state_dict(unpickler.load(), path), path)
    # between checksums and tensors: bytes that change before or after it do not have those checksums
    sha256 = _sha256(file)
    unpickler.fill({tensor.untyped_storage().data_ptr() for tensor in network.values()})
    if any(tensor.nbytes > tensor.untyped_storage().nbytes() for tensor in network.values()):
        raise ValueError(_CLAIMS)
    return network, sha256


def _records(file: BinaryIO, path: Path) -> dict[str, zipfile.ZipInfo]:
    """Return the records of a file of torch.save, by their names without the folder that holds all."""
    with zipfile.ZipFile(file) as archive:
        names = archive.namelist()
        records = {info.filename.partition("/")[2]: info for info in archive.infolist()}
    if "constants.pkl" in records:
        raise UserError(
            f"{path}: is TorchScript, a network with its code; expected its weights. Save them: "
            "torch.save(torch.jit.load(PATH).state_dict(), NEW_PATH)"
        )
    if "data.pkl" not in records:
        raise UserError(
            f"{path}: a zip archive that torch.save did not write; it holds {first_of(names, 3)}. If the "
            "checkpoint is among that, unpack it first, and name it with --model_path."
        )
    if any(info.compress_type != zipfile.ZIP_STORED for info in records.values()):
        raise UserError(
            f"{path}: torch.save's archive was packed again. Unpack it, and pack it without compression."
        )
    if sum(info.file_size for info in records.values()) > os.fstat(file.fileno()).st_size:
        raise ValueError("its parts claim more than the file holds")
    return records


class _StorageUnpickler(Unpickler):
    """Unpickle as with ``weights_only``; the tensors lie in memory that takes none before it is filled."""

    def __init__(self, file: BinaryIO, records: Mapping[str, zipfile.ZipInfo]) -> None:
        self.file, self.records = file, records
        self.storages: dict[str, torch.UntypedStorage] = {}
        pickled = bytearray(records["data.pkl"].file_size)
        self._read("data.pkl", memoryview(pickled))
        super().__init__(io.BytesIO(pickled), encoding="utf-8")

    def persistent_load(self, identity: tuple) -> torch.storage.TypedStorage:
        """Return a tensor's storage: ("storage", its class, its key, ...)."""
        _, kind, key, *_ = identity
        dtype = torch.uint8 if kind is torch.UntypedStorage else kind.dtype
        storage = torch.UntypedStorage(self.records[f"data/{key}"].file_size)
        storage = self.storages.setdefault(key, storage)
        return torch.storage.TypedStorage(wrap_storage=storage, dtype=dtype, _internal=True)

    def fill(self, addresses: Collection[int]) -> None:
        """Read the bytes of the storages at some addresses."""
        for key, storage in self.storages.items():
            if storage.nbytes() != self.records[f"data/{key}"].file_size:  # enlarged by a tensor's shape
                raise ValueError(_CLAIMS)
            if storage.nbytes() and storage.data_ptr() in addresses:
                self._read(f"data/{key}", torch.empty(0, dtype=torch.uint8).set_(storage).numpy().data)
        if "byteorder" in self.records:  # another order has another checksum
            self._read("byteorder", memoryview(bytearray(sys.byteorder, "ascii")))

    def _read(self, name: str, buffer: memoryview) -> None:
        """Read a record into a buffer of its size."""
        info = self.records[name]
        self.file.seek(info.header_offset + 26)
        n_name, n_extra = np.frombuffer(self.file.read(4), "<u2").tolist()
        self.file.seek(n_name + n_extra, os.SEEK_CUR)
        n_read = self.file.readinto(buffer)  # type: ignore[attr-defined]  # a file that `open` returns has it
        if n_read < info.file_size or info.CRC not in (0, zlib.crc32(buffer)):  # 0: saved without
            raise ValueError(f"the bytes of {name} are not those that were saved")


def _numpy_globals() -> list:
    """Return the globals of NumPy's arrays, scalars and types, as NumPy 1 and 2 spell them, for metrics."""
    functions = ("multiarray._reconstruct", "multiarray.scalar", "numeric._frombuffer")
    names = {f"numpy.{core}.{name}" for core in ("core", "_core") for name in functions}
    kinds = set(np.sctypeDict.values())
    names |= {"numpy.ndarray", "numpy.dtype"} | {f"numpy.{kind.__name__}" for kind in kinds}
    names |= {f"numpy.dtypes.{type(np.dtype(kind)).__name__}" for kind in kinds}
    return [(PickledObject, name) for name in names]


def _refusal_message(path: Path, message: str) -> str:
    found = re.search(r"(?:GLOBAL|Unsupported class) ([\w.]+)", message)
    if not found:
        reason = message.rpartition("WeightsUnpickler error: ")[2].strip().splitlines() or ["no reason given"]
        return f"{path}: not a PyTorch checkpoint, or a damaged one ({reason[0]})."
    name = found.group(1)
    kind = "whole pickled module" if name.startswith(("torch.nn", "torchvision.", "__main__.")) else "object"
    return (
        f"{path}: holds the {kind} {name}, which could run code when loaded, so it was refused; expected "
        "tensors, numbers, strings and arrays of numbers. Where it was trained, save the weights alone: "
        "torch.save(model.state_dict(), NEW_PATH)"
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
