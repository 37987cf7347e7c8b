"""Verdicts follow the numbers, and say why."""

import numpy as np
import pytest

from mri_saliency.checks.table import ANOTHER, DIFFERENCE, MAP, RANDOM, SHUFFLED
from mri_saliency.checks.verdicts import (
    CHECKS,
    EVIDENCE,
    NOISE,
    REGIONS,
    SEED,
    UNCHANGED,
    WEIGHTS,
    Verdict,
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
    assert str(answers[WEIGHTS]) == (
        "yes: with all weights shuffled its maps correlate 0.10 in value and 0.10 in magnitude (line 0.2)"
    )
    assert "least of |scan - baseline|, by 0.30 (95 % interval 0.30 to 0.30)" in answers[EVIDENCE].reason
    assert answers[NOISE].reason == "rank correlation 0.90 with the same scan's and 0.50 with others'"
    assert answers[REGIONS].reason.endswith("; |scan - baseline| reaches 0.30, a shuffled network's map 0.20")


@pytest.mark.parametrize(
    ("changes", "checks", "words"),
    [
        ({"weights": 0.62}, [WEIGHTS], "0.62 in magnitude (line 0.2). Do not read this method's maps"),
        ({"weights": -0.62}, [WEIGHTS], "correlate 0.62"),
        (
            {"levels": {MAP: 0.45}},
            [EVIDENCE],
            "|scan - baseline|, -0.05 (95 % interval -0.05 to -0.05). Do not",
        ),
        ({"levels": {MAP: 0.55}}, [EVIDENCE], "-0.15) and a shuffled network's map, -0.06"),
        ({"levels": {SHUFFLED: 0.1}}, [EVIDENCE], "not ahead of a shuffled network's map, 0.00"),
        ({"levels": {ANOTHER: 0.1}}, [EVIDENCE], "not ahead of another scan's map"),
        ({"levels": {RANDOM: 0.0}}, [EVIDENCE], "not ahead of voxels at random"),
        ({"noise": 0.5}, [NOISE, SEED], "Do not read the map of a single scan"),
        ({"regions": -0.5}, [REGIONS], "-0.48 (95 % interval"),
    ],
)
def test_a_failed_check_says_why_and_fails_no_other(changes, checks, words):
    answers = judged(checks_table(**changes))
    assert failed(answers) == checks
    assert words in answers[checks[0]].reason and str(answers[checks[0]]).startswith("NO: ")


def test_correlations_of_different_signs_do_not_cancel():
    table = checks_table()
    rows = (table["check"] == "weights") & (table["step"] == "features.0") & (table["measure"] == "signed")
    table.loc[rows, "value"] = [0.9, -0.9, 0.9, -0.9]
    assert failed(judged(table)) == [WEIGHTS]


def test_the_line_of_weights_does_not_move_with_other_scans():
    assert UNCHANGED == 0.2
    assert failed(judged(checks_table(weights=0.25, others=0.3))) == [WEIGHTS]


def test_being_ahead_in_the_mean_alone_is_not_enough():
    """Two scans of four much better, two a little worse: the interval reaches below 0."""
    answers = judged(checks_table(levels={MAP: (0.1, 0.1, 0.45, 0.45)}))
    assert failed(answers) == [EVIDENCE] and "|scan - baseline|, 0.12 (95 % interval -0." in str(answers)


def test_a_method_without_draws_is_not_judged_by_its_seed():
    table = checks_table("integrated_gradients")
    answers = judged(table[table["check"] != "seed"], "integrated_gradients")
    assert answers[SEED] == Verdict(None, "draws nothing") and answers[SEED].answer == "not judged"
    assert all(verdict.passed for check, verdict in answers.items() if check != SEED)


def test_an_unsigned_method_is_judged_by_magnitudes_alone():
    table = checks_table("saliency")
    table.loc[(table["check"] == "weights") & (table["measure"] == "signed"), "value"] = 0.9
    answers = judged(table, "saliency")
    assert answers[WEIGHTS].passed and "in value" not in answers[WEIGHTS].reason
    assert judged(table.replace("saliency", "smooth_grad"))[WEIGHTS].passed is False


def test_two_scans_are_too_few():
    table = checks_table()
    table = table[table["subject_id"].isin(("a", "b", "a and b"))]
    answers = judged(table)
    assert answers[WEIGHTS].passed
    for check in (NOISE, SEED, REGIONS):
        assert answers[check] == Verdict(None, "too few scans for an interval (2): --check_maps 3 at least")
    assert answers[EVIDENCE].passed is None and "too few scans (2) whose logit" in answers[EVIDENCE].reason


@pytest.mark.parametrize(
    ("order", "words"),
    [
        (SHUFFLED, "the map of the shuffled network is zero everywhere in 1 of 4 scans"),
        (MAP, "the map is zero everywhere in 1 of 4 scans"),
        (None, "a map is constant in 1 scans"),
    ],
)
def test_a_network_that_lost_its_gradient_is_no_pass(order, words):
    table = checks_table(weights=0.0)
    undefined = (table["check"] == "weights") & (table["subject_id"] == "a")
    if order:
        undefined |= (table["check"] == "nulls") & (table["order"] == order) & (table["subject_id"] == "a")
    table.loc[undefined, "value"] = np.nan
    assert judged(table)[WEIGHTS] == Verdict(None, words)


def test_magnitudes_that_a_factor_explains_are_no_pass():
    table = checks_table("saliency")
    table.loc[(table["check"] == "weights") & (table["measure"] == "partial"), "value"] = np.nan
    verdict = judged(table, "saliency")[WEIGHTS]
    assert verdict.passed is None and "leaves nothing of its magnitudes" in verdict.reason


def test_constant_maps_are_not_repeated():
    answers = judged(checks_table(noise=np.nan, others=np.nan))
    assert answers[NOISE] == Verdict(None, "its maps are constant in 4 of 4 scans")
    answers = judged(checks_table(regions=np.nan))
    assert answers[REGIONS].passed is None and "no rank correlation" in answers[REGIONS].reason


def test_without_an_atlas_regions_are_not_judged():
    answers = judged(checks_table(regions=None))
    assert answers[REGIONS] == Verdict(None, "no atlas, or no scan that has a place in it")


def test_a_table_of_an_earlier_version_has_no_verdict():
    table = checks_table().drop(columns="order")
    answers = judged(table[~table["check"].isin(("nulls", "region", "region_ranks"))])
    assert set(answers.values()) == {Verdict(None, "made by an earlier version; run --check_maps again")}


def test_scans_are_matched_by_name_whatever_their_names_are():
    table = checks_table()
    names = {scan: f"{scan} and {scan}" for scan in CHECKED}
    table["subject_id"] = [
        " and ".join(names[part] for part in subject.split(" and ")) for subject in table["subject_id"]
    ]
    assert judged(table)[NOISE].passed


def test_other_names_in_the_table_are_not_judged():
    assert DIFFERENCE in set(checks_table()["method"])
    assert list(verdicts(checks_table("an impostor"))) == []
