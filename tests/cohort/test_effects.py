"""Each subject is a dot, over the controls' mean, in the map's row and in the null map's."""

import numpy as np

from mri_saliency.cohort.effects import Places, effects_figure
from mri_saliency.statistics.contrasts import LEFT, find_subjects
from mri_saliency.wording import ClassNames


def test_a_figure_has_a_dot_for_each_compared_subject_of_significant_places():
    subjects = find_subjects(range(18), ["HC"] * 6 + ["left"] * 5 + ["right"] * 7)
    maps = np.zeros((18, 2))
    maps[6:11, 1] = np.log(4)
    rows = [{"method": "saliency", "region": "A", "t": 9.0, "p": p} for p in (0.06, 0.01)]
    places = Places(LEFT, subjects, maps, maps / 2, rows)
    places.add_ratios()
    assert np.allclose([rows[0]["ratio"], rows[1]["ratio"], rows[1]["ratio_null"]], [1, 4, 2])
    figure = effects_figure([places], ClassNames())
    dots = np.concatenate([part.get_offsets() for part in figure.axes[0].collections])
    for middle, value in ((-0.2, 4), (0.2, 2)):
        of_row = dots[np.abs(dots[:, 1] - middle) < 0.15, 0]
        assert sorted(of_row.round(6).tolist()) == [1] * 6 + [value] * 5
    rows[1]["p"] = 0.2
    assert effects_figure([places], ClassNames()) is None
