"""One number at a time, without anything to tune."""

from collections.abc import Callable

import numpy as np


def slice_step(
    log_density: Callable[[float], float], start: float, width: float, rng: np.random.Generator
) -> float:
    """Move once by slice sampling with stepping out and shrinkage (Neal 2003, figures 3 and 5).

    Parameters
    ----------
    log_density
        Of the number, up to a constant.
    start
        Where it stands.
    width
        A guess of the posterior's spread; a bad one costs evaluations, not correctness.
    rng
        Of this move.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> draws = [0.0]
    >>> for _ in range(4000):
    ...     draws.append(slice_step(lambda x: -0.5 * x * x, draws[-1], 2.0, rng))
    >>> round(float(np.std(draws)), 1)
    1.0
    """
    level = log_density(start) - rng.exponential()
    low = start - width * rng.random()
    high = low + width
    while log_density(low) > level:
        low -= width
    while log_density(high) > level:
        high += width
    while True:
        x = rng.uniform(low, high)
        if log_density(x) > level:
            return float(x)
        if x < start:
            low = x
        else:
            high = x
