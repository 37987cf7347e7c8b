"""A grid is a value: equal, hashable, kept in JSON; it says where in the head the network's slices are."""

import json
from dataclasses import asdict

import numpy as np
import pytest

from mri_saliency.inputs.grid import Grid, mixed_directions, orientation_to, upright
from mri_saliency.inputs.grid import difference_from_training_grid as difference

from ..conftest import AFFINE, FLIPPED, REAL_SHAPE, SYNTHETIC_SHAPE

REAL = Grid(REAL_SHAPE, AFFINE, 4, first_slice=10, n_slices=115)
MIRRORED = Grid(REAL_SHAPE, FLIPPED, 4, first_slice=10, n_slices=115)
SYNTHETIC = Grid(SYNTHETIC_SHAPE, None, 0, first_slice=9, n_slices=115)


def test_json_gives_the_same_key_of_a_dict_and_an_affine_has_four_rows():
    again = {Grid(**json.loads(json.dumps(asdict(grid)))) for grid in (REAL, MIRRORED, SYNTHETIC)}
    assert again == {REAL, MIRRORED, SYNTHETIC} and len(again) == 3
    with pytest.raises(ValueError, match=r"shape \(4, 4\), found \(3, 3\)"):
        Grid(REAL_SHAPE, np.eye(3), 4, 10, 115)


def test_differences_from_the_training_grid():
    for grid in (REAL, MIRRORED, SYNTHETIC):
        assert difference(grid) is None
    for shape, steps, words in (
        ((182, 218, 182), (1, 1, 1), "voxels of 1 x 1 x 1 mm"),
        (REAL_SHAPE, (1.5, -1.5, 1.5), "backward"),
        (REAL_SHAPE, (1.5, 1.5, -1.5), "backward"),
        ((121, 145, 121), (1.5, 1.5, 1.5), "shape (121, 145, 121)"),
    ):
        assert words in difference(Grid(shape, np.diag([*steps, 1.0]), 4, 10, 115))


@pytest.mark.parametrize("x_step", [1.5, -1.5])
@pytest.mark.parametrize(
    ("degrees", "words"), [(0.5, None), (0.7, "rotated by 0.7 degrees"), (-12, "rotated by 12.0 degrees")]
)
def test_a_rotated_affine_differs_from_the_training_grid(x_step, degrees, words):
    cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    rotation = np.array([[cosine, -sine, 0, 0], [sine, cosine, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
    affine = rotation @ np.diag([x_step, 1.5, 1.5, 1])
    found = difference(Grid(REAL_SHAPE, affine, 4, 10, 115))
    assert found is None if words is None else words in found


def test_scans_whose_x_axis_runs_against_the_others():
    grids = {f"r{i}": REAL for i in range(7)} | {"s": SYNTHETIC}
    assert mixed_directions(grids) == mixed_directions({}) == (None, set())
    assert mixed_directions({"a": MIRRORED, "s": SYNTHETIC}) == (None, set())
    warning, fewer = mixed_directions(grids | {"l0": MIRRORED, "l1": MIRRORED})
    assert fewer == {"l0", "l1"} and "exchanged for it in l0, l1, and these maps" in warning
    assert "to the right in 7 of the scans and to the left in 2." in warning
    warning, fewer = mixed_directions(grids | {f"l{i}": MIRRORED for i in range(10)})
    assert fewer == {f"r{i}" for i in range(7)} and "in r0, r1, r2 and 4 more" in warning
    assert mixed_directions({"r": REAL, "l": MIRRORED})[1] == {"l"}


def test_places_are_in_mm_or_without_affine_voxels():
    assert (REAL.slice_y_mm(40), REAL.slice_y_mm(60)) == (-45.0, -15.0)
    assert REAL.extent == (-84.75, 84.75, -72.75, 96.75) == MIRRORED.extent
    titles = [REAL.slice_title(index) for index in (40, 74)]
    assert titles == ["slice 40, y = \N{MINUS SIGN}45.0 mm", "slice 74, y = 6.0 mm"]
    assert SYNTHETIC.slice_y_mm(40) is None and SYNTHETIC.input_affine is None
    assert SYNTHETIC.extent == (0, 112, 0, 112) and SYNTHETIC.slice_title(40) == "slice 40"


def test_input_indices_in_mm_have_the_edges_of_the_scan():
    """The outer edges of 112 pixels are those of 113 voxels."""
    for grid in (REAL, MIRRORED):
        corners = np.array([[0, -0.5, -0.5, 1], [0, 111.5, 111.5, 1]]) @ grid.input_affine.T
        expected = np.array([[-0.5, 10, -0.5, 1], [112.5, 10, 112.5, 1]]) @ grid.matrix.T
        np.testing.assert_allclose(corners, expected)


def test_orientation_of_two_grids():
    nearly = AFFINE + [[0, 0, 0, 0.5], [0] * 4, [0] * 4, [0] * 4]
    shifted = AFFINE + [[0] * 4, [0, 0, 0, 3], [0] * 4, [0] * 4]
    assert orientation_to(REAL, REAL) == "same"
    assert orientation_to(Grid(REAL_SHAPE, nearly, 4, 10, 115), REAL) == "same"
    assert orientation_to(MIRRORED, REAL) == orientation_to(REAL, MIRRORED) == "mirrored"
    assert orientation_to(Grid(REAL_SHAPE, shifted, 4, 10, 115), REAL) is None
    assert orientation_to(Grid(REAL_SHAPE, AFFINE, 4, 12, 115), REAL) is None
    unknown = Grid((91, 130, 100), None, 0, 10, 115)  # judged by its shape
    assert orientation_to(SYNTHETIC, REAL) == orientation_to(unknown, unknown) == "same"
    assert orientation_to(unknown, REAL) is None and orientation_to(REAL, unknown) is None


def test_the_patients_left_is_on_the_left_and_superior_up():
    slices = np.zeros((1, 3, 4))
    slices[0, 0, 3] = 1  # smallest x, largest z
    backward_z = Grid(REAL_SHAPE, AFFINE * [1, 1, -1, 1], 4, 10, 115)
    for grid, pixel in ((REAL, (0, 0)), (MIRRORED, (0, 2)), (SYNTHETIC, (0, 0)), (backward_z, (3, 0))):
        shown = upright(slices, grid)
        assert shown.shape == (1, 4, 3) and shown[0][pixel] == 1 and shown.base is slices
