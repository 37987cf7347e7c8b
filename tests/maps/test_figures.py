"""Figures show the right pixels in the right place, on one scale, under the right words."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mri_saliency.attribution.result import Attribution
from mri_saliency.inputs.grid import upright
from mri_saliency.inputs.loading import load_scan
from mri_saliency.inputs.preprocessing import grey_levels, unpad
from mri_saliency.inputs.scan_table import Scan
from mri_saliency.maps.figures import (
    choose_look,
    map_view,
    slice_figures,
    summary_figure,
    thumbnail,
)
from mri_saliency.maps.statistics import measure_map
from mri_saliency.wording import ClassNames

from ..conftest import N_SLICES, brain, save_scan
from .views import made_up_map


def panel(picture, index):
    x = 56 + index * (336 + 24)
    return picture[84 : 84 + 336, x : x + 336]


def test_slice_panels_show_every_voxel_where_it_is():
    values = np.zeros((2, 112, 112), np.float32)
    values[1, 10, 20], values[1, 30, 40] = 2.0, -2.0
    first, second = slice_figures(made_up_map(values=values))
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
    raises, lowers = overlay[3 * 10 + 1, 3 * 20 + 1], overlay[3 * 30 + 1, 3 * 40 + 1]
    assert raises[0] > raises[2] + 100 and lowers[2] > lowers[0] + 100  # opaque, hue by sign
    np.testing.assert_array_equal(first[84:420], with_panels_of(first, second)[84:420])


def with_panels_of(first, second):
    """Return `second` with the panels of `first`: the rest of the two must be the same."""
    mixed = second.copy()
    for index in range(3):
        panel(mixed, index)[:] = panel(first, index)
    return mixed


def test_drawing_does_not_depend_on_what_was_drawn_before():
    values = np.random.default_rng(0).standard_normal((2, 112, 112)).astype(np.float32)
    view = made_up_map(values=values)
    before = list(slice_figures(view)), summary_figure(view)
    list(slice_figures(made_up_map(values=values * 1e-9)))
    summary_figure(made_up_map(values=values * 1e-9))
    after = list(slice_figures(view)), summary_figure(view)
    np.testing.assert_array_equal(before[0], after[0])
    np.testing.assert_array_equal(before[1], after[1])


def test_sides_are_marked_only_where_known():
    known, unknown = (next(slice_figures(made_up_map(in_mm=mm))) for mm in (True, False))
    corner = (slice(60, 84), slice(56, 72))  # above the first panel's left corner
    assert (known[corner] < 128).any() and not (unknown[corner][..., :3] < 250).any()


@pytest.mark.parametrize("n", [1, 7, 9])
def test_summary_has_a_column_a_slice(n):
    picture = summary_figure(made_up_map(n))
    columns, blocks = min(n, 8), 1 + (n > 8)
    assert picture.shape[1] == max(60 + columns * 230, 800)
    assert picture.shape[0] == 62 + 84 + blocks * (44 + 3 * 230)
    last = (n - 1) % 8 * 230 + 30
    of_last = picture[62 + (blocks - 1) * 734 + 36 :, last : last + 224]
    assert tuple(of_last[5, 0, :3]) == (0, 0, 0) and tuple(of_last[5, -1, :3]) == (255, 255, 255)


def test_texts_are_where_they_belong():
    plain = made_up_map(values=np.ones((1, 112, 112), np.float32))
    changes = {
        "title": {"title": "another"},
        "subtitle": {"subtitle": "another"},
        "slice title": {"slice_titles": ["another"]},
        "labels": {"unit": "another"},
    }
    before = next(slice_figures(plain))
    assert before.shape == (84 + 336 + 106, 56 + 3 * 360, 4)
    boxes = {  # rows and columns that may change
        "title": (4, 28, 56, 400),
        "subtitle": (28, 54, 56, 400),
        "slice title": (4, 28, 800, 1112),
        "labels": (84 + 336 + 60, 84 + 336 + 84, 416, 1112),
    }
    for name, change in changes.items():
        changed = replace(plain, view=replace(plain.view, **change))
        rows, columns, _ = np.nonzero(next(slice_figures(changed)) != before)
        top, bottom, left, right = boxes[name]
        assert top <= rows.min() and rows.max() < bottom, name
        assert left <= columns.min() and columns.max() < right, name


def test_non_square_slices_keep_their_proportions():
    tall = next(slice_figures(made_up_map(extent=(0, 100, 0, 150))))
    square = next(slice_figures(made_up_map(extent=(0, 100, 0, 100))))
    assert tall.shape[0] - square.shape[0] == 168


# --- What a scan's map becomes ------------------------------------------------------------------


def loaded_and_measured(path, *, logits=(2.0,), method="saliency", baseline=None):
    """A scan, the map that equals its input, and that map's statistics."""
    scan = Scan("a", path, 1, "left", 0)
    loaded = load_scan(scan, n_slices=N_SLICES, first_slice=60)
    attribution = Attribution(loaded.network_input, 0.0, None, np.array(logits), 0, 1.0)
    return loaded, measure_map(attribution, loaded.context, method, baseline)


