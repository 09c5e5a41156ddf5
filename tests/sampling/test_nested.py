"""Effects and SDs of two groupings given the sums of their effects, against dense matrices."""

import numba
import numpy as np
import pytest
from scipy.stats import multivariate_normal

from bayesimpute.sampling import nested
from bayesimpute.sampling.correlation import CorrelationBlocks
from bayesimpute.sampling.scales import scale_priors

CLASSES, SCHOOLS = 9, 4


@numba.njit
def density(of_class, of_school, mine, theirs, sums):
    """Call what only machine code calls."""
    return nested._density(of_class, of_school, mine, theirs, sums)


def spread(effects, blocks=None):
    """Of effects with half-normal priors, then one more scale that is no effect's."""
    names = {f"sd_{k}": 0.5 + k for k in range(effects)} | {"sigma": 1.0}
    priors = scale_priors(names, {})
    correlations = CorrelationBlocks(blocks or (0,) * effects, 2.0)
    unit = np.full(effects + 1, 1.5)
    return nested.spread_of(priors, unit, correlations, effects), priors, correlations, unit


def covariance(state, priors, correlations, unit, effects):
    sd = (priors(state[: effects + 1].copy())[2] / unit)[:effects]
    factor = sd[:, None] * correlations.factor(state[effects + 1 :])
    return factor @ factor.T


def log_prior(state, priors, correlations, effects):
    value = priors(state[: effects + 1].copy())[0]
    partial = np.tanh(state[effects + 1 :])
    return value + (correlations.shapes[correlations.free] * np.log1p(-(partial**2))).sum()


@pytest.fixture(
    params=[(1, 1, (0,), (0,)), (2, 2, (0, 1), (0, 1)), (1, 2, (0,), (0,)), (2, 1, (1,), (0,))]
)
def case(request):
    """Effects of a class and of a school, and which of them add up."""
    own, above, in_class, in_school = request.param
    rng = np.random.default_rng(7)
    within = np.append(np.arange(SCHOOLS - 1), rng.integers(0, SCHOOLS - 1, CLASSES - SCHOOLS + 1))
    seen = np.ones(CLASSES, dtype=bool)
    seen[4] = False
    effects = rng.normal(size=(CLASSES, own)), rng.normal(size=(SCHOOLS, above))
    places = np.array(in_class), np.array(in_school)
    return own, above, within.astype(np.int64), seen, effects, places


def dense(case, states, made):
    """Log density of sums and other effects, the schools' effects in the sums integrated out."""
    own, above, within, seen, effects, (a, b) = case
    psi_class, psi_school = (
        covariance(state, *each[1:], size)
        for state, each, size in zip(states, made, (own, above), strict=True)
    )
    rows = np.flatnonzero(seen)
    sums = effects[0][rows].copy()
    sums[:, a] += effects[1][within[rows]][:, b]
    fixed = np.setdiff1d(np.arange(above), b)
    # of (effects of classes with the sums in them, effects of schools that are not in any)
    add = np.zeros((len(rows) * own, SCHOOLS * above))
    for i, c in enumerate(rows):
        for j, k in zip(a, b, strict=True):
            add[i * own + j, within[c] * above + k] = 1.0
    school = np.kron(np.eye(SCHOOLS), psi_school)
    keep = np.array([s * above + f for s in range(SCHOOLS) for f in fixed], dtype=int)
    whole = np.vstack([add, np.eye(SCHOOLS * above)[keep]])
    cover = whole @ school @ whole.T
    size = len(rows) * own
    cover[:size, :size] += np.kron(np.eye(len(rows)), psi_class)
    value = np.concatenate([sums.ravel(), effects[1][:, fixed].ravel()])
    return sums, cover, value, add, school


def test_density_of_the_scales_is_that_of_a_dense_normal_distribution(case):
    own, above, within, seen, effects, (a, b) = case
    made = spread(own), spread(above)
    rng = np.random.default_rng(1)
    sums = nested._sums_of(*effects, within, seen, a, b)
    values = []
    for _ in range(3):
        states = [rng.normal(size=size + 1 + size * (size - 1) // 2) for size in (own, above)]
        _, cover, value, *_ = dense(case, states, made)
        prior = sum(
            log_prior(state, each[1], each[2], size)
            for state, each, size in zip(states, made, (own, above), strict=True)
        )
        expected = multivariate_normal(np.zeros(len(value)), cover).logpdf(value) + prior
        got = density(made[0][0], made[1][0], *states, sums)
        values.append(got - expected)
    assert np.ptp(values) < 1e-8 * np.abs(values).max() + 1e-8


def test_draws_given_the_sums_have_the_conditional_distribution(case):
    own, above, within, seen, effects, (a, b) = case
    made = spread(own), spread(above)
    rng = np.random.default_rng(2)
    states = [np.zeros(size + 1 + size * (size - 1) // 2) for size in (own, above)]
    _, cover, value, add, school = dense(case, states, made)
    # what is drawn, given what is known
    wanted = np.array([s * above + k for s in range(SCHOOLS) for k in b])
    fixed = np.setdiff1d(np.arange(above), b)
    keep = np.array([s * above + f for s in range(SCHOOLS) for f in fixed], dtype=int)
    whole = np.vstack([add, np.eye(SCHOOLS * above)[keep]])
    with_known = school[wanted] @ whole.T
    gain = np.linalg.solve(cover, with_known.T).T
    mean, spread_of = gain @ value, school[np.ix_(wanted, wanted)] - gain @ with_known.T
    sums = nested._sums_of(*effects, within, seen, a, b)
    drawn = []
    for _ in range(4000):
        drawn.append(nested._drawn(made[0][0], made[1][0], *states, sums, rng).ravel())
    error = np.sqrt(np.diag(spread_of) / len(drawn))
    assert (np.abs(np.mean(drawn, axis=0) - mean) < 4.5 * error).all()
    assert np.allclose(np.cov(np.array(drawn).T), spread_of, atol=0.1 * spread_of.max())


def test_linear_predictors_stay(case):
    own, above, within, seen, effects, (a, b) = case
    between = nested.Between(spread(own)[0], spread(above)[0], within, a, b)
    states = tuple(np.zeros(size + 1 + size * (size - 1) // 2) for size in (own, above))
    moved, (after, higher) = between.move(states, effects, seen, np.random.default_rng(3))
    before = effects[0][:, a] + effects[1][within][:, b]
    assert np.allclose((after[:, a] + higher[within][:, b])[seen], before[seen])
    assert (after[~seen] == effects[0][~seen]).all()
    assert not np.allclose(higher[:, b], effects[1][:, b])
    assert all((one[: len(one)] != other).any() for one, other in zip(moved, states, strict=True))
    assert moved[0][own] == 0.0  # a scale that is no effect's
