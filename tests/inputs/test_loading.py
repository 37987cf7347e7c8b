"""A scan is loaded with what its maps' files need; one bad file costs its own scan only."""

import pickle
import threading
from functools import partial
from operator import attrgetter

import numpy as np
import pytest

from mri_saliency.errors import UserError
from mri_saliency.inputs.file_identity import FileIdentity
from mri_saliency.inputs.grid import upright
from mri_saliency.inputs.loading import LoadedScan, UnreadableScan, load_in_groups, load_scan, load_volume
from mri_saliency.inputs.preprocessing import unpad
from mri_saliency.inputs.scan_table import Scan
from mri_saliency.runtime.workers import Workers

from ..conftest import AFFINE, FLIPPED, REAL_SHAPE, SYNTHETIC_SHAPE, brain, save_scan
from .test_preprocessing import reference_input


def scored(voxels):
    voxels = voxels.astype(np.float64)
    return (voxels - voxels.mean()) / voxels.std()


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz", "a.mgz", "a.npy"])
def test_a_real_scan_is_scored_cut_and_resized(tmp_path, name):
    voxels = brain()
    found = load_volume(save_scan(tmp_path / name, voxels), 115)
    assert found.network_input.dtype == np.float32 and found.network_input.shape == (115, 128, 128)
    np.testing.assert_allclose(found.network_input, reference_input(scored(voxels), 10, 115), atol=1e-4)
    assert (found.grid.affine is None) == (name == "a.npy")
    assert (found.grid.shape, found.grid.first_slice, found.grid.n_slices) == (REAL_SHAPE, 10, 115)


def test_a_synthetic_scan_is_not_scored_again_and_starts_one_slice_earlier(tmp_path):
    voxels = 3 + 2 * np.random.default_rng(0).standard_normal(SYNTHETIC_SHAPE).astype(np.float32)
    found = load_volume(save_scan(tmp_path / "12_1.pkl", voxels), 115)
    np.testing.assert_allclose(found.network_input, reference_input(voxels, 9, 115), atol=1e-4)
    assert found.grid.affine is None and found.grid.first_slice == 9


def test_the_first_slice_can_be_chosen(tmp_path):
    real, synthetic = (save_scan(tmp_path / name, brain()) for name in ("a.nii", "a.pkl"))
    found = load_volume(real, 9, 3).network_input
    np.testing.assert_allclose(found, reference_input(scored(brain()), 3, 9), atol=1e-4)
    assert [load_volume(synthetic, 9, first).grid.first_slice for first in (0, 3)] == [0, 2]


@pytest.mark.parametrize(
    ("voxels", "message"),
    [
        (np.ones(REAL_SHAPE), "constant volume"),
        (np.random.rand(113, 100, 113), "has 100 coronal slices"),
        (1e200 * brain().astype(float), r"its voxels are 0 to 1e\+200, too large"),
    ],
)
def test_unusable_volumes_say_what_is_wrong(tmp_path, voxels, message):
    with pytest.raises(UserError, match=f"scan.npy: .*{message}"):
        load_volume(save_scan(tmp_path / "scan.npy", voxels), 115)


@pytest.mark.parametrize(("n_slices", "first_slice"), [(0, 10), (115, -5), ("115", 10), (115, 2.0)])
def test_slices_that_no_scan_has_are_refused(tmp_path, n_slices, first_slice):
    path = save_scan(tmp_path / "a.nii", brain())
    with pytest.raises(UserError, match="_slice.*: expected a whole number"):
        load_volume(path, n_slices, first_slice)


def with_nan_air():
    """A brain as SPM masks it: NaN wherever there is no brain."""
    voxels = brain()
    return np.where(voxels > 0, voxels, np.nan).astype(np.float32)


def test_nan_outside_the_brain_counts_as_zero_in_a_real_scan(tmp_path):
    found = load_volume(save_scan(tmp_path / "a.nii", with_nan_air()), 9)
    expected = load_volume(save_scan(tmp_path / "b.nii", brain()), 9)
    np.testing.assert_array_equal(found.network_input, expected.network_input)
    with pytest.raises(UserError, match="NaN or infinite, the first at"):
        load_volume(save_scan(tmp_path / "1.pkl", with_nan_air()), 9)