def shown_of(loaded, statistics, n_logits=1, values=None, smooth_mm=0.0, **more):
    """What the figures of a scan show, of a map that equals its input unless given."""
    values = unpad(loaded.network_input if values is None else values)
    look = choose_look(values, unpad(loaded.context.brain), loaded.context.grid, smooth_mm)
    more |= {"key_slices": [2, 7], "n_logits": n_logits}
    return map_view(loaded.context, values, statistics, look, **more)


def view_of(*args, **more):
    return shown_of(*args, **more).view


def test_figures_show_a_map_as_they_show_its_scan(run_folder):
    """A map equal to its scan is drawn the same way up, whatever the affine."""
    for path in run_folder.scans:
        shown = shown_of(*loaded_and_measured(path))
        view, values = shown.view, shown.attribution.values
        np.testing.assert_array_equal(grey_levels(values, view.window), view.anatomy)
        assert values.any() and values.shape == (2, 112, 112)
        assert view.in_mm == (path.suffix != ".pkl")
        assert view.in_mm != ("no affine: sides unknown" in view.subtitle)
        assert not view.signed and len(view.slice_titles) == 2


@pytest.fixture(scope="module")
def measured_scan(tmp_path_factory):
    path = save_scan(tmp_path_factory.mktemp("scan") / "a.nii", brain(seed=1))
    return loaded_and_measured(path, method="integrated_gradients", baseline="zero")


def test_a_title_has_subject_method_and_baseline(measured_scan):
    loaded, statistics = measured_scan
    assert view_of(loaded, statistics).title == "a   integrated_gradients from zero"
    assert view_of(loaded, replace(statistics, baseline=None)).title == "a   integrated_gradients"
    long = view_of(loaded, replace(statistics, subject_id="b" * 20 + "c" * 20, baseline="d" * 30)).title
    assert long == f"{'b' * 15}…{'c' * 15}   integrated_gradients from {'d' * 11}…{'d' * 11}"


@pytest.mark.parametrize(
    ("n_logits", "changes", "subtitle"),
    [
        (1, {}, "predicted TLE with 88.1% confidence; true diagnosis TLE (left)"),
        # the label decides, not the probability of TLE
        (
            1,
            {"prediction": 0.6, "predicted_label": 0, "confidence": 0.4, "true_label": 0},
            "predicted HC with 40.0% confidence; true diagnosis HC",
        ),
        (
            2,
            {"target": 0},
            "predicted TLE with 88.1% confidence; true diagnosis TLE (left); explains HC",
        ),
        (
            3,
            {"predicted_label": 2, "target": 1},
            "predicted class 2 with 88.1% confidence; true diagnosis TLE (left); explains class 1",
        ),
        # a patient without a side
        (1, {"diagnosis": "TLE"}, "predicted TLE with 88.1% confidence; true diagnosis TLE"),
        (
            1,
            {"input_warning": "its voxels\nare of 2 mm"},
            "predicted TLE with 88.1% confidence; true diagnosis TLE (left); warning: its voxels are of 2 mm",
        ),
    ],
)
def test_the_subtitle_has_the_predicted_label_in_words(measured_scan, n_logits, changes, subtitle):
    loaded, statistics = measured_scan
    assert view_of(loaded, replace(statistics, **changes), n_logits).subtitle == subtitle


def test_the_subtitle_has_the_classes_words(measured_scan):
    loaded, statistics = measured_scan
    names = ClassNames("control", "AD")
    healthy = replace(statistics, true_label=0, diagnosis="HC")
    without_side = replace(statistics, diagnosis="TLE")
    assert view_of(loaded, healthy, class_names=names).subtitle.endswith("true diagnosis control")
    assert view_of(loaded, without_side, class_names=names).subtitle == (
        "predicted AD with 88.1% confidence; true diagnosis AD"
    )
    view = view_of(loaded, statistics, 2, class_names=names)
    assert view.subtitle.endswith("true diagnosis AD (left); explains control")
    assert "AD" not in view_of(loaded, healthy, 3, class_names=names).subtitle  # classes are numbered


