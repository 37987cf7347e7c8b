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
    with pytest.raises(ValueError, match="zip"):  # every panel needs an image
        sheet.paste(picture, [image(0)])


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


def test_a_text_that_fits_stays_and_a_longer_one_is_cut_to_the_last_letter_that_fits():
    text = "warning: its shape is (91, 109, 91)"
    measure = TextStyle(15).font("").getlength
    width = int(measure(text))
    assert TextStyle(15, max_width=width + 1).fitted(text) == text
    cut = TextStyle(15, max_width=width - 1).fitted(text)
    assert cut.endswith("…") and text.startswith(cut[:-1])
    assert measure(cut) <= width - 1 < measure(f"{text[: len(cut)]}…")
    nothing = TextStyle(15, max_width=0)
    assert nothing.fitted("warning") == "…" and nothing.fitted("") == ""


@pytest.mark.parametrize(
    ("kind", "limit", "unit", "ticks"),
    [
        ("signed", 1.3e-4, "map (10⁻⁴ logit)", ["≤ −1.3", "−0.65", "0", "0.65", "≥ 1.3"]),
        ("unsigned", 12.0, "map (logit)", ["0", "6", "≥ 12"]),
        ("unsigned", 0.0, "map: zero everywhere", ["0", "0", "0"]),
    ],
)
def test_labels_of_a_bar(kind, limit, unit, ticks):
    labels = {f"map tick {index}": tick for index, tick in enumerate(ticks)}
    assert bar_labels(Bar("map", kind, limit, "logit")) == {"map unit": unit} | labels


def test_the_greys_state_their_window():
    window = window_labels("intensity", (-0.512, 3.14))
    assert (window["intensity tick 0"], window["intensity tick 1"]) == ("≤ −0.51", "≥ 3.1")
