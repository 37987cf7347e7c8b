"""A scan's file -> voxels and affine. A damaged or hostile file costs an error message, nothing else."""

import gzip
import hashlib
import io
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import nibabel as nib
import numpy as np
from nibabel.filebasedimages import FileBasedImage
from nibabel.spatialimages import SpatialImage

from mri_saliency.errors import UserError
from mri_saliency.inputs.file_identity import check_is_file
from mri_saliency.inputs.pickle_file import unpickle_image
from mri_saliency.inputs.preprocessing import missing_inside_brain

IMAGE_SUFFIXES = (".nii", ".nii.gz", ".mgz")
ARRAY_SUFFIX, SYNTHETIC_SUFFIX = ".npy", ".pkl"
_MAX_VOXELS = 320**3  # a file that claims more is refused before memory is allocated
_MAX_OTHER_BYTES = 2**24  # before and behind the voxels
_HEADER_BYTES = 540  # of NIfTI-2, the longest
_MGH_SUFFIX = ".mgh"  # of atlases alone


def read_volume(path: Path, *, nan_allowed: bool = False) -> tuple[np.ndarray, np.ndarray | None, int]:
    """Read a 3-D volume of finite numbers. Axes of length 1 behind the third do not count.

    ``.nii``, ``.nii.gz``, ``.mgz``: an image, read with its header's scaling; ``.npy``: an array;
    ``.pkl``: a dict whose ``image`` is an array, unpickled without running code. With `nan_allowed`, NaN
    voxels are returned as they are, for `zero_missing` to judge; otherwise they are an error.

    Return the voxels, float64 (x, y, z), and the affine, float64 (4, 4), and the space's code as in `Grid`.
    Raises UserError for a file that cannot be read, is not one 3-D volume of finite numbers, is larger than
    320³ voxels, or whose axes are not (left-right, posterior-anterior, inferior-superior).
    """
    with readable(path):
        voxels, affine, space_code = _read_any(path)
        voxels = voxels.reshape(_volume_shape(voxels.shape, voxels.dtype, path)).astype(np.float64)
    bad = np.isinf(voxels) if nan_allowed else ~np.isfinite(voxels)
    if bad.any():
        raise UserError(f"{path}: {bad.sum()} voxels are NaN or infinite, the first at {_first_index(bad)}.")
    return voxels, affine, space_code


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Raise UserError for whatever reading an image raises."""
    try:
        yield
    except UserError:
        raise
    except PermissionError as error:
        raise UserError(f"{path}: no permission to read it.") from error
    # a damaged or hostile file can raise nearly anything from the library that reads it
    except Exception as error:
        raise UserError(
            f"{path}: cannot be read; it is empty, truncated, damaged or not what its name says "
            f"({type(error).__name__}: {error}). Copy it again."
        ) from error


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


def content_sha256(voxels: np.ndarray, affine: np.ndarray | None) -> str:
    """Return a hash of a scan's voxels and grid, which copies in other files share: 64 hexadecimal digits."""
    in_order = np.ascontiguousarray if affine is None else np.asfortranarray  # as files have them
    with np.errstate(over="ignore"):
        digest = hashlib.sha256(in_order(voxels, np.float32).ravel("K").data)
    rows = None if affine is None else (affine.round(3) + 0).tolist()
    digest.update(repr((voxels.shape, rows)).encode())
    return digest.hexdigest()


def is_synthetic(path: Path) -> bool:
    """Return whether a volume's file is a generative model's, by its suffix."""
    return path.name.lower().endswith(SYNTHETIC_SUFFIX)


def _read_any(path: Path) -> tuple[np.ndarray, np.ndarray | None, int]:
    check_is_file(path, "a scan")
    if path.name.lower().endswith(IMAGE_SUFFIXES):
        voxels, affine, space_code = read_image(path)
        if affine is not None and tuple(np.abs(affine[:3, :3]).argmax(axis=0)) != (0, 1, 2):
            codes = "".join(code or "?" for code in nib.aff2axcodes(affine))
            raise UserError(
                f"{path}: voxel axes run {codes}; expected left-right, posterior-anterior, "
                "inferior-superior (such as RAS or LAS), because the network's slices are the second "
                "axis. Reorient the file as the training data were."
            )
        return voxels, affine, space_code
    if path.name.lower().endswith(ARRAY_SUFFIX):
        array = np.load(path, mmap_mode="r", allow_pickle=False)  # mapped: a claimed shape takes no memory
        if not isinstance(array, np.ndarray):
            raise UserError(f"{path}: expected a NumPy array (.npy), found an archive of arrays (.npz).")
        _volume_shape(array.shape, array.dtype, path)
        return np.asarray(array), None, 0
    if is_synthetic(path):
        if (n_bytes := path.stat().st_size) > 8 * _MAX_VOXELS + _MAX_OTHER_BYTES:
            raise UserError(f"{path}: has {n_bytes} bytes; expected {_MAX_VOXELS} voxels at most.")
        return unpickle_image(path), None, 0
    known = ", ".join((*IMAGE_SUFFIXES, ARRAY_SUFFIX, SYNTHETIC_SUFFIX))
    raise UserError(f"{path}: unknown kind of file; expected one of {known}.")


