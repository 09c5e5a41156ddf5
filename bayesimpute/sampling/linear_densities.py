r"""Linear predictors as compiled code sees them: rows, state, curvature, and three densities.

The densities are those of the moves of a sweep, see :mod:`bayesimpute.sampling.linear`.
"""

from typing import NamedTuple

import numba
import numpy as np
import numpy.typing as npt

from bayesimpute.sampling.collapsed import Standard
from bayesimpute.sampling.compiled import Callable
from bayesimpute.sampling.correlation import correlation_factor, pull_back
from bayesimpute.sampling.linear_parts import curvature_of_rows
from bayesimpute.sampling.struct import Struct

#: What is compiled as part of something else, and not kept on disk by itself.
part_of = numba.njit(error_model="numpy", nogil=True)
#: What Python calls, or machine code by its address.
entrance = numba.njit(cache=True, error_model="numpy", nogil=True)

Array = npt.NDArray[np.float64]
Positions = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


class Model(Struct):
    """What is known before there are data; R linear predictors, P columns, q effects each.

    Attributes
    ----------
    constants
        Numbers the likelihood needs.
    density, information, extra_prior
        Of the likelihood (:class:`~bayesimpute.sampling.linear_parts.Likelihood`).
    scale_prior, scale_constants
        Of ``sd…`` and the positive extras.
    unit
        What divides them to give computing units, (S,).
    fixed, varying
        Which columns each linear predictor has, (R, P) and (R, q).
    mean, precision
        Of the coefficients' normal priors, (R, P).
    shapes, pairs
        Beta shape of each partial correlation of the effects, and whether it is free, (pair,).
    free
        Number of extra parameters without bounds, F.
    standard
        Units of the data.
    """

    constants: Array
    density: Callable
    information: Callable
    extra_prior: Callable
    scale_prior: Callable
    scale_constants: Array
    unit: Array
    fixed: Flags
    varying: Flags
    mean: Array
    precision: Array
    shapes: Array
    pairs: Flags
    free: int
    standard: Standard


class Rows(Struct):
    """The rows fitted to, sorted by cluster, in computing units.

    Attributes
    ----------
    x, z
        (P, row) with a leading row of ones, and (q, row).
    columns
        What the likelihood knows of each row, (column, row).
    seen
        Clusters that have rows.
    start
        First row of each of them, and the number of rows.
    """

    x: Array
    z: Array
    columns: Array
    seen: Positions
    start: Positions


class Point(Struct):
    """A state taken apart, in computing units; effects are those of the clusters seen."""

    sd: Array
    partial: Array
    extra: Array
    beta: Array
    effects: Array


class Curvature(NamedTuple):
    """Cross-products weighted by the information of each row."""

    blocks: Array
    cross: Array
    border: Array


class Moving(Struct):
    """What the densities of the moves need: what moves is their argument, all else is here.

    Attributes
    ----------
    model, rows, state
        As they stand.
    point
        Of the state.
    inverse
        Of the lower Cholesky factor of Ψ, (E, E).
    block, border, slope
        Whitening: ``L_j^{-T}`` of A_j = L_j L_j', the same of the border's Schur complement, and
        ``A_j^{-1} B_j``.
    scatter
        Cross-products of the effects, (E, E).
    standard
        Effects in units of their own scales, (cluster seen, E).
    fixed_part
        Part of β in the linear predictors, (R, row).
    moving
        Positions in the state of what move 3 moves.
    """

    model: Model
    rows: Rows
    state: Array
    point: Point
    inverse: Array
    block: Array
    border: Array
    slope: Array
    scatter: Array
    standard: Array
    fixed_part: Array
    moving: Positions


# -- rows ------------------------------------------------------------------------------------