def test_nan_inside_the_brain_and_infinity_anywhere_are_errors(tmp_path):
    hole, infinite, empty = with_nan_air(), with_nan_air(), np.full(REAL_SHAPE, np.nan, np.float32)
    hole[50:52, 60, 56], infinite[0, 0, 0] = np.nan, np.inf
    for voxels, message in (
        (hole, r"2 voxels inside the brain are NaN or infinite, the first at \(50, 60, 56\)"),
        (infinite, r"1 voxels are NaN or infinite, the first at \(0, 0, 0\)"),
        (empty, "NaN"),
    ):
        with pytest.raises(UserError, match=message):
            load_volume(save_scan(tmp_path / "a.nii", voxels), 9)


def test_a_scans_warnings_are_joined(tmp_path):
    larger = np.diag([1.6, 1.5, 1.5, 1])
    of_grid = "voxels of 1.6 x 1.5 x 1.5 mm, not 1.5 mm"
    of_nan = "its NaN voxels, all outside the brain, count as 0"
    for voxels, affine, expected in (
        (brain(), AFFINE, None),
        (with_nan_air(), AFFINE, of_nan),
        (with_nan_air(), larger, f"{of_grid}; {of_nan}"),
    ):
        scan = Scan("a", save_scan(tmp_path / "a.nii", voxels, affine), 0, "HC", 0)
        assert load_scan(scan, n_slices=9, first_slice=60).context.input_warning == expected


def test_a_loaded_scan_carries_what_its_files_need(tmp_path):
    scan = Scan("a", save_scan(tmp_path / "a.nii", brain()), 0, "HC", 0)
    loaded, volume = load_scan(scan, n_slices=9, first_slice=60), load_volume(scan.path, 9, 60)
    np.testing.assert_array_equal(loaded.network_input, volume.network_input)
    context, (low, high) = loaded.context, loaded.context.window
    source = FileIdentity.of(scan.path, volume.content_sha256)
    assert (context.scan, context.source, context.grid) == (scan, source, volume.grid)
    expected = np.clip((unpad(volume.network_input).astype(float) - low) / (high - low), 0, 1) * 255
    assert context.greys.dtype == np.uint8
    np.testing.assert_allclose(context.greys, expected, atol=0.501)
    assert len(pickle.dumps(context)) < loaded.network_input.nbytes / 2  # it holds no network input


def test_scans_are_the_same_by_voxels_and_grid(tmp_path):
    def content(name, voxels=None, affine=AFFINE):
        path = save_scan(tmp_path / name, brain() if voxels is None else voxels, affine)
        return load_volume(path, 9, 60).content_sha256

    changed = brain()
    changed[0, 0, 0] = 0.01
    assert content("a.nii") == content("b.nii.gz") == content("c.mgz")
    others = [content("d.nii", changed), content("e.nii", affine=FLIPPED), content("f.npy"), content("a.nii")]
    assert len(set(others)) == 4


def with_ones(*where):
    voxels = np.zeros(REAL_SHAPE, np.float32)
    voxels[where] = 1
    return voxels


GENERATOR = np.random.default_rng(0)
IMPLAUSIBLE = {
    "plane": (lambda: with_ones(slice(None), 64), "nearly empty"),
    "one voxel": (lambda: brain() + 1e10 * with_ones(9, 9, 9), "single voxels lie"),
    "noise": (lambda: GENERATOR.standard_normal(REAL_SHAPE), "not its darkest part"),
    "inverted": (lambda: 1 - brain(), "not its darkest part"),
}


@pytest.mark.parametrize("kind", IMPLAUSIBLE)
def test_implausible_intensities_are_named(tmp_path, kind):
    make, warning = IMPLAUSIBLE[kind]
    assert warning in load_volume(save_scan(tmp_path / "a.npy", make()), 9, 60).warning


