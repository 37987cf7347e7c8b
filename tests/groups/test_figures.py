"""Group figures show means on one scale, and fade what is not significant."""

from dataclasses import replace

import numpy as np
import pytest

from mri_saliency.groups.figures import contrast_figure, group_figure
from mri_saliency.maps import colours

from ..maps.views import layer, made_up_view

SIZE, GAP, LEFT, TOP = 224, 6, 30, 62 + 36


def panel(picture, row, column=0):
    top, left = TOP + row * (SIZE + GAP), LEFT + column * (SIZE + GAP)
    return picture[top : top + SIZE, left : left + SIZE, :3].astype(int)


def test_a_difference_fades_where_it_is_not_significant_and_is_outlined_where_it_is():
    score, p = np.zeros((1, 112, 112), np.float32), np.ones((1, 112, 112), np.float32)
    score[0, 20:40, 20:40], p[0, 20:40, 20:40] = 4.0, 0.01
    score[0, 70:90, 20:40], p[0, 70:90, 20:40] = 1.0, 0.5  # half the threshold: a quarter opaque
    view = replace(made_up_view(1), anatomy=np.full((1, 112, 112), 128, np.uint8))
    picture = contrast_figure(view, layer(score), score, p <= 0.05, threshold=2.0)
    shown = panel(picture, row=2)
    assert tuple(shown[2 * 20, 2 * 30]) == (255, 225, 0)  # the line
    significant, faded, nothing = (shown[2 * y, 2 * x] for y, x in ((30, 30), (80, 30), (60, 80)))
    assert significant[0] > significant[2] + 70  # red, opaque
    assert np.ptp(nothing) == 0 and abs(nothing[0] - 128) < 2  # the scan alone
    full = colours.DIVERGING[round((1.0 / 4.0 + 1) / 2 * 255), :3]  # saturated at twice the threshold
    np.testing.assert_allclose(faded, 0.75 * nothing + 0.25 * full, atol=2)


@pytest.mark.parametrize("height", [0.0, 2.0])
def test_a_contrast_without_a_threshold_is_drawn_all_the_same(height):
    t = np.full((1, 112, 112), height, np.float32)
    assert contrast_figure(made_up_view(1), layer(t), t, t > 9, threshold=np.inf).std() > 10


def test_a_group_shows_scan_map_and_magnitude():
    values = np.zeros((2, 112, 112), np.float32)
    values[1, 20, 30] = -2.0
    magnitude = np.zeros_like(values)
    magnitude[1, 50, 60] = 3.0
    picture = group_figure(made_up_view(), layer(values), layer(magnitude), 6.0)
    scan, mean, overlay = (panel(picture, row, column=1) for row in range(3))
    assert scan[0, 0, 0] == 0 and scan[0, -1, 0] == 255
    blue, red = mean[2 * 20, 2 * 30], overlay[2 * 50, 2 * 60]
    assert blue[2] > blue[0] + 100 and red[0] > red[2] + 100  # opaque at the scale
    for over in (mean, overlay):
        np.testing.assert_array_equal(over[2 * 80, 2 * 80], scan[2 * 80, 2 * 80])  # transparent at zero
