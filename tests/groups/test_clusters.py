"""Significant voxels of one sign that touch make a cluster, with its peak in mm."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mri_saliency.groups.clusters import find_clusters
from mri_saliency.inputs.atlas import Atlas
from mri_saliency.inputs.grid import Grid

from ..conftest import AFFINE, REAL_SHAPE, SYNTHETIC_SHAPE

GRID = Grid(REAL_SHAPE, AFFINE, 4, 10, 12)
SHAPE = (12, 112, 112)


@pytest.fixture
def made_up():
    """A positive cluster that touches a negative one, and a positive one of a single block elsewhere."""
    t, p = np.zeros(SHAPE, np.float32), np.ones(SHAPE, np.float32)
    t[2:6, 10:14, 20:24], p[2:6, 10:14, 20:24] = 5, 0.01
    t[4:6, 12:14, 22:24], p[4:6, 12:14, 22:24] = 6, 0.004
    t[2:6, 14:16, 20:24], p[2:6, 14:16, 20:24] = -7, 0.002
    t[10:12, 60:62, 60:62], p[10:12, 60:62, 60:62] = 4, 0.05
    t[0, 0, 0], p[0, 0, 0] = 9, 0.06  # not significant
    return t, p


def test_clusters_are_of_one_sign_and_the_largest_t_comes_first(made_up):
    labels = np.zeros(REAL_SHAPE, np.int32)
    labels[:13, 10:22], labels[13:30, 10:22] = 1, 2  # the second cluster is mostly in 1, its peak in 2
    atlas = Atlas(labels, AFFINE, {1: "Outer", 2: "Inner"}, Path("atlas.nii"))
    rows, peaks = find_clusters(*made_up, GRID, atlas)
    found = pd.DataFrame(rows)
    assert found["peak_t"].tolist() == [-7, 6, 4] and peaks.tolist() == [[1, 7, 10], [2, 6, 11], [5, 30, 30]]
    assert found["p"].tolist() == pytest.approx([0.002, 0.004, 0.05])
    voxel_mm3 = 1.5**3 * (113 / 112) ** 2
    assert (found["volume_mm3"] / voxel_mm3).tolist() == pytest.approx([32, 64, 8])
    # the middle of the block with the peak, of the scan's coordinates
    pixel_mm = 1.5 * 113 / 112
    expected = (-84 - 0.75 + 13 * pixel_mm, 1.5 * (10 + 4.5) - 120, -72 - 0.75 + 23 * pixel_mm)
    assert found.loc[1, ["peak_x", "peak_y", "peak_z"]].tolist() == pytest.approx(expected)
    assert found["region"].tolist() == ["Inner", "Inner", ""]


def test_without_affine_a_cluster_has_no_place(made_up):
    found = pd.DataFrame(find_clusters(*made_up, Grid(SYNTHETIC_SHAPE, None, 0, 9, 12), None)[0])
    assert len(found) == 3 and found[["peak_x", "peak_y", "peak_z", "volume_mm3"]].isna().all(axis=None)
