"""Colours saturate where they should, and blends show what lies under them."""

import numpy as np
import pytest

from mri_saliency.maps import colours


@pytest.mark.parametrize(("largest", "scale"), [(1.23e-7, 1.3e-7), (5.0, 5.0), (0.0, 0.0)])
def test_colour_scale_rounds_up(largest, scale):
    assert colours.colour_scale(np.full((4, 5, 5), -largest)) == pytest.approx(scale)


def test_colour_scale_is_the_percentile_of_the_whole_map():
    values = np.zeros(100_000)
    values[:150], values[:50] = 1.0, 1000.0
    assert colours.colour_scale(values) == pytest.approx(1.0)


def test_colour_scale_of_a_map_with_few_voxels_above_zero_is_its_maximum():
    values = np.zeros(100_000)
    values[7] = -3.0
    assert colours.colour_scale(values) == pytest.approx(3.0)


def test_values_beyond_the_table_get_its_ends():
    found = colours.lookup(colours.GREY, np.array([-1.0, 0.0, 0.5, 1.0, 9.0]))
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found[:, 0], [0, 0, 128, 255, 255])


def test_an_overlay_is_transparent_at_zero_and_opaque_at_one():
    under = np.full((3, 4), (10, 20, 30, 255), np.uint8)
    found = colours.overlay(under, np.array([0.0, 1.0, 2.0]))
    np.testing.assert_array_equal(found, [(10, 20, 30, 255), (255, 255, 0, 255), (255, 255, 0, 255)])


def test_the_outline_is_the_border_of_the_part():
    outlined = np.zeros((6, 6), bool)
    outlined[1:4, 1:4] = True
    under = np.zeros((6, 6, 4), np.uint8)
    found = colours.highlighted(under, np.zeros((6, 6)), 2.0, outlined)
    yellow = (found == (255, 225, 0, 255)).all(-1)
    border = np.zeros((12, 12), bool)
    border[2:8, 2:8] = True
    border[3:7, 3:7] = False
    np.testing.assert_array_equal(yellow, border)
