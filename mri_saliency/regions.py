"""An atlas -> which region each of the network's voxels belongs to; a map -> its regions' shares."""

from __future__ import annotations

import csv
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd

from mri_saliency.errors import UserError

OUTSIDE = "outside the brain"
_INDEX_COLUMNS = ("index", "roiid", "label", "id", "value")  # BIDS and nilearn; CAT12; others
_NAME_COLUMNS = ("name", "roiname", "region", "label")
_MAX_LABEL = 100_000
_N_DENSEST = 10
_LEAST_OVERLAP = 0.1  # of the atlas's labelled voxels, inside the network's field of view
# A side in a region's name: a word of its own ("Left Hippocampus", "Hippocampus_L", "lh-insula") or
# the small first letter of CAT12's abbreviations ("lHip").
_SIDE = re.compile(
    r"(?P<left>(?<![A-Za-z])(?i:left|lh|l)(?![A-Za-z])|^l(?=[A-Z]))"
    r"|(?P<right>(?<![A-Za-z])(?i:right|rh|r)(?![A-Za-z])|^r(?=[A-Z]))"
)
_OTHER_SIDE = {"left": "right", "lh": "rh", "l": "r", "right": "left", "rh": "lh", "r": "l"}


@dataclass(frozen=True)
class Atlas:
    """A label image and its regions.

    Attributes
    ----------
    labels : ndarray
        int (x, y, z); 0 is no region.
    affine : ndarray
        float64 (4, 4), voxel indices to mm.
    names : dict
        Label -> name, for every label in the image but 0.
    path : Path
        Its file, for messages.
    """

    labels: np.ndarray
    affine: np.ndarray
    names: dict[int, str]
    path: Path

    def pairs(self) -> dict[int, tuple[int, int]]:
        """Label -> the labels (left, right) of a region that comes on both sides."""
        by_name = {name.casefold(): label for label, name in self.names.items()}
        pairs = {}
        for label, name in self.names.items():
            side = side_of(name)
            other = by_name.get(_mirrored(name).casefold()) if side else None
            if other is not None:
                pairs[label] = (label, other) if side == "left" else (other, label)
        return pairs

    def on_network_grid(self, input_affine: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
        """Find each voxel's label, by the affines and the nearest neighbour.

        Parameters
        ----------
        input_affine : ndarray
            (4, 4), index in a map without pad (slice, x, z) to mm, as `volumes.Grid.input_affine`.
        shape : tuple of int
            The map's, (n_slices, height, width).

        Returns
        -------
        ndarray
            int, of `shape`; 0 outside the atlas.

        Raises
        ------
        UserError
            Hardly any of the atlas lies where the network looks.
        """
        to_atlas = np.linalg.inv(self.affine) @ input_affine
        axes = np.ogrid[tuple(map(slice, shape))]
        indices = [
            np.rint(sum(row[axis] * axes[axis] for axis in range(3)) + row[3]).astype(np.intp)
            for row in to_atlas[:3]
        ]
        inside = np.ones(shape, bool)
        for index, n in zip(indices, self.labels.shape, strict=True):
            inside &= (index >= 0) & (index < n)
        clipped = (np.clip(i, 0, n - 1) for i, n in zip(indices, self.labels.shape, strict=True))
        found = np.where(inside, self.labels[tuple(clipped)], 0)
        seen_mm3 = np.count_nonzero(found) * abs(np.linalg.det(input_affine[:3, :3]))
        there_mm3 = np.count_nonzero(self.labels) * abs(np.linalg.det(self.affine[:3, :3]))
        if seen_mm3 < _LEAST_OVERLAP * there_mm3:
            raise UserError(
                f"{self.path}: only {seen_mm3 / there_mm3:.0%} of the atlas lies where the network looks. "
                "Its space is not the scans'; --atlas takes labels in the scans' own space (such as MNI)."
            )
        return found


def read_atlas(path: Path, names_path: Path | None) -> Atlas:
    """Read a label image, and the table of its regions' names.

    The table is CSV or TSV (comma, semicolon or tab) with a column of labels (``index``, CAT12's
    ``ROIid``) and one of names (``name``, CAT12's ``ROIname``), or two columns without header. A
    label without a name is called ``label N``; names of labels that the image lacks are left out.

    Raises
    ------
    UserError
        A file cannot be read, is not 3-D or not of whole numbers, has no place in mm, or regions
        named left lie on the right.
    """
    labels, affine = _read_labels(path)
    there = [int(label) for label in np.unique(labels) if label]
    if not there:
        raise UserError(f"{path}: expected a label image, found zeros alone.")
    named = _read_names(names_path) if names_path else {}
    if named and not set(named) & set(there):
        raise UserError(
            f"{names_path}: none of its labels ({_some(named)}) is in {path} ({_some(there)}). "
            "Name the table that belongs to that atlas with --atlas_names."
        )
    names = {label: named.get(label, f"label {label}") for label in there}
    repeated = {name for name, n in Counter(names.values()).items() if n > 1}
    names = {label: f"{name} ({label})" if name in repeated else name for label, name in names.items()}
    atlas = Atlas(labels, affine, names, path)
    _check_sides(atlas)
    return atlas


def side_of(name: str) -> str | None:
    """Read "left" or "right" off a region's name; None if it names no side, or both."""
    sides = {match.lastgroup for match in _SIDE.finditer(name)}
    return sides.pop() if len(sides) == 1 else None


@dataclass(frozen=True)
class BrainMass:
    """How a map's magnitude divides between brain and not.

    Attributes
    ----------
    mass : float
        The whole map's summed magnitude, pad included.
    share : float or None
        The part of it inside the brain; None for a map of zeros.
    n_voxels, n_outside : int
        Voxels in the brain, and outside, pad included.
    """

    mass: float
    share: float | None
    n_voxels: int
    n_outside: int


def region_rows(values: np.ndarray, labels: np.ndarray, atlas: Atlas, brain: BrainMass) -> list[dict]:
    """Divide a map's magnitude among regions.

    Parameters
    ----------
    values : ndarray
        (n_slices, height, width): a map without pad.
    labels : ndarray
        int, the same shape: `Atlas.on_network_grid`.
    atlas : Atlas
    brain : BrainMass

    Returns
    -------
    list of dict
        A row a region the network sees, and one for what is outside the brain: ``region``; ``mass``,
        summed magnitude in the map's unit; ``share`` of the whole map's; ``density``, mass a voxel
        over the brain's (Boehle et al. 2019, Frontiers in Aging Neuroscience); ``asymmetry``
        ``(L - R) / (L + R)`` of the two sides' mass, from -1 to 1. What is undefined is None.
    """
    top = max(atlas.names)
    masses = np.bincount(labels.ravel(), np.abs(values).ravel().astype(np.float64), top + 1)
    sizes = np.bincount(labels.ravel(), minlength=top + 1)
    total, share = brain.mass, brain.share
    brain_density = share * total / brain.n_voxels if share and brain.n_voxels else None
    pairs = atlas.pairs()

    def row(region: str, mass: float, size: int, asymmetry: float | None) -> dict:
        return {
            "region": region,
            "mass": mass,
            "share": mass / total if total else None,
            "density": mass / size / brain_density if brain_density and size else None,
            "asymmetry": asymmetry,
        }

    rows = []
    for label, name in atlas.names.items():
        if not sizes[label]:
            continue
        asymmetry = None
        if label in pairs:
            left, right = masses[list(pairs[label])]
            asymmetry = (left - right) / (left + right) if left + right else None
        rows.append(row(name, masses[label], sizes[label], asymmetry))
    outside = (1 - share) * total if share is not None else 0.0
    return [*rows, row(OUTSIDE, outside, brain.n_outside, None)]


def densest(table: pd.DataFrame) -> dict[str, list[str]]:
    """Find each method's ten regions of the highest mean density, the highest first.

    Parameters
    ----------
    table : DataFrame
        Rows of `region_rows`, with the column `method`.
    """
    return {
        method: rows.astype({"density": float})
        .groupby("region")["density"]
        .mean()
        .nlargest(_N_DENSEST)
        .index.tolist()
        for method, rows in table.groupby("method", sort=False)
    }


def _read_labels(path: Path) -> tuple[np.ndarray, np.ndarray]:
    try:
        image = nib.load(path)
        voxels, affine = np.asanyarray(image.dataobj), np.asarray(image.affine, np.float64)
    except Exception as error:  # a damaged file can raise nearly anything
        raise UserError(f"{path}: cannot be read as a label image ({error}).") from error
    if voxels.ndim == 4 and voxels.shape[3] == 1:
        voxels = voxels[..., 0]
    if voxels.ndim != 3:
        raise UserError(
            f"{path}: expected a 3-D label image, found shape {voxels.shape}. "
            "An atlas of probabilities has to be made into labels first."
        )
    labels = np.nan_to_num(np.rint(voxels), nan=-1.0, posinf=-1.0, neginf=-1.0).astype(np.int64)
    if labels.min() < 0 or labels.max() > _MAX_LABEL or np.abs(voxels - labels).max() > 1e-3:
        raise UserError(f"{path}: expected whole numbers from 0 to {_MAX_LABEL}, a label a voxel.")
    if not np.isfinite(affine).all() or np.linalg.det(affine[:3, :3]) == 0:
        raise UserError(f"{path}: its affine is singular or not finite, so voxels have no place in mm.")
    return labels, affine


def _read_names(path: Path) -> dict[int, str]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read as a table of names ({error}).") from error
    lines = [line for line in text.splitlines() if line.strip()]
    separator = max("\t;,", key=lambda sign: lines[0].count(sign)) if lines else ","
    cells = [[cell.strip() for cell in row] for row in csv.reader(lines, delimiter=separator)]
    if cells and cells[0][0].isdigit():
        index, name = 0, 1
    else:
        header = [cell.casefold() for cell in cells.pop(0)] if cells else []
        index = next((header.index(column) for column in _INDEX_COLUMNS if column in header), None)
        of_names = [header.index(column) for column in _NAME_COLUMNS if column in header]
        name = next((column for column in of_names if column != index), None)
        if index is None or name is None:
            raise UserError(
                f"{path}: expected a column of labels (index or ROIid) and one of names (name or "
                f"ROIname); found {', '.join(header) or 'nothing'}."
            )
    try:
        return {int(row[index]): row[name] for row in cells}
    except (ValueError, IndexError) as error:
        raise UserError(f"{path}: a row has no whole number for its label, or no name ({error}).") from error


def _check_sides(atlas: Atlas) -> None:
    """Refuse an atlas whose regions named left lie to the right of those named right."""
    pairs = set(atlas.pairs().values())
    if not pairs:
        return
    x_mm = {}
    for side, labels in zip(("left", "right"), zip(*pairs, strict=True), strict=True):
        indices = np.argwhere(np.isin(atlas.labels, labels))
        x_mm[side] = float(nib.affines.apply_affine(atlas.affine, indices.mean(axis=0))[0])
    if x_mm["left"] > x_mm["right"]:
        raise UserError(
            f"{atlas.path}: regions named left lie at x = {x_mm['left']:.0f} mm, to the right of those "
            f"named right (x = {x_mm['right']:.0f} mm). Its affine or its names have the sides swapped."
        )


def _mirrored(name: str) -> str:
    """Name the same region of the other side, in small letters where a side was named."""
    return _SIDE.sub(lambda match: _OTHER_SIDE[match.group().casefold()], name)


def _some(labels: object) -> str:
    shown = sorted(labels)
    return ", ".join(map(str, shown[:5])) + (" …" if len(shown) > 5 else "")
