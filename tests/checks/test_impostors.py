"""The checks refuse maps that know nothing, and pass Integrated Gradients, on a network of known evidence."""

import numpy as np
import pytest
import torch

from mri_saliency.attribution.explainer import Explainer, Settings
from mri_saliency.checks.checked_scans import registered
from mri_saliency.checks.sanity_checks import check_maps
from mri_saliency.checks.verdicts import CHECKS, SEED, verdicts

from ..attribution.conftest import Linear, checked_scans
from ..impostors import failed_checks, impostors

N_SCANS, N_SLICES = 6, 3
GENUINE = ("integrated_gradients", "deep_lift")


@pytest.fixture(scope="module")
def answers():
    """Verdicts on a network that weighs a block of the brain, and on scans that vary everywhere."""
    generator = torch.Generator().manual_seed(1)
    brain = torch.zeros(N_SLICES, 128, 128)
    brain[:, 24:104, 24:104] = 1
    weights = brain * torch.randn(brain.shape, generator=generator)
    weights[:, 40:88, 40:88] *= 3
    inputs = (brain * (1 + 0.3 * torch.randn(N_SCANS, *brain.shape, generator=generator))).numpy()
    labels = np.zeros(inputs.shape, np.int32)
    rows, columns = np.mgrid[:4, :4]
    blocks = np.kron(1 + 4 * rows + columns, np.ones((20, 20), int))
    labels[:, :, 24:104, 24:104] = blocks
    checked = checked_scans(
        inputs,
        baselines=brain[None].numpy(),
        labels=labels,
        region_names={label: f"block {label}" for label in range(1, 17)},
    )
    explainer = Explainer(Linear(weights), Settings(batch_size=16, n_steps=2))
    methods = {**registered(GENUINE), **impostors(explainer)}
    return verdicts(check_maps(explainer, checked, methods, lambda: None), methods)


def test_genuine_methods_pass_every_check_that_applies(answers):
    for method in GENUINE:
        found = {check: verdict.passed for check, verdict in answers[method].items()}
        assert found == dict.fromkeys(CHECKS, True) | {SEED: None}, answers[method]


@pytest.mark.parametrize(
    "name",
    ["difference", "shuffled_network", "network_shuffled_again", "another_scan", "noise", "new_noise"],
)
def test_impostors_are_refused(answers, name):
    assert failed_checks(answers[name]), answers[name]


def test_each_impostor_fails_the_check_that_is_made_for_it(answers):
    failed = {name: set(failed_checks(found)) for name, found in answers.items()}
    for name in set(answers) - set(GENUINE):
        assert "finds the evidence" in failed[name]
    assert "changes with the weights" in failed["shuffled_network"] & failed["noise"]
    assert "same under a little noise" in failed["new_noise"]
