"""Partial correlations against PyMC's LKJ."""

import numpy as np
import pymc as pm
import pytest

from bayesimpute.sampling.correlation import (
    CorrelationBlocks,
    beta_shapes,
    correlation_factor,
    pull_back,
)


@pytest.mark.parametrize("size", [2, 3, 4])
def test_factor_is_that_of_a_correlation_matrix(size):
    u = np.random.default_rng(size).normal(size=size * (size - 1) // 2)
    factor = correlation_factor(u, size)
    assert np.allclose(np.diag(factor @ factor.T), 1)
    assert np.allclose(factor, np.tril(factor))


def test_pull_back_equals_finite_differences():
    rng = np.random.default_rng(0)
    u, weight, step = rng.normal(size=6), np.tril(rng.normal(size=(4, 4))), 1e-6
    slope = [
        ((correlation_factor(u + step * e, 4) - correlation_factor(u - step * e, 4)) * weight).sum()
        / (2 * step)
        for e in np.eye(6)
    ]
    assert pull_back(u, correlation_factor(u, 4), weight) == pytest.approx(slope, rel=1e-6)


def test_beta_partials_are_lkj():
    """Draws through partial correlations and PyMC's draws have the same spread."""
    rng = np.random.default_rng(1)
    shapes = beta_shapes(3, 2.0)
    partial = 2 * rng.beta(shapes, shapes, size=(20_000, 3)) - 1
    ours = np.array([(f := correlation_factor(np.arctanh(p), 3)) @ f.T for p in partial])
    theirs = pm.draw(pm.LKJCorr.dist(n=3, eta=2.0), draws=20_000, random_seed=2)
    for a, b in ((1, 0), (2, 0), (2, 1)):
        assert np.std(ours[:, a, b]) == pytest.approx(np.std(theirs[:, a, b]), rel=0.03)


def test_effects_of_different_blocks_are_independent_and_those_of_one_are_lkj():
    rng = np.random.default_rng(3)
    blocks = CorrelationBlocks((0, 1, 0, 2, 1, 0), 2.0)
    shapes = blocks.of_free(blocks.shapes)
    assert blocks.count == shapes.size == 4
    assert blocks.labels("abcdef") == ("a~c", "b~e", "a~f", "c~f")
    partial = np.arctanh(2 * rng.beta(shapes, shapes, size=(20_000, 4)) - 1)
    drawn = np.array([(f := blocks.factor(p)) @ f.T for p in partial])
    for a, b in ((0, 1), (1, 2), (0, 3), (3, 4), (4, 5)):
        assert not drawn[:, a, b].any()
    three = pm.draw(pm.LKJCorr.dist(n=3, eta=2.0), draws=20_000, random_seed=2)
    three = three @ np.swapaxes(three, 1, 2)
    for (a, b), (c, d) in {(0, 2): (0, 1), (0, 5): (0, 2), (2, 5): (1, 2)}.items():
        assert np.std(drawn[:, a, b]) == pytest.approx(np.std(three[:, c, d]), rel=0.03)
    assert np.std(drawn[:, 1, 4]) == pytest.approx((1 / 5) ** 0.5, rel=0.03)  # Beta(2, 2)
    assert np.allclose(blocks.correlations(blocks.factor(partial[0])),
                       [drawn[0, a, b] for a, b in ((2, 0), (4, 1), (5, 0), (5, 2))])  # fmt: skip


def test_one_block_has_every_pair():
    blocks = CorrelationBlocks((0, 0, 0), 2.0)
    partial = np.array([0.3, -0.2, 0.1])
    assert blocks.full(partial) is partial
    assert np.array_equal(blocks.factor(partial), correlation_factor(partial, 3))
    assert np.array_equal(blocks.shapes, beta_shapes(3, 2.0))
