"""The chart of a cohort is drawn for one scan and for many."""

import numpy as np
import pandas as pd
import pytest

from mri_saliency.cohort.summary import cohort_figure
from mri_saliency.maps.comparison import NULL, MeanAgreement
from mri_saliency.methods import METHODS
from mri_saliency.wording import ClassNames

from ..maps.test_drawing import contrast


@pytest.mark.parametrize(("n_subjects", "n_methods"), [(1, 1), (60, 7)])
def test_cohort_figure_from_one_to_many(n_subjects, n_methods):
    generator = np.random.default_rng(0)
    methods = list(METHODS)[:n_methods]
    rows = [
        {
            "subject_id": f"s{subject}",
            "method": method,
            "class": ("HC", "TLE")[subject % 2],
            "abs_mean": generator.lognormal(),
            "confidence": generator.uniform(0.5, 1),
            "brain_share": generator.uniform(),
            "brain_share_null": None if method == methods[0] else 0.5,
        }
        for subject in range(n_subjects)
        for method in methods
    ]
    means = (pd.DataFrame(value, [*methods, NULL], methods) for value in (0.4, 0.1))
    profiles = {(method, name): np.full(115, 1 / 115) for method in methods for name in ("HC", "TLE")}
    correlations = dict.fromkeys(methods, np.nan)
    figure = cohort_figure(pd.DataFrame(rows), profiles, MeanAgreement(*means), correlations, ClassNames())
    figure.canvas.draw()
    assert np.asarray(figure.canvas.buffer_rgba()).shape == (950, 1500, 4)
    title = figure.get_suptitle()
    assert title == f"Attributions of {n_subjects} scans ({-(-n_subjects // 2)} HC, {n_subjects // 2} TLE)"
    assert figure.axes[2].get_title() == "HC against TLE (true class)"
    # of the null map: a row of numbers with those of chance, and a line at the median of each method
    agreement_panel, share_panel = figure.axes[4], figure.axes[5]
    assert len(agreement_panel.texts) == n_methods * (n_methods + 1)
    assert agreement_panel.texts[-1].get_text() == "0.40\n(0.10)"
    [cells] = agreement_panel.images  # under black numbers
    shown = 1 - cells.get_alpha() * (1 - cells.to_rgba(np.linspace(-1, 1, 9))[:, :3])
    assert all(contrast("black", tuple(colour)) >= 4.5 for colour in shown)
    assert agreement_panel.get_yticklabels()[-1].get_text().startswith("null map")
    [lines] = share_panel.collections[-1:]
    heights = [segment[0, 1] for segment in lines.get_segments() if len(segment)]
    assert [height for height in heights if np.isfinite(height)] == [0.5] * (n_methods - 1)


def test_a_cohort_whose_maps_are_all_zero_is_drawn():
    row = {"class": "HC", "abs_mean": 0.0, "confidence": 1.0, "brain_share": None, "brain_share_null": None}
    table = pd.DataFrame([row | {"subject_id": name, "method": "saliency"} for name in "abc"])
    agreement = MeanAgreement(*2 * [pd.DataFrame([[np.nan]], index=["saliency"], columns=["saliency"])])
    profiles, correlations = {("saliency", "HC"): np.zeros(115)}, {"saliency": np.nan}
    figure = cohort_figure(table, profiles, agreement, correlations, ClassNames("CN", "AD"))
    figure.canvas.draw()
    assert figure.axes[0].get_yscale() == "linear"
    assert figure.get_suptitle() == "Attributions of 3 scans (3 CN, 0 AD)"
    assert figure.axes[2].get_title() == "CN against AD (true class)"
    for axes in figure.axes[2:4]:
        assert [text.get_text() for text in axes.get_legend().get_texts()][:2] == ["CN", "AD"]
