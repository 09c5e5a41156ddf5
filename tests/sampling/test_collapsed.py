"""The collapsed density against the dense multivariate normal it stands for."""

from itertools import pairwise

import numpy as np
import pytest
from scipy.linalg import block_diag
from scipy.stats import multivariate_normal

from bayesimpute.sampling.collapsed import (
    _PIECE,
    Integrated,
    Standard,
    cross_products,
    draw_coefficients,
    log_marginal,
    without,
)

ROWS = np.array([4, 0, 7, 3, 1, 9])  # one cluster without rows, one with a single one
START = np.r_[0, np.cumsum(ROWS)].astype(np.int64)
FACTOR = np.array([[0.7, 0.0], [0.3, 0.5]])
PRECISION = np.array([0.1, 0.2, 0.3])
MEAN = np.array([0.5, 0.0, -0.1])


@pytest.fixture
def rows():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(ROWS.sum(), 3))
    x[:, 0] = 1.0
    return x, np.ascontiguousarray(x[:, :2]), 2 * rng.normal(size=ROWS.sum())


def products(rows, heteroscedastic, apart=1):
    """Cross-products of the rows in another order, in other units, some rows not to be seen.

    Clusters are so far `apart`, with empty ones between them.
    """
    x, z, y = rows
    order = np.random.default_rng(7).permutation(len(y) + 2)
    cluster = np.append(np.repeat(np.arange(len(ROWS)), ROWS), [0, 1])[order]
    x, z, y = (np.concatenate([each, 9 * each[:2]])[order] for each in (x[:, 1:], z, y))
    centre_x, scale_x, scale_z = np.array([1.0, 2.0]), np.array([3.0, 0.5]), np.array([1.0, 4.0])
    return cross_products(
        x * scale_x + centre_x,
        np.ascontiguousarray(z * scale_z),
        y * 2.0 - 1.0,
        cluster * apart,
        order < len(y) - 2,
        len(ROWS) * apart,
        Standard(centre_x, scale_x, np.zeros(2), scale_z, -1.0, 2.0),
        heteroscedastic,
    )


