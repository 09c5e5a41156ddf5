r"""Probability integral transforms of observed values, and whether they are uniform.

The PIT of an observed value is its place in its predictive distribution. If the model is right,
PITs of values left out are uniform (Dawid 1984; Gelfand, Dey & Chang 1992 with values left out).
Of a discrete distribution it is randomised within the probability of the value itself (Brockwell
2007), which is uniform too. With S draws of weights w_s,

.. math::
    \text{PIT}_i = \frac{S\,\sum_s w_s [y_s < y_i] + u_i\,(1 + S \sum_s w_s [y_s = y_i])}{S + 1}

where u_i is uniform and the observed value counts as one more draw, tied with itself: for equal
weights this is exactly uniform whatever S is.
"""

import numpy as np

from bayesimpute.arrays import Array
from bayesimpute.uniformity import band, ecdf, ecdf_p, expected

#: Points at which the distribution of the PITs is held against uniform.
POINTS = 99


def randomised_pit(
    values: Array, observed: Array, weights: Array, rng: np.random.Generator
) -> Array:
    """Place of each observed value among its predictive draws, (row,).

    Parameters
    ----------
    values
        (draw, row).
    observed
        (row,).
    weights
        Of the draws, normalised, (draw, row).
    rng
        For the ties.

    Examples
    --------
    >>> import numpy as np
    >>> draws, equal = np.array([[1.0], [3.0], [4.0]]), np.full((3, 1), 1 / 3)
    >>> pit = randomised_pit(draws, np.array([2.0]), equal, np.random.default_rng(1))
    >>> bool(0.25 < pit[0] < 0.5)  # between the first and the second of three
    True
    """
    draws = len(values)
    below = (weights * (values < observed)).sum(axis=0)
    tied = (weights * (values == observed)).sum(axis=0)
    u = rng.random(len(observed))
    return np.asarray((draws * below + u * (1 + draws * tied)) / (draws + 1))


def difference_from_uniform(pit: Array, level: float) -> tuple[Array, Array, Array, Array, float]:
    """Distribution function of the PITs minus the uniform one, with its simultaneous band.

    The band holds all of the curve with probability `level` if the PITs are independent and uniform
    (Säilynoja, Bürkner & Vehtari 2022).

    Parameters
    ----------
    pit
        (row,).
    level
        Of the band.

    Returns
    -------
    at, difference, lower, upper : ndarray (point,)
    p : float
        How often uniform PITs leave a wider band than these do.
    """
    ranks = np.minimum((pit * (POINTS + 1)).astype(np.int64), POINTS)
    at = expected(POINTS)
    lower, upper = band(len(pit), POINTS, 1 - level)
    return at, ecdf(ranks, POINTS) - at, lower - at, upper - at, ecdf_p(ranks, POINTS)


def departure(pit: Array) -> float:
    """Mean distance of the PITs' distribution function from the uniform one; 0 is perfect.

    Examples
    --------
    >>> import numpy as np
    >>> round(departure((np.arange(100) + 0.5) / 100), 3)
    0.0
    """
    n = len(pit)
    return float(np.abs(np.sort(pit) - (np.arange(n) + 0.5) / n).mean())


def weighted_quantiles(values: Array, weights: Array, shares: tuple[float, ...]) -> Array:
    """Quantiles of weighted draws, (share, row).

    Draw k in order of size stands at the middle of the weights around it, ``(S/(S + 1))`` of the
    sum of weights before it and half its own plus half of one draw's share: with equal weights at
    k/(S + 1), so that an interval holds one more draw as often as it says.
    """
    draws, rows = values.shape
    order = np.argsort(values, axis=0, kind="stable")
    ordered = np.take_along_axis(values, order, axis=0)
    own = np.take_along_axis(weights, order, axis=0)
    place = (draws * (np.cumsum(own, axis=0) - own / 2) + 0.5) / (draws + 1)
    out = np.empty((len(shares), rows))
    for row in range(rows):
        out[:, row] = np.interp(shares, place[:, row], ordered[:, row])
    return out
