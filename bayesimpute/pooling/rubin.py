"""Rubin's rules on plain arrays: m estimates and their variances become one of each.

With Q_i the estimate and U_i its squared standard error in imputation i = 1 … m::

    Q̄ = mean(Q_i)      Ū = mean(U_i)      B = Σ (Q_i − Q̄)² / (m − 1)
    T = Ū + (1 + 1/m) B
    r = (1 + 1/m) B / Ū                      relative increase in variance (riv)
    λ = (1 + 1/m) B / T                      share of T that is due to missing data
    ν_old = (m − 1) / λ²                     df for infinitely many observations
    ν_obs = (ν_com + 1) / (ν_com + 3) · ν_com · (1 − λ)
    ν = 1 / (1/ν_old + 1/ν_obs)              df for ν_com complete-data df
    γ = (r + 2 / (ν + 3)) / (1 + r)          fraction of missing information (fmi)

References
----------
.. [1] Rubin (1987), Multiple Imputation for Nonresponse in Surveys, chapter 3.
.. [2] Barnard & Rubin (1999), Small-sample degrees of freedom with multiple imputation,
   Biometrika 86, 948-955.
.. [3] Reiter (2003), Inference for partially synthetic, public use microdata sets,
   Survey Methodology 29, 181-188.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from bayesimpute.arrays import Array


@dataclass(frozen=True, eq=False)
class Combined:
    """What Rubin's rules give for k estimates; every attribute has the shape (k,).

    Attributes
    ----------
    estimate
        Mean over imputations.
    ubar, b, t
        Variance within imputations, between imputations, and in all.
    df
        Degrees of freedom of the t distribution.
    riv, lambda_, fmi
        Relative increase in variance, share of the variance due to missing data, fraction of
        missing information.
    """

    estimate: Array
    ubar: Array
    b: Array
    t: Array
    df: Array
    riv: Array
    lambda_: Array
    fmi: Array


def barnard_rubin(lambda_: ArrayLike, m: ArrayLike, dfcom: ArrayLike = np.inf) -> Array:
    """Degrees of freedom after imputation.

    Parameters
    ----------
    lambda_
        Share of the variance due to missing data, (k,).
    m
        Number of imputations, at least 2.
    dfcom
        Degrees of freedom the analysis of complete data would have, a number or (k,). Infinity
        (default) gives Rubin's (1987) large-sample df, which is infinite at λ = 0. With finite
        ones λ = 0 leaves ν_obs, as in mice since 3.19; before, mice took λ as at least 0.0001.

    Returns
    -------
    ndarray (k,)

    Examples
    --------
    >>> barnard_rubin([0.4], m=2, dfcom=100).round(2)
    array([5.65])
    """
    share, complete = np.broadcast_arrays(
        np.asarray(lambda_, dtype=float), np.asarray(dfcom, dtype=float)
    )
    finite = np.where(np.isfinite(complete), complete, 1.0)
    with np.errstate(divide="ignore"):
        old = (np.asarray(m) - 1) / share**2
        observed = (finite + 1) / (finite + 3) * finite * (1 - share)
        # As a sum of reciprocals it needs no case for ν_old = ∞ nor, at λ = 1, for ν_obs = 0.
        both = 1 / (1 / old + 1 / observed)
    return np.where(np.isfinite(complete), both, old)


def fraction_missing_information(riv: ArrayLike, df: ArrayLike) -> Array:
    """γ = (r + 2 / (ν + 3)) / (1 + r), and its limit 1 for r = ∞."""
    r, degrees = np.asarray(riv, dtype=float), np.asarray(df, dtype=float)
    return (1 - 1 / (1 + r)) + 2 / (degrees + 3) / (1 + r)


def rubin1987(estimates: ArrayLike, variances: ArrayLike, dfcom: ArrayLike = np.inf) -> Combined:
    """Combine analyses of multiply imputed data.

    Parameters
    ----------
    estimates, variances
        One row an imputation, (m, k) with m ≥ 2.
    dfcom
        Complete-data degrees of freedom, a number or (k,); infinity by default.

    Examples
    --------
    >>> rubin1987([[1.0], [1.2]], [[0.04], [0.05]]).t
    array([0.075])
    """
    q, u = np.asarray(estimates, dtype=float), np.asarray(variances, dtype=float)
    return from_variances(q.mean(axis=0), u.mean(axis=0), q.var(axis=0, ddof=1), len(q), dfcom)


def from_variances(
    estimate: Array, ubar: Array, b: Array, m: ArrayLike, dfcom: ArrayLike = np.inf
) -> Combined:
    """Combine by the variances within and between m imputations; all arguments broadcast."""
    share = np.asarray((1 + 1 / np.asarray(m)) * b)
    t = ubar + share
    riv, lambda_ = _share(share, ubar), _share(share, t)
    df = barnard_rubin(lambda_, m, dfcom)
    fmi = fraction_missing_information(riv, df)
    return Combined(estimate, ubar, b, t, df, riv, lambda_, fmi)


def reiter2003(estimates: ArrayLike, variances: ArrayLike, dfcom: ArrayLike = np.inf) -> Combined:
    """Combine analyses of partially synthetic data: T = Ū + B/m, ν = (m − 1)(1 + m Ū/B)².

    The synthetic values replace observed ones, so there is no missing information: `lambda_` and
    `fmi` are NaN, and `dfcom` plays no part.

    Parameters
    ----------
    estimates, variances
        One row a synthetic data set, (m, k) with m ≥ 2.
    dfcom
        Taken so that all rules are called alike.
    """
    q, u = np.asarray(estimates, dtype=float), np.asarray(variances, dtype=float)
    m = len(q)
    ubar, b = u.mean(axis=0), q.var(axis=0, ddof=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        df = np.where(b > 0, (m - 1) * (1 + m * ubar / b) ** 2, np.inf)
    unknown = np.full(ubar.shape, np.nan)
    riv = _share((1 + 1 / m) * b, ubar)
    return Combined(q.mean(axis=0), ubar, b, ubar + b / m, df, riv, unknown, unknown)


def single(estimates: ArrayLike, variances: ArrayLike, dfcom: ArrayLike = np.inf) -> Combined:
    """Pass on the one analysis of m = 1: its variance and df; the missing part is unknown, NaN.

    Parameters
    ----------
    estimates, variances
        (1, k).
    dfcom
        Its degrees of freedom, a number or (k,); infinity by default.
    """
    q, u = np.asarray(estimates, dtype=float)[0], np.asarray(variances, dtype=float)[0]
    unknown = np.full(q.shape, np.nan)
    df = np.broadcast_to(np.asarray(dfcom, dtype=float), q.shape).copy()
    return Combined(q, u, unknown, u, df, unknown, unknown, unknown)


def total_covariance(estimates: ArrayLike, covariances: ArrayLike) -> Array:
    """T = Ū + (1 + 1/m) B as matrices: (m, k) and (m, k, k) give (k, k); Ū alone for m = 1."""
    q, u = np.asarray(estimates, dtype=float), np.asarray(covariances, dtype=float)
    m = len(q)
    ubar: Array = u.mean(axis=0)
    if m == 1:
        return ubar
    deviation = q - q.mean(axis=0)
    return ubar + (1 + 1 / m) * deviation.T @ deviation / (m - 1)


def _share(part: Array, whole: Array) -> Array:
    """Ratio of two variances; 0 where both are 0, ∞ where only the denominator is."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(part > 0, part / whole, 0.0)


type Rule = Literal["rubin1987", "reiter2003"]


@dataclass(frozen=True)
class PoolingRule:
    """A rule, and how people are told of it.

    Attributes
    ----------
    combine
        Function of (estimates, variances, dfcom).
    name
        What a paper calls it.
    variance
        Its formula of the total variance.
    of_dfcom
        Whether degrees of freedom of the analysis of complete data play a part.
    """

    combine: Callable[[ArrayLike, ArrayLike, ArrayLike], Combined]
    name: str
    variance: str
    of_dfcom: bool


RULES: Mapping[Rule, PoolingRule] = MappingProxyType(
    {
        "rubin1987": PoolingRule(rubin1987, "Rubin's rules", "T = Ū + (1 + 1/m) B", of_dfcom=True),
        "reiter2003": PoolingRule(
            reiter2003,
            "Reiter's rules for partially synthetic data",
            "T = Ū + B / m",
            of_dfcom=False,
        ),
    }
)
