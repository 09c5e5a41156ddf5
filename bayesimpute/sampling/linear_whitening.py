"""Coordinates of coefficients in which their posterior is nearly standard normal."""

from typing import NamedTuple

import numpy as np

from bayesimpute.sampling.compiled import Struct, part_of
from bayesimpute.sampling.correlation import lower_triangle_inverse
from bayesimpute.sampling.linear_parts import curvature_of_rows, sums_of
from bayesimpute.sampling.linear_state import (
    Array,
    Model,
    Point,
    Positions,
    Rows,
    by_fixed,
    by_random,
    entrance,
    fixed_part_of,
    pack,
    predictors_at,
)


class Curvature(NamedTuple):
    """The rows' log density near a reference as a quadratic function of the coefficients.

    Attributes
    ----------
    blocks, cross, border
        Cross-products weighted by the information of each row: of the effects of each cluster,
        (cluster, E, E), of these and β, (cluster, E, P), and of β with its prior, (P, P).
    pull
        What the curvature times the coefficients is at their mode, effects without a prior:
        cluster by cluster, then β, (cluster · E + P,).
    """

    blocks: Array
    cross: Array
    border: Array
    pull: Array


class Moving(Struct):
    """What the densities of the moves need: what moves is their argument, all else is here.

    What only moves 1 or 3 need is empty for the others.

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


@sums_of
def _weighted(weight: Array, one: Array, other: Array) -> float:
    total = 0.0
    for i in range(len(weight)):
        total += weight[i] * one[i] * other[i]
    return total


@entrance
def curvature_at(moving: Moving) -> Curvature:
    """Cross-products weighted by the information of each row where a state stands."""
    model, rows, point = moving.model, moving.rows, moving.point
    eta = predictors_at(model, rows, fixed_part_of(model, rows, point.beta), point.effects)
    arguments = (rows.columns, eta, point.extra, model.constants)
    weight = curvature_of_rows(model.density, model.information, arguments)
    fixed, varying = model.fixed, model.varying
    wide, effects = model.effect_at - model.beta_at, model.effects
    clusters = point.effects.shape[0]
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
    by_eta = model.density(arguments)[1]
    by_beta = by_fixed(by_eta, rows.x, fixed)
    for r in range(fixed.shape[0]):
        for c in range(fixed.shape[1]):
            by_beta[r, c] -= model.precision[r, c] * (point.beta[r, c] - model.mean[r, c])
    pull = np.zeros(clusters * effects + wide)
    beta, by_packed = pack(model, point.beta), pack(model, by_beta)
    by_effects = np.zeros((clusters, effects))
    if effects > 0:
        by_random(by_eta, rows.z, varying, rows.start, by_effects)
    for p in range(wide):
        total = by_packed[p]
        for o in range(wide):
            total += border[p, o] * beta[o]
        pull[clusters * effects + p] = total
    for j in range(clusters):
        for a in range(effects):
            total = by_effects[j, a]
            for b in range(effects):
                total += blocks[j, a, b] * point.effects[j, b]
            for p in range(wide):
                total += cross[j, a, p] * beta[p]
                pull[clusters * effects + p] += cross[j, a, p] * point.effects[j, a]
            pull[j * effects + a] = total
    return Curvature(blocks, cross, border, pull)


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
def _coordinates_of(
    block: Array, border: Array, slope: Array, beta: Array, effects_of: Array
) -> Array:
    """Coordinates u of coefficients: the inverse of :func:`coefficients_at`."""
    clusters, effects, wide = slope.shape
    first = clusters * effects
    u = np.empty(first + wide)
    for a in range(wide - 1, -1, -1):
        total = beta[a]
        for b in range(a + 1, wide):
            total -= border[a, b] * u[first + b]
        u[first + a] = total / border[a, a]
    for j in range(clusters):
        for a in range(effects - 1, -1, -1):
            total = effects_of[j, a]
            for p in range(wide):
                total += slope[j, a, p] * beta[p]
            for b in range(a + 1, effects):
                total -= block[j, a, b] * u[j * effects + b]
            u[j * effects + a] = total / block[j, a, a]
    return u


@entrance
def whiten(moving: Moving, curvature: Curvature) -> tuple[Moving, Array]:
    """Find coordinates of β and the effects in which their posterior is nearly standard normal.

    The precision is arrow-shaped: a block a cluster, one dense border. Clusters meet only through
    β, so its Cholesky factor costs one small factor a cluster and one of the border (Pinheiro &
    Bates 2000, §2.2). In coordinates ``T u`` with ``T T' = H⁻¹`` a posterior of curvature H has
    the identity, where NUTS needs few steps.

    Returns
    -------
    moving
        With the whitening.
    u
        Coordinates of the coefficients where they stand.
    """
    clusters, effects, wide = curvature.cross.shape
    block = np.empty((clusters, effects, effects))
    slope = np.empty((clusters, effects, wide))
    inner = curvature.border.copy()
    prior = np.zeros((effects, effects))
    for a in range(effects):
        for b in range(effects):
            for c in range(effects):
                prior[a, b] += moving.inverse[c, a] * moving.inverse[c, b]
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
    border = np.ascontiguousarray(lower.T)
    point = moving.point
    u = _coordinates_of(block, border, slope, pack(moving.model, point.beta), point.effects)
    found = Moving(
        moving.model, moving.rows, moving.state, point, moving.inverse, block, border, slope,
        moving.scatter, moving.standard, moving.fixed_part, moving.moving,
    )  # fmt: skip
    return found, u


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
def to_coordinates(moving: Moving, by_effects: Array, by_packed: Array, out: Array) -> None:
    """Gradient by the coordinates, into `out`, from those by the effects and by β (spoilt)."""
    clusters, size, wide = moving.slope.shape
    for j in range(clusters):
        for b in range(size):
            total = 0.0
            for a in range(b + 1):
                total += moving.block[j, a, b] * by_effects[j, a]
            out[j * size + b] = total
        for a in range(size):
            for p in range(wide):
                by_packed[p] -= moving.slope[j, a, p] * by_effects[j, a]
    first = clusters * size
    for b in range(wide):
        total = 0.0
        for a in range(b + 1):
            total += moving.border[a, b] * by_packed[a]
        out[first + b] = total


@entrance
def place(moving: Moving, u: Array) -> Array:
    """State with the coefficients at coordinates u."""
    model, out = moving.model, moving.state.copy()
    beta, effects = coefficients_at(moving, u)
    for k in range(beta.size):
        out[model.beta_at + k] = beta[k]
    for j in range(effects.shape[0]):
        for e in range(effects.shape[1]):
            out[model.effect_at + moving.rows.seen[j] * effects.shape[1] + e] = effects[j, e]
    return out
