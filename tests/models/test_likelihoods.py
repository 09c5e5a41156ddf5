"""Gradients of every likelihood against finite differences, densities against scipy's."""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest
from scipy import integrate, stats

from bayesimpute.models.beta import Beta
from bayesimpute.models.bounded import CensoredLikelihood, TruncatedLikelihood
from bayesimpute.models.categorical import SoftmaxLikelihood
from bayesimpute.models.counts import NegativeBinomialLikelihood, Poisson
from bayesimpute.models.gamma import Gamma
from bayesimpute.models.logistic import BernoulliLikelihood
from bayesimpute.models.ordinal import CumulativeLikelihood
from bayesimpute.models.piecewise import PiecewiseLikelihood
from bayesimpute.models.robust import Robust
from bayesimpute.models.weibull import WeibullLikelihood
from bayesimpute.sampling.from_pymc import pymc_likelihood
from bayesimpute.sampling.linear_parts import Point
from tests import calls

N = 40
RNG = np.random.default_rng(0)
CODES = RNG.integers(0, 4, N).astype(float)
COUNTS = RNG.integers(0, 9, N).astype(float)
NUMBERS = np.clip(RNG.normal(size=N), -1, 1.2)
#: Time, and whether it ends with the event.
TIMES = np.column_stack([np.exp(NUMBERS), RNG.random(N) < 0.6])
CUTPOINTS = np.array([0.7, 1.5, 2.2])
#: Likelihood, values, positive and free extras; made when asked for, since PyTensor compiles some.
CASES: dict[str, Callable[[], tuple[Any, ...]]] = {
    "logistic": lambda: (BernoulliLikelihood(), CODES % 2, [], []),
    "ordinal": lambda: (CumulativeLikelihood(4, np.array([1, 2, 3, 1.5])), CODES, [], [0.3, -0.4]),
    "categorical": lambda: (SoftmaxLikelihood(np.array([2, 0, 1, 3])), CODES, [], []),
    "poisson": lambda: (pymc_likelihood(Poisson.distribution, 0), COUNTS, [], []),
    "negative binomial": lambda: (NegativeBinomialLikelihood(), COUNTS, [0.7], []),
    "gamma": lambda: (pymc_likelihood(Gamma.distribution, 1), np.exp(NUMBERS), [0.7], []),
    "beta": lambda: (pymc_likelihood(Beta.distribution, 1), stats.norm.cdf(NUMBERS), [0.7], []),
    "student": lambda: (pymc_likelihood(Robust.distribution, 2, True), NUMBERS, [0.7, 3.0], []),
    "truncated": lambda: (TruncatedLikelihood(-1, 1.2), NUMBERS, [0.7], []),
    "truncated below": lambda: (TruncatedLikelihood(-1, np.inf), NUMBERS, [0.7], []),
    "censored": lambda: (CensoredLikelihood(-1, 1.2), NUMBERS, [0.7], []),
    "weibull": lambda: (WeibullLikelihood(1.7, True), TIMES, [1.4], []),
    "piecewise": lambda: (PiecewiseLikelihood(CUTPOINTS, 1.5, True), TIMES, [], [0.5, -0.8, 0.3]),
    "constant hazard": lambda: (PiecewiseLikelihood(np.empty(0), 1.5, True), TIMES, [], []),
}


@cache
def case(name):
    return CASES[name]()


def numerical(function, at, step=1e-6):
    out = np.zeros(at.shape)
    for i in np.ndindex(at.shape):
        up, down = at.copy(), at.copy()
        up[i] += step
        down[i] -= step
        out[i] = (function(up) - function(down)) / (2 * step)
    return out


@pytest.mark.parametrize("name", CASES)
def test_gradients_are_those_of_the_value(name):
    likelihood, y, positive, free = case(name)
    positive, free = np.array(positive), np.array(free)
    eta = np.random.default_rng(1).normal(size=(N, likelihood.equations))
    _, by_eta, by_positive, by_free = calls.density(likelihood, y, eta, positive, free)
    close = {"rtol": 1e-6, "atol": 1e-6}
    np.testing.assert_allclose(
        by_eta,
        numerical(lambda a: calls.density(likelihood, y, a, positive, free)[0], eta),
        **close,
    )
    np.testing.assert_allclose(
        by_positive,
        numerical(lambda a: calls.density(likelihood, y, eta, a, free)[0], positive),
        **close,
    )
    np.testing.assert_allclose(
        by_free,
        numerical(lambda a: calls.density(likelihood, y, eta, positive, a)[0], free),
        **close,
    )
    intercepts = eta[0]
    _, by_intercepts, by_free = calls.prior(likelihood, intercepts, free)
    np.testing.assert_allclose(
        by_intercepts, numerical(lambda a: calls.prior(likelihood, a, free)[0], intercepts), **close
    )
    np.testing.assert_allclose(
        by_free, numerical(lambda a: calls.prior(likelihood, intercepts, a)[0], free), **close
    )


