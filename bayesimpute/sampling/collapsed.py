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

from functools import partial
from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from bayesimpute.sampling.compiled import Struct, part_of
from bayesimpute.sampling.exponentials import sum_of_logs

Array = npt.NDArray[np.float64]


_LOG_2_PI = np.log(2.0 * np.pi)
#: Rows whose columns are looked at together.
_BLOCK = 128
#: Clusters of a piece: what is computed of them stays near the processor.
_PIECE = 1024


class CrossProducts(Struct):
    """What the collapsed density knows of the data; clusters in pieces, so many a piece.

    Attributes
    ----------
    zz
        ``Z'Z`` by cluster, (piece, q, q, cluster).
    zw
        ``Z'[X y]`` by cluster, (piece, q, p + 1, cluster).
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
        R by cluster, (piece, q, q, cluster).
    projected
        ``R Z'[X y]`` by cluster, (piece, q, p + 1, cluster).
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


@partial(part_of, fastmath={"reassoc", "contract"})
def _dot(one: Array, other: Array, first: int, last: int) -> float:
    """Sum of products of some elements of two vectors, several at a time."""
    total = 0.0
    for k in range(first, last):
        total += one[k] * other[k]
    return total


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
) -> CrossProducts:
    """One pass over the rows that are fitted to, an intercept put before the predictors."""
    p = x.shape[1] + 1
    q = z.shape[1]
    groups = clusters if by_cluster else 1
    size = min(clusters, _PIECE)
    pieces = -(-clusters // max(size, 1))
    zz = np.zeros((pieces, q, q, size))
    zw = np.zeros((pieces, q, p + 1, size))
    ww = np.zeros((groups, p + 1, p + 1))
    rows = np.zeros(clusters)
    # columns of some rows at a time, of which neighbours mostly are in one cluster
    w, v = np.empty((p + 1, _BLOCK)), np.empty((q, _BLOCK))
    w[0] = 1.0
    at, of = np.empty(_BLOCK, dtype=np.uint64), np.empty(_BLOCK, dtype=np.int64)
    i = 0
    while i < len(y):
        m = 0
        while m < _BLOCK and i < len(y):
            if fit[i]:
                at[m] = i
                m += 1
            i += 1
        for k in range(m):
            of[k] = cluster[at[k]]
        for a in range(p - 1):
            centre, unit = standard.centre_x[a], 1.0 / standard.scale_x[a]
            for k in range(m):
                w[a + 1, k] = (x[at[k], a] - centre) * unit
        centre, unit = standard.centre_y, 1.0 / standard.scale_y
        for k in range(m):
            w[p, k] = (y[at[k]] - centre) * unit
        for a in range(q):
            centre, unit = standard.centre_z[a], 1.0 / standard.scale_z[a]
            for k in range(m):
                v[a, k] = (z[at[k], a] - centre) * unit
        first = 0
        while first < m:
            j, last = of[first], first + 1
            while last < m and of[last] == j:
                last += 1
            rows[j] += last - first
            piece, at_j = j // size, j % size
            for a in range(q):
                for b in range(a + 1):
                    zz[piece, a, b, at_j] += _dot(v[a], v[b], first, last)
                for b in range(p + 1):
                    zw[piece, a, b, at_j] += _dot(v[a], w[b], first, last)
            if by_cluster:
                for a in range(p + 1):
                    for b in range(a + 1):
                        ww[j, a, b] += _dot(w[a], w[b], first, last)
            first = last
        if not by_cluster:
            for a in range(p + 1):
                for b in range(a + 1):
                    ww[0, a, b] += _dot(w[a], w[b], 0, m)
    for piece in range(pieces):
        for a in range(q):
            for b in range(a):
                for j in range(size):
                    zz[piece, b, a, j] = zz[piece, a, b, j]
    for g in range(groups):
        for a in range(p + 1):
            for b in range(a):
                ww[g, b, a] = ww[g, a, b]
    return CrossProducts(zz, zw, ww, rows)


@numba.njit(cache=True, error_model="numpy", nogil=True)
def without(
    products: CrossProducts,
    x: Array,
    z: Array,
    y: Array,
    cluster: npt.NDArray[np.int64],
    fit: npt.NDArray[np.bool_],
    added: Array,
    standard: Standard,
    by_cluster: bool,
) -> CrossProducts:
    """Cross-products after something is taken from the values: ``added``, (row, 1)."""
    zw, ww = products.zw.copy(), products.ww.copy()
    _, q, p1, size = zw.shape
    p = p1 - 1
    centre_x, centre_z, centre_y = standard.centre_x, standard.centre_z, standard.centre_y
    by_x, by_z, by_y = 1.0 / standard.scale_x, 1.0 / standard.scale_z, 1.0 / standard.scale_y
    for i in range(len(y)):
        if not fit[i]:
            continue
        j = cluster[i]
        g = j if by_cluster else 0
        less = added[i, 0]
        for a in range(q):
            zw[j // size, a, p, j % size] -= (z[i, a] - centre_z[a]) * by_z[a] * less
        ww[g, p, 0] -= less
        for a in range(p - 1):
            ww[g, p, a + 1] -= (x[i, a] - centre_x[a]) * by_x[a] * less
        ww[g, p, p] -= (2.0 * (y[i] - centre_y) * by_y - less) * less
    for g in range(len(ww)):
        for a in range(p):
            ww[g, a, p] = ww[g, p, a]
    return CrossProducts(products.zz, zw, ww, products.rows)


@numba.njit(cache=True, error_model="numpy", nogil=True)
def room_for(data: CrossProducts) -> Integrated:
    """Make the room that integrating needs, which is written to: each chain needs its own."""
    pieces, q, p1, size = data.zw.shape
    p = p1 - 1
    return Integrated(
        np.empty((q, q)), np.empty(data.rows.size), np.empty((pieces, q, q, size)),
        np.empty((pieces, q, p1, size)), np.empty((p, p)), np.empty(p),
    )  # fmt: skip


@part_of
def cholesky(a: Array) -> None:
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


@part_of
def _integrate_effects(
    zz: Array,
    zw: Array,
    rows: Array,
    sigma2: Array,
    factor: Array,
    root: Array,
    projected: Array,
    total: Array,
) -> float:
    """Integrate the effects of a piece's clusters out, and give their log determinants.

    What the rows tell of β and y without them stays in `total`.
    """
    q, p1, _ = zw.shape
    clusters = sigma2.size
    inner = np.zeros((q, q, clusters))  # C
    scaled = np.empty((q, p1, clusters))  # R Z'[X y] / σ²
    inverse = np.empty(clusters)
    log_det, log_sigma2, last = 0.0, 0.0, 1.0
    root[:] = 0.0
    for a in range(q):
        for b in range(q):
            for c in range(b, q):
                for j in range(clusters):
                    root[a, b, j] += zz[a, c, j] * factor[c, b]
    for a in range(q):
        for j in range(clusters):
            inner[a, a, j] = sigma2[j]
        for b in range(a + 1):
            for c in range(a, q):
                for j in range(clusters):
                    inner[a, b, j] += root[c, b, j] * factor[c, a]
    for b in range(q):
        for c in range(b):
            for j in range(clusters):
                inner[b, b, j] -= inner[b, c, j] * inner[b, c, j]
        for j in range(clusters):
            pivot = inner[b, b, j]
            inner[b, b, j] = np.sqrt(pivot) if pivot > 0.0 else 1e-150
        for a in range(b + 1, q):
            for c in range(b):
                for j in range(clusters):
                    inner[a, b, j] -= inner[a, c, j] * inner[b, c, j]
            for j in range(clusters):
                inner[a, b, j] /= inner[b, b, j]
    projected[:] = 0.0
    for j in range(clusters):
        inverse[j] = 1.0 / sigma2[j]
    for a in range(q):
        for b in range(q):
            for j in range(clusters):
                root[a, b, j] = factor[b, a]
            for c in range(a):
                for j in range(clusters):
                    root[a, b, j] -= inner[a, c, j] * root[c, b, j]
            for j in range(clusters):
                root[a, b, j] /= inner[a, a, j]
        for b in range(p1):
            for c in range(q):
                for j in range(clusters):
                    projected[a, b, j] += root[a, c, j] * zw[c, b, j]
            for j in range(clusters):
                scaled[a, b, j] = projected[a, b, j] * inverse[j]
    for j in range(clusters):
        if sigma2[j] != last:
            last = sigma2[j]
            log_sigma2 = np.log(last)
        log_det += rows[j] * _LOG_2_PI + (rows[j] - q) * log_sigma2
    for a in range(q):
        log_det += 2.0 * sum_of_logs(inner[a, a])
        for j in range(clusters):
            if not inner[a, a, j] < np.inf:  # whose logarithm is not looked for there
                log_det = np.inf
    for a in range(p1):
        for b in range(a + 1):
            for c in range(q):
                total[a, b] -= _dot(scaled[c, a], projected[c, b], 0, clusters)
    return log_det


@part_of
def _add_gradient(
    zz: Array,
    zw: Array,
    rows: Array,
    sigma2: Array,
    root: Array,
    projected: Array,
    omega: Array,
    by_psi: Array,
    by_sigma2: Array,
) -> None:
    """Add what a piece's clusters give to the gradient; Ω of :func:`log_marginal`."""
    q, p1, _ = zw.shape
    clusters = sigma2.size
    once, twice = np.empty(clusters), np.empty(clusters)  # 1/σ² and 1/σ⁴
    expected = np.zeros((q, p1, clusters))  # K Z'[X y]
    left = np.empty((q, p1, clusters))  # σ² Z'V⁻¹[X y]
    within = np.empty((q, q, clusters))  # σ² Z'V⁻¹Z
    whole = np.zeros((q, q, clusters))  # R Z'Z
    weighted, terms, change = np.empty((p1, clusters)), np.empty(clusters), np.empty(clusters)
    for j in range(clusters):
        once[j] = 1.0 / sigma2[j]
        twice[j] = once[j] * once[j]
        by_sigma2[j] -= 0.5 * rows[j] * once[j]
    for a in range(q):
        for b in range(p1):
            for c in range(q):
                for j in range(clusters):
                    expected[a, b, j] += root[c, a, j] * projected[c, b, j]
        for b in range(q):
            for c in range(q):
                for j in range(clusters):
                    whole[a, b, j] += root[a, c, j] * zz[c, b, j]
            for j in range(clusters):
                by_sigma2[j] += 0.5 * root[a, b, j] * whole[a, b, j] * once[j]
    for a in range(q):
        for b in range(p1):
            for j in range(clusters):
                left[a, b, j] = zw[a, b, j]
            for c in range(q):
                for j in range(clusters):
                    left[a, b, j] -= zz[a, c, j] * expected[c, b, j]
        for b in range(q):
            for j in range(clusters):
                within[a, b, j] = zz[a, b, j]
            for c in range(q):
                for j in range(clusters):
                    within[a, b, j] -= whole[c, a, j] * whole[c, b, j]
    for a in range(q):
        for b in range(p1):
            weighted[b] = 0.0
            change[:] = 0.0
            for c in range(p1):
                for j in range(clusters):
                    weighted[b, j] += left[a, c, j] * omega[b, c]
                for j in range(clusters):
                    change[j] += expected[a, c, j] * omega[b, c]
            for j in range(clusters):
                by_sigma2[j] -= 0.5 * change[j] * (left[a, b, j] + zw[a, b, j]) * twice[j]
        for c in range(q):
            terms[:] = 0.0
            for b in range(p1):
                for j in range(clusters):
                    terms[j] += weighted[b, j] * left[c, b, j]
            by_psi[a, c] += 0.5 * (
                _dot(terms, twice, 0, clusters) - _dot(within[a, c], once, 0, clusters)
            )


