"""The rules against known integrals, SciPy's, and each other."""

import numpy as np
import pytest
import scipy.integrate

from mri_saliency.attribution import clenshaw_curtis
from mri_saliency.attribution.clenshaw_curtis import POINTS


def test_each_rule_doubles_the_points_of_the_one_before():
    assert POINTS == (3, 5, 9, 17, 33, 65, 129)
    table = clenshaw_curtis.weights()
    assert table.shape == (7, 129) and table.dtype == np.float64
    known = set(np.flatnonzero(table[0]))
    assert clenshaw_curtis.new_points(9) == list(np.flatnonzero(table[2]))
    for row, n_points in zip(table[1:], POINTS[1:], strict=True):
        used = set(np.flatnonzero(row))
        assert len(used) == n_points and known < used
        if n_points > 9:
            assert set(clenshaw_curtis.new_points(n_points)) == used - known
        known = used


def test_places_are_those_of_chebyshevs_polynomials_extremes():
    places = clenshaw_curtis.places()
    assert (places[0], places[64], places[-1]) == pytest.approx((0, 0.5, 1), abs=1e-15)
    np.testing.assert_allclose(np.cos(128 * np.arccos(1 - 2 * places)), (-1.0) ** np.arange(129), atol=1e-10)


@pytest.mark.parametrize("n_points", POINTS)
def test_polynomials_are_integrated_exactly(n_points):
    weights = clenshaw_curtis.rule_weights(n_points)
    places = clenshaw_curtis.places()[:: clenshaw_curtis.stride(n_points)]
    assert (weights > 0).all()
    for degree in range(n_points):
        assert weights @ places**degree == pytest.approx(1 / (degree + 1), rel=1e-13)


def test_a_curve_has_scipys_integral():
    def curve(a):
        return np.exp(np.sin(7 * a)) / (1 + 10 * (a - 0.3) ** 2)

    expected, _ = scipy.integrate.quad(curve, 0, 1, epsabs=1e-13)
    integrals = clenshaw_curtis.weights() @ curve(clenshaw_curtis.places())
    errors = np.abs(integrals - expected)
    assert errors[-1] < 1e-13 and (errors[2:5] < errors[1:4]).all()
