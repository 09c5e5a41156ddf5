r"""Scales and correlations given where the coefficients stand in coordinates of their own.

Coordinates u of the coefficients, ``c = T u`` with ``T T' = (H + P)⁻¹`` (curvature H of the rows at
a fixed reference, prior precision P of the effects at their scales), are nearly independent of the
scales: an effect that the rows know, the other coefficients being what they may, stays where it is,
one that they do not know follows its scale. With few clusters, whose effects and the intercept
can take each other's place, neither effects nor standardised effects are so.

Each scale moves by slice sampling (Neal 2003), which has no step that could be too long for the
wall below or too short for the tail above.
"""

import numpy as np

from bayesimpute.sampling.linear_state import (
    Array,
    Model,
    Positions,
    Rows,
    entrance,
    scales_of,
)
from bayesimpute.sampling.linear_sweeps import Pieces
from bayesimpute.sampling.linear_whitening import Curvature, Moving, to_coordinates

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
    """Move each of some scales once, the coefficients staying at their coordinates.

    Parameters
    ----------
    model, rows, pieces, curvature
        As of :func:`~bayesimpute.sampling.linear_sweeps.sweeps`.
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