def read_image(path: Path, max_voxels: int = _MAX_VOXELS) -> tuple[np.ndarray, np.ndarray | None, int]:
    """Read an image of real numbers in any format that nibabel reads; raises whatever that raises.

    Returned as by `read_volume`, in the file's dtype. The affine is None where nibabel would make one up.
    """
    with path.open("rb") as file:
        is_single = path.name.lower().endswith((*IMAGE_SUFFIXES, _MGH_SUFFIX))
        image = _open_single(file, path, max_voxels) if is_single else nib.load(path)
        if not isinstance(image, SpatialImage):
            raise ValueError(f"a {type(image).__name__}, which has no voxels")
        shape = _volume_shape(image.shape, image.get_data_dtype(), path, max_voxels)
        return np.asanyarray(image.dataobj).reshape(shape), *_place(image, path)


def _open_single(file: io.BufferedReader, path: Path, max_voxels: int) -> FileBasedImage:
    """Open a NIfTI or MGH file, packed or not; a packed one is read to its end, where its checksum is."""
    is_gzipped = file.read(2) == b"\x1f\x8b"
    file.seek(0)
    unpacked = gzip.GzipFile(fileobj=file) if is_gzipped else file
    start = unpacked.read(_HEADER_BYTES)
    unpacked.seek(0)
    kind: type[nib.MGHImage | nib.Nifti1Image] = nib.Nifti1Image
    if path.name.lower().endswith((".mgz", _MGH_SUFFIX)):
        kind = nib.MGHImage
        if not any(start[28:30]):  # goodRASFlag
            raise UserError(f"{path}: has no affine (goodRASFlag is 0), so its voxels have no place in mm.")
    elif 540 in (int.from_bytes(start[:4], "little"), int.from_bytes(start[:4], "big")):
        kind = nib.Nifti2Image
    header = kind.header_class(start[: 348 if kind is nib.Nifti1Image else _HEADER_BYTES], check=False)
    shape = _volume_shape(header.get_data_shape(), header.get_data_dtype(), path, max_voxels)
    if isinstance(header, nib.Nifti1Header):
        if header["magic"].item() != header.single_magic:
            raise ValueError("it has no NIfTI header")
        offset, least = float(header["vox_offset"]), header.single_vox_offset
        if not least <= offset <= _MAX_OTHER_BYTES:
            raise ValueError(f"vox_offset is {offset:g}; expected {least} to {_MAX_OTHER_BYTES}")
    if is_gzipped:
        n_voxel_bytes = math.prod(shape) * header.get_data_dtype().itemsize
        content = unpacked.read(int(header.get_data_offset()) + n_voxel_bytes)
        for _ in range(_MAX_OTHER_BYTES // 2**20):
            if not unpacked.read(2**20):
                break
        else:
            raise ValueError(f"more than {_MAX_OTHER_BYTES} bytes behind its voxels")
    stream = io.BytesIO(content) if is_gzipped else file
    return kind.from_file_map(kind.make_file_map({"image": stream}), mmap=False)


def _place(image: SpatialImage, path: Path) -> tuple[np.ndarray | None, int]:
    """Return the affine that an image's file has, and the code of its space; None and 0 without."""
    header = image.header
    forms: list[tuple[int, Callable[[], np.ndarray]]] = [(0, lambda: image.affine)]
    if isinstance(header, nib.Nifti1Header):
        forms = [(int(header["sform_code"]), header.get_sform), (int(header["qform_code"]), header.get_qform)]
        forms = [(code, read) for code, read in forms if code > 0]
    elif isinstance(header, nib.Spm99AnalyzeHeader) and not header["origin"][:3].any():
        forms = []
    for code, read in forms:
        affine = np.asarray(read(), np.float64)
        if np.isfinite(affine).all() and np.linalg.det(affine[:3, :3]) != 0:
            return affine, code
    if forms:
        raise UserError(f"{path}: its affine is singular or not finite, so voxels have no place in mm.")
    return None, 0


def _volume_shape(
    shape: tuple[int, ...], dtype: np.dtype, path: Path, max_voxels: int = _MAX_VOXELS
) -> tuple[int, int, int]:
    """Return a volume's shape without axes of length 1 behind the third; raise UserError if it is none."""
    if dtype.kind not in "fiub":
        found = {"c": "complex numbers", "V": "colours or other compounds"}.get(dtype.kind, f"dtype {dtype}")
        raise UserError(f"{path}: expected a volume of real numbers, found {found}. Save one number a voxel.")
    while len(shape) > 3 and shape[-1] == 1:
        shape = shape[:-1]
    if len(shape) != 3:
        raise UserError(f"{path}: expected a 3-D volume, found {len(shape)}-D (shape {tuple(shape)}).")
    if min(shape) <= 0 or math.prod(map(int, shape)) > max_voxels:
        raise UserError(f"{path}: claims the shape {tuple(shape)}; expected 1 to {max_voxels} voxels.")
    return shape


def _first_index(flagged: np.ndarray) -> tuple[int, ...]:
    return tuple(int(index) for index in np.argwhere(flagged)[0])
