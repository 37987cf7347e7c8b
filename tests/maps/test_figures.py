"""Figures show the right pixels in the right place, on one scale, under the right words."""

from dataclasses import replace

import numpy as np
import pytest

from mri_saliency.inputs.grid import upright
from mri_saliency.inputs.loading import load_scan
from mri_saliency.inputs.preprocessing import grey_levels, unpad
from mri_saliency.inputs.scan_table import Scan
from mri_saliency.maps.figures import map_view, scan_view, slice_figures, summary_figure, thumbnail
from mri_saliency.wording import DEFAULT_CLASS_NAMES, ClassNames

from ..conftest import N_SLICES, brain, save_scan
from ..made_cohort import made_record
from .views import GRID, WITHOUT_AFFINE, made_up_map


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
    changed = (first != second)[84:420]
    in_panels = [56 + 360 * index + x for index in range(3) for x in range(336)]
    assert not np.delete(changed, in_panels, axis=1).any()


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
    known, unknown = (next(slice_figures(made_up_map(grid=grid))) for grid in (GRID, WITHOUT_AFFINE))
    corner = (slice(60, 84), slice(56, 72))  # above the first panel's left corner
    assert (known[corner] < 128).any() and not (unknown[corner][..., :3] < 250).any()


@pytest.mark.parametrize("n", [1, 7, 9])
def test_summary_has_a_column_a_slice(n):
    picture = summary_figure(made_up_map(n))
    columns, blocks = min(n, 8), 1 + (n > 8)
    assert picture.shape[1] == max(60 + columns * 230, 800)
    assert picture.shape[0] == 62 + 64 + blocks * (44 + 3 * 230)
    last = (n - 1) % 8 * 230 + 30
    of_last = picture[62 + (blocks - 1) * 734 + 36 :, last : last + 224]
    assert tuple(of_last[5, 0, :3]) == (0, 0, 0) and tuple(of_last[5, -1, :3]) == (255, 255, 255)


