"""Regions lie where the atlas says, in mm, and their masses add up."""

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from mri_saliency import regions, volumes
from mri_saliency.errors import UserError
from mri_saliency.volumes import Grid

from .conftest import AFFINE, FLIPPED, REAL_SHAPE

SHAPE = (115, 112, 112)
GRID = Grid(REAL_SHAPE, AFFINE, 4, 10, 115)


def save_atlas(path, affine=None, swap=False):
    """A 3 mm atlas of MNI space: left (1) and right (2) of the midline, and a front block (7)."""
    affine = (
        np.array([[3, 0, 0, -90], [0, 3, 0, -126], [0, 0, 3, -72], [0, 0, 0, 1.0]])
        if affine is None
        else affine
    )
    labels = np.zeros((61, 73, 61), np.int16)
    x_mm = affine[0, 0] * np.arange(61) + affine[0, 3]
    labels[x_mm < -3], labels[x_mm > 3] = (2, 1) if swap else (1, 2)
    y_mm = affine[1, 1] * np.arange(73) + affine[1, 3]
    labels[:, y_mm > 30] = 7
    nib.Nifti1Image(labels, affine).to_filename(path)
    return path


def save_names(path, text="index\tname\n1\tLeft Side\n2\tRight Side\n7\tFront\n99\tElsewhere\n"):
    path.write_text(text)
    return path


@pytest.fixture
def atlas(tmp_path):
    return regions.read_atlas(save_atlas(tmp_path / "a.nii.gz"), save_names(tmp_path / "names.tsv"))


@pytest.mark.parametrize("affine", [AFFINE, FLIPPED])
def test_labels_are_found_by_mm(atlas, affine):
    grid = Grid(REAL_SHAPE, affine, 4, 10, 115)
    labels = atlas.on_network_grid(grid.input_affine, SHAPE)
    for voxel in np.random.default_rng(0).integers(0, SHAPE, (300, 3)):
        x_mm, y_mm, _ = nib.affines.apply_affine(grid.input_affine, voxel)
        expected = 7 if y_mm > 31.5 else 1 if x_mm < -4.5 else 2 if x_mm > 4.5 else None
        if expected and y_mm < 28:
            assert labels[tuple(voxel)] == expected


@pytest.mark.parametrize("affine", [AFFINE, FLIPPED])
def test_input_affine_agrees_with_the_map_in_the_scans_grid(affine):
    """A bump's centre of mass has the same mm in the map's indices as in the NIfTI image."""
    grid = Grid((90, 130, 100), affine, 4, 10, 115)
    k, x, z = np.indices(SHAPE, sparse=True)
    bump = np.exp(-((k - 50) ** 2 + (x - 30) ** 2 + (z - 71) ** 2) / 30).astype(np.float32)
    image = volumes.to_nifti(bump, grid, "bump")
    data = image.get_fdata()
    centre = (np.argwhere(data > 1e-3) * data[data > 1e-3][:, None]).sum(0) / data[data > 1e-3].sum()
    found_mm = nib.affines.apply_affine(affine, centre)
    np.testing.assert_allclose(nib.affines.apply_affine(grid.input_affine, (50, 30, 71)), found_mm, atol=0.1)