def room(factor, s2):
    """Ψ and σ² as the density reads them, and room for what it leaves behind."""
    shape = -(-len(s2) // _PIECE), min(len(s2), _PIECE)
    root, projected = (np.empty((shape[0], 2, k, shape[1])) for k in (2, 4))
    return Integrated(factor, s2, root, projected, np.empty((3, 3)), np.empty(3))


def marginal(factor, s2, data):
    return log_marginal(data, PRECISION, MEAN, room(factor, s2))


def density(data):
    return marginal(FACTOR, np.full(len(ROWS) * 700, 0.8), data)[0]


def sigma2(heteroscedastic):
    rng = np.random.default_rng(1)
    return rng.uniform(0.5, 1.5, len(ROWS)) if heteroscedastic else np.full(len(ROWS), 0.8)


def dense(rows, psi, s2):
    """log p(y) with the full covariance matrix written out."""
    x, z, y = rows
    blocks = [
        z[a:b] @ psi @ z[a:b].T + s * np.eye(b - a)
        for a, b, s in zip(START[:-1], START[1:], s2, strict=True)
        if b > a
    ]
    covariance = block_diag(*blocks) + x @ np.diag(1 / PRECISION) @ x.T
    return multivariate_normal.logpdf(y, x @ MEAN, covariance)


@pytest.mark.parametrize("heteroscedastic", [False, True])
def test_density_equals_the_dense_one(rows, heteroscedastic):
    s2 = sigma2(heteroscedastic)
    data = products(rows, heteroscedastic)
    value, _, _ = marginal(FACTOR, s2, data)
    assert value == pytest.approx(dense(rows, FACTOR @ FACTOR.T, s2), rel=1e-11)


@pytest.mark.parametrize("heteroscedastic", [False, True])
def test_gradient_equals_differences_of_the_dense_density(rows, heteroscedastic):
    s2, psi, step = sigma2(heteroscedastic), FACTOR @ FACTOR.T, 1e-5
    data = products(rows, heteroscedastic)
    _, by_psi, by_s2 = marginal(FACTOR, s2, data)
    for direction in ([[1, 0], [0, 0]], [[0, 1], [1, 0]], [[0, 0], [0, 1]]):
        d = np.array(direction)
        slope = (dense(rows, psi + step * d, s2) - dense(rows, psi - step * d, s2)) / (2 * step)
        assert (by_psi * d).sum() == pytest.approx(slope, rel=1e-5)
    moves = np.eye(len(ROWS)) if heteroscedastic else np.ones((1, len(ROWS)))
    for move in moves:
        slope = (dense(rows, psi, s2 + step * move) - dense(rows, psi, s2 - step * move)) / (
            2 * step
        )
        assert (by_s2 * move).sum() == pytest.approx(slope, rel=1e-5, abs=1e-8)


@pytest.mark.parametrize("heteroscedastic", [False, True])
def test_clusters_in_many_pieces_have_the_density_and_draws_of_those_in_one(rows, heteroscedastic):
    """Some thousand clusters are looked at a piece at a time; empty ones tell nothing."""
    s2, apart = sigma2(heteroscedastic), 700
    found = []
    for variances, data in (
        (s2, products(rows, heteroscedastic)),
        (np.repeat(s2, apart), products(rows, heteroscedastic, apart)),
    ):
        made = room(FACTOR, variances)
        value, by_psi, by_s2 = log_marginal(data, PRECISION, MEAN, made)
        noise = np.random.default_rng(3).normal(size=(len(ROWS), 2))
        beta, effects = draw_coefficients(
            made, np.ones(3), np.repeat(noise, len(variances) // len(ROWS), axis=0)
        )
        step = len(variances) // len(ROWS)
        found.append([value, by_psi, beta, by_s2[::step], effects[::step]])
    for few, many in zip(*found, strict=True):
        np.testing.assert_allclose(many, few, rtol=1e-10)


def test_what_is_taken_from_values_is_taken_in_every_piece(rows):
    """Effects of further groupings: cross-products of what is left of the values."""
    x, z, y = rows
    cluster = np.repeat(np.arange(len(ROWS)), ROWS) * 700
    units = Standard(np.zeros(2), np.ones(2), np.zeros(2), np.ones(2), 0.5, 2.0)
    x, fit, added = np.ascontiguousarray(x[:, 1:]), np.arange(len(y)) != 2, np.sin(y)[:, None]

    def of(values):
        return cross_products(x, z, values, cluster, fit, len(ROWS) * 700, units, False)

    less = without(of(y), x, z, y, cluster, fit, added, units, False)
    seen = [density(less), density(of(y - 2.0 * added[:, 0]))]
    np.testing.assert_allclose(*seen, rtol=1e-10)


def test_density_is_finite_where_effects_vanish(rows):
    data = products(rows, False)
    zero = np.zeros((2, 2))
    value, _, _ = marginal(zero, sigma2(False), data)
    assert value == pytest.approx(dense(rows, zero, sigma2(False)), rel=1e-11)


def test_no_density_comes_of_rounding_where_predictors_give_all_values(rows):
    x, z, y = rows
    seen = np.arange(len(y)) < x.shape[1]
    units = Standard(np.zeros(2), np.ones(2), np.zeros(2), np.ones(2), 0.0, 1.0)
    first = np.zeros(len(y), dtype=np.int64)
    data = cross_products(
        np.ascontiguousarray(x[:, 1:]), z, y, first, seen, len(ROWS), units, False
    )
    nearly, *below = (
        marginal(np.zeros((2, 2)), np.full(len(ROWS), 10.0**-k), data)[0] for k in range(8, 60)
    )
    assert np.isfinite(nearly)
    assert max(below) < nearly + 20  # the rounding itself


def test_drawn_coefficients_have_the_exact_posterior(rows):
    x, z, y = rows
    s2, psi = sigma2(True), FACTOR @ FACTOR.T
    data = products(rows, True)
    rng = np.random.default_rng(2)
    made = room(FACTOR, s2)
    log_marginal(data, PRECISION, MEAN, made)
    draws = np.array(
        [
            np.concatenate([beta, effects.ravel()])
            for beta, effects in (
                draw_coefficients(made, rng.normal(size=3), rng.normal(size=(len(ROWS), 2)))
                for _ in range(20_000)
            )
        ]
    )
    wide = np.hstack([x, block_diag(*[z[a:b] for a, b in pairwise(START)])])
    prior = block_diag(np.diag(PRECISION), *[np.linalg.inv(psi)] * len(ROWS))
    noise = np.repeat(1 / s2, ROWS)
    precision = wide.T @ (noise[:, None] * wide) + prior
    covariance = np.linalg.inv(precision)
    centre = covariance @ (wide.T @ (noise * y) + prior[:, :3] @ MEAN)
    sd = np.sqrt(np.diag(covariance))
    assert np.abs((draws.mean(axis=0) - centre) / sd).max() < 4.5 / np.sqrt(len(draws))
    correlation = np.cov(draws.T) / np.outer(sd, sd) - covariance / np.outer(sd, sd)
    assert np.abs(correlation).max() < 0.05
