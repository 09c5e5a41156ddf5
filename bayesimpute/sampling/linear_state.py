r"""Linear predictors as compiled code sees them: model, rows, state, and passes over the rows.

What they are sampled for, and how, stands in :mod:`bayesimpute.sampling.linear`.
"""

from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from bayesimpute.sampling.collapsed import Standard
from bayesimpute.sampling.compiled import Callable, Struct, part_of
from bayesimpute.sampling.linear_parts import sums_of
from bayesimpute.sampling.scales import scales_by_priors

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
    scale_prior, scale_constants, scale_replaced
        Of ``sd…`` and the positive extras (:class:`~bayesimpute.sampling.scales.ScalePriors`).
    unit
        What divides them to give computing units, (S,).
    fixed, varying
        Which columns each linear predictor has, (R, P) and (R, q).
    mean, precision
        Of the coefficients' normal priors, (R, P).
    shapes, pairs
        Beta shape of each partial correlation of the effects, and whether it is free, (pair,).
    free, effects
        Number of extra parameters without bounds, F, and of effects a cluster, E.
    beta_at, effect_at
        Where β and the effects begin in the state.
    standard
        Units of the data.
    """

    constants: Array
    density: Callable
    information: Callable
    extra_prior: Callable
    scale_prior: Callable
    scale_constants: Array
    scale_replaced: Flags
    unit: Array
    fixed: Flags
    varying: Flags
    mean: Array
    precision: Array
    shapes: Array
    pairs: Flags
    free: int
    effects: int
    beta_at: int
    effect_at: int
    standard: Standard


@entrance
def model_of(*fields: Any) -> Model:
    """Make it of the values of all fields."""
    return Model(*fields)


class Rows(Struct):
    """The rows fitted to, sorted by cluster, in computing units.

    Attributes
    ----------
    x, z
        (P, row) with a leading row of ones, and (q, row).
    columns
        What the likelihood knows of each row, (column, row).
    offset
        Added to the linear predictors as it is, (R, row).
    seen
        Clusters that have rows.
    start
        First row of each of them, and the number of rows.
    """

    x: Array
    z: Array
    columns: Array
    offset: Array
    seen: Positions
    start: Positions


class Point(Struct):
    """A state taken apart, in computing units; effects are those of the clusters seen."""

    sd: Array
    partial: Array
    extra: Array
    beta: Array
    effects: Array


# -- rows ------------------------------------------------------------------------------------


@entrance
def sorted_rows(
    x: Array,
    z: Array,
    columns: Array,
    offset: Array,
    cluster: Positions,
    fit: Flags,
    clusters: int,
    s: Standard,
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
    out_x = np.empty((x.shape[1] + 1, n))
    for i in range(n):
        out_x[0, i] = 1.0
    out_z = np.empty((z.shape[1], n))
    out = np.empty((columns.shape[0], n))
    out_offset = np.empty((offset.shape[1], n))
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
        for r in range(offset.shape[1]):
            out_offset[r, to] = offset[i, r]
    return Rows(out_x, out_z, out, out_offset, seen, start)


@entrance
def linear_predictors(
    x: Array, z: Array, cluster: Positions, wanted: Flags, model: Model, state: Array
) -> Array:
    """Linear predictors of any rows of the design, (wanted row, R), in computing units."""
    s, fixed, varying = model.standard, model.fixed, model.varying
    centre_x, scale_x, centre_z, scale_z = s.centre_x, s.scale_x, s.centre_z, s.scale_z
    count = 0
    for i in range(wanted.size):
        count += wanted[i]
    out = np.empty((count, fixed.shape[0]))
    at = 0
    for i in range(wanted.size):
        if not wanted[i]:
            continue
        b = model.effect_at + cluster[i] * model.effects
        k = model.beta_at
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


# -- passes over the rows ----------------------------------------------------------------------


#: So many rows of all columns are at hand together.
_TOGETHER = 1024


@part_of
def _add_fixed(out: Array, x: Array, fixed: Flags, beta: Array) -> None:
    for first in range(0, x.shape[1], _TOGETHER):
        last = first + _TOGETHER
        for c in range(x.shape[0]):
            for r in range(out.shape[0]):
                if fixed[r, c]:
                    b, to, column = beta[r, c], out[r, first:last], x[c, first:last]
                    for i in range(len(to)):
                        to[i] += b * column[i]


@part_of
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


@sums_of
def by_fixed(by_eta: Array, x: Array, fixed: Flags) -> Array:
    """Gradient by β, (R, P), from that by the linear predictors (R, row)."""
    out = np.zeros(fixed.shape)
    for first in range(0, x.shape[1], _TOGETHER):
        last = first + _TOGETHER
        for c in range(x.shape[0]):
            for r in range(by_eta.shape[0]):
                if fixed[r, c]:
                    slope, column, total = by_eta[r, first:last], x[c, first:last], 0.0
                    for i in range(len(slope)):
                        total += slope[i] * column[i]
                    out[r, c] += total
    return out


@sums_of
def by_random(by_eta: Array, z: Array, varying: Flags, start: Positions, out: Array) -> None:
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


@part_of
def predictors_at(model: Model, rows: Rows, fixed_part: Array, effects: Array) -> Array:
    """Linear predictors, (R, row), from the part of β."""
    out = fixed_part.copy()
    if effects.size > 0:
        _add_random(out, rows.z, model.varying, effects, rows.start)
    return out


@part_of
def fixed_part_of(model: Model, rows: Rows, beta: Array) -> Array:
    """Part of β in the linear predictors, (R, row), with what is added to it."""
    out = rows.offset.copy()
    _add_fixed(out, rows.x, model.fixed, beta)
    return out


# -- the state ---------------------------------------------------------------------------------


@part_of
def scales_of(model: Model, unconstrained: Array) -> tuple[float, Array, Array, Array]:
    """Log prior of the scales, its gradient, the scales in computing units, their derivatives."""
    size = unconstrained.size
    scales, gradient, slope = np.empty(size), np.empty(size), np.empty(size)
    value = 0.0
    if size > 0:
        each, gradient, scales, slope = scales_by_priors(
            unconstrained, model.scale_constants, model.scale_replaced, model.scale_prior
        )
        for k in range(size):
            value += each[k]
            scales[k] /= model.unit[k]
            slope[k] /= model.unit[k]
    return value, gradient, scales, slope


@part_of
def pairs_of(model: Model, free: Array) -> Array:
    """Partial correlations of all pairs, unconstrained, from those of the free ones."""
    out = np.zeros(model.pairs.size)
    at = 0
    for k in range(out.size):
        if model.pairs[k]:
            out[k] = free[at]
            at += 1
    return out


@part_of
def extra_of(model: Model, scales: Array, free: Array) -> Array:
    """Positive and free extras of the likelihood, as one vector."""
    effects = model.effects
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
    count, effects, beta_at = model.unit.size, model.effects, model.beta_at
    scales = scales_of(model, state[:count].copy())[2]
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
            by_cluster[j, e] = state[model.effect_at + rows.seen[j] * effects + e]
    return Point(
        scales[:effects].copy(),
        pairs_of(model, state[count : beta_at - model.free]),
        extra_of(model, scales, state[beta_at - model.free : beta_at]),
        beta,
        by_cluster,
    )


@part_of
def pack(model: Model, full: Array) -> Array:
    """Coefficients that there are, in one vector."""
    out = np.empty(model.effect_at - model.beta_at)
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
