r"""Likelihood of a value that is seen only where a second, correlated normal variable is positive.

Each row has four linear predictors: of the outcome, of the selection, of log σ and of atanh ρ.
With :math:`e = (y - η_1)/σ`, :math:`t = η_4` and so :math:`ρ = \tanh t`, :math:`1/\sqrt{1-ρ^2} =
\cosh t`,

.. math::
    p(y, \text{seen}) = \tfrac1σ φ(e)\,Φ(η_2 \cosh t + e \sinh t),\qquad
    P(\text{not seen}) = Φ(-η_2)

(Heckman 1974; Toomet & Henningsen 2008, eq. 10). A value that is not seen may be drawn all the
same together with other models in which it stands; then

.. math::
    p(y, \text{not seen}) = \tfrac1σ φ(e)\,Φ(-η_2 \cosh t - e \sinh t).
"""

import math
from collections.abc import Callable

import numba
import numpy as np
import numpy.typing as npt
from scipy.special import gammaln, log_ndtr, stdtr, stdtrit

from bayesimpute.sampling.linear_parts import OneEquation
from bayesimpute.sampling.slice import slice_step
from bayesimpute.sampling.tails import LOG_ROOT_2_PI, draw_between, log_share

Array = npt.NDArray[np.float64]

#: Numbers every call of a compiled function gets and gives, see
#: :class:`~bayesimpute.sampling.linear_parts.Likelihood`.
Arguments = tuple[Array, Array, Array, Array]

#: What is known of a row: its value and that it is seen; only that it is not seen; a value though
#: it is not seen; a value where being seen or not says nothing.
SEEN, UNSEEN, DRAWN, VALUE_ONLY = 1.0, 0.0, -1.0, 2.0


@numba.njit(cache=True, error_model="numpy", nogil=True)
def selection_density(arguments: Arguments) -> tuple[Array, Array, Array]:
    """Log likelihood and gradient; columns are value, what is known of its row, and √w of the row.

    Without heavy tails √w is 1. The one constant is added to atanh ρ.
    """
    columns, eta, extra, constants = arguments
    shift = constants[0]
    value = 0.0
    by_eta = np.zeros(eta.shape)
    # σ and ρ are those of a cluster, and its rows stand together
    at_sigma, at_rho = np.nan, np.nan
    sigma, sinh, cosh = 1.0, 0.0, 1.0
    for i in range(eta.shape[1]):
        root, known = columns[2, i], columns[1, i]
        if known != UNSEEN:
            if eta[2, i] != at_sigma:
                at_sigma = eta[2, i]
                sigma = np.exp(at_sigma)
            if eta[3, i] != at_rho:
                at_rho = eta[3, i]
                sinh, cosh = np.sinh(at_rho + shift), np.cosh(at_rho + shift)
            e = root * (columns[0, i] - eta[0, i]) / sigma
            selection = root * eta[1, i]
            share, slope = 0.0, 0.0
            if known != VALUE_ONLY:
                share, slope = log_share(known * (selection * cosh + e * sinh))
                slope *= known
            value += share - 0.5 * e * e - eta[2, i]
            by_eta[0, i] = root * (e - slope * sinh) / sigma
            by_eta[1, i] = root * slope * cosh
            by_eta[2, i] = e * e - 1.0 - slope * sinh * e
            by_eta[3, i] = slope * (selection * sinh + e * cosh)
        else:
            share, slope = log_share(-root * eta[1, i])
            value += share
            by_eta[1, i] = -root * slope
    return np.full((), value), by_eta, np.zeros(extra.size)


#: Nodes of the quadrature over a residual of the outcome.
NODES = 8


