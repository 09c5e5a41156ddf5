r"""Density of all values of a cluster given the population, its own effects integrated out.

.. math::
    p(y_j \mid β, Ψ, …) = \int \prod_i p(y_{ij} \mid η_{ij}(b))\; N(b; 0, Ψ)\, db

This is what a cluster left out is predicted by (Merkle, Furr & Rabe-Hesketh 2019: the likelihood
of a unit given its own effects says nothing of new units). The normal model has it in closed form;
with residual SDs by cluster one further integral is a Gauss–Hermite rule placed at its mode. Of any
other likelihood it is estimated by importance sampling: draws from a multivariate t distribution
at the mode of the integrand with its curvature, by scrambled Sobol' points (Owen 1998), which
comes with a standard error.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import gammaln, logsumexp

from bayesimpute.method import Design

Array = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]

#: Points of the importance sampler, a power of two; degrees of freedom of its proposal.
POINTS, FREEDOM = 128, 8.0
#: Newton steps to the mode: they start from a draw of the effects, which is near.
NEWTON = 6
#: Step of the numerical derivative by a linear predictor; only the proposal depends on it.
STEP = 1e-4
#: Nodes of the Gauss–Hermite rule.
NODES = 31


def normal_density(
    residual: Array,
    z: Array,
    cluster: Codes,
    clusters: int,
    factor: Array,
    sigma: float,
    spread: float | None = None,
) -> Array:
    """Log density of each cluster's values in the two-level normal model, (cluster,).

    Parameters
    ----------
    residual
        Values minus their fixed part, (row,).
    z
        Columns of the effects, (row, effect).
    cluster, clusters
        Cluster of each row, and how many there are.
    factor
        Lower Cholesky factor of Ψ, (effect, effect).
    sigma
        Residual SD.
    spread
        SD of log σ_j over clusters; None for a residual SD that is common to all.
    """
    q = factor.shape[0]
    rows = np.bincount(cluster, minlength=clusters).astype(float)
    square = np.bincount(cluster, residual**2, clusters)
    white = z @ factor
    cross = _by_cluster(white * residual[:, None], cluster, clusters)
    products = (white[:, :, None] * white[:, None, :]).reshape(len(white), q * q)
    gram = _by_cluster(products, cluster, clusters).reshape(clusters, q, q)

    def given(log_sigma: Array) -> Array:
        """Log density at residual SDs (cluster, node), (cluster, node)."""
        variance = np.exp(2 * log_sigma)
        inner = variance[..., None, None] * np.eye(q) + gram[:, None]
        solved = np.linalg.solve(
            inner, np.broadcast_to(cross[:, None, :, None], (*inner.shape[:-1], 1))
        )
        explained = (solved[..., 0] * cross[:, None]).sum(axis=-1)
        log_determinant = np.linalg.slogdet(inner)[1] + (rows[:, None] - q) * 2 * log_sigma
        fit = (square[:, None] - explained) / variance
        return np.asarray(-0.5 * (rows[:, None] * np.log(2 * np.pi) + log_determinant + fit))

    if spread is None:
        return given(np.full((clusters, 1), np.log(sigma)))[:, 0]

    def log_integrand(offset: Array) -> Array:
        prior = -0.5 * offset**2 - 0.5 * np.log(2 * np.pi)
        return given(np.log(sigma) + spread * offset) + prior

    # the integrand has one mode in all but freak cases: a grid that closes in on it
    centre, width = np.zeros(clusters), 8.0
    for _ in range(6):
        grid = centre[:, None] + np.linspace(-width, width, 33)
        centre = grid[np.arange(clusters), log_integrand(grid).argmax(axis=1)]
        width /= 8
    step = 1e-3
    near = log_integrand(centre[:, None] + step * np.array([-1.0, 0.0, 1.0]))
    curvature = np.maximum((2 * near[:, 1] - near[:, 0] - near[:, 2]) / step**2, 0.5)
    nodes, weights = np.polynomial.hermite_e.hermegauss(NODES)
    scale = curvature**-0.5
    values = log_integrand(centre[:, None] + scale[:, None] * nodes) + 0.5 * nodes**2
    return np.asarray(logsumexp(values + np.log(weights), axis=1) + np.log(scale))


def integrated_density(
    posterior: Any,
    rows: Design,
    point: Any,
    log_density: Callable[[Array], Array],
    information: Callable[[Array], Array],
    rng: np.random.Generator,
) -> tuple[Array, Array]:
    """Log density of each cluster's values by importance sampling, and its standard error.

    Parameters
    ----------
    posterior
        :class:`~bayesimpute.sampling.linear.LinearPosterior` of the model.
    rows
        The rows that count.
    point
        A draw of its parameters; its effects are where the mode is looked for.
    log_density
        Of each row, (row,), from linear predictors (row, R).
    information
        Curvature of each row, (row, R, R); only the proposal depends on it.
    rng
        Of the points.

    Returns
    -------
    value, error : ndarray (cluster,)
        0 for clusters without rows.
    """
    from scipy.stats import chi2, norm, qmc

    clusters, cluster = rows.n_clusters, rows.cluster
    factor, varying = point.factor, posterior.sizes.varying
    equations, q = posterior.sizes.equations, posterior.sizes.random
    z = posterior.units.z(rows)
    fixed = posterior.units.x(rows) @ point.beta.T + posterior.offset(rows)
    if rows.offset is not None:
        fixed = fixed + rows.offset
    k = len(factor)
    columns = np.flatnonzero(varying)  # effect -> equation · q + column

    def predictors(u: Array) -> Array:
        effects = np.zeros((clusters, equations * q))
        effects[:, columns] = u @ factor.T
        each = effects.reshape(clusters, equations, q)[cluster]
        return np.asarray(fixed + np.einsum("ia,ira->ir", z, each))

    def log_integrand(u: Array) -> tuple[Array, Array]:
        eta = predictors(u)
        value = np.bincount(cluster, log_density(eta), clusters)
        return value - 0.5 * (u**2).sum(axis=1) - 0.5 * k * np.log(2 * np.pi), eta

    def curvature(eta: Array) -> Array:
        weight = information(eta)
        out = np.empty((clusters, k, k))
        for a, first in enumerate(columns):
            for b, second in enumerate(columns[: a + 1]):
                product = z[:, first % q] * z[:, second % q] * weight[:, first // q, second // q]
                out[:, a, b] = out[:, b, a] = np.bincount(cluster, product, clusters)
        return np.asarray(np.eye(k) + factor.T @ out @ factor)

    def gradient(eta: Array, u: Array) -> Array:
        out = np.empty((clusters, k))
        for r in range(equations):
            mine = [(a, c % q) for a, c in enumerate(columns) if c // q == r]
            if not mine:
                continue
            aside = np.zeros(equations)
            aside[r] = STEP
            slope = (log_density(eta + aside) - log_density(eta - aside)) / (2 * STEP)
            for a, column in mine:
                out[:, a] = np.bincount(cluster, slope * z[:, column], clusters)
        return np.asarray(out @ factor - u)

    u = np.linalg.solve(factor, point.effects.T).T
    value, eta = log_integrand(u)
    length = np.ones(clusters)
    for _ in range(NEWTON):
        direction = np.linalg.solve(curvature(eta), gradient(eta, u)[..., None])[..., 0]
        moved = u + length[:, None] * direction
        other, _ = log_integrand(moved)
        better = other >= value
        u = np.where(better[:, None], moved, u)
        length = np.where(better, np.minimum(1.0, 2 * length), length / 4)
        value, eta = log_integrand(u)
    root = np.linalg.cholesky(curvature(eta))
    uniform = qmc.Sobol(k + 1, rng=rng).random(POINTS)
    uniform = np.clip(uniform, 1e-12, 1 - 1e-12)
    normal = norm.ppf(uniform[:, :k]) * np.sqrt(FREEDOM / chi2.ppf(uniform[:, k:], FREEDOM))
    proposal = (
        gammaln((FREEDOM + k) / 2)
        - gammaln(FREEDOM / 2)
        - 0.5 * k * np.log(FREEDOM * np.pi)
        - (FREEDOM + k) / 2 * np.log1p((normal**2).sum(axis=1) / FREEDOM)
    )
    log_root = np.log(np.diagonal(root, axis1=1, axis2=2)).sum(axis=1)
    aside = np.linalg.solve(
        root.transpose(0, 2, 1), np.broadcast_to(normal.T, (clusters, k, POINTS))
    )
    weights = np.empty((POINTS, clusters))
    for each in range(POINTS):
        weights[each] = log_integrand(u + aside[:, :, each])[0] - proposal[each] - log_root
    total = logsumexp(weights, axis=0) - np.log(POINTS)
    relative = np.exp(weights - total)
    error = relative.std(axis=0) / np.sqrt(POINTS)
    empty = np.bincount(cluster, minlength=clusters) == 0
    return np.where(empty, 0.0, total), np.where(empty, 0.0, error)


def _by_cluster(columns: Array, cluster: Codes, clusters: int) -> Array:
    """Sum columns by cluster, (cluster, column)."""
    out = np.empty((clusters, columns.shape[1]))
    for k in range(columns.shape[1]):
        out[:, k] = np.bincount(cluster, columns[:, k], clusters)
    return out