@entrance
def sorted_rows(
    x: Array, z: Array, columns: Array, cluster: Positions, fit: Flags, clusters: int, s: Standard
) -> Rows:
    """Take the rows fitted to, in computing units, by cluster."""
    count = np.zeros(clusters + 1, dtype=np.int64)
    for i in range(fit.size):
        if fit[i]:
            count[cluster[i] + 1] += 1
    some = 0
    for j in range(clusters):
        some += count[j + 1] > 0
        count[j + 1] += count[j]
    seen = np.empty(some, dtype=np.int64)
    start = np.empty(some + 1, dtype=np.int64)
    centre_x, scale_x, centre_z, scale_z = s.centre_x, s.scale_x, s.centre_z, s.scale_z
    at = 0
    for j in range(clusters):
        if count[j + 1] > count[j]:
            seen[at], start[at] = j, count[j]
            at += 1
    n = count[clusters]
    start[some] = n
    out_x = np.ones((x.shape[1] + 1, n))
    out_z = np.empty((z.shape[1], n))
    out = np.empty((columns.shape[0], n))
    for i in range(fit.size):
        if not fit[i]:
            continue
        to = count[cluster[i]]
        count[cluster[i]] += 1
        for a in range(x.shape[1]):
            out_x[a + 1, to] = (x[i, a] - centre_x[a]) / scale_x[a]
        for a in range(z.shape[1]):
            out_z[a, to] = (z[i, a] - centre_z[a]) / scale_z[a]
        for k in range(columns.shape[0]):
            out[k, to] = columns[k, i]
    return Rows(out_x, out_z, out, seen, start)


@entrance
def linear_predictors(
    x: Array, z: Array, cluster: Positions, wanted: Flags, model: Model, state: Array
) -> Array:
    """Linear predictors of any rows of the design, (wanted row, R), in computing units."""
    s, fixed, varying = model.standard, model.fixed, model.varying
    centre_x, scale_x, centre_z, scale_z = s.centre_x, s.scale_x, s.centre_z, s.scale_z
    beta_at, effect_at = places_of(model)
    effects = count_of(varying)
    count = count_of(wanted)
    out = np.empty((count, fixed.shape[0]))
    at = 0
    for i in range(wanted.size):
        if not wanted[i]:
            continue
        b = effect_at + cluster[i] * effects
        k = beta_at
        for r in range(fixed.shape[0]):
            eta = 0.0
            for c in range(fixed.shape[1]):
                if fixed[r, c]:
                    column = 1.0
                    if c > 0:
                        column = (x[i, c - 1] - centre_x[c - 1]) / scale_x[c - 1]
                    eta += state[k] * column
                    k += 1
            for a in range(varying.shape[1]):
                if varying[r, a]:
                    eta += state[b] * ((z[i, a] - centre_z[a]) / scale_z[a])
                    b += 1
            out[at, r] = eta
        at += 1
    return out


@part_of
def count_of(flags: Flags) -> int:
    """How many flags are up."""
    count = 0
    for flag in flags.flat:
        if flag:
            count += 1
    return count


@part_of
def places_of(model: Model) -> tuple[int, int]:
    """Where β and the effects begin in the state."""
    beta = model.unit.size + count_of(model.pairs) + model.free
    return beta, beta + count_of(model.fixed)


# -- passes over the rows ----------------------------------------------------------------------

# Rows run along the last axis, so that a processor takes several in one step; sums over rows may
# then be taken in any order, which needs saying.
_SUMS = {"reassoc", "nsz", "contract"}


@entrance
def _add_fixed(out: Array, x: Array, fixed: Flags, beta: Array) -> None:
    for r in range(len(out)):
        for c in range(len(x)):
            if fixed[r, c]:
                b, to, column = beta[r, c], out[r], x[c]
                for i in range(len(to)):
                    to[i] += b * column[i]


@entrance
def _add_random(out: Array, z: Array, varying: Flags, effects: Array, start: Positions) -> None:
    k = 0
    for r in range(len(out)):
        for a in range(len(z)):
            if not varying[r, a]:
                continue
            for j in range(len(effects)):
                e = effects[j, k]
                to, column = out[r, start[j] : start[j + 1]], z[a, start[j] : start[j + 1]]
                for i in range(len(to)):
                    to[i] += e * column[i]
            k += 1


@numba.njit(cache=True, error_model="numpy", nogil=True, fastmath=_SUMS)
def _by_fixed(by_eta: Array, x: Array, fixed: Flags) -> Array:
    """Gradient by β, (R, P), from that by the linear predictors (R, row)."""
    out = np.zeros(fixed.shape)
    for r in range(len(by_eta)):
        for c in range(len(x)):
            if fixed[r, c]:
                slope, column = by_eta[r], x[c]
                total = 0.0
                for i in range(len(slope)):
                    total += slope[i] * column[i]
                out[r, c] = total
    return out


