"""A scan's file -> the network's input; an attribution -> the scan's own grid and affine."""

from __future__ import annotations

import io
import math
import os
import pickle
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path

import nibabel as nib
import numpy as np

from mri_saliency.errors import UserError

RESIZED = 112  # in-plane size after resizing
PAD = 8  # zeros on every side of it
INPUT_SIZE = RESIZED + 2 * PAD  # 128
FIRST_SLICE = 10  # first coronal slice the laboratory's networks see of a real scan
_CROPPED_AWAY = 1  # synthetic volumes lack this many of a real scan's first slices

_IMAGE_SUFFIXES = (".nii", ".nii.gz", ".mgz")
_ARRAY_SUFFIX, _SYNTHETIC_SUFFIX = ".npy", ".pkl"
_TRAINED_SHAPES = ((113, 137, 113), (112, 136, 112))  # CAT12's grid; the synthetic volumes'
_TRAINED_VOXEL_MM = 1.5
_MAX_VOXELS = 320**3  # a file that claims more is refused before memory is taken
_TISSUE_FRACTION = 0.1  # of the way from air to the brightest voxels


@dataclass(frozen=True)
class Grid:
    """Where a scan's voxels lie, and which of them the network saw.

    Attributes
    ----------
    shape : tuple of int
        The scan's voxels along its three axes: left-right, posterior-anterior, inferior-superior.
    affine : ndarray or None
        float64 (4, 4), voxel indices to mm (x to the right, y forward, z up); None where the file
        has none.
    space_code : int
        NIfTI's code of the space the affine leads to (4: MNI152); 0 where unknown.
    first_slice : int
        The scan's coronal slice that is the network's slice 0.
    n_slices : int
        Coronal slices the network sees.
    """

    shape: tuple[int, int, int]
    affine: np.ndarray | None
    space_code: int
    first_slice: int
    n_slices: int

    @property
    def extent(self) -> tuple[float, float, float, float]:
        """Edges of an upright coronal slice (left, right, bottom, top): mm, or voxels without affine."""
        nx, ny, nz = self.shape
        if self.affine is None:
            return (0.0, float(nx), 0.0, float(nz))
        y = (ny - 1) / 2
        x_mm = sorted(float(self.affine[0] @ (x, y, (nz - 1) / 2, 1)) for x in (-0.5, nx - 0.5))
        z_mm = sorted(float(self.affine[2] @ ((nx - 1) / 2, y, z, 1)) for z in (-0.5, nz - 0.5))
        return (*x_mm, *z_mm)

    @property
    def input_affine(self) -> np.ndarray | None:
        """Index in an input without pad (slice, x, z) -> mm, float64 (4, 4); None without affine."""
        if self.affine is None:
            return None
        nx, _, nz = self.shape
        to_scan = np.zeros((4, 4))
        to_scan[0, [1, 3]] = nx / RESIZED, (nx / RESIZED - 1) / 2  # pixel centres, as in resizing
        to_scan[1, [0, 3]] = 1, self.first_slice
        to_scan[2, [2, 3]] = nz / RESIZED, (nz / RESIZED - 1) / 2
        to_scan[3, 3] = 1
        return self.affine @ to_scan

    def record(self) -> dict:
        """Return this grid as JSON can hold it; `from_record` reads it."""
        return asdict(self) | {"affine": None if self.affine is None else self.affine.tolist()}

    @classmethod
    def from_record(cls, record: dict) -> Grid:
        """Read what `record` returned."""
        affine = record["affine"]
        changed = {"shape": tuple(record["shape"]), "affine": None if affine is None else np.array(affine)}
        return cls(**record | changed)

    def slice_y_mm(self, index: int) -> float | None:
        """Y coordinate in mm, at the slice's centre, of the network's slice `index`."""
        if self.affine is None:
            return None
        nx, _, nz = self.shape
        centre = ((nx - 1) / 2, self.first_slice + index, (nz - 1) / 2, 1.0)
        return float(self.affine[1] @ centre)

    def slice_titles(self, indices: list[int]) -> list[str]:
        """Name slices of the network's input, with their coordinate where it is known."""
        return [
            f"slice {index}"
            if self.affine is None
            else f"slice {index}, y = {self.slice_y_mm(index):.1f} mm".replace("-", "\N{MINUS SIGN}")
            for index in indices
        ]