@numba.njit(cache=True, error_model="numpy", nogil=True)
def selection_information(arguments: Arguments) -> tuple[Array]:
    """Give the expected outer product of the scores; constants hold nodes and weights after shift.

    The residual and, unless a value is all that is known, being seen or not are integrated out: the
    information that their observed values let a row have on ρ is far too optimistic. With heavy
    tails (ν is the first extra) at the weight that the row's residual lets expect.
    """
    columns, eta, extra, constants = arguments
    order = (constants.size - 1) // 2
    shift, nodes, weights = constants[0], constants[1 : order + 1], constants[order + 1 :]
    size, rows = eta.shape
    out = np.zeros((size, size, rows))
    score = np.zeros(size)
    for i in range(rows):
        known = columns[1, i]
        sigma, root = np.exp(eta[2, i]), 1.0
        if extra.size > 0:
            away = (columns[0, i] - eta[0, i]) / sigma if known != UNSEEN else 1.0
            root = np.sqrt((extra[0] + 1.0) / (extra[0] + away * away))
        if known == VALUE_ONLY:
            out[0, 0, i], out[2, 2, i] = root * root / (sigma * sigma), 2.0
            continue
        t, selection = eta[3, i] + shift, root * eta[1, i]
        sinh, cosh = np.sinh(t), np.cosh(t)
        if known != DRAWN:
            share, slope = log_share(-selection)
            out[1, 1, i] = np.exp(share) * (root * slope) ** 2
        for k in range(order):
            e = nodes[k]
            for turn in range(2 if known == DRAWN else 1):
                sign = 1.0 - 2.0 * turn
                share, slope = log_share(sign * (selection * cosh + e * sinh))
                slope *= sign
                score[0] = root * (e - slope * sinh) / sigma
                score[1] = root * slope * cosh
                score[2] = e * e - 1.0 - slope * sinh * e
                score[3] = slope * (selection * sinh + e * cosh)
                chance = weights[k] * np.exp(share)
                for a in range(size):
                    for b in range(size):
                        out[a, b, i] += chance * score[a] * score[b]
    return (out,)


class SelectionLikelihood(OneEquation):
    """Normal outcome; linear predictors: outcome, selection, log σ, atanh ρ.

    Parameters
    ----------
    fixed_rho
        ρ where it is not estimated; the fourth linear predictor has no columns then.
    """

    equations = 4
    #: Linear predictors after outcome and selection.
    further: tuple[str, ...] = ("log_sigma", "atanh_rho")
    measure = "density"
    density = staticmethod(selection_density)
    information = staticmethod(selection_information)

    def __init__(self, fixed_rho: float | None = None) -> None:
        self.shift = 0.0 if fixed_rho is None else math.atanh(fixed_rho)
        nodes, weights = np.polynomial.hermite_e.hermegauss(NODES)
        self.constants = np.concatenate([[self.shift], nodes, weights / weights.sum()])

    def log_density(self, y: Array, eta: Array, positive: Array, free: Array, unit: float) -> Array:
        """Log density of what is known of each row: of its value, and of being seen or not."""
        t, known = eta[:, 3] + self.shift, y[:, 1]
        e = (y[:, 0] - eta[:, 0]) * np.exp(-eta[:, 2])
        share = log_ndtr(known * (eta[:, 1] * np.cosh(t) + e * np.sinh(t)))
        value = np.where(known == VALUE_ONLY, 0.0, share)
        value = value - 0.5 * e * e - LOG_ROOT_2_PI - eta[:, 2] - np.log(unit)
        return np.where(known == UNSEEN, self.log_selection(y, eta, positive), value)

    def log_selection(self, y: Array, eta: Array, positive: Array) -> Array:
        """Log probability of being seen where it is, and of not being seen elsewhere, (row,)."""
        known = y[:, 1]
        share = self.log_chance(np.where(known == SEEN, eta[:, 1], -eta[:, 1]), positive)
        return np.where(known == VALUE_ONLY, 0.0, share)

    def log_chance(self, at: Array, positive: Array) -> Array:
        """Log probability that an error of the selection is below `at`, (row,)."""
        return np.asarray(log_ndtr(at))

    def draw(self, eta: Array, positive: Array, seen: Array, rng: np.random.Generator) -> Array:
        """Draw outcomes given whether each is seen (1), unseen (0), or neither known (NaN).

        The selection's error is drawn where it must lie, the outcome given it.
        """
        ends = -eta[:, 1]
        lower = np.where(seen == 1, ends, -np.inf)
        upper = np.where(seen == 0, ends, np.inf)
        u = draw_between(lower, upper, rng)
        rho = np.tanh(eta[:, 3] + self.shift)
        e = rho * u + np.sqrt(1 - rho**2) * rng.normal(size=len(eta))
        return np.asarray(eta[:, 0] + np.exp(eta[:, 2]) * e)


