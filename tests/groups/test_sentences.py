"""What was not compared, or less well, is said."""

import numpy as np
import pytest

from mri_saliency.groups.sentences import missing_contrasts_note, spread_note
from mri_saliency.statistics.contrasts import ALL_PATIENTS, choose_contrasts, contrast_test, find_subjects


@pytest.mark.parametrize(
    ("n_left", "n_right", "expected"),
    [
        (5, 5, None),
        (5, 0, None),
        (5, 4, "a focus on the right were not compared by themselves"),
        (2, 2, "no groups were compared: a group test needs 5 subjects in each group; found 6 controls"),
    ],
)
def test_contrasts_without_enough_subjects_have_a_reason(n_left, n_right, expected):
    subjects = find_subjects(
        range(6 + n_left + n_right), 6 * ["HC"] + n_left * ["left"] + n_right * ["right"]
    )
    note = missing_contrasts_note(subjects, choose_contrasts(subjects))
    assert note is None if expected is None else expected in note


@pytest.mark.parametrize(("n_tle", "spread", "factor"), [(5, 2.0, "1.8"), (5, 1.0, None), (8, 2.0, None)])
def test_few_subjects_with_unequal_spread_are_warned_of(n_tle, spread, factor):
    values = np.random.default_rng(0).standard_normal((10 + n_tle, 400))
    values[10:] *= spread
    subjects = find_subjects(range(10 + n_tle), 10 * ["HC"] + n_tle * ["TLE"])
    tested, _ = contrast_test([ALL_PATIENTS], subjects, {False: values})
    note = spread_note("saliency", subjects, tested)
    assert note is None if factor is None else f"(by a factor of up to {factor})" in note
