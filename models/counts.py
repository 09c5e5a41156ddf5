r"""Conditional models of counts: Poisson, and negative binomial for counts more dispersed.

Model
-----
For row i in cluster j, with predictors and random slopes centred at their observed means,

.. math::
    \log μ_{ij} = \text{intercept} + x_{ij}β + z_{ij} b_j,\quad
    b_j \sim N(0, \operatorname{diag}(sd)\,C\,\operatorname{diag}(sd))

    y_{ij} \sim \operatorname{Poisson}(μ_{ij})
    \quad\text{or}\quad
    y_{ij} \sim \operatorname{Poisson}(μ_{ij} g_{ij}),\;
    g_{ij} \sim \operatorname{Gamma}(\text{mean } 1, \text{SD } \text{overdispersion})

The second is the negative binomial with variance :math:`μ + μ^2 \text{overdispersion}^2`.

Priors
------
==================  ===========================================================
``intercept``       Normal(log of the mean of y, 2.5)
``beta``            Normal(0, 1 / s_x): an SD of a predictor hardly more than multiplies
                    the mean by e² or divides it by that
``sd_intercept``    HalfNormal(1)
``sd_<slope>``      HalfNormal(1 / s_x)
``correlation``     LKJCorr(eta=2)
``overdispersion``  HalfNormal(1): the SD of the multiplier g, near 0 for plain Poisson
==================  ===========================================================

Draw
----
1. β, the b_j, the scales and the overdispersion move by :mod:`bayesimpute.sampling.linear`.
2. A missing count is drawn from its distribution.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numba
import numpy as np
from scipy.special import gammaln

from bayesimpute.data.table import Kind
from bayesimpute.errors import SamplingError, SpecificationError
from bayesimpute.method import Array, Design, Kernel, Words
from bayesimpute.sampling.generic import ModelKernel
from bayesimpute.sampling.linear_kernel import Family, linear_kernel
from bayesimpute.sampling.priors import attach
from bayesimpute.sampling.textbook import Defaults, linear_predictor, plain_units

#: Largest expected count that is drawn; beyond, a prediction has left the data far behind.
LARGEST = 1e12


class Poisson:
    """Poisson model of a target that counts.

    Options
    -------
    transitions, tune
        As for :class:`~bayesimpute.models.logistic.Logistic`.

    Examples
    --------
    >>> import bayesimpute as bi
    >>> method = {"visits": "poisson"}  # bi.impute(df, cluster="practice", method=method)
    """

    words = Words(
        "poisson",
        "{y} ~ Poisson(μ_{row}),  log μ_{row} = {predictor}{effects}",
        "Counts follow a Poisson distribution; the logarithm of its mean depends linearly on {x}",
        "A missing count is drawn from that distribution.",
    )
    kinds = frozenset({Kind.NUMERIC})
    options: Mapping[str, Any] = MappingProxyType({"transitions": 4, "tune": 60})

    def model(self, design: Design, priors: Mapping[str, Any], options: Mapping[str, Any]) -> Any:
        """Build the textbook model on the rows with an observed target."""
        import pymc as pm

        seen = design.rows(design.fit)
        with pm.Model(coords=design.coords) as model:
            y = pm.Data("y", seen.y.astype(np.int64), dims="row")
            eta = linear_predictor(seen, plain_units(design), priors, _defaults(design))
            pm.Poisson(f"{design.target}_observed", pm.math.exp(eta), observed=y, dims="row")
        return model

    def kernel(
        self, design: Design, priors: Mapping[str, Any], options: Mapping[str, Any]
    ) -> Kernel:
        """Kernel of the linear predictor, or the plain model's where the priors need it.

        Raises
        ------
        SpecificationError
            If an observed value is no count.
        """
        check_counts(design)
        family = Family(
            PoissonLikelihood(), _poisson_values, plain_units(design), _defaults(design)
        )
        kernel = linear_kernel(design, family, priors, options)
        return kernel or ModelKernel(self.model(design, priors, options), design, options)


class NegativeBinomial:
    """Negative binomial model of a target that counts, more dispersed than Poisson.

    Options
    -------
    transitions, tune
        As for :class:`~bayesimpute.models.logistic.Logistic`.

    Examples
    --------
    >>> import bayesimpute as bi
    >>> method = {"visits": "negative_binomial"}  # bi.impute(df, method=method)
    """

    words = Words(
        "negative_binomial",
        "{y} ~ NegativeBinomial(μ_{row}, φ),  log μ_{row} = {predictor}{effects}",
        "Counts vary more than a Poisson distribution lets them (negative "
        "binomial); the logarithm of the mean depends linearly on {x}",
        "A missing count is drawn from that distribution.",
    )
    kinds = frozenset({Kind.NUMERIC})
    options: Mapping[str, Any] = MappingProxyType({"transitions": 4, "tune": 60})

    def model(self, design: Design, priors: Mapping[str, Any], options: Mapping[str, Any]) -> Any:
        """Build the textbook model on the rows with an observed target."""
        import pymc as pm

        seen = design.rows(design.fit)
        with pm.Model(coords=design.coords) as model:
            y = pm.Data("y", seen.y.astype(np.int64), dims="row")
            eta = linear_predictor(seen, plain_units(design), priors, _defaults(design))
            prior = priors.get("overdispersion", pm.HalfNormal.dist(1.0))
            overdispersion = attach(prior, "overdispersion")
            pm.NegativeBinomial(
                f"{design.target}_observed",
                mu=pm.math.exp(eta),
                alpha=overdispersion**-2,
                observed=y,
                dims="row",
            )
        return model

    def kernel(
        self, design: Design, priors: Mapping[str, Any], options: Mapping[str, Any]
    ) -> Kernel:
        """Kernel of the linear predictor, or the plain model's where the priors need it.

        Raises
        ------
        SpecificationError
            If an observed value is no count.
        """
        check_counts(design)
        family = Family(
            NegativeBinomialLikelihood(),
            _negative_binomial_values,
            plain_units(design),
            _defaults(design),
            positive={"overdispersion": 1.0},
            positive_units=(1.0,),
        )
        kernel = linear_kernel(design, family, priors, options)
        return kernel or ModelKernel(self.model(design, priors, options), design, options)


def check_counts(design: Design) -> None:
    """Refuse observed values that are no counts.

    Raises
    ------
    SpecificationError
        Naming one of them.
    """
    y = design.y[design.fit]
    bad = (y < 0) | (y != np.round(y))
    if bad.any():
        raise SpecificationError(
            f"{design.target!r} has {int(bad.sum())} observed value(s) that are no counts, such as "
            f"{y[bad][0]:g}; models for counts need whole numbers from 0. Use 'pmm' or 'normal'."
        )


def _defaults(design: Design) -> Defaults:
    mean = float(design.y[design.fit].mean())
    return Defaults(intercept_mean=float(np.log(max(mean, 0.1))), beta_sd=1.0)


class PoissonLikelihood:
    """Counts by a log mean; no further parameters."""

    equations = 1
    free = 0
    measure = "probability"

    def log_density(self, y: Array, eta: Array, positive: Array, free: Array, unit: float) -> Array:
        """Log probability of each row's count, (row,)."""
        mean = np.exp(np.minimum(eta[:, 0], 700.0))
        return np.asarray(y * eta[:, 0] - mean - gammaln(y + 1))

    def __call__(
        self, y: Array, eta: Array, positive: Array, free: Array
    ) -> tuple[float, Array, Array, Array]:
        """Log likelihood (without the constant log y!) and its gradient."""
        mean = np.exp(np.minimum(eta[:, 0], 700.0))
        value = float(y @ eta[:, 0] - mean.sum())
        return value, (y - mean)[:, None], positive, free

    def information(self, y: Array, eta: Array, positive: Array, free: Array) -> Array:
        """Give μ."""
        return np.asarray(np.exp(np.minimum(eta, 50.0)))[:, :, None]

    def prior(self, intercepts: Array, free: Array) -> tuple[float, Array, Array]:
        """Nothing beyond the normal prior."""
        return 0.0, np.zeros_like(intercepts), free