def ink_beyond(picture, rows, column):
    """Whether something is drawn in the rows from a column on."""
    return bool((picture[rows[0] : rows[1], column:, :3] < 250).any())


def test_a_long_warning_is_cut_at_the_figures_edge():
    plain = made_up_map()
    warning = f"{plain.view.subtitle}; warning: {'its voxels are of 2 mm, ' * 20}"
    warned = replace(plain, view=replace(plain.view, subtitle=warning))
    for draw, right_px in ((lambda view: next(slice_figures(view)), 24), (summary_figure, 30)):
        before, after = draw(plain), draw(warned)
        edge = after.shape[1] - right_px
        assert not ink_beyond(after, (30, 54), edge)
        assert ink_beyond(after, (30, 54), edge - 40)  # and not far before it
        np.testing.assert_array_equal(after[:30], before[:30])
        np.testing.assert_array_equal(after[60:], before[60:])


def test_a_long_title_of_a_montage_is_cut():
    plain = made_up_map(1)
    title = "of people with a long name " * 10
    picture = summary_figure(replace(plain, view=replace(plain.view, title=title)))
    assert not ink_beyond(picture, (4, 30), picture.shape[1] - 30)


def test_one_scale_for_the_whole_map_and_none_of_the_pad(measured_scan):
    loaded, statistics = measured_scan
    values = np.full_like(loaded.network_input, 1000.0)
    values[:, 8:-8, 8:-8] = 0.5
    values[4] = 2.0  # a slice that is not drawn
    shown = shown_of(loaded, statistics, values=values)
    assert (
        shown.attribution.scale.limit == pytest.approx(2.0)
        and shown.view.signed
        and shown.view.unit == "logit"
    )
    assert (shown.attribution.values == 0.5).all()


def test_the_overlay_is_the_smoothed_map(measured_scan):
    """A patch of mixed pixels becomes one hue, and the figure says how it was smoothed."""
    loaded, statistics = measured_scan
    values = np.zeros_like(loaded.network_input)
    values[2, 40:50, 40:50] = 1.0
    values[2, 41:50:3, 40:50] = -1.0
    raw, smooth = (shown_of(loaded, statistics, values=values, smooth_mm=mm) for mm in (0.0, 6.0))
    np.testing.assert_array_equal(raw.smooth.values, raw.attribution.values)
    np.testing.assert_array_equal(smooth.attribution.values, raw.attribution.values)
    patch = smooth.smooth.values[0]
    assert patch.min() > -1e-6 and (patch > 0.1 * patch.max()).sum() > 100
    first, second = (next(slice_figures(shown)) for shown in (raw, smooth))
    words = (slice(56, 84), slice(800, 1090))  # above the third panel
    assert (first[words] != second[words]).any()


def test_figures_of_simulated_scans_say_so(measured_scan):
    loaded, statistics = measured_scan
    assert view_of(loaded, replace(statistics, subject_id="sub-DEMO07")).subtitle.startswith(
        "DEMO, simulated"
    )
    assert not view_of(loaded, statistics).subtitle.startswith("DEMO")


def test_a_thumbnail_is_the_most_telling_slice_and_the_map_on_its_own(measured_scan):
    loaded, statistics = measured_scan
    context, values = loaded.context, np.zeros_like(unpad(loaded.network_input))
    brain = unpad(context.brain)
    z = int(np.flatnonzero(brain[5, 30])[0])
    values[5, 30, z], values[3, 0, 0] = -1.0, 9.0  # the second lies outside the brain
    look = choose_look(values, brain, context.grid, 0.0)
    assert look.telling_slice == 5 and look.scale.limit == pytest.approx(1.0)
    picture = thumbnail(context, values, look)
    assert picture.shape == (112, 224, 4)
    anatomy, alone = picture[:, :112], picture[:, 112:]
    np.testing.assert_array_equal(anatomy[..., 0], upright(context.greys[5:6], context.grid)[0])
    place = 111 - z, 30
    assert alone[place][3] == 255 and alone[place][2] > alone[place][0] + 100  # blue, opaque
    assert np.count_nonzero(alone[..., 3]) == 1
    nothing = choose_look(0 * values, brain, context.grid, 0.0)
    assert (
        nothing.telling_slice == N_SLICES // 2
        and not thumbnail(context, 0 * values, nothing)[:, 112:, 3].any()
    )


def test_workers_draw_without_torch():
    code = "import sys, mri_saliency.maps.figures, mri_saliency.maps.image; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[2]).returncode == 0