@numba.njit(cache=True, error_model="numpy", nogil=True)
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
    log_density_h = -0.5 * h * h - LOG_ROOT_2_PI
    log_density_k = -0.5 * k * k - LOG_ROOT_2_PI
    gradient[0] = np.exp(log_density_h + log_share(k * cosh - h * sinh)[0] - value)
    gradient[1] = np.exp(log_density_k + log_share(h * cosh - k * sinh)[0] - value)
    away = k * cosh - h * sinh
    # bivariate density times dρ/dt = 1 − ρ²: φ(h) φ(away) / cosh t
    gradient[2] = np.exp(log_density_h - 0.5 * away * away - LOG_ROOT_2_PI - value) / cosh
    return value, gradient


@numba.njit(cache=True, error_model="numpy", nogil=True)
def _log_both_each(h: Array, k: Array, t: Array, nodes: Array, weights: Array) -> Array:
    """Logarithm of P(U < h, V < k) at correlation tanh t for each row, (row,)."""
    out = np.empty(len(h))
    for i in range(len(h)):
        out[i] = _log_both(h[i], k[i], t[i], nodes, weights)[0]
    return out


@numba.njit(cache=True, error_model="numpy", nogil=True)
def binary_density(arguments: Arguments) -> tuple[Array, Array, Array]:
    """Log likelihood and gradient; columns are code and what is known of its row.

    Constants: what is added to atanh ρ, then nodes and weights of the quadrature.
    """
    columns, eta, extra, constants = arguments
    order = (constants.size - 1) // 2
    shift, nodes, weights = constants[0], constants[1 : order + 1], constants[order + 1 :]
    value = 0.0
    by_eta = np.zeros(eta.shape)
    for i in range(eta.shape[1]):
        known = columns[1, i]
        sign = 1.0 if columns[0, i] > 0.5 else -1.0
        if known == VALUE_ONLY:
            share, slope = log_share(sign * eta[0, i])
            value += share
            by_eta[0, i] = sign * slope
        elif known != UNSEEN:
            turn = sign * known
            both, gradient = _log_both(
                sign * eta[0, i], known * eta[1, i], turn * (eta[2, i] + shift), nodes, weights
            )
            value += both
            by_eta[0, i] = sign * gradient[0]
            by_eta[1, i] = known * gradient[1]
            by_eta[2, i] = turn * gradient[2]
        else:
            share, slope = log_share(-eta[1, i])
            value += share
            by_eta[1, i] = -slope
    return np.full((), value), by_eta, np.zeros(extra.size)


@numba.njit(cache=True, error_model="numpy", nogil=True)
def binary_information(arguments: Arguments) -> tuple[Array]:
    """Give the expected outer product of the scores."""
    _, eta, _, constants = arguments
    order = (constants.size - 1) // 2
    shift, nodes, weights = constants[0], constants[1 : order + 1], constants[order + 1 :]
    size, rows = eta.shape
    out = np.zeros((size, size, rows))
    for i in range(rows):
        share, slope = log_share(-eta[1, i])
        out[1, 1, i] = np.exp(share) * slope * slope
        for outcome in range(2):
            sign = 2.0 * outcome - 1.0
            value, gradient = _log_both(
                sign * eta[0, i], eta[1, i], sign * (eta[2, i] + shift), nodes, weights
            )
            gradient[0] *= sign
            gradient[2] *= sign
            for a in range(size):
                for b in range(size):
                    out[a, b, i] += np.exp(value) * gradient[a] * gradient[b]
    return (out,)


