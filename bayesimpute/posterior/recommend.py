r"""How many imputations are enough: for repeatable standard errors, estimates and intervals.

**Standard errors.** Replicated imputation of the same data gives another standard error each time,
with a coefficient of variation of γ / √(2 (m − 1)), where γ is the fraction of missing information.
A wanted CV therefore needs m = 1 + ½ (γ / CV)², von Hippel's quadratic rule. γ is itself estimated
from a first stage with few imputations; the upper end of its 95 % interval,
logit γ ± 1.96 √(2/m), makes a second stage too small in one of forty studies only [1]_.

**Estimates and interval ends.** θ̄ has the Monte-Carlo variance B∞/m, the ends of θ̄ ± z √T have
B∞/m + z² T γ² / (2 m) (mean and variance of a normal sample are independent). White, Royston & Wood
ask that the Monte-Carlo error of an estimate be at most 10 % of its standard error [2]_; the same
is asked of interval ends here. For posteriors the Monte-Carlo errors are those of the table, which
assume no normality; they shrink with √m because every imputation brings draws of its own.

References
----------
.. [1] von Hippel (2020), How many imputations do you need? A two-stage calculation using a
   quadratic rule, Sociological Methods & Research 49, 699-718.
.. [2] White, Royston & Wood (2011), Multiple imputation using chained equations: issues and
   guidance for practice, Statistics in Medicine 30, 377-399.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bayesimpute.analysis import Fits
from bayesimpute.arguments import Positive, checked
from bayesimpute.arrays import Array
from bayesimpute.errors import AnalysisError
from bayesimpute.pooling.pooled import Pooled
from bayesimpute.posterior.pooled import PooledPosterior
from bayesimpute.wording import nearest

#: A variance between imputations needs two.
FEWEST = 2


@checked
def recommend_m(
    analysis: Any,
    cv: Positive = 0.05,
    mc_error: Positive = 0.1,
    terms: Sequence[str] | None = None,
) -> pd.DataFrame:
    """Say how many imputations an analysis needs, from one with a few.

    Parameters
    ----------
    analysis
        What ``pool()`` or ``pool_posteriors`` gave, or the fits of ``imp.fit``, of a first stage
        with m = 5 to 20.
    cv
        Wanted coefficient of variation of the standard errors: 0.05 (default, as von Hippel's)
        keeps a repetition's within about 10 %.
    mc_error
        Largest Monte-Carlo error of estimates and interval ends, in standard errors (posterior:
        √T). 0.1 is White, Royston & Wood's.
    terms
        Those that matter; all by default.

    Returns
    -------
    pandas.DataFrame
        Index ``term``: fraction of missing information ``fmi`` with its 95 % interval; imputations
        needed for the standard error (``m_std_error``, from the upper end of that interval), the
        estimate (``m_estimate``) and the interval's ends (``m_interval``); ``m``, the largest of
        them. The largest ``m`` of the table serves all terms.

    Raises
    ------
    AnalysisError
        Another object, m = 1, a cv or mc_error that is not positive, an unknown term.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> from bayesimpute.pooling.pooled import pool
    >>> pooled = pool(rng.normal(0, 1, (20, 1)), np.ones((20, 1)), terms=["sex"])
    >>> recommend_m(pooled)["m_std_error"].to_list()
    [36]
    """
    pooled = analysis.pool() if isinstance(analysis, Fits) else analysis
    if not isinstance(pooled, Pooled | PooledPosterior):
        raise AnalysisError(
            f"recommend_m takes a pooled analysis or fits, not {type(analysis).__name__}: "
            "recommend_m(imp.fit(…).pool())."
        )
    if pooled.m < FEWEST:
        raise AnalysisError("m = 1 says nothing of missing information; impute with m = 5 to 20.")
    chosen = list(pooled.table.index) if terms is None else list(terms)
    for term in chosen:
        if term not in pooled.table.index:
            raise AnalysisError(f"There is no term {term!r}{nearest(term, pooled.table.index)}")
    table = pooled.table.loc[chosen]
    fmi, errors = (
        _posterior(table) if isinstance(pooled, PooledPosterior) else _rubin(pooled, table)
    )
    result = pd.DataFrame(fmi, index=table.index)
    result["m_std_error"] = imputations_for(result["fmi_high"].to_numpy(), cv)
    for name, error in errors.items():
        result[name] = whole(pooled.m * (error / mc_error) ** 2)
    result["m"] = result[["m_std_error", *errors]].max(axis=1)
    return result


def imputations_for(fmi: Any, cv: float) -> NDArray[np.int64]:
    """Von Hippel's m = 1 + ½ (γ / CV)², rounded up, at least 2.

    Parameters
    ----------
    fmi
        γ, a number or (k,).
    cv
        Coefficient of variation of the standard error.

    Examples
    --------
    >>> imputations_for([0.1, 0.5, 0.9], 0.05)
    array([  3,  51, 163])
    """
    return whole(1 + (np.asarray(fmi, dtype=float) / cv) ** 2 / 2)


def fmi_interval(fmi: Any, m: int) -> tuple[Array, Array]:
    """Give von Hippel's 95 % interval, logit γ ± 1.96 √(2/m).

    Examples
    --------
    >>> [end.round(2).tolist() for end in fmi_interval([0.4], 20)]
    [[0.26], [0.55]]
    """
    from scipy import special, stats

    share = np.clip(np.asarray(fmi, dtype=float), 0, 1)
    reach = stats.norm.ppf(0.975) * np.sqrt(2 / m)
    centre = special.logit(share)
    return special.expit(centre - reach), special.expit(centre + reach)


def whole(numbers: Any) -> NDArray[np.int64]:
    """Round up to whole imputations, at least 2; what is undefined counts as none."""
    # Rounding errors must not ask for one more.
    filled = np.nan_to_num(np.asarray(numbers, dtype=float), nan=0.0, posinf=0.0)
    return np.maximum(np.ceil(filled - 1e-9), FEWEST).astype(np.int64)


def _posterior(table: pd.DataFrame) -> tuple[dict[str, Array], dict[str, Array]]:
    total = np.sqrt(table["t"].to_numpy())
    ends = table[["mcse_low", "mcse_high"]].max(axis=1).to_numpy()
    with np.errstate(divide="ignore", invalid="ignore"):
        errors = {
            "m_estimate": table["mcse_mean"].to_numpy() / total,
            "m_interval": ends / total,
        }
    return {name: table[name].to_numpy() for name in ("fmi", "fmi_low", "fmi_high")}, errors


def _rubin(pooled: Pooled, table: pd.DataFrame) -> tuple[dict[str, Array], dict[str, Array]]:
    from scipy import stats

    fmi = table["fmi"].to_numpy()
    low, high = fmi_interval(fmi, pooled.m)
    total = table["t"].to_numpy()
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = table["b"].to_numpy() / total / pooled.m
    z = stats.norm.ppf((1 + pooled.conf_level) / 2)
    ends = mean + z**2 * fmi**2 / (2 * pooled.m)
    return (
        {"fmi": fmi, "fmi_low": low, "fmi_high": high},
        {"m_estimate": np.sqrt(mean), "m_interval": np.sqrt(ends)},
    )