class NegativeBinomialLikelihood:
    """Counts by a log mean and an overdispersion."""

    equations = 1
    free = 0
    measure = "probability"

    def log_density(self, y: Array, eta: Array, positive: Array, free: Array, unit: float) -> Array:
        """Log probability of each row's count, (row,)."""
        size = positive[0] ** -2
        ratio = np.log1p(np.exp(np.minimum(eta[:, 0], 700.0)) / size)
        # Γ(y + size) / Γ(size) / size^y as a sum over 0 … y − 1, exact for large sizes
        steps = np.log1p(np.arange(int(y.max(initial=0))) / size)
        rising = np.append(0.0, np.cumsum(steps))[y.astype(np.int64)]
        return np.asarray(y * eta[:, 0] - (y + size) * ratio + rising - gammaln(y + 1))

    def __call__(
        self, y: Array, eta: Array, positive: Array, free: Array
    ) -> tuple[float, Array, Array, Array]:
        """Log likelihood (without the constant log y!) and its gradient."""
        value, by_eta, by_size = _log_negative_binomial(y, eta, positive[0] ** -2)
        return value, by_eta, np.array([-2.0 * by_size * positive[0] ** -3]), free

    def information(self, y: Array, eta: Array, positive: Array, free: Array) -> Array:
        """Give μ / (1 + μ overdispersion²)."""
        mean = np.exp(np.minimum(eta, 50.0))
        return np.asarray(mean / (1 + mean * positive[0] ** 2))[:, :, None]

    def prior(self, intercepts: Array, free: Array) -> tuple[float, Array, Array]:
        """Nothing beyond the normal prior."""
        return 0.0, np.zeros_like(intercepts), free