@pytest.mark.parametrize("name", CASES)
def test_no_parameters_make_machine_code_raise(name):
    # what machine code raises where it is called by its address is printed and lost, and what it
    # gives back is not defined; here pytest makes an error of it
    likelihood, y, positive, free = case(name)
    extremes = (0.0, 1e-200, 1e200, np.inf, -np.inf, np.nan)
    for eta in (*extremes, 800.0, -800.0):
        calls.density(likelihood, y, np.full((N, likelihood.equations), eta), positive, free)
    for extreme in extremes:
        sizes = (np.full(len(given), extreme) for given in (positive, free))
        value, *_ = calls.density(likelihood, y, np.zeros((N, likelihood.equations)), *sizes)
        assert isinstance(value, float)


@pytest.mark.parametrize("name", CASES)
def test_information_is_positive_and_near_the_expected_curvature(name):
    likelihood, y, positive, free = case(name)
    eta = np.random.default_rng(2).normal(size=(N, likelihood.equations))
    weight = calls.information(likelihood, y, eta, np.array(positive), np.array(free))
    assert weight.shape == (N, likelihood.equations, likelihood.equations)
    assert (np.linalg.eigvalsh(weight) > 0).all()


def values_of(name, y, eta, positive, free):
    sizes = np.array(positive)
    t = eta[:, 0]
    if name == "logistic":
        return stats.bernoulli.logpmf(y.astype(int), 1 / (1 + np.exp(-t))).sum()
    if name == "poisson":
        return stats.poisson.logpmf(y, np.exp(t)).sum()
    if name == "negative binomial":
        n = sizes[0] ** -2
        return stats.nbinom.logpmf(y, n, n / (n + np.exp(t))).sum()
    if name == "gamma":
        shape = sizes[0] ** -2
        return stats.gamma.logpdf(y, shape, scale=np.exp(t) / shape).sum()
    if name == "beta":
        mean, precision = 1 / (1 + np.exp(-t)), sizes[0] ** -2
        return stats.beta.logpdf(y, mean * precision, (1 - mean) * precision).sum()
    if name == "student":
        return stats.t.logpdf(y, sizes[1], t, sizes[0]).sum()
    if name == "truncated":
        a, b = (-1 - t) / sizes[0], (1.2 - t) / sizes[0]
        return stats.truncnorm.logpdf(y, a, b, t, sizes[0]).sum()
    if name == "censored":
        inside = stats.norm.logpdf(y, t, sizes[0])
        low, high = stats.norm.logcdf(-1, t, sizes[0]), stats.norm.logsf(1.2, t, sizes[0])
        return np.where(y <= -1, low, np.where(y >= 1.2, high, inside)).sum()
    if name == "weibull":
        # cumulative hazard e^t (t0 / k) (y / t0)^k = (y / scale)^k
        scale = 1.7 * (np.exp(t) * 1.7 / sizes[0]) ** (-1 / sizes[0])
        density = stats.weibull_min.logpdf(y[:, 0], sizes[0], scale=scale)
        return np.where(
            y[:, 1], density, stats.weibull_min.logsf(y[:, 0], sizes[0], scale=scale)
        ).sum()
    if name == "constant hazard":
        scale = np.exp(-t)
        density = stats.expon.logpdf(y[:, 0], scale=scale)
        return np.where(y[:, 1], density, stats.expon.logsf(y[:, 0], scale=scale)).sum()
    if name == "piecewise":
        return sum(
            piecewise_log_density(*row, rate, np.array(free))
            for row, rate in zip(y, np.exp(t), strict=True)
        )
    if name == "ordinal":
        cut = np.append(0, np.cumsum(np.exp(free)))
        below = np.column_stack(
            [np.zeros(len(y)), 1 / (1 + np.exp(t[:, None] - cut)), np.ones(len(y))]
        )
        return np.log(np.diff(below, axis=1)[np.arange(len(y)), y.astype(int)]).sum()
    full = np.column_stack([eta[:, 0], eta[:, 1], np.zeros(len(y)), eta[:, 2]])  # order 2, 0, 1, 3
    return (full[np.arange(len(y)), y.astype(int)] - np.log(np.exp(full).sum(axis=1))).sum()


