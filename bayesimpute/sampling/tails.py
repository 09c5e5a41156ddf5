"""The normal distribution far out: for compiled code, and of many rows at once."""

import math

import numpy as np
import numpy.typing as npt
from scipy.special import log_ndtr, ndtri_exp

from bayesimpute.sampling.compiled import part_of

Array = npt.NDArray[np.float64]

LOG_ROOT_2_PI = 0.5 * math.log(2 * math.pi)
_ROOT_2 = math.sqrt(2.0)

# log Φ is asked for at every row and every step of NUTS, and erfc, exp and log were nearly all of
# its cost: between these ends it is a Taylor series about the nearest of these many points a unit,
# right to 1e-12.
_LOWEST, _HIGHEST, _POINTS = -16.0, 9.0, 64.0


def _series() -> Array:
    """Taylor coefficients of log Φ about each point, (point, 6), from its derivatives.

    With s = φ/Φ, s' = −s (x + s); the others follow by the rule of Leibniz.
    """
    x = np.arange(_LOWEST, _HIGHEST + 1 / _POINTS, 1 / _POINTS)
    derivatives = [log_ndtr(x)]
    s = [np.exp(-0.5 * x * x - LOG_ROOT_2_PI - derivatives[0])]
    both = [x + s[0]]  # derivatives of x + s
    for k in range(4):
        s.append(-sum(math.comb(k, j) * s[j] * both[k - j] for j in range(k + 1)))
        both.append(s[-1] + (1.0 if k == 0 else 0.0))
    derivatives += s
    factorials = [math.factorial(k) for k in range(6)]
    return np.ascontiguousarray(np.array(derivatives[:6]).T / factorials)


_SERIES = _series()


@part_of
def log_share(x: float) -> tuple[float, float]:
    """Logarithm of Φ(x), and its slope φ(x)/Φ(x)."""
    if _LOWEST <= x <= _HIGHEST:
        k = int((x - _LOWEST) * _POINTS + 0.5)
        d = x - (_LOWEST + k / _POINTS)
        c = _SERIES[k]
        value = c[0] + d * (c[1] + d * (c[2] + d * (c[3] + d * (c[4] + d * c[5]))))
        slope = c[1] + d * (2 * c[2] + d * (3 * c[3] + d * (4 * c[4] + d * 5 * c[5])))
        return value, slope
    if x > -37.0:
        value = np.log(0.5 * math.erfc(-x / _ROOT_2))
    else:
        over = 1.0 / (x * x)  # asymptotic series; the next term is below 1e-10 here
        rest = over * (-1.0 + over * (3.0 - 15.0 * over))
        value = -0.5 * x * x - np.log(-x) - LOG_ROOT_2_PI + np.log1p(rest)
    return value, np.exp(-0.5 * x * x - LOG_ROOT_2_PI - value)


@part_of
def interval(low: float, high: float) -> tuple[float, float, float]:
    """Logarithm of Φ(high) − Φ(low), and the densities at both ends relative to it."""
    if low > 0.0:
        below, above = log_share(-high)[0], log_share(-low)[0]
    else:
        below, above = log_share(low)[0], log_share(high)[0]
    mass = above + np.log1p(-np.exp(below - above))
    at_low = np.exp(-0.5 * low * low - LOG_ROOT_2_PI - mass) if np.isfinite(low) else 0.0
    at_high = np.exp(-0.5 * high * high - LOG_ROOT_2_PI - mass) if np.isfinite(high) else 0.0
    return mass, at_low, at_high


def log_interval(lower: Array, upper: Array) -> Array:
    """Logarithm of Φ(upper) − Φ(lower), exact in both tails."""
    flip = lower > 0
    low, high = np.where(flip, -upper, lower), np.where(flip, -lower, upper)
    above = log_ndtr(high)
    return np.asarray(above + np.log1p(-np.exp(np.minimum(log_ndtr(low) - above, 0.0))))


def draw_between(lower: Array, upper: Array, rng: np.random.Generator) -> Array:
    """Draw standard normals between two ends each, exact in both tails."""
    flip = lower > 0
    low, high = np.where(flip, -upper, lower), np.where(flip, -lower, upper)
    level = np.log(rng.random(len(low))) + log_interval(low, high)
    drawn = ndtri_exp(np.minimum(np.logaddexp(log_ndtr(low), level), 0.0))
    drawn = np.clip(drawn, low, high)
    return np.asarray(np.where(flip, -drawn, drawn))
