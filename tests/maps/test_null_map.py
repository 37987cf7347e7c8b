"""The map |scan - reference|, against answers worked out by hand."""

import numpy as np

from mri_saliency.attribution.baselines import Baseline
from mri_saliency.inputs.loading import load_scan
from mri_saliency.inputs.scan_table import Scan
from mri_saliency.maps.null_map import null_map, null_shares, with_baseline

from ..conftest import N_SLICES, brain, save_scan


def test_a_null_map_is_the_distance_from_its_reference():
    scan, baseline = np.zeros((2, 3, 4, 4), np.float32)
    scan[1, 0, 0], scan[2, 0, 0] = -3, 1
    baseline[1, 0, 0], baseline[0, 3, 3] = 1, 4
    found = null_map(scan, baseline)
    assert (found[1, 0, 0], found[2, 0, 0], found[0, 3, 3], found.sum()) == (4, 1, 4, 9)
    assert null_map(scan, None).sum() == 4 and found.dtype == np.float32
    inside = np.zeros(scan.shape, bool)
    inside[1] = True
    assert null_shares(scan, baseline, inside) == {"baseline": 4 / 9, "zero": 3 / 4}
    assert null_shares(scan, 0 * scan, inside) == {"baseline": 3 / 4, "zero": 3 / 4}
    assert null_shares(scan, scan, inside) == {"baseline": None, "zero": 3 / 4}


def test_a_scan_has_the_shares_of_its_own_baseline(tmp_path):
    paths = [save_scan(tmp_path / f"{seed}.nii", brain(seed=seed)) for seed in (1, 2)]
    scan, other = (
        load_scan(Scan("a", path, 0, "HC", 0), n_slices=N_SLICES, first_slice=10) for path in paths
    )
    found = with_baseline(scan, Baseline("other.nii", other.network_input))
    assert found.baseline is other.network_input and found.context.scan == scan.context.scan
    expected = null_shares(scan.network_input, other.network_input, scan.context.brain)
    assert found.context.null_shares == expected
    itself = with_baseline(scan, Baseline("scan.nii", scan.network_input))
    assert itself.context.null_shares == {"baseline": None, "zero": expected["zero"]}