def piecewise_log_density(time, event, ratio, free):
    """By numerical integration of the hazard."""
    hazards = ratio * np.exp(PiecewiseLikelihood(CUTPOINTS, 1.5, True).parameters(
        Point(*[np.empty(0)] * 3, free, np.zeros((1, 1)), np.empty(0)))["log_hazard"])  # fmt: skip

    def hazard(at):
        return hazards[(at > CUTPOINTS).sum()]

    cumulative = integrate.quad(hazard, 0.0, time, points=CUTPOINTS[time > CUTPOINTS])[0]
    return event * np.log(hazard(time)) - cumulative


@pytest.mark.parametrize("name", [name for name in CASES if name != "truncated below"])
def test_differences_of_the_value_are_those_of_the_true_density(name):
    likelihood, y, positive, free = case(name)
    rng = np.random.default_rng(3)
    ours, true = [], []
    for _ in range(2):
        eta = rng.normal(size=(N, likelihood.equations))
        ours.append(calls.density(likelihood, y, eta, np.array(positive), np.array(free))[0])
        true.append(values_of(name, y, eta, positive, free))
    assert ours[0] - ours[1] == pytest.approx(true[0] - true[1], rel=1e-9)


def test_truncated_draws_keep_their_accuracy_far_out_in_a_tail():
    rng = np.random.default_rng(4)
    for mean in (-40.0, 40.0):
        drawn = TruncatedLikelihood(-1.0, 1.0).draw(np.full(20_000, mean), 1.0, rng)
        assert ((drawn >= -1) & (drawn <= 1)).all()
        # near the bound the density is exponential with rate |bound − mean|
        edge = -1.0 if mean < 0 else 1.0
        assert np.abs(drawn - edge).mean() == pytest.approx(1 / 39, rel=0.05)


def test_the_prior_of_the_cutpoints_is_uniform_in_the_shares():
    likelihood = CumulativeLikelihood(3, np.ones(3))
    # integrate the density over a grid of intercept and log gap: a proper prior has mass 1 / 2
    # times that of the Dirichlet(1, 1, 1), whose density is 2
    intercepts, gaps = np.linspace(-14, 14, 57), np.linspace(-9, 4, 53)
    density = np.exp([[calls.prior(likelihood, [a], [g])[0] for g in gaps] for a in intercepts])
    area = (intercepts[1] - intercepts[0]) * (gaps[1] - gaps[0])
    assert density.sum() * area == pytest.approx(0.5, rel=1e-2)


def test_counts_of_any_size_have_the_negative_binomial_density():
    likelihood, rng = NegativeBinomialLikelihood(), np.random.default_rng(6)
    counts = np.array([0, 7, 4095, 4096, 4097, 5000, 70_000, 3e8, 3e11])
    eta, no_extras = np.log(counts + 1) + rng.normal(size=len(counts)), np.empty(0)
    for overdispersion in (1e-3, 0.1, 1.0, 30.0):
        positive = np.array([overdispersion])
        size = overdispersion**-2
        true = stats.nbinom.logpmf(counts, size, size / (size + np.exp(eta)))
        found = likelihood.log_density(counts, eta[:, None], positive, no_extras, 1.0)
        rounding = 1e-6 * (1.0 + np.abs(true)) + 1e-14 * counts
        assert (np.abs(found - true) < rounding).all()
        near = counts < 1e5  # beyond, differences of the value have no digits left
        given = likelihood, counts[near], eta[near, None]
        by_positive = calls.density(*given, positive, no_extras)[2]
        step = 1e-5 * positive
        ends = [calls.density(*given, positive + s, no_extras)[0] for s in (step, -step)]
        assert by_positive == pytest.approx((ends[0] - ends[1]) / (2 * step), rel=1e-4)
