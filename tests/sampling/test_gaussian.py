"""The state's log density: its gradient, priors and correlations included."""

import numpy as np
import pymc as pm
import pytest

from bayesimpute.data.table import Kind
from bayesimpute.method import Design
from bayesimpute.models.normal import Normal, gaussian_posterior


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


PRIORS = {
    "none": {},
    "replaced": {"sd_a": pm.Exponential.dist(2.0), "sigma": pm.Uniform.dist(0.1, 40.0)},
}


@pytest.mark.parametrize("heteroscedastic", [False, True])
@pytest.mark.parametrize("priors", PRIORS)
def test_gradient_equals_finite_differences(design, heteroscedastic, priors):
    options = {**Normal.options, "heteroscedastic": heteroscedastic}
    posterior = gaussian_posterior(design, PRIORS[priors], options)
    posterior.observe(design)
    state = 0.4 * np.random.default_rng(4).normal(size=posterior.layout.size)
    _, gradient = posterior.log_density(state)
    step = 1e-5
    numeric = [
        (posterior.log_density(state + step * e)[0] - posterior.log_density(state - step * e)[0])
        / (2 * step)
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
    posterior.observe(design)
    state = np.full(posterior.layout.size, -800.0)
    value, gradient = posterior.log_density(state)
    assert value == -np.inf
    assert not gradient.any()
