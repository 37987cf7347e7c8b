"""Subjects, not scans, are compared; which contrasts, and what they estimate."""

import numpy as np
import pandas as pd
import pytest

from mri_saliency.statistics.contrasts import (
    ALIGNED,
    ALL_PATIENTS,
    LEFT,
    MIN_SUBJECTS,
    RIGHT,
    choose_contrasts,
    find_subjects,
    hypothesis,
)
from mri_saliency.statistics.sign_flips import sign_flip_test

from ..made_cohort import made_record


def cohort(**counts):
    """Statistics of scans, one a subject: so many of each diagnosis."""
    names = [(f"{diagnosis}{i}", diagnosis) for diagnosis, n in counts.items() for i in range(n)]
    return [scan(name, diagnosis) for name, diagnosis in names]


def scan(name, diagnosis, subject=None):
    label = int(diagnosis != "HC")
    return made_record(name, diagnosis=diagnosis, true_label=label, subject=subject).statistics


def test_sessions_are_averaged_and_disputed_subjects_left_out():
    scans = [scan("a1", "HC", "a"), scan("b", "left"), scan("a2", "HC", "a"), scan("c1", "HC", "c")]
    scans.append(scan("c2", "left", "c"))
    covariates = pd.DataFrame({"age": [30.0, 50, 40, 1, 1]}, index=["a1", "b", "a2", "c1", "c2"])
    subjects, notes = find_subjects(scans, covariates)
    assert subjects.scans == [[0, 2], [1]] and subjects.diagnoses.tolist() == ["HC", "left"]
    assert subjects.covariates.tolist() == [[35.0], [50.0]]
    assert "1 subjects have scans of more than one diagnosis" in notes[0] and ": c." in notes[0]
    rows = np.arange(10, dtype=np.float32).reshape(5, 2)
    np.testing.assert_allclose(subjects.average(lambda index: rows[index]), [[2, 3], [2, 3]])


@pytest.mark.parametrize(
    ("counts", "expected", "reason"),
    [
        ({"HC": 6, "left": 5, "right": 5}, [LEFT, RIGHT, ALIGNED], None),
        ({"HC": 6, "left": 5, "right": 4}, [LEFT], "the right were not compared by themselves"),
        ({"HC": 6, "left": 3, "right": 3}, [ALL_PATIENTS], "left or right were not compared"),
        ({"HC": 6, "TLE": 5}, [ALL_PATIENTS], None),
        ({"HC": 6, "left": 5, "right": 5, "TLE": 1}, [LEFT, RIGHT, ALIGNED, ALL_PATIENTS], None),
        (
            {"HC": 4, "left": 9, "right": 9},
            [],
            "each group; found 4 controls, and patients with a focus on the left 9",
        ),
        ({"HC": 9, "left": 3}, [], "no groups were compared"),
    ],
)
def test_contrasts_are_those_with_enough_subjects(counts, expected, reason):
    contrasts, found = choose_contrasts(find_subjects(cohort(**counts))[0])
    assert contrasts == expected and MIN_SUBJECTS == 5
    assert found is None if reason is None else reason in found


def test_an_asymmetry_that_everyone_has_cancels_in_the_aligned_contrast():
    """However many patients each side has; an effect on the side of the focus remains."""
    subjects, _ = find_subjects(cohort(HC=8, left=9, right=5))
    generator = np.random.default_rng(0)
    values = 1e-3 * generator.standard_normal((22, 2))  # left point, right point
    values += [1.0, 0.0]  # everyone's asymmetry
    values[subjects.members("left"), 0] += 0.5
    values[subjects.members("right"), 1] += 0.5
    asked = hypothesis(ALIGNED, subjects, values, values[:, ::-1])
    [tested] = sign_flip_test([asked])
    np.testing.assert_allclose(tested.effect, [0.5, 0.0], atol=2e-3)
    assert tested.p[0] < 0.05 < tested.p[1]


def test_the_contrast_of_one_side_leaves_the_other_out():
    subjects, _ = find_subjects(cohort(left=5, HC=6, right=5))
    values = np.random.default_rng(0).standard_normal((16, 3))
    asked = hypothesis(RIGHT, subjects, values, None)
    assert asked.subjects.tolist() == [5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]
    [tested] = sign_flip_test([asked])
    np.testing.assert_allclose(tested.effect, values[11:].mean(0) - values[5:11].mean(0))


def test_covariates_are_accounted_for_and_useless_ones_dropped():
    scans = cohort(HC=12, TLE=12)
    generator = np.random.default_rng(0)
    age = np.concatenate([generator.normal(30, 5, 12), generator.normal(50, 5, 12)])
    columns = {"age": age, "site=b": np.zeros(24)}  # nobody in these groups is at site b
    covariates = pd.DataFrame(columns, index=[row.subject_id for row in scans])
    subjects, _ = find_subjects(scans, covariates)
    values = 0.1 * age[:, None] + 0.01 * generator.standard_normal((24, 1))
    adjusted = hypothesis(ALL_PATIENTS, subjects, values, None)
    assert adjusted.design.shape == (24, 3)
    assert abs(sign_flip_test([adjusted])[0].effect[0]) < 0.05
    plain = hypothesis(ALL_PATIENTS, find_subjects(scans)[0], values, None)
    assert sign_flip_test([plain])[0].effect[0] > 1.5


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"site": [0.0] * 8 + [1.0] * 8}, "cannot be told apart"),
        (
            dict(zip("abcdefghij", np.random.default_rng(0).standard_normal((10, 16)), strict=True)),
            "too few subjects",
        ),
    ],
)
def test_covariates_that_leave_nothing_to_test_are_refused(columns, message):
    scans = cohort(HC=8, TLE=8)
    covariates = pd.DataFrame(columns, index=[row.subject_id for row in scans])
    subjects, _ = find_subjects(scans, covariates)
    with pytest.raises(np.linalg.LinAlgError, match=message):
        hypothesis(ALL_PATIENTS, subjects, np.zeros((16, 1)), None)
