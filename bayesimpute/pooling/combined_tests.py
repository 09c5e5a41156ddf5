"""D1 to D4 on plain arrays: m tests of the same k restrictions become one F test.

References
----------
.. [1] Rubin (1987), Multiple Imputation for Nonresponse in Surveys, section 3.4.
.. [2] Li, Raghunathan & Rubin (1991), Large-sample significance levels from multiply imputed data
   using moment-based statistics and an F reference distribution, JASA 86, 1065-1073.
.. [3] Li, Meng, Raghunathan & Rubin (1991), Significance levels from repeated p-values with
   multiply-imputed data, Statistica Sinica 1, 65-92.
.. [4] Meng & Rubin (1992), Performing likelihood ratio tests with multiply-imputed data sets,
   Biometrika 79, 103-111.
.. [5] Barnard & Rubin (1999), Small-sample degrees of freedom with multiple imputation,
   Biometrika 86, 948-955.
.. [6] Reiter (2007), Small-sample degrees of freedom for multi-component significance tests with
   multiple imputation for missing data, Biometrika 94, 502-508.
.. [7] Chan & Meng (2022), Multiple improvements of multiple imputation likelihood ratio tests,
   Statistica Sinica 32, 1489-1514.
"""

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from bayesimpute.pooling.rubin import barnard_rubin


class Statistic(NamedTuple):
    """An F statistic, its degrees of freedom, and the relative increase in variance."""

    f: float
    df1: float
    df2: float
    riv: float


def wald(estimates: ArrayLike, covariances: ArrayLike, dfcom: float = np.inf) -> Statistic:
    """D1: the Wald test that all k quantities are zero.

    With B the covariance between imputations and Ū the mean one within ([2]_, eq. 1.12-1.17)::

        r = (1 + 1/m) tr(B Ū⁻¹) / k        D1 = Q̄' Ū⁻¹ Q̄ / (k (1 + r))

    Parameters
    ----------
    estimates
        (m, k).
    covariances
        (m, k, k).
    dfcom
        Complete-data df; infinity gives the large-sample df2 of [2]_, a number that of [6]_.

    Examples
    --------
    >>> wald([[1.0, 2.0], [1.2, 1.8], [0.9, 2.1]], [[[0.1, 0.0], [0.0, 0.1]]] * 3).f.__round__(2)
    18.82
    """
    q, u = np.asarray(estimates, dtype=float), np.asarray(covariances, dtype=float)
    m, k = q.shape
    center, within = q.mean(axis=0), u.mean(axis=0)
    between = np.atleast_2d(np.cov(q, rowvar=False))
    r = (1 + 1 / m) * float(np.trace(np.linalg.solve(within, between))) / k
    f = float(center @ np.linalg.solve(within, center)) / (k * (1 + r))
    return Statistic(f, k, wald_df(r, k, m, dfcom), r)


def wald_df(r: float, k: int, m: int, dfcom: float = np.inf) -> float:
    """df2 of D1, and of D3 with infinite `dfcom`.

    Large samples: [2]_, eq. 1.18-1.19. Finite `dfcom`: [6]_, eq. 6, an expansion that exists for
    k (m − 1) > 4 and a `dfcom` that is not tiny. Elsewhere the harmonic combination of [5]_ is
    taken with the average share λ = r / (1 + r), which is exactly theirs at k = 1.
    """
    t = k * (m - 1)
    if np.isinf(dfcom):
        return _large_sample_df(r, k, t)
    small = _reiter_df(r, t, dfcom) if t > 4 else np.nan
    if np.isfinite(small) and small > 4:
        return small
    share = max(r, 0.0) / (1 + r)
    observed = (dfcom + 1) / (dfcom + 3) * dfcom * (1 - share)
    if k == 1:
        return float(barnard_rubin(share, m, dfcom))
    return 1 / (1 / _large_sample_df(r, k, t) + 1 / observed)


def _large_sample_df(r: float, k: int, t: int) -> float:
    if r <= 0:
        return np.inf
    if t > 4:
        return float(4 + (t - 4) * (1 + (1 - 2 / t) / r) ** 2)
    return t * (1 + 1 / k) * (1 + 1 / r) ** 2 / 2


