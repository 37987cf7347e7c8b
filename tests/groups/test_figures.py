"""Group figures show means on one scale, and fade what is not significant."""

from dataclasses import replace

import numpy as np
import pytest

from mri_saliency.groups.figures import contrast_figure, group_figure
from mri_saliency.maps import colours
from mri_saliency.maps.sheet import Bar, bar_labels

from ..maps.views import layer, made_up_view

SIZE, GAP, LEFT, TOP = 224, 6, 30, 62 + 36


def panel(picture, row, column=0):
    top, left = TOP + row * (SIZE + GAP), LEFT + column * (SIZE + GAP)
    return picture[top : top + SIZE, left : left + SIZE, :3].astype(int)


def test_a_ratio_fades_where_it_is_not_significant_and_is_outlined_where_it_is():
    t, p = np.zeros((1, 112, 112), np.float32), np.ones((1, 112, 112), np.float32)
    t[0, 20:40, 20:40], p[0, 20:40, 20:40] = 4.0, 0.01
    t[0, 70:90, 20:40], p[0, 70:90, 20:40] = -1.0, 0.5  # half the threshold: a quarter opaque
    view = replace(made_up_view(1), anatomy=np.full((1, 112, 112), 128, np.uint8))
    effect = np.full_like(t, 2.0)  # everywhere, whatever the evidence
    picture = contrast_figure(view, layer(effect), t, p <= 0.05, threshold=2.0)
    shown = panel(picture, row=0)
    assert tuple(shown[2 * 20, 2 * 30]) == (255, 225, 0)  # the line
    significant, faded, nothing = (shown[2 * y, 2 * x] for y, x in ((30, 30), (80, 30), (60, 80)))
    assert significant[0] > significant[2] + 70  # red, opaque
    assert np.ptp(nothing) == 0 and abs(nothing[0] - 0.6 * 128) < 2  # the scan alone, dimmed
    np.testing.assert_allclose(faded, 0.75 * nothing + 0.25 * colours.DIVERGING[-1, :3], atol=2)


def test_a_contrast_without_a_threshold_is_drawn_all_the_same():
    t = np.zeros((1, 112, 112), np.float32)
    assert contrast_figure(made_up_view(1), layer(t), t, t > 9, threshold=np.inf).std() > 10


@pytest.mark.parametrize(("largest", "end"), [(1.02, 2), (7.3, 10), (24.5, 50), (1 / 11, 20)])
def test_a_ratios_colour_bar_has_its_ends_and_its_middle_in_words(largest, end):
    limit = colours.ratio_scale(np.array([0.0, np.log(largest)]))
    labels = bar_labels(Bar("ratio", "signed", limit, "of A to B", is_log=True))
    ticks = {name: text for name, text in labels.items() if "tick" in name}
    assert ticks == {"ratio tick 0": f"÷{end}", "ratio tick 2": "1", "ratio tick 4": f"×{end}"}


def test_a_group_shows_map_and_magnitude_once():
    values = np.zeros((2, 112, 112), np.float32)
    values[1, 20, 30] = -2.0
    magnitude = np.zeros_like(values)
    magnitude[1, 50, 60] = 3.0
    picture = group_figure(made_up_view(), layer(values), layer(magnitude), 6.0)
    mean, overlay = (panel(picture, row, column=1) for row in range(2))
    blue, red = mean[2 * 20, 2 * 30], overlay[2 * 50, 2 * 60]
    assert blue[2] > blue[0] + 100 and red[0] > red[2] + 100  # opaque at the scale
    for over in (mean, overlay):
        assert over[0, 0, 0] == 0 and over[0, -1, 0] == 255  # the scan, where the map is zero
    unsigned = replace(made_up_view(), signed=False)
    one_row = group_figure(unsigned, layer(magnitude), layer(magnitude), 6.0)
    assert len(one_row) == len(picture) - SIZE - GAP
    np.testing.assert_array_equal(panel(one_row, 0, column=1), overlay)