class BinarySelectionLikelihood(SelectionLikelihood):
    """Probit outcome; linear predictors: outcome, selection, atanh ρ."""

    equations = 3
    further = ("atanh_rho",)
    measure = "probability"
    density = staticmethod(binary_density)
    information = staticmethod(binary_information)

    def __init__(self, fixed_rho: float | None = None) -> None:
        super().__init__(fixed_rho)
        self._nodes, self._weights = np.polynomial.legendre.leggauss(12)
        self.constants = np.concatenate([[self.shift], self._nodes, self._weights])

    def log_density(self, y: Array, eta: Array, positive: Array, free: Array, unit: float) -> Array:
        """Log probability of what is known of each row: its code, and being seen or not."""
        known, sign = y[:, 1], np.where(y[:, 0] > 0.5, 1.0, -1.0)
        alone = log_ndtr(sign * eta[:, 0])
        value = np.where(known == VALUE_ONLY, alone, self.log_selection(y, eta, positive))
        both = (known == SEEN) | (known == DRAWN)
        outcome, selection = (sign * eta[:, 0])[both], (known * eta[:, 1])[both]
        t = (sign * known * (eta[:, 2] + self.shift))[both]
        value[both] = _log_both_each(outcome, selection, t, self._nodes, self._weights)
        return value

    def draw(self, eta: Array, positive: Array, seen: Array, rng: np.random.Generator) -> Array:
        """Draw codes given whether each is seen (1), unseen (0), or neither known (NaN)."""
        four = np.column_stack([eta[:, :2], np.zeros(len(eta)), eta[:, 2]])
        return (super().draw(four, positive, seen, rng) > 0).astype(np.float64)


#: Width of the slice in which log ν moves; a guess, it costs evaluations and no correctness.
WIDTH = 1.0


