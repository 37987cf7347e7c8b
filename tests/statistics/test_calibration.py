"""The test of groups keeps its error rate where a permutation of labels does not, and finds what is there.

A short version of `python tests/calibration.py`, with a fixed seed.
"""

import pytest

from ..calibration import Cell, count_findings

N_COHORTS = 60
MOST = 10  # of 60 cohorts: exceeded in 0.4 % of tries at an error of 7 %


@pytest.mark.parametrize(
    "cell",
    [
        Cell("log-normal", True, 2.0, 20, 10),
        Cell("normal", False, 1.5, 10, 10),
        Cell("log-normal", True, 2.0, 20, 10, "sessions"),
        Cell("log-normal", True, 2.0, 20, 10, "covariates"),
        Cell("log-normal", True, 2.0, 20, 10, "foreign side"),
    ],
    ids=lambda cell: f"{cell.maps}, {cell.variant}",
)
def test_where_no_group_differs_few_cohorts_show_a_difference(cell):
    assert count_findings(cell, seed=1, n_cohorts=N_COHORTS)[0] <= MOST


def test_permuting_labels_would_err_where_patients_vary_more():
    by_flips, by_labels = count_findings(Cell("log-normal", False, 1.5, 40, 15), seed=2, n_cohorts=40)
    assert by_flips <= 8 and by_labels >= 10


def test_a_focus_on_each_side_is_found_more_often_than_by_labels():
    cell = Cell("log-normal", True, 1.0, 20, 10, focus="9 x 12 x 12 mm")
    by_flips, by_labels = count_findings(cell, seed=3, n_cohorts=30)
    assert by_flips >= 25 and by_flips >= by_labels