@dataclass(frozen=True)
class Volume:
    """A scan as the network sees it.

    Attributes
    ----------
    network_input : ndarray
        float32 (n_slices, 128, 128): coronal slices x (left-right) x (inferior-superior), in
        the scan's own voxel order.
    grid : Grid
        The scan's own grid.
    """

    network_input: np.ndarray
    grid: Grid


def load_volume(path: Path, n_slices: int, first_slice: int = FIRST_SLICE) -> Volume:
    """Read a scan and prepare it exactly as the training code did.

    A real scan (``.nii``, ``.nii.gz``, ``.mgz``, ``.npy``) is z-scored over the whole volume; a
    synthetic one (``.pkl``) is normalised already and starts one slice later in the brain. Then
    coronal slices `first_slice` onward, bilinear to 112 x 112, zero-padded to 128 x 128.

    Raises
    ------
    UserError
        The file cannot be read, is not one 3-D volume of finite and varying numbers, its axes
        are not (left-right, posterior-anterior, inferior-superior), or it has too few slices.
    """
    voxels, affine, space_code = _read(path)
    is_synthetic = path.name.lower().endswith(_SYNTHETIC_SUFFIX)
    if is_synthetic:
        first_slice = max(first_slice - _CROPPED_AWAY, 0)
    if voxels.shape[1] < first_slice + n_slices:
        raise UserError(
            f"{path}: has {voxels.shape[1]} coronal slices (shape {voxels.shape}); the network takes "
            f"{n_slices}, from slice {first_slice} to {first_slice + n_slices - 1}."
        )
    if voxels.min() == voxels.max():
        raise UserError(f"{path}: every voxel is {voxels.flat[0]:g}; a constant volume has no brain in it.")
    if not is_synthetic:
        voxels = z_scored(voxels)
    grid = Grid(voxels.shape, affine, space_code, first_slice, n_slices)
    return Volume(to_network_input(voxels, n_slices, first_slice), grid)


def departure(grid: Grid) -> str | None:
    """Say how a scan's grid departs from those the laboratory's networks were trained on; None: it does not.

    A network sees voxel indices, not mm, so on another grid it sees another part of the head.
    """
    if grid.affine is not None:
        steps_mm = np.linalg.norm(grid.affine[:3, :3], axis=0)
        if np.abs(steps_mm / _TRAINED_VOXEL_MM - 1).max() > 0.01:
            return (
                f"voxels of {' x '.join(f'{step:.3g}' for step in steps_mm)} mm, not {_TRAINED_VOXEL_MM} mm"
            )
        if (np.diag(grid.affine)[1:3] < 0).any():
            return "its y or z axis runs backward, toward posterior or inferior"
    if grid.shape not in _TRAINED_SHAPES:
        return f"shape {grid.shape}, not {' or '.join(map(str, _TRAINED_SHAPES))}"
    return None


def orientation_to(grid: Grid, common: Grid) -> str | None:
    """Say how maps on `grid` lie to maps on `common`, both without pad.

    Returns
    -------
    str or None
        "same": each voxel is at the same place, to within half a voxel; "mirrored": it is once the x
        axis is reversed; None: neither. A synthetic volume, which has no affine, counts as the same
        by its shape alone.
    """
    if grid.affine is None or common.affine is None:
        alike = grid.shape == common.shape and grid.first_slice == common.first_slice
        return "same" if alike or (grid.affine is None and grid.shape == _TRAINED_SHAPES[1]) else None
    corners = np.array(
        [[k, x, z] for k in (0, grid.n_slices) for x in (0, RESIZED - 1) for z in (0, RESIZED - 1)]
    )
    reversed_x = corners * [1, -1, 1] + [0, RESIZED - 1, 0]
    there = nib.affines.apply_affine(common.input_affine, corners)
    for name, places in (("same", corners), ("mirrored", reversed_x)):
        apart_mm = np.abs(nib.affines.apply_affine(grid.input_affine, places) - there).max()
        if apart_mm <= _TRAINED_VOXEL_MM / 2:
            return name
    return None


def z_scored(voxels: np.ndarray) -> np.ndarray:
    """Normalise over the whole volume, air included: ``(v - mean) / std`` (population's)."""
    return (voxels - voxels.mean()) / voxels.std()


