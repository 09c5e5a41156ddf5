r"""Normal conditional models of targets with bounds: truncated, and censored at them.

Model
-----
For row i in cluster j, with predictors and random slopes centred at their observed means,

.. math::
    y^*_{ij} \sim N(\text{intercept} + x_{ij}β + z_{ij} b_j,\; σ^2),\quad
    b_j \sim N(0, \operatorname{diag}(sd)\,C\,\operatorname{diag}(sd))

- *truncated*: values beyond the bounds do not exist; y has the distribution of y* given that it
  lies between ``lower`` and ``upper``. For a concentration, an age, a percentage.
- *censored*: values beyond are recorded as the bound itself, y = min(max(y*, lower), upper)
  (Tobin 1958). For a score with floor or ceiling, a detection limit. A share of the imputed
  values is exactly at the bounds, as of the observed ones.

Squeezing drawn values into the bounds afterwards (``post=bi.squeeze``) leaves the parameters
biased; here the bounds are in the likelihood.

Priors
------
Those of :mod:`bayesimpute.models.normal` (``intercept, beta, sd_<effect>, correlation, sigma``),
on the scale of the observed values.

Draw
----
1. β, the b_j, σ and the scales move by :mod:`bayesimpute.sampling.linear`.
2. A missing value is drawn from the truncated normal distribution by its inverse distribution
   function, or drawn from the normal and recorded as the bound where it is beyond.
"""

from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any

import numba
import numpy as np
from scipy.special import log_ndtr, ndtri_exp

from bayesimpute.data.table import Kind
from bayesimpute.errors import SpecificationError
from bayesimpute.method import Array, Design, Occasion, Words
from bayesimpute.sampling.linear_model import LinearModel
from bayesimpute.sampling.linear_parts import OneEquation
from bayesimpute.sampling.tails import LOG_ROOT_2_PI, interval, log_interval, log_share

OPTIONS: Mapping[str, Any] = MappingProxyType(
    {"lower": None, "upper": None, "transitions": 4, "tune": 60}
)


def _ends(occasion: Occasion) -> tuple[str, str]:
    low, high = occasion.options["lower"], occasion.options["upper"]
    return r"-\infty" if low is None else f"{low:g}", r"\infty" if high is None else f"{high:g}"


def _truncated(occasion: Occasion) -> str:
    low, high = _ends(occasion)
    return (
        rf"$y \sim N(μ_$row, σ^2)\text{{ given }}{low} \le $y \le {high} \\ "
        r"μ_$row = $predictor \\ $effects"
    )


def _censored(occasion: Occasion) -> str:
    low, high = _ends(occasion)
    return (
        rf"$y = \min(\max($star, {low}), {high}) \\ $star \sim N(μ_$row, σ^2) \\ "
        r"μ_$row = $predictor \\ $effects"
    )


class Truncated(LinearModel):
    """Normal model of a numeric target that cannot lie beyond its bounds.

    Options
    -------
    lower, upper
        The bounds, on the data's scale; one of them may be left out.
    transitions, tune
        As for :class:`~bayesimpute.models.logistic.Logistic`.

    Examples
    --------
    >>> import bayesimpute as bi
    >>> method = {"score": "normal.truncated"}
    >>> model_options = {"score": {"lower": 0, "upper": 10}}  # bi.impute(df, method=method, …)
    """

    words = Words(
        _truncated,
        "Values follow a normal distribution cut off at its bounds, which no "
        "value can pass; its location depends linearly on {x}",
        "A missing value is drawn from the distribution within the bounds.",
        name="a truncated normal linear model",
    )
    kinds = frozenset({Kind.NUMERIC})
    options = OPTIONS
    on_scale = True
    scaled = ("sigma",)

    def calibration(self, data: str) -> Mapping[str, Any]:
        """Give bounds and typical values."""
        return {
            "typical": (-1.4, -0.8, -0.4, 0.0, 0.3, 0.8, 1.6),
            "options": {"lower": -1.5, "upper": 2.0},
        }

    @staticmethod
    def distribution(eta: Any, sigma: Any, lower: float, upper: float) -> Any:
        """Give numbers around their mean that cannot lie beyond the bounds."""
        import pymc as pm

        return pm.Truncated.dist(pm.Normal.dist(eta, sigma), lower=lower, upper=upper)

    def positive(self) -> Mapping[str, Any]:
        """Give the extra: σ, in units of the target's SD."""
        return {"sigma": 1.0}

    def check(self, design: Design, options: Mapping[str, Any]) -> None:
        """Refuse missing or wrong bounds, and observed values beyond them."""
        bounds(design, options)

    def row(self, design: Design, options: Mapping[str, Any]) -> Callable[..., Any]:
        """Give the distribution with its bounds."""
        lower, upper = bounds(design, options)
        return partial(type(self).distribution, lower=lower, upper=upper)

    def likelihood(self, design: Design, options: Mapping[str, Any], units: Any) -> Any:
        """Give the density by hand: exact however far out the bounds lie."""
        return TruncatedLikelihood(*_in_units(bounds(design, options), units))


