"""Sentences on what needs a look, and verdicts that hold for the maps that were checked."""

from dataclasses import replace

from mri_saliency.checks.verdicts import Verdict
from mri_saliency.output.files import write_table
from mri_saliency.output.folder import OutputFolder
from mri_saliency.output.record import Recipe
from mri_saliency.report.alarms import find_alarms, judge_maps, unusual_maps

from ..made_cohort import checks_table, made_record


def test_checks_of_maps_with_another_recipe_are_no_verdict(tmp_path):
    recipe = Recipe(maths=1, checkpoint="abc", first_slice=10, target=0, settings={"n_samples": 10})
    record = made_record(method="smooth_grad", recipe=recipe)
    folder = OutputFolder(tmp_path)
    assert judge_maps(folder, [record]) == {}
    write_table(folder.checks, checks_table().assign(fingerprint=recipe.digest()))
    answers = judge_maps(folder, [record])["smooth_grad"]
    assert all(verdict.passed for verdict in answers.values())
    other = replace(record, recipe=replace(recipe, settings={"n_samples": 11}))
    assert judge_maps(folder, [other]) == judge_maps(folder, []) == {}


def drawn_record(n, *, error, **changes):
    """A record of a map whose sum has so large a standard error, relative to a change of -2."""
    numbers = {"completeness_sum": -2.1, "completeness_expected": -2.0, "completeness_verdict": "ok"}
    numbers |= {"completeness_standard_error": 2 * error, "sample_idx": n}
    recipe = Recipe(maths=1, checkpoint="abc", first_slice=10, target=0, settings={"n_samples": 10})
    return made_record(f"sub-{n}", "gradient_shap", recipe=recipe, **numbers | changes)


def test_too_few_draws_are_an_alarm_that_says_how_many_are_needed():
    [alarm] = find_alarms([drawn_record(n, error=error) for n, error in enumerate((0.3, 0.23, 0.1))], {})
    assert alarm.spoils and alarm.problem == "too few draws (sums uncertain by 23%)"
    assert alarm.remedy == "repeat it with --n_samples 34"  # 10 (0.23 / 0.05)^(1 / 1.25) = 33.9
    enough = [drawn_record(n, error=error) for n, error in enumerate((0.3, 0.04, 0.05))]
    unknown = drawn_record(0, error=1, completeness_expected=0.0)
    assert find_alarms(enough, {}) == find_alarms([unknown], {}) == []


def test_few_odd_maps_of_many_spoil_nothing():
    odd = [drawn_record(n, error=0.01, completeness_verdict="check" if n == 0 else "ok") for n in range(20)]
    for records, spoils in ((odd, False), (odd[:10], True)):
        [alarm] = find_alarms(records, {})
        assert alarm.problem == f"1 of {len(records)} maps does not add up" and alarm.spoils is spoils


def path_record(n, map_error, n_steps="auto", **numbers):
    settings = {"n_steps": n_steps} | ({"map_error": 0.001} if n_steps == "auto" else {})
    recipe = Recipe(maths=1, checkpoint="abc", first_slice=10, target=0, settings=settings)
    numbers |= {"map_error": map_error, "sample_idx": n}
    return made_record(f"sub-{n}", "integrated_gradients", recipe=recipe, **numbers)


def test_a_map_that_did_not_reach_its_error_is_an_alarm():
    reached = [path_record(0, 0.001), path_record(1, 0.0), path_record(2, None, n_steps=50)]
    assert find_alarms(reached, {}) == []
    [alarm] = find_alarms([*reached, path_record(3, 0.002), path_record(4, 0.0123)], {})
    assert alarm.problem == "2 of 5 maps did not reach --map_error with 129 points (largest error 0.012)"
    assert not alarm.spoils  # its errors are small
    assert find_alarms([path_record(0, 0.2)], {})[0].spoils


def test_the_remedy_of_a_wrong_sum_is_an_option_that_works():
    [alarm] = find_alarms([path_record(0, 0.0005, completeness_verdict="check")], {})
    assert alarm.remedy == "lower --map_error"
    [alarm] = find_alarms([path_record(0, None, n_steps=4, completeness_verdict="check")], {})
    assert alarm.remedy == "raise --n_steps"
    [alarm] = find_alarms([made_record(method="deep_lift", completeness_verdict="check")], {})
    assert (alarm.problem, alarm.remedy) == ("1 of 1 map does not add up", "")


def test_a_map_with_less_in_the_brain_than_its_null_is_an_alarm():
    shares = ((0.84, 0.97), (0.80, 0.96), (0.88, 0.97), (None, 0.97), (0.99, 0.97))
    records = [
        made_record(f"sub-{i}", brain_share=share, brain_share_null=null, sample_idx=i)
        for i, (share, null) in enumerate(shares)
    ]
    [alarm] = find_alarms(records, {})
    assert alarm.problem.startswith("2 of 5 maps had at least 10% less inside the brain") and alarm.spoils
    [sentence] = unusual_maps(records)  # a paper says the same, with its numbers
    assert sentence.startswith("Of 5 saliency maps, 2 had") and "(median 82% and 96%)" in sentence
    # a null that is mostly outside too is no shortcut, though most of the map lies outside
    assert find_alarms([made_record(brain_share=0.4, brain_share_null=0.45)], {}) == []


def test_a_map_is_outside_the_brain_if_most_of_it_is():
    [alarm] = find_alarms([made_record(brain_share=0.49)], {})
    assert "over 50% outside the brain" in alarm.problem
    assert find_alarms([made_record(brain_share=share) for share in (0.51, None)], {}) == []


def test_maps_of_zeros_and_failed_checks_are_reported():
    zero = made_record(abs_mean=0.0, brain_share=None)
    answers = {"a": Verdict(False, "Why a."), "b": Verdict(True, ""), "c": Verdict(None, "no draws")}
    found = find_alarms([zero, made_record("sub-B")], {"saliency": answers, "deep_lift": {}})
    assert {alarm.method for alarm in found} == {"saliency"}
    assert [alarm.problem for alarm in found] == ["fails “a”", "1 of 2 maps were zero everywhere"]