def to_network_input(voxels: np.ndarray, n_slices: int, first_slice: int = FIRST_SLICE) -> np.ndarray:
    """Cut (x, y, z) voxels to coronal slices, resize and pad: float32 (n_slices, 128, 128)."""
    slices = voxels[:, first_slice : first_slice + n_slices, :].transpose(1, 0, 2)
    return _pad(_resize(slices.astype(np.float32), RESIZED, RESIZED))


def to_scan_grid(
    attribution: np.ndarray, grid: Grid, *, nearest: bool = False, fill: float = 0.0
) -> np.ndarray:
    """Bring a map back to the scan's voxels: resize, and `fill` where the network saw nothing.

    Parameters
    ----------
    attribution : ndarray
        (n_slices, 112, 112): a map without pad.
    grid : Grid
    nearest : bool
        Take the nearest pixel's value, for values that must not be mixed.
    fill : float

    Returns
    -------
    ndarray
        float32, the scan's shape. Values are interpolated bilinearly within a coronal slice, sign
        kept; a sum over voxels therefore differs from the array's by the ratio of the pixel counts.
    """
    nx, _, nz = grid.shape
    volume = np.full(grid.shape, fill, np.float32, order="F")  # as a NIfTI file is
    if nearest:
        rows, columns = (((np.arange(n) + 0.5) * RESIZED / n).astype(int) for n in (nx, nz))
        resized = attribution[:, rows[:, None], columns]
    else:
        resized = _resize(attribution.astype(np.float32), nx, nz)  # (n_slices, nx, nz)
    volume[:, grid.first_slice : grid.first_slice + grid.n_slices, :] = resized.transpose(1, 0, 2)
    return volume


def to_nifti(attribution: np.ndarray, grid: Grid, description: str, **how: object) -> nib.Nifti1Image:
    """Make a float32 NIfTI image of a map (n_slices, 112, 112) in the scan's own grid and affine.

    A scan without an affine gets the identity (voxel indices), which the header's description says.
    """
    if grid.affine is None:
        affine, code = np.eye(4), 1
        description = f"index grid (scan has no affine), {description}"
    else:
        affine, code = grid.affine, grid.space_code
    image = nib.Nifti1Image(to_scan_grid(attribution, grid, **how), affine)
    image.set_sform(affine, code or 1)
    image.set_qform(affine, code or 1)
    image.header.set_xyzt_units("mm")
    image.header["descrip"] = description[:79].encode("ascii", "replace")
    return image


def upright(slices: np.ndarray, grid: Grid) -> np.ndarray:
    """Turn unpadded coronal slices for display: superior up, the patient's left on the left.

    Parameters
    ----------
    slices : ndarray
        (n, x, z), any dtype, in the scan's voxel order.

    Returns
    -------
    ndarray
        (n, z, x), a view: row 0 is the top. Without an affine, indices are taken to rise to the
        right and upward.
    """
    turned = slices.transpose(0, 2, 1)
    x_rises, z_rises = (True, True) if grid.affine is None else np.diag(grid.affine)[[0, 2]] > 0
    return turned[:, :: -1 if z_rises else 1, :: 1 if x_rises else -1]


def unpad(array: np.ndarray) -> np.ndarray:
    """Cut the pad off: (..., 128, 128) -> (..., 112, 112), a view."""
    return array[..., PAD:-PAD, PAD:-PAD]


def air_input(network_input: np.ndarray) -> np.ndarray:
    """Make the network's input for a scan of nothing but this scan's own air.

    Air is the median of the slices' outermost pixels; the pad stays zero, as in every input.
    float32, the input's shape.
    """
    return _pad(np.full_like(unpad(network_input), _air(network_input)))


def brain_mask(network_input: np.ndarray) -> np.ndarray:
    """Find the brain in a grey-matter input: bool, the input's shape.

    Tissue is brighter than a tenth of the way from air to the 99.9th percentile. A pixel is in the
    brain if tissue lies on both its sides along both axes of its coronal slice, so that white
    matter and ventricles count.
    """
    window = unpad(network_input)
    air = _air(network_input)
    bright = np.percentile(window[::2, ::2, ::2], 99.9)
    tissue = window > air + _TISSUE_FRACTION * (bright - air)
    inside = np.ones_like(tissue)
    for axis, place in ((1, np.arange(RESIZED)[:, None]), (2, np.arange(RESIZED))):
        first = tissue.argmax(axis, keepdims=True)  # 0 also where there is no tissue at all
        last = RESIZED - 1 - np.flip(tissue, axis).argmax(axis, keepdims=True)
        inside &= (place >= first) & (place <= last) & tissue.any(axis, keepdims=True)
    return _pad(inside)