class Censored(Truncated):
    """Normal model of a numeric target recorded as the bound where it would lie beyond.

    Options
    -------
    lower, upper
        The bounds, on the data's scale; one of them may be left out.
    transitions, tune
        As for :class:`~bayesimpute.models.logistic.Logistic`.

    Examples
    --------
    >>> import bayesimpute as bi
    >>> method = {"score": "normal.censored"}
    >>> model_options = {"score": {"lower": 0, "upper": 10}}  # bi.impute(df, method=method, …)
    """

    words = Words(
        _censored,
        "Values are those of a normal distribution recorded as the bound where "
        "they lie beyond it; its mean depends linearly on {x}",
        "A missing value is drawn, and set to the bound where it lies beyond.",
        name="a censored normal linear model",
    )

    def calibration(self, data: str) -> Mapping[str, Any]:
        """Give bounds, and typical values some of which are at them."""
        return {
            "typical": (-1.0, -1.0, -0.6, -0.3, 0.0, 0.3, 0.7, 1.2, 1.2),
            "options": {"lower": -1.0, "upper": 1.2},
        }

    @staticmethod
    def distribution(eta: Any, sigma: Any, lower: float, upper: float) -> Any:
        """Give numbers around their mean, recorded as the bound where they lie beyond."""
        import pymc as pm

        return pm.Censored.dist(pm.Normal.dist(eta, sigma), lower=lower, upper=upper)

    def likelihood(self, design: Design, options: Mapping[str, Any], units: Any) -> Any:
        """Give the density by hand: exact however far out the bounds lie."""
        return CensoredLikelihood(*_in_units(bounds(design, options), units))

    def values(
        self, likelihood: Any, design: Design, options: Mapping[str, Any], units: Any
    ) -> Callable[..., Any]:
        """Draw values; those beyond are the bounds themselves, to the last bit."""
        drawn = super().values(likelihood, design, options, units)
        limits = bounds(design, options)
        return lambda *given: np.clip(drawn(*given), *limits)


def bounds(design: Design, options: Mapping[str, Any]) -> tuple[float, float]:
    """Bounds of a target on the data's scale, infinite where left out.

    Raises
    ------
    SpecificationError
        If both are left out, they are in the wrong order, or observed values lie beyond them.
    """
    given = [options["lower"], options["upper"]]
    name = design.target
    for value in given:
        if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
            raise SpecificationError(
                f"model_options of {name!r}: a bound must be a number, not {value!r}."
            )
    if given == [None, None]:
        raise SpecificationError(
            f"The method of {name!r} needs bounds: "
            f"model_options={{{name!r}: {{'lower': 0, 'upper': 10}}}}, or one of the two."
        )
    lower = -np.inf if given[0] is None else float(given[0])
    upper = np.inf if given[1] is None else float(given[1])
    if not lower < upper:
        raise SpecificationError(
            f"model_options of {name!r}: lower={lower:g} must be less than upper={upper:g}."
        )
    y = design.y[design.fit]
    beyond = (y < lower) | (y > upper)
    if beyond.any():
        raise SpecificationError(
            f"{name!r} has {int(beyond.sum())} observed value(s) beyond its bounds {lower:g} to "
            f"{upper:g}, such as {y[beyond][0]:g}; correct the data or the bounds."
        )
    return lower, upper


def _in_units(limits: tuple[float, float], units: Any) -> tuple[float, float]:
    lower, upper = ((limit - units.centre_y) / units.scale_y for limit in limits)
    return lower, upper


@numba.njit(cache=True, error_model="numpy", nogil=True)
def truncated_density(
    arguments: tuple[Array, Array, Array, Array],
) -> tuple[Array, Array, Array]:
    """Log likelihood without a constant, and its gradient; constants are the bounds."""
    columns, eta, extra, constants = arguments
    sigma = extra[0]
    value, by_eta, by_sigma = 0.0, np.empty(eta.shape), 0.0
    log_sigma = np.log(sigma)
    for i in range(eta.shape[1]):
        r = (columns[0, i] - eta[0, i]) / sigma
        a, b = (constants[0] - eta[0, i]) / sigma, (constants[1] - eta[0, i]) / sigma
        mass, at_lower, at_upper = interval(a, b)
        value -= 0.5 * r * r + mass + log_sigma
        by_eta[0, i] = (r + at_upper - at_lower) / sigma
        # (b φ(b) − a φ(a)) over the mass; an end that is nowhere has no part in it
        moment = (b * at_upper if np.isfinite(b) else 0.0) - (
            a * at_lower if np.isfinite(a) else 0.0
        )
        by_sigma += (r * r - 1.0 + moment) / sigma
    return np.full((), value), by_eta, np.full(1, by_sigma)


