"""The pictures of the first screen: cut at the strongest point, upright, on one scale, outlined."""

import re

import numpy as np
import pytest
from PIL import Image

from mri_saliency.cohort.common_space import find_common_space
from mri_saliency.groups.means import write_means
from mri_saliency.groups.method_maps import find_method_maps
from mri_saliency.inputs.grid import PAD
from mri_saliency.maps.image import Meaning, to_nifti
from mri_saliency.output.files import write_array, write_nifti
from mri_saliency.report.answer_pictures import draw_answer

METHOD = "input_x_gradient"
SPOTS = {"left": (-12.0, -99.0, 4.0), "right": (12.0, -99.0, 20.0)}  # mm, of a group's strongest point


@pytest.fixture
def drawn(cohort, no_workers):
    """The pictures of maps with one spot on the side of the focus, and the maps."""
    records = [record for record in cohort.records if record.method == METHOD]
    for record in records:
        values = np.zeros((record.grid.n_slices, 128, 128), np.float32)
        spot = SPOTS.get(record.statistics.diagnosis)
        if spot is not None and record.grid.affine is not None:
            place = np.linalg.solve(record.grid.input_affine, (*spot, 1))[:3]
            index, x, z = np.clip(np.rint(place).astype(int), 0, np.array(values.shape) - 1)
            values[index, x + PAD, z + PAD] = 1.0
        write_array(cohort.folder.array(METHOD, record.subject_id), values)
    space, _ = find_common_space(cohort.folder, records, no_workers)
    [maps] = find_method_maps(cohort.folder, records, space, (4, 6))
    cohort.folder.open_groups(METHOD)
    write_means(maps, 6.0)
    for side, ratio in (("left", 0.5), ("right", 2.0)):  # significantly less, and more
        for name, value in (("neg_log10_p_fwe", 2.0), ("ratio", ratio)):
            image = to_nifti(np.full(maps.space.brain.shape, value), space.grid, name, Meaning(nearest=True))
            write_nifti(cohort.folder.group_map(METHOD, f"{side}_minus_HC_{name}.nii.gz"), image)
    shown = [record for record in records if record.subject_id in ("sub-B", "sub-F", "sub-G")]
    return draw_answer(maps, shown, 6.0, no_workers)


def pixels(path, colour):
    """Where a picture has a colour: rows and columns, as shares of its size."""
    red, green, blue = np.moveaxis(np.asarray(Image.open(path).convert("RGB"), int), -1, 0)
    found = {"red": red - np.maximum(green, blue) > 60, "yellow": np.minimum(red, green) - blue > 150}[colour]
    places = zip(found.nonzero(), red.shape, strict=True)
    return [part.mean() / n if part.size else None for part, n in places]


def test_groups_are_cut_at_their_strongest_point_left_on_the_left(drawn):
    assert list(drawn.groups) == ["left", "right"] and drawn.has_sides
    for name, group in drawn.groups.items():
        place = [float(number) for number in re.findall(r"-?[0-9]+", group.place.replace("−", "-"))]
        assert place == pytest.approx(SPOTS[name], abs=1)
        for plane in ("coronal", "axial"):
            assert (pixels(group.planes[plane], "red")[1] < 0.5) == (name == "left")
    rows = {name: pixels(group.planes["coronal"], "red")[0] for name, group in drawn.groups.items()}
    assert rows["right"] < rows["left"]  # 16 mm higher
    for name, group in drawn.groups.items():  # a line around what patients have more of
        row, _ = pixels(group.planes["coronal"], "yellow")
        assert group.is_compared and (row is None) == (name == "left")


def test_scans_of_every_orientation_and_grid_are_upright(drawn):
    assert list(drawn.tiles) == ["sub-B", "sub-F", "sub-G"] and drawn.place.startswith("y = −9")
    columns = {name: pixels(path, "red")[1] for name, path in drawn.tiles.items()}
    assert columns["sub-B"] < 0.5 < columns["sub-F"]  # sub-B's file has x to the left
    assert columns["sub-G"] < 0.5  # voxels of 2 mm
