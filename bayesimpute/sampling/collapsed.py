r"""The two-level normal model with its coefficients integrated out.

With cluster j's rows stacked, the model on centred and scaled data is

.. math::
    y_j = X_j β + Z_j b_j + e_j,\quad b_j \sim N(0, Ψ),\quad e_j \sim N(0, σ_j² I),\quad
    β \sim N(m_0, P_0^{-1}).

Integrating β and the b_j leaves a density of Ψ and σ alone (Lindley & Smith 1972; the
computations below are those of any mixed-model program), that sees the data only through
the cross-products ``Z'Z``, ``Z'[X y]`` by cluster and ``[X y]'[X y]``: after one pass over the
rows its cost depends on the number of clusters, not of rows. Given Ψ and σ, β and b are drawn
exactly. A cluster without rows has zero cross-products and needs no special case: its effects
come from the population.

Symbols in the code: ``A = σ²I + L'Z'ZL = CC'`` with ``Ψ = LL'``; ``R = C⁻¹L'`` and ``K = R'R``, for
which ``V⁻¹ = (I − Z K Z')/σ²`` and ``|V| = σ^{2(n−q)} |A|``; ``σ²K`` is the covariance of b_j.

Divisions follow NumPy's rules (``error_model``): a trajectory that runs a variance into zero gets
a density that is not finite, which NUTS refuses, and not an exception.
"""

from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from bayesimpute.sampling.compiled import part_of
from bayesimpute.sampling.struct import Struct

Array = npt.NDArray[np.float64]


class CrossProducts(Struct):
    """What the collapsed density knows of the data.

    Attributes
    ----------
    zz
        ``Z'Z`` by cluster, (cluster, q, q).
    zw
        ``Z'[X y]`` by cluster, (cluster, q, p + 1).
    ww
        ``[X y]'[X y]`` by residual group, (group, p + 1, p + 1): one group with a common
        residual variance, one group a cluster with variances that differ.
    rows
        Number of rows by cluster, (cluster,).
    """

    zz: Array
    zw: Array
    ww: Array
    rows: Array


class Integrated(Struct):
    """What integrating β and b out leaves behind, at the last Ψ and σ²: enough to draw them.

    Attributes
    ----------
    factor
        Lower triangular L with ``Ψ = LL'``, (q, q).
    sigma2
        Residual variance by cluster, (cluster,).
    root
        R by cluster, (cluster, q, q).
    projected
        ``R Z'[X y]`` by cluster, (cluster, q, p + 1).
    chol
        Lower Cholesky factor of the precision of β, (p, p).
    beta
        Its mean, (p,).
    """

    factor: Array
    sigma2: Array
    root: Array
    projected: Array
    chol: Array
    beta: Array


class Standard(Struct):
    """Centres and scales that take rows to computing units, (column,) each."""

    centre_x: Array
    scale_x: Array
    centre_z: Array
    scale_z: Array
    centre_y: float
    scale_y: float


@numba.njit(cache=True, error_model="numpy", nogil=True)
def standard_of(*fields: Any) -> Standard:
    """Make it of the values of all fields."""
    return Standard(*fields)


@numba.njit(cache=True, error_model="numpy", nogil=True)
def cross_products(
    x: Array,
    z: Array,
    y: Array,
    cluster: npt.NDArray[np.int64],
    fit: npt.NDArray[np.bool_],
    clusters: int,
    standard: Standard,
    by_cluster: bool,
) -> tuple[CrossProducts, Integrated]:
    """One pass over the rows that are fitted to, an intercept put before the predictors.

    Also makes the room that integrating needs.
    """
    p = x.shape[1] + 1
    q = z.shape[1]
    groups = clusters if by_cluster else 1
    zz = np.zeros((clusters, q, q))
    zw = np.zeros((clusters, q, p + 1))
    ww = np.zeros((groups, p + 1, p + 1))
    rows = np.zeros(clusters)
    w = np.empty(p + 1)
    w[0] = 1.0
    v = np.empty(q)
    centre_x, scale_x = standard.centre_x, standard.scale_x
    centre_z, scale_z = standard.centre_z, standard.scale_z
    centre_y, scale_y = standard.centre_y, standard.scale_y
    for i in range(len(y)):
        if not fit[i]:
            continue
        j = cluster[i]
        g = j if by_cluster else 0
        rows[j] += 1.0
        for a in range(p - 1):
            w[a + 1] = (x[i, a] - centre_x[a]) / scale_x[a]
        w[p] = (y[i] - centre_y) / scale_y
        for a in range(q):
            v[a] = (z[i, a] - centre_z[a]) / scale_z[a]
            for b in range(a + 1):
                zz[j, a, b] += v[a] * v[b]
            for b in range(p + 1):
                zw[j, a, b] += v[a] * w[b]
        for a in range(p + 1):
            for b in range(a + 1):
                ww[g, a, b] += w[a] * w[b]
    for j in range(clusters):
        for a in range(q):
            for b in range(a):
                zz[j, b, a] = zz[j, a, b]
    for g in range(groups):
        for a in range(p + 1):
            for b in range(a):
                ww[g, b, a] = ww[g, a, b]
    made = Integrated(
        np.empty((q, q)), np.empty(clusters), np.empty((clusters, q, q)),
        np.empty((clusters, q, p + 1)), np.empty((p, p)), np.empty(p),
    )  # fmt: skip
    return CrossProducts(zz, zw, ww, rows), made


