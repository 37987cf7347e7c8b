"""What was compared less well is said."""

import numpy as np
import pytest

from mri_saliency.groups.sentences import limits_of_test
from mri_saliency.methods import METHODS
from mri_saliency.statistics.contrasts import ALL_PATIENTS, contrast_test, find_subjects


@pytest.mark.parametrize(("n_tle", "spread", "n_limits"), [(5, 2.0, 1), (5, 1.0, 0), (8, 2.0, 0)])
def test_few_subjects_with_unequal_spread_limit_the_test(n_tle, spread, n_limits):
    values = np.random.default_rng(0).standard_normal((10 + n_tle, 400))
    values[10:] *= spread
    subjects = find_subjects(range(10 + n_tle), 10 * ["HC"] + n_tle * ["TLE"])
    tested, _ = contrast_test([ALL_PATIENTS], subjects, {False: values})
    limitations = limits_of_test(METHODS["saliency"], subjects, tested, uses_controls=False)
    assert ["9% instead of 5%" in limitation.sentence for limitation in limitations] == [True] * n_limits
