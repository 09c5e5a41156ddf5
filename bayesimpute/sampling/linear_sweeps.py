r"""Sweeps through the posterior of linear predictors, compiled: no lock is held while they run.

What a sweep is, and why, stands in :mod:`bayesimpute.sampling.linear`.
"""

from typing import NamedTuple

import numpy as np

from bayesimpute.sampling import nuts
from bayesimpute.sampling.compiled import Callable
from bayesimpute.sampling.linear_densities import (
    Array,
    Curvature,
    Model,
    Moving,
    Positions,
    Rows,
    coefficients_at,
    coordinates_of,
    count_of,
    entrance,
    factor_of,
    fixed_part_of,
    lower_triangle_inverse,
    pack,
    part_of,
    places_of,
    predictors_at,
    take_apart,
    unpack,
    whitened,
    with_coefficients,
)
from bayesimpute.sampling.struct import Struct

#: Newton steps that look for the mode move no linear predictor by more.
LONGEST_STEP = 3.0
#: Tuning transitions of move 2 in a sweep: no row is looked at, so learning more costs little.
CENTRED_TUNING = 3


class Densities(Struct):
    """The compiled densities of the moves, after their number.

    A group that begins with a function is one of functions to numba, and it warns of that.
    """

    moves: int
    coefficients: Callable
    centred: Callable
    shape: Callable


class Tuning(NamedTuple):
    """Step sizes of the three moves, and variances of the second and third.

    Attributes
    ----------
    averaging
        State of dual averaging of each move, (3, 5); a frozen step is ``exp`` of the first.
    centred
        (E + correlations,).
    shape
        (scales + correlations + free,); 0 for what move 3 leaves alone.
    """

    averaging: Array
    centred: Array
    shape: Array


# -- a sweep -------------------------------------------------------------------------------------


@part_of
def _standing(model: Model, rows: Rows, state: Array, curvature: Curvature, shape: Array) -> Moving:
    """All that the densities need, where the state stands."""
    point = take_apart(model, rows, state)
    effects = point.sd.size
    inverse = np.empty((effects, effects))
    lower_triangle_inverse(factor_of(point.sd, point.partial), inverse)
    block, border, slope = whitened(curvature, inverse)
    return _with_effects(
        Moving(
            model, rows, state, point, inverse, block, border, slope, inverse, point.effects,
            border, _positions(shape),
        )
    )  # fmt: skip


@part_of
def _positions(shape: Array) -> Positions:
    count = 0
    for k in range(shape.size):
        count += shape[k] > 0.0
    out = np.empty(count, dtype=np.int64)
    at = 0
    for k in range(shape.size):
        if shape[k] > 0.0:
            out[at] = k
            at += 1
    return out


@part_of
def _with_effects(moving: Moving) -> Moving:
    """Work out what moves 2 and 3 fix: the effects, and the same in their own units."""
    point = moving.point
    clusters, size = point.effects.shape
    scatter = np.zeros((size, size))
    standard = np.zeros((clusters, size))
    for j in range(clusters):
        for a in range(size):
            for b in range(size):
                scatter[a, b] += point.effects[j, a] * point.effects[j, b]
            for b in range(a + 1):
                standard[j, a] += moving.inverse[a, b] * point.effects[j, b]
    return Moving(
        moving.model, moving.rows, moving.state, point, moving.inverse, moving.block,
        moving.border, moving.slope, scatter, standard,
        fixed_part_of(moving.model, moving.rows, point.beta), moving.moving,
    )  # fmt: skip


@part_of
def _at(moving: Moving, state: Array) -> Moving:
    """Move to another state; the whitening stays."""
    point = take_apart(moving.model, moving.rows, state)
    inverse = np.empty((point.sd.size, point.sd.size))
    lower_triangle_inverse(factor_of(point.sd, point.partial), inverse)
    return _with_effects(
        Moving(
            moving.model, moving.rows, state, point, inverse, moving.block, moving.border,
            moving.slope, moving.scatter, moving.standard, moving.fixed_part, moving.moving,
        )
    )  # fmt: skip


@part_of
def _step(
    density: Callable,
    moving: Moving,
    position: Array,
    variance: Array,
    averaging: Array,
    tune: bool,
    record: Array,
    rng: np.random.Generator,
) -> Array:
    """One transition of one move; a tuning one teaches the step size."""
    problem = nuts.Problem(moving, density)
    deepest = nuts.DEEPEST_TUNING if tune else nuts.DEEPEST
    position, found = nuts.transition(
        problem, position, variance, np.exp(averaging[0]), deepest, rng
    )
    if tune:
        nuts.learn(averaging, found[nuts.ACCEPTED])
    record[nuts.DIVERGING] += found[nuts.DIVERGING]
    record[nuts.STEPS] += found[nuts.STEPS]
    for k in (nuts.DEPTH, nuts.ACCEPTED, nuts.ENERGY, nuts.LOG_DENSITY):
        record[k] = found[k]
    return position


@part_of
def _centred_part(model: Model, state: Array) -> Array:
    count, size = model.unit.size, count_of(model.varying)
    correlations = count_of(model.pairs)
    out = np.empty(size + correlations)
    for a in range(size):
        out[a] = state[a]
    for k in range(correlations):
        out[size + k] = state[count + k]
    return out


@part_of
def _put_centred(model: Model, state: Array, part: Array) -> Array:
    count, size = model.unit.size, count_of(model.varying)
    out = state.copy()
    for a in range(size):
        out[a] = part[a]
    for k in range(part.size - size):
        out[count + k] = part[size + k]
    return out


