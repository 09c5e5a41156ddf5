"""Pooled estimates with their labels: Rubin's rules (`rubin`) as tables people read."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from bayesimpute import html
from bayesimpute.arguments import Level, Positive, checked
from bayesimpute.errors import AnalysisError, warn
from bayesimpute.pooling.estimates import Estimates, aligned, as_estimates, complete_data_df
from bayesimpute.pooling.linear_models import Explained, explained, pool_r_squared
from bayesimpute.pooling.plain import (
    checked_estimates,
    refuse_numbers_alone,
)
from bayesimpute.pooling.rubin import RULES, Combined, Rule, single, total_covariance
from bayesimpute.pooling.separation import warn_of_separation
from bayesimpute.pooling.variance_intervals import pooled_parameters
from bayesimpute.wording import not_zero, rounded

#: Columns of ``Pooled.table``.
COLUMNS = (
    "estimate",
    "std_error",
    "statistic",
    "df",
    "p_value",
    "conf_low",
    "conf_high",
    "riv",
    "lambda",
    "fmi",
    "ubar",
    "b",
    "t",
)


#: Said below variance components of fits of which `Pooled.random_effects` knows no intervals.
NO_INTERVALS = (
    "Variance components of these fits have no intervals here; those of imp.fit('y ~ x + (1 | g)') "
    "and of statsmodels' MixedLM have, and imp.fit_posterior has their posterior."
)


def _no_components() -> pd.Series:
    return pd.Series(dtype=float, name="estimate")


@dataclass(frozen=True, eq=False, repr=False)
class Pooled(html.Told):
    """Pooled analysis of m completed data sets.

    Attributes
    ----------
    table
        Index ``term``; columns estimate, std_error, statistic, df, p_value (two-sided, against
        0), conf_low, conf_high, riv, lambda, fmi, ubar, b, t. `bayesimpute.pooling.rubin` has the
        formulas.
    m
        Number of analyses pooled.
    dfcom
        Complete-data degrees of freedom that were used; infinity for large samples.
    conf_level
        Coverage of the interval (0.95).
    variance_components
        Mean over imputations, named as mitml does: ``"Intercept~~Intercept|school"``,
        ``"Intercept~~sex|school"``, ``"Residual~~Residual"``, ``"ICC|school"``. Empty without
        random effects. `random_effects` has intervals.
    covariance
        T = Ū + (1 + 1/m) B as a matrix by term; None if only variances were pooled.
    explained
        R² of each analysis, as `r_squared` pools them; empty where numbers were pooled.
    models, rule
        What the fitting package returned of each analysis, and the pooling rule: what
        `random_effects` is made of. Empty where numbers were pooled.
    """

    table: pd.DataFrame
    m: int
    dfcom: float
    conf_level: float = 0.95
    variance_components: pd.Series = field(default_factory=_no_components)
    covariance: pd.DataFrame | None = None
    explained: tuple[Explained, ...] = field(default=(), repr=False)
    models: tuple[Any, ...] = field(default=(), repr=False)
    rule: Rule = "rubin1987"

    @cached_property
    def random_effects(self) -> pd.DataFrame:
        """SDs and correlations of random effects, residual SD and ICCs, with intervals.

        Pooled on the log scale (SDs), as Fisher's z (correlations) and on the logit scale (ICCs),
        with standard errors from the observed information of each fit's deviance (the REML
        criterion where it was fitted by that), and transformed back: no interval reaches outside
        what the parameter can be. Squares of an SD and its interval are those of the variance.

        Returns
        -------
        DataFrame
            Index ``term``: ``"sd((Intercept) | school)"``, ``"cor((Intercept), x | school)"``,
            ``"sigma"``, ``"icc(school)"`` (of a logistic model that of the latent variable, whose
            error has variance π²/3). Columns estimate, conf_low, conf_high; scale; and on it
            std_error and df, fmi; ``at_boundary``, in how many imputations the SD is 0 or smaller
            than its standard error (the correlation ±1). Where that is not 0 there is no interval,
            and the estimate is the plain mean; so too where the likelihood of a fit has no maximum
            at its estimates. Empty for fits that are not mixedlm's, nor of statsmodels' MixedLM.

        Examples
        --------
        >>> from bayesimpute import fit, simulate
        >>> data = simulate.simulate_popularity(seed=1, schools=20, pupils=300).complete
        >>> found = fit([data, data], "popular ~ texp + (1 | school)").pool().random_effects
        >>> found.loc["icc(school)", ["estimate", "conf_low", "conf_high"]].astype(float).round(2)
        estimate     0.25
        conf_low     0.13
        conf_high    0.44
        Name: icc(school), dtype: float64
        """
        return pooled_parameters(self.models, self.conf_level, self.rule)

    @property
    def r_squared(self) -> pd.DataFrame:
        """Pooled R² and adjusted R² of linear models, a row each (`bayesimpute.pool_r_squared`)."""
        return pd.concat([pool_r_squared(self, adjusted) for adjusted in (False, True)])

    @checked
    def summary(self, exponentiate: bool = False) -> pd.DataFrame:
        """Columns of `table` for a report, on the odds or rate scale if asked for.

        Parameters
        ----------
        exponentiate
            exp() of estimate and interval; std_error, statistic, p_value stay on the scale of the
            model, as in mice.

        Returns
        -------
        DataFrame
            estimate, std_error, statistic, df, p_value, conf_low, conf_high, fmi by term.
        """
        shown = self.table[[*COLUMNS[:7], "fmi"]].copy()
        if exponentiate:
            scaled = ["estimate", "conf_low", "conf_high"]
            shown[scaled] = np.exp(shown[scaled])
        return shown

    def _said(self) -> Iterator[str | pd.DataFrame]:
        sets = "1 imputation" if self.m == 1 else f"{self.m} imputations"
        df = "infinite" if np.isinf(self.dfcom) else f"{self.dfcom:g}"
        yield f"Pooled over {sets}; complete-data df {df}; {self.conf_level:.0%} intervals"
        yield rounded(self.summary(), 4)
        if not self.random_effects.empty:
            yield rounded(self.random_effects[["estimate", "conf_low", "conf_high", "fmi"]], 4)
            yield from boundary_notes(self.random_effects, self.m)
        elif not self.variance_components.empty:
            yield self.variance_components.round(4).to_frame()
            if any(model is not None for model in self.models):
                yield NO_INTERVALS


def boundary_notes(random_effects: pd.DataFrame, m: int) -> Iterator[str]:
    """Say of each parameter without an interval why it has none.

    Parameters
    ----------
    random_effects, m
        Of `Pooled`.
    """
    # an ICC has the boundary of its SD
    rows = random_effects[[not str(term).startswith("icc(") for term in random_effects.index]]
    for term, count in rows.loc[rows["at_boundary"] > 0, "at_boundary"].items():
        where = "" if m == 1 else f" in {count} of {m} imputations"
        what = (
            "is ±1, or of an SD that is 0,"
            if str(term).startswith("cor(")
            else "is 0 or smaller than its standard error"
        )
        yield (
            f"{term} {what}{where}: no interval holds there. A simpler random part, or the "
            "posterior (imp.fit_posterior, or imputation with analysis=), has an answer."
        )
    untold = rows.index[rows["conf_low"].isna() & (rows["at_boundary"] == 0)]
    if len(untold):
        yield (
            f"{', '.join(map(str, untold))}: no interval, for the likelihood has no maximum at "
            f"the estimates{'' if m == 1 else ' of some imputation'}: the fit has not converged, "
            "or the data do not tell these parameters apart, as where a cluster has one row only. "
            "A simpler random part has intervals; the posterior (imp.fit_posterior) shows what the "
            "data leave open."
        )


@checked
def pool(
    estimates: Any,
    variances: ArrayLike | pd.DataFrame | None = None,
    dfcom: Positive | None = None,
    *,
    terms: Sequence[str] | None = None,
    ci_prob: Level = 0.95,
    rule: Rule = "rubin1987",
    variance_components: Sequence[Mapping[str, float]] = (),
) -> Pooled:
    """Combine m analyses, or m estimates and their variances, by Rubin's rules.

    Parameters
    ----------
    estimates
        - what ``imp.fit(…)`` returned, a list with the fit of each completed data set (or a dict
          by imputation; whatever ``imp.fit`` takes from a function), or one long tidy frame in
          which every term comes once an imputation: alone, without `variances`;
        - numbers with `variances`: one row an imputation, (m,) or (m, k); a DataFrame's columns
          name the terms.
    variances
        Squared standard errors in the shape of `estimates`, or covariance matrices (m, k, k).
    dfcom
        Degrees of freedom of the analysis of complete data, n − p for regression. None (default)
        takes those of the fits (see ``Fits.pool``); for numbers it is infinity: Rubin's (1987)
        large-sample df, as mitml's default.
    terms
        Names of the k estimates; by default the columns of the frame, else ``"0"``, ``"1"``, ….
    ci_prob
        Coverage of the confidence interval.
    rule
        ``"rubin1987"``, or ``"reiter2003"`` for partially synthetic data.
    variance_components
        One mapping an imputation; their means go into the result.

    Returns
    -------
    Pooled

    Raises
    ------
    AnalysisError
        Fits of different models or terms; shapes or m differ, a value is NaN or infinite, a
        variance is negative, an unknown rule.

    Warns
    -----
    ImputationWarning
        m = 1: the result is that one analysis, its standard errors ignore the missing data. A
        binary outcome that the predictors separate.

    Examples
    --------
    >>> pooled = pool([[1.0], [1.2]], [[0.04], [0.05]], dfcom=100, terms=["x"])
    >>> float(round(pooled.table.loc["x", "std_error"], 3))
    0.274
    >>> pool([{"estimate": 1.0, "variance": 0.04}, {"estimate": 1.2, "variance": 0.05}]).m
    2
    """
    if variances is None:
        refuse_numbers_alone(estimates, terms, variance_components)
        return _of_fits(estimates, dfcom, ci_prob, rule)
    q, u, names = checked_estimates(estimates, variances, terms)
    complete = np.inf if dfcom is None else float(dfcom)
    m = len(q)
    if m == 1:
        warn(
            "Only one imputation (m = 1): the result is that single analysis, and its standard "
            "errors ignore that data were missing. Impute with m = 20 or more."
        )
    each = np.diagonal(u, axis1=1, axis2=2) if u.ndim == 3 else u
    combined = (single if m == 1 else RULES[rule])(q, each, complete)
    covariance = None
    if u.ndim == 3 and rule == "rubin1987":
        covariance = pd.DataFrame(total_covariance(q, u), index=names, columns=names)
    table = _table(combined, names, ci_prob)
    components = _mean_components(variance_components, m)
    return Pooled(table, m, complete, ci_prob, components, covariance)


def _of_fits(fits: Any, dfcom: float | None, ci_prob: float, rule: Rule) -> Pooled:
    analyses: tuple[Estimates, ...] = as_estimates(fits)
    if not hasattr(fits, "estimates"):  # imp.fit has said it of its own
        warn_of_separation(analyses)
    terms, estimates, covariances = aligned(analyses)
    pooled = pool(
        estimates,
        covariances,
        complete_data_df(analyses, dfcom),
        terms=terms,
        ci_prob=ci_prob,
        rule=rule,
        variance_components=[each.variance_components for each in analyses],
    )
    return replace(
        pooled,
        explained=tuple(explained(each) for each in analyses),
        models=tuple(each.model for each in analyses),
        rule=rule,
    )


def _table(combined: Combined, names: pd.Index, ci_prob: float) -> pd.DataFrame:
    from scipy import stats

    std_error = np.sqrt(combined.t)
    with np.errstate(divide="ignore", invalid="ignore"):
        statistic = combined.estimate / std_error
    half = stats.t.ppf((1 + ci_prob) / 2, combined.df) * std_error
    columns = {
        "estimate": combined.estimate,
        "std_error": std_error,
        "statistic": statistic,
        "df": combined.df,
        "p_value": not_zero(2 * stats.t.sf(np.abs(statistic), combined.df)),
        "conf_low": combined.estimate - half,
        "conf_high": combined.estimate + half,
        "riv": combined.riv,
        "lambda": combined.lambda_,
        "fmi": combined.fmi,
        "ubar": combined.ubar,
        "b": combined.b,
        "t": combined.t,
    }
    return pd.DataFrame(columns, index=names)


def _mean_components(components: Sequence[Mapping[str, float]], m: int) -> pd.Series:
    if not components:
        return _no_components()
    names = list(components[0])
    if len(components) != m or any(set(each) != set(names) for each in components):
        raise AnalysisError(
            "The variance components differ across imputations; fit the same random part to each."
        )
    means = {name: float(np.mean([each[name] for each in components])) for name in names}
    return pd.Series(means, name="estimate", dtype=float)
