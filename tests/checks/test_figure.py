"""The chart of the checks can be drawn from one to all methods, and says what leaves its axes."""

import numpy as np
import pandas as pd
import pytest

from mri_saliency.checks.figure import check_figure
from mri_saliency.checks.table import MAP
from mri_saliency.methods import METHODS

from ..made_cohort import checks_table


def table_of(methods, **changes):
    tables = [checks_table(name, **changes) for name in methods]
    return pd.concat(tables).drop_duplicates(["check", "method", "subject_id", "step", "measure", "order"])


@pytest.mark.parametrize(
    ("methods", "regions"),
    [(["integrated_gradients"], None), (["saliency"], np.nan), (list(METHODS), 0.5)],
)
def test_it_is_drawn_for_one_to_all_methods(methods, regions):
    figure = check_figure(table_of(methods, regions=regions), methods)
    figure.canvas.draw()
    assert np.asarray(figure.canvas.buffer_rgba()).std() > 10


def test_curves_that_leave_the_axis_are_named():
    methods = ["integrated_gradients", "saliency"]
    table = table_of(methods)
    far = (table["check"] == "insertion") & (table["method"] == methods[0]) & (table["order"] == MAP)
    table.loc[far & (table["step"] == "50"), "value"] = 7 * 144.0
    deletion, insertion = check_figure(table, methods).axes[3:5]
    assert "integrated gradients to 144.0" in insertion.get_xlabel()
    assert "saliency" not in insertion.get_xlabel() and "beyond" not in deletion.get_xlabel()
