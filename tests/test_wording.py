"""Numbers and lists read as in a sentence."""

import pytest

from mri_saliency.wording import counted, demo_mark, first_of, left_out, listed, percent, span


def test_lists_and_counts():
    assert listed(["a"]) == "a" and listed(iter("ab")) == "a and b" and listed("abc") == "a, b and c"
    assert (counted(1, "scan"), counted(0, "scan"), counted(2, "scan")) == ("1 scan", "0 scans", "2 scans")
    assert span([7, 5, 6]) == "5 to 7" and span([5, 5]) == "5"


@pytest.mark.parametrize(
    ("share", "text"),
    [(1.4852, "149%"), (0.042, "4.2%"), (1.9e-5, "0.0019%"), (0, "0%"), (4e-9, "less than 0.0001%")],
)
def test_percentages_have_two_digits(share, text):
    assert percent(share) == text


@pytest.mark.parametrize(("words", "text"), [("abc", "a, b, c"), ("abcd", "a, b, c and 1 more"), ("", "")])
def test_a_long_list_is_cut(words, text):
    assert first_of(words, 3) == text


def test_only_simulated_scans_are_marked():
    assert demo_mark(["sub-DEMO01", "sub-DEMO02"]) == "DEMO, simulated scans; "
    for ids in ([], ["sub-A"], ["sub-DEMO01", "sub-A"]):
        assert demo_mark(ids) == ""


def test_names_of_what_is_left_out_are_for_the_user_alone():
    one = left_out(1, "scan", "on another grid", "the means", ["sub-A"])
    assert one.sentence == "1 scan on another grid was left out of the means."
    assert str(one) == "1 scan on another grid was left out of the means (sub-A)."
    assert str(left_out(2, "map", "of zeros")) == "2 maps of zeros were left out."
