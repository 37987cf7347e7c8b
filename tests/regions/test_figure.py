"""The regions' chart is drawn with and without the null, and for patients without a side."""

from itertools import product

import numpy as np
import pandas as pd

from mri_saliency.regions.figure import region_figure
from mri_saliency.wording import ClassNames

NAMES = ClassNames("CN", "AD")


def words_of(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_region_figure_has_a_panel_a_method_and_the_densest_region_on_top():
    densest = {f"method_{i}": [f"Region {j}" for j in (3, 1, 2)] for i in range(4)}
    rows = product(densest, densest["method_0"], ("HC", "right"), (0.5, 1.5, 2.5))
    table = pd.DataFrame(rows, columns=["method", "region", "diagnosis", "density"])
    table = table.assign(subject_id="a", density_null=0.7)
    figure = region_figure(table, densest, ClassNames())
    figure.canvas.draw()
    panels = [axes for axes in figure.axes if axes.get_title()]
    assert [axes.get_title() for axes in panels] == ["method 0", "method 1", "method 2", "method 3"]
    assert [label.get_text() for label in panels[0].get_yticklabels()] == ["Region 3", "Region 1", "Region 2"]
    assert panels[0].yaxis_inverted()
    assert words_of(figure)[:2] == ["HC", "right"] and len(words_of(figure)) == 3
    marks = [points.get_offsets() for points in panels[0].collections if len(points.get_offsets()) == 1]
    heights = [0, 0, 1, 1, 2, 2] + np.tile([-0.13, 0.13], 3)
    np.testing.assert_allclose(np.concatenate(marks), np.c_[np.full(6, 0.7), heights])  # the nulls


def test_patients_without_a_side_have_a_box_in_the_classes_words():
    rows = [("HC", 1.0), ("HC", 2.0), ("TLE", 3.0), ("TLE", 4.0)]
    table = pd.DataFrame(rows, columns=["diagnosis", "density"])
    table = table.assign(subject_id="a", method="saliency", region="A", density_null=np.nan)
    figure = region_figure(table, {"saliency": ["A"]}, NAMES)
    figure.canvas.draw()
    [panel] = figure.axes
    assert words_of(figure) == ["CN", "AD"]  # and no null
    points = np.concatenate([points.get_offsets()[:, 0] for points in panel.collections])
    assert {3.0, 4.0} <= set(points)
    sides = pd.concat([table, table.assign(diagnosis=["left", "left", "right", "right"])])
    figure = region_figure(sides, {"saliency": ["A"]}, NAMES)
    assert words_of(figure) == ["CN", "left", "right", "AD, side unknown"]
    colours = [tuple(points.get_facecolor()[0]) for points in figure.axes[0].collections[-4:]]
    assert len(set(colours)) == 4
