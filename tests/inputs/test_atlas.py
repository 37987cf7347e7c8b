"""Regions lie where the atlas has them, in mm; images and names that cannot serve are refused."""

import gzip

import nibabel as nib
import numpy as np
import pytest

from mri_saliency.errors import UserError
from mri_saliency.inputs.atlas import Atlas, read_atlas, read_atlas_for, side_of, without_side
from mri_saliency.inputs.grid import Grid
from mri_saliency.maps.image import to_nifti

from ..conftest import AFFINE, FLIPPED, REAL_SHAPE
from ..made_cohort import save_atlas, save_names

SHAPE = (115, 112, 112)
GRID = Grid(REAL_SHAPE, AFFINE, 4, 10, 115)


@pytest.mark.parametrize("affine", [AFFINE, FLIPPED])
def test_labels_are_found_by_mm(atlas, affine):
    grid = Grid(REAL_SHAPE, affine, 4, 10, 115)
    labels = atlas.on_network_grid(grid)
    assert labels.shape == SHAPE and labels.dtype == np.int32
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
    data = to_nifti(bump, grid, "bump").get_fdata()
    centre = (np.argwhere(data > 1e-3) * data[data > 1e-3][:, None]).sum(0) / data[data > 1e-3].sum()
    found_mm = nib.affines.apply_affine(affine, centre)
    np.testing.assert_allclose(nib.affines.apply_affine(grid.input_affine, (50, 30, 71)), found_mm, atol=0.1)


@pytest.mark.parametrize(
    ("left", "right", "without"),
    [
        ("Left Hippocampus", "Right Hippocampus", "Hippocampus"),
        ("Hippocampus_L", "Hippocampus_R", "Hippocampus"),
        ("lHip", "rHip", "Hip"),
        ("7Networks_LH_Vis_1", "7Networks_RH_Vis_1", "7Networks_Vis_1"),
        ("ctx-lh-insula", "ctx-rh-insula", "ctx-insula"),
        ("Area 3b (L)", "Area 3b (R)", "Area 3b"),
        ("Left cube at 15 -45 mm", "Right cube at 15 -45 mm", "cube at 15 -45 mm"),
        ("Left", "Right", None),
    ],
)
def test_sides_are_read_off_names(left, right, without):
    assert (side_of(left), side_of(right)) == ("left", "right")
    assert (without_side(left), without_side(right)) == (without or left, without or right)
    labels = np.zeros((4, 4, 4), int)
    atlas = Atlas(labels, np.eye(4), {5: right, 9: left, 3: "lingual gyrus"}, None)
    assert atlas.pairs() == {5: (9, 5), 9: (9, 5)}


@pytest.mark.parametrize("name", ["lingual", "Brain-Stem", "rectal", "Lobule VI"])
def test_names_without_a_side(name):
    assert side_of(name) is None and without_side(name) == name
    assert side_of(f"{name} left and right") is None


def test_equal_names_stay_apart(tmp_path):
    names = save_names(tmp_path / "n.csv", "1,A\n2,A\n7,B\n")
    assert read_atlas(save_atlas(tmp_path / "a.nii.gz"), names).names == {1: "A (1)", 2: "A (2)", 7: "B"}


def test_an_image_alone_is_an_atlas_also_with_nan_and_a_fourth_axis_of_one(tmp_path):
    image = nib.load(save_atlas(tmp_path / "a.nii.gz"))
    labels = np.asarray(image.dataobj)
    masked = np.where(labels > 0, labels, np.nan).astype(np.float32)
    nib.Nifti1Image(masked[..., None], image.affine).to_filename(tmp_path / "b.nii.gz")
    atlas = read_atlas(tmp_path / "b.nii.gz", None)
    np.testing.assert_array_equal(atlas.labels, labels)
    assert atlas.names == {label: f"label {label}" for label in (1, 2, 7)}


