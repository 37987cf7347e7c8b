"""The map |scan - reference|, against answers worked out by hand."""

import numpy as np

from mri_saliency.inputs.loading import load_scan
from mri_saliency.inputs.scan_table import Scan
from mri_saliency.maps.null_map import contexts_with_nulls, null_map, null_shares

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


def test_contexts_have_the_shares_of_their_own_baselines(tmp_path):
    paths = [save_scan(tmp_path / f"{seed}.nii", brain(seed=seed)) for seed in (1, 2)]
    scans = [load_scan(Scan("a", path, 0, "HC", 0), n_slices=N_SLICES, first_slice=10) for path in paths]
    inputs = np.stack([scan.network_input for scan in scans])
    own, shared = contexts_with_nulls(scans, inputs[::-1]), contexts_with_nulls(scans, inputs[:1])
    assert [context.scan for context in own] == [scan.context.scan for scan in scans]
    assert shared[0].null_shares["baseline"] is None
    assert shared[1].null_shares == own[1].null_shares
    assert own[0].null_shares == null_shares(inputs[0], inputs[1], scans[0].context.brain)
