"""The likelihood of a block against scipy and finite differences; draws against known normals."""

import numpy as np
import pytest
from scipy import stats

from bayesimpute.sampling.joint import (
    NOBODY,
    JointLikelihood,
    Members,
    Rows,
    conditional,
    draw_unknown,
)
from bayesimpute.sampling.slice import slice_step
from bayesimpute.sampling.tails import draw_between, log_interval
from tests import calls

MEMBERS = Members(
    ("y", "s", "o", "w"), ((), ("no", "yes"), ("a", "b", "c"), ()), np.zeros(4), np.ones(4)
)
POSITIVE, FREE = np.array([0.8, 1.3]), np.array([0.4, -0.3, 0.2, 0.5, -0.1, 0.3])
N = 30


@pytest.fixture
def likelihood():
    return JointLikelihood(MEMBERS, 2.0, {1: np.array([0.0]), 2: np.array([0.0, 0.9])})


@pytest.fixture
def rows():
    """Values with gaps, a member judged in most rows, and nothing at all known of the last."""
    rng = np.random.default_rng(3)
    values = rng.normal(size=(N, 4))
    values[rng.random((N, 4)) < 0.3] = np.nan
    judged = np.where(rng.random(N) < 0.7, 2, NOBODY)
    values[judged == 2, 2] = np.nan
    values[-1], judged[-1] = np.nan, NOBODY
    code = rng.integers(0, 3, N)
    lower, upper = np.array([-np.inf, 0, 0.9])[code], np.array([0, 0.9, np.inf])[code]
    return values, judged, lower, upper


def columns(rows):
    """Rows as the compiled likelihood takes them, (row, column)."""
    y = Rows.of(*rows)
    return np.column_stack([y.values, y.lower, y.upper, y.pattern, y.judged[y.pattern]])


def numerical(function, at, step=1e-6):
    out = np.zeros(at.shape)
    for i in np.ndindex(at.shape):
        up, down = at.copy(), at.copy()
        up[i] += step
        down[i] -= step
        out[i] = (function(up) - function(down)) / (2 * step)
    return out


def test_a_covariance_that_rounding_makes_singular_has_no_density(likelihood, rows):
    """No exception leaves compiled code that is called by its address."""
    free = FREE.copy()
    free[4] = 18.6  # a partial correlation of 1 − 10⁻¹⁶
    values = np.column_stack([rows[0][:, :2], np.zeros(N), rows[0][:, 3]])
    y = columns((np.nan_to_num(values), np.full(N, NOBODY), *rows[2:]))
    value, *gradients = calls.density(likelihood, y, np.zeros((N, 4)), np.ones(2), free)
    assert value == -np.inf
    assert all(np.isfinite(each).all() for each in gradients)


def test_gradients_are_those_of_the_value(likelihood, rows):
    y = columns(rows)
    eta = np.random.default_rng(4).normal(size=(N, 4))
    value = [
        lambda a: calls.density(likelihood, y, a, POSITIVE, FREE)[0],
        lambda a: calls.density(likelihood, y, eta, a, FREE)[0],
        lambda a: calls.density(likelihood, y, eta, POSITIVE, a)[0],
    ]
    _, *gradients = calls.density(likelihood, y, eta, POSITIVE, FREE)
    for function, at, gradient in zip(value, (eta, POSITIVE, FREE), gradients, strict=True):
        np.testing.assert_allclose(gradient, numerical(function, at), rtol=1e-6, atol=1e-6)
    _, by_intercepts, by_free = calls.prior(likelihood, eta[0], np.append(POSITIVE, FREE))
    close = {"rtol": 1e-6, "atol": 1e-6}
    np.testing.assert_allclose(
        by_intercepts,
        numerical(lambda a: calls.prior(likelihood, a, np.append(POSITIVE, FREE))[0], eta[0]),
        **close,
    )
    np.testing.assert_allclose(
        by_free[2:],
        numerical(lambda a: calls.prior(likelihood, eta[0], np.append(POSITIVE, a))[0], FREE),
        **close,
    )


