"""A label image and its table of names -> the region of each of the network's voxels."""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from nibabel.affines import apply_affine, from_matvec

from mri_saliency.errors import UserError
from mri_saliency.inputs.atlas_names import read_names
from mri_saliency.inputs.file_identity import check_is_file
from mri_saliency.inputs.grid import RESIZED, Grid
from mri_saliency.inputs.volume_file import read_image, readable
from mri_saliency.wording import first_of

_MAX_REGIONS = 65_535  # larger labels are numbered anew: tables have a place for each up to the largest
_LARGEST = 2**53  # up to here, float64 has every whole number
_MAX_VOXELS = 512**3
_MIN_OVERLAP = 0.1  # of the atlas's labelled volume, inside the network's field of view
# A side in a region's name: a whole word ("Left Hippocampus", "Hippocampus_L", "lh-insula") or
# the small first letter of CAT12's abbreviations ("lHip").
_SIDE = re.compile(
    r"(?P<left>(?<![A-Za-z])(?i:left|lh|l)(?![A-Za-z])|^l(?=[A-Z]))"
    r"|(?P<right>(?<![A-Za-z])(?i:right|rh|r)(?![A-Za-z])|^r(?=[A-Z]))"
)
# around a side that was removed: "Area 3b ()", "ctx--insula"
_EMPTY_BRACKETS, _DOUBLED = re.compile(r"\(\)|\[\]"), re.compile(r"([\s_-])\1+")
HEMISPHERES = ("whole left hemisphere", "whole right hemisphere")  # beside an atlas's pairs of regions
_OTHER_SIDE = {"left": "right", "lh": "rh", "l": "r", "right": "left", "rh": "lh", "r": "l"}


@dataclass(frozen=True, eq=False)
class Atlas:
    """A label image and its regions."""

    labels: np.ndarray  # int32 (x, y, z); 0 is no region
    affine: np.ndarray  # float64 (4, 4), voxel indices to mm
    names: dict[int, str]  # of every label in the image but 0
    path: Path  # for messages

    def pairs(self) -> dict[int, tuple[int, int]]:
        """Return label -> labels (left, right), for each region that exists on both sides."""
        label_by_name = {name.casefold(): label for label, name in self.names.items()}
        pairs = {}
        for label, name in self.names.items():
            other_side = _SIDE.sub(lambda match: _OTHER_SIDE[match.group().casefold()], name)
            other = label_by_name.get(other_side.casefold())
            if (side := side_of(name)) and other is not None:
                pairs[label] = (label, other) if side == "left" else (other, label)
        return pairs

    def paired_names(self) -> list[tuple[str, str]]:
        """Return the names (left, right) of the regions that exist on both sides."""
        return [(self.names[left], self.names[right]) for left, right in dict.fromkeys(self.pairs().values())]

    def resampled(self, shape: tuple[int, int, int], affine: np.ndarray) -> np.ndarray:
        """Return the labels at other voxels, by the affines and the nearest neighbour: int32; 0 outside."""
        # nibabel.processing.resample_from_to rounds the other way half way between two voxels, where more
        # than half of CAT12's voxels lie in a 3 mm atlas
        to_atlas = np.linalg.inv(self.affine) @ affine
        axes = np.ogrid[tuple(map(slice, shape))]
        indices = [
            np.rint(sum(row[axis] * axes[axis] for axis in range(3)) + row[3]).astype(np.intp)
            for row in to_atlas[:3]
        ]
        inside = np.ones(shape, bool)
        for index, n in zip(indices, self.labels.shape, strict=True):
            inside &= (index >= 0) & (index < n)
        clipped = (np.clip(i, 0, n - 1) for i, n in zip(indices, self.labels.shape, strict=True))
        return np.where(inside, self.labels[tuple(clipped)], 0).astype(np.int32, copy=False)

    def region_at(self, place_mm: np.ndarray) -> str:
        """Return the name of the region at a place; "" where there is none."""
        label = self.resampled((1, 1, 1), from_matvec(np.eye(3), place_mm)).item()
        return self.names.get(label, "")

    def on_network_grid(self, grid: Grid) -> np.ndarray:
        """Return the label of each voxel of a map without pad: int32 (n_slices, 112, 112); 0 outside.

        Raises UserError if hardly any of the atlas lies where the network looks.
        """
        affine = grid.input_affine
        if affine is None:
            raise ValueError("without an affine, voxels have no place in the atlas")
        labels = self.resampled((grid.n_slices, RESIZED, RESIZED), affine)
        seen_mm3 = np.count_nonzero(labels) * abs(np.linalg.det(affine[:3, :3]))
        atlas_mm3 = np.count_nonzero(self.labels) * abs(np.linalg.det(self.affine[:3, :3]))
        if seen_mm3 < _MIN_OVERLAP * atlas_mm3:
            raise UserError(
                f"{self.path}: only {seen_mm3 / atlas_mm3:.0%} of the atlas lies where the network looks. "
                "Its space is not the scans'; --atlas takes labels in the scans' own space (such as MNI)."
            )
        return labels


