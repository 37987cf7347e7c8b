"""Figures show the right pixels in the right place, on one scale."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from mri_saliency import figures


def view(n=2, *, in_mm=True, signed=True, values=None, extent=(-84.75, 84.75, -72.75, 96.75)):
    attribution = np.zeros((n, 112, 112), np.float32) if values is None else values
    return figures.MapView(
        anatomy=np.tile(np.linspace(0, 1, 112, dtype=np.float32), (n, 112, 1)),
        attribution=attribution,
        slice_titles=[f"slice {i}, y = {i}.0 mm" for i in range(n)],
        title="sub-1   method",
        subtitle="predicted TLE",
        extent=extent,
        in_mm=in_mm,
        signed=signed,
        unit="logit",
        scale=figures.colour_scale(attribution),
        window=(0.0, 1.0),
    )


def panel(picture, index):
    x = 56 + index * (336 + 24)
    return picture[84 : 84 + 336, x : x + 336]


def test_slice_panels_show_every_voxel_where_it_is():
    values = np.zeros((2, 112, 112), np.float32)
    values[1, 10, 20], values[1, 30, 40] = 2.0, -2.0
    first, second = figures.slice_figures(view(values=values))
    assert first.shape == second.shape and first.dtype == np.uint8
    attribution = panel(second, 1)
    red, blue = attribution[3 * 10 + 1, 3 * 20 + 1], attribution[3 * 30 + 1, 3 * 40 + 1]
    assert red[0] > red[2] + 50 and blue[2] > blue[0] + 50
    elsewhere = attribution[3 * 60, 3 * 60]
    assert np.ptp(elsewhere[:3]) < 4 and elsewhere[0] > 240
    grey = panel(second, 0)[5, :, 0].astype(int)
    assert (np.diff(grey) >= 0).all() and grey[0] == 0 and grey[-1] == 255
    overlay = panel(second, 2)
    np.testing.assert_array_equal(overlay[3 * 60], panel(second, 0)[3 * 60])  # transparent at zero
    assert tuple(overlay[3 * 10 + 1, 3 * 20 + 1, :3]) == (255, 255, 0)  # opaque at the scale
    np.testing.assert_array_equal(first[84:420], panel_free(first, second)[84:420])


def panel_free(first, second):
    """Take `second` with the panels of `first`: the rest of the two must be the same."""
    mixed = second.copy()
    for index in range(3):
        panel(mixed, index)[:] = panel(first, index)
    return mixed


def test_drawing_does_not_depend_on_what_was_drawn_before():
    values = np.random.default_rng(0).standard_normal((2, 112, 112)).astype(np.float32)
    shown = view(values=values)
    before = list(figures.slice_figures(shown)), figures.summary_figure(shown)
    list(figures.slice_figures(view(values=values * 1e-9)))
    figures.summary_figure(view(values=values * 1e-9))
    after = list(figures.slice_figures(shown)), figures.summary_figure(shown)
    np.testing.assert_array_equal(before[0], after[0])
    np.testing.assert_array_equal(before[1], after[1])


def test_sides_are_marked_only_where_known():
    known, unknown = (next(figures.slice_figures(view(in_mm=mm))) for mm in (True, False))
    corner = (slice(60, 84), slice(56, 72))  # above the first panel's left corner
    assert (known[corner] < 128).any() and not (unknown[corner][..., :3] < 250).any()


def test_a_difference_fades_where_it_is_not_significant_and_is_outlined_where_it_is():
    score, p = np.zeros((1, 112, 112), np.float32), np.ones((1, 112, 112), np.float32)
    score[0, 20:40, 20:40], p[0, 20:40, 20:40] = 4.0, 0.01
    score[0, 70:90, 20:40], p[0, 70:90, 20:40] = 1.0, 0.5  # half the threshold: a quarter opaque
    shown = replace(view(1, values=score), anatomy=np.full((1, 112, 112), 0.5, np.float32))
    picture = figures.difference_figure(shown, score, p, threshold=2.0, significant=0.05)
    size, gap = 224, 6
    top, left = 62 + 36 + 2 * (size + gap), 30  # of the third row
    panel_score = picture[top : top + size, left : left + size, :3].astype(int)
    assert tuple(panel_score[2 * 20, 2 * 30]) == (255, 225, 0)  # the line
    significant, faded, nothing = (panel_score[2 * y, 2 * x] for y, x in ((30, 30), (80, 30), (60, 80)))
    assert significant[0] > significant[2] + 70  # red, opaque
    assert np.ptp(nothing) == 0 and abs(nothing[0] - 128) < 2  # the scan alone
    full = figures._DIVERGING[round((1.0 / 4.0 + 1) / 2 * 255), :3]  # colours saturate at twice the threshold
    np.testing.assert_allclose(faded, 0.75 * nothing + 0.25 * full, atol=2)


@pytest.mark.parametrize("n", [1, 7, 9])
def test_summary_has_a_column_a_slice(n):
    picture = figures.summary_figure(view(n))
    columns, blocks = min(n, 8), 1 + (n > 8)
    assert picture.shape[1] == max(60 + columns * 230, 800)
    assert picture.shape[0] == 62 + 68 + blocks * (44 + 2 * 230)
    last = (n - 1) % 8 * 230 + 30
    of_last = picture[62 + (blocks - 1) * 504 + 36 :, last : last + 224]
    assert tuple(of_last[5, 0, :3]) == (0, 0, 0) and tuple(of_last[5, -1, :3]) == (255, 255, 255)


def test_texts_are_where_they_belong():
    plain = view(1, values=np.ones((1, 112, 112), np.float32))
    said = {
        "title": replace(plain, title="another"),
        "subtitle": replace(plain, subtitle="another"),
        "slice title": replace(plain, slice_titles=["another"]),
        "labels": replace(plain, unit="another"),
    }
    before = next(figures.slice_figures(plain))
    assert before.shape == (84 + 336 + 88, 56 + 3 * 360, 4)
    boxes = {  # rows and columns that may change
        "title": (4, 28, 56, 400),
        "subtitle": (28, 54, 56, 400),
        "slice title": (4, 28, 800, 1112),
        "labels": (84 + 336 + 60, 84 + 336 + 84, 416, 1112),
    }
    for name, changed in said.items():
        rows, columns, _ = np.nonzero(next(figures.slice_figures(changed)) != before)
        top, bottom, left, right = boxes[name]
        assert top <= rows.min() and rows.max() < bottom, name
        assert left <= columns.min() and columns.max() < right, name


def test_non_square_slices_keep_their_proportions():
    tall = next(figures.slice_figures(view(extent=(0, 100, 0, 150))))
    square = next(figures.slice_figures(view(extent=(0, 100, 0, 100))))
    assert tall.shape[0] - square.shape[0] == 168


@pytest.mark.parametrize(("largest", "scale"), [(1.23e-7, 1.3e-7), (5.0, 5.0), (0.0, 0.0)])
def test_colour_scale_rounds_up(largest, scale):
    assert figures.colour_scale(np.full((4, 5, 5), -largest)) == pytest.approx(scale)


def test_colour_scale_is_the_percentile_of_the_whole_map():
    values = np.zeros(100_000)
    values[:150], values[:50] = 1.0, 1000.0
    assert figures.colour_scale(values) == pytest.approx(1.0)


@pytest.mark.parametrize(("n_subjects", "n_methods"), [(1, 1), (2, 3), (60, 7), (500, 7)])
def test_cohort_figure_from_one_to_many(n_subjects, n_methods):
    generator = np.random.default_rng(0)
    methods = [f"method_{i}" for i in range(n_methods)]
    rows = [
        {
            "subject_id": f"s{subject}",
            "method": method,
            "class": ("HC", "TLE")[subject % 2],
            "abs_mean": generator.lognormal(),
            "confidence": generator.uniform(0.5, 1),
            "brain_share": generator.uniform(),
        }
        for subject in range(n_subjects)
        for method in methods
    ]
    agreement = pd.DataFrame(np.eye(n_methods), index=methods, columns=methods)
    profiles = {(method, name): np.full(115, 1 / 115) for method in methods for name in ("HC", "TLE")}
    figure = figures.cohort_figure(pd.DataFrame(rows), profiles, agreement, dict.fromkeys(methods, np.nan))
    assert isinstance(figure, Figure)
    figure.canvas.draw()
