"""The checks refuse maps that know nothing, and pass Integrated Gradients, on a network of known evidence."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from mri_saliency.attribution.batch import Batch
from mri_saliency.attribution.explainer import Explainer, Settings
from mri_saliency.checks import sanity_checks, shuffled_weights
from mri_saliency.checks.verdicts import CHECKS, EVIDENCE, NOISE, SEED, WEIGHTS, verdicts
from mri_saliency.methods import METHODS

from ..attribution.conftest import Linear
from .conftest import checked_scans

N_SCANS, N_SLICES = 6, 3
GENUINE = ("integrated_gradients", "deep_lift")
OTHER_SHUFFLE = 1_000  # none of those that the checks compare with
ENTROPY = np.random.default_rng(0)


def genuine(network, explainer, batch):
    bare = Batch(batch.inputs, batch.baselines, batch.scan_ids, batch.targets)  # without the other's logits
    maps = Explainer(network, explainer.settings).attribute("integrated_gradients", bare)
    return np.stack([found.values for found in maps])


def shuffled(network):
    return shuffled_weights.shuffled(network, OTHER_SHUFFLE)


def noise_of_scan(scan_id):
    return np.random.default_rng(list(scan_id.encode())).standard_normal((N_SLICES, 128, 128))


# name -> maps of a batch, from an explainer and the network that is checked
IMPOSTORS = {
    "difference": lambda _e, batch, _n: (batch.inputs - batch.baselines).abs().permute(0, 3, 1, 2).numpy(),
    "shuffled_network": lambda explainer, batch, network: genuine(shuffled(network), explainer, batch),
    "shuffled_again": lambda explainer, batch, _: genuine(shuffled(explainer.network), explainer, batch),
    "another_scan": lambda explainer, batch, _: np.roll(
        genuine(explainer.network, explainer, batch), 1, axis=0
    ),
    "noise": lambda _e, batch, _n: map(noise_of_scan, batch.scan_ids),
    "new_noise": lambda _e, batch, _n: ENTROPY.standard_normal((len(batch.inputs), N_SLICES, 128, 128)),
}


@pytest.fixture(scope="module")
def answers():
    """Verdicts on a network that weighs a block of the brain, and on scans that vary everywhere."""
    generator = torch.Generator().manual_seed(1)
    brain = torch.zeros(N_SLICES, 128, 128)
    brain[:, 24:104, 24:104] = 1
    weights = brain * torch.randn(brain.shape, generator=generator)
    weights[:, 40:88, 40:88] *= 3
    inputs = brain * (1 + 0.3 * torch.randn(N_SCANS, *brain.shape, generator=generator))
    evidence = torch.rand(N_SCANS, *brain.shape, generator=generator) < 0.3  # each scan's own, for the class
    inputs = (inputs + 0.5 * evidence * weights.sign()).numpy()
    labels = np.zeros(inputs.shape, np.int32)
    rows, columns = np.mgrid[:4, :4]
    labels[:, :, 24:104, 24:104] = np.kron(1 + 4 * rows + columns, np.ones((20, 20), int))
    names = {label: f"block {label}" for label in range(1, 17)}
    checked = checked_scans(inputs, baselines=brain[None].numpy(), labels=labels, region_names=names)
    network = Linear(weights)

    class WithImpostors(Explainer):
        def attribute(self, method, batch):
            if method in GENUINE:
                return super().attribute(method, batch)
            maps = IMPOSTORS[method](self, batch, network)
            return [SimpleNamespace(values=values, null=None) for values in maps]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sanity_checks, "Explainer", WithImpostors)
        for name in IMPOSTORS:
            like = METHODS["saliency" if name == "difference" else "deep_lift"]
            patch.setitem(METHODS, name, replace(like, name=name))
        explainer = WithImpostors(network, Settings(batch_size=16, n_steps=2))
        methods = [*GENUINE, *IMPOSTORS]
        return verdicts(sanity_checks.check_maps(explainer, checked, methods, lambda: None))


@pytest.mark.parametrize("method", GENUINE)
def test_genuine_methods_pass_every_check_that_applies(answers, method):
    found = {check: verdict.passed for check, verdict in answers[method].items()}
    assert found == dict.fromkeys(CHECKS, True) | {SEED: None}, answers[method]


@pytest.mark.parametrize("name", IMPOSTORS)
def test_an_impostor_fails_the_checks_that_are_made_for_it(answers, name):
    made_for_it = {"shuffled_network": {WEIGHTS}, "noise": {WEIGHTS}, "new_noise": {NOISE}}.get(name, set())
    failed = {check for check, verdict in answers[name].items() if verdict.passed is False}
    assert failed >= made_for_it | {EVIDENCE}, answers[name]
