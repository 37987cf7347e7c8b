"""The chart of the checks can be drawn from one to all methods, and of simulated scans says so."""

import numpy as np
import pandas as pd
import pytest

from mri_saliency.checks.figure import check_figure
from mri_saliency.methods import METHODS

from ..made_cohort import checks_table


@pytest.mark.parametrize(
    ("methods", "regions", "n_panels"), [(["saliency"], np.nan, 3), (list(METHODS), 0.5, 5)]
)
def test_it_is_drawn_for_one_to_all_methods(methods, regions, n_panels):
    table = pd.concat([checks_table(name, regions=regions) for name in methods]).drop_duplicates()
    figure = check_figure(table.assign(subject_id="sub-DEMO" + table["subject_id"]), methods)
    figure.canvas.draw()
    assert np.asarray(figure.canvas.buffer_rgba()).std() > 10 and "DEMO" in figure.get_suptitle()
    assert sum(axes.axison for axes in figure.axes) == n_panels
