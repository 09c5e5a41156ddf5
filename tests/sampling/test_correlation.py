"""Partial correlations against the LKJ distribution."""

import numpy as np
import pytest
from scipy import stats

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


@pytest.mark.parametrize(("size", "eta"), [(2, 2.0), (3, 2.0), (4, 1.0), (4, 3.5)])
def test_beta_partials_have_the_density_of_an_lkj_matrix(size, eta):
    """It is the determinant to the power η − 1: the densities differ by a constant."""
    shapes, pairs = beta_shapes(size, eta), np.tril_indices(size, -1)

    def correlations(partial):
        factor = correlation_factor(np.arctanh(partial), size)
        return (factor @ factor.T)[pairs]

    def log_density(partial):
        change = [
            (correlations(partial + step) - correlations(partial - step)) / 2e-6
            for step in 1e-6 * np.eye(len(partial))
        ]
        volume = np.log(abs(np.linalg.det(change)))
        return stats.beta(shapes, shapes).logpdf((1 + partial) / 2).sum() - volume

    def log_determinant(partial):
        return 2 * np.log(np.diag(correlation_factor(np.arctanh(partial), size))).sum()

    points = np.random.default_rng(1).uniform(-0.9, 0.9, (6, len(shapes)))
    constants = [log_density(p) - (eta - 1) * log_determinant(p) for p in points]
    assert constants == pytest.approx([constants[0]] * 6, abs=1e-6)


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
    for a, b in ((0, 2), (0, 5), (2, 5)):  # of three: Beta(5/2, 5/2)
        assert np.std(drawn[:, a, b]) == pytest.approx((1 / 6) ** 0.5, rel=0.03)
    assert np.std(drawn[:, 1, 4]) == pytest.approx((1 / 5) ** 0.5, rel=0.03)  # Beta(2, 2)
    assert np.allclose(blocks.correlations(blocks.factor(partial[0])),
                       [drawn[0, a, b] for a, b in ((2, 0), (4, 1), (5, 0), (5, 2))])  # fmt: skip


def test_one_block_has_every_pair():
    blocks = CorrelationBlocks((0, 0, 0), 2.0)
    partial = np.array([0.3, -0.2, 0.1])
    assert blocks.full(partial) is partial
    assert np.array_equal(blocks.factor(partial), correlation_factor(partial, 3))
    assert np.array_equal(blocks.shapes, beta_shapes(3, 2.0))
