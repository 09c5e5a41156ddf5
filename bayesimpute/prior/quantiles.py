"""Quantiles of a prior: exact where its distribution function is known, else those of draws."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import scipy  # whose modules are loaded when first used

#: Probabilities of the quantiles that are shown.
PROBABILITIES = (0.05, 0.5, 0.95)


def _half(distribution: Any) -> Callable[[float], float]:
    """Quantiles of the absolute value of something symmetric about 0."""
    return lambda p: float(distribution.ppf((1 + p) / 2))


def _correlation(n: float, eta: float) -> Callable[[float], float]:
    """Quantiles of one correlation of an LKJ matrix: 2 Beta(a, a) − 1, a = eta − 1 + n / 2."""
    shape = eta - 1 + n / 2
    return lambda p: float(2 * scipy.stats.beta.ppf(p, shape, shape) - 1)


def _truncated(mu: float, sigma: float, lower: float, upper: float) -> Callable[[float], float]:
    between = ((lower - mu) / sigma, (upper - mu) / sigma)
    return lambda p: float(scipy.stats.truncnorm.ppf(p, *between, loc=mu, scale=sigma))


#: PyMC's families -> quantile function, of the parameters in the order their variables hold them
#: (a scale where PyMC's argument is a rate).
FAMILIES: Mapping[str, Callable[..., Callable[[float], float]]] = {
    "Normal": lambda mu, sigma: scipy.stats.norm(mu, sigma).ppf,
    "HalfNormal": lambda at, sigma: scipy.stats.halfnorm(at, sigma).ppf,
    "StudentT": lambda nu, mu, sigma: scipy.stats.t(nu, mu, sigma).ppf,
    "HalfStudentT": lambda nu, sigma: _half(scipy.stats.t(nu, 0, sigma)),
    "Cauchy": lambda alpha, beta: scipy.stats.cauchy(alpha, beta).ppf,
    "HalfCauchy": lambda *of: scipy.stats.halfcauchy(0, of[-1]).ppf,
    "Laplace": lambda mu, b: scipy.stats.laplace(mu, b).ppf,
    "LogNormal": lambda mu, sigma: scipy.stats.lognorm(sigma, scale=np.exp(mu)).ppf,
    "Exponential": lambda scale: scipy.stats.expon(scale=scale).ppf,
    "Gamma": lambda alpha, scale: scipy.stats.gamma(alpha, scale=scale).ppf,
    "InverseGamma": lambda alpha, beta: scipy.stats.invgamma(alpha, scale=beta).ppf,
    "Beta": lambda alpha, beta: scipy.stats.beta(alpha, beta).ppf,
    "Uniform": lambda lower, upper: scipy.stats.uniform(lower, upper - lower).ppf,
    "TruncatedNormal": _truncated,
    "LKJCorr": _correlation,
}


def quantiles(
    variable: Any, family: str, parameters: Sequence[Any], draws: np.ndarray
) -> tuple[float, ...]:
    """Give the quantiles of a scalar prior, or of every element of one with equal elements.

    Parameters
    ----------
    variable
        The model's variable.
    family
        Name of its distribution.
    parameters
        Arrays; text where one depends on other parameters.
    draws
        Of the prior, taken where the quantiles are not known exactly.
    """
    known = [_scalar(each) for each in parameters]
    if family in FAMILIES and None not in known:
        quantile = FAMILIES[family](*known)
        return tuple(float(quantile(p)) for p in PROBABILITIES)
    if None not in known and variable.type.ndim == 0:
        exact = _by_pymc(variable)
        if exact is not None:
            return exact
    if draws.size == 0:
        return (np.nan,) * len(PROBABILITIES)
    return tuple(float(q) for q in np.quantile(draws, PROBABILITIES))


def _by_pymc(variable: Any) -> tuple[float, ...] | None:
    """Quantiles by PyMC's own inverse distribution function; None where it has none."""
    import pymc as pm

    try:
        exact = pm.icdf(variable, np.array(PROBABILITIES)).eval()
    except (NotImplementedError, TypeError, ValueError):
        return None
    return tuple(float(q) for q in exact) if np.isfinite(exact).all() else None


def _scalar(parameter: Any) -> float | None:
    """Give the one number that all elements share; None for several, or for text."""
    if isinstance(parameter, str):
        return None
    numbers = np.unique(np.asarray(parameter, dtype=float))
    return float(numbers[0]) if len(numbers) == 1 else None
