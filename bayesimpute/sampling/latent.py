"""What a target is of latent normal values: a number, two categories, ordered or unordered ones.

Given the latent values every kind of target is a normal model with one predictor η a row, or one
for each unordered category, and they are drawn given the target exactly (Albert & Chib 1993). So a
sampler of a normal model serves all four. Unordered categories are utilities: the K of a row are
independent N(η_k, 1), whatever the order of the categories and without a reference among them, and
the largest is the category (a probit model). Given the category they are drawn jointly and exactly:
first the largest, whose density is φ(u − η_k) ∏ Φ(u − η_l) over the others, then these below it.
"""

from functools import lru_cache
from typing import Protocol

import numba
import numpy as np
import numpy.typing as npt
from scipy.special import log_ndtr, logsumexp, ndtri

from bayesimpute.sampling.compiled import part_of
from bayesimpute.sampling.normal_rows import log_normal_density
from bayesimpute.sampling.slice import slice_step
from bayesimpute.sampling.tails import draw_between, log_interval, log_share

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
        at = row[k]
        for other in row:
            at = max(at, other)
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


class Latent(Protocol):
    """How values hang on latent ones; η is (row, equation)."""

    equations: int
    """Latent values of a row."""
    measure: str
    """What a log density is: ``"density"`` or ``"probability"``."""
    cutpoints: int
    """Number of cutpoints, which take the place of an intercept; 0 for none."""
    with_sigma: bool
    """Whether the latent SD is unknown; else it is 1."""

    def start(self, y: Array) -> Array:
        """Give cutpoints to start from, (cutpoint,)."""
        ...

    def draw(self, y: Array, eta: Array, cutpoints: Array, rng: np.random.Generator) -> Array:
        """Draw latent values given the target, (row, equation); moves the cutpoints first."""
        ...

    def values(self, eta: Array, cutpoints: Array, sigma: float, rng: np.random.Generator) -> Array:
        """Draw the target, (row,)."""
        ...

    def log_density(self, y: Array, eta: Array, cutpoints: Array, sigma: float) -> Array:
        """Log density or probability of values, (row,)."""
        ...


class Numbers:
    """Numbers: the latent value is the value, with an SD σ."""

    equations, measure, cutpoints, with_sigma = 1, "density", 0, True

    def start(self, y: Array) -> Array:
        """Give no cutpoints."""
        return np.empty(0)

    def draw(self, y: Array, eta: Array, cutpoints: Array, rng: np.random.Generator) -> Array:
        """Give the values."""
        return y[:, None]

    def values(self, eta: Array, cutpoints: Array, sigma: float, rng: np.random.Generator) -> Array:
        """Draw from the normal distribution."""
        return np.asarray(eta[:, 0] + sigma * rng.normal(size=len(eta)))

    def log_density(self, y: Array, eta: Array, cutpoints: Array, sigma: float) -> Array:
        """Log density of the normal distribution."""
        return np.asarray(log_normal_density(y, eta[:, 0], np.full(len(y), sigma)))


class TwoCategories:
    """Two values: the second one where the latent value is positive (probit).

    Parameters
    ----------
    low, high
        The values, codes of categories or numbers.
    """

    equations, measure, cutpoints, with_sigma = 1, "probability", 0, False

    def __init__(self, low: float = 0.0, high: float = 1.0) -> None:
        self.low, self.high = low, high

    def start(self, y: Array) -> Array:
        """Give no cutpoints."""
        return np.empty(0)

    def draw(self, y: Array, eta: Array, cutpoints: Array, rng: np.random.Generator) -> Array:
        """Draw from a normal distribution on one side of 0."""
        second = y == self.high
        low = np.where(second, -eta[:, 0], -np.inf)
        high = np.where(second, np.inf, -eta[:, 0])
        return np.asarray(eta + draw_between(low, high, rng)[:, None])

    def values(self, eta: Array, cutpoints: Array, sigma: float, rng: np.random.Generator) -> Array:
        """Draw values."""
        return np.where(eta[:, 0] + rng.normal(size=len(eta)) > 0, self.high, self.low)

    def log_density(self, y: Array, eta: Array, cutpoints: Array, sigma: float) -> Array:
        """Log probability of each row's value."""
        second = y == self.high
        chance = log_ndtr(np.where(second, eta[:, 0], -eta[:, 0]))
        return np.where(second | (y == self.low), chance, -np.inf)