@pytest.mark.parametrize(
    ("change", "box"),
    [
        ({"title": "another"}, (4, 28, 56, 400)),
        ({"subtitle": "another"}, (28, 54, 56, 400)),
        ({"grid": replace(GRID, first_slice=20)}, (4, 28, 800, 1112)),  # the slice's title
        ({"unit": "another"}, (84 + 336 + 60, 84 + 336 + 84, 416, 1112)),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_texts_are_where_they_belong(change, box):
    """Nothing but the rows and columns of the box changes."""
    plain = made_up_map(values=np.ones((1, 112, 112), np.float32))
    before, after = (next(slice_figures(replace(plain, view=replace(plain.view, **c)))) for c in ({}, change))
    assert before.shape == (84 + 336 + 88, 56 + 3 * 360, 4)
    rows, columns, _ = np.nonzero(after != before)
    top, bottom, left, right = box
    assert top <= rows.min() and rows.max() < bottom
    assert left <= columns.min() and columns.max() < right


def test_non_square_slices_keep_their_proportions():
    square, tall = (
        next(slice_figures(made_up_map(grid=replace(WITHOUT_AFFINE, shape=(100, 136, nz)))))
        for nz in (100, 150)
    )
    assert tall.shape[0] - square.shape[0] == 168


def ink_beyond(picture, rows, column):
    """Whether something is drawn in the rows from a column on."""
    return bool((picture[rows[0] : rows[1], column:, :3] < 250).any())


@pytest.mark.parametrize(
    ("draw", "cut", "right_px"),
    [
        (lambda shown: next(slice_figures(shown)), {"subtitle"}, 24),
        (summary_figure, {"title", "subtitle"}, 30),
    ],
    ids=["slice", "summary"],
)
def test_long_texts_are_cut_at_the_figures_edge(draw, cut, right_px):
    plain = made_up_map()
    long = replace(plain.view, **dict.fromkeys(cut, "its voxels are of 2 mm, " * 20))
    before, after = draw(plain), draw(replace(plain, view=long))
    edge = after.shape[1] - right_px
    assert not ink_beyond(after, (4, 54), edge)
    assert ink_beyond(after, (30, 54), edge - 40)  # and not far before it
    np.testing.assert_array_equal(after[60:], before[60:])


# --- What a scan's map becomes ------------------------------------------------------------------


def load(path):
    return load_scan(Scan("a", path, 1, "left", 0), n_slices=N_SLICES, first_slice=60)


def view_of(loaded, n_logits=1, class_names=DEFAULT_CLASS_NAMES, *, method="integrated_gradients", **changes):
    known = {"logits": [2.0], "true_label": 1, "diagnosis": "left", "baseline": "zero", "subject_id": "a"}
    statistics = made_record(method=method, **known | changes).statistics
    return scan_view(loaded.context, statistics, (2, 7), n_logits, class_names)


def shown_of(loaded, values, smooth_mm=0.0, **changes):
    return map_view(view_of(loaded, **changes), unpad(values), unpad(loaded.context.brain), smooth_mm)


def test_figures_show_a_map_as_they_show_its_scan(run_folder):
    """A map equal to its scan is drawn the same way up, whatever the affine."""
    for path in run_folder.scans:
        loaded = load(path)
        shown = shown_of(loaded, loaded.network_input, method="saliency")
        view, values = shown.view, shown.attribution.values
        np.testing.assert_array_equal(grey_levels(values, view.window), view.anatomy)
        assert values.any() and values.shape == (2, 112, 112) and not view.signed
        assert (path.suffix == ".pkl") == ("no affine: sides unknown" in view.subtitle)


@pytest.fixture(scope="module")
def scan(tmp_path_factory):
    return load(save_scan(tmp_path_factory.mktemp("scan") / "a.nii", brain(seed=1)))


def test_a_title_has_subject_method_and_baseline(scan):
    assert view_of(scan).title == "a   Integrated Gradients from zero"
    assert view_of(scan, baseline=None).title == "a   Integrated Gradients"
    long = view_of(scan, subject_id="b" * 20 + "c" * 20, baseline="d" * 30).title
    assert long == f"{'b' * 15}…{'c' * 15}   Integrated Gradients from {'d' * 11}…{'d' * 11}"


WRONG = {"prediction": 0.6, "predicted_label": 0, "confidence": 0.4}  # the label decides
HEALTHY = {"true_label": 0, "diagnosis": "HC"}


@pytest.mark.parametrize(
    ("n_logits", "changes", "confidence", "rest"),
    [
        (1, {}, "TLE with 88.1%", "TLE (left)"),
        (1, WRONG | HEALTHY, "HC with 40.0%", "HC"),
        (2, {"target": 0}, "TLE with 88.1%", "TLE (left); explains HC"),
        (3, {"predicted_label": 2, "target": 1}, "class 2 with 88.1%", "TLE (left); explains class 1"),
        (1, {"diagnosis": "TLE"}, "TLE with 88.1%", "TLE"),  # a patient without a side
        (1, {"input_warning": "it\nis"}, "TLE with 88.1%", "TLE (left); warning: it is"),
    ],
)
@pytest.mark.parametrize("names", [DEFAULT_CLASS_NAMES, ClassNames("control", "AD")])
def test_the_subtitle_has_the_predicted_label_in_words(scan, names, n_logits, changes, confidence, rest):
    subtitle = view_of(scan, n_logits, names, **changes).subtitle
    expected = f"predicted {confidence} confidence; true diagnosis {rest}"
    assert subtitle == expected.replace("TLE", names.tle).replace("HC", names.hc)
    simulated = view_of(scan, n_logits, names, **changes | {"subject_id": "sub-DEMO07"}).subtitle
    assert simulated == f"DEMO, simulated scans; {subtitle}"


def test_one_scale_for_the_whole_map_and_none_of_the_pad(scan):
    values = np.full_like(scan.network_input, 1000.0)
    values[:, 8:-8, 8:-8] = 0.5
    values[4] = 2.0  # a slice that is not drawn
    shown = shown_of(scan, values)
    assert shown.attribution.limit == pytest.approx(2.0)
    assert (shown.attribution.values == 0.5).all()
    assert shown.view.signed and shown.view.unit == "logit"


def test_the_overlay_is_the_smoothed_map(scan):
    """A patch of mixed pixels becomes one hue, and the figure says how it was smoothed."""
    values = np.zeros_like(scan.network_input)
    values[2, 40:50, 40:50] = 1.0
    values[2, 41:50:3, 40:50] = -1.0
    raw, smooth = (shown_of(scan, values, smooth_mm) for smooth_mm in (0.0, 6.0))
    np.testing.assert_array_equal(raw.smooth.values, raw.attribution.values)
    np.testing.assert_array_equal(smooth.attribution.values, raw.attribution.values)
    patch = smooth.smooth.values[0]
    assert patch.min() > -1e-6 and (patch > 0.1 * patch.max()).sum() > 100
    first, second = (next(slice_figures(shown)) for shown in (raw, smooth))
    words = (slice(56, 84), slice(800, 1090))  # above the third panel
    assert (first[words] != second[words]).any()


def test_a_thumbnail_is_the_most_telling_slice_and_the_map_on_its_own(scan):
    context = scan.context
    z = int(np.flatnonzero(unpad(context.brain)[5, 30])[0])
    values = np.zeros_like(scan.network_input)
    values[5, 8 + 30, 8 + z], values[3, 8, 8] = -1.0, 9.0  # the second lies outside the brain
    drawing = shown_of(scan, values).drawing
    assert drawing.telling_slice == 5 and drawing.scale == pytest.approx(1.0)
    picture = thumbnail(context, unpad(values), drawing)
    assert picture.shape == (112, 224, 4)
    anatomy, alone = picture[:, :112], picture[:, 112:]
    np.testing.assert_array_equal(anatomy[..., 0], upright(context.greys[5:6], context.grid)[0])
    place = 111 - z, 30
    assert alone[place][3] == 255 and alone[place][2] > alone[place][0] + 100  # blue, opaque
    assert np.count_nonzero(alone[..., 3]) == 1
    nothing = shown_of(scan, 0 * values).drawing
    assert nothing.telling_slice == N_SLICES // 2
    assert not thumbnail(context, 0 * unpad(values), nothing)[:, 112:, 3].any()
