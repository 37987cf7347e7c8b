"""One method's maps -> the pictures of the first screen: groups in three planes, scans side by side."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import nibabel as nib
import numpy as np
from nibabel.affines import apply_affine
from PIL import Image
from scipy.ndimage import binary_erosion

from mri_saliency.cohort.source_scan import read_source
from mri_saliency.groups.method_maps import MethodMaps
from mri_saliency.inputs.grid import RESIZED, TRAINED_VOXEL_SIZE_MM, Grid
from mri_saliency.inputs.preprocessing import grey_levels, intensity_window, resize, unpad
from mri_saliency.maps.colours import GREY, OUTLINE, colour_scale, overlay
from mri_saliency.maps.drawing import OPACITY_POWER
from mri_saliency.maps.image import voxel_mass
from mri_saliency.maps.smoothing import smoothed
from mri_saliency.output.files import write_picture
from mri_saliency.output.folder import FIGURES, OutputFolder
from mri_saliency.output.record import MapRecord
from mri_saliency.runtime.workers import Workers
from mri_saliency.statistics.contrasts import ALL_PATIENTS, LEFT, RIGHT
from mri_saliency.statistics.sign_flips import SIGNIFICANT
from mri_saliency.wording import with_minus

_PX_PER_MM = 3  # of a picture; on the page it is about half as large
_MARGIN, _LINE_PX = 3, 3  # voxels around the brain; thickness of an outline
_SIGNIFICANT = -np.log10(SIGNIFICANT) - 1e-6  # less the rounding of float32
_CONTRAST_OF = {"left": LEFT.name, "right": RIGHT.name, "TLE": ALL_PATIENTS.name}
_CORONAL = (1, 2)  # axes of `_rising`, across and up
_PLANES = {"coronal": _CORONAL, "sagittal": (0, 2), "axial": (1, 0)}


@dataclass(frozen=True)
class GroupPictures:
    """A group's mean map, cut at its strongest point."""

    n: int  # scans
    planes: dict[str, Path]  # coronal, sagittal, axial
    place: str  # of the cuts; empty without affine
    is_compared: bool  # whether what is significantly more than in controls is outlined


@dataclass(frozen=True)
class AnswerPictures:
    """The pictures of the first screen; empty without maps on the common grid."""

    groups: dict[str, GroupPictures] = field(default_factory=dict)  # by their names in `cohort.groups.GROUPS`
    tiles: dict[str, Path] = field(default_factory=dict)  # scan -> its coronal slice
    place: str = ""  # of that slice
    has_sides: bool = False  # whether left and right are known


@dataclass(frozen=True)
class _Frame:
    """What the scans' coronal slices share."""

    limit: float  # of the colours
    smooth_mm: float
    index: int  # of the slice on the common grid, and its place
    y_mm: float | None
    box: tuple[slice, ...]  # the brain's part


def draw_answer(
    maps: MethodMaps, scans: Sequence[MapRecord], smooth_mm: float, workers: Workers
) -> AnswerPictures:
    """Draw the mean maps of the patients' groups, else of the controls, and some scans' maps, on one scale.

    Scans are cut at one coronal slice: the mean of the groups' strongest points.
    """
    grid, mean_scan, brain = maps.space.grid, maps.space.mean_scan, maps.space.brain
    diagnoses = Counter(scan.diagnosis for scan in maps.scans)
    n_patients = diagnoses.total() - diagnoses["HC"]
    groups = {side: diagnoses[side] for side in ("left", "right") if diagnoses[side]}
    groups = groups or ({"TLE": n_patients} if n_patients else {"HC": diagnoses["HC"]})
    means = {
        name: smoothed(_read(maps, f"{name}_mean") / voxel_mass(grid), grid, smooth_mm) for name in groups
    }
    limit = max(colour_scale(mean, brain, is_smooth=True) for mean in means.values()) or 1.0
    inside = _rising(np.ones_like(mean_scan, bool) if brain is None else brain, grid)
    greys = _rising(grey_levels(mean_scan, intensity_window(mean_scan)), grid)
    found, slices = {}, []
    for name, mean in means.items():
        values, more = _rising(mean, grid), _significantly_more(maps, name)
        outlined = np.zeros_like(inside) if more is None else _rising(more, grid) & inside
        where = outlined if outlined.any() else inside
        peak = np.unravel_index(np.where(where, np.abs(values), -1).argmax(), values.shape)
        planes = {}
        for plane, axes in _PLANES.items():
            cut = tuple(slice(None) if axis in axes else int(peak[axis]) for axis in range(3))
            layers = [layer[cut] for layer in (inside, greys, values / limit, outlined)]
            box, *layers = (layer if axes[0] < axes[1] else layer.T for layer in layers)  # (across, up)
            drawn = _drawn([layer[_box(box)] for layer in layers], grid, axes)
            planes[plane] = _write(maps.folder, f"answer_{name}_{plane}", drawn)
        steps = zip(peak, _steps(grid), values.shape, strict=True)
        at = [int(i) if step > 0 else n - 1 - int(i) for i, step, n in steps]  # (slice, x, z)
        slices.append(at[0])
        place = "x = {:.0f}, y = {:.0f}, z = {:.0f} mm"
        place = "" if grid.affine is None else place.format(*apply_affine(grid.input_affine, at))
        found[name] = GroupPictures(groups[name], planes, with_minus(place), more is not None)
    index = round(float(np.mean(slices)))
    frame = _Frame(limit, smooth_mm, index, grid.slice_y_mm(index), _box(_rising(inside, grid)[index]))
    jobs = {record.subject_id: workers.submit(_draw_scan, maps.folder, record, frame) for record in scans}
    tiles = {name: job.result() for name, job in jobs.items()}
    return AnswerPictures(found, tiles, grid.slice_place(index), has_sides=grid.affine is not None)


