"""The figures of regions show the regions in order, the nulls, and the classes' words."""

import numpy as np
import pandas as pd

from mri_saliency.methods import METHODS
from mri_saliency.regions.figures import lateralisation_figure, region_figure
from mri_saliency.regions.lateralisation import lateralisation_table
from mri_saliency.wording import ClassNames

from ..made_cohort import SIDED_PAIRS, sided_regions

NAMES = ClassNames("CN", "AD")


def words_of(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


def panels_of(figure):
    """Title -> panel of a drawn figure, and the names beside it, from the top down."""
    figure.canvas.draw()
    panels = {axes.get_title(): axes for axes in figure.axes if axes.axison}
    assert all(axes.yaxis_inverted() for axes in panels.values())
    return panels, [[label.get_text() for label in axes.get_yticklabels()] for axes in panels.values()]


def test_regions_stand_in_the_given_order_with_their_nulls_beside_them():
    densest = {method: [f"Region {j}" for j in (3, 1, 2)] for method in list(METHODS)[:4]}
    rows = [
        (method, region, diagnosis, density)
        for method, regions in densest.items()
        for region in regions
        for diagnosis in ("HC", "right")
        for density in (0.5, 1.5, 2.5)
    ]
    table = pd.DataFrame(rows, columns=["method", "region", "diagnosis", "density"])
    figure = region_figure(table.assign(subject_id="a", density_null=0.7), densest, NAMES)
    panels, names = panels_of(figure)
    assert list(panels) == ["Integrated Gradients", "saliency", "Gradient SHAP", "Expected Gradients"]
    assert names[0] == ["Region 3", "Region 1", "Region 2"]
    assert words_of(figure)[:2] == ["CN", "right"] and len(words_of(figure)) == 3
    marks = [points.get_offsets() for points in panels["saliency"].collections]
    nulls = np.concatenate([points for points in marks if len(points) == 1])
    heights = [0, 0, 1, 1, 2, 2] + np.tile([-0.13, 0.13], 3)
    np.testing.assert_allclose(nulls, np.c_[np.full(6, 0.7), heights])


def test_patients_without_a_side_are_drawn():
    table = pd.DataFrame({"diagnosis": ["HC", "HC", "TLE", "TLE"], "density": [1.0, 2.0, 3.0, 4.0]})
    table = table.assign(subject_id="a", method="saliency", region="A", density_null=np.nan)
    assert words_of(region_figure(table, {"saliency": ["A"]}, NAMES)) == ["CN", "AD"]  # and no null


def test_the_densest_pairs_stand_by_their_area():
    table = lateralisation_table(sided_regions(), SIDED_PAIRS)
    one = table.tail(1).assign(method="deep_lift", auc_low=0, auc_high=1)
    many = [one.assign(left_region=f"Left area {i}", auc=i / 20) for i in range(20)]
    many[7]["better_than_hemisphere"] = "yes"
    figure = lateralisation_figure(pd.concat([table, *many]), NAMES, "DEMO ")
    assert figure.get_suptitle().startswith("DEMO ") and "left from right AD?" in figure.get_suptitle()
    assert len(words_of(figure)) == 2
    panels, names = panels_of(figure)
    assert "DeepLIFT (12 densest of 20 pairs)" in panels
    assert names[0] == ["whole hemisphere", "hippocampus", "insula"]
    assert names[1] == [f"{'* ' if i == 7 else ''}area {i}" for i in range(11, -1, -1)]
