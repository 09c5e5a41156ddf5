r"""Sweeps through the posterior of linear predictors, compiled: no lock is held while they run.

What a sweep is, and why, stands in :mod:`bayesimpute.sampling.linear`; slices, which move SDs and
correlations where clusters are few, in :func:`slide`.
"""

from typing import Any, NamedTuple

import numpy as np

from bayesimpute.sampling import nuts
from bayesimpute.sampling.compiled import Callable, Struct
from bayesimpute.sampling.linear_densities import follow
from bayesimpute.sampling.linear_state import Array, Model, Positions, Rows, entrance, scales_of
from bayesimpute.sampling.linear_whitening import Curvature, Moving, to_coordinates

#: Tuning transitions of move 2 in a sweep: no row is looked at, so learning more costs little.
CENTRED_TUNING = 3


class Pieces(Struct):
    """What a sweep is made of, each compiled apart, after the number of moves.

    A group that begins with a function is one of functions to numba, and it warns of that.
    """

    moves: int
    stand: Callable
    whiten: Callable
    place: Callable
    sample: Callable
    coefficients: Callable
    centred: Callable
    shape: Callable


@entrance
def pieces_of(*fields: Any) -> Pieces:
    """Make it of the values of all fields."""
    return Pieces(*fields)


class Tuning(NamedTuple):
    """What the moves move, their step sizes, and variances of the second and third.

    Attributes
    ----------
    averaging
        State of dual averaging of each move, (3, 6); a frozen step is ``exp`` of the first.
    centred_at, shape_at
        Positions in the state of what moves 2 and 3 move.
    centred, shape
        Variances of these.
    width
        Widths of the slices by which what move 2 moves is moved once more, where clusters are few.
    """

    averaging: Array
    centred_at: Positions
    centred: Array
    shape_at: Positions
    shape: Array
    width: Array


