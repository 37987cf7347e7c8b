"""A synthetic volume's pickle -> its array. The file can run no code, and takes no memory beyond its size."""

import io
import pickle
import pickletools
import re
from pathlib import Path
from typing import Any

import numpy as np

from mri_saliency.errors import UserError
from mri_saliency.wording import first_of


class PickledObject:
    """What a pickle says of a NumPy object; nothing is made of it, and one of Python objects is refused."""

    def __init__(self, *arguments: Any) -> None:  # whatever the file has
        if arguments and arguments[0] in ("O", "O4", "O8"):
            raise pickle.UnpicklingError("GLOBAL numpy.object_")
        self.arguments = arguments
        self.state: tuple = ()

    def __setstate__(self, state: tuple) -> None:
        """Note the state."""
        self.state = state


def unpickle_image(path: Path) -> np.ndarray:
    """Unpickle ``{'image': array, 'label': 0 or 1}`` and return the image; may raise anything."""
    pickled = path.read_bytes()
    for code, index, _ in pickletools.genops(pickled):  # raises for lengths beyond the end
        if code.name in ("LONG_BINPUT", "PUT") and isinstance(index, int) and index > len(pickled):
            raise ValueError("a memo that claims memory before its data")
    content = _ArrayUnpickler(pickled, path).load()
    if not isinstance(content, dict):
        found = f"a {type(content).__name__}"
    elif isinstance(content.get("image"), PickledObject):
        return _array(content["image"])
    else:
        found = f"a dict with the keys {first_of([repr(key)[:40] for key in content], 6) or '(none)'}"
    raise UserError(f"{path}: expected a dict whose 'image' is an array, found {found}.")


class _ArrayUnpickler(pickle.Unpickler):
    """An unpickler that notes NumPy's objects and makes no others."""

    def __init__(self, pickled: bytes, path: Path) -> None:
        super().__init__(io.BytesIO(pickled))
        self.path = path

    def find_class(self, module: str, name: str) -> object:
        module = module.replace("numpy._core", "numpy.core")  # NumPy 2's spelling
        if f"{module}.{name}" in _NOTED:
            return PickledObject
        raise UserError(
            f"{self.path}: the pickle asks for {module}.{name}, which could run code, so it was refused; "
            "expected {'image': array, 'label': 0 or 1}."
        )


_NOTED = (
    *("numpy.ndarray", "numpy.dtype", "numpy.core.multiarray._reconstruct", "numpy.core.multiarray.scalar"),
    "numpy.core.numeric._frombuffer",  # of pickle protocol 5
    "_codecs.encode",  # by which protocols below 3 spell bytes
)


def _array(pickled: PickledObject) -> np.ndarray:
    """Return an array, whose shape its bytes must fill."""
    # the state is NumPy's: version, shape, dtype, whether in Fortran's order, bytes
    _, shape, kind, is_fortran, data = pickled.state or (1, *(pickled.arguments[i] for i in (2, 1, 3, 0)))
    if isinstance(data, PickledObject):
        data = data.arguments[0].encode("latin1")
    code = kind.arguments[0]
    if not re.fullmatch(r"[<>|=]?[?biufc]\d*", code):
        raise ValueError(f"an array of dtype {code}")
    dtype = np.dtype(code).newbyteorder(kind.state[1] if kind.state else "=")
    return np.frombuffer(data, dtype).reshape(shape, order="F" if is_fortran in (True, "F") else "C")
