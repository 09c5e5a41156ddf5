"""Trees against what can be worked out: their prior, and all posteriors of a tree of two rules."""

import numpy as np
import pytest
from scipy import stats

from bayesimpute.sampling.forest import (
    ABSENT,
    LEAF,
    NODES,
    Grid,
    draw_forest,
    fitted,
    placed,
    shift_levels,
    stumps,
    sweep,
)
from bayesimpute.sampling.latent import draw_utilities, log_chances


def moved(forest, x, grid, residual, variance, spread, rng, sweeps):
    """Forests after each of some sweeps."""
    codes = grid.codes(x)
    places = placed(forest, codes)
    out = []
    for _ in range(sweeps):
        sweep(forest, places, codes, residual, grid.counts, variance, spread, rng)
        np.testing.assert_array_equal(places, placed(forest, codes))
        out.append(forest.copy())
    return np.array(out)


def summary(forests):
    """Of each tree: leaves, depth of the deepest, splits by each of two predictors, numbers²."""
    what, at = forests[..., 0, :], forests[..., 1, :]
    depth = np.floor(np.log2(np.arange(NODES) + 1))
    leaf = what == LEAF
    return np.stack(
        [
            leaf.sum(axis=-1),
            np.where(leaf, depth, 0).max(axis=-1),
            (what == 0).sum(axis=-1),
            (what == 1).sum(axis=-1),
            ((what == 1) & (at == 2)).sum(axis=-1),
            np.where(leaf, at**2, 0.0).sum(axis=-1),
        ],
        axis=-1,
    ).reshape(-1, 6)


def test_without_data_the_sweep_draws_trees_from_their_prior():
    # a predictor with two values, one with six: rules run out
    rng = np.random.default_rng(1)
    x = np.column_stack([np.arange(60) % 2, np.arange(60) % 6]).astype(float)
    grid = Grid.of(x)
    assert list(grid.counts) == [1, 5]
    drawn = summary(np.array([draw_forest(grid, 30, rng) for _ in range(300)]))
    nothing = np.zeros((0, 2))
    forests = moved(stumps(30), nothing, grid, np.zeros(0), 1.0, 1 / 30, rng, 1500)[100:]
    by_sweep = summary(forests).reshape(len(forests), 30, 6)
    # trees are independent of each other, sweeps are not
    error = np.hypot(
        by_sweep.mean(axis=0).std(axis=0, ddof=1) / np.sqrt(30),
        drawn.std(axis=0) / np.sqrt(len(drawn)),
    )
    z = (by_sweep.mean(axis=(0, 1)) - drawn.mean(axis=0)) / error
    assert np.abs(z).max() < 4.0, z


def evidence(y, group, variance, spread):
    """Log density of rows whose groups have numbers of their own, by its covariance matrix."""
    same = group[:, None] == group
    covariance = variance * np.eye(len(y)) + spread * same
    return stats.multivariate_normal(np.zeros(len(y)), covariance).logpdf(y)


def test_a_tree_of_two_rules_has_the_posterior_that_enumeration_gives():
    rng = np.random.default_rng(2)
    x = np.repeat([0.0, 1.0, 2.0], [5, 3, 4])[:, None]
    y = np.where(x[:, 0] > 1, 0.9, 0.0) + rng.normal(size=12)
    variance, spread, grid = 0.8, 0.6, Grid.of(x)
    top, below = 0.95, 0.95 / 4
    three = np.array([0.0, 1.0, 2.0])[x[:, 0].astype(int)]
    prior = {  # rules at the root and below it; both thresholds are as likely
        "none": (1 - top, 0 * three),
        "first": (top / 2 * (1 - below), (three > 0).astype(float)),
        "second": (top / 2 * (1 - below), (three > 1).astype(float)),
        "first, then second": (top / 2 * below, three),
        "second, then first": (top / 2 * below, three),
    }
    weight = np.array([p * np.exp(evidence(y, g, variance, spread)) for p, g in prior.values()])
    forests = moved(stumps(1), x, grid, y.copy(), variance, spread, rng, 40_000)[:, 0]
    root, left, right = forests[:, 0, 0], forests[:, 0, 1], forests[:, 0, 2]
    at = forests[:, 1, 0]
    seen = np.array(
        [
            root == LEAF,
            (root == 0) & (at == 0) & (right == LEAF),
            (root == 0) & (at == 1) & (left == LEAF),
            (root == 0) & (at == 0) & (right == 0),
            (root == 0) & (at == 1) & (left == 0),
        ]
    )
    assert (seen.sum(axis=0) == 1).all()
    blocks = seen.reshape(5, 40, -1).mean(axis=2)
    z = (blocks.mean(axis=1) - weight / weight.sum()) / (blocks.std(axis=1) / np.sqrt(40))
    assert np.abs(z).max() < 4.0, z
    # numbers of the leaves, given the tree: those of a normal mean
    first = forests[seen[1]]
    n, total = 5, y[:5].sum()
    precision = n / variance + 1 / spread
    draws = first[:, 1, 1]
    assert draws.mean() == pytest.approx(total / variance / precision, abs=0.04)
    assert draws.std() == pytest.approx(precision**-0.5, rel=0.05)


