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
``sd_<slope>``      HalfNormal(0.5 / s_x)
``correlation``     LKJCorr(eta=2)
``overdispersion``  HalfNormal(1): the SD of the multiplier g, near 0 for plain Poisson
==================  ===========================================================

Draw
----
1. β, the b_j, the scales and the overdispersion move by :mod:`bayesimpute.sampling.linear`.
2. A missing count is drawn from its distribution.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numba
import numpy as np
from numba.extending import register_jitable
from scipy.special import gammaln

from bayesimpute.data.table import Kind
from bayesimpute.errors import SamplingError, SpecificationError
from bayesimpute.method import Array, Design, Words
from bayesimpute.sampling.compiled import part_of
from bayesimpute.sampling.linear_model import LinearModel, calm_priors
from bayesimpute.sampling.linear_parts import OneEquation
from bayesimpute.sampling.textbook import Defaults
from bayesimpute.sampling.variance_shares import VarianceShare, share_counts

#: A mean so many times that of the data is not drawn from: the model has left them far behind.
FAR = 1e12
#: Nor is a count that is larger.
LARGEST = 1e18
#: Counts up to this have their sums of logarithms from a table.
TABULATED = 4096.0


class LogLinear(LinearModel):
    """What the models share in which the logarithm of the mean is linear."""

    kinds = frozenset({Kind.NUMERIC})
    support = (0.0, np.inf)
    #: Smallest mean around which the intercept's prior is centred.
    least_mean = 0.0

    def limit(self, design: Design) -> float:
        """Largest mean that is drawn from; beyond, a prediction has left the data far behind."""
        return FAR * float(design.y[design.fit].mean())

    def defaults(self, design: Design) -> Defaults:
        """Centre the intercept at the logarithm of the mean."""
        mean = max(float(design.y[design.fit].mean()), self.least_mean)
        return Defaults(intercept_mean=float(np.log(mean)), beta_sd=1.0)

    def values(
        self, likelihood: Any, design: Design, options: Mapping[str, Any], units: Any
    ) -> Callable[..., Any]:
        """Draw values, unless the model is asked for impossible ones."""
        limit = float(np.log(self.limit(design)))

        def drawn(eta: Array, *given: Any) -> Array:
            top = float(eta.max(initial=-np.inf))
            if top > limit:
                raise SamplingError(
                    f"a missing value is expected near e^{top:.0f}: the log-linear model "
                    "extrapolates far beyond the data there; check the predictors, use tighter "
                    "priors, or use 'pmm'"
                )
            return np.asarray(likelihood.values(eta, *given))

        return drawn


class _Counts(LogLinear):
    """What the models of counts share."""

    share = VarianceShare(share_counts, "on the log scale")
    least_mean = 0.1

    def limit(self, design: Design) -> float:
        """Largest count that is drawn, however small those seen; NumPy has a largest, too."""
        return min(max(super().limit(design), FAR), LARGEST)

    def calibration(self, data: str) -> Mapping[str, Any]:
        """Give typical counts, and priors under which they stay in the hundreds everywhere."""
        return {"typical": (0, 0, 1, 1, 2, 3, 4, 6, 9, 14), "priors": calm_priors(data, 1.0, 0.5)}

    def check(self, design: Design, options: Mapping[str, Any]) -> None:
        """Refuse observed values that are no counts."""
        check_counts(design)


class Poisson(_Counts):
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
        r"$y \sim \operatorname{Poisson}(μ_$row) \\ \log\;μ_$row = $predictor \\ $effects",
        "Counts follow a Poisson distribution; the logarithm of its mean depends linearly on {x}",
        "A missing count is drawn from that distribution.",
        name="Poisson regression",
    )

    fitted_as = "poisson"

    @staticmethod
    def distribution(eta: Any) -> Any:
        """Give counts by the logarithm of their mean."""
        import pymc as pm

        return pm.Poisson.dist(pm.math.exp(eta))


class NegativeBinomial(_Counts):
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
        r"$y \sim \operatorname{Poisson}(μ_$row\,g_$row) \\ "
        r"g_$row \sim \operatorname{Gamma}(\text{mean 1}, \text{SD φ}) \\ "
        r"\log\;μ_$row = $predictor \\ $effects",
        "Counts vary more than a Poisson distribution lets them (negative "
        "binomial); the logarithm of the mean depends linearly on {x}",
        "A missing count is drawn from that distribution.",
        name="negative binomial regression",
    )

    @staticmethod
    def distribution(eta: Any, overdispersion: Any) -> Any:
        """Give counts by the logarithm of their mean, and the SD of what multiplies it."""
        import pymc as pm

        return pm.NegativeBinomial.dist(mu=pm.math.exp(eta), alpha=overdispersion**-2)

    def positive(self) -> Mapping[str, Any]:
        """Give the extra: the SD of the multiplier."""
        return {"overdispersion": 1.0}

    def likelihood(
        self, design: Design, options: Mapping[str, Any], units: Any
    ) -> "NegativeBinomialLikelihood":
        """Give the density by hand, without a gamma function a row (ARCHITECTURE.md)."""
        return NegativeBinomialLikelihood()


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


