"""The no-U-turn sampler against what is known: invariance, PyMC's own, reversibility, volume."""

from functools import cache

import numba
import numpy as np
import pytest
from scipy import stats

from bayesimpute.sampling import nuts
from bayesimpute.sampling.compiled import density_of


@numba.njit(cache=True, error_model="numpy")
def skewed_density(position, data, gradient):
    """Log-gamma variables times correlated normals: skewed, with tails of both kinds."""
    shape, precision = data  # numba keeps types of the arguments on disk: none of a test's own
    k = shape.size
    value = 0.0
    for i in range(k):
        value += shape[i] * position[i] - np.exp(position[i])
        gradient[i] = shape[i] - np.exp(position[i])
    away = precision @ position[k:]
    gradient[k:] = -away
    return value - 0.5 * (away * position[k:]).sum()


COVARIANCE = np.array([[1.0, 0.7], [0.7, 2.0]])
SHAPE, PRECISION = DATA = (np.array([0.7, 3.0]), np.linalg.inv(COVARIANCE))


@cache
def skewed():
    """Compiled where it is asked for: other workers only collect this file."""
    return nuts.Problem(DATA, density_of(skewed_density, DATA))


def plain(position):
    gradient = np.empty(position.size)
    value = skewed_density(position, DATA, gradient)
    return value, gradient


def steps_of(problem, position, variance, step, count, rng, deepest=10):
    """Transitions with one step size from a position; all draws, and the record."""
    draws, record = np.tile(position, (count, 1)), np.empty(6)
    averaging, position = nuts.averaging_from(step), position.copy()
    nuts.sample(problem, position, variance, averaging, False, deepest, count, draws, record, rng)
    np.testing.assert_array_equal(position, draws[-1])
    return draws, record


@pytest.fixture(scope="module")
def draws():
    rng = np.random.default_rng(5)
    tuning, position = nuts.CompiledNuts(skewed()).adapt(skewed(), np.zeros(4), 1000, rng)
    found, record = steps_of(skewed(), position, tuning.variance, tuning.step_size, 40_000, rng)
    return found, record[nuts.ACCEPTED]


#: Of what is drawn anew wherever another processor rounds otherwise; many draws make up for it.
LEVEL = 1e-5


def test_draws_have_the_known_distribution(draws):
    x, accepted = draws
    thin = x[::5]
    for i, shape in enumerate(SHAPE):
        assert stats.kstest(np.exp(thin[:, i]), stats.gamma(shape).cdf).pvalue > LEVEL
    for i in range(2):
        cdf = stats.norm(scale=COVARIANCE[i, i] ** 0.5).cdf
        assert stats.kstest(thin[:, 2 + i], cdf).pvalue > LEVEL
    np.testing.assert_allclose(np.cov(x[:, 2:].T), COVARIANCE, atol=0.08)
    assert 0.7 < accepted < 0.95


def test_it_explores_as_pymcs_own_does(draws):
    import pymc as pm

    with pm.Model() as model:
        pm.Flat("x", shape=4)
        x = model["x"]
        value = (SHAPE * x[:2] - pm.math.exp(x[:2])).sum()
        pm.Potential("p", value - 0.5 * (x[2:] * (PRECISION @ x[2:])).sum())
        trace = pm.sample(
            draws=2000, tune=1000, chains=1, random_seed=3, progressbar=False,
            compute_convergence_checks=False, nuts_sampler="pymc",
        )  # fmt: skip
    theirs = trace.posterior["x"].to_numpy()[0]
    for i in range(4):
        assert stats.ks_2samp(theirs[::2, i], draws[0][::10, i]).pvalue > LEVEL


def test_a_leapfrog_step_can_be_taken_back_and_keeps_volume():
    rng = np.random.default_rng(2)
    variance, step = np.array([0.3, 1.0, 2.0, 0.7]), 0.37

    def flow(z, signed=step):
        leaf = np.array([z[:4], z[4:], plain(z[:4])[1]])
        nuts.leapfrog(skewed(), leaf, variance, signed)
        return leaf[:2].ravel()

    for _ in range(5):
        z = rng.normal(size=8)
        np.testing.assert_allclose(flow(flow(z), -step), z, atol=1e-12)
        jacobian = np.column_stack(
            [(flow(z + 1e-6 * e) - flow(z - 1e-6 * e)) / 2e-6 for e in np.eye(8)]
        )
        assert np.linalg.det(jacobian) == pytest.approx(1.0, abs=1e-6)


@numba.njit(cache=True, error_model="numpy")
def one_dimensional(position, data, gradient):
    """Minus cosh; beyond a wall, nothing is defined."""
    gradient[0] = -np.sinh(position[0])
    return np.nan if position[0] > data[0] else -np.cosh(position[0])


def problem(wall):
    data = np.array([wall])
    return nuts.Problem(data, density_of(one_dimensional, data))


@pytest.mark.parametrize("wall", [np.inf, 0.8])
def test_a_transition_is_reversible_in_the_long_run(wall):
    # flows between any two parts of the space must balance: detailed balance, seen from outside
    one, rng = np.ones(1), np.random.default_rng(3)
    path = steps_of(problem(wall), np.zeros(1), one, 0.9, 200_000, rng, deepest=6)[0][:, 0]
    table = np.histogram2d(path[:-1], path[1:], bins=[-9, -0.6, 0.0, 0.7, 9])[0]
    upper = np.triu_indices(4, 1)
    there, back = table[upper], table.T[upper]
    z = (there - back) / np.sqrt(np.maximum(there + back, 1))
    assert np.abs(z).max() < 4.5
    assert path.max() <= wall


def test_a_trajectory_that_runs_off_is_refused_and_said():
    rng = np.random.default_rng(1)
    draws, record = steps_of(skewed(), np.ones(4), np.ones(4), 100.0, 1, rng, deepest=6)
    assert record[nuts.DIVERGING] == 1 and (draws == 1.0).all()


@numba.njit(cache=True, error_model="numpy")
def round_density(position, data, gradient):
    for i in range(position.size):
        gradient[i] = -position[i]
    return -0.5 * (position * position).sum()


def test_a_step_of_which_a_power_of_two_makes_a_period_is_seen_to_turn():
    # each whole turn ends where it began, its momenta summing to nothing: the plain criterion
    # takes up to 2^10 steps there
    data, rng = np.empty(0), np.random.default_rng(6)
    target = nuts.Problem(data, density_of(round_density, data))
    for power in (3, 4, 5):
        step = 2 * np.sin(np.pi / 2**power)  # of the leapfrog map, whose period is not quite 2π
        start = rng.normal(size=60)
        _, record = steps_of(target, start, np.ones(60), step, 200, rng)
        assert record[nuts.STEPS] / 200 < 2**power


def test_transitions_from_where_nothing_is_defined_are_counted_as_refused():
    _, record = steps_of(problem(0.8), np.ones(1), np.ones(1), 0.5, 1, np.random.default_rng(2))
    assert record[nuts.DIVERGING] == 1 and record[nuts.LOG_DENSITY] == -np.inf
