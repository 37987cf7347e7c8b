"""Normal ranges are distances from the other HC subjects' mean, each subject counted once."""

import numpy as np
import pandas as pd
import pytest

from mri_saliency.statistics.normal_ranges import (
    LEAST_CONTROLS,
    add_normal_ranges,
    compare_with_controls,
    normal_range_notes,
)


def by_hand(value, controls):
    return (value - np.mean(controls)) / np.std(controls, ddof=1)


def test_patients_and_controls_against_a_plain_loop():
    """Of 17 HC subjects, the first has three sessions; of 2 patients, one has two."""
    generator = np.random.default_rng(0)
    subjects = np.array(["c0"] * 2 + [f"c{i}" for i in range(17)] + ["p0", "p0", "p1"])
    is_control = np.char.startswith(subjects, "c")
    values = generator.standard_normal((len(subjects), 3)) * [1, 10, 0.1] + [0, 5, -3]
    z = compare_with_controls(values, subjects, is_control)
    for region in range(3):
        means = {s: values[subjects == s, region].mean() for s in np.unique(subjects[is_control])}
        for scan, subject in enumerate(subjects):
            others = [mean for other, mean in means.items() if other != subject]
            assert len(others) == (16 if is_control[scan] else 17)
            expected = by_hand(values[scan, region], others)
            assert z[scan, region] == pytest.approx(expected)


def test_undefined_values_count_for_nobody():
    generator = np.random.default_rng(1)
    values = generator.standard_normal((18, 2))
    values[0, 0] = values[17, 1] = np.nan
    subjects, is_control = np.arange(18), np.arange(18) < 17
    z = compare_with_controls(values, subjects, is_control)
    assert z[17, 0] == pytest.approx(by_hand(values[17, 0], values[1:17, 0]))
    assert np.isnan([z[0, 0], z[17, 1]]).all()
    assert np.isfinite(np.delete(z[:, 0], 0)).all() and np.isfinite(z[:17, 1]).all()


def test_it_is_refused_with_few_controls_or_no_spread():
    generator = np.random.default_rng(2)
    for n in (LEAST_CONTROLS - 1, LEAST_CONTROLS):
        values = np.c_[generator.standard_normal(n + 1), np.full(n + 1, 0.1), np.full(n + 1, 0.1)]
        values[-1, 1:] = 7
        values[0, 2] = 3  # the only control that differs, so that without it nothing does
        z = compare_with_controls(values, np.arange(n + 1), np.arange(n + 1) < n)
        assert np.isfinite(z[:, 0]).all() == (n == LEAST_CONTROLS)
        assert np.isnan(z[:, 1]).all() and np.isnan(z[0, 2])


def table_of(n_controls):
    """Two methods, two regions, and scans of `n_controls` HC subjects and one patient."""
    generator = np.random.default_rng(4)
    levels = {"scan": range(n_controls + 1), "method": ("saliency", "deep_lift"), "region": ("A", "B")}
    table = pd.MultiIndex.from_product(levels.values(), names=levels).to_frame(index=False)
    table["subject_id"] = table["subject"] = table.pop("scan")
    table["diagnosis"] = np.where(table["subject"] < n_controls, "HC", "left")
    table["density"] = generator.lognormal(size=len(table))
    table["asymmetry"] = np.where(table["region"] == "A", generator.uniform(-1, 1, len(table)), np.nan)
    return table


def test_columns_are_added_for_each_method_and_region():
    table = table_of(15)
    table.loc[table.index[-1], "density"] = 0.0  # the patient's, region B, deep_lift
    found = add_normal_ranges(table)
    pd.testing.assert_frame_equal(found[table.columns], table)
    of_a = found[(found["method"] == "deep_lift") & (found["region"] == "A")]
    patient = of_a.iloc[-1]
    for measure, values in (("density", np.log(of_a["density"])), ("asymmetry", of_a["asymmetry"])):
        expected = by_hand(values.iloc[-1], values[:-1])
        assert patient[f"{measure}_z"] == pytest.approx(expected)
    assert np.isnan(found.iloc[-1]["density_z"])
    assert found.loc[found["region"] == "B", "asymmetry_z"].isna().all()
    assert found["density_z"].isna().sum() == 1
    assert normal_range_notes(found) == []


def test_too_few_controls_are_said():
    [note] = normal_range_notes(add_normal_ranges(table_of(14)))
    assert "15 HC subjects" in note and "there are 14" in note
    assert normal_range_notes(pd.DataFrame()) == []