def read_atlas(path: Path, names_path: Path | None) -> Atlas:
    """Read a label image, and the table of its regions' names.

    A label without a name is called ``label N``; names of labels that are not in the image are ignored.
    Raises UserError for a file that cannot be read, is not 3-D or not of whole numbers, or has no usable
    affine, and where regions named left lie on the right.
    """
    voxels, affine = _read_labels(path)
    labels_in_image = [int(label) for label in np.unique(voxels) if label]
    if not 0 < len(labels_in_image) <= _MAX_REGIONS:
        found = f"{len(labels_in_image)} different values" if labels_in_image else "zeros alone"
        raise UserError(f"{path}: expected a label image, found {found}.")
    listed = read_names(names_path) if names_path else {}
    if listed and not set(listed) & set(labels_in_image):
        own, others = (first_of(list(map(str, sorted(found))), 5) for found in (listed, labels_in_image))
        raise UserError(
            f"{names_path}: none of its labels ({own}) is in {path} ({others}). Name the table that belongs "
            "to that atlas with --atlas_names."
        )
    names = {label: listed.get(label, f"label {label}") for label in labels_in_image}
    repeated = {name for name, n in Counter(names.values()).items() if n > 1}
    names = {label: f"{name} ({label})" if name in repeated else name for label, name in names.items()}
    if labels_in_image[-1] > _MAX_REGIONS:
        voxels = np.searchsorted([0, *labels_in_image], voxels)
        names = dict(enumerate(names.values(), start=1))
    atlas = Atlas(voxels.astype(np.int32), affine, names, path)
    _check_sides(atlas)
    return atlas


def read_atlas_for(path: Path | None, names_path: Path | None, grids: Iterable[Grid]) -> Atlas | None:
    """Read an atlas as `read_atlas`; raise UserError if it lies off the first grid with an affine."""
    if path is None:
        return None
    atlas = read_atlas(path, names_path)
    placed = next((grid for grid in grids if grid.affine is not None), None)
    if placed is not None:
        atlas.on_network_grid(placed)
    return atlas


def side_of(name: str) -> str | None:
    """Return "left" or "right", the side in a region's name; None if it has none, or both."""
    sides = {match.lastgroup for match in _SIDE.finditer(name)}
    return sides.pop() if len(sides) == 1 else None


def without_side(name: str) -> str:
    """Return a region's name without its side, for a pair of regions: "Left hippocampus" -> "hippocampus"."""
    rest = _EMPTY_BRACKETS.sub("", _SIDE.sub("", name))
    return _DOUBLED.sub(r"\1", rest).strip(" ,._-") or name


def _read_labels(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Read an image's voxels, float64 (x, y, z), and affine; NaN, as masking tools write it, is no region."""
    check_is_file(path, "a label image. Name it with --atlas")
    with readable(path):
        voxels, affine, _ = read_image(path, _MAX_VOXELS)
    if affine is None:
        raise UserError(
            f"{path}: has no affine (such as sform and qform codes of 0), so its voxels have no place in mm. "
            "Use the atlas's original file, or copy the affine of the image that it was drawn on."
        )
    labels = np.rint(np.nan_to_num(voxels, nan=0.0, posinf=np.inf, neginf=-np.inf))
    with np.errstate(invalid="ignore"):
        odd = (labels < 0) | (labels > _LARGEST) | (np.abs(voxels - labels) > 1e-3)  # False for NaN
    if odd.any():
        raise UserError(
            f"{path}: expected whole numbers from 0, a label a voxel; found {voxels[odd].flat[0]:g}. "
            "Resample labels by the nearest neighbour, and save them as integers."
        )
    return labels, affine


def _check_sides(atlas: Atlas) -> None:
    """Raise UserError if regions named left lie to the right of those named right."""
    pairs = set(atlas.pairs().values())
    if not pairs:
        return
    x_mm = {}
    for side, labels in zip(("left", "right"), zip(*pairs, strict=True), strict=True):
        indices = np.argwhere(np.isin(atlas.labels, labels))
        x_mm[side] = float(apply_affine(atlas.affine, indices.mean(axis=0))[0])
    if x_mm["left"] > x_mm["right"]:
        raise UserError(
            f"{atlas.path}: regions named left lie at x = {x_mm['left']:.0f} mm, to the right of those "
            f"named right (x = {x_mm['right']:.0f} mm). Its affine or its names have the sides swapped."
        )
