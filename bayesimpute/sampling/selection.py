r"""Likelihood of a value that is seen only where a second, correlated normal variable is positive.

Each row has four linear predictors: of the outcome, of the selection, of log σ and of atanh ρ.
With :math:`e = (y - η_1)/σ`, :math:`t = η_4` and so :math:`ρ = \tanh t`, :math:`1/\sqrt{1-ρ^2} =
\cosh t`,

.. math::
    p(y, \text{seen}) = \tfrac1σ φ(e)\,Φ(η_2 \cosh t + e \sinh t),\qquad
    P(\text{not seen}) = Φ(-η_2)

(Heckman 1974; Toomet & Henningsen 2008, eq. 10).
"""

import math

import numba
import numpy as np
import numpy.typing as npt
from scipy.special import log_ndtr

Array = npt.NDArray[np.float64]

_LOG_ROOT_2_PI = 0.5 * math.log(2 * math.pi)
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
    s = [np.exp(-0.5 * x * x - _LOG_ROOT_2_PI - derivatives[0])]
    both = [x + s[0]]  # derivatives of x + s
    for k in range(4):
        s.append(-sum(math.comb(k, j) * s[j] * both[k - j] for j in range(k + 1)))
        both.append(s[-1] + (1.0 if k == 0 else 0.0))
    derivatives += s
    factorials = [math.factorial(k) for k in range(6)]
    return np.ascontiguousarray(np.array(derivatives[:6]).T / factorials)


_SERIES = _series()


@numba.njit(cache=True, error_model="numpy")
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
        value = -0.5 * x * x - np.log(-x) - _LOG_ROOT_2_PI + np.log1p(rest)
    return value, np.exp(-0.5 * x * x - _LOG_ROOT_2_PI - value)


@numba.njit(cache=True, error_model="numpy")
def _normal(y: Array, eta: Array, shift: float) -> tuple[float, Array]:
    """Log likelihood and gradient by the linear predictors; `shift` is added to atanh ρ."""
    value = 0.0
    by_eta = np.zeros(eta.shape)
    # σ and ρ are those of a cluster, and its rows stand together
    at_sigma, at_rho = np.nan, np.nan
    sigma, sinh, cosh = 1.0, 0.0, 1.0
    for i in range(len(eta)):
        if y[i, 1] > 0.0:
            if eta[i, 2] != at_sigma:
                at_sigma = eta[i, 2]
                sigma = np.exp(at_sigma)
            if eta[i, 3] != at_rho:
                at_rho = eta[i, 3]
                sinh, cosh = np.sinh(at_rho + shift), np.cosh(at_rho + shift)
            e = (y[i, 0] - eta[i, 0]) / sigma
            share, slope = log_share(eta[i, 1] * cosh + e * sinh)
            value += share - 0.5 * e * e - eta[i, 2]
            by_eta[i, 0] = (e - slope * sinh) / sigma
            by_eta[i, 1] = slope * cosh
            by_eta[i, 2] = e * e - 1.0 - slope * sinh * e
            by_eta[i, 3] = slope * (eta[i, 1] * sinh + e * cosh)
        else:
            share, slope = log_share(-eta[i, 1])
            value += share
            by_eta[i, 1] = -slope
    return value, by_eta


@numba.njit(cache=True, error_model="numpy")
def _normal_information(y: Array, eta: Array, shift: float) -> Array:
    """Gauss–Newton curvature of each row, (row, 4, 4), never negative."""
    rows, size = eta.shape
    out = np.zeros((rows, size, size))
    direction = np.zeros(size)
    for i in range(rows):
        if y[i, 1] > 0.0:
            sigma = np.exp(eta[i, 2])
            t = eta[i, 3] + shift
            sinh, cosh = np.sinh(t), np.cosh(t)
            e = (y[i, 0] - eta[i, 0]) / sigma
            at = eta[i, 1] * cosh + e * sinh
            slope = log_share(at)[1]
            curvature = slope * (slope + at)
            direction[0] = -sinh / sigma
            direction[1] = cosh
            direction[2] = -sinh * e
            direction[3] = eta[i, 1] * sinh + e * cosh
            for a in range(size):
                for b in range(size):
                    out[i, a, b] = curvature * direction[a] * direction[b]
            out[i, 0, 0] += 1.0 / (sigma * sigma)
            out[i, 2, 2] += 2.0
        else:
            slope = log_share(-eta[i, 1])[1]
            out[i, 1, 1] = slope * (slope - eta[i, 1])
    return out


