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

Symbols in the code: ``A = σ²I + L'Z'ZL`` with ``Ψ = LL'``; ``K = L A⁻¹ L'``, for which
``V⁻¹ = (I − Z K Z')/σ²`` and ``|V| = σ^{2(n−q)} |A|``.

Divisions follow NumPy's rules (``error_model``): a trajectory that runs a variance into zero gets
a density that is not finite, which NUTS refuses, and not an exception.
"""

import numba
import numpy as np
import numpy.typing as npt

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


class Standard(Struct):
    """Centres and scales that take rows to computing units, (column,) each."""

    centre_x: Array
    scale_x: Array
    centre_z: Array
    scale_z: Array
    centre_y: float
    scale_y: float


@numba.njit(cache=True, error_model="numpy")
def cross_products(
    x: Array,
    z: Array,
    y: Array,
    cluster: npt.NDArray[np.int64],
    fit: npt.NDArray[np.bool_],
    clusters: int,
    standard: Standard,
    by_cluster: bool,
) -> CrossProducts:
    """One pass over the rows that are fitted to, an intercept put before the predictors."""
    p = x.shape[1] + 1
    q = z.shape[1]
    groups = clusters if by_cluster else 1
    zz = np.zeros((clusters, q, q))
    zw = np.zeros((clusters, q, p + 1))
    ww = np.zeros((groups, p + 1, p + 1))
    rows = np.zeros(clusters)
    w = np.ones(p + 1)
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
    return CrossProducts(zz, zw, ww, rows)


@numba.njit(cache=True, error_model="numpy")
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


@numba.njit(cache=True, error_model="numpy")
def _solve_lower(c: Array, b: Array) -> None:
    """Solve ``c x = b`` in place for lower triangular c and the columns of b."""
    n, m = b.shape
    for i in range(n):
        for k in range(i):
            for col in range(m):
                b[i, col] -= c[i, k] * b[k, col]
        for col in range(m):
            b[i, col] /= c[i, i]


@numba.njit(cache=True, error_model="numpy")
def _solve_upper(c: Array, b: Array) -> None:
    """Solve ``c' x = b`` in place for lower triangular c and the columns of b."""
    n, m = b.shape
    for i in range(n - 1, -1, -1):
        for k in range(i + 1, n):
            for col in range(m):
                b[i, col] -= c[k, i] * b[k, col]
        for col in range(m):
            b[i, col] /= c[i, i]


@numba.njit(cache=True, error_model="numpy")
def _inner(factor: Array, sigma2: float, zz: Array, half: Array, inner: Array) -> None:
    """Cholesky factor of ``A = σ²I + L'Z'ZL`` into `inner`; `half` is work space."""
    q = factor.shape[0]
    for a in range(q):
        for b in range(q):
            half[a, b] = 0.0
            for c in range(b, q):
                half[a, b] += zz[a, c] * factor[c, b]
    for a in range(q):
        for b in range(a + 1):
            inner[a, b] = 0.0
            for c in range(a, q):
                inner[a, b] += factor[c, a] * half[c, b]
        inner[a, a] += sigma2
    _cholesky(inner)


@numba.njit(cache=True, error_model="numpy")
def _precision(
    factor: Array, sigma2: Array, data: CrossProducts, prior_precision: Array, prior_mean: Array
) -> tuple[Array, Array, float, float]:
    """``K`` by cluster, ``[X y]'V⁻¹[X y]`` plus the prior, ``log |V|`` and the prior's constant."""
    zz, zw, ww, rows = data.zz, data.zw, data.ww, data.rows
    clusters, q = zz.shape[0], zz.shape[1]
    p1 = ww.shape[1]
    p = p1 - 1
    k_all = np.empty((clusters, q, q))
    total = np.zeros((p1, p1))
    half = np.empty((q, q))
    inner = np.empty((q, q))
    root = np.empty((q, q))
    projected = np.empty((q, p1))
    log_det = 0.0
    for g in range(ww.shape[0]):
        for a in range(p1):
            for b in range(a + 1):
                total[a, b] += ww[g, a, b] / sigma2[g]
    for j in range(clusters):
        log_det += (rows[j] - q) * np.log(sigma2[j])
        _inner(factor, sigma2[j], zz[j], half, inner)
        for a in range(q):
            log_det += 2.0 * np.log(inner[a, a])
            for b in range(q):
                root[a, b] = factor[b, a]
        _solve_lower(inner, root)  # root = chol(A)^{-1} L', so K = root' root
        for a in range(q):
            for b in range(q):
                value = 0.0
                for c in range(q):
                    value += root[c, a] * root[c, b]
                k_all[j, a, b] = value
        if rows[j] == 0.0:
            continue
        for a in range(q):
            for b in range(p1):
                value = 0.0
                for c in range(q):
                    value += root[a, c] * zw[j, c, b]
                projected[a, b] = value
        for c in range(q):
            for a in range(p1):
                left = projected[c, a] / sigma2[j]
                for b in range(a + 1):
                    total[a, b] -= left * projected[c, b]
    constant = 0.0
    for a in range(p):
        total[a, a] += prior_precision[a]
        total[p, a] += prior_precision[a] * prior_mean[a]
        total[p, p] += prior_precision[a] * prior_mean[a] ** 2
        constant += np.log(prior_precision[a])
    return k_all, total, log_det, constant


@numba.njit(cache=True, error_model="numpy")
def _coefficients(total: Array) -> tuple[Array, Array, float, float]:
    """Cholesky factor and mean of β's conditional, its log determinant, and the quadratic form."""
    p = total.shape[0] - 1
    chol = total[:p, :p].copy()
    _cholesky(chol)
    mean = total[p : p + 1, :p].copy().reshape(p, 1)
    _solve_lower(chol, mean)
    quadratic = total[p, p]
    log_det = 0.0
    for a in range(p):
        quadratic -= mean[a, 0] ** 2
        log_det += 2.0 * np.log(chol[a, a])
    _solve_upper(chol, mean)
    return chol, mean[:, 0].copy(), log_det, quadratic


@numba.njit(cache=True, error_model="numpy")
def log_marginal(
    factor: Array,
    sigma2: Array,
    data: CrossProducts,
    prior_precision: Array,
    prior_mean: Array,
) -> tuple[float, Array, Array]:
    """Log density of y given Ψ and σ², and its gradient.

    Parameters
    ----------
    factor
        Lower triangular L with ``Ψ = LL'``, (q, q).
    sigma2
        Residual variance by cluster, (cluster,).
    data
        Cross-products.
    prior_precision, prior_mean
        Of β, independent normal, (p,).

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
    clusters, q = zz.shape[0], zz.shape[1]
    p = ww.shape[1] - 1
    k_all, total, log_det, constant = _precision(factor, sigma2, data, prior_precision, prior_mean)
    chol, mean, log_det_beta, quadratic = _coefficients(total)
    n = 0.0
    for j in range(clusters):
        n += rows[j]
    value = -0.5 * (n * np.log(2.0 * np.pi) + log_det + log_det_beta - constant + quadratic)

    inverse = np.zeros((p, p))
    for a in range(p):
        inverse[a, a] = 1.0
    _solve_lower(chol, inverse)
    _solve_upper(chol, inverse)

    gradient_psi = np.zeros((q, q))
    gradient_sigma2 = np.zeros(clusters)
    # residual cross-products r'r and tr(Q⁻¹X'X) by residual group, with r = y − X E[β]
    for g in range(ww.shape[0]):
        part = ww[g, p, p]
        for a in range(p):
            part -= 2.0 * ww[g, p, a] * mean[a]
            for b in range(p):
                part += ww[g, a, b] * (mean[a] * mean[b] + inverse[a, b])
        gradient_sigma2[g] += 0.5 * part / sigma2[g] ** 2

    outer = np.empty((q, q))
    residual = np.empty(q)
    weighted = np.empty((q, p))
    sk = np.empty((q, q))
    left = np.empty((q, q))
    for j in range(clusters):
        s2 = sigma2[j]
        gradient_sigma2[j] -= 0.5 * rows[j] / s2
        if rows[j] == 0.0:
            continue
        k = k_all[j]
        # outer = Z'(r r' + X Q⁻¹ X')Z
        for a in range(q):
            residual[a] = zw[j, a, p]
            for b in range(p):
                residual[a] -= zw[j, a, b] * mean[b]
                value_ab = 0.0
                for c in range(p):
                    value_ab += zw[j, a, c] * inverse[c, b]
                weighted[a, b] = value_ab
        for a in range(q):
            for b in range(a + 1):
                value_ab = residual[a] * residual[b]
                for c in range(p):
                    value_ab += weighted[a, c] * zw[j, b, c]
                outer[a, b] = value_ab
                outer[b, a] = value_ab
        # left = I − SK; Z'V⁻¹Z = left S/σ², Z'V⁻¹(·)V⁻¹Z = left (·) left'/σ⁴
        trace = 0.0
        for a in range(q):
            for b in range(q):
                value_ab = 0.0
                for c in range(q):
                    value_ab += zz[j, a, c] * k[c, b]
                sk[a, b] = value_ab
                left[a, b] = -value_ab
            left[a, a] += 1.0
            trace += sk[a, a]
        change = 0.0
        for a in range(q):
            for b in range(q):
                ksk = 0.0
                for c in range(q):
                    ksk += k[a, c] * sk[c, b]
                change += (ksk - 2.0 * k[a, b]) * outer[a, b]
        gradient_sigma2[j] += 0.5 * (trace / s2 + change / s2**2)
        for a in range(q):
            for b in range(q):
                value_ab = 0.0
                for c in range(q):
                    moved = 0.0
                    for d in range(q):
                        moved += outer[c, d] * left[b, d]
                    value_ab += left[a, c] * (moved / s2**2 - zz[j, c, b] / s2)
                gradient_psi[a, b] += 0.5 * value_ab
    return value, gradient_psi, gradient_sigma2


@numba.njit(cache=True, error_model="numpy")
def draw_coefficients(
    factor: Array,
    sigma2: Array,
    data: CrossProducts,
    prior_precision: Array,
    prior_mean: Array,
    noise_beta: Array,
    noise_effects: Array,
) -> tuple[Array, Array]:
    """Exact draw of β (p,) and b (cluster, q) given Ψ and σ², from standard normal noise.

    β comes from its conditional with b integrated out, then each b_j from
    ``N(K Z'(y − Xβ), σ²K)``.
    """
    zz, zw, rows = data.zz, data.zw, data.rows
    clusters, q = zz.shape[0], zz.shape[1]
    p = prior_mean.size
    k_all, total, _, _ = _precision(factor, sigma2, data, prior_precision, prior_mean)
    chol, mean, _, _ = _coefficients(total)
    shift = noise_beta.copy().reshape(p, 1)
    _solve_upper(chol, shift)
    beta = mean + shift[:, 0]
    effects = np.zeros((clusters, q))
    spread = np.zeros((q, 1))
    half = np.empty((q, q))
    inner = np.empty((q, q))
    for j in range(clusters):
        _inner(factor, sigma2[j], zz[j], half, inner)
        for a in range(q):
            spread[a, 0] = noise_effects[j, a]
        _solve_upper(inner, spread)  # L chol(A)^{-T} has K as its outer product
        for a in range(q):
            for b in range(a + 1):
                effects[j, a] += np.sqrt(sigma2[j]) * factor[a, b] * spread[b, 0]
            if rows[j] > 0.0:
                for b in range(q):
                    projection = zw[j, b, p]
                    for c in range(p):
                        projection -= zw[j, b, c] * beta[c]
                    effects[j, a] += k_all[j, a, b] * projection
    return beta, effects