@numba.njit(cache=True, error_model="numpy", nogil=True, fastmath=_SUMS)
def _by_random(by_eta: Array, z: Array, varying: Flags, start: Positions, out: Array) -> None:
    """Gradient by the effects of each cluster, into (cluster, E)."""
    k = 0
    for r in range(len(by_eta)):
        for a in range(len(z)):
            if not varying[r, a]:
                continue
            for j in range(len(start) - 1):
                slope, column = by_eta[r, start[j] : start[j + 1]], z[a, start[j] : start[j + 1]]
                total = 0.0
                for i in range(len(slope)):
                    total += slope[i] * column[i]
                out[j, k] = total
            k += 1


@numba.njit(cache=True, error_model="numpy", nogil=True, fastmath=_SUMS)
def _weighted(weight: Array, one: Array, other: Array) -> float:
    total = 0.0
    for i in range(len(weight)):
        total += weight[i] * one[i] * other[i]
    return total


# -- the state ---------------------------------------------------------------------------------


@part_of
def _scales(model: Model, unconstrained: Array) -> tuple[float, Array, Array, Array]:
    """Log prior of the scales, its gradient, the scales in computing units, their derivatives."""
    size = unconstrained.size
    scales, gradient, slope = np.empty(size), np.empty(size), np.empty(size)
    value = 0.0
    if size > 0:
        prior, given = model.scale_prior((unconstrained, model.scale_constants))
        value = prior.item()
        for k in range(size):
            gradient[k] = given[0, k]
            scales[k] = given[1, k] / model.unit[k]
            slope[k] = given[2, k] / model.unit[k]
    return value, gradient, scales, slope


@part_of
def _pairs(model: Model, free: Array) -> Array:
    """Partial correlations of all pairs, unconstrained, from those of the free ones."""
    out = np.zeros(model.pairs.size)
    at = 0
    for k in range(out.size):
        if model.pairs[k]:
            out[k] = free[at]
            at += 1
    return out


@part_of
def _extra(model: Model, scales: Array, free: Array) -> Array:
    """Positive and free extras of the likelihood, as one vector."""
    effects = count_of(model.varying)
    positive = scales.size - effects
    out = np.empty(positive + free.size)
    for k in range(positive):
        out[k] = scales[effects + k]
    for k in range(free.size):
        out[positive + k] = free[k]
    return out


@part_of
def take_apart(model: Model, rows: Rows, state: Array) -> Point:
    """Take a state apart, with the effects of the clusters seen."""
    count, effects = model.unit.size, count_of(model.varying)
    beta_at, effect_at = places_of(model)
    scales = _scales(model, state[:count].copy())[2]
    beta = np.zeros(model.fixed.shape)
    k = beta_at
    for r in range(beta.shape[0]):
        for c in range(beta.shape[1]):
            if model.fixed[r, c]:
                beta[r, c] = state[k]
                k += 1
    by_cluster = np.empty((rows.seen.size if effects > 0 else 0, effects))
    for j in range(by_cluster.shape[0]):
        for e in range(effects):
            by_cluster[j, e] = state[effect_at + rows.seen[j] * effects + e]
    return Point(
        scales[:effects].copy(),
        _pairs(model, state[count : beta_at - model.free]),
        _extra(model, scales, state[beta_at - model.free : beta_at]),
        beta,
        by_cluster,
    )


@part_of
def factor_of(sd: Array, partial: Array) -> Array:
    """Lower Cholesky factor of Ψ."""
    out = correlation_factor(partial, sd.size)
    for a in range(sd.size):
        for b in range(a + 1):
            out[a, b] *= sd[a]
    return out


@part_of
def with_coefficients(model: Model, rows: Rows, state: Array, beta: Array, b: Array) -> Array:
    """State with other coefficients: β packed, effects of the clusters seen."""
    beta_at, effect_at = places_of(model)
    out = state.copy()
    for k in range(beta.size):
        out[beta_at + k] = beta[k]
    effects = b.shape[1]
    for j in range(b.shape[0]):
        for e in range(effects):
            out[effect_at + rows.seen[j] * effects + e] = b[j, e]
    return out