def load_baseline(path: Path, n_slices: int, first_slice: int = FIRST_SLICE) -> np.ndarray:
    """Read a baseline: float32 (n_slices, 128, 128).

    A ``.npy`` array of exactly that shape is taken as the network's input; any other file is
    prepared as a scan is.

    Raises
    ------
    UserError
        As `load_volume`.
    """
    if path.suffix == _ARRAY_SUFFIX:
        array = _read(path)[0]
        if array.shape == (n_slices, INPUT_SIZE, INPUT_SIZE):
            return array.astype(np.float32)
    return load_volume(path, n_slices, first_slice).network_input


@lru_cache
def _resize_matrix(n_in: int, n_out: int) -> np.ndarray:
    """Weights of a 1-D bilinear resize as PIL does it, antialiased when it shrinks: (n_out, n_in)."""
    scale = n_in / n_out
    centres = (np.arange(n_out)[:, None] + 0.5) * scale
    distances = np.abs(np.arange(n_in) + 0.5 - centres) / max(scale, 1.0)
    weights = np.clip(1.0 - distances, 0.0, None)
    return (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)


def _resize(slices: np.ndarray, n_x: int, n_z: int) -> np.ndarray:
    """Resize (n, x, z) -> (n, n_x, n_z)."""
    return _resize_matrix(slices.shape[1], n_x) @ slices @ _resize_matrix(slices.shape[2], n_z).T


def _pad(slices: np.ndarray) -> np.ndarray:
    return np.pad(slices, ((0, 0), (PAD, PAD), (PAD, PAD)))


def _air(network_input: np.ndarray) -> float:
    window = unpad(network_input)
    rim = (window[:, 0], window[:, -1], window[:, :, 0], window[:, :, -1])
    return float(np.median(np.concatenate([edge.ravel() for edge in rim])))


def _read(path: Path) -> tuple[np.ndarray, np.ndarray | None, int]:
    """Read (float64 voxels, affine or None, space code) of one finite 3-D volume."""
    try:
        voxels, affine, space_code = _open(path)
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
    _check_claim(voxels.shape, path)
    voxels = voxels.astype(np.float64)
    _check_finite(voxels, path)
    return voxels, affine, space_code


def _open(path: Path) -> tuple[np.ndarray, np.ndarray | None, int]:
    if not os.path.isfile(path):  # unlike Path.is_file, never raises
        what = "is a folder" if os.path.isdir(path) else "no such file, or no permission to look"
        raise UserError(f"{path}: {what}; expected a scan.")
    name = path.name.lower()
    if name.endswith(_IMAGE_SUFFIXES):
        image = nib.load(path)
        _check_claim(image.shape, path)
        affine, space_code = _place(image)
        if affine is not None:
            _check_axes(affine, path)
        return np.asanyarray(image.dataobj), affine, space_code
    if name.endswith(_ARRAY_SUFFIX):
        return _read_array(path), None, 0
    if name.endswith(_SYNTHETIC_SUFFIX):
        return _read_synthetic(path), None, 0
    known = ", ".join((*_IMAGE_SUFFIXES, _ARRAY_SUFFIX, _SYNTHETIC_SUFFIX))
    raise UserError(f"{path}: unknown kind of file; expected one of {known}.")


def _place(image: nib.spatialimages.SpatialImage) -> tuple[np.ndarray | None, int]:
    """Find (affine, space code); None where the file names no space and nibabel would make one up."""
    affine = np.asarray(image.affine, np.float64)
    if isinstance(image, nib.MGHImage):
        return affine, 0
    space_code = int(image.header["sform_code"]) or int(image.header["qform_code"])
    return (affine if space_code else None), space_code


def _check_claim(shape: tuple[int, ...], path: Path) -> None:
    if len(shape) != 3:
        raise UserError(f"{path}: expected a 3-D volume, found {len(shape)}-D (shape {tuple(shape)}).")
    if not 0 < math.prod(shape) <= _MAX_VOXELS:
        raise UserError(f"{path}: claims the shape {tuple(shape)}; expected 1 to {_MAX_VOXELS} voxels.")