@part_of
def _put_shape(moving: Moving, part: Array) -> Array:
    """State after move 3: the effects follow their scales."""
    model = moving.model
    out = moving.state.copy()
    for k in range(part.size):
        out[moving.moving[k]] = part[k]
    clusters, size = moving.standard.shape
    if size > 0:
        point = take_apart(model, moving.rows, out)
        factor = factor_of(point.sd, point.partial)
        _, effect_at = places_of(model)
        for j in range(clusters):
            for a in range(size):
                total = 0.0
                for b in range(a + 1):
                    total += factor[a, b] * moving.standard[j, b]
                out[effect_at + moving.rows.seen[j] * size + a] = total
    return out


# -- entrances, each compiled by itself ------------------------------------------------------------


@entrance
def sweeps(
    model: Model,
    rows: Rows,
    densities: Densities,
    curvature: Curvature,
    state: Array,
    tuning: Tuning,
    count: int,
    tune: bool,
    rng: np.random.Generator,
) -> tuple[Array, Array]:
    """Make some sweeps.

    Parameters
    ----------
    model, rows, densities
        What is sampled.
    curvature
        At a reference, the same for all chains.
    state
        Where the chain stands.
    tuning
        Of the moves; the averages in it learn if `tune`.
    count
        How many sweeps.
    tune
        Whether steps are learning.
    rng
        Of this call.

    Returns
    -------
    state, record
        The record in the order of ``nuts.STATISTICS``.
    """
    record = np.zeros(6)
    for _ in range(count):
        found = np.zeros(6)
        moving = _standing(model, rows, state, curvature, tuning.shape)
        others = np.zeros(6)
        size = moving.point.sd.size
        packed = pack(model, moving.point.beta)
        u = coordinates_of(moving, packed, moving.point.effects)
        u = _step(
            densities.coefficients,
            moving,
            u,
            np.ones(u.size),
            tuning.averaging[0],
            tune,
            found,
            rng,
        )
        beta, effects = coefficients_at(moving, u)
        state = with_coefficients(model, rows, state, beta, effects)
        if size > 0:
            moving = _at(moving, state)
            part = _centred_part(model, state)
            for _ in range(CENTRED_TUNING if tune else 1):
                part = _step(
                    densities.centred, moving, part, tuning.centred, tuning.averaging[1], tune,
                    others, rng,
                )  # fmt: skip
            state = _put_centred(model, state, part)
        if moving.moving.size > 0:
            moving = _at(moving, state)
            part = np.empty(moving.moving.size)
            variance = np.empty(part.size)
            for k in range(part.size):
                part[k] = state[moving.moving[k]]
                variance[k] = tuning.shape[moving.moving[k]]
            part = _step(
                densities.shape, moving, part, variance, tuning.averaging[2], tune, others, rng
            )
            state = _put_shape(moving, part)
        found[nuts.DIVERGING] += others[nuts.DIVERGING]
        found[nuts.STEPS] += others[nuts.STEPS]
        nuts.summed(record, found, count)
    return state, record


@entrance
def slopes(
    model: Model, rows: Rows, densities: Densities, curvature: Curvature, state: Array, size: int
) -> Array:
    """Gradients of moves 2 and 3 where they stand, all `size` parts of the shape moving."""
    moving = _standing(model, rows, state, curvature, np.ones(size))
    part = _centred_part(model, state)
    out = np.zeros(part.size + size)
    if part.size > 0:
        nuts.finite_density(part, nuts.Problem(moving, densities.centred), out[: part.size])
    if size > 0:
        shape = state[:size].copy()
        nuts.finite_density(shape, nuts.Problem(moving, densities.shape), out[part.size :])
    return out


@entrance
def newton_step(
    model: Model, rows: Rows, densities: Densities, curvature: Curvature, state: Array
) -> tuple[Array, float, float]:
    """One damped Newton step of the coefficients towards their mode.

    Returns
    -------
    state
        After the step.
    gain
        What the log density has gained.
    before
        The log density before, minus infinity for a state that cannot be.
    """
    moving = _standing(model, rows, state, curvature, np.empty(0))
    problem = nuts.Problem(moving, densities.coefficients)
    u = coordinates_of(moving, pack(model, moving.point.beta), moving.point.effects)
    gradient, other, there = np.empty(u.size), np.empty(u.size), np.empty(u.size)
    before = nuts.finite_density(u, problem, gradient)
    if not np.isfinite(before):
        return state, 0.0, before
    # in whitened coordinates a Newton step is the gradient; where the likelihood flattens, as a
    # count's does, it can lead far away: no linear predictor may move by more than LONGEST_STEP
    for k in range(u.size):
        there[k] = u[k] + gradient[k]
    here, far = _predictors(moving, u), _predictors(moving, there)
    longest = 1e-300
    for r in range(here.shape[0]):
        for i in range(here.shape[1]):
            longest = max(longest, abs(far[r, i] - here[r, i]))
    step, gain = min(1.0, LONGEST_STEP / longest), -1.0
    while step > 1e-10:
        for k in range(u.size):
            there[k] = u[k] + step * gradient[k]
        gain = nuts.finite_density(there, problem, other) - before
        if gain > 0.0:
            break
        step /= 2.0
    if gain > 0.0:
        beta, effects = coefficients_at(moving, there)
        state = with_coefficients(model, rows, state, beta, effects)
    return state, gain, before


@part_of
def _predictors(moving: Moving, u: Array) -> Array:
    packed, effects = coefficients_at(moving, u)
    model, rows = moving.model, moving.rows
    return predictors_at(model, rows, fixed_part_of(model, rows, unpack(model, packed)), effects)
