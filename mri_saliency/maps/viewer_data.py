"""A map or an atlas on the scan's grid -> the text of the script that the report's viewer loads.

A page that was opened from disk may run scripts, but not read files. So each file is a script that calls
``mriMap(key, content)``; the content holds volumes as base64 text.
"""

import base64
import io
import json
import math
import zlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from PIL import Image

from mri_saliency.inputs.grid import TRAINED_VOXEL_SIZE_MM, Grid
from mri_saliency.maps.drawing import Drawing
from mri_saliency.maps.image import nearest_pixels, voxel_mass
from mri_saliency.methods import METHODS

LEVELS = 40  # of a magnitude: with 127, a map and its anatomy take 0.9 MB instead of 0.7
OUTSIDE = -128  # marks voxels outside the brain, whose values are not stored
_MARGIN = 2  # voxels of anatomy around the brain
_MAX_HEIGHT = 16_000  # of the JPEG, in pixels: some browsers show no more
_JPEG_QUALITY = 45  # 0.2 MB; lossless, the anatomy alone takes 0.7 MB


@dataclass(frozen=True, eq=False)
class Anatomy:
    """What lies under a map; both arrays (n_slices, 112, 112), in the scan's voxel order."""

    greys: np.ndarray  # uint8
    brain: np.ndarray  # bool: the voxels whose values are stored; if there are none, all are


def map_script(key: str, volume: np.ndarray, grid: Grid, anatomy: Anatomy, drawing: Drawing) -> str:
    """Return the script of one map: a call of mriMap with the map's name in the viewer and an object.

    * ``shape``, ``affine``, ``inverse``: the whole volume's; the latter two are null without affine;
    * ``signs``, ``voxel_mm``: the axes' directions in mm, and the voxels' edges;
    * ``offset``, ``size``: the box around the brain that both arrays fill, in voxels;
    * ``values``: int8, x fastest, deflated, -128 outside the brain. A value is
      ``sign(q) * largest * (q / levels) ** 2``, so that weak ones are stored in finer steps;
    * ``anatomy``: a JPEG whose pixels are the box's greys, in the order of ``values``;
    * ``levels``, ``largest``, ``signed``, ``unit``;
    * ``limits``: where the colours of the map and of the map smoothed by ``smooth_mm`` saturate.

    `volume` is float32 in the grid's shape, as the map's NIfTI file holds it.
    """
    # of a contiguous array, or this takes four times as long
    brain = nearest_pixels(np.ascontiguousarray(anatomy.brain), grid).transpose(1, 0, 2)  # (nx, n_slices, nz)
    if not brain.any():
        brain = np.ones_like(brain)
    box = _box_around(brain, _MARGIN)
    brain, slices = brain[box], nearest_pixels(anatomy.greys, grid)[box[1], box[0], box[2]]
    values = volume[:, grid.first_slice : grid.first_slice + grid.n_slices][box]
    largest = float(np.abs(values[brain]).max(initial=0.0))
    method, mass = METHODS[key.split("/")[-2]], voxel_mass(grid)
    content = _place(box, grid.first_slice, grid) | {
        # only runs are looked for: digits of a map do not repeat, and looking for more takes 8 times as long
        "values": _deflated(_quantised(values, brain, largest), zlib.Z_RLE),
        "anatomy": _jpeg_of(slices),
        **{"levels": LEVELS, "largest": largest, "signed": method.signed, "unit": method.unit},
        "limits": [mass * drawing.scale, mass * drawing.overlay_scale],
        "smooth_mm": drawing.smooth_mm,
    }
    return _call(key, content)


def atlas_script(labels: np.ndarray, names: Mapping[int, str], grid: Grid) -> str:
    """Return the script of an atlas, `labels`: int in the shape of a grid with an affine, 0 for no region.

    The key is ``atlas``; the object is as that of `map_script`, but with ``labels``: uint16, x fastest,
    deflated; a voxel lies in the region ``names[label]``.
    """
    box = _box_around(labels > 0, margin=0)
    known, positions = np.unique(labels[box], return_inverse=True)
    content = _place(box, 0, grid) | {
        "labels": _deflated(positions.reshape(labels[box].shape).astype("<u2")),
        "names": [names.get(int(label), "") for label in known],
    }
    return _call("atlas", content)


def _box_around(inside: np.ndarray, margin: int) -> tuple[slice, ...]:
    """Return the bounding box of the True voxels with a margin, within the array."""
    box = []
    for axis in range(inside.ndim):
        indices = np.flatnonzero(inside.any(axis=tuple({0, 1, 2} - {axis}))).tolist()
        box.append(slice(max(indices[0] - margin, 0), min(indices[-1] + margin + 1, inside.shape[axis])))
    return tuple(box)


def _place(box: tuple[slice, ...], first_slice: int, grid: Grid) -> dict[str, object]:
    """Return where a box lies whose slices are counted from the scan's `first_slice`."""
    x, y, z = (part.start for part in box)
    matrix = grid.matrix
    steps = np.eye(3) * TRAINED_VOXEL_SIZE_MM if matrix is None else matrix[:3, :3]
    return {
        "shape": grid.shape,
        "affine": grid.affine,
        "inverse": None if matrix is None else np.linalg.inv(matrix).tolist(),
        "signs": [1 if step > 0 else -1 for step in np.diag(steps)],
        "voxel_mm": np.linalg.norm(steps, axis=0).tolist(),
        "offset": [x, y + first_slice, z],
        "size": [part.stop - part.start for part in box],
    }


def _quantised(values: np.ndarray, brain: np.ndarray, largest: float) -> np.ndarray:
    """Return values as int8, in the memory order of `values`; see `map_script`."""
    quantised = np.full_like(values, OUTSIDE, np.int8)
    inside = values[brain]
    magnitude = np.rint(np.sqrt(np.abs(inside) / (largest or 1.0)) * LEVELS)
    quantised[brain] = np.copysign(magnitude, inside).astype(np.int8)
    return quantised


def _jpeg_of(slices: np.ndarray) -> str:
    """Return coronal slices, uint8 (n, x, z), as the JPEG of `map_script` in base64."""
    lines = slices.transpose(2, 0, 1).reshape(-1, slices.shape[1])  # (z y, x)
    side_by_side = math.ceil(len(lines) / _MAX_HEIGHT)
    lines = np.pad(lines, ((0, -len(lines) % side_by_side), (0, 0)))
    picture, file = Image.fromarray(lines.reshape(-1, side_by_side * lines.shape[1])), io.BytesIO()
    picture.save(file, "JPEG", quality=_JPEG_QUALITY)
    return base64.b64encode(file.getvalue()).decode()


def _deflated(array: np.ndarray, strategy: int = zlib.Z_DEFAULT_STRATEGY) -> str:
    """Return an array, x fastest, as zlib data in base64."""
    deflate = zlib.compressobj(strategy=strategy)
    return base64.b64encode(deflate.compress(array.tobytes("F")) + deflate.flush()).decode()


def _call(key: str, content: dict) -> str:
    """Return a script, without "<", so that a page can contain it."""
    return f"mriMap({json.dumps(key)}, {json.dumps(content)});\n".replace("<", "\\u003c")
