"""The second run's regions against the first one's."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from mri_saliency.combine.run_difference import LEAST_SCANS, difference_figure, region_differences


def made_regions(n=8, names=("one", "two", "three"), seed=0):
    generator = np.random.default_rng(seed)
    return pd.DataFrame(
        {"subject_id": f"s{i}", "method": method, "run": run, "region": region, "density": density}
        for i in range(n)
        for method in ("saliency", "deep_lift")
        for region in names
        for run, density in zip(("z", "a"), np.exp(generator.standard_normal(2)), strict=True)
    )


def test_ratios_and_limits_are_those_of_logarithms():
    regions = made_regions()
    table = region_differences(regions).set_index(["method", "region"])
    assert len(table) == 6
    part = regions[(regions["method"] == "deep_lift") & (regions["region"] == "two")]
    first, second = (np.log(part[part["run"] == run]["density"].to_numpy()) for run in ("z", "a"))
    row = table.loc["deep_lift", "two"]
    mean, sd = (second - first).mean(), (second - first).std(ddof=1)
    assert row["n_scans"] == 8 and row["ratio"] == pytest.approx(np.exp(mean))
    assert row["ratio_low"] == pytest.approx(np.exp(mean - 1.959964 * sd))
    assert row["ratio_high"] == pytest.approx(np.exp(mean + 1.959964 * sd))
    assert row["density"] == pytest.approx(np.exp((first.mean() + second.mean()) / 2))


def test_scans_without_a_density_in_both_do_not_count():
    regions = made_regions(n=LEAST_SCANS, names=("one", "two"))
    is_first = (regions["subject_id"] == "s0") & (regions["region"] == "one")
    regions.loc[is_first, "density"] = [0.0, np.nan, 1.0, 0.0]
    table = region_differences(regions)
    assert set(table["region"]) == {"two"} and (table["n_scans"] == LEAST_SCANS).all()
    assert region_differences(regions[regions["subject_id"] != "s1"]).empty
    assert region_differences(pd.DataFrame()).empty


def test_the_figure_has_a_panel_for_each_method_and_names_the_farthest():
    names = [f"region {i}" for i in range(20)]
    table = region_differences(made_regions(names=names))
    figure = difference_figure(table, ("runs/z", "runs/a"))
    FigureCanvasAgg(figure).draw()
    panels = figure.axes
    assert [axes.get_title() for axes in panels] == ["saliency", "deep lift"]
    rows = table[table["method"] == "saliency"].set_index("region")
    farthest = np.abs(np.log(rows["ratio"])).nlargest(4).index
    assert {text.get_text() for text in panels[0].texts} == set(farthest)