@part_of
def predictors_at(model: Model, rows: Rows, fixed_part: Array, effects: Array) -> Array:
    """Linear predictors, (R, row), from the part of β."""
    out = fixed_part.copy()
    if effects.size > 0:
        _add_random(out, rows.z, model.varying, effects, rows.start)
    return out


@part_of
def fixed_part_of(model: Model, rows: Rows, beta: Array) -> Array:
    """Part of β in the linear predictors, (R, row)."""
    out = np.zeros((model.fixed.shape[0], rows.x.shape[1]))
    _add_fixed(out, rows.x, model.fixed, beta)
    return out


# -- curvature and whitening -------------------------------------------------------------------


@entrance
def curvature_at(model: Model, rows: Rows, state: Array) -> Curvature:
    """Cross-products weighted by the information of each row at a state."""
    point = take_apart(model, rows, state)
    eta = predictors_at(model, rows, fixed_part_of(model, rows, point.beta), point.effects)
    arguments = (rows.columns, eta, point.extra, model.constants)
    weight = curvature_of_rows(model.density, model.information, arguments)
    fixed, varying = model.fixed, model.varying
    wide, effects = count_of(fixed), count_of(varying)
    clusters = rows.seen.size if effects > 0 else 0
    border = np.zeros((wide, wide))
    cross = np.zeros((clusters, effects, wide))
    blocks = np.zeros((clusters, effects, effects))
    one = 0
    for r in range(fixed.shape[0]):
        for c in range(fixed.shape[1]):
            if not fixed[r, c]:
                continue
            other = 0
            for s in range(fixed.shape[0]):
                for d in range(fixed.shape[1]):
                    if fixed[s, d]:
                        if other <= one:
                            total = _weighted(weight[r, s], rows.x[c], rows.x[d])
                            border[one, other], border[other, one] = total, total
                        other += 1
            border[one, one] += model.precision[r, c]
            one += 1
    one = 0
    for r in range(varying.shape[0]):
        for a in range(varying.shape[1]):
            if not varying[r, a]:
                continue
            for j in range(clusters):
                at, to = rows.start[j], rows.start[j + 1]
                other = 0
                for s in range(fixed.shape[0]):
                    for d in range(fixed.shape[1]):
                        if fixed[s, d]:
                            cross[j, one, other] = _weighted(
                                weight[r, s, at:to], rows.z[a, at:to], rows.x[d, at:to]
                            )
                            other += 1
                other = 0
                for s in range(varying.shape[0]):
                    for d in range(varying.shape[1]):
                        if varying[s, d]:
                            if other <= one:
                                total = _weighted(
                                    weight[r, s, at:to], rows.z[a, at:to], rows.z[d, at:to]
                                )
                                blocks[j, one, other], blocks[j, other, one] = total, total
                            other += 1
            one += 1
    return Curvature(blocks, cross, border)


@part_of
def _lower_inverse(matrix: Array, out: Array) -> None:
    """Inverse of the lower Cholesky factor; a singular matrix gets a little ridge."""
    n = matrix.shape[0]
    size = 0.0
    for a in range(n):
        size += matrix[a, a] / n
    if not size > 1e-300:
        size = 1e-300
    ridge = 0.0
    lower = np.empty((n, n))
    good = n == 0
    while not good:
        good = True
        for a in range(n):
            for b in range(a + 1):
                total = matrix[a, b]
                if a == b:
                    total += ridge * size
                for c in range(b):
                    total -= lower[a, c] * lower[b, c]
                if a > b:
                    lower[a, b] = total / lower[b, b]
                elif total > 0.0:
                    lower[a, a] = np.sqrt(total)
                else:
                    good = False
                    break
            if not good:
                break
        if not good:
            ridge = max(10.0 * ridge, 1e-10)
            if ridge > 1e10:  # nothing finite is there to begin with
                for a in range(n):
                    for b in range(n):
                        lower[a, b] = 1.0 if a == b else 0.0
                good = True
    lower_triangle_inverse(lower, out)


