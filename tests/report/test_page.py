"""Pages are rendered: numbers, shares and moments as people write them."""

import pytest

from mri_saliency.report import page as report_page


@pytest.mark.parametrize(
    ("iso", "text"),
    [
        ("2026-11-26T00:17:42+00:00", "26 November 2026, 00:17 UTC"),
        ("2026-01-02T13:05:00-03:30", "2 January 2026, 13:05 UTC−03:30"),
    ],
)
def test_moments_are_written_for_people(iso, text):
    assert report_page._moment(iso) == text


def test_numbers_have_no_exponents():
    found = [report_page._significant(value) for value in (0.0516, 1.0, 99.6, 1234.0)]
    assert found == ["0.052", "1", "100", "1234"] and report_page._significant(123.4, 3) == "123"
