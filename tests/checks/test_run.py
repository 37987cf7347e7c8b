"""The sanity checks' files, and the choice of scans."""

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from mri_saliency.checks.run import evenly_spread, region_labels, representative, write_check_results
from mri_saliency.inputs.grid import FIRST_SLICE
from mri_saliency.inputs.loading import load_scan
from mri_saliency.inputs.preprocessing import unpad
from mri_saliency.inputs.scan_table import Scan
from mri_saliency.output.folder import OutputFolder
from mri_saliency.report.alarms import judge_maps

from ..conftest import N_SLICES, SYNTHETIC_SHAPE, brain, save_scan
from ..made_cohort import RECIPE, checks_table, made_record


def test_results_are_judged_with_their_recipe(tmp_path):
    folder, table = OutputFolder(tmp_path), checks_table()
    write_check_results(folder, table, {"smooth_grad": RECIPE})
    written = pd.read_csv(folder.checks)
    assert list(written) == ["fingerprint", *table.columns] and len(written) == len(table)
    assert set(written["fingerprint"].dropna()) == {RECIPE.digest()}
    [answers] = judge_maps(folder, [made_record(method="smooth_grad")]).values()
    assert all(verdict.passed for verdict in answers.values())
    assert np.asarray(Image.open(folder.check_figure)).std() > 10


@pytest.mark.parametrize(
    ("n_items", "n", "expected"),
    [(10, 4, [0, 3, 6, 9]), (3, 4, [0, 1, 2]), (10, 1, [0]), (1, 2, [0]), (0, 2, [])],
)
def test_scans_are_spread_over_the_cohort(n_items, n, expected):
    assert evenly_spread(range(n_items), n) == expected


def test_scans_of_every_diagnosis_are_checked():
    """Even where the table has them in turn, or one after the other."""
    for diagnoses in (("HC", "left", "HC", "right") * 6, ("HC",) * 12 + ("left", "right") * 6):
        scans = [Scan(str(i), None, int(name != "HC"), name, i) for i, name in enumerate(diagnoses)]
        found = [scan.diagnosis for scan in representative(scans, 8)]
        assert found == ["left", "right", "HC"] * 2 + ["left", "right"]
    assert representative(scans[:3], 8) == scans[:3]


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
