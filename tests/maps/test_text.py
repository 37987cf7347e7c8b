"""Texts are cut where they would leave the figure."""

import pytest

from mri_saliency.maps.sheet import fitted, font


@pytest.mark.parametrize("bold", [False, True])
def test_a_text_that_fits_stays_and_a_longer_one_is_cut_to_the_last_letter_that_fits(bold):
    text = "warning: its shape is (91, 109, 91)"
    width = font(15, bold).getlength(text)
    assert fitted(text, int(width) + 1, 15, bold=bold) == text
    cut = fitted(text, int(width) - 1, 15, bold=bold)
    assert cut.endswith("…") and text.startswith(cut[:-1]) and font(15, bold).getlength(cut) < width
    one_more = f"{text[: len(cut)]}…"
    assert font(15, bold).getlength(one_more) > int(width) - 1


def test_nothing_fits_into_no_width():
    assert fitted("warning", 0, 15) == "…" and fitted("", 0, 15) == ""


def test_no_blank_stands_before_the_ellipsis():
    width = int(font(15).getlength("warning …")) + 1
    assert fitted("warning offset", width, 15) == "warning…"