def test_rows_add_up_and_give_density_and_asymmetry(atlas):
    labels = atlas.on_network_grid(GRID.input_affine, SHAPE)
    values = np.ones(SHAPE, np.float32)
    values[labels == 1] = -3.0
    total = float(np.abs(values).sum(dtype=np.float64))
    brain = regions.BrainMass(
        mass=total, share=0.5, n_voxels=values.size // 4, n_outside=values.size * 3 // 4
    )
    rows = {row["region"]: row for row in regions.region_rows(values, labels, atlas, brain)}
    assert set(rows) == {"Left Side", "Right Side", "Front", regions.OUTSIDE}
    left, right = rows["Left Side"], rows["Right Side"]
    n_left, n_right = (labels == 1).sum(), (labels == 2).sum()
    assert left["mass"] == pytest.approx(3 * n_left) and right["mass"] == pytest.approx(n_right)
    assert left["share"] == pytest.approx(3 * n_left / total)
    assert left["density"] == pytest.approx(3 / (0.5 * total / (values.size // 4)))
    assert (
        left["asymmetry"]
        == right["asymmetry"]
        == pytest.approx((3 * n_left - n_right) / (3 * n_left + n_right))
    )
    assert rows["Front"]["asymmetry"] is None
    assert rows[regions.OUTSIDE]["share"] == pytest.approx(0.5)


def test_a_map_of_zeros_has_no_shares(atlas):
    labels = atlas.on_network_grid(GRID.input_affine, SHAPE)
    brain = regions.BrainMass(mass=0.0, share=None, n_voxels=10, n_outside=10)
    rows = regions.region_rows(np.zeros(SHAPE, np.float32), labels, atlas, brain)
    assert all(row["share"] is row["density"] is row["asymmetry"] is None for row in rows)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("Left Hippocampus", "Right Hippocampus"),
        ("Hippocampus_L", "Hippocampus_R"),
        ("lHip", "rHip"),
        ("7Networks_LH_Vis_1", "7Networks_RH_Vis_1"),
        ("ctx-lh-insula", "ctx-rh-insula"),
        ("Area 3b (L)", "Area 3b (R)"),
    ],
)
def test_sides_are_read_off_names(left, right):
    assert (regions.side_of(left), regions.side_of(right)) == ("left", "right")
    labels = np.zeros((4, 4, 4), int)
    atlas = regions.Atlas(labels, np.eye(4), {5: right, 9: left, 3: "lingual gyrus"}, None)
    assert atlas.pairs() == {5: (9, 5), 9: (9, 5)}


@pytest.mark.parametrize("name", ["lingual", "Brain-Stem", "rectal", "Lobule VI", "left and right"])
def test_names_without_a_side(name):
    assert regions.side_of(name) is None


@pytest.mark.parametrize(
    "text",
    [
        "ROIid;ROIabbr;ROIname;ROIbaseid\n1;lS;Left Side;1\n2;rS;Right Side;1\n",  # CAT12
        "index,name,color\n0,Background,#000000\n1,Left Side,#123456\n2,Right Side,#654321\n",  # nilearn
        '1,"Left Side"\n2,Right Side\n',
        "\ufeffname\tindex\nLeft Side\t1\nRight Side\t2\n",
    ],
)
def test_layouts_of_names(tmp_path, text):
    atlas = regions.read_atlas(save_atlas(tmp_path / "a.nii"), save_names(tmp_path / "names.csv", text))
    assert atlas.names == {1: "Left Side", 2: "Right Side", 7: "label 7"}


def test_equal_names_stay_apart(tmp_path):
    names = save_names(tmp_path / "n.csv", "1,A\n2,A\n7,B\n")
    assert regions.read_atlas(save_atlas(tmp_path / "a.nii"), names).names == {1: "A (1)", 2: "A (2)", 7: "B"}


def test_swapped_sides_are_refused(tmp_path):
    path, names = save_atlas(tmp_path / "a.nii", swap=True), save_names(tmp_path / "n.tsv")
    with pytest.raises(UserError, match="sides swapped"):
        regions.read_atlas(path, names)


def test_an_atlas_of_another_space_is_refused(tmp_path):
    far = np.array([[3, 0, 0, 200], [0, 3, 0, 200], [0, 0, 3, 200], [0, 0, 0, 1.0]])
    atlas = regions.read_atlas(save_atlas(tmp_path / "a.nii", far), None)
    with pytest.raises(UserError, match="only 0% of the atlas lies where the network looks"):
        atlas.on_network_grid(GRID.input_affine, SHAPE)


@pytest.mark.parametrize(
    ("voxels", "message"),
    [
        (np.random.default_rng(0).random((5, 5, 5), np.float32), "whole numbers"),
        (np.zeros((5, 5, 5, 3), np.int16), "3-D label image"),
        (np.zeros((5, 5, 5), np.int16), "zeros alone"),
        (np.full((5, 5, 5), np.nan, np.float32), "whole numbers"),
    ],
)
def test_images_that_are_no_atlas(tmp_path, voxels, message):
    nib.Nifti1Image(voxels, AFFINE).to_filename(tmp_path / "a.nii")
    with pytest.raises(UserError, match=message):
        regions.read_atlas(tmp_path / "a.nii", None)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n1,2\n", "expected a column of labels"),
        ("", "expected a column"),
        ("50,X\n", "none of its labels"),
    ],
)
def test_tables_that_name_nothing(tmp_path, text, message):
    with pytest.raises(UserError, match=message):
        regions.read_atlas(save_atlas(tmp_path / "a.nii"), save_names(tmp_path / "n.csv", text))
    with pytest.raises(UserError, match="cannot be read"):
        regions.read_atlas(tmp_path / "absent.nii", None)


def test_densest_regions_come_first():
    rows = [
        {"method": method, "region": f"region {i}", "density": i * sign if i else None}
        for method, sign in (("b", 1.0), ("a", -1.0))
        for i in range(12)
        for _ in range(2)
    ]
    found = regions.densest(pd.DataFrame(rows))
    assert list(found) == ["b", "a"] and len(found["b"]) == 10
    assert found["b"][0] == "region 11" and found["a"][0] == "region 1"
