"""The test of groups keeps its error rate, and finds what is there: a short `python tests/calibration.py`."""

import pytest

from ..calibration import Cell, count_findings

N_COHORTS = 60
MOST = 10  # of 60 cohorts: exceeded in 0.4 % of tries at an error of 7 %


@pytest.mark.parametrize(
    "cell",
    [
        Cell(False, 1.5, 10, 10),
        *(Cell(True, 2.0, 20, 10, cohort) for cohort in ("plain", "sessions", "covariates", "foreign side")),
    ],
    ids=str,
)
def test_where_no_group_differs_few_cohorts_show_a_difference(cell):
    assert count_findings(cell, seed=1, n_cohorts=N_COHORTS)[0] <= MOST


def test_a_focus_on_each_side_is_found():
    assert count_findings(Cell(True, 1.0, 20, 10, "9 x 12 x 12 mm"), seed=3, n_cohorts=30)[0] >= 25
