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

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from scipy.special import log_ndtr, ndtri_exp

from bayesimpute.data.table import Kind
from bayesimpute.errors import SpecificationError
from bayesimpute.method import Array, Design, Kernel, Words
from bayesimpute.sampling.gaussian import Units
from bayesimpute.sampling.generic import ModelKernel
from bayesimpute.sampling.linear_kernel import Family, linear_kernel
from bayesimpute.sampling.priors import attach
from bayesimpute.sampling.textbook import Defaults, linear_predictor

OPTIONS: Mapping[str, Any] = MappingProxyType(
    {"lower": None, "upper": None, "transitions": 4, "tune": 60}
)


class Truncated:
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
        "normal.truncated",
        "{y} ~ N(μ_{row}, σ²) within {bounds},  μ_{row} = {predictor}{effects}",
        "Values follow a normal distribution cut off at its bounds, which no "
        "value can pass; its location depends linearly on {x}",
        "A missing value is drawn from the distribution within the bounds.",
    )
    kinds = frozenset({Kind.NUMERIC})
    options = OPTIONS

    def model(self, design: Design, priors: Mapping[str, Any], options: Mapping[str, Any]) -> Any:
        """Build the textbook model on the rows with an observed target."""
        import pymc as pm

        lower, upper = bounds(design, options)
        seen = design.rows(design.fit)
        with pm.Model(coords=design.coords) as model:
            y = pm.Data("y", seen.y, dims="row")
            mean, sigma = _mean_and_sigma(design, seen, priors)
            latent = pm.Normal.dist(mean, sigma)
            pm.Truncated(
                f"{design.target}_observed",
                latent,
                lower=lower,
                upper=upper,
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
            If bounds are missing, in the wrong order, or observed values lie beyond them.
        """
        units = Units.of(design)
        likelihood = TruncatedLikelihood(*_in_units(bounds(design, options), units))
        family = _family(likelihood, likelihood.draw, units)
        kernel = linear_kernel(design, family, priors, options)
        return kernel or ModelKernel(self.model(design, priors, options), design, options)


class Censored:
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
        "normal.censored",
        "{y} = y*_{row} cut off at {bounds},  y*_{row} ~ N({predictor}, σ²){effects}",
        "Values are those of a normal distribution recorded as the bound where "
        "they lie beyond it; its mean depends linearly on {x}",
        "A missing value is drawn, and set to the bound where it lies beyond.",
    )
    kinds = frozenset({Kind.NUMERIC})
    options = OPTIONS

    def model(self, design: Design, priors: Mapping[str, Any], options: Mapping[str, Any]) -> Any:
        """Build the textbook model on the rows with an observed target."""
        import pymc as pm

        lower, upper = bounds(design, options)
        seen = design.rows(design.fit)
        with pm.Model(coords=design.coords) as model:
            y = pm.Data("y", seen.y, dims="row")
            mean, sigma = _mean_and_sigma(design, seen, priors)
            pm.Censored(
                f"{design.target}_observed",
                pm.Normal.dist(mean, sigma),
                lower=lower,
                upper=upper,
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
            If bounds are missing, in the wrong order, or observed values lie beyond them.
        """
        units = Units.of(design)
        original = bounds(design, options)
        likelihood = CensoredLikelihood(*_in_units(original, units))

        def draw(mean: Array, sigma: float, rng: np.random.Generator) -> Array:
            return np.asarray(mean + sigma * rng.normal(size=len(mean)))

        family = _family(likelihood, draw, units, original)
        kernel = linear_kernel(design, family, priors, options)
        return kernel or ModelKernel(self.model(design, priors, options), design, options)


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


def _mean_and_sigma(design: Design, seen: Design, priors: Mapping[str, Any]) -> tuple[Any, Any]:
    import pymc as pm

    units = Units.of(design)
    mean = linear_predictor(seen, units, priors, Defaults())
    return mean, attach(priors.get("sigma", pm.HalfNormal.dist(units.scale_y)), "sigma")


def _in_units(limits: tuple[float, float], units: Units) -> tuple[float, float]:
    lower, upper = ((limit - units.centre_y) / units.scale_y for limit in limits)
    return lower, upper


def _family(
    likelihood: Any, draw: Any, units: Units, clip: tuple[float, float] = (-np.inf, np.inf)
) -> Family:
    def values(eta: Array, positive: Array, free: Array, rng: np.random.Generator) -> Array:
        drawn = units.centre_y + units.scale_y * draw(eta[:, 0], positive[0], rng)
        return np.clip(drawn, *clip)

    return Family(
        likelihood,
        values,
        units,
        Defaults(),
        positive={"sigma": 1.0},
        positive_units=(units.scale_y,),
    )


def _log_density(t: Array) -> Array:
    return np.asarray(-0.5 * t * t - 0.5 * np.log(2 * np.pi))


@dataclass(frozen=True)
class TruncatedLikelihood:
    """Normal distribution between two bounds; σ is a positive extra."""

    lower: float
    upper: float
    equations = 1
    free = 0
    measure = "density"

    def log_density(self, y: Array, eta: Array, positive: Array, free: Array, unit: float) -> Array:
        """Log density of each row, (row,)."""
        sigma = positive[0]
        log_mass = self._normaliser(eta[:, 0], sigma)[0]
        r = (y - eta[:, 0]) / sigma
        return np.asarray(_log_density(r) - log_mass - np.log(sigma * unit))

    def __call__(
        self, y: Array, eta: Array, positive: Array, free: Array
    ) -> tuple[float, Array, Array, Array]:
        """Log likelihood and its gradient."""
        sigma = positive[0]
        r = (y - eta[:, 0]) / sigma
        log_mass, at_lower, at_upper, moment = self._normaliser(eta[:, 0], sigma)
        value = float((_log_density(r) - log_mass).sum() - len(y) * np.log(sigma))
        by_eta = (r + at_upper - at_lower) / sigma
        by_sigma = float((r * r - 1 + moment).sum() / sigma)
        return value, by_eta[:, None], np.array([by_sigma]), free

    def information(self, y: Array, eta: Array, positive: Array, free: Array) -> Array:
        """Variance of the standardised truncated normal, over σ²."""
        sigma = positive[0]
        _, at_lower, at_upper, moment = self._normaliser(eta[:, 0], sigma)
        variance = 1 - moment - (at_upper - at_lower) ** 2
        return np.asarray(np.clip(variance, 1e-3, 1.0) / sigma**2)[:, None, None]

    def prior(self, intercepts: Array, free: Array) -> tuple[float, Array, Array]:
        """Nothing beyond the normal prior."""
        return 0.0, np.zeros_like(intercepts), free

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

    def _normaliser(self, mean: Array, sigma: float) -> tuple[Array, Array, Array, Array]:
        """Log of the mass between the bounds; densities at them over it; (bφ(b) − aφ(a))/mass."""
        a, b = (self.lower - mean) / sigma, (self.upper - mean) / sigma
        mirrored = a > 0
        low, high = np.where(mirrored, -b, a), np.where(mirrored, -a, b)
        log_low, log_high = log_ndtr(low), log_ndtr(high)
        with np.errstate(divide="ignore", invalid="ignore"):
            log_mass = log_high + np.log1p(-np.exp(log_low - log_high))
            at_lower = np.exp(_log_density(a) - log_mass)
            at_upper = np.exp(_log_density(b) - log_mass)
            moment = np.where(np.isinf(b), 0.0, b * at_upper)
            moment = moment - np.where(np.isinf(a), 0.0, a * at_lower)
        return log_mass, at_lower, at_upper, moment


@dataclass(frozen=True)
class CensoredLikelihood:
    """Normal distribution whose values beyond the bounds are known as the bounds only."""

    lower: float
    upper: float
    equations = 1
    free = 0
    #: A probability at the bounds, a density between them.
    measure = "mixed"

    def log_density(self, y: Array, eta: Array, positive: Array, free: Array, unit: float) -> Array:
        """Log density of each row, or log probability of a row at a bound, (row,)."""
        sigma = positive[0]
        r = (y - eta[:, 0]) / sigma
        sign = np.where(y <= self.lower, 1.0, np.where(y >= self.upper, -1.0, 0.0))
        between = _log_density(r) - np.log(sigma * unit)
        return np.asarray(np.where(sign == 0, between, log_ndtr(sign * r)))

    def __call__(
        self, y: Array, eta: Array, positive: Array, free: Array
    ) -> tuple[float, Array, Array, Array]:
        """Log likelihood and its gradient."""
        sigma = positive[0]
        r = (y - eta[:, 0]) / sigma
        # beyond a bound, the tail's probability takes the density's place
        sign = np.where(y <= self.lower, 1.0, np.where(y >= self.upper, -1.0, 0.0))
        inside = sign == 0
        log_tail = log_ndtr(sign * r)
        hazard = np.exp(_log_density(r) - log_tail)
        value = np.where(inside, _log_density(r) - np.log(sigma), log_tail).sum()
        pull = np.where(inside, r, -sign * hazard)
        by_sigma = (np.where(inside, r * r - 1, pull * r) / sigma).sum()
        return float(value), (pull / sigma)[:, None], np.array([by_sigma]), free

    def information(self, y: Array, eta: Array, positive: Array, free: Array) -> Array:
        """Give 1 / σ², a little much for censored values."""
        return np.full((len(y), 1, 1), positive[0] ** -2)

    def prior(self, intercepts: Array, free: Array) -> tuple[float, Array, Array]:
        """Nothing beyond the normal prior."""
        return 0.0, np.zeros_like(intercepts), free
