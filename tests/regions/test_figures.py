"""The figure of regions shows them in order, with the classes' words."""

import pandas as pd

from mri_saliency.regions.figures import lateralisation_figure
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
