r"""Student-t conditional model: the normal model for data with outliers.

Model
-----
For row i in cluster j, with predictors and random slopes centred at their observed means,

.. math::
    y_{ij} = \text{intercept} + x_{ij}β + z_{ij} b_j + σ t_{ij},\quad
    b_j \sim N(0, \operatorname{diag}(sd)\,C\,\operatorname{diag}(sd)),\quad
    t_{ij} \sim \operatorname{Student}(ν)

An observation far from its mean pulls coefficients and effects less, the more so the smaller ν is
(Lange, Little & Taylor 1989); imputed values have the same tails.

Priors
------
Those of :mod:`bayesimpute.models.normal` for what it has (``intercept, beta, sd_<effect>,
correlation, sigma``), and ``nu`` ~ Gamma(2, 0.1) (Juárez & Steel 2010): mean 20, from Cauchy-like
to normal.

Draw
----
1. β, the b_j, σ, ν and the scales move by :mod:`bayesimpute.sampling.linear`.
2. A missing value is its mean plus σ times a Student-t draw.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numba
import numpy as np
from scipy.special import digamma, gammaln

from bayesimpute.data.table import Kind
from bayesimpute.method import Array, Design, Kernel, Words
from bayesimpute.sampling.gaussian import Units
from bayesimpute.sampling.generic import ModelKernel
from bayesimpute.sampling.linear_kernel import Family, linear_kernel
from bayesimpute.sampling.priors import attach
from bayesimpute.sampling.textbook import Defaults, linear_predictor


class Robust:
    """Student-t model of a numeric target.

    Options
    -------
    transitions, tune
        As for :class:`~bayesimpute.models.logistic.Logistic`.

    Examples
    --------
    >>> import bayesimpute as bi
    >>> method = {"weight": "normal.robust"}  # bi.impute(df, cluster="city", method=method)
    """

    words = Words(
        "normal.robust",
        "{y} = {predictor} + ε_{row},  ε_{row} ~ t(ν, 0, σ){effects}",
        "Values follow a Student t distribution, which allows for outliers, "
        "around a mean that depends linearly on {x}",
        "A missing value is drawn from that distribution.",
    )
    kinds = frozenset({Kind.NUMERIC})
    options: Mapping[str, Any] = MappingProxyType({"transitions": 4, "tune": 60})

    def model(self, design: Design, priors: Mapping[str, Any], options: Mapping[str, Any]) -> Any:
        """Build the textbook model on the rows with an observed target."""
        import pymc as pm

        units = Units.of(design)
        seen = design.rows(design.fit)
        with pm.Model(coords=design.coords) as model:
            y = pm.Data("y", seen.y, dims="row")
            mean = linear_predictor(seen, units, priors, Defaults())
            sigma = attach(priors.get("sigma", pm.HalfNormal.dist(units.scale_y)), "sigma")
            nu = attach(priors.get("nu", pm.Gamma.dist(2.0, 0.1)), "nu")
            pm.StudentT(
                f"{design.target}_observed", nu=nu, mu=mean, sigma=sigma, observed=y, dims="row"
            )
        return model

    def kernel(
        self, design: Design, priors: Mapping[str, Any], options: Mapping[str, Any]
    ) -> Kernel:
        """Kernel of the linear predictor, or the plain model's where the priors need it."""
        import pymc as pm

        units = Units.of(design)

        def values(eta: Array, positive: Array, free: Array, rng: np.random.Generator) -> Array:
            sigma, nu = positive
            drawn = eta[:, 0] + sigma * rng.standard_t(nu, size=len(eta))
            return np.asarray(units.centre_y + units.scale_y * drawn)

        family = Family(
            StudentLikelihood(),
            values,
            units,
            Defaults(),
            positive={"sigma": 1.0, "nu": pm.Gamma.dist(2.0, 0.1)},
            positive_units=(units.scale_y, 1.0),
        )
        kernel = linear_kernel(design, family, priors, options)
        return kernel or ModelKernel(self.model(design, priors, options), design, options)


class StudentLikelihood:
    """Numbers with Student-t errors; σ and ν are positive extras."""

    equations = 1
    free = 0
    measure = "density"

    def log_density(self, y: Array, eta: Array, positive: Array, free: Array, unit: float) -> Array:
        """Log density of each row, (row,)."""
        sigma, nu = positive
        r = (y - eta[:, 0]) / sigma
        constant = gammaln((nu + 1) / 2) - gammaln(nu / 2) - 0.5 * np.log(nu * np.pi)
        return np.asarray(constant - (nu + 1) / 2 * np.log1p(r * r / nu) - np.log(sigma * unit))

    def __call__(
        self, y: Array, eta: Array, positive: Array, free: Array
    ) -> tuple[float, Array, Array, Array]:
        """Log likelihood and its gradient."""
        sigma, nu = positive
        value, by_eta, by_sigma, by_nu = _log_student(y, eta, sigma, nu)
        n, half = len(y), (nu + 1) / 2
        value += n * (gammaln(half) - gammaln(nu / 2) - 0.5 * np.log(nu * np.pi))
        by_nu += n * 0.5 * (digamma(half) - digamma(nu / 2) - 1 / nu)
        return float(value), by_eta, np.array([by_sigma, by_nu]), free

    def information(self, y: Array, eta: Array, positive: Array, free: Array) -> Array:
        """Give the expected information, (ν + 1) / ((ν + 3) σ²)."""
        sigma, nu = positive
        return np.full((len(y), 1, 1), (nu + 1) / ((nu + 3) * sigma**2))

    def prior(self, intercepts: Array, free: Array) -> tuple[float, Array, Array]:
        """Nothing beyond the normal prior."""
        return 0.0, np.zeros_like(intercepts), free


@numba.njit(cache=True, error_model="numpy")
def _log_student(
    y: Array, eta: Array, sigma: float, nu: float
) -> tuple[float, Array, float, float]:
    """Log likelihood without the constants of ν; gradient by η, σ and ν."""
    value = 0.0
    by_eta = np.empty_like(eta)
    by_sigma = 0.0
    by_nu = 0.0
    for i in range(y.size):
        r = (y[i] - eta[i, 0]) / sigma
        log1 = np.log1p(r * r / nu)
        pull = (nu + 1.0) * r / (nu + r * r)
        value -= 0.5 * (nu + 1.0) * log1 + np.log(sigma)
        by_eta[i, 0] = pull / sigma
        by_sigma += (pull * r - 1.0) / sigma
        by_nu += 0.5 * (pull * r / nu - log1)
    return value, by_eta, by_sigma, by_nu
