"""The choice of scans to check, and their regions."""

import nibabel as nib
import numpy as np

from mri_saliency.checks.run import region_labels
from mri_saliency.inputs.grid import FIRST_SLICE
from mri_saliency.inputs.loading import load_scan
from mri_saliency.inputs.preprocessing import unpad
from mri_saliency.inputs.scan_table import Scan

from ..conftest import N_SLICES, SYNTHETIC_SHAPE, brain, save_scan


def test_regions_are_the_atlass_where_a_scan_has_a_place(tmp_path, atlas, capsys):
    atlas.labels[:, 15:] = 0  # what is left lies where the tiny network looks
    affine = nib.affines.from_matvec(np.diag([1.5, 1.5, 1.5]), (900, 900, 900))  # far from the atlas
    paths = [save_scan(tmp_path / "a_T1w.nii", brain()), save_scan(tmp_path / "far_T1w.nii", brain(), affine)]
    paths.append(save_scan(tmp_path / "12_1.pkl", brain(SYNTHETIC_SHAPE)))
    window = {"n_slices": N_SLICES, "first_slice": FIRST_SLICE}
    placed, far, synthetic = (load_scan(Scan(path.stem, path, 0, "HC", 0), **window) for path in paths)
    labels = region_labels(placed, atlas)
    np.testing.assert_array_equal(unpad(labels), atlas.on_network_grid(placed.context.grid))
    assert labels.shape == placed.network_input.shape and (labels[:, :8] == 0).all() and labels.any()
    assert not region_labels(synthetic, atlas).any() and capsys.readouterr().err == ""
    assert not region_labels(far, atlas).any() and "its regions are not checked" in capsys.readouterr().err