@part_of
def whitened(curvature: Curvature, inverse: Array) -> tuple[Array, Array, Array]:
    """Square root of an arrow-shaped precision: a block a cluster, one dense border.

    Clusters meet only through β, so its Cholesky factor costs one small factor a cluster and one
    of the border (Pinheiro & Bates 2000, §2.2). In coordinates ``T u`` with ``T T' = H⁻¹`` a
    posterior of curvature H has the identity, where NUTS needs few steps.
    """
    clusters, effects, wide = curvature.cross.shape
    block = np.empty((clusters, effects, effects))
    slope = np.empty((clusters, effects, wide))
    inner = curvature.border.copy()
    prior = np.zeros((effects, effects))
    for a in range(effects):
        for b in range(effects):
            for c in range(effects):
                prior[a, b] += inverse[c, a] * inverse[c, b]
    whole, root = np.empty((effects, effects)), np.empty((effects, effects))
    half = np.empty((effects, wide))
    for j in range(clusters):
        for a in range(effects):
            for b in range(effects):
                whole[a, b] = curvature.blocks[j, a, b] + prior[a, b]
        _lower_inverse(whole, root)
        for a in range(effects):
            for b in range(effects):
                block[j, a, b] = root[b, a]
            for p in range(wide):
                total = 0.0
                for b in range(a + 1):
                    total += root[a, b] * curvature.cross[j, b, p]
                half[a, p] = total
        for a in range(effects):
            for p in range(wide):
                total = 0.0
                for b in range(a, effects):
                    total += root[b, a] * half[b, p]
                slope[j, a, p] = total
        for a in range(effects):
            for p in range(wide):
                for o in range(wide):
                    inner[p, o] -= half[a, p] * half[a, o]
    lower = np.empty((wide, wide))
    _lower_inverse(inner, lower)
    return block, np.ascontiguousarray(lower.T), slope


@part_of
def coefficients_at(moving: Moving, u: Array) -> tuple[Array, Array]:
    """Coefficients β (packed) and effects at coordinates u."""
    clusters, effects, wide = moving.slope.shape
    beta = np.zeros(wide)
    first = clusters * effects
    for a in range(wide):
        for b in range(a, wide):
            beta[a] += moving.border[a, b] * u[first + b]
    out = np.empty((clusters, effects))
    for j in range(clusters):
        for a in range(effects):
            total = 0.0
            for b in range(a, effects):
                total += moving.block[j, a, b] * u[j * effects + b]
            for p in range(wide):
                total -= moving.slope[j, a, p] * beta[p]
            out[j, a] = total
    return beta, out


@part_of
def coordinates_of(moving: Moving, beta: Array, effects_of: Array) -> Array:
    """Coordinates u of coefficients; the inverse of the above."""
    clusters, effects, wide = moving.slope.shape
    first = clusters * effects
    u = np.empty(first + wide)
    for a in range(wide - 1, -1, -1):
        total = beta[a]
        for b in range(a + 1, wide):
            total -= moving.border[a, b] * u[first + b]
        u[first + a] = total / moving.border[a, a]
    for j in range(clusters):
        for a in range(effects - 1, -1, -1):
            total = effects_of[j, a]
            for p in range(wide):
                total += moving.slope[j, a, p] * beta[p]
            for b in range(a + 1, effects):
                total -= moving.block[j, a, b] * u[j * effects + b]
            u[j * effects + a] = total / moving.block[j, a, a]
    return u


@part_of
def pack(model: Model, full: Array) -> Array:
    """Coefficients that there are, in one vector."""
    out = np.empty(count_of(model.fixed))
    k = 0
    for r in range(full.shape[0]):
        for c in range(full.shape[1]):
            if model.fixed[r, c]:
                out[k] = full[r, c]
                k += 1
    return out


@part_of
def unpack(model: Model, packed: Array) -> Array:
    """Coefficients by equation and column, (R, P), zero where there is none."""
    out = np.zeros(model.fixed.shape)
    k = 0
    for r in range(out.shape[0]):
        for c in range(out.shape[1]):
            if model.fixed[r, c]:
                out[r, c] = packed[k]
                k += 1
    return out


