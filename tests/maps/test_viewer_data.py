"""A viewer's script holds the map that the NIfTI file holds, to within the stated step, and no markup."""

import base64
import io
import json
import zlib

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from mri_saliency.inputs.grid import Grid
from mri_saliency.inputs.preprocessing import brain_mask, to_network_input, unpad, z_scored
from mri_saliency.maps.drawing import Drawing
from mri_saliency.maps.image import map_to_nifti
from mri_saliency.maps.viewer_data import OUTSIDE, Anatomy, atlas_script, map_script

from ..conftest import AFFINE, FLIPPED, N_SLICES, REAL_SHAPE, SYNTHETIC_SHAPE, brain

DRAWING = Drawing(scale=3.0, overlay_scale=0.5, smooth_mm=6.0, telling_slice=4)


def content_of(script):
    """What the page gets: the key, and the object."""
    assert script.startswith("mriMap(") and script.endswith(");\n")
    return json.loads(f"[{script[7:-3]}]")


def unpacked(text, content, dtype):
    values = np.frombuffer(zlib.decompress(base64.b64decode(text)), dtype)
    return values.reshape(content["size"], order="F")


def box_of(content):
    return tuple(slice(first, first + n) for first, n in zip(content["offset"], content["size"], strict=True))


def assert_holds(script, image):
    """A script's values are the image's within half the distance to the next levels; return its content."""
    key, content = content_of(script)
    q, expected = unpacked(content["values"], content, np.int8), image.get_fdata()[box_of(content)]
    levels, largest = content["levels"], content["largest"]
    found = np.sign(q) * largest * (q / levels) ** 2
    step = largest * (np.abs(q.astype(float)) + 0.2501) / levels**2
    inside = q != OUTSIDE
    assert (np.abs(found - expected) <= step)[inside].all()
    assert largest == pytest.approx(np.abs(expected[inside]).max())
    return key, content


def seen_by(shape, seed=0):
    """The anatomy of a made-up scan: its greys, and its brain."""
    slices = to_network_input(z_scored(brain(shape, seed)), N_SLICES, 40)
    greys = np.interp(unpad(slices), (slices.min(), slices.max()), (0, 255)).astype(np.uint8)
    return Anatomy(greys, unpad(brain_mask(slices)))


@pytest.mark.parametrize("method", ["integrated_gradients", "saliency"])
@pytest.mark.parametrize(
    ("shape", "affine"), [(REAL_SHAPE, AFFINE), (REAL_SHAPE, FLIPPED), (SYNTHETIC_SHAPE, None)]
)
def test_values_are_the_nifti_files_within_the_step(tmp_path, shape, affine, method):
    grid, anatomy = Grid(shape, affine, 0, 40, N_SLICES), seen_by(shape)
    values = np.random.default_rng(1).standard_normal((N_SLICES, 128, 128)).astype(np.float32) ** 3
    values = np.abs(values) if method == "saliency" else values
    map_to_nifti(values, grid, method, 1.0).to_filename(tmp_path / "map.nii.gz")
    image = nib.load(tmp_path / "map.nii.gz")
    script = map_script(f"{method}/sub-A", np.asarray(image.dataobj), grid, anatomy, DRAWING)
    key, content = assert_holds(script, image)
    q, box = unpacked(content["values"], content, np.int8), box_of(content)
    inside = q != OUTSIDE
    assert (q[inside] < 0).any() == content["signed"] == (method != "saliency")
    weight = map_to_nifti(
        np.pad(anatomy.brain.astype(np.float32), ((0, 0), (8, 8), (8, 8))), grid, "saliency", 1
    )
    in_brain = np.asarray(weight.dataobj) > 0.5 * weight.dataobj.max()
    assert (inside == in_brain[box]).mean() > 0.99 and inside.sum() == pytest.approx(in_brain.sum(), rel=0.02)
    assert key == f"{method}/sub-A" and content["shape"] == list(shape)
    mass = 112 * 112 / (shape[0] * shape[2])
    assert content["limits"] == pytest.approx([3 * mass, 0.5 * mass]) and content["smooth_mm"] == 6
    if affine is None:
        assert content["affine"] is content["inverse"] is None and content["signs"] == [1, 1, 1]
    else:
        np.testing.assert_allclose(content["affine"], affine)
        np.testing.assert_allclose(np.dot(content["inverse"], affine), np.eye(4), atol=1e-12)
        assert content["signs"] == [1 if affine is AFFINE else -1, 1, 1]
    assert content["voxel_mm"] == pytest.approx([1.5, 1.5, 1.5])


@pytest.mark.parametrize("max_height", [16_000, 500])
def test_the_anatomy_lies_where_the_scan_does_with_a_margin(monkeypatch, max_height):
    monkeypatch.setattr("mri_saliency.maps.viewer_data._MAX_HEIGHT", max_height)
    grid, anatomy = Grid(SYNTHETIC_SHAPE, None, 0, 40, N_SLICES), seen_by(SYNTHETIC_SHAPE)
    volume = np.zeros(SYNTHETIC_SHAPE, np.float32)
    _, content = content_of(map_script("saliency/12", volume, grid, anatomy, DRAWING))
    picture = np.asarray(Image.open(io.BytesIO(base64.b64decode(content["anatomy"]))))
    assert len(picture) <= max_height
    box, n = box_of(content), np.prod(content["size"])
    greys = picture.ravel()[:n].reshape(content["size"], order="F").astype(float)
    scan = brain(SYNTHETIC_SHAPE)[box]
    assert np.corrcoef(greys.ravel(), scan.ravel())[0, 1] > 0.9
    assert np.abs(greys - 255 * scan).mean() < 20
    outside = unpacked(content["values"], content, np.int8) == OUTSIDE
    assert outside[:2].all() and outside[-2:].all() and not outside[2].all() and not outside[-3].all()
    assert content["offset"][1] == 40 and content["size"][1] == N_SLICES  # all slices hold brain
    assert content["largest"] == 0 and not unpacked(content["values"], content, np.int8)[~outside].any()


def test_a_scan_without_brain_keeps_all_that_the_network_saw():
    nothing = Anatomy(np.zeros((N_SLICES, 112, 112), np.uint8), np.zeros((N_SLICES, 112, 112), bool))
    grid = Grid(REAL_SHAPE, AFFINE, 4, 10, N_SLICES)
    _, content = content_of(map_script("saliency/x", np.ones(REAL_SHAPE, np.float32), grid, nothing, DRAWING))
    assert content["offset"] == [0, 10, 0] and content["size"] == [113, N_SLICES, 113]
    assert (unpacked(content["values"], content, np.int8) == content["levels"]).all()


def test_an_atlas_gives_each_voxel_its_name_and_cannot_close_the_script():
    grid = Grid(REAL_SHAPE, FLIPPED, 4, 10, N_SLICES)
    labels = np.zeros(REAL_SHAPE, np.int32)
    labels[20:40, 30:50, 60:61], labels[40:60, 30:50, 60:62] = 7, 9000
    script = atlas_script(labels, {7: "</script><b>", 9000: "Insula"}, grid)
    assert "<" not in script
    key, content = content_of(script)
    assert key == "atlas" and content["offset"] == [20, 30, 60] and content["size"] == [40, 20, 2]
    regions = np.array(content["names"])[unpacked(content["labels"], content, "<u2")]
    expected = np.array(["", "</script><b>", "Insula"])[
        np.searchsorted([0, 7, 9000], labels[box_of(content)])
    ]
    np.testing.assert_array_equal(regions, expected)
