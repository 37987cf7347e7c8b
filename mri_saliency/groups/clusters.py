"""Where a contrast is significant -> its clusters, with their peaks in mm and in regions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from nibabel.affines import apply_affine

from mri_saliency.groups.analysis_space import BLOCK
from mri_saliency.inputs.grid import Grid
from mri_saliency.statistics.sign_flips import SIGNIFICANT


@dataclass(frozen=True)
class Cluster:
    """A cluster of significant voxels of one sign.

    Attributes
    ----------
    peak_mm : tuple of float or None
        x, y, z of the point with the largest |t|; None without an affine.
    region : str
        The atlas's region there; empty if there is none.
    volume_mm3 : float or None
        Volume of the significant voxels; None without an affine.
    effect, peak_t, p : float
        At the peak.
    """

    peak_mm: tuple[float, float, float] | None
    region: str
    volume_mm3: float | None
    effect: float
    peak_t: float
    p: float


def cluster_sentence(atlas_name: str | None) -> str:
    """Return what a cluster was, in a sentence for a paper; `atlas_name` is that of the atlas's file."""
    named = "" if atlas_name is None else f", and named after the region of {atlas_name} there"
    return (
        "Significant voxels of one sign that shared a face, an edge or a corner formed a cluster, located at "
        f"its largest |t|{named}."
    )


def find_clusters(
    effect: np.ndarray, t: np.ndarray, p: np.ndarray, grid: Grid, region_at: Callable[[tuple[int, ...]], str]
) -> list[Cluster]:
    """Return the clusters of significant voxels, the largest |t| first.

    Voxels of one sign that share a face, an edge or a corner belong together.

    Parameters
    ----------
    effect, t, p : ndarray
        (n_slices, height, width): the contrast at each voxel.
    grid : Grid
    region_at : callable
        Indices of a voxel -> name of its region, or "".
    """
    from scipy import ndimage

    voxel_mm3 = None if grid.affine is None else abs(np.linalg.det(grid.input_affine[:3, :3]))
    clusters = []
    for sign in (1, -1):
        significant = np.argwhere((p <= SIGNIFICANT) & (sign * t > 0))  # (n, 3)
        if not len(significant):
            continue
        # only the box around them is labelled, and only they are searched: volumes are large, clusters small
        places = significant - significant.min(axis=0)
        box = np.zeros(places.max(axis=0) + 1, bool)
        box[tuple(places.T)] = True
        labels = ndimage.label(box, np.ones((3, 3, 3)))[0][tuple(places.T)]
        order = np.lexsort((-np.abs(t[tuple(significant.T)]), labels))  # by cluster, the strongest first
        _, firsts, sizes = np.unique(labels[order], return_index=True, return_counts=True)
        for size, first in zip(sizes, firsts, strict=True):
            peak = tuple(significant[order[first]].tolist())
            middle = np.array(peak) // BLOCK * BLOCK + (BLOCK - 1) / 2  # a block's voxels are equal
            peak_mm = None if grid.affine is None else tuple(apply_affine(grid.input_affine, middle).tolist())
            clusters.append(
                Cluster(
                    peak_mm=peak_mm,
                    region=region_at(peak),
                    volume_mm3=None if voxel_mm3 is None else float(size * voxel_mm3),
                    effect=float(effect[peak]),
                    peak_t=float(t[peak]),
                    p=float(p[peak]),
                )
            )
    return sorted(clusters, key=lambda cluster: -abs(cluster.peak_t))
