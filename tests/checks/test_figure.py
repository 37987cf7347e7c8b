"""The chart of the checks can be drawn from one to all methods, and says what leaves its axes."""

import numpy as np
import pandas as pd
import pytest

from mri_saliency.checks.figure import check_figure
from mri_saliency.checks.table import ABLATION, DIFFERENCE, MAP
from mri_saliency.methods import METHODS

from ..made_cohort import CHECKED, checks_table


def table_of(methods, **changes):
    tables = [checks_table(name, **changes) for name in methods]
    return pd.concat(tables).drop_duplicates(["check", "method", "subject_id", "step", "measure", "order"])


@pytest.mark.parametrize(
    ("methods", "regions"),
    [(["integrated_gradients"], None), (["saliency"], np.nan), (list(METHODS), 0.5)],
    ids=["one", "unsigned", "seven"],
)
def test_it_is_drawn_for_one_to_seven_methods(methods, regions):
    figure = check_figure(table_of(methods, regions=regions), methods)
    figure.canvas.draw()
    assert len(figure.axes) == 9 and np.asarray(figure.canvas.buffer_rgba()).std() > 10


def test_curves_that_leave_the_axis_are_named():
    table = table_of(["integrated_gradients", "saliency"])
    far = (
        (table["check"] == "insertion")
        & (table["method"] == "integrated_gradients")
        & (table["order"] == MAP)
    )
    table.loc[far & (table["step"] == "50"), "value"] = 7 * 144.0
    figure = check_figure(table, ["integrated_gradients", "saliency"])
    deletion, insertion = figure.axes[3:5]
    assert insertion.get_ylim() == deletion.get_ylim() == (-0.2, 1.5)
    assert "beyond the axis: integrated gradients to 144.0" in insertion.get_xlabel()
    assert "saliency" not in insertion.get_xlabel() and "beyond" not in deletion.get_xlabel()


def test_two_scans_have_no_intervals():
    table = table_of(["saliency"])
    table = table[table["subject_id"].isin((*CHECKED[:2], "a and b"))]
    figure = check_figure(table, ["saliency"])
    assert not figure.axes[7].collections  # vertical lines
    assert check_figure(table_of(["saliency"]), ["saliency"]).axes[7].collections
    assert {ABLATION, DIFFERENCE} <= set(table["method"])
