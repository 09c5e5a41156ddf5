"""Draws of many numbers at once, each from a density of its own."""

from typing import Protocol

import numpy as np
import numpy.typing as npt

from bayesimpute.method import Array

#: An interval shrinks to nothing long before.
MOST_SHRINKAGE = 200


class LogDensity(Protocol):
    """Log densities of values of all numbers, or of those at some positions, up to constants."""

    def __call__(self, values: Array, which: npt.NDArray[np.int64] | None = None, /) -> Array:
        """Give them, (number,)."""
        ...


def from_normal(
    log_density: LogDensity, here: Array, step: float | Array, rng: np.random.Generator
) -> Array:
    """Draw each number from the normal distribution of which three points tell all.

    Parameters
    ----------
    log_density
        Quadratic in each number.
    here, step
        The points are here, and a step to either side, (number,) or the same for all.
    rng
        Of these draws.
    """
    below, at, above = (log_density(here + side) for side in (-step, 0.0, step))
    curvature = (2.0 * at - above - below) / step**2
    slope = (above - below) / (2.0 * step)
    noise = rng.standard_normal(here.size)
    return np.asarray(here + slope / curvature + noise / np.sqrt(curvature))


def by_slice(
    log_density: LogDensity,
    here: Array,
    width: float | Array,
    rng: np.random.Generator,
    whole: bool = False,
) -> Array:
    """Move each number by slice sampling on an interval of fixed width around it (Neal 2003).

    Parameters
    ----------
    log_density
        Of the numbers.
    here, width
        Where they stand, (number,), and the width of their intervals, or the same for all.
    rng
        Of these draws.
    whole
        Whether they are whole numbers, which are looked at as steps: a value stands for all that is
        rounded to it.
    """

    def rounded(values: Array) -> Array:
        return np.rint(values) if whole else values

    here = here.astype(float)
    count = here.size
    if whole:
        width = np.maximum(width, 4.0)
        here = here + rng.uniform(-0.5, 0.5, size=count)
    level = log_density(rounded(here)) + np.log(rng.uniform(size=count))
    low = here - width * rng.uniform(size=count)
    high = low + width
    drawn = here.copy()
    pending = np.arange(count)
    for _ in range(MOST_SHRINKAGE):
        candidate = low[pending] + (high - low)[pending] * rng.uniform(size=pending.size)
        accepted = log_density(rounded(candidate), pending) > level[pending]
        drawn[pending[accepted]] = candidate[accepted]
        pending, candidate = pending[~accepted], candidate[~accepted]
        if not pending.size:
            break
        left = candidate < here[pending]
        low[pending[left]], high[pending[~left]] = candidate[left], candidate[~left]
    return rounded(drawn)
