"""Scans of the tiny network, its prepared copy, and short calls of the explainer."""

import copy
from functools import cache, partial

import numpy as np
import pytest
import torch

from mri_saliency.attribution.explainer import Explainer, Settings
from mri_saliency.attribution.references import References
from mri_saliency.inputs.checkpoint import prepare_for_attribution
from mri_saliency.inputs.grid import FIRST_SLICE
from mri_saliency.inputs.loading import load_scan
from mri_saliency.inputs.scan_table import Scan

from ..conftest import N_SLICES, scan_inputs

N_STEPS, N_SAMPLES, NOISE = 4, 2, 0.1
N_REFERENCES = 5  # draws, from three or four references


@pytest.fixture(scope="session")
def inputs():
    """Network inputs of three scans, float32 (3, 9, 128, 128)."""
    return scan_inputs(1, 2, 3) * torch.tensor([0.8, 0.9, 1.0])[:, None, None, None]


@pytest.fixture(scope="session")
def prepared(network):
    """The tiny network as the explainer takes it."""
    return prepare_for_attribution(copy.deepcopy(network))


load = partial(load_scan, n_slices=N_SLICES, first_slice=FIRST_SLICE)


def scan_of(path, subject="", diagnosis="HC"):
    return Scan(path.name, path, int(diagnosis != "HC"), diagnosis, sample_idx=0, subject=subject)


class PlainLogOdds(torch.nn.Module):
    """A network that returns log(p / (1 - p)) of each class's softmax p, in float64."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, inputs):
        p = self.network(inputs).double().softmax(dim=1)
        of_others = p @ (1 - torch.eye(p.shape[1], dtype=p.dtype))  # 1 - p, without cancellation
        return (p / of_others).log()


@cache
def made_references():
    """Four references; scans "a" and "b" are not compared with the first and the second."""
    inputs = scan_inputs(4, 5, 6, 7).permute(0, 2, 3, 1).numpy()
    relatives = ({"a", "r0"}, {"b", "r1"}, {"r2"}, {"r3"})
    return References(tuple(inputs), ("r0", "r1", "r2", "r3"), tuple(map(frozenset, relatives)))


def explainer_of(network, batch_size=4, n_steps=N_STEPS, seed=0, **settings):
    settings = {"n_references": N_REFERENCES, "references": made_references()} | settings
    return Explainer(network, Settings(batch_size, n_steps, N_SAMPLES, NOISE, seed, **settings))


def batch_of(explainer, inputs, ids="abc", baseline=None, targets=0):
    baseline = torch.zeros_like(inputs[:1]) if baseline is None else baseline
    return explainer.batch(inputs.numpy(), baseline.numpy(), list(ids), targets)


def explain(network, inputs, method, *, batch_size=4, n_steps=N_STEPS, seed=0, **batch):
    """Return the attributions of scans; `batch` as in `batch_of`."""
    explainer = explainer_of(network, batch_size, n_steps, seed)
    return explainer.attribute(method, batch_of(explainer, inputs, **batch))


def stacked(attributions):
    return torch.from_numpy(np.stack([attribution.values for attribution in attributions]))


def difference(found, expected):
    """Return the largest difference of two maps (n_slices, 128, 128) over the maximum."""
    return float((found - expected).abs().max() / expected.abs().max())


def assert_same_maps(found, expected, tolerance=1e-5):
    """Compare maps (n, ...); processors round differently for other batch sizes."""
    assert len(found) == len(expected)
    for number, (a, b) in enumerate(zip(found, expected, strict=True)):
        assert difference(a, b) <= tolerance, number


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
        self.eval().requires_grad_(False)  # as a checkpoint's network