def _read(maps: MethodMaps, name: str) -> np.ndarray:
    """Read a group's image on the network's grid, float32 (n_slices, 112, 112)."""
    grid, path = maps.space.grid, maps.folder.group_map(maps.method.name, f"{name}.nii.gz")
    slices = np.asarray(nib.Nifti1Image.from_filename(path).dataobj, np.float32).transpose(1, 0, 2)
    return resize(slices[grid.first_slice : grid.first_slice + grid.n_slices], RESIZED, RESIZED)


def _significantly_more(maps: MethodMaps, group: str) -> np.ndarray | None:
    """Return where a group has significantly more than the controls, bool; None if it was not compared."""
    contrast = _CONTRAST_OF.get(group, "")
    if not maps.folder.group_map(maps.method.name, f"{contrast}_ratio.nii.gz").exists():
        return None
    is_more = _read(maps, f"{contrast}_ratio") > 1
    return is_more & (_read(maps, f"{contrast}_neg_log10_p_fwe") >= _SIGNIFICANT)


def _steps(grid: Grid) -> tuple[float, float, float]:
    """Return the mm from voxel to voxel of a map along y, x and z, with their signs."""
    affine = grid.input_affine
    if affine is None:
        return (TRAINED_VOXEL_SIZE_MM,) * 3
    return float(affine[1, 0]), float(affine[0, 1]), float(affine[2, 2])


def _rising(values: np.ndarray, grid: Grid) -> np.ndarray:
    """Return a map (slice, x, z) with indices that rise forward, to the right and upward: a view."""
    return values[tuple(slice(None, None, 1 if step > 0 else -1) for step in _steps(grid))]


def _box(inside: np.ndarray) -> tuple[slice, ...]:
    """Return the part of a plane that holds the brain, with a margin; of one without, all."""
    places = inside.nonzero() if inside.any() else np.ones_like(inside).nonzero()
    return tuple(slice(max(0, int(i.min()) - _MARGIN), int(i.max()) + _MARGIN + 1) for i in places)


def _drawn(layers: Sequence[np.ndarray], grid: Grid, axes: tuple[int, int]) -> np.ndarray:
    """Draw a plane, uint8 RGBA, of (across, up) layers: greys, the map over its scale, what is outlined."""
    scales = [_PX_PER_MM * abs(_steps(grid)[axis]) for axis in axes]
    size = tuple(round(n * scale) for n, scale in zip(layers[0].shape, scales, strict=True))
    ways = Image.Resampling.BICUBIC, Image.Resampling.BILINEAR, Image.Resampling.NEAREST
    under, strength, part = (
        np.asarray(Image.fromarray(layer.T[::-1].astype(kind)).resize(size, way))
        for layer, kind, way in zip(layers, (np.uint8, np.float32, np.uint8), ways, strict=True)
    )
    # opaque as it is strong: noise, which is weak, shows little
    picture = overlay(GREY[under], np.copysign(np.abs(strength) ** (1 / OPACITY_POWER), strength))
    picture[(part > 0) & ~binary_erosion(part, iterations=_LINE_PX, border_value=1)] = OUTLINE
    return picture


def _draw_scan(folder: OutputFolder, record: MapRecord, frame: _Frame) -> Path:
    """Draw the coronal slice of a scan's map, over its anatomy if the scan can be read; runs in a worker."""
    grid, index = record.grid, min(frame.index, record.grid.n_slices - 1)
    if frame.y_mm is not None and grid.affine is not None:
        index = int(np.argmin([abs((grid.slice_y_mm(i) or 0.0) - frame.y_mm) for i in range(grid.n_slices)]))
    values = folder.load_map(record.method, record.subject_id)
    [smooth] = smoothed(values, grid, frame.smooth_mm, [index])
    scan, greys = read_source(record), np.zeros(smooth.shape, np.uint8)
    if scan is not None:
        slices = unpad(scan.network_input)
        greys = grey_levels(slices[index], intensity_window(slices))
    layers = (greys, smooth / frame.limit, np.zeros(smooth.shape, bool))
    drawn = _drawn([_rising(layer[None], grid)[0][frame.box] for layer in layers], grid, _CORONAL)
    return _write(folder, f"answer_{record.subject_id}", drawn)


def _write(folder: OutputFolder, name: str, drawn: np.ndarray) -> Path:
    path = folder.root / FIGURES / f"{name}.png"
    write_picture(path, drawn)
    return path
