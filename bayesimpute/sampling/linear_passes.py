"""Compiled passes over the rows of linear predictors, and over the effects of clusters."""

import numba
import numpy as np
import numpy.typing as npt

from bayesimpute.sampling.correlation import correlation_factor, pull_back

Array = npt.NDArray[np.float64]


@numba.njit(cache=True, error_model="numpy")
def effects_density(factor: Array, scatter: Array, count: int) -> tuple[float, Array]:
    """Log density of normal effects with this scatter matrix, gradient by Ψ's Cholesky factor."""
    size = len(factor)
    inverse = np.zeros((size, size))
    value = 0.0
    for a in range(size):
        inverse[a, a] = 1.0 / factor[a, a]
        value -= count * np.log(factor[a, a])
        for b in range(a):
            total = 0.0
            for c in range(b, a):
                total += factor[a, c] * inverse[c, b]
            inverse[a, b] = -total * inverse[a, a]
    standard = inverse @ scatter @ inverse.T
    gradient = inverse.T @ standard
    for a in range(size):
        value -= 0.5 * standard[a, a]
        gradient[a, a] -= count * inverse[a, a]
    return value, gradient


@numba.njit(cache=True, error_model="numpy")
def effects_by_shape(
    sd: Array, partial: Array, scatter: Array, count: int, shapes: Array
) -> tuple[float, Array, Array]:
    """Log density of effects and LKJ prior, with gradients by sd and partial correlations."""
    size = len(sd)
    correlation = correlation_factor(partial, size)
    factor = np.zeros((size, size))
    for a in range(size):
        for b in range(a + 1):
            factor[a, b] = sd[a] * correlation[a, b]
        if not factor[a, a] > 1e-150:
            return -np.inf, np.zeros(size), np.zeros(len(partial))
    value, by_factor = effects_density(factor, scatter, count)
    by_sd, by_partial = by_sd_and_partial(by_factor, sd, correlation, partial)
    for k in range(len(partial)):
        z = np.tanh(partial[k])
        value += shapes[k] * np.log1p(-z * z)
        by_partial[k] -= 2.0 * shapes[k] * z
    return value, by_sd, by_partial


@numba.njit(cache=True, error_model="numpy")
def by_sd_and_partial(
    by_factor: Array, sd: Array, correlation: Array, partial: Array
) -> tuple[Array, Array]:
    """Take the gradient by diag(sd)·correlation apart; what is above the diagonal is no part."""
    size = len(sd)
    by_sd = np.zeros(size)
    by_correlation = np.zeros((size, size))
    for a in range(size):
        for b in range(a + 1):
            by_sd[a] += by_factor[a, b] * correlation[a, b]
            by_correlation[a, b] = by_factor[a, b] * sd[a]
    return by_sd, pull_back(partial, correlation, by_correlation)


# Rows run along the last axis here, so that a processor takes several in one step; sums over rows
# may then be taken in any order, which needs saying. Each of these is compiled alone, with nothing
# of another file in it, so a cache changes no bit. Slices keep numba from asking, at every row,
# whether an index is negative.
_SUMS = {"reassoc", "nsz", "contract"}


@numba.njit(cache=True, error_model="numpy")
def add_fixed(out: Array, x: Array, beta: Array) -> None:
    """Add the fixed part to linear predictors (R, row); `x` is (1 + predictor, row)."""
    for r in range(len(out)):
        for c in range(len(x)):
            b = beta[r, c]
            if b != 0.0:
                to, column = out[r], x[c]
                for i in range(len(to)):
                    to[i] += b * column[i]


@numba.njit(cache=True, error_model="numpy")
def add_random(out: Array, z: Array, effects: Array, start: npt.NDArray[np.int64]) -> None:
    """Add the effects (cluster, R, effect) to linear predictors (R, row); `z` is (effect, row).

    Rows of cluster j are ``start[j]`` to ``start[j + 1]``.
    """
    for r in range(len(out)):
        for a in range(len(z)):
            for j in range(len(effects)):
                e = effects[j, r, a]
                if e != 0.0:
                    to, column = out[r, start[j] : start[j + 1]], z[a, start[j] : start[j + 1]]
                    for i in range(len(to)):
                        to[i] += e * column[i]


@numba.njit(cache=True, error_model="numpy", fastmath=_SUMS)
def by_fixed(by_eta: Array, x: Array) -> Array:
    """Gradient by β, (R, 1 + predictor), from that by the linear predictors (R, row)."""
    out = np.zeros((len(by_eta), len(x)))
    for r in range(len(by_eta)):
        for c in range(len(x)):
            slope, column = by_eta[r], x[c]
            total = 0.0
            for i in range(len(slope)):
                total += slope[i] * column[i]
            out[r, c] = total
    return out


@numba.njit(cache=True, error_model="numpy", fastmath=_SUMS)
def by_random(by_eta: Array, z: Array, start: npt.NDArray[np.int64]) -> Array:
    """Gradient by the effects of each cluster, (cluster, R × effect)."""
    equations, random = len(by_eta), len(z)
    out = np.zeros((len(start) - 1, equations * random))
    for r in range(equations):
        for a in range(random):
            for j in range(len(start) - 1):
                slope, column = by_eta[r, start[j] : start[j + 1]], z[a, start[j] : start[j + 1]]
                total = 0.0
                for i in range(len(slope)):
                    total += slope[i] * column[i]
                out[j, r * random + a] = total
    return out
