r"""Sweeps through the posterior of linear predictors, compiled: no lock is held while they run.

What a sweep is, and why, stands in :mod:`bayesimpute.sampling.linear`.
"""

from typing import Any, NamedTuple

import numpy as np

from bayesimpute.sampling import nuts
from bayesimpute.sampling.compiled import Callable
from bayesimpute.sampling.linear_densities import follow
from bayesimpute.sampling.linear_state import Array, Model, Positions, Rows, entrance
from bayesimpute.sampling.linear_whitening import Curvature
from bayesimpute.sampling.struct import Struct

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