@numba.njit(cache=True, error_model="numpy", nogil=True)
def log_marginal(
    data: CrossProducts, prior_precision: Array, prior_mean: Array, made: Integrated
) -> tuple[float, Array, Array]:
    """Integrate β and b out: log density of y given Ψ and σ², and its gradient.

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
        ``log p(y | Ψ, σ²)``, β and b integrated out. Where predictors can give y exactly, σ² may
        come near 0; below the rounding of y'y the density would rise without bound, into which
        samplers fall: there is none there, −∞.
    gradient_psi
        Derivative by the symmetric matrix Ψ, all q² entries taken as free, (q, q).
    gradient_sigma2
        Derivative by each cluster's residual variance, (cluster,).
    """
    ww, chol, beta = data.ww, made.chol, made.beta
    pieces, q, p1, size = data.zw.shape
    p = p1 - 1
    total = np.zeros((p1, p1))
    for g in range(ww.shape[0]):
        for a in range(p1):
            for b in range(a + 1):
                total[a, b] += ww[g, a, b] / made.sigma2[g]
    log_det = 0.0
    for k in range(pieces):
        some = slice(k * size, (k + 1) * size)
        log_det += _integrate_effects(
            data.zz[k], data.zw[k], data.rows[some], made.sigma2[some], made.factor,
            made.root[k], made.projected[k], total,
        )  # fmt: skip
    quadratic = total[p, p]
    for a in range(p):
        for b in range(a + 1):
            chol[a, b] = total[a, b]
        chol[a, a] += prior_precision[a]
        total[p, a] += prior_precision[a] * prior_mean[a]
        quadratic += prior_precision[a] * prior_mean[a] ** 2
        log_det -= np.log(prior_precision[a])
    cholesky(chol)
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
    if not quadratic > -1.0:  # a sum of squares: σ² is lost in the rounding of y'y
        log_det = np.inf
    value = -0.5 * (log_det + quadratic)
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
    by_sigma2 = np.zeros(data.rows.size)
    for g in range(ww.shape[0]):
        for a in range(p1):
            for b in range(p1):
                by_sigma2[g] += 0.5 * omega[a, b] * ww[g, a, b] / made.sigma2[g] ** 2
    for k in range(pieces):
        some = slice(k * size, (k + 1) * size)
        _add_gradient(
            data.zz[k], data.zw[k], data.rows[some], made.sigma2[some], made.root[k],
            made.projected[k], omega, by_psi, by_sigma2[some],
        )  # fmt: skip
    return value, by_psi, by_sigma2