def _mean(eta: Array) -> Array:
    top = float(eta.max(initial=-np.inf))
    if top > np.log(LARGEST):
        raise SamplingError(
            f"a missing count is expected near e^{top:.0f}: the log-linear model extrapolates far "
            "beyond the data there; check the predictors, use tighter priors, or use 'pmm'"
        )
    return np.exp(eta[:, 0])


def _poisson_values(eta: Array, positive: Array, free: Array, rng: np.random.Generator) -> Array:
    return rng.poisson(_mean(eta)).astype(np.float64)


def _negative_binomial_values(
    eta: Array, positive: Array, free: Array, rng: np.random.Generator
) -> Array:
    shape = max(positive[0], 1e-6) ** -2
    mean = np.minimum(_mean(eta) * rng.gamma(shape, 1 / shape, size=len(eta)), 1e18)
    return rng.poisson(mean).astype(np.float64)


@numba.njit(cache=True, error_model="numpy")
def _log_negative_binomial(y: Array, eta: Array, size: float) -> tuple[float, Array, float]:
    """Log likelihood, gradient by η, derivative by size = 1 / overdispersion²."""
    # log Γ(y + size) − log Γ(size) as a sum over 0 … y − 1, exact for large sizes; all rows need
    # the same sums, so they are tabulated up to the largest count
    largest = int(y.max()) if y.size else 0
    log_rising = np.zeros(largest + 1)
    rising = np.zeros(largest + 1)
    for k in range(largest):
        log_rising[k + 1] = log_rising[k] + np.log1p(k / size)
        rising[k + 1] = rising[k] + 1.0 / (size + k) - 1.0 / size
    value = 0.0
    by_eta = np.empty_like(eta)
    by_size = 0.0
    for i in range(y.size):
        mean = np.exp(min(eta[i, 0], 700.0))
        ratio = mean / size
        k = int(y[i])
        # y log μ − (y + size) log(1 + μ / size) + Σ log(1 + k / size)
        log1 = np.log1p(ratio)
        value += y[i] * eta[i, 0] - (y[i] + size) * log1 + log_rising[k]
        by_eta[i, 0] = (y[i] - mean) / (1.0 + ratio)
        by_size += rising[k] - log1 + (y[i] + size) * ratio / (size * (1.0 + ratio))
    return value, by_eta, by_size
