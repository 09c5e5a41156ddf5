"""Chances of a row to lose values: logistic curves or odds of its score, with a mean that is given.

Source: Schouten, R. M., Lugtig, P. & Vink, G. (2018), Journal of Statistical Computation and
Simulation 88, 2909-2930. There the shift of a curve is the one a normal score would need; here it
is solved for the scores at hand, so that the mean chance is the proportion asked for.
"""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

#: Curve of the log-odds in a standardised score.
CURVES: dict[str, Callable[[Array], Array]] = {
    "RIGHT": lambda z: z,
    "LEFT": lambda z: -z,
    "MID": lambda z: -np.abs(z),
    "TAIL": lambda z: np.abs(z),
}

#: Relative chance of each quarter of the scores, from the lowest, as in mice.
ODDS = (1.0, 2.0, 3.0, 4.0)


def standardised(values: Array) -> Array:
    """Mean 0 and SD 1 (divisor n − 1); zeros where values do not differ."""
    centred = values - values.mean() if len(values) else values
    sd = values.std(ddof=1) if len(values) > 1 else 0.0
    if sd <= 1e-12 * np.abs(values).max(initial=0.0):
        return np.zeros(len(values))
    return np.asarray(centred / sd)


def quantile_groups(scores: Array, n: int) -> npt.NDArray[np.int64]:
    """Which of n groups of equal size a score falls in, from 0; equal scores share a group."""
    cuts = np.quantile(scores, np.arange(1, n) / n)
    return np.searchsorted(cuts, scores, side="left").astype(np.int64)


def chances_on_curve(curve: Array, mean: float) -> Array:
    """Logistic chances of log-odds plus a shift, which is solved so that their mean is `mean`.

    Parameters
    ----------
    curve
        Log-odds before the shift, (row,).
    mean
        From 0 to 1.

    Returns
    -------
    ndarray (row,)
    """
    from scipy.special import expit, logit

    if mean in (0, 1) or len(curve) == 0 or np.ptp(curve) == 0:
        return np.full(len(curve), float(mean))
    wanted = logit(mean)
    # at these shifts every chance is below the mean, or above it
    low, high = wanted - curve.max() - 1, wanted - curve.min() + 1
    return np.asarray(expit(curve + _root(lambda b: expit(curve + b).mean() - mean, low, high)))


def chances_by_odds(odds: Array, effect: Array, mean: float) -> Array | None:
    """Chances min(1, c × odds), c solved so that their mean is `mean`.

    Parameters
    ----------
    odds
        Relative chance of each row, from 0 (row,).
    effect
        What is added to the logit of each chance, (row,).
    mean
        From 0 to 1.

    Returns
    -------
    ndarray (row,), or None if too many odds are 0 for this mean.
    """
    from scipy.special import expit, logit

    if mean == 0 or len(odds) == 0:
        return np.zeros(len(odds))
    positive = odds > 0

    def chances(log_c: float) -> Array:
        found = np.zeros(len(odds))
        found[positive] = np.minimum(1, np.exp(log_c) * odds[positive])
        return np.asarray(expit(logit(found) + effect))

    if positive.mean() < mean - 1e-12:
        return None
    # the highest c makes every chance 1 where odds are not 0
    high = float(-np.log(odds[positive].min())) + 1e-9
    if chances(high).mean() - mean <= 1e-12:
        return chances(high)
    low = -60 - float(np.log(odds.max())) - float(np.abs(effect).max())
    return chances(_root(lambda log_c: chances(log_c).mean() - mean, low, high))


def chances_of_selection(latent: Array, spread: float, mean: float) -> tuple[float, Array]:
    """Probit chances of being missing, with the intercept that makes their mean `mean`.

    Parameters
    ----------
    latent
        What is known of the latent variable before its intercept, (row,).
    spread
        SD of what is not known.
    mean
        From 0 to 1.

    Returns
    -------
    tuple
        The intercept b, and Φ(−(b + latent) / spread), (row,).
    """
    from scipy.special import ndtr, ndtri

    if mean in (0, 1) or len(latent) == 0:
        return (-np.inf if mean == 1 else np.inf), np.full(len(latent), float(mean))

    def chances(b: float) -> Array:
        return np.asarray(ndtr(-(b + latent) / spread))

    wanted = -spread * float(ndtri(mean))
    low, high = wanted - latent.max() - 1, wanted - latent.min() + 1
    b = _root(lambda b: mean - chances(b).mean(), low, high)
    return b, chances(b)


def _root(function: Callable[[float], float], low: float, high: float) -> float:
    from scipy.optimize import brentq

    return float(brentq(function, low, high, xtol=1e-13, rtol=1e-14, maxiter=500))