class SelectionLikelihood:
    """Normal outcome; linear predictors: outcome, selection, log σ, atanh ρ.

    Parameters
    ----------
    fixed_rho
        ρ where it is not estimated; the fourth linear predictor has no columns then.
    """

    equations = 4
    free = 0
    #: Linear predictors after outcome and selection.
    further = ("log_sigma", "atanh_rho")
    measure = "density"

    def __init__(self, fixed_rho: float | None = None) -> None:
        self.shift = 0.0 if fixed_rho is None else math.atanh(fixed_rho)

    def __call__(
        self, y: Array, eta: Array, positive: Array, free: Array
    ) -> tuple[float, Array, Array, Array]:
        """Log likelihood and its gradient; `y` holds value and whether it is seen, (row, 2)."""
        value, by_eta = _normal(y, np.ascontiguousarray(eta), self.shift)
        return value, by_eta, positive, free

    def information(self, y: Array, eta: Array, positive: Array, free: Array) -> Array:
        """Curvature of each row by η, (row, 4, 4)."""
        return np.asarray(_normal_information(y, np.ascontiguousarray(eta), self.shift))

    def prior(self, intercepts: Array, free: Array) -> tuple[float, Array, Array]:
        """Nothing: all parameters have normal or scale priors."""
        return 0.0, np.zeros(self.equations), free

    def log_density(self, y: Array, eta: Array, positive: Array, free: Array, unit: float) -> Array:
        """Log density of each seen value and its being seen, or of not being seen, (row,)."""
        t = eta[:, 3] + self.shift
        e = (y[:, 0] - eta[:, 0]) * np.exp(-eta[:, 2])
        share = log_ndtr(eta[:, 1] * np.cosh(t) + e * np.sinh(t))
        value = share - 0.5 * e * e - _LOG_ROOT_2_PI - eta[:, 2] - np.log(unit)
        return np.where(y[:, 1] > 0, value, self.log_selection(y, eta, positive))

    def log_selection(self, y: Array, eta: Array, positive: Array) -> Array:
        """Log probability of being seen where it is, and of not being seen elsewhere, (row,)."""
        return np.asarray(log_ndtr(np.where(y[:, 1] > 0, eta[:, 1], -eta[:, 1])))

    def draw(self, eta: Array, positive: Array, seen: Array, rng: np.random.Generator) -> Array:
        """Draw outcomes given whether each is seen (1), unseen (0), or neither known (NaN).

        The selection's error is drawn where it must lie, the outcome given it.
        """
        from bayesimpute.sampling.joint import draw_between

        ends = -eta[:, 1]
        lower = np.where(seen == 1, ends, -np.inf)
        upper = np.where(seen == 0, ends, np.inf)
        u = draw_between(lower, upper, rng)
        rho = np.tanh(eta[:, 3] + self.shift)
        e = rho * u + np.sqrt(1 - rho**2) * rng.normal(size=len(eta))
        return np.asarray(eta[:, 0] + np.exp(eta[:, 2]) * e)


@numba.njit(cache=True, error_model="numpy")
def _log_both(h: float, k: float, t: float, nodes: Array, weights: Array) -> tuple[float, Array]:
    """Logarithm of P(U < h, V < k) at correlation tanh t, and its gradient by h, k and t.

    The integral over the correlation's arc sine (Genz 2004, §2.3), split at equal angles; where
    cancellation would eat it, the tail of one given the other.
    """
    cosh, sinh = np.cosh(t), np.sinh(t)
    rho = np.tanh(t)
    # given h: V < k; given k: U < h
    log_h, slope_h = log_share(h)
    log_k, slope_k = log_share(k)
    angle = np.arcsin(rho)
    total = np.exp(log_h + log_k)
    for piece in range(4):
        for j in range(len(nodes)):
            theta = angle * (piece + 0.5 + 0.5 * nodes[j]) / 4.0
            s, c2 = np.sin(theta), np.cos(theta) ** 2
            density = np.exp(-(h * h + k * k - 2.0 * h * k * s) / (2.0 * c2))
            total += angle / 8.0 * weights[j] * density / (2.0 * np.pi)
    small = 1e-13
    gradient = np.empty(3)
    if total > small:
        value = np.log(total)
    else:
        # far in the tail: Φ of the smaller times Φ of the other at its mean there
        if h < k:
            value = log_h + log_share(k * cosh + slope_h * sinh)[0]
        else:
            value = log_k + log_share(h * cosh + slope_k * sinh)[0]
    # φ(h) Φ((k − ρh)/√(1 − ρ²)) and its mirror; by ρ the bivariate density
    log_density_h = -0.5 * h * h - _LOG_ROOT_2_PI
    log_density_k = -0.5 * k * k - _LOG_ROOT_2_PI
    gradient[0] = np.exp(log_density_h + log_share(k * cosh - h * sinh)[0] - value)
    gradient[1] = np.exp(log_density_k + log_share(h * cosh - k * sinh)[0] - value)
    away = k * cosh - h * sinh
    # bivariate density times dρ/dt = 1 − ρ²: φ(h) φ(away) / cosh t
    gradient[2] = np.exp(log_density_h - 0.5 * away * away - _LOG_ROOT_2_PI - value) / cosh
    return value, gradient