def _reiter_df(r: float, t: int, dfcom: float) -> float:
    a = r * t / (t - 2)
    complete = (dfcom + 1) / (dfcom + 3) * dfcom
    b, c = complete - 2 * (1 + a), complete - 4 * (1 + a)
    if c <= 0:
        return np.nan
    inside = (
        a**2 * b / ((1 + a) ** 2 * c)
        + 8 * a**2 * b / ((1 + a) * c**2)
        + 4 * a**2 / ((1 + a) * c)
        + 4 * a**2 / (b * c)
        + 16 * a**2 * b / c**3
        + 8 * a**2 / c**2
    )
    return 4 + 1 / (1 / c + inside / (t - 4))


def chi_squares(statistics: ArrayLike, df: float) -> Statistic:
    """D2: from the χ² statistics of the m analyses alone ([3]_, eq. 2.1-2.3).

    With d_i the statistics, each of `df` = k degrees of freedom::

        r = (1 + 1/m) Var(√d)       D2 = (d̄/k − r (m + 1)/(m − 1)) / (1 + r)
        df2 = k^(−3/m) (m − 1) (1 + 1/r)²

    Parameters
    ----------
    statistics
        (m,), not negative.
    df
        Degrees of freedom of each.

    Examples
    --------
    >>> round(chi_squares([7.2, 4.9, 8.1], 2).f, 2)
    2.69
    """
    d = np.asarray(statistics, dtype=float)
    m = len(d)
    r = float((1 + 1 / m) * np.var(np.sqrt(d), ddof=1))
    f = float((d.mean() / df - (m + 1) / (m - 1) * r) / (1 + r))
    df2 = float(df ** (-3 / m) * (m - 1) * (1 + 1 / r) ** 2) if r > 0 else np.inf
    return Statistic(f, df, df2, r)


def likelihood_ratio(at_maxima: ArrayLike, at_averages: ArrayLike, df: int) -> Statistic:
    """D3: likelihood ratios at each data set's own estimates and at the averages ([4]_).

    With d̄ the mean of twice the log-likelihood ratio where each data set has its own estimates,
    and d̃ where all have the average ones::

        r = (m + 1) / (k (m − 1)) (d̄ − d̃)        D3 = d̃ / (k (1 + r))

    Parameters
    ----------
    at_maxima, at_averages
        2 (log L full − log L restricted) of each data set, (m,).
    df
        k, the number of restrictions.
    """
    own, common = (float(np.mean(np.asarray(x, dtype=float))) for x in (at_maxima, at_averages))
    m = np.size(at_maxima)
    r = float((m + 1) / (df * (m - 1)) * (own - common))
    return Statistic(float(common / (df * (1 + r))), df, _large_sample_df(r, df, df * (m - 1)), r)


#: Estimators of the average relative increase in variance for D4.
type Ariv = Literal["default", "positive", "robust"]


def stacked_likelihood_ratio(
    full: tuple[ArrayLike, ArrayLike],
    restricted: tuple[ArrayLike, ArrayLike],
    df: int,
    n_parameters: int,
    ariv: Ariv = "default",
) -> Statistic:
    """D4: the likelihood ratio of the stacked data sets ([7]_).

    With d̄ as in D3 and d̂ the mean of twice the log-likelihood ratio at the maximum of the stacked
    data (the mean log-likelihood)::

        r = (m + 1) / (k (m − 1)) (d̄ − d̂)        D4 = d̂ / (k (1 + r))
        df2 = k (m − 1) (1 + 1/r)²

    ``"robust"`` estimates r from the full model alone, which is right under the alternative too:
    2 (mean log L at own − at stacked maximum) of all h parameters in place of d̄ − d̂, h for k in r
    and df2.

    Parameters
    ----------
    full, restricted
        Log-likelihoods of each data set at its own and at the stacked maximum, (m,) each.
    df
        k.
    n_parameters
        h, of the full model.
    ariv
        ``"default"`` may be negative, ``"positive"`` is cut at 0, or ``"robust"``.
    """
    own, stacked = (2 * float(np.mean(np.asarray(x, dtype=float))) for x in full)
    own0, stacked0 = (2 * float(np.mean(np.asarray(x, dtype=float))) for x in restricted)
    m = np.size(full[0])
    h = n_parameters if ariv == "robust" else df
    gap = own - stacked if ariv == "robust" else (own - own0) - (stacked - stacked0)
    r = (m + 1) / (h * (m - 1)) * gap
    if ariv == "positive":
        r = max(r, 0.0)
    df2 = h * (m - 1) * (1 + 1 / r) ** 2 if r else np.inf
    return Statistic((stacked - stacked0) / (df * (1 + r)), df, df2, r)