def test_the_value_is_that_of_normals_and_their_intervals(likelihood, rows):
    values, judged, lower, upper = rows
    eta = np.random.default_rng(4).normal(size=(N, 4))
    covariance = likelihood.covariance(POSITIVE, FREE)
    np.testing.assert_allclose(np.sqrt(np.diag(covariance)), [0.8, 1, 1, 1.3])
    total = 0.0
    for i in range(N):
        known = np.flatnonzero(~np.isnan(values[i]))
        if len(known):
            normal = stats.multivariate_normal(eta[i, known], covariance[np.ix_(known, known)])
            total += normal.logpdf(values[i, known]) + len(known) / 2 * np.log(2 * np.pi)
        if judged[i] != NOBODY:
            k = judged[i]
            mean, variance = eta[i, k], covariance[k, k]
            if len(known):
                weights = np.linalg.solve(covariance[np.ix_(known, known)], covariance[known, k])
                mean = mean + weights @ (values[i, known] - eta[i, known])
                variance = variance - weights @ covariance[known, k]
            normal = stats.norm(mean, variance**0.5)
            total += np.log(normal.cdf(upper[i]) - normal.cdf(lower[i]))
    assert calls.density(likelihood, columns(rows), eta, POSITIVE, FREE)[0] == pytest.approx(
        total, rel=1e-9
    )


def test_information_is_the_curvature_where_values_are_known_and_positive_elsewhere(
    likelihood, rows
):
    y = columns(rows)
    eta = np.random.default_rng(4).normal(size=(N, 4))
    found = calls.information(likelihood, y, eta, POSITIVE, FREE)
    for i in range(4):
        at = eta.copy()
        slopes = []
        for step in (1e-5, -1e-5):
            at[:, i] = eta[:, i] + step
            slopes.append(calls.density(likelihood, y, at, POSITIVE, FREE)[1])
        curvature = -(slopes[0] - slopes[1]) / 2e-5
        np.testing.assert_allclose(found[:, :, i], curvature, atol=1e-4)


def test_intervals_and_draws_hold_in_the_tails():
    lower = np.array([-np.inf, 8.0, -1.0, 30.0, -40.0])
    upper = np.array([-9.0, 9.0, 1.0, np.inf, -39.0])
    expected = [
        stats.norm.logsf(low) + np.log1p(-np.exp(stats.norm.logsf(high) - stats.norm.logsf(low)))
        if low > 0
        else stats.norm.logcdf(high)
        + np.log1p(-np.exp(stats.norm.logcdf(low) - stats.norm.logcdf(high)))
        for low, high in zip(lower, upper, strict=True)
    ]
    np.testing.assert_allclose(log_interval(lower, upper), expected, rtol=1e-12)
    rng = np.random.default_rng(1)
    for low, high in zip(lower, upper, strict=True):
        drawn = draw_between(np.full(4000, low), np.full(4000, high), rng)
        assert (drawn >= low).all() and (drawn <= high).all()
        log_mass = log_interval(np.array([low]), np.array([high]))[0]
        share = np.exp(log_interval(np.full(4000, low), drawn) - log_mass)
        assert stats.kstest(share, "uniform").pvalue > 1e-3


def test_missing_members_are_drawn_given_the_known_ones(likelihood):
    covariance = likelihood.covariance(POSITIVE, FREE)
    n = 40_000
    rng = np.random.default_rng(2)
    full = rng.multivariate_normal(np.zeros(4), covariance, n)
    values = full.copy()
    values[: n // 2, [1, 3]] = np.nan
    values[n // 2 :, 0] = np.nan
    drawn = draw_unknown(values, np.zeros((n, 4)), covariance, rng)
    assert np.array_equal(drawn[~np.isnan(values)], values[~np.isnan(values)])
    for half in (slice(0, n // 2), slice(n // 2, n)):
        np.testing.assert_allclose(np.cov(drawn[half].T), covariance, atol=0.04)


def test_slice_steps_leave_their_density_alone():
    rng = np.random.default_rng(5)
    density = stats.gamma(2.0)
    start = density.rvs(4000, random_state=rng)
    moved = [slice_step(density.logpdf, x, 1.0, rng) for x in start]
    assert stats.kstest(moved, density.cdf).pvalue > 1e-3


def test_a_member_given_the_others_by_the_precision_matrix(likelihood, rows):
    covariance = likelihood.covariance(POSITIVE, FREE)
    eta = np.random.default_rng(4).normal(size=(N, 4))
    values = rows[0].copy()
    values[:, 2] = np.nan
    nobody = np.full(N, NOBODY)
    mean, sd = conditional(Rows.of(values, nobody, *rows[2:]), 2, eta, covariance)
    for i in range(N):
        known = [k for k in range(4) if k != 2 and not np.isnan(values[i, k])]
        precision = np.linalg.inv(covariance[np.ix_([2, *known], [2, *known])])
        pull = precision[0, 1:] @ (values[i, known] - eta[i, known])
        assert mean[i] == pytest.approx(eta[i, 2] - pull / precision[0, 0])
        assert sd[i] == pytest.approx(precision[0, 0] ** -0.5)