def test_what_the_trees_leave_is_kept_up():
    rng = np.random.default_rng(3)
    x = rng.normal(size=(200, 3))
    y = x[:, 0] * (x[:, 1] > 0) + rng.normal(size=200)
    grid, residual = Grid.of(x), y.copy()
    forest = moved(stumps(20), x, grid, residual, 1.0, 1 / 20, rng, 50)[-1]
    fit = fitted(forest, placed(forest, grid.codes(x)))
    np.testing.assert_allclose(y - residual, fit, atol=1e-10)
    assert np.corrcoef(fit, x[:, 0] * (x[:, 1] > 0))[0, 1] > 0.6


def test_levels_move_against_the_intercept_by_their_priors():
    rng = np.random.default_rng(4)
    forest, levels = stumps(3), np.array([0.7])
    forest[:, 1, 0] = [0.2, -0.4, 0.1]
    total = forest[:, 1, 0].sum() + levels[0]
    draws = []
    for _ in range(20_000):
        shift_levels(forest, levels, -1.0, 0.3, 2.0, 0.5, rng)
        draws.append([*forest[:, 1, 0], levels[0]])
    draws = np.array(draws)
    np.testing.assert_allclose(draws.sum(axis=1), total, atol=1e-9)
    # normals given their sum
    variance, mean = np.array([0.5, 0.5, 0.5, 2.0]), np.array([0, 0, 0, 0.3])
    share = variance / variance.sum()
    np.testing.assert_allclose(draws.mean(axis=0), mean + share * (total - 0.3), atol=0.04)
    np.testing.assert_allclose(draws.var(axis=0), variance * (1 - share), rtol=0.06)


def test_thresholds_stay_as_the_predictors_move():
    grid = Grid.of(np.random.default_rng(5).normal(size=(1000, 1)))
    assert grid.counts[0] == 100
    assert grid.codes(np.array([[-1e9], [1e9]])).tolist() == [[0, 100]]
    assert list(Grid.of(np.zeros((5, 1))).counts) == [0]


def test_a_forest_that_is_none_is_read_without_going_astray():
    # what a file holds may be anything
    codes = np.zeros((2, 4), dtype=np.int16)
    for value in (7.0, np.nan, np.inf, ABSENT, 1e300):
        forest = np.full((1, 2, NODES), value)
        assert (placed(forest, codes) < NODES).all()
        counts, rng = np.array([1, 1]), np.random.default_rng(1)
        sweep(forest, placed(forest, codes), codes, np.zeros(4), counts, 1.0, 1.0, rng)


def test_chances_of_categories_are_those_of_the_largest_utility():
    rng = np.random.default_rng(6)
    eta = np.array([[0.0, 0.0, 0.0, 0.0], [1.2, -0.4, 0.3, 2.0], [-3.0, 3.0, 0.0, 1.0]])
    chances = np.exp(log_chances(eta))
    np.testing.assert_allclose(chances.sum(axis=1), 1.0)
    np.testing.assert_allclose(chances[0], 0.25, atol=1e-6)
    n = 400_000
    for row, expected in zip(eta, chances, strict=True):
        found = np.bincount((row + rng.normal(size=(n, 4))).argmax(axis=1), minlength=4) / n
        np.testing.assert_allclose(found, expected, atol=0.004)


def test_utilities_given_the_category_are_those_that_rejection_gives():
    rng = np.random.default_rng(7)
    eta = np.array([0.5, -0.5, 1.0])
    free = eta + rng.normal(size=(400_000, 3))
    for category in range(3):
        kept = free[free.argmax(axis=1) == category]
        n = 60_000
        drawn = draw_utilities(np.tile(eta, (n, 1)), np.full(n, category), rng)
        assert (drawn.argmax(axis=1) == category).all()
        np.testing.assert_allclose(drawn.mean(axis=0), kept.mean(axis=0), atol=0.02)
        np.testing.assert_allclose(np.cov(drawn.T), np.cov(kept.T), atol=0.02)