@part_of
def _cholesky(a: Array) -> None:
    """Lower Cholesky factor in place (upper triangle zeroed); small matrices only."""
    n = a.shape[0]
    for j in range(n):
        for k in range(j):
            a[j, j] -= a[j, k] * a[j, k]
        a[j, j] = np.sqrt(a[j, j]) if a[j, j] > 0.0 else 1e-150
        for i in range(j + 1, n):
            for k in range(j):
                a[i, j] -= a[i, k] * a[j, k]
            a[i, j] /= a[j, j]
            a[j, i] = 0.0


@part_of
def _solve_lower(c: Array, b: Array) -> None:
    """Solve ``c x = b`` in place for lower triangular c and the columns of b."""
    n, m = b.shape
    for i in range(n):
        for k in range(i):
            for col in range(m):
                b[i, col] -= c[i, k] * b[k, col]
        for col in range(m):
            b[i, col] /= c[i, i]


@numba.njit(cache=True, error_model="numpy", nogil=True)
def log_marginal(
    data: CrossProducts, prior_precision: Array, prior_mean: Array, made: Integrated
) -> tuple[float, Array, Array]:
    """Log density of y given Ψ and σ², and its gradient.

    Parameters
    ----------
    data
        Cross-products.
    prior_precision, prior_mean
        Of β, independent normal, (p,).
    made
        Its `factor` and `sigma2` are read, the rest is written.

    Returns
    -------
    log_density
        ``log p(y | Ψ, σ²)``, β and b integrated out.
    gradient_psi
        Derivative by the symmetric matrix Ψ, all q² entries taken as free, (q, q).
    gradient_sigma2
        Derivative by each cluster's residual variance, (cluster,).
    """
    zz, zw, ww, rows = data.zz, data.zw, data.ww, data.rows
    clusters, q, p1 = zw.shape
    p = p1 - 1
    factor, sigma2, root, projected = made.factor, made.sigma2, made.root, made.projected
    chol, beta = made.chol, made.beta
    inner = np.empty((q, q))
    total = np.zeros((p1, p1))
    for g in range(ww.shape[0]):
        for a in range(p1):
            for b in range(a + 1):
                total[a, b] += ww[g, a, b] / sigma2[g]
    log_det = 0.0
    for j in range(clusters):
        log_det += rows[j] * np.log(2.0 * np.pi) + (rows[j] - q) * np.log(sigma2[j])
        for a in range(q):
            for b in range(q):
                root[j, a, b] = 0.0
                for c in range(b, q):
                    root[j, a, b] += zz[j, a, c] * factor[c, b]
        for a in range(q):
            for b in range(a + 1):
                inner[a, b] = sigma2[j] if a == b else 0.0
                for c in range(a, q):
                    inner[a, b] += factor[c, a] * root[j, c, b]
        _cholesky(inner)
        for a in range(q):
            log_det += 2.0 * np.log(inner[a, a])
            for b in range(q):
                root[j, a, b] = factor[b, a]
        _solve_lower(inner, root[j])
        for a in range(q):
            for b in range(p1):
                projected[j, a, b] = 0.0
                for c in range(q):
                    projected[j, a, b] += root[j, a, c] * zw[j, c, b]
        for c in range(q):
            for a in range(p1):
                left = projected[j, c, a] / sigma2[j]
                for b in range(a + 1):
                    total[a, b] -= left * projected[j, c, b]
    quadratic = total[p, p]
    for a in range(p):
        for b in range(a + 1):
            chol[a, b] = total[a, b]
        chol[a, a] += prior_precision[a]
        total[p, a] += prior_precision[a] * prior_mean[a]
        quadratic += prior_precision[a] * prior_mean[a] ** 2
        log_det -= np.log(prior_precision[a])
    _cholesky(chol)
    for a in range(p):
        value = total[p, a]
        for b in range(a):
            value -= chol[a, b] * beta[b]
        beta[a] = value / chol[a, a]
        quadratic -= beta[a] * beta[a]
        log_det += 2.0 * np.log(chol[a, a])
    for a in range(p - 1, -1, -1):
        value = beta[a]
        for b in range(a + 1, p):
            value -= chol[b, a] * beta[b]
        beta[a] = value / chol[a, a]

    # moments of (β, −1): what is left of [X y] by them has Ω as its weights
    inverse = np.zeros((p, p))
    for a in range(p):
        inverse[a, a] = 1.0
    _solve_lower(chol, inverse)
    omega = np.empty((p1, p1))
    omega[p, p] = 1.0
    for a in range(p):
        omega[a, p] = -beta[a]
        omega[p, a] = -beta[a]
        for b in range(p):
            omega[a, b] = beta[a] * beta[b]
            for c in range(p):
                omega[a, b] += inverse[c, a] * inverse[c, b]
    by_psi = np.zeros((q, q))
    by_sigma2 = np.zeros(clusters)
    for g in range(ww.shape[0]):
        for a in range(p1):
            for b in range(p1):
                by_sigma2[g] += 0.5 * omega[a, b] * ww[g, a, b] / sigma2[g] ** 2
    expected = np.empty((q, p1))  # K Z'[X y]
    left = np.empty((q, p1))  # σ² Z'V⁻¹[X y]
    scaled = np.empty((q, q))  # R Z'Z
    for j in range(clusters):
        s2 = sigma2[j]
        by_sigma2[j] -= 0.5 * rows[j] / s2
        if rows[j] == 0.0:
            continue
        for a in range(q):
            for b in range(p1):
                expected[a, b] = 0.0
                for c in range(q):
                    expected[a, b] += root[j, c, a] * projected[j, c, b]
            for b in range(q):
                scaled[a, b] = 0.0
                for c in range(q):
                    scaled[a, b] += root[j, a, c] * zz[j, c, b]
                by_sigma2[j] += 0.5 * root[j, a, b] * scaled[a, b] / s2
        for a in range(q):
            for b in range(p1):
                left[a, b] = zw[j, a, b]
                for c in range(q):
                    left[a, b] -= zz[j, a, c] * expected[c, b]
        for a in range(q):
            for b in range(p1):
                weighted, change = 0.0, 0.0
                for c in range(p1):
                    weighted += omega[b, c] * left[a, c]
                    change += omega[b, c] * expected[a, c]
                by_sigma2[j] -= 0.5 * change * (left[a, b] + zw[j, a, b]) / s2**2
                for c in range(q):
                    by_psi[a, c] += 0.5 * weighted * left[c, b] / s2**2
            for b in range(q):
                within = zz[j, a, b]
                for c in range(q):
                    within -= scaled[c, a] * scaled[c, b]
                by_psi[a, b] -= 0.5 * within / s2
    return -0.5 * (log_det + quadratic), by_psi, by_sigma2


@numba.njit(cache=True, error_model="numpy", nogil=True)
def draw_coefficients(
    made: Integrated, noise_beta: Array, noise_effects: Array
) -> tuple[Array, Array]:
    """Exact draw of β (p,) and b (cluster, q) given Ψ and σ², from standard normal noise.

    β comes from its conditional with b integrated out, then each b_j from
    ``N(K Z'(y − Xβ), σ²K)``.
    """
    root, projected, chol = made.root, made.projected, made.chol
    clusters, q, p1 = projected.shape
    p = p1 - 1
    beta = np.empty(p)
    for a in range(p - 1, -1, -1):
        beta[a] = noise_beta[a]
        for b in range(a + 1, p):
            beta[a] -= chol[b, a] * (beta[b] - made.beta[b])
        beta[a] = made.beta[a] + beta[a] / chol[a, a]
    effects = np.zeros((clusters, q))
    for j in range(clusters):
        for c in range(q):
            residual = projected[j, c, p] + np.sqrt(made.sigma2[j]) * noise_effects[j, c]
            for b in range(p):
                residual -= projected[j, c, b] * beta[b]
            for a in range(q):
                effects[j, a] += root[j, c, a] * residual
    return beta, effects
