"""Log-odds are the logit of softmax's probability, and every number that a map is compared with has them."""

import copy
import math

import numpy as np
import pytest
import scipy.special
import torch

from mri_saliency.attribution.log_odds import log_odds
from mri_saliency.inputs.checkpoint import prepare_for_attribution

from ..conftest import lively_network
from .conftest import batch_of, explainer_of


def random_outputs(n_logits, scale=3.0):
    generator = torch.Generator().manual_seed(n_logits)
    return scale * torch.randn(6, n_logits, generator=generator, dtype=torch.float64)


def plain_log_odds(outputs):
    """The logit of softmax's probability, in float64; a single output as it is."""
    if outputs.shape[-1] == 1:
        return np.asarray(outputs)
    return scipy.special.logit(scipy.special.softmax(np.asarray(outputs, np.float64), axis=-1))


@pytest.mark.parametrize("n_logits", [1, 2, 3, 10])
def test_they_are_the_logit_of_the_probability(n_logits):
    outputs = random_outputs(n_logits)
    np.testing.assert_allclose(log_odds(outputs), plain_log_odds(outputs), rtol=1e-9, atol=1e-9)
    in_float32 = log_odds(outputs.float())
    torch.testing.assert_close(in_float32.double(), log_odds(outputs), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("n_logits", [1, 2, 3, 5])
def test_the_gradient_is_one_and_minus_the_softmax_of_the_others(n_logits):
    outputs = random_outputs(n_logits)[0]
    expected = np.eye(n_logits)
    for k in range(n_logits):
        others = [j for j in range(n_logits) if j != k]
        if others:
            expected[k, others] = -scipy.special.softmax(outputs.numpy()[others])
    found = torch.autograd.functional.jacobian(log_odds, outputs)
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_an_output_that_dominates_leaves_numbers_and_gradients_finite(dtype):
    outputs = torch.tensor([[1e3, 0.0, -1e3], [-1e3, 1e3, 999.0]], dtype=dtype)
    expected = [[1e3, -1e3, -2e3], [-2e3 - math.log1p(math.exp(-1)), 1.0, -1.0]]
    torch.testing.assert_close(log_odds(outputs), torch.tensor(expected, dtype=dtype), rtol=1e-6, atol=1e-6)
    jacobian = torch.autograd.functional.jacobian(log_odds, outputs)
    assert torch.isfinite(jacobian).all()
    share = 1 / (1 + math.exp(-1))
    found = jacobian[1, 0, 1].tolist()
    assert found == pytest.approx([1.0, -share, share - 1], rel=1e-5)


@pytest.mark.parametrize("n_logits", [1, 2, 3, 5])
def test_the_explainer_predicts_from_outputs_and_compares_log_odds(inputs, n_logits):
    network = lively_network(n_logits=n_logits)
    explainer = explainer_of(prepare_for_attribution(copy.deepcopy(network)))
    baseline = 0.3 * inputs[:1]
    batch = batch_of(explainer, inputs, baseline=baseline, targets=None)
    with torch.no_grad():
        outputs, baseline_outputs = network(inputs), network(baseline)
    assert batch.targets == outputs.argmax(dim=1).tolist()
    for found, expected in (
        (explainer.logits(batch), outputs),
        (explainer.predict(inputs.permute(0, 2, 3, 1)), outputs),
        (explainer.baseline_logits(batch), baseline_outputs),
    ):
        np.testing.assert_allclose(found, plain_log_odds(expected), rtol=1e-3, atol=1e-4)
    attributions = explainer.attribute("deep_lift", batch)
    found = np.stack([attribution.logits for attribution in attributions])
    np.testing.assert_allclose(found, outputs, rtol=1e-4, atol=1e-5)
    rows, targets = range(len(inputs)), batch.targets
    changes = plain_log_odds(outputs)[rows, targets] - plain_log_odds(baseline_outputs)[0, targets]
    found = [attribution.expected_total for attribution in attributions]
    np.testing.assert_allclose(found, changes, rtol=1e-3, atol=1e-4)