class Ordered:
    """Ordered categories: the one between whose cutpoints the latent value lies.

    Cutpoints are independent N(0, 1) in ascending order, so that the chances of the categories
    where η is 0 are Dirichlet(1, …, 1).

    Parameters
    ----------
    categories
        Number of categories.
    """

    equations, measure, with_sigma = 1, "probability", False

    def __init__(self, categories: int) -> None:
        self.cutpoints = categories - 1

    def start(self, y: Array) -> Array:
        """Give the cutpoints of the shares seen, none of them empty."""
        count = np.bincount(y.astype(np.int64), minlength=self.cutpoints + 1) + 1.0
        return np.asarray(ndtri(np.cumsum(count)[:-1] / count.sum()))

    def draw(self, y: Array, eta: Array, cutpoints: Array, rng: np.random.Generator) -> Array:
        """Move the cutpoints with the latent values integrated out, then draw these."""
        code, at = y.astype(np.int64), eta[:, 0]
        groups = [at[code == k] for k in range(self.cutpoints + 1)]
        for k in range(self.cutpoints):
            ends = np.concatenate([[-np.inf], cutpoints, [np.inf]])
            below, above = groups[k], groups[k + 1]
            low, high = ends[k], ends[k + 2]

            def log_density(
                c: float, below: Array = below, above: Array = above, low: float = low,
                high: float = high,
            ) -> float:  # fmt: skip
                if not low < c < high:
                    return -np.inf
                value = log_interval(low - below, c - below).sum()
                value += log_interval(c - above, high - above).sum()
                return float(value - 0.5 * c * c)

            width = 4.0 / np.sqrt(1.0 + len(below) + len(above))
            cutpoints[k] = slice_step(log_density, float(cutpoints[k]), width, rng)
        ends = np.concatenate([[-np.inf], cutpoints, [np.inf]])
        return np.asarray(eta + draw_between(ends[code] - at, ends[code + 1] - at, rng)[:, None])

    def values(self, eta: Array, cutpoints: Array, sigma: float, rng: np.random.Generator) -> Array:
        """Draw categories, as codes."""
        latent = eta[:, 0] + rng.normal(size=len(eta))
        return np.searchsorted(cutpoints, latent).astype(np.float64)

    def log_density(self, y: Array, eta: Array, cutpoints: Array, sigma: float) -> Array:
        """Log probability of each row's category."""
        code, ends = y.astype(np.int64), np.concatenate([[-np.inf], cutpoints, [np.inf]])
        return log_interval(ends[code] - eta[:, 0], ends[code + 1] - eta[:, 0])


class Unordered:
    """Unordered categories: the one with the largest of independent latent utilities.

    Parameters
    ----------
    categories
        Number of categories.
    """

    measure, cutpoints, with_sigma = "probability", 0, False

    def __init__(self, categories: int) -> None:
        self.equations = categories

    def start(self, y: Array) -> Array:
        """Give no cutpoints."""
        return np.empty(0)

    def draw(self, y: Array, eta: Array, cutpoints: Array, rng: np.random.Generator) -> Array:
        """Draw all utilities of each row."""
        return draw_utilities(np.ascontiguousarray(eta), y.astype(np.int64), rng)

    def values(self, eta: Array, cutpoints: Array, sigma: float, rng: np.random.Generator) -> Array:
        """Draw codes."""
        return (eta + rng.normal(size=eta.shape)).argmax(axis=1).astype(np.float64)

    def log_density(self, y: Array, eta: Array, cutpoints: Array, sigma: float) -> Array:
        """Log probability of each row's category."""
        return np.asarray(log_chances(eta)[np.arange(len(y)), y.astype(np.int64)])