@entrance
def sweeps(
    model: Model,
    rows: Rows,
    pieces: Pieces,
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
    model, rows, pieces
        What is sampled, and by what.
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
        The record in the order of ``nuts.STATISTICS``; acceptance, depth, energy and density are
        those of move 1.
    """
    record, found, draws = np.zeros(6), np.empty(6), np.empty((0, 0))
    deepest = nuts.DEEPEST_TUNING if tune else nuts.DEEPEST
    nowhere = np.empty(0, dtype=np.int64)
    state = state.copy()
    for number in range(3 * count):
        move = number % 3
        at, variance, density, times = nowhere, tuning.centred, pieces.coefficients, 1
        if move == 1:
            at, density = tuning.centred_at, pieces.centred
            times = CENTRED_TUNING if tune else 1
        elif move == 2:
            at, variance, density = tuning.shape_at, tuning.shape, pieces.shape
        if move > 0 and at.size == 0:
            continue
        moving = pieces.stand(model, rows, state, at if move == 2 else nowhere)
        if move == 0:
            moving, part = pieces.whiten(moving, curvature)
            variance = np.ones(part.size)
        else:
            part = np.empty(at.size)
            for k in range(at.size):
                part[k] = state[at[k]]
        problem = nuts.Problem(moving, density)
        pieces.sample(
            problem, part, variance, tuning.averaging[move], tune, deepest, times, draws, found, rng
        )
        record[nuts.DIVERGING] += found[nuts.DIVERGING]
        record[nuts.STEPS] += found[nuts.STEPS]
        if move == 0:
            record[nuts.DEPTH] = max(record[nuts.DEPTH], found[nuts.DEPTH])
            record[nuts.ACCEPTED] += found[nuts.ACCEPTED] / count
            record[nuts.ENERGY] = found[nuts.ENERGY]
            record[nuts.LOG_DENSITY] = found[nuts.LOG_DENSITY]
            state = pieces.place(moving, part)
        else:
            for k in range(at.size):
                state[at[k]] = part[k]
        if move == 2:
            follow(moving, state)
    return state, record


#: Doublings of the width of a slice on either side, at most; what is further away is met later.
WIDENINGS = 20
#: Shrinkings, at most; after so many nothing is left to shrink but rounding.
SHRINKINGS = 60


@entrance
def mode_of(moving: Moving, curvature: Curvature) -> Array:
    """Coordinates of the mode of the coefficients, were their density a quadratic function."""
    clusters, effects, _ = curvature.cross.shape
    first, out = clusters * effects, np.empty(curvature.pull.size)
    pull = curvature.pull[:first].copy().reshape((clusters, effects))
    to_coordinates(moving, pull, curvature.pull[first:].copy(), out)
    return out


@entrance
def density_at_coordinates(
    model: Model, rows: Rows, pieces: Pieces, curvature: Curvature, state: Array, u: Array
) -> float:
    """Log density of the scales of a state, the coefficients being u away from their mode."""
    nowhere = np.empty(0, dtype=np.int64)
    moving, _ = pieces.whiten(pieces.stand(model, rows, state, nowhere), curvature)
    value = pieces.coefficients(u + mode_of(moving, curvature), moving, np.empty(u.size))
    value += scales_of(model, state[: model.unit.size].copy())[0]
    partial = moving.point.partial
    for k in range(partial.size):
        z = np.tanh(partial[k])
        value += model.shapes[k] * np.log1p(-z * z)
    clusters, size, _ = moving.block.shape
    for a in range(size):
        value += clusters * np.log(moving.inverse[a, a])
        for j in range(clusters):
            value += np.log(moving.block[j, a, a])
    for a in range(moving.border.shape[0]):
        value += np.log(moving.border[a, a])
    return value if np.isfinite(value) else -np.inf


@entrance
def slide(
    model: Model,
    rows: Rows,
    pieces: Pieces,
    curvature: Curvature,
    state: Array,
    at: Positions,
    width: Array,
    rng: np.random.Generator,
) -> Array:
    """Move each of some scales or correlations once, the coefficients staying at coordinates.

    Coordinates u of the coefficients, ``c = T u`` with ``T T' = (H + P)⁻¹`` (curvature H of the
    rows at a fixed reference, prior precision P of the effects at their scales), are nearly
    independent of the scales: an effect that the rows know, the other coefficients being what they
    may, stays where it is, one that they do not know follows its scale. With few clusters, whose
    effects and the intercept can take each other's place, neither effects nor standardised effects
    are so.

    Each moves by slice sampling (Neal 2003), which has no step that could be too long for the wall
    below or too short for the tail above.

    Parameters
    ----------
    model, rows, pieces, curvature
        As of :func:`sweeps`.
    state
        Where the chain stands.
    at, width
        Positions of the scales in the state, and a guess of the spread of each.
    rng
        Of this call.
    """
    nowhere = np.empty(0, dtype=np.int64)
    moving, u = pieces.whiten(pieces.stand(model, rows, state, nowhere), curvature)
    u -= mode_of(moving, curvature)
    there = state.copy()
    here = density_at_coordinates(model, rows, pieces, curvature, there, u)
    if here == -np.inf:  # all would be better, however far away
        return there
    for k in range(at.size):
        start = there[at[k]]
        level = here - rng.standard_exponential()
        low = start - width[k] * rng.random()
        high = low + width[k]
        for end in range(2):
            for _ in range(WIDENINGS):
                there[at[k]] = high if end else low
                if density_at_coordinates(model, rows, pieces, curvature, there, u) <= level:
                    break
                if end:
                    high += width[k]
                else:
                    low -= width[k]
        for _ in range(SHRINKINGS):
            there[at[k]] = low + (high - low) * rng.random()
            value = density_at_coordinates(model, rows, pieces, curvature, there, u)
            if value > level:
                here = value
                break
            if there[at[k]] < start:
                low = there[at[k]]
            else:
                high = there[at[k]]
            there[at[k]] = start
    moving, _ = pieces.whiten(pieces.stand(model, rows, there, nowhere), curvature)
    return pieces.place(moving, u + mode_of(moving, curvature))