@numba.njit(cache=True, error_model="numpy", nogil=True)
def draw_coefficients(
    made: Integrated, noise_beta: Array, noise_effects: Array
) -> tuple[Array, Array]:
    """Exact draw of β (p,) and b (cluster, q) given Ψ and σ², from standard normal noise.

    β comes from its conditional with b integrated out, then each b_j from
    ``N(K Z'(y − Xβ), σ²K)``.
    """
    root, projected, chol = made.root, made.projected, made.chol
    _, q, p1, size = projected.shape
    clusters, p = made.sigma2.size, p1 - 1
    beta = np.empty(p)
    for a in range(p - 1, -1, -1):
        beta[a] = noise_beta[a]
        for b in range(a + 1, p):
            beta[a] -= chol[b, a] * (beta[b] - made.beta[b])
        beta[a] = made.beta[a] + beta[a] / chol[a, a]
    effects = np.zeros((clusters, q))
    for j in range(clusters):
        piece, at = j // size, j % size
        for c in range(q):
            residual = projected[piece, c, p, at] + np.sqrt(made.sigma2[j]) * noise_effects[j, c]
            for b in range(p):
                residual -= projected[piece, c, b, at] * beta[b]
            for a in range(q):
                effects[j, a] += root[piece, c, a, at] * residual
    return beta, effects