@numba.njit(cache=True, error_model="numpy")
def _log_both_each(h: Array, k: Array, t: Array, nodes: Array, weights: Array) -> Array:
    """Logarithm of P(U < h, V < k) at correlation tanh t for each row, (row,)."""
    out = np.empty(len(h))
    for i in range(len(h)):
        out[i] = _log_both(h[i], k[i], t[i], nodes, weights)[0]
    return out


@numba.njit(cache=True, error_model="numpy")
def _binary(
    y: Array, eta: Array, shift: float, nodes: Array, weights: Array
) -> tuple[float, Array]:
    value = 0.0
    by_eta = np.zeros(eta.shape)
    for i in range(len(eta)):
        if y[i, 1] > 0.0:
            sign = 1.0 if y[i, 0] > 0.5 else -1.0
            both, gradient = _log_both(
                sign * eta[i, 0], eta[i, 1], sign * (eta[i, 2] + shift), nodes, weights
            )
            value += both
            by_eta[i, 0] = sign * gradient[0]
            by_eta[i, 1] = gradient[1]
            by_eta[i, 2] = sign * gradient[2]
        else:
            share, slope = log_share(-eta[i, 1])
            value += share
            by_eta[i, 1] = -slope
    return value, by_eta


@numba.njit(cache=True, error_model="numpy")
def _binary_information(y: Array, eta: Array, shift: float, nodes: Array, weights: Array) -> Array:
    """Give the expected outer product of the scores, (row, 3, 3)."""
    rows, size = eta.shape
    out = np.zeros((rows, size, size))
    for i in range(rows):
        share, slope = log_share(-eta[i, 1])
        out[i, 1, 1] = np.exp(share) * slope * slope
        for outcome in range(2):
            sign = 2.0 * outcome - 1.0
            value, gradient = _log_both(
                sign * eta[i, 0], eta[i, 1], sign * (eta[i, 2] + shift), nodes, weights
            )
            gradient[0] *= sign
            gradient[2] *= sign
            for a in range(size):
                for b in range(size):
                    out[i, a, b] += np.exp(value) * gradient[a] * gradient[b]
    return out


class BinarySelectionLikelihood:
    """Probit outcome; linear predictors: outcome, selection, atanh ρ."""

    equations = 3
    free = 0
    further = ("atanh_rho",)
    measure = "probability"

    def __init__(self, fixed_rho: float | None = None) -> None:
        self.shift = 0.0 if fixed_rho is None else math.atanh(fixed_rho)
        self._nodes, self._weights = np.polynomial.legendre.leggauss(12)

    def __call__(
        self, y: Array, eta: Array, positive: Array, free: Array
    ) -> tuple[float, Array, Array, Array]:
        """Log likelihood and its gradient; `y` holds code and whether it is seen, (row, 2)."""
        eta = np.ascontiguousarray(eta)
        value, by_eta = _binary(y, eta, self.shift, self._nodes, self._weights)
        return value, by_eta, positive, free

    def information(self, y: Array, eta: Array, positive: Array, free: Array) -> Array:
        """Give the expected curvature of each row by η, (row, 3, 3)."""
        eta = np.ascontiguousarray(eta)
        return np.asarray(_binary_information(y, eta, self.shift, self._nodes, self._weights))

    def prior(self, intercepts: Array, free: Array) -> tuple[float, Array, Array]:
        """Nothing: all parameters have normal or scale priors."""
        return 0.0, np.zeros(self.equations), free

    def log_density(self, y: Array, eta: Array, positive: Array, free: Array, unit: float) -> Array:
        """Log probability of each seen code and its being seen, or of not being seen, (row,)."""
        seen = y[:, 1] > 0
        value = self.log_selection(y, eta, positive)
        sign = np.where(y[seen, 0] > 0.5, 1.0, -1.0)
        outcome, selection = sign * eta[seen, 0], np.ascontiguousarray(eta[seen, 1])
        t = sign * (eta[seen, 2] + self.shift)
        value[seen] = _log_both_each(outcome, selection, t, self._nodes, self._weights)
        return value

    def log_selection(self, y: Array, eta: Array, positive: Array) -> Array:
        """Log probability of being seen where it is, and of not being seen elsewhere, (row,)."""
        return np.asarray(log_ndtr(np.where(y[:, 1] > 0, eta[:, 1], -eta[:, 1])))

    def draw(self, eta: Array, positive: Array, seen: Array, rng: np.random.Generator) -> Array:
        """Draw codes given whether each is seen (1), unseen (0), or neither known (NaN)."""
        zeros = np.zeros(len(eta))
        continuous = SelectionLikelihood()
        continuous.shift = self.shift
        four = np.column_stack([eta[:, :2], zeros, eta[:, 2]])
        return (continuous.draw(four, positive, seen, rng) > 0).astype(np.float64)