class StudentSelectionLikelihood(SelectionLikelihood):
    r"""Student-t errors; ν is a positive extra, `y` holds value, what is known, and √w, (row, 3).

    Linear predictors are those of :class:`SelectionLikelihood`. Both errors of a row are normal
    with variances divided by the same weight w ~ Gamma(ν/2, ν/2) (Marchenko & Genton 2012, §3).
    Given w the row is one of the normal selection model with outcome residual and selection
    predictor times √w. Without w, with :math:`a = (η_2 + ρe)/\sqrt{1-ρ^2}`,

    .. math::
        p(y, \text{seen}) = \tfrac1σ t_ν(e)\,T_{ν+1}\Bigl(a \sqrt{\tfrac{ν+1}{ν+e^2}}\Bigr),\qquad
        P(\text{not seen}) = T_ν(-η_2)

    (their eq. 6). So ν moves with the weights integrated out, which does not have to wait for 2,000
    weights to agree, and the weights are drawn anew from their exact conditional after it.

    Parameters
    ----------
    fixed_rho
        ρ where it is not estimated.
    """

    def refresh(
        self,
        y: Array,
        eta: Array,
        positive: Array,
        log_prior: Callable[[Array], tuple[float, Array]],
        rng: np.random.Generator,
    ) -> tuple[Array, Array]:
        """Move ν without the weights, then draw them: both given the linear predictors.

        Parameters
        ----------
        y
            (row, 3).
        eta
            Linear predictors, (row, 4).
        positive
            Unconstrained value of ν, (1,).
        log_prior
            Of unconstrained values: log prior with Jacobian, and the parameters.
        rng
            Of this move.

        Returns
        -------
        positive
            New unconstrained value, (1,).
        y
            With new weights, (row, 3).
        """

        def log_density(at: float) -> float:
            value, (nu,) = log_prior(np.array([at]))
            # beyond, t and normal cannot be told apart, and ν + 1 is ν
            return value + self.marginal(y, eta, nu) if 1e-3 < nu < 1e8 else -np.inf

        moved = np.array([slice_step(log_density, float(positive[0]), WIDTH, rng)])
        (nu,) = log_prior(moved)[1]
        return moved, np.column_stack([y[:, :2], np.sqrt(self.weights(y, eta, nu, rng))])

    def _standard(self, y: Array, eta: Array) -> tuple[npt.NDArray[np.bool_], Array, Array]:
        """Whether each row has a value, its residual in units of σ (0 without), and ρ."""
        valued = y[:, 1] != UNSEEN
        e = np.where(valued, (y[:, 0] - eta[:, 0]) * np.exp(-eta[:, 2]), 0.0)
        return valued, e, np.tanh(eta[:, 3] + self.shift)

    def marginal(self, y: Array, eta: Array, nu: float) -> float:
        """Log likelihood without the weights, up to what does not depend on ν."""
        valued, e, rho = self._standard(y, eta)
        e, rho = e[valued], rho[valued]
        a = (eta[valued, 1] + rho * e) / np.sqrt(1 - rho**2)
        constant = gammaln((nu + 1) / 2) - gammaln(nu / 2) - 0.5 * np.log(nu * np.pi)
        value = len(e) * constant - (nu + 1) / 2 * np.log1p(e * e / nu).sum()
        known = y[valued, 1]
        share = _log_chance(nu + 1, known * a * np.sqrt((nu + 1) / (nu + e * e)))
        value += share[known != VALUE_ONLY].sum()
        value += _log_chance(np.full(int((~valued).sum()), nu), -eta[~valued, 1]).sum()
        return float(value)

    def log_density(self, y: Array, eta: Array, positive: Array, free: Array, unit: float) -> Array:
        """Log density of what is known of each row: of its value, and of being seen or not.

        Without the weights, so that of each row only its own value has been used.
        """
        (nu,) = positive
        known = y[:, 1]
        valued, e, rho = self._standard(y, eta)
        a = (eta[:, 1] + rho * e) / np.sqrt(1 - rho**2)
        value = gammaln((nu + 1) / 2) - gammaln(nu / 2) - 0.5 * np.log(nu * np.pi)
        value = value - (nu + 1) / 2 * np.log1p(e * e / nu) - eta[:, 2] - np.log(unit)
        share = _log_chance(nu + 1, known * a * np.sqrt((nu + 1) / (nu + e * e)))
        value = value + np.where(known == VALUE_ONLY, 0.0, share)
        return np.where(valued, value, self.log_selection(y, eta, positive))

    def log_chance(self, at: Array, positive: Array) -> Array:
        """Log probability that an error of the selection is below `at`, (row,)."""
        return _log_chance(positive[0], at)

    def weights(self, y: Array, eta: Array, nu: float, rng: np.random.Generator) -> Array:
        """Draw the weight of each row given everything else, (row,).

        The selection's error is drawn where it must lie, from the t distribution it has without
        the weight; given both errors the weight is Gamma.
        """
        known = y[:, 1]
        valued, e, rho = self._standard(y, eta)
        # of a row with a value given its residual: t with ν + 1, location ρe
        df = np.where(valued, nu + 1, nu)
        rest = 1 - rho**2
        scale = np.where(valued, np.sqrt(rest * (nu + e * e) / (nu + 1)), 1.0)
        location = np.where(valued, rho * e, 0.0)
        above = np.where(known == DRAWN, 0.0, np.where(known == VALUE_ONLY, np.nan, known))
        u = between(df, location, scale, above, -eta[:, 1], rng)
        square = np.where(valued, (e * e - 2 * rho * e * u + u * u) / rest, u * u)
        shape = np.where(valued, nu + 2, nu + 1) / 2
        return np.asarray(rng.gamma(shape) * 2 / (nu + square))

    def draw(self, eta: Array, positive: Array, seen: Array, rng: np.random.Generator) -> Array:
        """Draw outcomes given whether each is seen (1), unseen (0), or neither known (NaN).

        Given the selection's error u the outcome's is t with ν + 1 degrees of freedom, location ρu
        and squared scale (1 − ρ²)(ν + u²)/(ν + 1).
        """
        (nu,) = positive
        n = len(eta)
        u = between(np.full(n, nu), np.zeros(n), np.ones(n), seen, -eta[:, 1], rng)
        rho = np.tanh(eta[:, 3] + self.shift)
        scale = np.sqrt((1 - rho**2) * (nu + u * u) / (nu + 1))
        e = rho * u + scale * rng.standard_t(nu + 1, size=n)
        return np.asarray(eta[:, 0] + np.exp(eta[:, 2]) * e)


def between(
    df: Array, location: Array, scale: Array, above: Array, end: Array, rng: np.random.Generator
) -> Array:
    """Draw Student t variables above (1) or below (0) an end, or anywhere (NaN), (row,)."""
    # the upper part is the lower one of the mirrored variable: small chances keep their digits
    sign = np.where(above == 1, -1.0, 1.0)
    top = np.where(np.isnan(above), np.inf, sign * (end - location) / scale)
    chance = stdtr(df, top) * (1.0 - rng.random(len(df)))
    return np.asarray(location + sign * scale * stdtrit(df, np.maximum(chance, 1e-300)))


def _log_chance(df: Array | float, x: Array) -> Array:
    """Logarithm of the t distribution function, finite where the function underflows.

    With many degrees of freedom and a row far out it does, and a slice through −∞ has no end.
    """
    return np.log(np.maximum(stdtr(df, x), 1e-300))
