"""How far a scan's maps agree, against plain computations."""

from dataclasses import replace
from operator import itemgetter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.stats

from mri_saliency.cohort.common_space import find_common_space
from mri_saliency.cohort.method_agreement import compare_scans, with_partners, write_agreement
from mri_saliency.inputs.loading import load_volume
from mri_saliency.inputs.preprocessing import air_input, brain_mask, unpad
from mri_saliency.output.record import in_order

from ..conftest import N_SLICES
from ..made_cohort import COHORT_METHODS, RECIPE, SCANS

COLUMNS = ["subject_id", "method_a", "method_b"]
MEASURED = ["rank_correlation", "rank_correlation_chance"]


@pytest.fixture
def compare(no_workers):
    """A function: a cohort's folder, records -> the agreement's table and notes, in their common space."""

    def run(folder, records):
        records = in_order(records)
        space, _ = find_common_space(folder, records, no_workers)
        names = dict.fromkeys(record.subject_id for record in records)
        scans = [[record for record in records if record.subject_id == name] for name in names]
        work = with_partners(scans, itemgetter(0))
        by_name = {
            maps[0].subject_id: found
            for (maps, *_), found in zip(work, compare_scans(folder, space, work), strict=True)
        }
        return write_agreement(folder, [by_name[name] for name in names])

    return run


def plain_agreement(a, b, brain):
    """Spearman's correlation of two maps' magnitudes in a brain."""
    a, b = np.abs(a), np.abs(b)
    sampled = (slice(None, None, 3),) * 3
    return scipy.stats.spearmanr(*(x[sampled][brain[sampled]] for x in (a, b))).statistic


def test_agreement_table(cohort, compare):
    """Each pair of maps and each map with its null, and the same with the next scan, computed plainly."""
    table, notes = compare(cohort.folder, cohort.records)
    assert notes == []
    written = pd.read_csv(cohort.folder.agreement)
    assert list(written) == list(table) == COLUMNS + MEASURED
    assert written["subject_id"].drop_duplicates().tolist() == list(SCANS)
    pairs = [COHORT_METHODS, *((method, "null_map") for method in COHORT_METHODS)]
    rows = table.set_index(COLUMNS)
    assert list(rows.index) == [(subject, *pair) for subject in SCANS for pair in pairs]

    inputs = {
        record.subject_id: load_volume(Path(record.source.path), N_SLICES).network_input
        for record in cohort.records
    }

    def opened(subject):
        maps = {method: cohort.folder.load_map(method, subject) for method in COHORT_METHODS}
        return maps | {"null_map": np.abs(unpad(inputs[subject]))}, unpad(brain_mask(inputs[subject]))

    # the scan after the last on a grid is the first there
    for subject, following in (("sub-A", "sub-D"), ("sub-D", "sub-E"), ("sub-F", "sub-A")):
        (maps, brain), (others, other_brain) = opened(subject), opened(following)
        for a, b in pairs:
            both = brain & other_brain
            expected = [plain_agreement(maps[a], maps[b], brain), plain_agreement(maps[a], others[b], both)]
            assert rows.loc[(subject, a, b), MEASURED].tolist() == pytest.approx(expected), (subject, a, b)
    alone = rows.loc[["sub-B", "12", "sub-G"], MEASURED]  # on their grids
    assert alone.iloc[:, 0].notna().all() and alone.iloc[:, 1].isna().all()


def test_each_method_is_compared_with_the_null_of_its_own_baseline(cohort, compare):
    records = []
    baselines = {"integrated_gradients": "background", "deep_lift": "zero", "noise_tunnel_ig": "background"}
    scan = next(record for record in cohort.records if record.subject_id == "sub-A")
    network_input = load_volume(Path(scan.source.path), N_SLICES).network_input
    values = np.random.default_rng(0).standard_normal(network_input.shape).astype(np.float32)
    for method, baseline in baselines.items():
        recipe = replace(RECIPE, settings={"baseline": baseline})
        records.append(replace(scan, method=method, recipe=recipe))
        cohort.folder.open_map(method, "sub-A", replace=True)
        np.save(cohort.folder.array(method, "sub-A"), values)
    table, _ = compare(cohort.folder, records)
    nulls = {"zero": np.abs(network_input), "background": np.abs(network_input - air_input(network_input))}
    rows = table[table["method_b"] == "null_map"].set_index("method_a")
    for method, baseline in baselines.items():
        maps = (unpad(values), unpad(nulls[baseline]), unpad(brain_mask(network_input)))
        assert rows.loc[method, MEASURED[0]] == pytest.approx(plain_agreement(*maps))


def test_chance_is_of_another_subject(cohort, compare):
    def of(*subjects):
        subjects = dict(zip(("sub-A", "sub-D", "sub-E", "sub-F"), subjects, strict=True))
        records = [
            replace(record, statistics=replace(record.statistics, subject=subjects[record.subject_id]))
            for record in cohort.records
            if record.subject_id in subjects
        ]
        table, _ = compare(cohort.folder, records)
        chance = table[table["method_b"] == COHORT_METHODS[1]].set_index("subject_id")
        return chance["rank_correlation_chance"]

    # between sub-A and sub-E, where sub-D is another session of sub-A
    different, with_session = of("A", "D", "E", "F"), of("A", "A", "E", "F")
    assert different["sub-D"] == with_session["sub-D"] and different["sub-A"] != with_session["sub-A"]
    assert of("A", "A", "A", "A").isna().all()


def test_scans_that_are_gone_are_compared_in_the_mean_scans_brain(cohort, compare):
    compare(cohort.folder, cohort.records)  # which writes the mean scan
    gone = [
        replace(record, source=replace(record.source, path=f"/gone/{record.subject_id}.nii"))
        for record in cohort.records
    ]
    table, notes = compare(cohort.folder, gone)
    assert table["subject_id"].tolist() == [subject for subject in SCANS if subject != "sub-G"]
    assert set(table["method_b"]) == {COHORT_METHODS[1]}
    brain = unpad(brain_mask(np.load(cohort.folder.mean_scan)))
    maps = [cohort.load(method, "sub-B") for method in COHORT_METHODS]  # turned, as the mean scan
    row = table.set_index("subject_id").loc["sub-B"]
    turned = [values[:, ::-1] for values in maps]
    expected = plain_agreement(*turned, brain[:, ::-1])
    assert row[MEASURED[0]] == pytest.approx(expected)
    of_six, of_one = notes
    assert of_one.startswith("1 scans")
    assert of_six.startswith("6 scans") and "brain of the mean scan" in of_six
    cohort.folder.mean_scan.unlink()
    table, notes = compare(cohort.folder, gone)
    assert table.empty and not cohort.folder.agreement.exists() and notes[0].startswith("7 scans")
