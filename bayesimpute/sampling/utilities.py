r"""Latent utilities of unordered categories: the largest one is the category (a probit model).

The K utilities of a row are independent :math:`N(η_k, 1)`, whatever the order of the categories
and without a reference among them. Given the category they are drawn jointly and exactly: first
the largest, whose density is :math:`φ(u - η_k) \prod_{l \ne k} Φ(u - η_l)`, then the others below.
"""

from functools import lru_cache

import numba
import numpy as np
import numpy.typing as npt
from scipy.special import log_ndtr, logsumexp

from bayesimpute.sampling.compiled import part_of
from bayesimpute.sampling.tails import draw_between, log_share

Array = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]

#: Points of the quadrature of a probability: right to 1e-6 for predictors within ±6.
POINTS = 40
#: Newton steps to the mode of the largest utility; more of them only save refusals.
STEPS = 6


@lru_cache(maxsize=1)
def nodes() -> tuple[Array, Array]:
    """Points of a standard normal variable and their weights, (point,) each."""
    at, weight = np.polynomial.hermite_e.hermegauss(POINTS)
    return at, weight / weight.sum()


def log_chances(eta: Array) -> Array:
    """Log probability of each category by its predictors, both (row, category)."""
    at, weight = nodes()
    out = np.empty(eta.shape)
    for k in range(eta.shape[1]):
        others = np.delete(eta, k, axis=1)
        ahead = eta[:, [k], None] + at - others[:, :, None]
        out[:, k] = logsumexp(log_ndtr(ahead).sum(axis=1), b=weight, axis=1)
    return np.asarray(out - logsumexp(out, axis=1, keepdims=True))


@part_of
def _log_largest(u: float, own: float, eta: Array, category: int) -> tuple[float, float, float]:
    """Log density of the largest utility, up to a constant, its slope and its curvature."""
    value, slope, curvature = -0.5 * (u - own) ** 2, own - u, -1.0
    for other in range(eta.size):
        if other != category:
            share, ratio = log_share(u - eta[other])
            value += share
            slope += ratio
            curvature -= ratio * (u - eta[other] + ratio)
    return value, slope, curvature


@numba.njit(cache=True, error_model="numpy", nogil=True)
def _largest(eta: Array, category: Codes, rng: np.random.Generator) -> Array:
    """Draw the largest utility of each row, (row,).

    The curvature is nowhere above −1, so a normal density with variance 1 that touches at any
    point lies above all of it, and refusals make its draws exact.
    """
    out = np.empty(category.size)
    for i in range(category.size):
        row, k = eta[i], category[i]
        at = max(row.max(), row[k])
        for _ in range(STEPS):
            _, slope, curvature = _log_largest(at, row[k], row, k)
            at -= slope / curvature
        top, slope, _ = _log_largest(at, row[k], row, k)
        while True:
            u = at + slope + rng.standard_normal()
            bound = top + slope * (u - at) - 0.5 * (u - at) ** 2
            if np.log(rng.random()) < _log_largest(u, row[k], row, k)[0] - bound:
                out[i] = u
                break
    return out


def draw_utilities(eta: Array, category: Codes, rng: np.random.Generator) -> Array:
    """Draw all utilities given predictors and categories.

    Parameters
    ----------
    eta
        (row, category).
    category
        Codes, (row,).
    rng
        Of this chain.

    Returns
    -------
    numpy.ndarray
        (row, category); that of the row's category is the largest.
    """
    largest = _largest(eta, category, rng)
    below = (largest[:, None] - eta).ravel()
    out = eta + draw_between(np.full(below.size, -np.inf), below, rng).reshape(eta.shape)
    out[np.arange(len(out)), category] = largest
    return np.asarray(out)
