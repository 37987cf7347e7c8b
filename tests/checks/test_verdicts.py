"""Verdicts follow the numbers, and say why."""

from itertools import combinations

import numpy as np
import pytest

from mri_saliency.checks.table import ANOTHER, BY_MAGNITUDE, MAP, RANDOM, SHUFFLED
from mri_saliency.checks.verdicts import (
    CHECKS,
    EVIDENCE,
    MAGNITUDES,
    NOISE,
    REGIONS,
    SEED,
    WEIGHTS,
    verdicts,
)

from ..made_cohort import CHECKED, checks_table


def judged(table, method="smooth_grad"):
    [(name, answers)] = verdicts(table).items()
    assert name == method and tuple(answers) == CHECKS
    return answers


def failed(answers):
    return [check for check, verdict in answers.items() if verdict.passed is False]


def test_a_method_that_passes():
    answers = judged(checks_table())
    assert all(verdict.passed for verdict in answers.values())
    for check, words in (
        (WEIGHTS, "0.10 in value and 0.10 in magnitude"),
        (EVIDENCE, "least ahead of |scan - baseline|, by 0.30 (95 % interval 0.30"),
        (NOISE, "0.90 with the same scan's; least ahead of others', 0.50, by 0.40"),
        (REGIONS, "over regions 0.82; least ahead of |scan - baseline|, by 0.52"),
    ):
        assert words in answers[check].reason


@pytest.mark.parametrize(
    ("changes", "checks", "words"),
    [
        ({"weights": 0.62}, [WEIGHTS], "0.62 in magnitude (line 0.2). Do not read this method's maps"),
        ({"weights": 0.25, "others": 0.3}, [WEIGHTS], "correlate 0.25"),  # the line is fixed
        (
            {"levels": {MAP: 0.45}},
            [EVIDENCE, MAGNITUDES],
            "least lead -0.05 (95 % interval -0.05 to -0.05). Do not take",
        ),
        # two scans of four much better, two a little worse
        (
            {"levels": {MAP: (0.1, 0.1, 0.45, 0.45)}},
            [EVIDENCE, MAGNITUDES],
            "least lead 0.12 (95 % interval -0.",
        ),
        (
            {"levels": {SHUFFLED: 0.1}},
            [EVIDENCE, MAGNITUDES],
            "not ahead of a shuffled network's map; least lead 0.00",
        ),
        ({"levels": {ANOTHER + BY_MAGNITUDE: 0.1}}, [MAGNITUDES], "anatomy alone may be the reason"),
        ({"levels": {RANDOM: 0.0}}, [EVIDENCE, MAGNITUDES], "not ahead of voxels at random"),
        ({"noise": 0.5}, [NOISE, SEED], "Do not read the map of a single scan"),
        ({"regions": 0.25}, [REGIONS], "over regions 0.27; not ahead of |scan - baseline|; least lead -0.03"),
    ],
)
def test_a_failed_check_says_why_and_fails_no_other(changes, checks, words):
    answers = judged(checks_table(**changes))
    assert failed(answers) == checks
    assert words in str(answers[checks[0]])


def test_correlations_of_different_signs_do_not_cancel():
    table = checks_table()
    rows = (table["check"] == "weights") & (table["measure"] == "signed")
    table.loc[rows, "value"] = [0.9, -0.9, 0.9, -0.9]
    assert failed(judged(table)) == [WEIGHTS]


def test_a_scan_is_held_against_its_own_likeness_to_others():
    """Ahead of it by as little, scan by scan, as an interval over other scans' would not allow."""
    table = checks_table()
    pairs = dict(zip(combinations(CHECKED, 2), np.linspace(0.1, 0.9, 6), strict=True))
    others = [np.mean([value for pair, value in pairs.items() if scan in pair]) for scan in CHECKED]
    for check, values in (("subjects", list(pairs.values())), ("noise", np.add(others, 0.01))):
        table.loc[table["check"] == check, "value"] = values
    assert judged(table)[NOISE].passed
    table.loc[table["check"] == "noise", "value"] = np.add(others[::-1], 0.01)
    assert failed(judged(table)) == [NOISE]


def test_a_method_without_draws_is_not_judged_by_its_seed():
    table = checks_table("integrated_gradients")
    answers = judged(table[table["check"] != "seed"], "integrated_gradients")
    assert answers[SEED].reason == "draws nothing" and answers[SEED].answer == "not judged"
    assert all(verdict.passed for check, verdict in answers.items() if check != SEED)


def test_an_unsigned_method_is_judged_by_magnitudes_alone():
    table = checks_table("saliency")
    table.loc[(table["check"] == "weights") & (table["measure"] == "signed"), "value"] = 0.9
    answers = judged(table, "saliency")
    assert answers[WEIGHTS].passed and "in value" not in answers[WEIGHTS].reason
    assert judged(table.replace("saliency", "smooth_grad"))[WEIGHTS].passed is False


def test_two_scans_are_too_few():
    table = checks_table()
    answers = judged(table[table["subject_id"].isin(("a", "b", "a and b"))])
    assert answers[WEIGHTS].passed
    for check in (EVIDENCE, MAGNITUDES, NOISE, SEED, REGIONS):
        assert answers[check].passed is None and "too few scans" in answers[check].reason


@pytest.mark.parametrize(
    ("changes", "checks", "words"),
    [
        ({"noise": np.nan, "others": np.nan}, [NOISE, SEED], "a map is constant"),
        ({"regions": None}, [REGIONS], "no atlas"),
    ],
)
def test_what_has_no_numbers_is_not_judged(changes, checks, words):
    answers = judged(checks_table(**changes))
    assert [check for check, verdict in answers.items() if verdict.passed is None] == checks
    assert words in answers[checks[0]].reason


@pytest.mark.parametrize("measures", [("signed", "partial"), ("partial",)])
def test_one_undefined_correlation_with_shuffled_weights_is_no_pass(measures):
    """As of a network that lost its gradient, or of a map that is |scan - baseline|."""
    table = checks_table(weights=0.0)
    undefined = (table["check"] == "weights") & table["measure"].isin(measures) & (table["subject_id"] == "a")
    table.loc[undefined, "value"] = np.nan
    verdict = judged(table)[WEIGHTS]
    assert verdict.passed is None and "leaves nothing" in verdict.reason