def test_names_of_another_atlas_and_swapped_sides_are_refused(tmp_path):
    path = save_atlas(tmp_path / "a.nii", swap=True)
    with pytest.raises(UserError, match="sides swapped"):
        read_atlas(path, save_names(tmp_path / "n.tsv"))
    with pytest.raises(UserError, match=r"none of its labels \(50\) is in .* \(1, 2, 7\)"):
        read_atlas(path, save_names(tmp_path / "n.csv", "50,X\n"))


def test_an_atlas_of_another_space_is_refused(tmp_path):
    far = np.array([[3, 0, 0, 200], [0, 3, 0, 200], [0, 0, 3, 200], [0, 0, 0, 1.0]])
    path = save_atlas(tmp_path / "a.nii", far)
    synthetic = Grid((112, 136, 112), None, 0, 9, 115)  # no affine, so nothing is known
    with pytest.raises(UserError, match="only 0% of the atlas lies where the network looks"):
        read_atlas_for(path, None, [synthetic, GRID])
    assert read_atlas_for(path, None, [synthetic]).names == read_atlas_for(path, None, []).names
    assert read_atlas_for(None, None, [GRID]) is None


@pytest.mark.parametrize(
    ("voxels", "message"),
    [
        (np.random.default_rng(0).random((5, 5, 5), np.float32), "whole numbers"),
        (np.zeros((5, 5, 5, 3), np.int16), "expected a 3-D volume"),
        (np.full((5, 5, 5), -1, np.int16), "whole numbers"),
        (np.full((5, 5, 5), 115.97, np.float32), "found 115.97"),
        (np.arange(46**3, dtype=np.int32).reshape(46, 46, 46), "found 97335 different values"),
        (np.full((5, 5, 5), np.inf, np.float32), "found inf"),
        (np.full((5, 5, 5), np.nan, np.float32), "zeros alone"),
        (np.zeros((5, 5, 5), [(colour, "u1") for colour in "RGB"]), "colours"),
    ],
)
def test_images_that_are_no_atlas(tmp_path, voxels, message):
    nib.Nifti1Image(voxels, AFFINE).to_filename(tmp_path / "a.nii")
    with pytest.raises(UserError, match=message):
        read_atlas(tmp_path / "a.nii", None)


def test_large_labels_keep_their_names(tmp_path):
    labels = np.zeros((5, 5, 5), np.uint32)
    labels[0], labels[3] = 614_454_277, 315
    nib.Nifti1Image(labels, AFFINE).to_filename(tmp_path / "a.nii")
    (tmp_path / "names.csv").write_text("index,name\n614454277,Nucleus\n")
    atlas = read_atlas(tmp_path / "a.nii", tmp_path / "names.csv")
    found = [atlas.names.get(label) for label in atlas.labels[:, 0, 0].tolist()]
    assert found == ["Nucleus", None, None, "label 315", None] and atlas.labels.max() == 2


@pytest.mark.parametrize("name", ["a.nii.gz", "a.mgz", "a.img"])
def test_an_atlas_whose_affine_nibabel_would_make_up_is_refused(tmp_path, name):
    labels = np.ones((5, 6, 7), np.int16)
    kind = {"mgz": nib.MGHImage, "img": nib.AnalyzeImage}.get(name[-3:], nib.Nifti1Image)
    image = kind(labels, np.eye(4) if name == "a.mgz" else None)
    image.to_filename(tmp_path / name)
    if name == "a.mgz":
        content = bytearray(image.to_bytes())
        content[28:30] = bytes(2)  # goodRASFlag
        (tmp_path / name).write_bytes(gzip.compress(content))
    with pytest.raises(UserError, match="has no affine"):
        read_atlas(tmp_path / name, None)


def test_an_atlas_that_is_absent_or_without_a_place(tmp_path):
    image = nib.Nifti1Image(np.ones((5, 5, 5), np.int16), None)
    image.header.set_sform(np.diag([0, 1, 1, 1.0]), 1)
    image.to_filename(tmp_path / "flat.nii")
    for name, message in (("absent", "no such file.*--atlas"), ("flat", "no place in mm")):
        with pytest.raises(UserError, match=message):
            read_atlas(tmp_path / f"{name}.nii", None)
