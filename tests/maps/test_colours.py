"""Colours saturate where they should, and blends show what lies under them."""

import numpy as np
import pytest

from mri_saliency.maps import colours


@pytest.mark.parametrize(("largest", "scale"), [(1.23e-7, 1.3e-7), (5.0, 5.0), (0.0, 0.0)])
def test_colour_scale_rounds_up(largest, scale):
    assert colours.colour_scale(np.full((4, 5, 5), -largest)) == pytest.approx(scale)


def test_few_of_the_brains_voxels_saturate():
    """The strongest thousandth of the brain is told apart; the rest of the volume does not count."""
    brain = np.arange(200_000) < 100_000
    values = np.zeros(200_000)
    values[:100] = np.arange(1, 101)  # a thousandth of the brain
    values[150_000:] = 5000.0
    assert colours.colour_scale(values, brain) == pytest.approx(91)
    assert colours.colour_scale(values, brain, is_smooth=True) == pytest.approx(1)
    assert colours.colour_scale(values, np.zeros_like(brain)) == pytest.approx(5000)  # no brain is known
    assert colours.colour_scale(np.eye(1, 100_000)) == 1  # the maximum, where few voxels are not zero


def test_values_beyond_the_table_get_its_ends():
    found = colours.lookup(colours.GREY, np.array([-1.0, 0.0, 0.5, 1.0, 9.0]))
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found[:, 0], [0, 0, 128, 255, 255])


def test_an_overlay_is_transparent_at_zero_and_opaque_at_one():
    under = np.full((3, 4), (10, 20, 30, 255), np.uint8)
    found = colours.overlay(under, np.array([0.0, 1.0, 2.0]))
    np.testing.assert_array_equal(found[0], under[0])
    np.testing.assert_array_equal(found[1], found[2])
    red, blue = colours.overlay_colours(np.array([1.0, -1.0]))
    np.testing.assert_array_equal(found[1], red)
    assert red[0] > red[2] + 100 and blue[2] > blue[0] + 100


def test_an_overlay_on_another_scale_has_its_opacity_times_a_power_of_the_ratio():
    values = np.linspace(-1, 1, 9)
    alone, on_common = (colours.overlay_colours(part)[:, 3].astype(float) for part in (values, values / 20))
    np.testing.assert_allclose(on_common, alone * (1 / 20) ** 0.6, atol=0.7)


def test_the_outline_is_the_border_of_the_part():
    outlined = np.zeros((6, 6), bool)
    outlined[1:4, 1:4] = True
    under = np.zeros((6, 6, 4), np.uint8)
    found = colours.highlighted(under, np.zeros((6, 6)), np.zeros((6, 6)), outlined)
    yellow = (found == (255, 225, 0, 255)).all(-1)
    border = np.zeros((12, 12), bool)
    border[2:8, 2:8] = True
    border[3:7, 3:7] = False
    np.testing.assert_array_equal(yellow, border)
