r"""Within and between imputations: arithmetic of pooled posteriors on plain arrays.

In imputation i = 1 … m the posterior of a scalar θ has the mean θ̂_i and the variance U_i, both
computed from draws whose effective number for the mean is n_i::

    θ̄ = mean(θ̂_i)     W = mean(U_i)     V = Σ (θ̂_i − θ̄)² / (m − 1)
    E = mean(U_i / n_i)            Monte-Carlo variance of a θ̂_i, part of V without being imputation
    B = max(V − E, 0)              variance between imputations
    T = W + (1 + 1/m) B            total posterior variance, m being finite (BDA3, section 18.2)
    ν = (m − 1) / λ²,  λ = (1 + 1/m) B / T                                      (Rubin 1987, 3.1)

**Bayesian fraction of missing information.** With infinitely many imputations the posterior
variance is W + B∞, and the share B∞ / (W + B∞) of it is there because data are missing. The θ̂_i
scatter around the posterior mean with variance V∞ = B∞ + E, and given V∞ (m − 1) V / V∞ is χ² with
m − 1 degrees of freedom; with the flat prior on log V∞ that is its posterior too (Rubin 1987, 3.1;
BDA3, section 2.6). So the p-quantile of V∞ is (m − 1) V / χ²_{m−1}(1 − p), and as the share grows
with V∞ its quantiles are::

    γ_p = B_p / (W + B_p),     B_p = max((m − 1) V / χ²_{m−1}(1 − p) − E, 0)

W counts as known: the U_i differ little between imputations, so their mean is known far better than
a variance of m numbers is. For large m the interval becomes von Hippel's, logit γ ± 1.96 √(2/m).

**Monte-Carlo error.** That of θ̄ is √(V/m), of which √(E/m) would be gone with longer chains and
√(B/m) with more imputations. The end q of an interval is a quantile of the mixture F = mean(F_i);
F(q) is a mean of m independent numbers F_i(q), so its standard error is SD(F_i(q)) / √m, and that
of q is this divided by the density at q.

References
----------
.. [1] Rubin (1987), Multiple Imputation for Nonresponse in Surveys, section 3.1.
.. [2] Gelman, Carlin, Stern, Dunson, Vehtari & Rubin (2013), Bayesian Data Analysis (BDA3),
   3rd ed., chapter 18.
.. [3] Zhou & Reiter (2010), A note on Bayesian inference after multiple imputation,
   The American Statistician 64, 159-163: draws are mixed, and m should be 100 or more.
.. [4] von Hippel (2020), How many imputations do you need?, Sociological Methods & Research 49,
   699-718.
.. [5] Vehtari, Gelman, Simpson, Carpenter & Bürkner (2021), Rank-normalization, folding, and
   localization: an improved R-hat, Bayesian Analysis 16, 667-718: R-hat, ESS and MCSE.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bayesimpute.arrays import Array


@dataclass(frozen=True, eq=False)
class Moments:
    """Variances of k pooled scalars; every attribute has the shape (k,).

    Attributes
    ----------
    mean
        θ̄.
    within, between, total
        W, B and T.
    monte_carlo
        E, the Monte-Carlo variance of one imputation's mean.
    df
        ν, infinite where B is 0.
    fmi, fmi_low, fmi_high
        Median and central 95 % interval of the fraction of missing information; NaN where
        nothing varies.
    """

    mean: Array
    within: Array
    between: Array
    total: Array
    monte_carlo: Array
    df: Array
    fmi: Array
    fmi_low: Array
    fmi_high: Array


def moments(means: Array, variances: Array, ess: Array) -> Moments:
    """Combine m posterior means, variances and effective numbers of draws, (m, k) each.

    Examples
    --------
    >>> each = np.full((3, 1), 400)
    >>> found = moments(np.array([[1.0], [1.2], [0.8]]), np.full((3, 1), 0.04), each)
    >>> found.between.round(4), found.total.round(4)
    (array([0.0399]), array([0.0932]))
    """
    m = len(means)
    within = variances.mean(axis=0)
    observed = means.var(axis=0, ddof=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        monte_carlo = np.where(variances > 0, variances / ess, 0.0).mean(axis=0)
        between = np.maximum(observed - monte_carlo, 0)
        total = within + (1 + 1 / m) * between
        share = (1 + 1 / m) * between / total
        df = np.where(between > 0, (m - 1) / share**2, np.inf)
    low, middle, high = (
        missing_information(p, observed, monte_carlo, within, m) for p in (0.025, 0.5, 0.975)
    )
    return Moments(
        means.mean(axis=0), within, between, total, monte_carlo, df, middle, low, high
    )  # fmt: skip


def missing_information(
    p: float, observed: Array, monte_carlo: Array, within: Array, m: int
) -> Array:
    """Give the p-quantile of the fraction of missing information, γ_p above.

    Parameters
    ----------
    p
        Probability.
    observed, monte_carlo, within
        V, E and W, (k,).
    m
        Number of imputations.

    Examples
    --------
    >>> one, none = np.ones(1), np.zeros(1)
    >>> missing_information(0.5, one, none, one, 1001).round(2)
    array([0.5])
    """
    from scipy import stats

    between = np.maximum((m - 1) * observed / stats.chi2.ppf(1 - p, m - 1) - monte_carlo, 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        share: Array = between / (within + between)
    return share


def quantile_error(ends: Array, values: Sequence[Array]) -> Array:
    """Monte-Carlo standard error of quantiles of the mixture, within and between together.

    Parameters
    ----------
    ends
        The quantiles, (k,).
    values
        Draws of each imputation, (chain, draw, k).

    Returns
    -------
    ndarray (k,)
        NaN where the mixture has no density, as for a constant.
    """
    flat = [each.reshape(-1, each.shape[-1]) for each in values]
    below = np.array([(each <= ends).mean(axis=0) for each in flat])
    pooled = np.concatenate(flat)
    at = below.mean(axis=0)
    # A third of the tail to either side: enough draws to count, and little curvature.
    reach = np.clip(np.minimum(at, 1 - at) / 3, 1 / len(pooled), None)
    error = np.empty(len(ends))
    for j in range(len(ends)):
        p = np.clip([at[j] - reach[j], at[j] + reach[j]], 0, 1)
        low, high = np.quantile(pooled[:, j], p)
        spread = below[:, j].std(ddof=1) / np.sqrt(len(flat))
        error[j] = spread * (high - low) / (p[1] - p[0]) if high > low else np.nan
    return error