def _check_axes(affine: np.ndarray, path: Path) -> None:
    """Refuse an affine under which the second axis is not the coronal slices'."""
    if not np.isfinite(affine).all() or np.linalg.det(affine[:3, :3]) == 0:
        raise UserError(f"{path}: its affine is singular or not finite, so voxels have no place in mm.")
    main_axes = np.abs(affine[:3, :3]).argmax(axis=0)
    if tuple(main_axes) != (0, 1, 2):
        codes = "".join(code or "?" for code in nib.aff2axcodes(affine))
        raise UserError(
            f"{path}: voxel axes run {codes}; expected left-right, posterior-anterior, "
            "inferior-superior (such as RAS or LAS), because the network's slices are the second "
            "axis. Reorient the file as the training data were."
        )


def _check_finite(voxels: np.ndarray, path: Path) -> None:
    bad = ~np.isfinite(voxels)
    if bad.any():
        first = tuple(int(index) for index in np.argwhere(bad)[0])
        raise UserError(f"{path}: {bad.sum()} voxels are NaN or infinite, the first at {first}.")


def _read_array(path: Path) -> np.ndarray:
    array = np.load(path, mmap_mode="r", allow_pickle=False)  # mapped: a claim takes no memory
    if not isinstance(array, np.ndarray):
        raise UserError(f"{path}: expected a NumPy array (.npy), found an archive of arrays (.npz).")
    _check_claim(array.shape, path)
    return np.asarray(array)


def _read_synthetic(path: Path) -> np.ndarray:
    """Unpickle ``{'image': array, 'label': 0 or 1}``, admitting nothing but NumPy arrays."""
    try:
        content = _ArrayUnpickler(io.BytesIO(path.read_bytes())).load()
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
    # a damaged pickle can raise nearly anything from the opcodes it happens to spell
    except Exception as error:
        raise ValueError(f"{type(error).__name__}: {error}") from error
    image = content.get("image") if isinstance(content, dict) else None
    if not isinstance(image, np.ndarray):
        raise UserError(f"{path}: expected a dict whose 'image' is an array, found {_describe(content)}.")
    return image


def _describe(content: object) -> str:
    if isinstance(content, dict):
        return "a dict with the keys " + (", ".join(repr(key)[:40] for key in list(content)[:6]) or "(none)")
    return f"a {type(content).__name__}"


class _ArrayUnpickler(pickle.Unpickler):
    """An unpickler that can build NumPy arrays and scalars and nothing else."""

    def find_class(self, module: str, name: str) -> object:
        for package in ("numpy.core", "numpy._core"):  # NumPy 1's spelling and NumPy 2's
            module = module.replace(f"{package}.", "numpy core: ")
        try:
            return _ADMITTED[module, name]
        except KeyError:
            raise UserError(
                f"the pickle asks for {module}.{name}, which could run code, so it was refused; "
                "expected {'image': array, 'label': 0 or 1}."
            ) from None


def _empty_array(kind: type, shape: tuple, code: bytes) -> np.ndarray:
    """Stand in for NumPy's ``_reconstruct``, which would allocate whatever shape a file claims."""
    if kind is not np.ndarray or shape != (0,):
        raise ValueError("an array that claims memory before its data")
    return np.ndarray.__new__(np.ndarray, (0,), "b")


def _latin1(text: str, encoding: str) -> bytes:
    """Stand in for ``_codecs.encode``, by which pickle protocols below 3 spell bytes."""
    if encoding != "latin1":
        raise ValueError(f"the encoding {encoding!r}")
    return text.encode("latin1")


def _array_from_buffer(buffer: object, dtype: np.dtype, shape: tuple, order: str) -> np.ndarray:
    """Stand in for NumPy's ``_frombuffer`` (pickle protocol 5)."""
    return np.frombuffer(buffer, dtype=dtype).reshape(shape, order=order)


_ADMITTED = {
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    ("numpy core: multiarray", "_reconstruct"): _empty_array,
    ("numpy core: multiarray", "scalar"): np.float64(0).__reduce__()[0],
    ("numpy core: numeric", "_frombuffer"): _array_from_buffer,
    ("_codecs", "encode"): _latin1,
}
