"""What was compared less well is said."""

import numpy as np
import pytest

from mri_saliency.groups.sentences import spread_note
from mri_saliency.statistics.contrasts import ALL_PATIENTS, contrast_test, find_subjects


@pytest.mark.parametrize(("n_tle", "spread", "factor"), [(5, 2.0, "1.8"), (5, 1.0, None), (8, 2.0, None)])
def test_few_subjects_with_unequal_spread_are_warned_of(n_tle, spread, factor):
    values = np.random.default_rng(0).standard_normal((10 + n_tle, 400))
    values[10:] *= spread
    subjects = find_subjects(range(10 + n_tle), 10 * ["HC"] + n_tle * ["TLE"])
    tested, _ = contrast_test([ALL_PATIENTS], subjects, {False: values})
    note = spread_note("saliency", subjects, tested)
    assert note is None if factor is None else f"(by a factor of up to {factor})" in note
