"""The checks' rows: what is compared with what."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from mri_saliency.attribution.explainer import Explainer, Settings
from mri_saliency.checks import sanity_checks
from mri_saliency.checks.checked_scans import CheckedMethod, ExplainedScans, registered
from mri_saliency.checks.replacement import REPLACED_PERCENT
from mri_saliency.checks.shuffled_weights import block_names, randomised
from mri_saliency.checks.similarity import partial_similarity, similarity
from mri_saliency.checks.table import (
    ABLATION,
    ANOTHER,
    COLUMNS,
    DIFFERENCE,
    MAP,
    SHARED_ORDERS,
    SHUFFLED,
)
from mri_saliency.inputs.checkpoint import prepare_for_attribution

from ..attribution.conftest import checked_scans
from ..conftest import lively_network, scan_inputs

METHODS = ["saliency", "smooth_grad", "input_x_gradient"]
SETTINGS = Settings(batch_size=4, n_samples=1)
N = 5


@pytest.fixture(scope="module")
def checked():
    inputs = scan_inputs(*range(N)).numpy()
    labels = np.zeros(inputs.shape, np.int32)
    for label in (1, 2, 3, 4):
        labels[:, :, 24 * label : 24 * (label + 1)] = label
    return checked_scans(inputs, labels=labels, region_names={i: f"region {i}" for i in (1, 2, 3, 4)})


@pytest.fixture(scope="module")
def table(prepared, checked):
    stages, methods = [], registered(METHODS)
    table = sanity_checks.check_maps(
        Explainer(prepared, SETTINGS), checked, methods, lambda: stages.append(1)
    )
    assert len(stages) == sanity_checks.n_stages(prepared, checked, methods)
    return table


def test_rows_cover_every_check_method_and_scan(table, prepared):
    assert list(table.columns) == list(COLUMNS) and np.isfinite(table["value"]).all()
    counts = table.groupby(["check", "method"]).size()
    n_blocks, n_first = len(block_names(prepared)), 2  # scans of the first shuffled network
    assert counts["weights", "saliency"] == 3 * ((n_blocks - 1) * n_first + N)
    n_steps = len(REPLACED_PERCENT)
    assert counts["deletion", "random"] == n_steps * N
    assert counts["insertion", "saliency"] == n_steps * N * 3
    assert counts["noise", "saliency"] == counts["seed", "smooth_grad"] == 2 * N
    assert counts["subjects", "saliency"] == 2 * N * (N - 1) / 2
    assert counts["nulls", "saliency"] == N * (3 + 2)
    assert counts["region", ABLATION] == 4 * N
    assert counts["region_ranks", "saliency"] == 2 * counts["region_ranks", DIFFERENCE] == 2 * N
    assert ("seed", "saliency") not in counts.index


def test_replacement_starts_and_ends_at_scan_and_baseline(table):
    curves = table[table["check"].isin(("deletion", "insertion"))]
    orders = {(name, order) for name in METHODS for order in (MAP, SHUFFLED, ANOTHER)}
    orders |= {(order, order) for order in SHARED_ORDERS}
    assert set(zip(curves["method"], curves["order"], strict=True)) == orders
    values = curves.set_index(["check", "step", "method", "order", "subject_id"])["value"].sort_index()
    for whole, empty in (
        (("deletion", "0"), ("deletion", "100")),
        (("insertion", "100"), ("insertion", "0")),
    ):
        assert (values.xs(empty) == 0).all()
        assert values.xs(whole).groupby("subject_id").nunique().eq(1).all() and (values.xs(whole) > 0).all()


def test_each_scan_is_compared_with_the_network_it_was_dealt(table, prepared, checked):
    """Scan 4 goes to the second of three shuffled networks, scan 3 to the first."""
    explainer = Explainer(prepared, SETTINGS)
    rows = table[(table["check"] == "weights") & (table["step"] == "features.0")]
    values = rows.set_index(["method", "subject_id", "measure"])["value"]
    for index, number in ((3, 0), (4, 1)):
        part = checked.select([index])
        *_, (_, network) = randomised(prepared, number)
        for name, method in registered(METHODS).items():
            own = ExplainedScans(explainer, part).maps(method)[0]
            other = ExplainedScans(Explainer(network, SETTINGS), part).maps(method)[0]
            brain, subject = part.brains[0], part.subject_ids[0]
            for measure, expected in similarity(own, other, brain).items():
                assert values[name, subject, measure] == pytest.approx(expected, abs=1e-3)
            expected = partial_similarity(own, other, part.inputs[0], brain)  # the baseline is zero
            assert values[name, subject, "partial"] == pytest.approx(expected, abs=1e-3)


def test_scans_are_compared_under_the_logits_predicted_at_first(checked):
    network = prepare_for_attribution(lively_network(n_logits=3, seed=1))
    explainer, two = Explainer(network, SETTINGS), checked.select([0, 1])
    predicted = ExplainedScans(explainer, replace(two, targets=None)).batch.targets
    tables = [
        sanity_checks.check_maps(
            explainer, replace(two, targets=targets), registered(["saliency"]), lambda: None
        )
        for targets in (None, predicted)
    ]
    pd.testing.assert_frame_equal(*tables, atol=1e-5)


def test_a_map_of_zeros_has_no_correlation_and_no_share(prepared, checked):
    """As a network that lost its gradient makes them."""
    zeros = CheckedMethod(
        lambda _, batch: np.zeros((len(batch.inputs), 9, 128, 128), np.float32), signed=True
    )
    table = sanity_checks.check_maps(
        Explainer(prepared, SETTINGS), checked.select([0, 1]), {"zeros": zeros}, lambda: None
    )
    rows = table[(table["method"] == "zeros") & table["measure"].isin(("signed", "absolute", "partial"))]
    assert rows["value"].isna().all() and set(rows["check"]) == {
        *("subjects", "weights", "noise", "nulls", "region_ranks")
    }
    shares = table[table["measure"] == "brain_share"].groupby("order")["value"]
    assert shares.count().to_dict() == {DIFFERENCE: 2, MAP: 0, SHUFFLED: 0}


def test_the_network_itself_is_left_as_it_was(prepared, checked):
    before = [value.clone() for value in prepared.parameters()]
    methods = registered(["saliency"])
    sanity_checks.check_maps(Explainer(prepared, SETTINGS), checked.select([0, 1]), methods, lambda: None)
    assert all(torch.equal(a, b) for a, b in zip(before, prepared.parameters(), strict=True))


def test_another_scan_is_one_of_another_class_where_there_is_one(checked):
    three = replace(checked, inputs=np.zeros((4, 1, 1, 1)), classes=[1, 1, 0, 1])
    assert three.other_scans == [2, 2, 3, 2]
    assert replace(three, classes=[]).other_scans == [1, 2, 3, 0]
    assert replace(three, classes=[1] * 4).other_scans == [1, 2, 3, 0]
    assert replace(checked, classes=[0, 1]).select([1]).classes == [1]
