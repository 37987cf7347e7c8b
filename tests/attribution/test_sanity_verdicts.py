"""Verdicts follow the pass lines and the areas between curves."""

import pandas as pd
import pytest

from mri_saliency.attribution.sanity_verdicts import (
    COLUMNS,
    UNLIKE,
    WHOLE,
    areas_between,
    curve,
    mean_values,
    pass_lines,
    verdicts,
)

STEPS = ("0", "50", "100")
BOTH = ("signed", "absolute")


def made_up(weights_similarity, subjects_similarity, *, deletion=0.2, noise=0.9, method="smooth_grad"):
    """Make a table of checks whose numbers are known."""
    rows = [("subjects", method, "a", WHOLE, measure, subjects_similarity) for measure in BOTH]
    rows += [
        ("weights", method, "a", step, measure, value)
        for step, value in (("classifier", 0.99), ("features.0", weights_similarity))
        for measure in BOTH
    ]
    for check in ("noise", "seed"):
        rows += [(check, method, "a", WHOLE, measure, noise) for measure in BOTH]
    for name, level in ((method, deletion), ("random", 0.5), ("intensity", 0.5)):
        for check, values in (("deletion", (7, 7 * level, 0)), ("insertion", (0, 7 - 7 * level, 7))):
            rows += [(check, name, "a", step, "logit", v) for step, v in zip(STEPS, values, strict=True)]
    return pd.DataFrame(rows, columns=COLUMNS)


def test_verdicts_follow_the_pass_lines():
    passed = verdicts(made_up(0.1, 0.5))["smooth_grad"]
    assert set(passed.answers().values()) == {"yes"}
    failed = verdicts(made_up(0.8, 0.5, deletion=0.7, noise=0.4))["smooth_grad"]
    assert set(failed.answers().values()) == {"NO"}


@pytest.mark.parametrize(
    ("changes", "check"),
    [
        ({"weights_similarity": 0.8}, "changes with the weights"),
        ({"deletion": 0.7}, "finds the evidence"),
    ],
)
def test_a_failed_check_fails_no_other(changes, check):
    table = made_up(**{"weights_similarity": 0.1, "subjects_similarity": 0.5} | changes)
    answers = verdicts(table)["smooth_grad"].answers()
    assert [name for name, answer in answers.items() if answer == "NO"] == [check]


def test_a_method_without_draws_is_not_judged_by_its_seed():
    table = made_up(0.1, 0.5, method="integrated_gradients")
    answers = verdicts(table[table["check"] != "seed"])["integrated_gradients"].answers()
    assert answers["same with another seed"] == "draws nothing"
    assert set(answers.values()) == {"yes", "draws nothing"}


def test_an_unsigned_method_is_judged_by_magnitudes_alone():
    table = made_up(0.1, 0.5, method="saliency")
    table.loc[(table["check"] == "weights") & (table["measure"] == "signed"), "value"] = 0.9
    assert verdicts(table)["saliency"].changes_with_weights
    assert not verdicts(table.replace("saliency", "smooth_grad"))["smooth_grad"].changes_with_weights


def test_pass_lines_are_the_likest_two_subjects_or_the_least_likeness():
    table = pd.concat([made_up(0.1, 0.3), made_up(0.1, 0.5)])
    assert (pass_lines(table) == 0.5).all()
    assert (pass_lines(made_up(0.1, -0.2)) == UNLIKE).all()


def test_areas_and_curves_are_shares_of_the_logits_change():
    table = made_up(0.1, 0.5)
    areas = areas_between(table, "smooth_grad")
    assert areas["random"] == areas["intensity"] == pytest.approx({"deletion": 0.15, "insertion": 0.15})
    deletion = curve(mean_values(table), "deletion", "smooth_grad")
    assert deletion.to_dict() == pytest.approx({0.0: 1.0, 50.0: 0.2, 100.0: 0.0})
    insertion = curve(mean_values(table), "insertion", "smooth_grad")
    assert insertion.to_dict() == pytest.approx({0.0: 0.0, 50.0: 0.8, 100.0: 1.0})
