"""The maps of two groups -> where they differ, by a permutation test of the group labels.

Maps are opened one at a time, and read a slab of slices at a time, so memory does not grow with the cohort.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

BLOCK = 2  # edge of the blocks that are compared, in voxels
N_PERMUTATIONS = 1000
SIGNIFICANT = 0.05  # family-wise
MIN_MAPS = 3  # in each group
_SLAB_BYTES = 2**26  # block means held at a time, of all scans together
_VOXELS_AT_A_TIME = 256  # (permutations, voxels) that stay in the processor's cache
_MIN_VARIANCE = 1e-6  # of controls, as a share of all maps' variance; less is rounding

OpenMap = Callable[[], np.ndarray]  # returns (n_slices, height, width), memory-mapped or in memory


@dataclass(frozen=True, eq=False)
class Comparison:
    """Where two groups' maps differ.

    Attributes
    ----------
    score : ndarray
        float32 (n_slices, height, width): the groups' difference (cases minus controls) of mean block
        means, in standard errors from the controls' standard deviation; 0 where nothing varies or
        nothing was tested.
    p : ndarray
        float32, the same shape: two-sided, corrected for all voxels (family-wise error); 1 where
        nothing was tested.
    n_cases, n_controls : int
        Scans compared.
    threshold : float
        Magnitude of the score at which `p` falls to `SIGNIFICANT`.
    """

    score: np.ndarray
    p: np.ndarray
    n_cases: int
    n_controls: int
    threshold: float


def compare_groups(
    maps: Sequence[OpenMap], is_case: np.ndarray, mask: np.ndarray, seed: int = 0
) -> Comparison:
    """Test where cases' and controls' maps differ, by permutation of the labels.

    The maps are averaged over blocks of 2 x 2 x 2 voxels. Differences are measured in the controls'
    standard deviation (Glass's delta), because patients with a focus on different sides differ among
    themselves exactly where they differ from controls. The family-wise error is controlled by the
    distribution, over `N_PERMUTATIONS` random relabellings, of the largest score anywhere (Nichols &
    Holmes 2002, Nonparametric permutation tests for functional neuroimaging, Human Brain Mapping).

    Parameters
    ----------
    maps : sequence of callable
        Each opens one scan's map.
    is_case : ndarray
        bool (n_maps,).
    mask : ndarray
        bool (n_slices, height, width): voxels to be tested; a block is tested if any of its voxels is.
    seed : int
        Seed of the relabellings.

    Raises
    ------
    ValueError
        A group has fewer than `MIN_MAPS` maps.
    """
    n_cases, n_controls = int(is_case.sum()), int((~is_case).sum())
    if min(n_cases, n_controls) < MIN_MAPS:
        raise ValueError(f"{MIN_MAPS} maps a group are needed; found {n_cases} and {n_controls}")
    generator = np.random.default_rng(seed)
    labels = np.stack([is_case, *(generator.permutation(is_case) for _ in range(N_PERMUTATIONS))])
    tested = block_means(mask.astype(np.float32)) > 0
    observed, largest = _observed_and_largest(maps, labels, tested, mask.shape)
    ordered = np.sort(largest)
    # a relabelling that ties with the observed labels counts as reaching their score
    n_reached = len(ordered) - np.searchsorted(ordered, np.abs(observed) * (1 - 1e-5))
    p = np.where(tested, n_reached / len(ordered), 1.0)
    threshold = ordered[-max(1, int(SIGNIFICANT * len(ordered)))]
    return Comparison(
        score=_to_voxels(observed, mask.shape),
        p=_to_voxels(p, mask.shape).astype(np.float32),
        n_cases=n_cases,
        n_controls=n_controls,
        threshold=float(threshold),
    )


def _observed_and_largest(
    maps: Sequence[OpenMap], labels: np.ndarray, tested: np.ndarray, shape: tuple[int, int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """Compute the scores of the observed labels, and every labelling's largest score.

    Parameters
    ----------
    labels : ndarray
        bool (n_labellings, n_maps); the first are the observed ones.
    tested : ndarray
        bool, a value for each block.
    shape : tuple of int
        Of a map, (n_slices, height, width).

    Returns
    -------
    observed : ndarray
        float32, a score for each block; 0 where nothing is tested.
    largest : ndarray
        float64 (n_labellings,): the largest magnitude of a score anywhere.
    """
    observed = np.zeros(tested.shape, np.float32)
    largest = np.zeros(len(labels))
    for slab in _slabs(shape, len(maps)):
        block_layers = slice(slab.start // BLOCK, -(-slab.stop // BLOCK))
        inside = tested[block_layers]
        if not inside.any():
            continue
        values = np.stack([block_means(open_map()[slab])[inside] for open_map in maps])  # (n_maps, blocks)
        slab_scores = []
        for start in range(0, values.shape[1], _VOXELS_AT_A_TIME):
            scores = _scores(values[:, start : start + _VOXELS_AT_A_TIME], labels)
            np.maximum(largest, np.abs(scores).max(axis=1), out=largest)
            slab_scores.append(scores[0].copy())  # a view would keep the scores of all labellings
        observed[block_layers][inside] = np.concatenate(slab_scores)
    return observed, largest


def block_means(values: np.ndarray) -> np.ndarray:
    """Average over blocks of 2 x 2 x 2 voxels, fewer at an odd end: float32."""
    values = values.astype(np.float32, copy=False)
    for axis in range(values.ndim):
        lines = np.moveaxis(values, axis, 0)
        means = lines[::BLOCK].copy()  # the last line of an odd number is a block by itself
        pairs = means[: len(lines) // BLOCK]
        pairs += lines[1::BLOCK]
        pairs /= BLOCK
        values = np.moveaxis(means, 0, axis)
    return values


def _to_voxels(blocks: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Return an array of `shape` in which every voxel has its block's value."""
    indices = (np.arange(n) // BLOCK for n in shape)
    return blocks[np.ix_(*indices)]


def _slabs(shape: tuple[int, int, int], n_maps: int) -> list[slice]:
    """Divide slices into runs of whole blocks whose block means, of all maps, fit in `_SLAB_BYTES`."""
    n_slices, height, width = shape
    layer_bytes = 4 * n_maps * (height * width // BLOCK**2 + 1)
    thickness = BLOCK * max(1, _SLAB_BYTES // layer_bytes)
    return [slice(start, min(start + thickness, n_slices)) for start in range(0, n_slices, thickness)]


def _scores(values: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Score every labelling: (n, blocks) and bool (n_labellings, n) -> float64 (n_labellings, blocks)."""
    values = values.astype(np.float64)
    centred = values - values.mean(axis=0)
    spread = np.sqrt((centred**2).mean(axis=0))
    # equal values leave only rounding when they are centred
    varies = spread > 1e-6 * np.abs(values).max(axis=0)
    centred = np.divide(centred, spread, out=np.zeros_like(centred), where=varies)

    is_control = (~labels).astype(np.float64)
    n_controls, n_cases = is_control[0].sum(), labels[0].sum()
    mean = is_control @ centred
    mean /= n_controls
    variance = is_control @ centred**2
    variance -= n_controls * mean**2
    variance /= n_controls - 1
    error = np.sqrt(np.maximum(variance, _MIN_VARIANCE, out=variance), out=variance)
    # all values sum to 0, so the cases' mean is the controls' times -n_controls / n_cases
    mean *= -(n_controls / n_cases + 1) / np.sqrt(1 / n_cases + 1 / n_controls)
    return np.divide(mean, error, out=mean)
