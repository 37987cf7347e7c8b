"""Random draws depend on the seed, the scan and the method, and on nothing else."""

import numpy as np
import pytest
import torch

from mri_saliency.attribution.draws import draw, draw_references
from mri_saliency.methods import METHODS

from .conftest import N_SAMPLES, NOISE, batch_of, difference, explain, explainer_of, stacked


@pytest.mark.parametrize("method", [name for name, method in METHODS.items() if method.stochastic])
def test_the_seed_matters(prepared, inputs, method):
    first, second = (stacked(explain(prepared, inputs[:1], method, ids="a", seed=seed)) for seed in (0, 1))
    assert difference(second, first) > 1e-3


def test_draws_do_not_depend_on_the_grouping_or_on_other_scans(prepared, inputs):
    explainer = explainer_of(prepared)
    settings = explainer.settings
    together = list(draw(batch_of(explainer, inputs), settings, "smooth_grad", 100))
    assert len(together) == 1 and together[0].scans == [0, 0, 1, 1, 2, 2]
    by_one = list(draw(batch_of(explainer, inputs), settings, "smooth_grad", 0))
    assert [draws.scans for draws in by_one] == [[0], [0], [1], [1], [2], [2]]
    alone = next(draw(batch_of(explainer, inputs[1:2], ids="b"), settings, "smooth_grad", 100))
    for name in ("noise", "fractions"):
        values = getattr(together[0], name)
        assert torch.equal(values, torch.cat([getattr(draws, name) for draws in by_one]))
        assert torch.equal(values[2:4], getattr(alone, name))


def test_noise_and_places_have_the_distributions_asked_for(prepared, inputs):
    explainer = explainer_of(prepared)
    draws = next(draw(batch_of(explainer, inputs), explainer.settings, "gradient_shap", 100))
    noise = draws.noise  # 6 x 147456 normal numbers: the bounds are 5 standard errors
    assert noise.shape == (3 * N_SAMPLES, 128, 128, 9)
    assert abs(float(noise.mean())) < 5 * NOISE / noise.numel() ** 0.5
    assert float(noise.std()) == pytest.approx(NOISE, rel=5 / (2 * noise.numel()) ** 0.5)
    parts = (draws.fractions * N_SAMPLES).long().tolist()
    assert parts == [0, 1] * 3  # one place in each part of the path


@pytest.mark.parametrize(("n_references", "n"), [(1, 1), (3, 8), (49, 50)])
def test_references_are_drawn_equally_often_and_places_are_spread(n_references, n):
    references = list(range(5, 5 + n_references))
    drawn, fractions = draw_references(references, n, seed=1)
    assert (fractions * n).astype(int).tolist() == list(range(n))  # one place in each part
    counts = np.bincount(drawn, minlength=5 + n_references)[5:]
    assert counts.sum() == n and set(counts) <= {n // n_references, -(-n // n_references)}
    for reference in references:  # its places are spread as well
        turns = np.flatnonzero(drawn == reference) // n_references
        assert turns.tolist() == list(range(len(turns)))


def test_drawn_references_are_the_seeds():
    references = [0, 2, 3, 7, 8]
    drawn, fractions = draw_references(references, 12, seed=4)
    for seed, is_same in ((4, True), (5, False)):
        again, places = draw_references(references, 12, seed)
        assert np.array_equal(drawn, again) == np.array_equal(fractions, places) == is_same
    often = np.concatenate([draw_references(references, 6, seed)[0] for seed in range(400)])
    counts = np.bincount(often, minlength=9)[references]
    # 400 each, and by chance 80 more; 5 standard deviations
    assert np.abs(counts - 480).max() < 5 * (400 * 0.2 * 0.8) ** 0.5


def test_global_generators_are_left_alone(prepared, inputs):
    torch.manual_seed(5)
    before = torch.get_rng_state(), np.random.get_state()[1].copy()
    explain(prepared, inputs[:1], "gradient_shap", ids="a")
    assert torch.equal(before[0], torch.get_rng_state())
    assert (before[1] == np.random.get_state()[1]).all()