# -- move 1: coefficients ------------------------------------------------------------------------


@entrance
def coefficient_density(u: Array, moving: Moving, gradient: Array) -> float:
    """Log density of whitened coefficients; its gradient into `gradient`."""
    model, rows, extra = moving.model, moving.rows, moving.point.extra
    packed, effects = coefficients_at(moving, u)
    beta = unpack(model, packed)
    eta = predictors_at(model, rows, fixed_part_of(model, rows, beta), effects)
    likelihood, by_eta, _ = model.density((rows.columns, eta, extra, model.constants))
    value = likelihood.item()
    by_beta = _by_fixed(by_eta, rows.x, model.fixed)
    intercepts = np.empty(beta.shape[0])
    for r in range(beta.shape[0]):
        intercepts[r] = beta[r, 0]
        for c in range(beta.shape[1]):
            if model.fixed[r, c]:
                away = beta[r, c] - model.mean[r, c]
                value -= 0.5 * model.precision[r, c] * away * away
                by_beta[r, c] -= model.precision[r, c] * away
    prior, by_intercepts, _ = model.extra_prior((intercepts, extra, model.constants))
    value += prior.item()
    for r in range(beta.shape[0]):
        by_beta[r, 0] += by_intercepts[r]
    clusters, size, wide = moving.slope.shape
    by_effects = np.empty((clusters, size))
    standard = np.empty(size)
    if size > 0:
        _by_random(by_eta, rows.z, model.varying, rows.start, by_effects)
    by_packed = pack(model, by_beta)
    for j in range(clusters):
        for a in range(size):
            standard[a] = 0.0
            for b in range(a + 1):
                standard[a] += moving.inverse[a, b] * effects[j, b]
            value -= 0.5 * standard[a] * standard[a]
        for b in range(size):
            for a in range(b, size):
                by_effects[j, b] -= moving.inverse[a, b] * standard[a]
        # u from the gradients by β and b
        for b in range(size):
            total = 0.0
            for a in range(b + 1):
                total += moving.block[j, a, b] * by_effects[j, a]
            gradient[j * size + b] = total
        for a in range(size):
            for p in range(wide):
                by_packed[p] -= moving.slope[j, a, p] * by_effects[j, a]
    first = clusters * size
    for b in range(wide):
        total = 0.0
        for a in range(b + 1):
            total += moving.border[a, b] * by_packed[a]
        gradient[first + b] = total
    return value


# -- moves 2 and 3: scales, correlations, extras ---------------------------------------------------


@part_of
def _lkj(model: Model, partial: Array, by_partial: Array) -> float:
    """Log prior of the correlations; adds to its gradient."""
    value = 0.0
    for k in range(partial.size):
        z = np.tanh(partial[k])
        value += model.shapes[k] * np.log1p(-z * z)
        by_partial[k] -= 2.0 * model.shapes[k] * z
    return value


@part_of
def _by_shape(by_factor: Array, sd: Array, partial: Array) -> tuple[Array, Array]:
    """Gradient by sd and partial correlations from that by the factor of Ψ."""
    size = sd.size
    correlation = correlation_factor(partial, size)
    by_sd = np.zeros(size)
    by_correlation = np.zeros((size, size))
    for a in range(size):
        for b in range(a + 1):
            by_sd[a] += by_factor[a, b] * correlation[a, b]
            by_correlation[a, b] = by_factor[a, b] * sd[a]
    return by_sd, pull_back(partial, correlation, by_correlation)


