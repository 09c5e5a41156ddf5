"""With three clusters the SDs between them are hardly known: samplers must not run into walls."""

from dataclasses import replace

import numba
import numpy as np
import pytest
from scipy import stats

from bayesimpute.data.table import Kind
from bayesimpute.method import Design
from bayesimpute.registry import resolve
from bayesimpute.sampling import nuts
from bayesimpute.sampling.linear_sweeps import density_at_coordinates, mode_of

NOWHERE = np.empty(0, dtype=np.int64)


def three_clusters(seed, binary):
    rng = np.random.default_rng(seed)
    n, cluster = 90, np.repeat(np.arange(3), 30)
    x = rng.normal(size=(n, 2))
    eta = x @ [0.8, -0.4] + 0.5 * rng.normal(size=3)[cluster]
    y = (eta + rng.logistic(size=n) > 0).astype(float) if binary else eta + rng.normal(size=n)
    fit = rng.random(n) < 0.8
    return Design(
        "y", Kind.BINARY if binary else Kind.NUMERIC, ("a", "b") if binary else (), y, x,
        ("x1", "x2"), np.ones((n, 1)), ("intercept",), cluster, 3, fit, ~fit,
    )  # fmt: skip


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_collapsed_normal_model_has_no_divergences(seed):
    design = three_clusters(seed, binary=False)
    posterior = resolve("normal").kernel(design, {}, resolve("normal").options)._posterior
    rng = np.random.default_rng(seed)
    adaptation = posterior.adapt(design, 300, rng)
    start = posterior.start(adaptation, rng)
    _, record = posterior._nuts.move(posterior.observe(design), start, adaptation, 20, 10_000, rng)
    assert record[nuts.DIVERGING] <= 1


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_logit_has_hardly_any(seed):
    design = three_clusters(seed, binary=True)
    posterior = resolve("logistic").kernel(design, {}, resolve("logistic").options)._posterior
    rng = np.random.default_rng(seed)
    adaptation = posterior.adapt(design, 60, rng)
    state = posterior.settle(design, adaptation, posterior.start(adaptation, rng), 12, rng)
    _, _, statistics = posterior.draw(design, adaptation, state, 3000, rng)
    assert statistics["diverging"] <= 9  # 0.1 % of 9,000 transitions


def logit_of(design):
    """Posterior of a logit, its adaptation, and what its moves take."""
    posterior = resolve("logistic").kernel(design, {}, resolve("logistic").options)._posterior
    adaptation = posterior.adapt(design, 60, np.random.default_rng(1))
    data = posterior._observe(design, None)
    return posterior, adaptation, posterior._given(data, adaptation.start_mean)


def with_slope(design):
    slopes = np.column_stack([design.z, design.x[:, 0]])
    return replace(design, z=slopes, random_effects=("intercept", "x1"))


def log_density(design, state):
    """Of scales, correlation, coefficients and effects, written out."""
    fit, x = design.fit, design.x[design.fit]
    x = (x - x.mean(axis=0)) / x.std(axis=0)
    sd, rho = np.log1p(np.exp(state[:2])), np.tanh(state[2])
    beta, effects = state[3:6], state[6:].reshape(3, 2)
    z = np.column_stack([np.ones(len(x)), x[:, 0]])
    eta = beta[0] + x @ beta[1:] + (z * effects[design.cluster[fit]]).sum(axis=1)
    covariance = np.outer(sd, sd) * [[1, rho], [rho, 1]]
    value = stats.bernoulli.logpmf(design.y[fit], 1 / (1 + np.exp(-eta))).sum()
    value += stats.norm.logpdf(beta, 0, 2.5).sum()
    value += stats.multivariate_normal.logpdf(effects, np.zeros(2), covariance).sum()
    # half-normal by log(exp(x) - 1); LKJ(2) of a pair is 1 - rho², by atanh
    value += stats.halfnorm.logpdf(sd, scale=[1.0, 0.5]).sum() - np.log1p(np.exp(-state[:2])).sum()
    return value + 2 * np.log(1 - rho**2)


@numba.njit
def mode(moving, curvature):
    """What is a part of other machine code has no entrance of its own."""
    return mode_of(moving, curvature)


def test_slices_see_the_posterior_with_the_volume_of_their_coordinates():
    design = with_slope(three_clusters(2, binary=True))
    posterior, adaptation, given = logit_of(design)
    model, rows, _, curvature = given
    u = np.random.default_rng(3).normal(size=9)

    def coefficients(shape, u):
        moving, _ = posterior._whiten(
            posterior._stand(model, rows, whole(shape), NOWHERE), curvature
        )
        return posterior._place(moving, u + mode(moving, curvature))

    def whole(shape):
        return np.concatenate([shape, adaptation.start_mean[3:]])

    found, expected = [], []
    for shape in ([-1.0, -2.0, 0.3], [0.5, -1.0, 0.3], [0.5, 1.0, -0.8]):
        state = coefficients(np.array(shape), u)
        steps = 1e-4 * np.eye(9)
        slopes = [
            (coefficients(np.array(shape), u + s) - coefficients(np.array(shape), u - s))[3:] / 2e-4
            for s in steps
        ]
        expected.append(log_density(design, state) + np.linalg.slogdet(slopes)[1])
        found.append(density_at_coordinates(*given, whole(np.array(shape)), u))
    np.testing.assert_allclose(np.diff(found), np.diff(expected), atol=1e-5)


def test_a_scale_forgets_where_it_was_from_one_visit_to_the_next():
    design = three_clusters(1, binary=True)
    posterior, adaptation, _ = logit_of(design)
    rng = np.random.default_rng(2)
    state = posterior.settle(design, adaptation, posterior.start(adaptation, rng), 12, rng)
    drawn = []
    for _ in range(400):
        state, point, _ = posterior.draw(design, adaptation, state, 4, rng)
        drawn.append([np.log(point.sd[0]), point.beta[0, 0]])
    for series in np.transpose(drawn):
        assert np.corrcoef(series[:-1], series[1:])[0, 1] < 0.2


def test_a_start_with_a_scale_near_zero_comes_to_the_posterior():
    design = three_clusters(1, binary=True)
    posterior, adaptation, _ = logit_of(design)
    rng = np.random.default_rng(2)
    low = adaptation.start_mean.copy()
    low[0] = -12.0
    state = posterior.start(replace(adaptation, start_mean=low), rng)
    state = posterior.settle(design, adaptation, state, 12, rng)
    _, point, statistics = posterior.draw(design, adaptation, state, 4, rng)
    assert point.sd[0] < 5 and np.abs(point.effects).max() < 10
    assert statistics["diverging"] == 0
