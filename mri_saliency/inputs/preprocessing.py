"""A volume -> the network's input, and what can be measured on that input alone: its brain, its air."""

from functools import lru_cache

import numpy as np

from mri_saliency.inputs.grid import FIRST_SLICE, PAD, RESIZED
from mri_saliency.wording import counted

_TISSUE_FRACTION = 0.1  # of the way from air to the brightest pixels
_BRIGHT_PERCENTILE = 99.9  # of a scan's intensities: its brightest pixels, less outliers
_WHITE_PERCENTILE = 99.8  # of a scan's intensities: drawn white


def z_scored(voxels: np.ndarray) -> tuple[np.ndarray, float]:
    """Return ``(v - mean) / std`` over all voxels, air included, population std; and what 0 becomes."""
    mean, std = voxels.mean(), voxels.std()
    return (voxels - mean) / std, -float(mean / std)


def to_network_input(voxels: np.ndarray, n_slices: int, first_slice: int = FIRST_SLICE) -> np.ndarray:
    """Return the network's input for (x, y, z) voxels: float32 (n_slices, 128, 128).

    Coronal slices `first_slice` onward, resized to 112 x 112, zero-padded to 128 x 128.
    """
    slices = voxels[:, first_slice : first_slice + n_slices, :].transpose(1, 0, 2)
    return pad(resize(slices.astype(np.float32), RESIZED, RESIZED))


def preparation_sentences(n_slices: int, first_slice: int | None, n_synthetic: int, n: int) -> list[str]:
    """Return how volumes became inputs, and what their brain is, in sentences for a paper.

    `first_slice` is that of all n volumes; None if they differ.
    """
    if n_synthetic == n:
        intensities = "The volumes' intensities were used as they were"
    elif n_synthetic:
        but = counted(n_synthetic, "synthetic one")
        intensities = f"Volumes were z-scored over all of their voxels, except for {but}"
    else:
        intensities = "Each volume was z-scored over all of its voxels"
    which = "" if first_slice is None else f" (indices {first_slice} to {first_slice + n_slices - 1}, from 0)"
    size, padded = f"{RESIZED} × {RESIZED}", f"{RESIZED + 2 * PAD} × {RESIZED + 2 * PAD}"
    return [
        f"{intensities}; {n_slices} coronal slices{which} were resized to {size} pixels by bilinear "
        f"interpolation with antialiasing, padded with zeros to {padded}, and used as the network's input "
        "channels.",
        f"A pixel counted as brain if tissue, brighter than {_TISSUE_FRACTION:.0%} of the way from the "
        f"background to the scan's {_BRIGHT_PERCENTILE:g}th percentile, lay on both sides of it along both "
        "axes of its slice.",
    ]


def resize(slices: np.ndarray, n_x: int, n_z: int) -> np.ndarray:
    """Return slices (n, x, z) resized to (n, n_x, n_z): bilinear, antialiased when it shrinks, as in PIL."""
    return _resize_matrix(slices.shape[1], n_x) @ slices @ _resize_matrix(slices.shape[2], n_z).T


@lru_cache
def _resize_matrix(n_in: int, n_out: int) -> np.ndarray:
    """Return the weights of a 1-D bilinear resize as PIL does it: float32 (n_out, n_in)."""
    scale = n_in / n_out
    centres = (np.arange(n_out)[:, None] + 0.5) * scale
    distances = np.abs(np.arange(n_in) + 0.5 - centres) / max(scale, 1.0)
    weights = np.clip(1.0 - distances, 0.0, None)
    return (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)


def pad(slices: np.ndarray) -> np.ndarray:
    """Return slices with a frame of zeros: (n, 112, 112) -> (n, 128, 128)."""
    return np.pad(slices, ((0, 0), (PAD, PAD), (PAD, PAD)))


def unpad(array: np.ndarray) -> np.ndarray:
    """Return an array without its pad: (..., 128, 128) -> (..., 112, 112), a view."""
    return array[..., PAD:-PAD, PAD:-PAD]


def air_input(network_input: np.ndarray) -> np.ndarray:
    """Return the network's input for a volume filled with this scan's air: float32, the input's shape.

    Air is the median of the slices' outermost pixels; the pad stays zero, as in every input.
    """
    return pad(np.full_like(unpad(network_input), _air(network_input)))


def brain_mask(network_input: np.ndarray) -> np.ndarray:
    """Return which pixels of a grey-matter input are brain: bool, the input's shape.

    Brain has tissue on both sides along both axes of its coronal slice: white matter and ventricles count.
    """
    slices = unpad(network_input)
    air = _air(network_input)
    bright = np.percentile(slices[::2, ::2, ::2], _BRIGHT_PERCENTILE)
    return pad(_surrounded(slices > air + _TISSUE_FRACTION * (bright - air), axes=(1, 2)))


def missing_inside_brain(voxels: np.ndarray, missing: np.ndarray) -> np.ndarray:
    """Return which missing voxels of a grey-matter image lie inside the brain: bool (x, y, z).

    They are inside if tissue lies on both sides along all three axes, or if there is no tissue. `voxels` is 0
    where they are missing.
    """
    tissue = voxels > _TISSUE_FRACTION * max(np.percentile(voxels, _BRIGHT_PERCENTILE), 0)
    return missing & _surrounded(tissue, axes=(0, 1, 2)) if tissue.any() else missing


def _surrounded(tissue: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
    """Return which voxels are tissue or have it on both sides, along each of `axes`: bool."""
    inside = np.ones_like(tissue)
    for axis in axes:
        n = tissue.shape[axis]
        index = np.arange(n).reshape([n if other == axis else 1 for other in range(tissue.ndim)])
        first = tissue.argmax(axis, keepdims=True)  # 0 also for a line without tissue
        last = n - 1 - np.flip(tissue, axis).argmax(axis, keepdims=True)
        inside &= (index >= first) & (index <= last) & tissue.any(axis, keepdims=True)
    return inside


def intensity_window(slices: np.ndarray) -> tuple[float, float]:
    """Return the intensities drawn black and white in all figures of a scan (n_slices, 112, 112)."""
    sample = slices[::2, ::2, ::2]
    return float(sample.min()), float(np.percentile(sample, _WHITE_PERCENTILE, method="lower"))


def grey_levels(slices: np.ndarray, window: tuple[float, float]) -> np.ndarray:
    """Return intensities as greys from black (0) to white (255) in a window: uint8, the same shape."""
    low, high = window
    return (np.clip((slices - low) / ((high - low) or 1), 0, 1) * 255 + 0.5).astype(np.uint8)


def _air(network_input: np.ndarray) -> float:
    slices = unpad(network_input)
    edges = (slices[:, 0], slices[:, -1], slices[:, :, 0], slices[:, :, -1])
    return float(np.median(np.concatenate([edge.ravel() for edge in edges])))
