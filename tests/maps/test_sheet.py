"""A sheet's images and texts are where they were placed."""

import numpy as np
import pytest

from mri_saliency.maps.sheet import Bar, Sheet, TextStyle, bar_labels, window_labels


def image(*colours):
    """A row of pixels in shades of grey, uint8 (1, n, 4)."""
    return np.array([[(grey, grey, grey, 255) for grey in colours]], np.uint8)


def test_images_fill_their_panels_pixel_for_pixel():
    sheet = Sheet(60, 40)
    sheet.add_panel(10, 5, 20, 8)
    sheet.add_panel(40, 20, 12, 10)
    picture = sheet.draw({})
    assert picture.shape == (40, 60, 4) and picture.dtype == np.uint8 and (picture == 255).all()
    sheet.paste(picture, [image(0, 100), image(50, 60, 70)])
    expected = np.full((40, 60), 255)
    expected[5:13, 10:20], expected[5:13, 20:30] = 0, 100
    expected[20:30, 40:44], expected[20:30, 44:48], expected[20:30, 48:52] = 50, 60, 70
    np.testing.assert_array_equal(picture[..., 0], expected)
    assert (sheet.draw({})[..., :3] == 255).all()  # the background stays


def test_every_panel_needs_an_image():
    sheet = Sheet(60, 40)
    sheet.add_panel(10, 5, 20, 8)
    with pytest.raises(ValueError, match="zip"):
        sheet.paste(sheet.draw({}), [])


@pytest.mark.parametrize(("align", "left", "right"), [("l", 100, 200), ("m", 50, 150), ("r", 0, 101)])
def test_texts_are_aligned_and_hang_from_their_top(align, left, right):
    sheet = Sheet(200, 40)
    sheet.add_text("name", 100, 10, TextStyle(12, align=align))
    picture = sheet.draw({"name": "HHHHHH"})
    rows, columns = np.nonzero(picture[..., 0] < 128)
    assert left <= columns.min() and columns.max() < right
    assert abs(rows.min() - 10) <= 1 and rows.max() < 10 + 12
    above = sheet.draw({}, over=picture)
    np.testing.assert_array_equal(above, picture)
    assert above is not picture


def test_a_colour_bar_shows_its_table_from_left_to_right():
    sheet = Sheet(300, 60)
    sheet.add_colour_bar("bar", 20, 5, 256, "grey")
    row = sheet.draw(window_labels("bar", (0.0, 1.0)))[11, 22:274, 0].astype(int)
    assert (np.diff(row) >= 0).all() and row[0] < 5 and row[-1] > 250


def test_labels_of_a_scale():
    labels = bar_labels(Bar("map", "signed", 1.3e-4, "logit"))
    assert labels["map unit"] == "map (10⁻⁴ logit)"
    ticks = [labels[f"map tick {index}"] for index in range(5)]
    assert ticks == ["≤ −1.3", "−0.65", "0", "0.65", "≥ 1.3"]
    plain = bar_labels(Bar("map", "unsigned", 12.0, "logit"))
    assert plain["map unit"] == "map (logit)"
    assert [plain[f"map tick {index}"] for index in range(3)] == ["0", "6", "≥ 12"] and len(plain) == 4
    assert bar_labels(Bar("map", "unsigned", 0.0, "logit"))["map unit"] == "map: zero everywhere"


def test_a_bar_says_what_saturates():
    labels = bar_labels(Bar("map", "signed overlay", 1.3e-4, "logit", beyond=(0.00098, 2.6e-3)))
    assert labels["map beyond"] == "0.1% of the brain saturates, up to 26"  # in the bar's own unit
    assert labels["map tick 0"] == "≤ −1.3"
    assert "map beyond" not in bar_labels(Bar("map", "signed", 1.0, "logit", beyond=(0.0, 0.9)))


def test_labels_of_a_window():
    labels = window_labels("intensity", (-0.512, 3.14))
    assert (labels["intensity tick 0"], labels["intensity tick 1"]) == ("≤ −0.51", "≥ 3.1")
