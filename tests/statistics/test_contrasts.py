"""Subjects, not scans, are compared; which contrasts, and what they estimate."""

import numpy as np
import pytest

from mri_saliency.statistics.contrasts import (
    ALIGNED,
    ALL_PATIENTS,
    LEFT,
    RIGHT,
    choose_contrasts,
    contrast_test,
    find_subjects,
)


def cohort(covariates=None, **counts):
    """Subjects of one scan each: so many of each diagnosis."""
    diagnoses = [diagnosis for diagnosis, n in counts.items() for _ in range(n)]
    return find_subjects(range(len(diagnoses)), diagnoses, covariates)


def test_sessions_are_averaged_and_disputed_subjects_left_out():
    ages = np.array([[30.0], [50], [40], [1], [1]])
    subjects = find_subjects("abacc", ["HC", "left", "HC", "HC", "left"], ages)
    assert subjects.scans == [[0, 2], [1]] and subjects.diagnoses.tolist() == ["HC", "left"]
    assert subjects.covariates.tolist() == [[35.0], [50.0]] and subjects.disputed == ["c"]
    rows = np.arange(10, dtype=np.float32).reshape(5, 2)
    np.testing.assert_allclose(subjects.average(lambda index: rows[index]), [[2, 3], [2, 3]])


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ({"HC": 6, "left": 5, "right": 4}, [LEFT]),
        ({"HC": 6, "left": 3, "right": 3}, [ALL_PATIENTS]),
        ({"HC": 6, "left": 5, "right": 5, "TLE": 1}, [LEFT, RIGHT, ALIGNED, ALL_PATIENTS]),
        ({"HC": 4, "left": 9, "right": 9}, []),
        ({"HC": 9, "left": 3}, []),
    ],
)
def test_contrasts_are_those_with_enough_subjects(counts, expected):
    assert choose_contrasts(cohort(**counts)) == expected


def test_an_asymmetry_that_everyone_has_cancels_in_the_aligned_contrast():
    """However many patients each side has; an effect on the side of the focus remains."""
    subjects = cohort(HC=8, left=9, right=5)
    values = 1e-3 * np.random.default_rng(0).standard_normal((22, 2))  # left point, right point
    values += [1.0, 0.0]  # everyone's asymmetry
    values[subjects.members("left"), 0] += 0.5
    values[subjects.members("right"), 1] += 0.5
    [(_, tested)], _ = contrast_test(
        [ALIGNED], subjects, {True: subjects.align(values, values[:, ::-1].copy())}
    )
    np.testing.assert_allclose(tested.effect, [0.5, 0.0], atol=2e-3)
    assert tested.p[0] < 0.05 < tested.p[1]


def test_the_contrast_of_one_side_leaves_the_other_out():
    subjects = cohort(left=5, HC=6, right=5)
    values = np.random.default_rng(0).standard_normal((16, 3))
    [(_, tested)], _ = contrast_test([RIGHT], subjects, {False: values})
    np.testing.assert_allclose(tested.effect, values[11:].mean(0) - values[5:11].mean(0))
    values[:5] = 1e6
    [(_, again)], _ = contrast_test([RIGHT], subjects, {False: values})
    np.testing.assert_array_equal(again.p, tested.p)


def test_covariates_are_accounted_for_and_useless_ones_dropped():
    generator = np.random.default_rng(0)
    age = np.concatenate([generator.normal(30, 5, 12), generator.normal(50, 5, 12)])
    values = {False: 0.1 * age[:, None] + 0.01 * generator.standard_normal((24, 1))}
    columns = np.column_stack([age, np.zeros(24)])  # nobody is at the second column's site
    [(_, adjusted)], _ = contrast_test([ALL_PATIENTS], cohort(columns, HC=12, TLE=12), values)
    [(_, plain)], _ = contrast_test([ALL_PATIENTS], cohort(HC=12, TLE=12), values)
    assert abs(adjusted.effect[0]) < 0.05 and plain.effect[0] > 1.5


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (np.repeat([[0.0], [1.0]], 8, axis=0), "cannot be told apart"),
        (np.random.default_rng(0).standard_normal((16, 10)), "too few subjects for 10 covariates"),
    ],
)
def test_covariates_that_leave_nothing_to_test_are_refused(columns, message):
    subjects = cohort(columns, HC=8, TLE=8)
    tested, refused = contrast_test([ALL_PATIENTS], subjects, {False: np.zeros((16, 1))})
    assert not tested and message in refused["TLE_minus_HC"]
