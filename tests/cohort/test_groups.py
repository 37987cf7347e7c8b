"""Who belongs to which group, and group means."""

from functools import partial

import numpy as np
import pytest

from mri_saliency.cohort.groups import GROUPS, diagnosis_words, group_means, group_titles
from mri_saliency.wording import ClassNames

from ..made_cohort import made_record


def groups_of(logits, diagnosis):
    label = int(diagnosis != "HC")
    scan = made_record(logits=logits, diagnosis=diagnosis, true_label=label).statistics
    return {name for name, group in GROUPS.items() if group.has_member(scan)}


@pytest.mark.parametrize(
    ("logits", "diagnosis", "expected"),
    [
        ([-1.0], "HC", {"HC"}),
        ([1.0], "HC", {"HC"}),
        ([1.0], "left", {"TLE", "left", "TLE_correct"}),
        ([-1.0], "right", {"TLE", "right", "TLE_wrong"}),
        ([1.0], "TLE", {"TLE", "TLE_correct"}),  # a patient without a side
    ],
)
def test_groups_follow_diagnosis_and_prediction(logits, diagnosis, expected):
    assert groups_of(logits, diagnosis) == expected


def test_with_three_logits_the_most_probable_class_decides():
    """HC has 0.4, the two TLE classes 0.3 each: the probability of TLE is 0.6, and HC is predicted."""
    assert "TLE_wrong" in groups_of(np.log([0.4, 0.3, 0.3]), "left")
    assert "TLE_correct" in groups_of(np.log([0.3, 0.3, 0.4]), "left")


def test_titles_have_the_classes_words():
    titles = group_titles(ClassNames())
    assert titles == {
        **{"HC": "HC", "TLE": "TLE", "left": "TLE, focus on the left", "right": "TLE, focus on the right"},
        **{"TLE_correct": "TLE, predicted TLE", "TLE_wrong": "TLE, predicted HC"},
    }
    assert list(titles) == [*GROUPS]
    renamed = group_titles(ClassNames("CN {x}", "AD"))
    assert renamed["TLE_wrong"] == "AD, predicted CN {x}"


def test_diagnoses_that_occur_have_words_in_order():
    names = ClassNames("CN", "AD")
    assert diagnosis_words({"TLE", "HC"}, names) == {"HC": "CN", "TLE": "AD"}
    found = diagnosis_words({"right", "TLE", "left", "HC"}, names)
    assert list(found.items()) == [
        *(("HC", "CN"), ("left", "left"), ("right", "right"), ("TLE", "AD, side unknown"))
    ]


def test_group_means_are_plain_means():
    values = np.random.default_rng(0).standard_normal((9, 7, 8, 9)).astype(np.float32)
    is_case = np.arange(9) % 2 == 1
    opened = [partial(np.asarray, one) for one in values]
    means = group_means(opened, {"cases": is_case, "all": is_case | True, "none": is_case & False})
    assert set(means) == {"cases", "all"} and means["cases"].n == 4
    np.testing.assert_allclose(means["cases"].signed, values[is_case].mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(means["all"].magnitude, np.abs(values).mean(axis=0), atol=1e-6)
