"""The sanity checks' files, and the choice of scans."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from mri_saliency.cohort.alarms import judge_sanity_checks
from mri_saliency.cohort.checks import evenly_spread, write_check_results
from mri_saliency.output.folder import OutputFolder

from .conftest import RECIPE, made_record, passing_checks


def test_results_are_judged_with_their_recipe(tmp_path):
    folder, table = OutputFolder(tmp_path), passing_checks()
    write_check_results(folder, table, {"smooth_grad": RECIPE})
    written = pd.read_csv(folder.checks)
    assert list(written) == ["fingerprint", *table.columns] and len(written) == len(table)
    assert set(written["fingerprint"].dropna()) == {RECIPE.digest()}
    [answers] = judge_sanity_checks(folder, [made_record(method="smooth_grad")]).values()
    assert set(answers.values()) == {"yes"}
    assert np.asarray(Image.open(folder.check_figure)).std() > 10


@pytest.mark.parametrize(
    ("n_items", "n", "expected"),
    [(10, 4, [0, 3, 6, 9]), (3, 4, [0, 1, 2]), (10, 1, [0]), (1, 2, [0]), (0, 2, [])],
)
def test_scans_are_spread_over_the_cohort(n_items, n, expected):
    assert evenly_spread(range(n_items), n) == expected
