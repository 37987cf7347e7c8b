"""What was compared less well is said."""

from dataclasses import replace

import numpy as np
import pytest

from mri_saliency.groups.sentences import inexact_maps, limits_of_test
from mri_saliency.methods import METHODS
from mri_saliency.statistics.contrasts import ALL_PATIENTS, contrast_test, find_subjects

from ..made_cohort import made_record


@pytest.mark.parametrize(("n_tle", "spread", "n_limits"), [(5, 2.0, 1), (5, 1.0, 0), (8, 2.0, 0)])
def test_few_subjects_with_unequal_spread_limit_the_test(n_tle, spread, n_limits):
    values = np.random.default_rng(0).standard_normal((10 + n_tle, 400))
    values[10:] *= spread
    subjects = find_subjects(range(10 + n_tle), 10 * ["HC"] + n_tle * ["TLE"])
    tested, _ = contrast_test([ALL_PATIENTS], subjects, {False: values})
    limitations = limits_of_test(METHODS["saliency"], subjects, tested, uses_controls=False)
    assert all(f"({n_tle} patients) were compared" in limitation.sentence for limitation in limitations)
    assert ["9% instead of 5%" in limitation.sentence for limitation in limitations] == [True] * n_limits


def test_skewed_unequal_groups_limit_the_test_where_it_was_not_tried():
    """Of the same skewed values a few against many, and as many as many."""
    values = np.random.default_rng(0).standard_gamma(0.5, (208, 400))
    for n_controls, n_limits in ((200, 1), (104, 0)):
        subjects = find_subjects(range(208), n_controls * ["HC"] + (208 - n_controls) * ["TLE"])
        tested, _ = contrast_test([ALL_PATIENTS], subjects, {False: values}, n_flips=10)
        assert len(limits_of_test(METHODS["saliency"], subjects, tested, uses_controls=True)) == n_limits


@pytest.mark.parametrize(
    ("n_controls", "uses_controls", "n_limits"), [(24, True, 1), (25, True, 0), (14, False, 0)]
)
def test_few_controls_in_everybodys_baseline_limit_the_test(n_controls, uses_controls, n_limits):
    values = np.random.default_rng(0).standard_normal((n_controls + 15, 400))
    subjects = find_subjects(range(n_controls + 15), n_controls * ["HC"] + 15 * ["TLE"])
    tested, _ = contrast_test([ALL_PATIENTS], subjects, {False: values}, n_flips=10)
    limitations = limits_of_test(METHODS["saliency"], subjects, tested, uses_controls)
    assert ["24 controls" in str(limitation) for limitation in limitations] == [True] * n_limits


def test_inexact_maps_that_were_compared_are_named():
    row = made_record("s0", "saliency").statistics
    exact, wrong = replace(row, map_error=0.01), replace(row, map_error=0.5, completeness_verdict="check")
    assert not inexact_maps(METHODS["saliency"], [row, exact])
    [limitation] = inexact_maps(METHODS["saliency"], [exact, wrong, wrong])
    assert "50%" in limitation.sentence and "2 of 3" in limitation.sentence
