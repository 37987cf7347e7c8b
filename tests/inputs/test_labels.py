"""Labels name the tool's groups; words that could mean one are suggested, never taken for it."""

import pytest

from mri_saliency.inputs.labels import DEFAULT_LABELS, suggest_labels


@pytest.mark.parametrize(
    ("values", "option"),
    [
        (["hc", "Left", "RIGHT"], "--labels hc=HC Left=left RIGHT=right"),
        (["LTLE", "other", "RTLE"], "--labels LTLE=left RTLE=right"),
        (["CN", "MCI", "AD"], "--labels CN=HC AD=TLE"),
        (["TLE", "L-TLE", "Healthy control"], "--labels TLE=TLE L-TLE=left 'Healthy control=HC'"),
        (["HC "], "--labels 'HC =HC'"),
        (["other", "", "0", "1", "-"], None),
    ],
)
def test_suggestions(values, option):
    assert suggest_labels(values, DEFAULT_LABELS) == option


def test_a_suggestion_keeps_the_labels_that_were_given():
    given = DEFAULT_LABELS | {"Kontrolle": "HC"}
    option = suggest_labels(["RTLE", "kontrolle"], given)
    assert option == "--labels Kontrolle=HC RTLE=right kontrolle=HC"