def test_synthetic_volumes_that_are_not_normalised_are_named(tmp_path):
    voxels = brain(SYNTHETIC_SHAPE)
    assert "not normalised" in load_volume(save_scan(tmp_path / "1_1.pkl", voxels), 9).warning
    assert load_volume(save_scan(tmp_path / "1_1.pkl", scored(voxels)), 9).warning is None
    assert load_volume(save_scan(tmp_path / "b.nii", 300 * brain() - 5), 9, 60).warning is None


def test_a_spot_on_the_left_is_drawn_on_the_left(tmp_path):
    voxels = brain(seed=4)
    x, y, z = 30, 70, 80  # left of the middle (56), above it
    voxels[x, y, z] = 9.0
    for name, data, affine in (("a.nii", voxels, AFFINE), ("b.nii", voxels[::-1], FLIPPED)):
        path = save_scan(tmp_path / name, np.ascontiguousarray(data), affine)
        loaded = load_scan(Scan("a", path, 0, "HC", 0), n_slices=115, first_slice=10)
        [anatomy] = upright(unpad(loaded.network_input)[[60]], loaded.context.grid)
        row, column = np.unravel_index(anatomy.argmax(), anatomy.shape)
        assert (row, column) == pytest.approx((112 * (113 - z - 0.5) / 113, 112 * (x + 0.5) / 113), abs=1)


@pytest.fixture
def five_scans(tmp_path):
    """Five small scans; the file of the second is missing, that of the fourth is text."""
    scans = []
    for index in range(5):
        path = tmp_path / f"{index}.nii"
        if index == 3:
            path.write_text("hello")
        elif index != 1:
            save_scan(path, brain((20, 24, 20), seed=index))
        scans.append(Scan(str(index), path, 0, "HC", index))
    return scans


LOAD = partial(load_scan, n_slices=9, first_slice=6)


@pytest.mark.parametrize(("group_size", "sizes"), [(1, [1, 1, 1, 1, 1]), (2, [2, 2, 1]), (9, [5])])
def test_groups_keep_the_order_and_an_error_costs_its_scan_only(five_scans, no_workers, group_size, sizes):
    groups = list(load_in_groups(five_scans, LOAD, no_workers, group_size))
    assert list(load_in_groups([], LOAD, no_workers, group_size)) == []
    assert [len(group) for group in groups] == sizes
    found = [scan for group in groups for scan in group]
    for index in (0, 2, 4):
        assert isinstance(found[index], LoadedScan) and found[index].context.scan == five_scans[index]
    for index, reason in ((1, "no such file"), (3, "cannot be read")):
        assert isinstance(found[index], UnreadableScan) and found[index].scan == five_scans[index]
        assert reason in found[index].reason


def test_a_defect_costs_its_scan_only_and_keeps_its_traceback(five_scans, no_workers, capsys):
    def load(scan):
        if scan.sample_idx == 1:
            raise ZeroDivisionError("by chance")
        return scan.subject_id

    (group,) = load_in_groups(five_scans[:3], load, no_workers, 3)
    assert (group[0], group[2]) == ("0", "2")
    assert "unexpected ZeroDivisionError: by chance" in group[1].reason
    assert "Traceback" in capsys.readouterr().err


def test_scans_are_completed_beside_the_main_thread_and_an_error_costs_its_scan_only(five_scans):
    def finish(subject):
        if subject == "1":
            raise UserError("0.nii: has changed")
        return subject, threading.current_thread() is threading.main_thread()

    with Workers(1) as workers:
        (group,) = load_in_groups(five_scans[:3], attrgetter("subject_id"), workers, 3, finish)
    assert (group[0], group[2]) == (("0", False), ("2", False))
    assert group[1] == UnreadableScan(five_scans[1], "0.nii: has changed")


def test_few_scans_are_loaded_ahead(five_scans, no_workers):
    """At most two groups are in memory: the one in use and the next."""
    loaded = []

    def load(scan):
        loaded.append(scan.subject_id)
        return scan

    for number, _ in enumerate(load_in_groups(five_scans, load, no_workers, 1), 1):
        assert len(loaded) <= number + 1
    assert loaded == ["0", "1", "2", "3", "4"]
