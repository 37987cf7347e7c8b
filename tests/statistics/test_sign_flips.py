"""The sign-flip test computes what it states, finds a difference that exists, and keeps its error rate."""

import numpy as np
import pytest
from nilearn.mass_univariate import permuted_ols
from scipy import stats

from mri_saliency.statistics.sign_flips import N_FLIPS, SIGNIFICANT, Hypothesis, sign_flip_test, sign_flips


def question(values, groups, contrast, covariates=None, spread_groups=None):
    """A contrast of groups' means, subjects in the order of rows."""
    design = np.eye(groups.max() + 1)[groups]
    if covariates is not None:
        design = np.column_stack([design, covariates])
        contrast = [*contrast, *[0] * covariates.shape[1]]
    spread_groups = groups if spread_groups is None else spread_groups
    return Hypothesis(values, design, np.array(contrast, float), spread_groups, np.arange(len(values)))


GROUPS = np.repeat([0, 1, 2], [12, 9, 8])


@pytest.fixture
def values():
    return np.random.default_rng(0).standard_normal((len(GROUPS), 300))


def hall(t, skewness):
    """Hall's transformation of a statistic."""
    return ((1 + skewness * t / 3) ** 3 - 1) / skewness + skewness / 6 if skewness else t


def test_without_covariates_the_statistic_is_welchs_less_its_skewness(values):
    values = np.exp(values)
    left, right = sign_flip_test([question(values, GROUPS, [-1, 1, 0]), question(values, GROUPS, [-1, 0, 1])])
    for tested, group in ((left, 1), (right, 2)):
        expected = stats.ttest_ind(values[GROUPS == group], values[GROUPS == 0], equal_var=False).statistic
        samples = [(values / values.std(0))[GROUPS == number] for number in (0, group)]
        variance, third = (
            [stats.kstat(sample, order, axis=0).mean() / len(sample) ** (order - 1) for sample in samples]
            for order in (2, 3)
        )
        skewness = (third[1] - third[0]) / sum(variance) ** 1.5
        assert 0.8 < tested.skewness / skewness < 1 and abs(skewness) > 0.05  # less what is its own error
        np.testing.assert_allclose(tested.t, hall(expected, tested.skewness), rtol=1e-9)
        difference = values[GROUPS == group].mean(0) - values[GROUPS == 0].mean(0)
        np.testing.assert_allclose(tested.effect, difference, rtol=1e-9)


def test_with_covariates_and_one_variance_the_statistic_is_that_of_permuted_ols(values):
    covariates = np.random.default_rng(1).standard_normal((len(GROUPS), 2))
    everyone = np.zeros(len(GROUPS), int)
    [tested] = sign_flip_test([question(values, GROUPS, [-1, 1, 0], covariates, spread_groups=everyone)])
    others = np.column_stack([covariates, GROUPS == 2])
    asked = (GROUPS == 1).astype(float)[:, None]
    expected = permuted_ols(asked, values, others, n_perm=0, output_type="dict")["t"][0]
    np.testing.assert_allclose(tested.t, hall(expected, tested.skewness), atol=1e-6)


def test_p_is_that_of_a_test_written_out():
    """All flips of nine subjects, with a covariate: constrained weighted least squares, flip by flip."""
    generator = np.random.default_rng(2)
    groups, values = np.repeat([0, 1], [5, 4]), generator.standard_normal((9, 20))
    values[groups == 1] *= 2
    asked = question(values, groups, [-1, 1], generator.standard_normal((9, 1)))
    design, contrast = asked.design, asked.contrast
    members = [groups == 0, groups == 1]
    hat = design @ np.linalg.pinv(design)

    def statistic(data):
        weights = design @ np.linalg.inv(design.T @ design) @ contrast
        residuals = data - hat @ data
        variances = [(residuals[m] ** 2).sum(0) / (1 - np.diag(hat)[m]).sum() for m in members]
        error = sum(v * (weights[m] ** 2).sum() for v, m in zip(variances, members, strict=True))
        return weights @ data / np.sqrt(error), variances

    scaled = (values - values.mean(0)) / values.std(0)
    t, variances = statistic(scaled)
    precision = np.empty(9)
    for m, v in zip(members, variances, strict=True):
        precision[m] = 1 / v.mean()
    # the null model: the two groups' columns merged, so that their difference is zero
    merged = np.column_stack([design[:, 0] + design[:, 1], design[:, 2]])
    root = np.sqrt(precision)[:, None]
    fitted = merged @ np.linalg.lstsq(root * merged, root * scaled, rcond=None)[0]
    flips = np.array(np.meshgrid(*[[1, -1]] * 9)).reshape(9, -1).T
    largest = np.array([np.abs(statistic(flip[:, None] * (scaled - fitted))[0]).max() for flip in flips])
    [tested] = sign_flip_test([asked])
    t = hall(t, tested.skewness)
    expected = [(largest >= magnitude - 1e-4).mean() for magnitude in np.abs(t)]
    np.testing.assert_allclose(tested.t, t, rtol=1e-9)
    np.testing.assert_allclose(tested.p, expected, atol=1e-9)


