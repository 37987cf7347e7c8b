"""The checks tell a map that explains the network from one that does not."""

import numpy as np
import pandas as pd
import pytest
import torch

from mri_saliency import checks
from mri_saliency.attribution import Explainer, Settings
from mri_saliency.checkpoint import prepare_for_attribution

from .conftest import lively_network, scan_inputs

METHODS = ["saliency", "smooth_grad"]


@pytest.fixture(scope="module")
def network():
    return prepare_for_attribution(lively_network())


@pytest.fixture(scope="module")
def checked(network):
    inputs = scan_inputs(1, 2).numpy()
    explainer = Explainer(network, Settings(batch_size=4, n_samples=1))
    batch = explainer.batch(inputs, np.zeros_like(inputs[:1]), ["a", "b"], 0)
    return explainer, checks.Checked(batch, ["a", "b"], inputs != 0)


@pytest.fixture(scope="module")
def table(checked):
    stages = []
    table = checks.check_maps(*checked, METHODS, lambda: stages.append(1))
    assert len(stages) == checks.n_stages(checked[0].network, METHODS)
    return table


def test_the_cascade_shuffles_block_by_block_and_spares_the_original(network):
    before = {name: value.clone() for name, value in network.named_parameters()}
    seen = []
    for block, shuffled in checks.randomised(network):
        seen.append(block)
        for name, value in shuffled.named_parameters():
            if value.numel() > 50 and value.ndim > 1:
                touched = any(name.startswith(f"{done}.") for done in seen)
                assert torch.equal(value, before[name]) != touched, name
    assert seen[0] == "classifier" and seen[-1] == "features.0"
    for name, value in shuffled.named_parameters():
        sums = (one.detach().double().sum().item() for one in (value, before[name]))
        assert next(sums) == pytest.approx(next(sums), abs=1e-6)
    assert all(torch.equal(value, before[name]) for name, value in network.named_parameters())


def test_rows_cover_every_check_method_and_scan(table, network):
    assert list(table.columns) == list(checks.COLUMNS) and np.isfinite(table["value"]).all()
    n_blocks = len(checks.blocks_of(network))
    counts = table.groupby(["check", "method"]).size()
    assert counts["weights", "saliency"] == n_blocks * 2 * 2
    n_steps = len(checks.REPLACED_PERCENT)
    assert counts["deletion", "random"] == counts["insertion", "saliency"] == n_steps * 2
    assert counts["seed", "smooth_grad"] == 2 * 2 and counts["subjects", "saliency"] == 1 * 2
    assert ("seed", "saliency") not in counts.index


def test_replacement_starts_and_ends_at_scan_and_baseline(table):
    means = checks.mean_values(table)
    for name in (*METHODS, *checks.ORDERS):
        deletion, insertion = (checks.curve(means, check, name) for check in ("deletion", "insertion"))
        assert (deletion[0], insertion[100]) == (1, 1)
        assert (deletion[100], insertion[0]) == (pytest.approx(0, abs=1e-3), pytest.approx(0, abs=1e-3))


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
    explainer = Explainer(Linear(weights), Settings(batch_size=4))
    batch = explainer.batch(inputs, np.zeros_like(inputs), ["a"], 0)
    checked = checks.Checked(batch, ["a"], inputs != 0)
    contributions = inputs * weights.numpy()
    at_baselines = torch.zeros(1, 1)
    rows = checks._replacement(explainer, contributions, checked, "input_x_gradient", at_baselines)
    rows = pd.DataFrame(rows)
    found = checks.curve(checks.mean_values(rows), "deletion", "input_x_gradient").to_numpy()
    ordered = np.sort(contributions.ravel() * sign)[::-1].astype(np.float64)
    gone = np.concatenate([[0], ordered.cumsum()]) / ordered.sum()
    replaced = np.ceil(np.array(checks.REPLACED_PERCENT) / 100 * ordered.size).astype(int)
    np.testing.assert_allclose(found, 1 - gone[replaced], atol=1e-3)


STEPS = ("0", "50", "100")


def made_up(weights_similarity, subjects_similarity, deletion=0.2, noise=0.9):
    both = ("signed", "absolute")
    rows = [("subjects", "smooth_grad", "a", checks.WHOLE, m, subjects_similarity) for m in both]
    rows += [
        ("weights", "smooth_grad", "a", step, m, value)
        for step, value in (("classifier", 0.99), ("features.0", weights_similarity))
        for m in both
    ]
    for kind in ("noise", "seed"):
        rows += [(kind, "smooth_grad", "a", checks.WHOLE, m, noise) for m in both]
    for name, level in (("smooth_grad", deletion), ("random", 0.5), ("intensity", 0.5)):
        for check, values in (("deletion", (7, 7 * level, 0)), ("insertion", (0, 7 - 7 * level, 7))):
            rows += [(check, name, "a", step, "logit", v) for step, v in zip(STEPS, values, strict=True)]
    return pd.DataFrame(rows, columns=checks.COLUMNS)


def test_verdicts_follow_the_pass_lines():
    passed = checks.verdicts(made_up(0.1, 0.5))["smooth_grad"]
    assert set(passed.answers().values()) == {"yes"}
    failed = checks.verdicts(made_up(0.8, 0.5, deletion=0.7, noise=0.4))["smooth_grad"]
    assert set(failed.answers().values()) == {"NO"}
    areas = checks.areas_between(made_up(0.1, 0.5), "smooth_grad")
    assert areas["random"] == pytest.approx({"deletion": 0.15, "insertion": 0.15})


def test_similarity_of_equal_and_of_constant_maps():
    shown = scan_inputs(1)[0].numpy()
    brain = shown != 0
    assert checks.similarity(shown, shown, brain)["absolute"] == pytest.approx(1)
    constant = checks.similarity(shown, np.zeros_like(shown), brain)
    assert constant == {"signed": 0.0, "absolute": 0.0}
