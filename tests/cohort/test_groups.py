"""Who belongs to which group, some scans from all groups, and group means."""

from collections import Counter
from functools import partial

import numpy as np
import pytest

from mri_saliency.cohort.groups import GROUPS, diagnosis_words, group_means, group_titles, representative
from mri_saliency.wording import ClassNames

from ..made_cohort import made_record


@pytest.mark.parametrize(
    ("logits", "diagnosis", "expected"),
    [
        ([1.0], "HC", {"HC"}),
        ([1.0], "left", {"TLE", "left", "TLE_correct"}),
        ([-1.0], "right", {"TLE", "right", "TLE_wrong"}),
        ([1.0], "TLE", {"TLE", "TLE_correct"}),  # a patient without a side
        (np.log([0.4, 0.3, 0.3]), "left", {"TLE", "left", "TLE_wrong"}),  # predicted HC; TLE has 0.6
    ],
)
def test_groups_follow_diagnosis_and_prediction(logits, diagnosis, expected):
    label = int(diagnosis != "HC")
    scan = made_record(logits=logits, diagnosis=diagnosis, true_label=label).statistics
    assert {name for name, group in GROUPS.items() if group.has_member(scan)} == expected


def test_titles_have_the_classes_words():
    titles = group_titles(ClassNames("CN {x}", "AD"))
    assert list(titles) == [*GROUPS] and titles["HC"] == "CN {x}"
    assert titles["left"] == "AD, focus on the left" and titles["TLE_wrong"] == "AD, predicted CN {x}"


def test_diagnoses_that_occur_have_words_in_order():
    names = ClassNames("CN", "AD")
    assert diagnosis_words({"TLE", "HC"}, names) == {"HC": "CN", "TLE": "AD"}
    found = diagnosis_words({"right", "TLE", "left", "HC"}, names)
    assert list(found) == ["HC", "left", "right", "TLE"] and found["TLE"] == "AD, side unknown"


@pytest.mark.parametrize(
    ("diagnoses", "expected"),
    [
        (sorted(("HC", "left", "HC", "right") * 25), {"left": 7, "right": 7, "HC": 6}),
        (["HC"] * 50 + ["left"] * 3 + ["right", "TLE"], {"HC": 15, "left": 3, "right": 1, "TLE": 1}),
        (["HC"] * 11 + ["left"] * 9, {"HC": 11, "left": 9}),
        ([], {}),
    ],
)
def test_some_scans_are_of_all_diagnoses_alike(diagnoses, expected):
    scans = [made_record(diagnosis=diagnosis).statistics for diagnosis in diagnoses]
    chosen = representative(scans, 20)
    assert Counter(scan.diagnosis for scan in chosen) == expected
    assert len(set(map(id, chosen))) == len(chosen)


def test_some_scans_are_from_all_over_the_table():
    scans = [made_record(diagnosis="HC", sample_idx=index).statistics for index in range(10)]
    assert [scan.sample_idx for scan in representative(scans, 4)] == [0, 3, 6, 9]
    assert representative(scans, 1) == scans[:1] and representative(scans[:3], 4) == scans[:3]


def test_group_means_are_plain_means():
    values = np.random.default_rng(0).standard_normal((9, 7, 8, 9)).astype(np.float32)
    is_case = np.arange(9) % 2 == 1
    opened = [partial(np.asarray, one) for one in values]
    means = group_means(opened, {"cases": is_case, "all": is_case | True, "none": is_case & False})
    assert set(means) == {"cases", "all"} and means["cases"].n == 4
    np.testing.assert_allclose(means["cases"].signed, values[is_case].mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(means["all"].magnitude, np.abs(values).mean(axis=0), atol=1e-6)
