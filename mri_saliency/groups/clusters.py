"""Where a contrast is significant -> its clusters, with their peaks in mm and in regions."""

import numpy as np
from nibabel.affines import apply_affine

from mri_saliency.groups.analysis_space import BLOCK
from mri_saliency.inputs.atlas import Atlas
from mri_saliency.inputs.grid import Grid
from mri_saliency.statistics.sign_flips import SIGNIFICANT


def find_clusters(
    t: np.ndarray, p: np.ndarray, grid: Grid, atlas: Atlas | None
) -> tuple[list[dict], np.ndarray]:
    """Return the clusters of significant voxels, the largest |t| first, and the points of their peaks.

    Voxels of one sign that share a face, an edge or a corner belong together. `t` and `p` are
    (n_slices, height, width). Clusters are rows of group_clusters.csv; without an affine there is no place,
    volume or region. The points are int (n_clusters, 3), on the coarse grid.
    """
    from scipy import ndimage

    affine = grid.input_affine
    voxel_mm3 = None if affine is None else abs(np.linalg.det(affine[:3, :3]))
    found = []
    for sign in (1, -1):
        significant = np.argwhere((p <= SIGNIFICANT) & (sign * t > 0))  # (n, 3)
        if not len(significant):
            continue
        # only the box around them is labelled, and only they are searched: volumes are large, clusters small
        places = significant - significant.min(axis=0)
        box = np.zeros(places.max(axis=0) + 1, bool)
        box[tuple(places.T)] = True
        numbers = ndimage.label(box, np.ones((3, 3, 3)))[0][tuple(places.T)]
        order = np.lexsort((-np.abs(t[tuple(significant.T)]), numbers))  # by cluster, the strongest first
        _, firsts, sizes = np.unique(numbers[order], return_index=True, return_counts=True)
        for size, first in zip(sizes, firsts, strict=True):
            peak = tuple(significant[order[first]].tolist())
            point = np.array(peak) // BLOCK  # whose voxels are equal
            middle = point * BLOCK + (BLOCK - 1) / 2
            peak_mm = 3 * [None] if affine is None else apply_affine(affine, middle).tolist()
            row = dict(zip(("peak_x", "peak_y", "peak_z"), peak_mm, strict=True)) | {
                "region": "" if atlas is None or affine is None else atlas.region_at(np.array(peak_mm)),
                "volume_mm3": None if voxel_mm3 is None else float(size * voxel_mm3),
                "peak_t": float(t[peak]),
                "p": float(p[peak]),
            }
            found.append((row, point))
    found.sort(key=lambda cluster: -abs(cluster[0]["peak_t"]))
    return [row for row, _ in found], np.array([point for _, point in found]).reshape(-1, 3)
