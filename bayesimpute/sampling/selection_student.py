r"""Selection with heavy tails: errors of outcome and selection are bivariate Student t.

Both errors of a row are normal with variances divided by the same weight w ~ Gamma(ν/2, ν/2)
(Marchenko & Genton 2012, §3). Given w the row is one of the normal selection model with outcome
residual and selection predictor times √w. Without w, with :math:`a = (η_2 + ρe)/\sqrt{1-ρ^2}`,

.. math::
    p(y, \text{seen}) = \tfrac1σ t_ν(e)\,T_{ν+1}\Bigl(a \sqrt{\tfrac{ν+1}{ν+e^2}}\Bigr),\qquad
    P(\text{not seen}) = T_ν(-η_2)

(their eq. 6). So ν moves with the weights integrated out, which does not have to wait for 2,000
weights to agree, and the weights are drawn anew from their exact conditional after it.
"""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from scipy.special import gammaln, stdtr, stdtrit

from bayesimpute.sampling.selection import (
    DRAWN,
    UNSEEN,
    VALUE_ONLY,
    SelectionLikelihood,
)
from bayesimpute.sampling.slice import slice_step

Array = npt.NDArray[np.float64]

#: Width of the slice in which log ν moves; a guess, it costs evaluations and no correctness.
WIDTH = 1.0


class StudentSelectionLikelihood(SelectionLikelihood):
    """Student-t errors; ν is a positive extra, `y` holds value, what is known, and √w, (row, 3).

    Linear predictors are those of
    :class:`~bayesimpute.sampling.selection.SelectionLikelihood`.

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
