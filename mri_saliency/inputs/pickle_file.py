"""A synthetic volume's pickle -> its array. The file can run no code, and takes no memory beyond its size."""

from __future__ import annotations

import io
import pickle
import pickletools
import re
from pathlib import Path

import numpy as np

from mri_saliency.errors import UserError
from mri_saliency.wording import first_of


def unpickle_image(path: Path) -> np.ndarray:
    """Unpickle ``{'image': array, 'label': 0 or 1}`` and return the image; may raise anything."""
    pickled = path.read_bytes()
    for code, index, _ in pickletools.genops(pickled):  # raises for lengths beyond the end
        if code.name in ("LONG_BINPUT", "PUT") and isinstance(index, int) and index > len(pickled):
            raise ValueError("a memo that claims memory before its data")
    content = _ArrayUnpickler(pickled, path).load()
    if not isinstance(content, dict):
        found = f"a {type(content).__name__}"
    elif isinstance(content.get("image"), _PickledArray):
        return content["image"].values()
    else:
        found = f"a dict with the keys {first_of([repr(key)[:40] for key in content], 6) or '(none)'}"
    raise UserError(f"{path}: expected a dict whose 'image' is an array, found {found}.")


class _ArrayUnpickler(pickle.Unpickler):
    """An unpickler that can build NumPy arrays and scalars and nothing else, by code of our own.

    NumPy's would allocate whatever a file claims.
    """

    def __init__(self, pickled: bytes, path: Path) -> None:
        super().__init__(io.BytesIO(pickled))
        self.path = path

    def find_class(self, module: str, name: str) -> object:
        for package in ("numpy.core", "numpy._core"):  # NumPy 1's spelling and NumPy 2's
            module = module.replace(f"{package}.", "numpy core: ")
        try:
            return _ADMITTED[module, name]
        except KeyError:
            raise UserError(
                f"{self.path}: the pickle asks for {module}.{name}, which could run code, so it was refused; "
                "expected {'image': array, 'label': 0 or 1}."
            ) from None


class _PickledType:
    """A pickled dtype of numbers or text."""

    def __init__(self, code: str, *_: object) -> None:
        if not re.fullmatch(r"[<>|=]?[?biufcSU]\d*", code):
            raise ValueError(f"an array of dtype {code}")
        self.dtype = np.dtype(code)

    def __setstate__(self, state: tuple) -> None:
        self.dtype = self.dtype.newbyteorder(state[1])


class _PickledArray:
    """A pickled array: its state is NumPy's (version, shape, dtype, whether in Fortran's order, data)."""

    def __init__(self, *_: object) -> None:
        self.state: tuple | None = None

    def __setstate__(self, state: tuple) -> None:
        self.state = state

    def values(self) -> np.ndarray:
        """Return the array, whose shape its bytes must fill."""
        if self.state is None:
            raise ValueError("an array without its data")
        _, shape, kind, is_fortran, data = self.state
        return np.frombuffer(data, kind.dtype).reshape(shape, order="F" if is_fortran else "C")


def _latin1(text: str, encoding: str) -> bytes:
    """Replace ``_codecs.encode``, by which pickle protocols below 3 spell bytes."""
    if encoding != "latin1":
        raise ValueError(f"the encoding {encoding!r}")
    return text.encode("latin1")


def _array_from_buffer(buffer: bytes, kind: _PickledType, shape: tuple, order: str) -> _PickledArray:
    """Replace NumPy's ``_frombuffer`` (pickle protocol 5)."""
    array = _PickledArray()
    array.state = (1, shape, kind, order == "F", buffer)
    return array


_ADMITTED = {
    ("numpy", "ndarray"): "numpy.ndarray",  # an argument only: it cannot be called
    ("numpy", "dtype"): _PickledType,
    ("numpy core: multiarray", "_reconstruct"): _PickledArray,
    ("numpy core: multiarray", "scalar"): _PickledArray,  # a label, which is not used
    ("numpy core: numeric", "_frombuffer"): _array_from_buffer,
    ("_codecs", "encode"): _latin1,
}
