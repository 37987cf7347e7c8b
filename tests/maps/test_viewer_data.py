"""A viewer's script holds the map that the NIfTI file holds, to within the stated step, and no markup."""

import base64
import io
import json
import zlib

import numpy as np
import pytest
from PIL import Image

from mri_saliency.inputs.grid import Grid
from mri_saliency.inputs.preprocessing import brain_mask, to_network_input, unpad, z_scored
from mri_saliency.maps.drawing import Drawing
from mri_saliency.maps.image import map_to_nifti, to_nifti
from mri_saliency.maps.viewer_data import OUTSIDE, Anatomy, atlas_script, map_script

from ..conftest import AFFINE, FLIPPED, N_SLICES, REAL_SHAPE, SYNTHETIC_SHAPE, brain

DRAWING = Drawing(scale=3.0, overlay_scale=0.5, smooth_mm=6.0, telling_slice=4)


def content_of(script):
    """What the page gets: the key, and the object."""
    assert script.startswith("mriMap(") and script.endswith(");\n")
    return json.loads(f"[{script[7:-3]}]")


def unpacked(text, content, dtype=np.int8):
    values = np.frombuffer(zlib.decompress(base64.b64decode(text)), dtype)
    return values.reshape(content["size"], order="F")


def box_of(content):
    return tuple(slice(first, first + n) for first, n in zip(content["offset"], content["size"], strict=True))


def assert_holds(script, image):
    """A script's values are the image's within half the distance to the next levels; return its content."""
    key, content = content_of(script)
    q, expected = unpacked(content["values"], content), image.get_fdata()[box_of(content)]
    levels, largest = content["levels"], content["largest"]
    found = np.sign(q) * largest * (q / levels) ** 2
    step = largest * (np.abs(q.astype(float)) + 0.29) / levels**2  # 0.25, and the steps of an image in int16
    inside = q != OUTSIDE
    assert (np.abs(found - expected) <= step)[inside].all()
    assert largest == pytest.approx(np.abs(expected[inside]).max(), rel=1e-4)
    return key, content


def seen_by(shape):
    """The anatomy of a made-up scan: its greys, and its brain."""
    slices = to_network_input(z_scored(brain(shape))[0], N_SLICES, 40)
    greys = np.interp(unpad(slices), (slices.min(), slices.max()), (0, 255)).astype(np.uint8)
    return Anatomy(greys, unpad(brain_mask(slices)))


@pytest.mark.parametrize(
    ("shape", "affine", "sign", "method"),
    [
        (REAL_SHAPE, AFFINE, 1, "integrated_gradients"),
        (REAL_SHAPE, FLIPPED, -1, "saliency"),
        (SYNTHETIC_SHAPE, None, 1, "integrated_gradients"),
    ],
)
def test_values_are_the_nifti_files_within_the_step(shape, affine, sign, method):
    grid, anatomy = Grid(shape, affine, 0, 40, N_SLICES), seen_by(shape)
    values = np.random.default_rng(1).standard_normal((N_SLICES, 128, 128)).astype(np.float32) ** 3
    values = np.abs(values) if method == "saliency" else values
    image = map_to_nifti(values, grid, method, 1.0)
    script = map_script(f"{method}/sub-A", np.asarray(image.dataobj), grid, anatomy, DRAWING)
    key, content = assert_holds(script, image)
    q = unpacked(content["values"], content)
    inside = q != OUTSIDE
    assert (q[inside] < 0).any() == content["signed"] == (method != "saliency")
    weight = to_nifti(anatomy.brain.astype(np.float32), grid, "brain").get_fdata()
    in_brain = weight > 0.5 * weight.max()
    assert (inside == in_brain[box_of(content)]).mean() > 0.99
    assert inside.sum() == pytest.approx(in_brain.sum(), rel=0.02)
    assert key == f"{method}/sub-A" and content["shape"] == list(shape)
    mass = 112 * 112 / (shape[0] * shape[2])
    assert content["limits"] == pytest.approx([3 * mass, 0.5 * mass]) and content["smooth_mm"] == 6
    assert content["signs"] == [sign, 1, 1] and content["voxel_mm"] == pytest.approx([1.5, 1.5, 1.5])
    if affine is None:
        assert content["affine"] is content["inverse"] is None
    else:
        np.testing.assert_allclose(content["affine"], affine)
        np.testing.assert_allclose(np.dot(content["inverse"], affine), np.eye(4), atol=1e-12)


@pytest.mark.parametrize("max_height", [16_000, 500])
def test_the_anatomy_lies_where_the_scan_does_with_a_margin(monkeypatch, max_height):
    monkeypatch.setattr("mri_saliency.maps.viewer_data._MAX_HEIGHT", max_height)
    grid, anatomy = Grid(SYNTHETIC_SHAPE, None, 0, 40, N_SLICES), seen_by(SYNTHETIC_SHAPE)
    volume = np.zeros(SYNTHETIC_SHAPE, np.float32)
    _, content = content_of(map_script("saliency/12", volume, grid, anatomy, DRAWING))
    picture = np.asarray(Image.open(io.BytesIO(base64.b64decode(content["anatomy"]))))
    assert len(picture) <= max_height
    greys = picture.ravel()[: np.prod(content["size"])].reshape(content["size"], order="F").astype(float)
    scan = brain(SYNTHETIC_SHAPE)[box_of(content)]
    assert np.corrcoef(greys.ravel(), scan.ravel())[0, 1] > 0.9
    assert np.abs(greys - 255 * scan).mean() < 20
    q = unpacked(content["values"], content)
    outside = q == OUTSIDE
    assert outside[:2].all() and outside[-2:].all() and not outside[2].all() and not outside[-3].all()
    assert content["offset"][1] == 40 and content["size"][1] == N_SLICES  # all slices hold brain
    assert content["largest"] == 0 and not q[~outside].any()


def test_a_scan_without_brain_keeps_all_that_the_network_saw():
    nothing = np.zeros((N_SLICES, 112, 112), np.uint8)
    grid, volume = Grid(REAL_SHAPE, AFFINE, 4, 10, N_SLICES), np.ones(REAL_SHAPE, np.float32)
    script = map_script("saliency/x", volume, grid, Anatomy(nothing, nothing > 0), DRAWING)
    _, content = content_of(script)
    assert content["offset"] == [0, 10, 0] and content["size"] == [113, N_SLICES, 113]
    assert (unpacked(content["values"], content) == content["levels"]).all()


def test_an_atlas_gives_each_voxel_its_name_and_cannot_close_the_script():
    labels = np.zeros(REAL_SHAPE, np.int32)
    labels[20:40, 30:50, 60:61], labels[40:60, 30:50, 60:62] = 7, 9000
    names = {7: "</script><b>", 9000: "Insula"}
    script = atlas_script(labels, names, Grid(REAL_SHAPE, FLIPPED, 4, 10, N_SLICES))
    assert "<" not in script
    key, content = content_of(script)
    assert key == "atlas" and content["offset"] == [20, 30, 60] and content["size"] == [40, 20, 2]
    regions = np.array(content["names"])[unpacked(content["labels"], content, "<u2")]
    np.testing.assert_array_equal(regions, np.vectorize({0: "", **names}.get)(labels[box_of(content)]))
