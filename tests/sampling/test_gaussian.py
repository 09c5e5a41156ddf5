"""The state's log density: its gradient, priors and correlations included."""

from dataclasses import replace

import numpy as np
import pymc as pm
import pytest
from scipy.stats import beta, multivariate_normal

from bayesimpute.data.table import Kind
from bayesimpute.method import Design
from bayesimpute.models.normal import Normal, gaussian_posterior
from bayesimpute.sampling import nuts
from bayesimpute.sampling.gaussian import log_posterior


@pytest.fixture
def design():
    rng = np.random.default_rng(3)
    cluster = rng.integers(0, 6, 50)
    x = rng.normal(3, 2, size=(50, 2))
    z = np.column_stack([np.ones(50), x])
    fit = (rng.random(50) > 0.2) & (cluster != 5)
    return Design(
        "y", Kind.NUMERIC, (), 10 * rng.normal(size=50), x, ("a", "b"), z, ("intercept", "a", "b"),
        cluster, 6, fit, ~fit,
    )  # fmt: skip


def densities(posterior, design):
    """Log density and gradient by state."""
    problem = posterior.observe(design)

    def log_density(state):
        gradient = np.empty(state.size)
        return log_posterior(state, problem.data, gradient), gradient

    return log_density


PRIORS = {
    "none": {},
    "replaced": {"sd_a": pm.Exponential.dist(2.0), "sigma": pm.Uniform.dist(0.1, 40.0)},
}


@pytest.mark.parametrize("heteroscedastic", [False, True])
@pytest.mark.parametrize("priors", PRIORS)
@pytest.mark.parametrize("blocks", [(), (0, 1, 0)])
def test_gradient_equals_finite_differences(design, heteroscedastic, priors, blocks):
    options = {**Normal.options, "heteroscedastic": heteroscedastic}
    design = replace(design, blocks_z=blocks)
    posterior = gaussian_posterior(design, PRIORS[priors], options)
    log_density = densities(posterior, design)
    state = 0.4 * np.random.default_rng(4).normal(size=posterior.layout.size)
    _, gradient = log_density(state)
    step = 1e-5
    numeric = [
        (log_density(state + step * e)[0] - log_density(state - step * e)[0]) / (2 * step)
        for e in np.eye(len(state))
    ]
    assert gradient == pytest.approx(numeric, rel=1e-5, abs=1e-6)


def test_priors_of_other_families_leave_the_collapsed_model(design):
    options = dict(Normal.options)
    assert gaussian_posterior(design, {"beta": pm.Laplace.dist(0, 1)}, options) is None
    assert gaussian_posterior(design, {"beta": pm.Normal.dist(0, 1)}, options) is not None


def test_a_state_that_underflows_is_refused_not_an_error(design):
    options = {**Normal.options, "heteroscedastic": True}
    posterior = gaussian_posterior(design, {}, options)
    problem, state = posterior.observe(design), np.full(posterior.layout.size, -800.0)
    gradient = np.ones_like(state)
    value = nuts.finite_density(state, problem, gradient)
    assert value == -np.inf
    assert not gradient.any()


@pytest.mark.parametrize("blocks", [(0, 1, 0), (0, 0, 1), (0, 1, 2)])
def test_independent_effects_have_the_dense_density_of_what_the_formula_says(design, blocks):
    """In the data's own units, the intercept at 0 and nothing of the sampler used but its state."""
    priors = {"intercept": pm.Normal.dist(1, 30), "beta": pm.Normal.dist(0, 8)}
    priors |= {name: pm.Exponential.dist(0.3) for name in ("sd_intercept", "sd_a", "sd_b")}
    priors |= {"sigma": pm.Exponential.dist(0.2)}
    posterior = gaussian_posterior(replace(design, blocks_z=blocks), priors, Normal.options)
    log_density = densities(posterior, replace(design, blocks_z=blocks))
    fit = design.fit
    x = np.column_stack([np.ones(fit.sum()), design.x[fit]])
    same = design.cluster[fit, None] == design.cluster[fit]
    # the intercept of the model is at the predictors' means
    at = np.eye(3)
    at[0, 1:] = -design.x[fit].mean(axis=0)
    prior = at @ np.diag([30.0, 8.0, 8.0]) ** 2 @ at.T
    means = dict(zip(("a", "b"), design.x[fit].mean(axis=0), strict=True))
    pairs = [(a, b) for a in range(3) for b in range(a) if blocks[a] == blocks[b]]

    def dense(state):
        sds, u = np.exp(state[:4]), state[4:]
        correlation = np.eye(3)
        for (a, b), value in zip(pairs, np.tanh(u), strict=True):
            correlation[a, b] = correlation[b, a] = value
        psi = sds[:3, None] * correlation * sds[:3]
        # a slope that is correlated with the intercept has it at that predictor's mean
        z = np.column_stack([np.ones(len(x)), *(
            design.x[fit, k] - (means[name] if blocks[k + 1] == 0 else 0.0)
            for k, name in enumerate("ab")
        )])  # fmt: skip
        covariance = x @ prior @ x.T + (z @ psi @ z.T) * same + sds[3] ** 2 * np.eye(len(x))
        value = multivariate_normal.logpdf(design.y[fit], np.full(len(x), 1.0), covariance)
        value += (state[:4] - [0.3, 0.3, 0.3, 0.2] * sds).sum()
        # a block of two is LKJ(2): a Beta(2, 2) correlation, and d tanh
        return value + (beta.logpdf(np.tanh(u) / 2 + 0.5, 2, 2) - 2 * np.log(np.cosh(u))).sum()

    rng = np.random.default_rng(6)
    states = [rng.normal(0, 0.5, 4 + len(pairs)) for _ in range(3)]
    ours = [log_density(state)[0] for state in states]
    assert posterior.layout.size == 4 + len(pairs)
    assert np.diff(ours) == pytest.approx(np.diff([dense(state) for state in states]), rel=1e-8)
