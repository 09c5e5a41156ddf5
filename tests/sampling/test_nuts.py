"""The no-U-turn sampler against what is known: invariance, PyMC's own, reversibility, volume."""

from typing import NamedTuple

import numba
import numpy as np
import pytest
from scipy import stats

from bayesimpute.sampling import nuts
from bayesimpute.sampling.compiled import density_of


class Skewed(NamedTuple):
    """Log-gamma variables times correlated normals: skewed, with tails of both kinds."""

    shape: np.ndarray
    precision: np.ndarray


@numba.njit(error_model="numpy")
def skewed_density(position, data, gradient):
    k = data.shape.size
    value = 0.0
    for i in range(k):
        value += data.shape[i] * position[i] - np.exp(position[i])
        gradient[i] = data.shape[i] - np.exp(position[i])
    away = data.precision @ position[k:]
    gradient[k:] = -away
    return value - 0.5 * (away * position[k:]).sum()


COVARIANCE = np.array([[1.0, 0.7], [0.7, 2.0]])
DATA = Skewed(np.array([0.7, 3.0]), np.linalg.inv(COVARIANCE))
PROBLEM = nuts.Problem(DATA, density_of(skewed_density, DATA))


def plain(position):
    gradient = np.empty(position.size)
    value = skewed_density(position, DATA, gradient)
    return value, gradient


@numba.njit(nogil=True, error_model="numpy")
def compiled(problem, start, tune, draws, rng):
    step, variance, _, _, position = nuts.adapt(problem, start, tune, rng)
    out, accepted = np.empty((draws, start.size)), 0.0
    for i in range(draws):
        position, record = nuts.move(problem, position, variance, step, 1, rng)
        out[i] = position
        accepted += record[nuts.ACCEPTED] / draws
    return out, accepted


@pytest.fixture(scope="module")
def draws():
    return compiled(PROBLEM, np.zeros(4), 1000, 40_000, np.random.default_rng(5))


def test_draws_have_the_known_distribution(draws):
    x, accepted = draws
    thin = x[::10]
    for i, shape in enumerate(DATA.shape):
        assert stats.kstest(np.exp(thin[:, i]), stats.gamma(shape).cdf).pvalue > 0.001
    for i in range(2):
        cdf = stats.norm(scale=COVARIANCE[i, i] ** 0.5).cdf
        assert stats.kstest(thin[:, 2 + i], cdf).pvalue > 0.001
    np.testing.assert_allclose(np.cov(x[:, 2:].T), COVARIANCE, atol=0.08)
    assert 0.7 < accepted < 0.95


def test_it_explores_as_pymcs_own_does(draws):
    import pymc as pm

    with pm.Model() as model:
        pm.Flat("x", shape=4)
        x = model["x"]
        value = (DATA.shape * x[:2] - pm.math.exp(x[:2])).sum()
        pm.Potential("p", value - 0.5 * (x[2:] * (DATA.precision @ x[2:])).sum())
        trace = pm.sample(
            draws=2000, tune=1000, chains=1, random_seed=3, progressbar=False,
            compute_convergence_checks=False, nuts_sampler="pymc",
        )  # fmt: skip
    theirs = trace.posterior["x"].to_numpy()[0]
    for i in range(4):
        assert stats.ks_2samp(theirs[::4, i], draws[0][::20, i]).pvalue > 0.001


def test_a_leapfrog_step_can_be_taken_back_and_keeps_volume():
    rng = np.random.default_rng(2)
    variance, step = np.array([0.3, 1.0, 2.0, 0.7]), 0.37

    def flow(z, signed=step):
        gradient = plain(z[:4])[1]
        position, momentum = z[:4].copy(), z[4:].copy()
        moved, momentum, _, _ = nuts.leapfrog(
            PROBLEM, position, momentum, gradient, variance, signed
        )
        return np.concatenate((moved, momentum))

    for _ in range(5):
        z = rng.normal(size=8)
        np.testing.assert_allclose(flow(flow(z), -step), z, atol=1e-12)
        jacobian = np.column_stack(
            [(flow(z + 1e-6 * e) - flow(z - 1e-6 * e)) / 2e-6 for e in np.eye(8)]
        )
        assert np.linalg.det(jacobian) == pytest.approx(1.0, abs=1e-6)


@numba.njit(error_model="numpy")
def one_dimensional(position, data, gradient):
    """Minus cosh; beyond a wall, nothing is defined."""
    gradient[0] = -np.sinh(position[0])
    return np.nan if position[0] > data[0] else -np.cosh(position[0])


def problem(wall):
    data = np.array([wall])
    return nuts.Problem(data, density_of(one_dimensional, data))


@numba.njit
def walk(problem, steps, rng):
    position, path = np.zeros(1), np.zeros(steps)
    for i in range(steps):
        position, _ = nuts.transition(problem, position, np.ones(1), 0.9, 6, rng)
        path[i] = position[0]
    return path


@pytest.mark.parametrize("wall", [np.inf, 0.8])
def test_a_transition_is_reversible_in_the_long_run(wall):
    # flows between any two parts of the space must balance: detailed balance, seen from outside
    path = walk(problem(wall), 100_000, np.random.default_rng(3))
    table = np.histogram2d(path[:-1], path[1:], bins=[-9, -0.6, 0.0, 0.7, 9])[0]
    upper = np.triu_indices(4, 1)
    there, back = table[upper], table.T[upper]
    z = (there - back) / np.sqrt(np.maximum(there + back, 1))
    assert np.abs(z).max() < 3.5
    assert path.max() <= wall


def test_a_trajectory_that_runs_off_is_refused_and_said():
    start, one = np.ones(4), np.ones(4)
    at, record = nuts.transition(PROBLEM, start, one, 100.0, 6, np.random.default_rng(1))
    assert record[nuts.DIVERGING] == 1 and (at == 1.0).all()