@register_jitable
def _smooth(x: Any, size: float) -> tuple[Any, Any]:
    """Euler–Maclaurin's sum of log(1 + k / size) below x, but for a constant; also by the size.

    From ``TABULATED`` on what is left out is below 1e-11.
    """
    share, end = np.log1p(x / size), size + x
    value = end * share - x - 0.5 * share + 1.0 / (12.0 * end)
    slope = share - x / size + 0.5 * x / (size * end) - 1.0 / (12.0 * end * end)
    return value, slope


@part_of
def _rising(counts: Array, size: float) -> tuple[Array, Array]:
    """Give log Γ(y + size) − log Γ(size) − y log(size) of counts y, and its derivative by size.

    As a sum of log(1 + k / size) over k = 0 … y − 1 it is exact for large sizes, too. All rows need
    the same sums, so they are tabulated; what large counts need beyond comes in closed form.
    """
    largest = 0
    for i in range(counts.size):
        largest = max(largest, int(min(TABULATED, counts[i])))
    log_table, table = np.zeros(largest + 1), np.zeros(largest + 1)
    for k in range(largest):
        log_table[k + 1] = log_table[k] + np.log1p(k / size)
        table[k + 1] = table[k] + 1.0 / (size + k) - 1.0 / size
    value, by_size = np.empty(counts.size), np.empty(counts.size)
    start, start_slope = _smooth(TABULATED, size)
    for i in range(counts.size):
        k = int(min(TABULATED, counts[i]))
        value[i], by_size[i] = log_table[k], table[k]
        if counts[i] > TABULATED:
            end, end_slope = _smooth(counts[i], size)
            value[i] += end - start
            by_size[i] += end_slope - start_slope
    return value, by_size


@numba.njit(cache=True, error_model="numpy", nogil=True)
def negative_binomial_density(
    arguments: tuple[Array, Array, Array, Array],
) -> tuple[Array, Array, Array]:
    """Log likelihood without the constant log y!, and its gradient."""
    columns, eta, extra, _ = arguments
    overdispersion = extra[0]
    size = 1.0 / (overdispersion * overdispersion)  # a power that divides by zero raises
    log_rising, rising = _rising(columns[0], size)
    value = 0.0
    by_eta = np.empty(eta.shape)
    by_size = 0.0
    for i in range(eta.shape[1]):
        y = columns[0, i]
        mean = np.exp(min(eta[0, i], 700.0))
        ratio = mean / size
        # y log μ − (y + size) log(1 + μ / size) + Σ log(1 + k / size)
        log1 = np.log1p(ratio)
        value += y * eta[0, i] - (y + size) * log1 + log_rising[i]
        by_eta[0, i] = (y - mean) / (1.0 + ratio)
        by_size += rising[i] - log1 + (y + size) * ratio / (size * (1.0 + ratio))
    by_extra = np.zeros(extra.size)
    by_extra[0] = -2.0 * by_size * size / overdispersion
    return np.full((), value), by_eta, by_extra


class NegativeBinomialLikelihood(OneEquation):
    """Counts by a log mean and an overdispersion."""

    measure = "probability"
    density = staticmethod(negative_binomial_density)

    def log_density(self, y: Array, eta: Array, positive: Array, free: Array, unit: float) -> Array:
        """Log probability of each row's count, (row,)."""
        size = positive[0] ** -2
        ratio = np.log1p(np.exp(np.minimum(eta[:, 0], 700.0)) / size)
        # Γ(y + size) / Γ(size) / size^y as a sum over 0 … y − 1, exact for large sizes
        tabulated = np.clip(y, 0.0, TABULATED).astype(np.int64)
        steps = np.log1p(np.arange(tabulated.max(initial=0)) / size)
        rising = np.append(0.0, np.cumsum(steps))[tabulated]
        large = y > TABULATED
        rising[large] += _smooth(y[large], size)[0] - _smooth(TABULATED, size)[0]
        value = y * eta[:, 0] - (y + size) * ratio + rising - gammaln(y + 1)
        return np.where(y >= 0.0, value, -np.inf)

    def values(self, eta: Array, positive: Array, free: Array, rng: np.random.Generator) -> Array:
        """Draw counts."""
        shape = max(positive[0], 1e-6) ** -2
        mean = np.minimum(np.exp(eta[:, 0]) * rng.gamma(shape, 1 / shape, size=len(eta)), LARGEST)
        return rng.poisson(mean).astype(np.float64)