@entrance
def centred_density(part: Array, moving: Moving, gradient: Array) -> float:
    """Log density of sd and correlations given the effects of the clusters seen."""
    model = moving.model
    count, size = model.unit.size, count_of(model.varying)
    scale = moving.state[:count].copy()
    for a in range(size):
        scale[a] = part[a]
    value, by_scale, scales, slope = _scales(model, scale)
    sd, partial = scales[:size], _pairs(model, part[size:])
    factor = factor_of(sd, partial)
    for a in range(size):
        if not factor[a, a] > 1e-150:
            return -np.inf
    inverse = np.empty((size, size))
    lower_triangle_inverse(factor, inverse)
    clusters = moving.rows.seen.size
    # −½ tr(F⁻¹ S F⁻ᵀ) − J log |F|, and its gradient by F
    standard = np.zeros((size, size))
    half = np.zeros((size, size))
    for a in range(size):
        for b in range(size):
            for c in range(a + 1):
                half[a, b] += inverse[a, c] * moving.scatter[c, b]
    for a in range(size):
        for b in range(size):
            for c in range(b + 1):
                standard[a, b] += half[a, c] * inverse[b, c]
    by_factor = np.zeros((size, size))
    for a in range(size):
        value -= 0.5 * standard[a, a] + clusters * np.log(factor[a, a])
        for b in range(a + 1):
            for c in range(a, size):
                by_factor[a, b] += inverse[c, a] * standard[c, b]
        by_factor[a, a] -= clusters * inverse[a, a]
    by_sd, by_partial = _by_shape(by_factor, sd, partial)
    value += _lkj(model, partial, by_partial)
    for a in range(size):
        gradient[a] = by_scale[a] + by_sd[a] * slope[a]
    at = size
    for k in range(partial.size):
        if model.pairs[k]:
            gradient[at] = by_partial[k]
            at += 1
    return value


@part_of
def lower_triangle_inverse(lower: Array, out: Array) -> None:
    """Inverse of a lower triangular matrix, into `out`."""
    n = lower.shape[0]
    for a in range(n):
        for b in range(n):
            out[a, b] = 0.0
        out[a, a] = 1.0 / lower[a, a]
        for b in range(a):
            total = 0.0
            for c in range(b, a):
                total += lower[a, c] * out[c, b]
            out[a, b] = -total / lower[a, a]


@entrance
def shape_density(part: Array, moving: Moving, gradient: Array) -> float:
    """Log density of scales, correlations and extras given β and the standardised effects."""
    model, rows = moving.model, moving.rows
    count, size = model.unit.size, count_of(model.varying)
    beta_at, _ = places_of(model)
    shape = moving.state[:beta_at].copy()
    for k in range(part.size):
        shape[moving.moving[k]] = part[k]
    value, by_scale, scales, slope = _scales(model, shape[:count].copy())
    sd, partial = scales[:size], _pairs(model, shape[count : beta_at - model.free])
    extra = _extra(model, scales, shape[beta_at - model.free :])
    factor = factor_of(sd, partial)
    clusters = moving.standard.shape[0]
    effects = np.zeros((clusters, size))
    for j in range(clusters):
        for a in range(size):
            for b in range(a + 1):
                effects[j, a] += factor[a, b] * moving.standard[j, b]
    eta = predictors_at(model, rows, moving.fixed_part, effects)
    likelihood, by_eta, by_extra = model.density((rows.columns, eta, extra, model.constants))
    intercepts = moving.point.beta[:, 0].copy()
    prior, _, by_extra_prior = model.extra_prior((intercepts, extra, model.constants))
    value += likelihood.item() + prior.item()
    whole = np.zeros(beta_at)
    if size > 0:
        by_effects = np.empty((clusters, size))
        _by_random(by_eta, rows.z, model.varying, rows.start, by_effects)
        by_factor = np.zeros((size, size))
        for j in range(clusters):
            for a in range(size):
                for b in range(a + 1):
                    by_factor[a, b] += by_effects[j, a] * moving.standard[j, b]
        by_sd, by_partial = _by_shape(by_factor, sd, partial)
        value += _lkj(model, partial, by_partial)
        for a in range(size):
            whole[a] = by_sd[a] * slope[a]
        at = count
        for k in range(partial.size):
            if model.pairs[k]:
                whole[at] = by_partial[k]
                at += 1
    positive = count - size
    for k in range(positive):
        whole[size + k] = (by_extra[k] + by_extra_prior[k]) * slope[size + k]
    for k in range(count):
        whole[k] += by_scale[k]
    for k in range(model.free):
        whole[beta_at - model.free + k] = by_extra[positive + k] + by_extra_prior[positive + k]
    for k in range(part.size):
        gradient[k] = whole[moving.moving[k]]
    return value