def test_all_flips_of_few_subjects_and_a_sample_of_many():
    few = sign_flips(6, N_FLIPS)
    assert few.shape == (32, 6) and (few[0] == 1).all() and (few[:, -1] == 1).all()
    assert len(np.unique(few, axis=0)) == 32
    many = sign_flips(40, N_FLIPS)
    assert many.shape == (N_FLIPS + 1, 40) and (many[0] == 1).all() and set(np.unique(many)) == {-1, 1}
    assert abs(many[1:].mean()) < 0.02 and len(np.unique(many, axis=0)) == N_FLIPS + 1


def test_a_difference_is_found_where_it_is_and_p_is_never_zero(values):
    values[GROUPS == 1, :5] += 4
    left, right = sign_flip_test([question(values, GROUPS, [-1, 1, 0]), question(values, GROUPS, [-1, 0, 1])])
    assert (left.p[:5] <= SIGNIFICANT).all() and (left.p[5:] > SIGNIFICANT).all()
    assert (right.p > SIGNIFICANT).all()
    assert left.p.min() >= 1 / (N_FLIPS + 1) and left.p.min() >= left.smallest_possible_p
    reached = np.abs(left.t) >= left.threshold
    np.testing.assert_array_equal(reached, left.p <= SIGNIFICANT)


def test_hypotheses_of_a_family_pay_for_each_other(values):
    values[GROUPS == 1, 0] += 1.8
    alone = sign_flip_test([question(values, GROUPS, [-1, 1, 0])])[0].p
    other = question(values[:, ::-1], GROUPS, [-1, 0, 1])
    together = sign_flip_test([question(values, GROUPS, [-1, 1, 0]), other])[0].p
    assert (together >= alone).all() and together.min() > alone.min()
    twice = sign_flip_test([question(values, GROUPS, [-1, 1, 0])] * 2)[0].p
    np.testing.assert_allclose(twice, alone)  # the same question asked again costs nothing


def test_a_large_t_stays_as_large():
    """The cubic alone, which is right near 0, would make far more or less of it."""
    generator = np.random.default_rng(0)
    values, groups = generator.standard_gamma(1.0, (60, 40)), np.repeat([0, 1], [50, 10])
    values[groups == 1, 0] += 30
    values[groups == 1, 1] -= 30
    [tested] = sign_flip_test([question(values, groups, [-1, 1])])
    welch = stats.ttest_ind(values[groups == 1], values[groups == 0], equal_var=False).statistic
    assert abs(welch[:2]).min() > 15 and abs(tested.skewness) > 0.1
    np.testing.assert_allclose(tested.t[:2], welch[:2], atol=5)


def test_where_nothing_varies_nothing_is_found():
    groups, values = np.repeat([0, 1], [6, 6]), np.full((12, 3), 0.1)
    values[:, 1] = np.arange(12) % 5
    [tested] = sign_flip_test([question(values, groups, [-1, 1])])
    assert tested.t[[0, 2]].tolist() == [0, 0] and tested.p[[0, 2]].tolist() == [1, 1]
    [nothing] = sign_flip_test([question(np.zeros((12, 2)), groups, [-1, 1])])
    assert nothing.p.tolist() == [1, 1] and nothing.threshold == np.inf
    assert sign_flip_test([]) == []
