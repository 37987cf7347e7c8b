"""A scan's file -> voxels and affine. A damaged or hostile file costs an error message, nothing else."""

from __future__ import annotations

import io
import math
import pickle
from pathlib import Path
from typing import Literal

import nibabel as nib
import numpy as np
from nibabel.spatialimages import SpatialImage

from mri_saliency.errors import UserError
from mri_saliency.inputs.file_identity import check_is_file
from mri_saliency.inputs.preprocessing import missing_inside_brain
from mri_saliency.wording import first_of

IMAGE_SUFFIXES = (".nii", ".nii.gz", ".mgz")
ARRAY_SUFFIX, SYNTHETIC_SUFFIX = ".npy", ".pkl"
_MAX_VOXELS = 320**3  # a file that claims more is refused before memory is allocated


def read_volume(path: Path, *, nan_allowed: bool = False) -> tuple[np.ndarray, np.ndarray | None, int]:
    """Read a 3-D volume of finite numbers. Axes of length 1 behind the third do not count.

    ``.nii``, ``.nii.gz``, ``.mgz``: an image, read with its header's scaling; ``.npy``: an array;
    ``.pkl``: a dict whose ``image`` is an array, unpickled without running code. With `nan_allowed`, NaN
    voxels are returned as they are, for `zero_missing` to judge; otherwise they are an error.

    Returns
    -------
    voxels : ndarray
        float64 (x, y, z).
    affine, space_code
        As in `Grid`, float64 (4, 4).

    Raises
    ------
    UserError
        The file cannot be read, is not one 3-D volume of finite numbers, is larger than 320³
        voxels, or its axes are not (left-right, posterior-anterior, inferior-superior).
    """
    try:
        voxels, affine, space_code = _read_any(path)
    except UserError:
        raise
    except PermissionError as error:
        raise UserError(f"{path}: no permission to read it.") from error
    # a damaged or hostile file can raise nearly anything from the library that reads it
    except Exception as error:
        raise UserError(
            f"{path}: cannot be read; it is empty, truncated or not what its name says "
            f"({type(error).__name__}: {error})."
        ) from error
    if voxels.dtype.kind not in "fiub":
        raise UserError(f"{path}: expected a volume of real numbers, found dtype {voxels.dtype}.")
    voxels = voxels.reshape(_volume_shape(voxels.shape, path)).astype(np.float64)
    bad = np.isinf(voxels) if nan_allowed else ~np.isfinite(voxels)
    if bad.any():
        raise UserError(f"{path}: {bad.sum()} voxels are NaN or infinite, the first at {_first_index(bad)}.")
    return voxels, affine, space_code


def zero_missing(voxels: np.ndarray, path: Path) -> tuple[np.ndarray, str | None]:
    """Set NaN voxels to 0, as SPM's family means them: not measured, because outside the brain.

    Return a real scan's voxels with a warning; None if nothing is NaN. Raises UserError, which names
    `path`, if NaN voxels lie inside the brain, or nothing but them is there.
    """
    missing = np.isnan(voxels)
    if not missing.any():
        return voxels, None
    voxels = np.array(voxels)  # in the same order in memory, on which the mean's last digits depend
    voxels[missing] = 0
    inside = missing_inside_brain(voxels, missing)
    if inside.any():
        raise UserError(
            f"{path}: {inside.sum()} voxels inside the brain are NaN or infinite, the first at "
            f"{_first_index(inside)}."
        )
    return voxels, "its NaN voxels, all outside the brain, count as 0"


def is_synthetic(path: Path) -> bool:
    """Return whether a volume's file is a generative model's, by its suffix."""
    return path.name.lower().endswith(SYNTHETIC_SUFFIX)


def _read_any(path: Path) -> tuple[np.ndarray, np.ndarray | None, int]:
    check_is_file(path, "a scan")
    if path.name.lower().endswith(IMAGE_SUFFIXES):
        return _read_image(path)
    if path.name.lower().endswith(ARRAY_SUFFIX):
        return _read_array(path), None, 0
    if is_synthetic(path):
        return _read_synthetic(path), None, 0
    known = ", ".join((*IMAGE_SUFFIXES, ARRAY_SUFFIX, SYNTHETIC_SUFFIX))
    raise UserError(f"{path}: unknown kind of file; expected one of {known}.")


def open_image(path: Path) -> SpatialImage:
    """Open an image of voxels, in any format that nibabel reads; whatever it raises for others."""
    image = nib.load(path)
    if not isinstance(image, SpatialImage):
        raise ValueError(f"a {type(image).__name__}, which has no voxels")
    return image


