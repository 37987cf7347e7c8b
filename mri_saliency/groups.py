"""Many scans' maps -> what a group shares, and in what two groups differ.

Maps are opened one at a time, or a slab of slices at a time, so memory does not grow with the cohort.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

BLOCK = 2  # voxels a side of the blocks that are compared
N_PERMUTATIONS = 1000
SIGNIFICANT = 0.05  # family-wise
LEAST_MAPS = 3  # a group, to be compared
_SLAB_BYTES = 2**26  # of block means held at a time, for all scans together
_VOXELS_AT_A_TIME = 256  # (permutations, voxels) that stay in the processor's cache
_LEAST_VARIANCE = 1e-6  # of controls, as a share of all maps': less is rounding

OpenMap = Callable[[], np.ndarray]  # returns (n_slices, height, width), mapped from its file or in memory


@dataclass(frozen=True)
class GroupMean:
    """What the maps of a group have in common: float32 (n_slices, height, width) each.

    Attributes
    ----------
    signed : ndarray
        The mean of the maps.
    magnitude : ndarray
        The mean of their magnitudes.
    n : int
        How many scans.
    """

    signed: np.ndarray
    magnitude: np.ndarray
    n: int


def group_means(maps: Sequence[OpenMap], groups: Mapping[str, np.ndarray]) -> dict[str, GroupMean]:
    """Average maps by group, opening each once.

    Parameters
    ----------
    maps : sequence of callable
        Each opens one scan's map.
    groups : mapping
        Name -> bool (n_maps,): its members; a map may be in several. Empty groups are left out.
    """
    # by the groups that a map is in: its values and its magnitudes, (2, n_slices, height, width)
    sums: dict[tuple[str, ...], np.ndarray] = {}
    for index, open_map in enumerate(maps):
        own = tuple(name for name, inside in groups.items() if inside[index])
        if not own:
            continue
        values = open_map()
        if own not in sums:
            sums[own] = np.zeros((2, *values.shape))
        sums[own][0] += values
        sums[own][1] += np.abs(values)
    means = {}
    for name, inside in groups.items():
        if n := int(inside.sum()):
            total = sum(of_these for own, of_these in sums.items() if name in own)
            means[name] = GroupMean(*(total / n).astype(np.float32), n)
    return means


@dataclass(frozen=True)
class Comparison:
    """In what two groups' maps differ.

    Attributes
    ----------
    score : ndarray
        float32 (n_slices, height, width): cases' less controls' mean of the block means, in standard
        errors by the controls' spread; 0 where nothing varies or nothing was tested.
    p : ndarray
        float32, the same shape: two-sided, corrected for all voxels (family-wise error); 1 where
        nothing was tested.
    n_cases, n_controls : int
        Scans compared.
    threshold : float
        The magnitude of the score at which `p` falls to `SIGNIFICANT`.
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

    The maps are averaged over blocks of 2 x 2 x 2 voxels. Differences are measured by the controls'
    standard deviation (Glass's delta), because patients with a focus on different sides differ among
    themselves just where they differ from controls. The family-wise error is controlled by the
    distribution, over `N_PERMUTATIONS` random relabellings, of the largest score anywhere (Nichols &
    Holmes 2002, Nonparametric permutation tests for functional neuroimaging, Human Brain Mapping).

    Parameters
    ----------
    maps : sequence of callable
        Each opens one scan's map.
    is_case : ndarray
        bool (n_maps,).
    mask : ndarray
        bool (n_slices, height, width): voxels to be tested; a block is if any of its voxels is.

    Raises
    ------
    ValueError
        A group has fewer than `LEAST_MAPS` maps.
    """
    n_cases, n_controls = int(is_case.sum()), int((~is_case).sum())
    if min(n_cases, n_controls) < LEAST_MAPS:
        raise ValueError(f"{LEAST_MAPS} maps a group are needed; found {n_cases} and {n_controls}")
    generator = np.random.default_rng(seed)
    labels = np.stack([is_case, *(generator.permutation(is_case) for _ in range(N_PERMUTATIONS))])

    tested = block_means(mask.astype(np.float32)) > 0
    truth = np.zeros(tested.shape, np.float32)
    largest = np.zeros(len(labels))
    for slab in _slabs(mask.shape, len(is_case)):
        of_slab = slice(slab.start // BLOCK, -(-slab.stop // BLOCK))
        inside = tested[of_slab]
        if not inside.any():
            continue
        values = np.stack([block_means(open_map()[slab])[inside] for open_map in maps])  # (n, voxels)
        found = []
        for start in range(0, values.shape[1], _VOXELS_AT_A_TIME):
            scores = _scores(values[:, start : start + _VOXELS_AT_A_TIME], labels)
            np.maximum(largest, np.abs(scores).max(axis=1), out=largest)
            found.append(scores[0].copy())  # a view would keep them all
        truth[of_slab][inside] = np.concatenate(found)

    ordered = np.sort(largest)
    reached = len(ordered) - np.searchsorted(ordered, np.abs(truth) * (1 - 1e-5))  # ties are reached
    p = np.where(tested, reached / len(ordered), 1.0)
    threshold = ordered[-max(1, int(SIGNIFICANT * len(ordered)))]
    return Comparison(
        _from_blocks(truth, mask.shape),
        _from_blocks(p, mask.shape).astype(np.float32),
        n_cases,
        n_controls,
        float(threshold),
    )


def block_means(values: np.ndarray) -> np.ndarray:
    """Average over blocks of 2 x 2 x 2 voxels, fewer at an odd end: float32."""
    values = values.astype(np.float32, copy=False)
    for axis in range(values.ndim):
        lines = np.moveaxis(values, axis, 0)
        means = lines[::BLOCK].copy()  # alone at an odd end
        pairs = means[: len(lines) // BLOCK]
        pairs += lines[1::BLOCK]
        pairs /= BLOCK
        values = np.moveaxis(means, 0, axis)
    return values


def _from_blocks(blocks: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Give every voxel its block's value."""
    places = (np.arange(n) // BLOCK for n in shape)
    return blocks[np.ix_(*places)]


def _slabs(shape: tuple[int, ...], n_maps: int) -> list[slice]:
    """Divide slices into runs of whole blocks whose block means, of all maps, fit in `_SLAB_BYTES`."""
    n_slices, height, width = shape
    of_layer = 4 * n_maps * (height * width // BLOCK**2 + 1)
    thickness = BLOCK * max(1, _SLAB_BYTES // of_layer)
    return [slice(start, min(start + thickness, n_slices)) for start in range(0, n_slices, thickness)]


def _scores(values: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Score every labelling: (n, voxels) and bool (n_labellings, n) -> float64 (n_labellings, voxels)."""
    values = values.astype(np.float64)
    centred = values - values.mean(axis=0)
    spread = np.sqrt((centred**2).mean(axis=0))
    # what is left after centring equal values is rounding
    varies = spread > 1e-6 * np.abs(values).max(axis=0)
    centred = np.divide(centred, spread, out=np.zeros_like(centred), where=varies)

    is_control = (~labels).astype(np.float64)
    n_controls, n_cases = is_control[0].sum(), labels[0].sum()
    mean = is_control @ centred
    mean /= n_controls
    variance = is_control @ centred**2
    variance -= n_controls * mean**2
    variance /= n_controls - 1
    error = np.sqrt(np.maximum(variance, _LEAST_VARIANCE, out=variance), out=variance)
    # all values sum to 0, so the cases' mean is the controls' times -n_controls / n_cases
    mean *= -(n_controls / n_cases + 1) / np.sqrt(1 / n_cases + 1 / n_controls)
    return np.divide(mean, error, out=mean)
