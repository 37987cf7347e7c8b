"""The checks' rows: what is compared with what."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from mri_saliency.attribution.batch import BatchMaps
from mri_saliency.attribution.captum_methods import METHOD_FUNCTIONS
from mri_saliency.attribution.explainer import Explainer, Settings
from mri_saliency.checks.checked_scans import ExplainedScans
from mri_saliency.checks.sanity_checks import check_maps, n_stages
from mri_saliency.checks.shuffled_weights import shuffled
from mri_saliency.checks.similarity import partial_similarity, similarity
from mri_saliency.checks.table import (
    ABLATION,
    ANOTHER,
    BY_MAGNITUDE,
    MAP,
    SHARED_ORDERS,
    SHUFFLED,
)

from ..attribution.conftest import made_references
from ..conftest import scan_inputs
from .conftest import checked_scans

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


def test_a_methods_null_map_is_what_it_compares_a_scan_with(prepared, checked):
    references, part = made_references(), checked.select(slice(1))
    settings = replace(SETTINGS, n_references=12, references=references)  # each control four times
    scans = ExplainedScans(Explainer(prepared, settings), replace(part, baselines=part.baselines + 1))
    scans.maps("expected_gradients")
    compared = [references.inputs[index].transpose(2, 0, 1) for index in references.available("a")]
    for method, distances in {
        "expected_gradients": [np.abs(part.inputs[0] - control) for control in compared],
        "integrated_gradients": [np.abs(part.inputs[0] - 1)],
        "input_x_gradient": [np.abs(part.inputs[0])],
    }.items():
        np.testing.assert_allclose(scans.nulls(method)[0], np.mean(distances, axis=0), atol=1e-5)


@pytest.fixture(scope="module")
def table(prepared, checked):
    stages = []
    table = check_maps(Explainer(prepared, SETTINGS), checked, METHODS, lambda: stages.append(1))
    assert len(stages) == n_stages(checked, METHODS)
    return table


def test_rows_cover_every_check_method_and_scan(table):
    assert np.isfinite(table["value"]).all()
    counts = table.groupby(["check", "method"]).size()
    assert counts["noise", "saliency"] == counts["seed", "smooth_grad"] == counts["weights", "saliency"] == N
    assert counts["subjects", "saliency"] == N * (N - 1) / 2 and counts["region", ABLATION] == 4 * N
    assert ("seed", "saliency") not in counts.index


def test_voxels_are_replaced_in_every_order(table):
    curves = table[table["check"].isin(("deletion", "insertion"))]
    orders = {(name, order) for name in METHODS for order in (MAP, SHUFFLED, ANOTHER)}
    orders |= {(name, order + BY_MAGNITUDE) for name, order in orders if name != "saliency"}
    orders |= {(order, order) for order in SHARED_ORDERS}
    assert set(zip(curves["method"], curves["order"], strict=True)) == orders


def test_each_scan_is_compared_with_the_network_it_was_dealt(table, prepared, checked):
    """Scan 4 goes to the second of three shuffled networks, scan 3 to the first."""
    rows = table[table["check"] == "weights"]
    values = rows.set_index(["method", "subject_id", "measure"])["value"]
    for index, number in ((3, 0), (4, 1)):
        part = checked.select(slice(index, index + 1))
        network = shuffled(prepared, number)
        for name in METHODS:
            own, other = (
                ExplainedScans(Explainer(used, SETTINGS), part).maps(name)[0] for used in (prepared, network)
            )
            brain, difference = part.brains[0], part.inputs[0]  # the baseline is zero
            expected = {"partial": partial_similarity(own, other, difference, brain)}
            expected |= {"signed": similarity(own, other, brain)} if name != "saliency" else {}
            found = values[name, part.subject_ids[0]].to_dict()
            assert found == pytest.approx(expected, abs=1e-3)


def test_a_map_of_zeros_has_no_correlation_and_no_share(prepared, checked, monkeypatch):
    """As a network that lost its gradient makes them."""
    zeros = lambda passes: BatchMaps(torch.zeros_like(passes.batch.inputs))  # noqa: E731
    monkeypatch.setitem(METHOD_FUNCTIONS, "deep_lift", zeros)
    two = checked.select(slice(2))
    table = check_maps(Explainer(prepared, SETTINGS), two, ["deep_lift"], lambda: None)
    rows = table[(table["method"] == "deep_lift") & table["measure"].isin(("signed", "absolute", "partial"))]
    assert rows["value"].isna().all()
    assert set(rows["check"]) == {"subjects", "weights", "noise", "region_ranks"}


@pytest.mark.parametrize(
    ("classes", "others"), [([1, 1, 0, 1], [2, 2, 3, 2]), ([1] * 4, [1, 2, 3, 0]), ([0], [0])]
)
def test_another_scan_is_one_of_another_class_where_there_is_one(checked, classes, others):
    assert replace(checked, inputs=np.zeros((len(classes), 1, 1, 1)), classes=classes).other_scans == others
