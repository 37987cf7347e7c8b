"""The checks separate a map that explains the network from one that does not."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from mri_saliency.attribution import sanity_checks
from mri_saliency.attribution.explainer import Explainer, Settings
from mri_saliency.attribution.sanity_checks import REPLACED_PERCENT, CheckedScans, ExplainedScans
from mri_saliency.attribution.sanity_verdicts import COLUMNS, ORDERS, areas_between, curve, mean_values
from mri_saliency.inputs.checkpoint import prepare_for_attribution

from ..conftest import lively_network, scan_inputs

METHODS = ["saliency", "smooth_grad"]
SETTINGS = Settings(batch_size=4, n_samples=1)


@pytest.fixture(scope="module")
def checked():
    inputs = scan_inputs(1, 2).numpy()
    return CheckedScans(inputs, np.zeros_like(inputs[:1]), ["a", "b"], 0, ["sub-A", "sub-B"], inputs != 0)


@pytest.fixture(scope="module")
def table(prepared, checked):
    stages = []
    explainer = Explainer(prepared, SETTINGS)
    table = sanity_checks.check_maps(explainer, checked, METHODS, lambda: stages.append(1))
    assert len(stages) == sanity_checks.n_stages(prepared, METHODS)
    return table


def test_the_cascade_shuffles_block_by_block_and_spares_the_original(prepared):
    before = {name: value.clone() for name, value in prepared.named_parameters()}
    seen = []
    for block, shuffled in sanity_checks.randomised(prepared):
        seen.append(block)
        for name, value in shuffled.named_parameters():
            if value.numel() > 50 and value.ndim > 1:
                is_shuffled = any(name.startswith(f"{done}.") for done in seen)
                assert torch.equal(value, before[name]) != is_shuffled, name
    assert seen == sanity_checks.block_names(prepared)
    assert seen[0] == "classifier" and seen[-1] == "features.0"
    for name, value in shuffled.named_parameters():
        ordered, expected = (values.detach().flatten().sort().values for values in (value, before[name]))
        assert torch.equal(ordered, expected), name
    assert all(torch.equal(value, before[name]) for name, value in prepared.named_parameters())


def test_rows_cover_every_check_method_and_scan(table, prepared):
    assert list(table.columns) == list(COLUMNS) and np.isfinite(table["value"]).all()
    n_blocks = len(sanity_checks.block_names(prepared))
    counts = table.groupby(["check", "method"]).size()
    assert counts["weights", "saliency"] == n_blocks * 2 * 2
    n_steps = len(REPLACED_PERCENT)
    assert counts["deletion", "random"] == counts["insertion", "saliency"] == n_steps * 2
    assert counts["noise", "saliency"] == counts["seed", "smooth_grad"] == 2 * 2
    assert counts["subjects", "saliency"] == 1 * 2
    assert ("seed", "saliency") not in counts.index
    assert set(table["subject_id"]) == {"sub-A", "sub-B", "sub-A and sub-B"}


def test_replacement_starts_and_ends_at_scan_and_baseline(table):
    means = mean_values(table)
    for name in (*METHODS, *ORDERS):
        deletion, insertion = (curve(means, check, name) for check in ("deletion", "insertion"))
        assert (deletion[0], insertion[100]) == (1, 1)
        assert (deletion[100], insertion[0]) == (pytest.approx(0, abs=1e-3), pytest.approx(0, abs=1e-3))


def test_scans_are_compared_under_the_logits_predicted_at_first(checked):
    network = prepare_for_attribution(lively_network(n_logits=3, seed=1))
    explainer = Explainer(network, SETTINGS)
    predicted = ExplainedScans(explainer, replace(checked, targets=None)).batch.targets
    tables = [
        sanity_checks.check_maps(explainer, replace(checked, targets=targets), ["saliency"], lambda: None)
        for targets in (None, predicted)
    ]
    pd.testing.assert_frame_equal(*tables, atol=1e-5)


class Linear(torch.nn.Module):
    """A network of an EfficientNet's form whose logit is a weighted sum of its inputs."""

    def __init__(self, weights):
        super().__init__()
        copying = torch.nn.Conv2d(len(weights), len(weights), 1, bias=False)
        torch.nn.init.dirac_(copying.weight)
        nothing = torch.nn.Identity()
        self.features = torch.nn.Sequential(torch.nn.Sequential(copying, nothing, nothing))
        self.avgpool = nothing
        self.classifier = torch.nn.Linear(weights.numel(), 1, bias=False)
        self.classifier.weight.data = weights.reshape(1, -1)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_replacement_follows_the_contributions_whatever_the_logits_sign(sign):
    """Against the analytic curve of a linear network: partial sums of sorted contributions."""
    generator = torch.Generator().manual_seed(0)
    weights = torch.randn(4, 128, 128, generator=generator)
    inputs = (sign * weights * torch.rand(4, 128, 128, generator=generator))[None].numpy()
    checked = CheckedScans(inputs, np.zeros_like(inputs), ["a"], 0, ["a"], inputs != 0)
    scans = ExplainedScans(Explainer(Linear(weights), Settings(batch_size=4)), checked)
    contributions = inputs * weights.numpy()
    rows = [
        *sanity_checks.replacement(scans, "input_x_gradient", contributions),
        *(row for order in ORDERS for row in sanity_checks.replacement(scans, order, -contributions)),
    ]
    table = pd.DataFrame(rows, columns=COLUMNS)
    found = curve(mean_values(table), "deletion", "input_x_gradient").to_numpy()
    ordered = np.sort(contributions.ravel() * sign)[::-1].astype(np.float64)
    gone = np.concatenate([[0], ordered.cumsum()]) / ordered.sum()
    replaced = np.ceil(np.array(REPLACED_PERCENT) / 100 * ordered.size).astype(int)
    np.testing.assert_allclose(found, 1 - gone[replaced], atol=1e-3)
    if sign > 0:  # the reverse order is a worse one
        areas = areas_between(table, "input_x_gradient")
        assert min(areas["random"].values()) > 0


def test_similarity_of_equal_and_of_constant_maps():
    values = scan_inputs(1, n_slices=30)[0].numpy()
    brain = values != 0
    assert sanity_checks.similarity(values, values, brain) == pytest.approx({"signed": 1, "absolute": 1})
    assert sanity_checks.similarity(values, -values, brain) == pytest.approx({"signed": -1, "absolute": 1})
    nothing = {"signed": 0.0, "absolute": 0.0}
    assert sanity_checks.similarity(values, np.zeros_like(values), brain) == nothing
    assert sanity_checks.similarity(values, values, np.zeros_like(brain)) == nothing