def _read_image(path: Path) -> tuple[np.ndarray, np.ndarray | None, int]:
    image = open_image(path)
    _volume_shape(image.shape, path)  # of the header, before the voxels are read
    voxels, space_code = image.dataobj, 0
    if isinstance(image, nib.Nifti1Pair):
        space_code = int(image.header["sform_code"]) or int(image.header["qform_code"])
        if not space_code:  # the file has no affine; nibabel's is a guess, with x running to the left
            return np.asanyarray(voxels), None, space_code
    affine = np.asarray(image.affine, np.float64)
    _check_axes(affine, path)
    return np.asanyarray(voxels), affine, space_code


def _read_array(path: Path) -> np.ndarray:
    array = np.load(path, mmap_mode="r", allow_pickle=False)  # mapped: a claimed shape takes no memory
    if not isinstance(array, np.ndarray):
        raise UserError(f"{path}: expected a NumPy array (.npy), found an archive of arrays (.npz).")
    _volume_shape(array.shape, path)
    return np.asarray(array)


def _read_synthetic(path: Path) -> np.ndarray:
    """Unpickle ``{'image': array, 'label': 0 or 1}`` and return the image."""
    content = _ArrayUnpickler(path).load()
    if not isinstance(content, dict):
        found = f"a {type(content).__name__}"
    elif isinstance(content.get("image"), np.ndarray):
        return content["image"]
    else:
        found = f"a dict with the keys {first_of([repr(key)[:40] for key in content], 6) or '(none)'}"
    raise UserError(f"{path}: expected a dict whose 'image' is an array, found {found}.")


def _volume_shape(shape: tuple[int, ...], path: Path) -> tuple[int, int, int]:
    """Return a volume's shape without axes of length 1 behind the third; raise UserError if not 3-D."""
    while len(shape) > 3 and shape[-1] == 1:
        shape = shape[:-1]
    if len(shape) != 3:
        raise UserError(f"{path}: expected a 3-D volume, found {len(shape)}-D (shape {tuple(shape)}).")
    if not 0 < math.prod(shape) <= _MAX_VOXELS:
        raise UserError(f"{path}: claims the shape {tuple(shape)}; expected 1 to {_MAX_VOXELS} voxels.")
    return shape


def check_affine(affine: np.ndarray, path: Path) -> None:
    """Raise UserError for an affine that cannot be inverted."""
    if not np.isfinite(affine).all() or np.linalg.det(affine[:3, :3]) == 0:
        raise UserError(f"{path}: its affine is singular or not finite, so voxels have no place in mm.")


def _check_axes(affine: np.ndarray, path: Path) -> None:
    """Raise UserError for an affine under which the second axis does not run through the coronal slices."""
    check_affine(affine, path)
    main_axes = np.abs(affine[:3, :3]).argmax(axis=0)
    if tuple(main_axes) != (0, 1, 2):
        codes = "".join(code or "?" for code in nib.aff2axcodes(affine))
        raise UserError(
            f"{path}: voxel axes run {codes}; expected left-right, posterior-anterior, "
            "inferior-superior (such as RAS or LAS), because the network's slices are the second "
            "axis. Reorient the file as the training data were."
        )


def _first_index(flagged: np.ndarray) -> tuple[int, ...]:
    return tuple(int(index) for index in np.argwhere(flagged)[0])


class _ArrayUnpickler(pickle.Unpickler):
    """An unpickler that can build NumPy arrays and scalars and nothing else."""

    def __init__(self, path: Path) -> None:
        super().__init__(io.BytesIO(path.read_bytes()))
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


def _empty_array(kind: type, shape: tuple, code: bytes) -> np.ndarray:
    """Replace NumPy's ``_reconstruct``, which would allocate whatever shape a file claims."""
    if kind is not np.ndarray or shape != (0,):
        raise ValueError("an array that claims memory before its data")
    return np.ndarray.__new__(np.ndarray, (0,), "b")


def _latin1(text: str, encoding: str) -> bytes:
    """Replace ``_codecs.encode``, by which pickle protocols below 3 spell bytes."""
    if encoding != "latin1":
        raise ValueError(f"the encoding {encoding!r}")
    return text.encode("latin1")


def _array_from_buffer(buffer: bytes, dtype: np.dtype, shape: tuple, order: Literal["C", "F"]) -> np.ndarray:
    """Replace NumPy's ``_frombuffer`` (pickle protocol 5)."""
    return np.frombuffer(buffer, dtype=dtype).reshape(shape, order=order)


_ADMITTED = {
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    ("numpy core: multiarray", "_reconstruct"): _empty_array,
    ("numpy core: multiarray", "scalar"): np.float64(0).__reduce__()[0],
    ("numpy core: numeric", "_frombuffer"): _array_from_buffer,
    ("_codecs", "encode"): _latin1,
}
