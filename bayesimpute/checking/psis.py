r"""Pareto-smoothed importance sampling, many observations at once.

Leaving an observation out weighs draw s of the posterior by :math:`r_s = 1 / p(y_i \mid θ_s)`. The
largest of S weights, ``min(S / 5, 3 √S)`` of them, are replaced by the expected order statistics of
a generalised Pareto distribution fitted to them (Vehtari, Simpson, Gelman, Yao & Gabry 2024; the
fit is that of Zhang & Stephens 2009 with a weak prior for the shape). Its shape k says whether the
weights can be trusted: up to 0.7, yes.

These are the numbers of ``arviz_stats.base.array_stats.psislw``, which takes one observation at a
time and refuses all where the largest weights of one are equal; here a loop over thousands of rows
is a few array operations.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import logsumexp

from bayesimpute.arrays import Array

#: Draws that a Pareto tail needs: five in a fifth of them.
FEWEST = 25
#: Shape above which an importance-sampling estimate is unreliable.
LARGE_K = 0.7
#: Rows worked on together; bounds the memory.
CHUNK = 2000


@dataclass(frozen=True, eq=False)
class LeftOut:
    """Weights that take each observation out of a sample of its posterior.

    Attributes
    ----------
    log_weights
        Normalised, (draw, row).
    pareto_k
        Shape of the tail, (row,).
    """

    log_weights: Array
    pareto_k: Array

    def log_score(self, log_likelihood: Array) -> Array:
        """Log predictive density of each observation left out, (row,).

        Parameters
        ----------
        log_likelihood
            Of each draw, (draw, row).
        """
        return np.asarray(logsumexp(self.log_weights + log_likelihood, axis=0))


def leave_one_out(log_likelihood: Array) -> LeftOut:
    """Weights for leaving out each observation in turn.

    Parameters
    ----------
    log_likelihood
        Log density of what the posterior has learnt from each row, (draw, row).

    Returns
    -------
    LeftOut
    """
    draws, rows = log_likelihood.shape
    weights = np.empty((draws, rows))
    k = np.empty(rows)
    for first in range(0, rows, CHUNK):
        part = slice(first, first + CHUNK)
        weights[:, part], k[part] = _smoothed(-log_likelihood[:, part])
    return LeftOut(weights, k)


def _smoothed(log_weights: Array) -> tuple[Array, Array]:
    """Smoothed and normalised log weights (draw, row), and shapes (row,)."""
    draws, rows = log_weights.shape
    out = log_weights - log_weights.max(axis=0)
    size = int(min(draws / 5, 3 * np.sqrt(draws)))
    order = np.argsort(out, axis=0, kind="stable")
    ranked = np.take_along_axis(out, order, axis=0)
    tail, cutoff = ranked[-size:], ranked[-size - 1]
    beyond = np.exp(tail) - np.exp(cutoff)
    # equal weights, or a first quarter that is no higher than the cutoff, have no tail to fit
    quarter = beyond[int(size / 4 + 0.5) - 1]
    usable = (quarter > beyond[0]) & (tail[-1] - tail[0] > 1e-12)
    k = np.full(rows, np.nan)
    if usable.any():
        k[usable], sigma = _pareto_fit(beyond[:, usable])
        at = (np.arange(size) + 0.5) / size
        shape = k[usable]
        with np.errstate(all="ignore"):
            straight = -np.log1p(-at[:, None]) * sigma
            bent = sigma / shape * np.expm1(-shape * np.log1p(-at[:, None]))
            quantile = np.where(np.abs(shape) < 1e-10, straight, bent) + np.exp(cutoff[usable])
            smooth = np.minimum(np.log(quantile), 0.0)  # no weight above the largest raw one
        fine = np.isfinite(smooth).all(axis=0)
        replaced = ranked[-size:, usable]
        replaced[:, fine] = smooth[:, fine]
        ranked[-size:, usable] = replaced
        np.put_along_axis(out, order, ranked, axis=0)
    level = ~usable & (tail[-1] - ranked[0] < 1e-12)
    k[level] = -np.inf  # all draws weigh the same
    return out - logsumexp(out, axis=0), k


def _pareto_fit(tail: Array) -> tuple[Array, Array]:
    """Shape and scale of a generalised Pareto distribution, by column of sorted values."""
    n = len(tail)
    m = 30 + int(np.sqrt(n))
    quarter = tail[int(n / 4 + 0.5) - 1]
    grid = 1 - np.sqrt(m / (np.arange(1, m + 1) - 0.5))
    theta = grid[:, None] / (3 * quarter) + 1 / tail[-1]  # (grid, row)
    with np.errstate(all="ignore"):
        shape = np.log1p(-theta[:, None, :] * tail[None]).mean(axis=1)
        profile = n * (np.log(-theta / shape) - shape - 1)
        weight = np.exp(profile - logsumexp(profile, axis=0))
        weight = np.where(weight >= 10 * np.finfo(float).eps, weight, 0.0)
        weight /= weight.sum(axis=0)
        best = np.where(weight > 0, theta * weight, 0.0).sum(axis=0)
        k = np.log1p(-best * tail).mean(axis=0)
        sigma = -k / best
    # the prior of ten observations at 0.5 of the paper's appendix
    k = (n * k + 5.0) / (n + 10.0)
    return np.where(np.isnan(k), np.inf, k), sigma
