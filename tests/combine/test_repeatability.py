"""Whether runs agree: coefficients against published and plain values, and the verdict by simulation."""

import json

import numpy as np
import pandas as pd
import pytest

from mri_saliency.combine.repeatability import (
    REPEATABLE,
    intraclass_correlation,
    judge_repeatability,
    region_agreement,
)
from mri_saliency.output.files import write_table
from mri_saliency.output.folder import FORMAT, OutputFolder
from mri_saliency.statistics.intervals import FEWEST


def test_the_intraclass_correlation_is_the_published_one():
    ratings = np.array([[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]])
    found = intraclass_correlation(ratings.astype(float), np.zeros(6))
    assert found == pytest.approx((0.29, 0.019, 0.761), abs=0.005)  # Shrout, Fleiss; interval: R's psych


def test_the_intraclass_correlation_of_known_variances():
    generator = np.random.default_rng(0)
    n, k = 4000, 6
    scans, noise = generator.standard_normal((n, 1)), generator.standard_normal((n, k))
    groups = np.arange(n) % 2

    def icc(values):
        return intraclass_correlation(values, groups)[0]

    assert icc(scans + 0.5 * noise) == pytest.approx(1 / 1.25, abs=0.02)
    assert icc(noise + 5 * groups[:, None]) == pytest.approx(0, abs=0.02)  # all runs' diagnoses differ
    assert icc(np.repeat(scans, 2, axis=1)) == 1
    assert np.isnan(icc(np.ones((n, 3))))
    # a run that is always higher does not agree, though the order of the scans is the same
    assert icc(np.hstack([scans, scans + 3])) < 0.3


def test_its_interval_holds_the_true_value_in_as_many_cohorts_as_it_says():
    generator = np.random.default_rng(0)
    groups, variances = np.repeat([0, 1, 2], [10, 5, 5]), np.array([1.0, 0.2, 0.5])  # scans, runs, rest
    true, held = variances[0] / variances.sum(), 0
    for _ in range(400):
        shapes = ((20, 1), (3, 4), (20, 4))
        scans, runs, rest = (
            sd * generator.standard_normal(shape) for sd, shape in zip(variances**0.5, shapes, strict=True)
        )
        _, low, high = intraclass_correlation(scans + runs[groups] + rest, groups)
        held += low <= true <= high
    assert 0.92 <= held / 400 <= 0.98


def test_regions_need_a_density_in_every_run_and_two_scans_of_a_diagnosis():
    rows = [
        {"subject_id": f"s{i}", "method": "saliency", "run": run, "region": region, "density": density}
        | {"diagnosis": "left" if i == 3 else "HC"}
        for i in range(6)
        for run in ("a", "b")
        for region, density in (("one", 1.0 + i), ("two", float(i > 2 or run == "a")), ("three", 0.0))
    ]
    rows = [row for row in rows if (row["subject_id"], row["run"]) != ("s4", "b")]
    table = region_agreement(pd.DataFrame(rows))
    assert list(table["region"]) == ["one"]
    assert table.loc[0, ["icc", "icc_low", "icc_high", "n_scans", "n_networks"]].tolist() == [1, 1, 1, 4, 2]
    assert region_agreement(pd.DataFrame()).empty


def folder_of(tmp_path, *, n=12, effect=0.0, null=0.0, signs=np.nan, networks=("a", "b"), seed=0):
    """A folder whose runs agree by 0.4 + effect, with the null 0.4 + null, by chance 0.4, all ± 0.1."""
    generator = np.random.default_rng(seed)
    means = {"": 0.4 + effect, "_chance": 0.4, "_null": 0.4 + null}
    rows = [
        {"subject_id": f"s{i}", "method": "saliency", "run_a": "one", "run_b": "two"}
        | {"sign_agreement": signs + 0.01 * generator.standard_normal()}
        | {f"rank_correlation{end}": mean + 0.1 * generator.standard_normal() for end, mean in means.items()}
        for i in range(n)
    ]
    tmp_path.mkdir(exist_ok=True)
    folder = OutputFolder(tmp_path)
    write_table(folder.run_agreement, pd.DataFrame(rows))
    runs = zip(("one", "two"), networks, strict=True)
    combined = [{"run": name, "checkpoint": {"sha256": network}} for name, network in runs]
    folder.run_record.write_text(json.dumps({"format": FORMAT, "combined": combined}))
    return folder


def verdict(*args, **keywords):
    return judge_repeatability(folder_of(*args, **keywords)).get("saliency", {}).get(REPEATABLE)


@pytest.mark.parametrize(
    ("agreement", "answer", "reason"),
    [
        ({"effect": 0.2}, "yes", "rank correlation 0.6"),
        ({"effect": 0.2, "signs": 0.6}, "yes", "ahead of chance in sign ("),
        ({"effect": 0.2, "null": 0.2}, "NO", "not ahead of the null map"),
        ({"effect": -0.2}, "NO", "not ahead of the same network's map of another subject"),
        ({"effect": 0.2, "signs": 0.4}, "NO", "not ahead of chance in sign (39."),
        ({"effect": 0.2, "n": FEWEST - 1}, "not judged", "too few scans"),
    ],
)
def test_runs_must_agree_more_than_chance_and_the_null(tmp_path, agreement, answer, reason):
    found = verdict(tmp_path, **agreement)
    assert found.answer == answer and reason in found.reason


def test_runs_of_one_network_are_not_judged(tmp_path):
    assert verdict(tmp_path, effect=0.2, networks=("a", "a")) is None  # settings differ, not trainings
    assert judge_repeatability(OutputFolder(tmp_path / "none")) == {}


def test_chance_alone_seldom_passes(tmp_path):
    found = [verdict(tmp_path, seed=seed).answer for seed in range(100)]
    assert found.count("yes") <= 3  # each of four comparisons passes in 2.5 %