class _Bounded(OneEquation):
    """Between two bounds; σ is a positive extra."""

    def __init__(self, lower: float, upper: float) -> None:
        self.lower, self.upper = lower, upper
        self.constants = np.array([lower, upper])


class TruncatedLikelihood(_Bounded):
    """Normal distribution between two bounds; σ is a positive extra."""

    measure = "density"
    density = staticmethod(truncated_density)

    def log_density(self, y: Array, eta: Array, positive: Array, free: Array, unit: float) -> Array:
        """Log density of each row, (row,)."""
        sigma = positive[0]
        r = (y - eta[:, 0]) / sigma
        a, b = (self.lower - eta[:, 0]) / sigma, (self.upper - eta[:, 0]) / sigma
        with np.errstate(divide="ignore", invalid="ignore"):
            log_mass = log_interval(a, b)
        inside = (y >= self.lower) & (y <= self.upper)
        value = -0.5 * r * r - LOG_ROOT_2_PI - log_mass - np.log(sigma * unit)
        return np.where(inside, value, -np.inf)

    def values(self, eta: Array, positive: Array, free: Array, rng: np.random.Generator) -> Array:
        """Draw values in computing units."""
        return self.draw(eta[:, 0], positive[0], rng)

    def draw(self, mean: Array, sigma: float, rng: np.random.Generator) -> Array:
        """Draw by the inverse distribution function, in the lower tail for accuracy."""
        a, b = (self.lower - mean) / sigma, (self.upper - mean) / sigma
        # the far upper tail is the lower one of the mirror image
        mirrored = a > 0
        low, high = np.where(mirrored, -b, a), np.where(mirrored, -a, b)
        u = rng.random(len(mean))
        log_low, log_high = log_ndtr(low), log_ndtr(high)
        with np.errstate(divide="ignore"):
            log_p = np.logaddexp(log_low + np.log1p(-u), log_high + np.log(u))
        t = np.clip(ndtri_exp(log_p), low, high)
        return np.clip(mean + sigma * np.where(mirrored, -t, t), self.lower, self.upper)


@numba.njit(cache=True, error_model="numpy", nogil=True)
def censored_density(
    arguments: tuple[Array, Array, Array, Array],
) -> tuple[Array, Array, Array]:
    """Log likelihood without a constant, and its gradient; constants are the bounds."""
    columns, eta, extra, constants = arguments
    sigma = extra[0]
    value, by_eta, by_sigma = 0.0, np.empty(eta.shape), 0.0
    log_scale = np.log(sigma) + LOG_ROOT_2_PI
    for i in range(eta.shape[1]):
        y = columns[0, i]
        r = (y - eta[0, i]) / sigma
        if constants[0] < y < constants[1]:
            value -= 0.5 * r * r + log_scale
            by_eta[0, i] = r / sigma
            by_sigma += (r * r - 1.0) / sigma
        else:
            # beyond a bound, the tail's probability takes the density's place
            sign = 1.0 if y <= constants[0] else -1.0
            share, hazard = log_share(sign * r)
            value += share
            by_eta[0, i] = -sign * hazard / sigma
            by_sigma -= sign * hazard * r / sigma
    return np.full((), value), by_eta, np.full(1, by_sigma)


class CensoredLikelihood(_Bounded):
    """Normal distribution whose values beyond the bounds are known as the bounds only."""

    #: A probability at the bounds, a density between them.
    measure = "mixed"
    density = staticmethod(censored_density)

    def log_density(self, y: Array, eta: Array, positive: Array, free: Array, unit: float) -> Array:
        """Log density of each row, or log probability of a row at a bound, (row,)."""
        sigma = positive[0]
        r = (y - eta[:, 0]) / sigma
        sign = np.where(y <= self.lower, 1.0, np.where(y >= self.upper, -1.0, 0.0))
        between = (-0.5 * r * r - LOG_ROOT_2_PI) - np.log(sigma * unit)
        return np.asarray(np.where(sign == 0, between, log_ndtr(sign * r)))

    def values(self, eta: Array, positive: Array, free: Array, rng: np.random.Generator) -> Array:
        """Draw values in computing units, as they are before they are recorded."""
        return np.asarray(eta[:, 0] + positive[0] * rng.normal(size=len(eta)))
