"""Pooled estimates with their labels: Rubin's rules (`rubin`) as tables people read.

Linear models have more: the share of variance explained, and analysis of variance.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from bayesimpute import html
from bayesimpute.arguments import Level, Positive, checked
from bayesimpute.errors import AnalysisError, warn
from bayesimpute.pooling.estimates import (
    Estimates,
    aligned,
    as_estimates,
    checked_estimates,
    complete_data_df,
    refuse_numbers_alone,
    several,
)
from bayesimpute.pooling.model_tests import pool_F
from bayesimpute.pooling.rubin import RULES, Combined, Rule, rubin1987, single, total_covariance
from bayesimpute.pooling.separation import warn_of_separation
from bayesimpute.pooling.variance_intervals import pooled_parameters
from bayesimpute.wording import not_zero, rounded


@dataclass(frozen=True)
class Explained:
    """R² of one fit.

    Attributes
    ----------
    r_squared, adjusted
        NaN where the fit has none.
    rows
        Of the data.
    model
        Name of the fit, for error texts.
    """

    r_squared: float
    adjusted: float
    rows: float
    model: str


def explained(estimates: Estimates) -> Explained:
    """R², adjusted R² and rows of a linear model; NaN of any other.

    Examples
    --------
    >>> explained(as_estimates([(1.0, [[0.1]])])[0]).r_squared
    nan
    """
    fit = estimates.model
    r_squared, adjusted, rows = (_number(fit, n) for n in ("rsquared", "rsquared_adj", "nobs"))
    return Explained(r_squared, adjusted, rows, type(fit).__name__)


def _number(fit: Any, name: str) -> float:
    try:
        value = getattr(fit, name, None)
    except NotImplementedError:
        return float("nan")
    return float(value) if isinstance(value, int | float | np.number) else float("nan")


@checked
def pool_r_squared(fits: Any, adjusted: bool = False) -> pd.DataFrame:
    """Pool R² of linear models: Fisher's z of R, Rubin's rules, and back.

    z = atanh(√R²) has the variance 1 / (n − 3) in large samples (Fisher 1921; for multiply imputed
    data Harel 2009, Journal of Applied Statistics 36, 1109). Gives the numbers of mice's
    ``pool.r.squared``: normal interval with the quantile 1.96.

    Parameters
    ----------
    fits
        Of ``imp.fit("y ~ x")``: linear models of one level. Also what ``.pool()`` made of them.
    adjusted
        Adjusted R² in place of R² (False).

    Returns
    -------
    DataFrame
        One row, ``"R²"`` or ``"adjusted R²"``: estimate, conf_low, conf_high, fmi.

    Raises
    ------
    AnalysisError
        Another model, m = 1, or an R² of 1.

    Notes
    -----
    An adjusted R² below 0 enters with the sign of its root, z = −atanh(√|R²|), as in mice; the
    pooled one keeps the sign, which mice loses by squaring. An interval of R² in z that reaches
    below 0 (R² hardly above 0) has its lower limit at 0; mice squares a negative limit, which
    reads as a positive one.

    Examples
    --------
    >>> from bayesimpute import fit
    >>> frames = [pd.DataFrame({"x": [0, 1, 2, 3, 4], "y": [0, 2, 1, 3, 3 + i]}) for i in (0, 1, 2)]
    >>> pool_r_squared(fit(frames, "y ~ x")).round(2)
        estimate  conf_low  conf_high   fmi
    R²      0.79       0.0       0.99  0.05
    """
    pooled = getattr(fits, "explained", None)
    if pooled == ():
        raise AnalysisError("numbers were pooled, which have no R²; give the fits.")
    each = pooled if isinstance(pooled, tuple) else tuple(map(explained, as_estimates(fits)))
    several(each, "The pooled R²")
    z = np.array([[_z(one, number, adjusted)] for number, one in enumerate(each, start=1)])
    found = rubin1987(z, 1 / (np.array([[one.rows] for one in each]) - 3))
    center, half = float(found.estimate[0]), 1.96 * float(np.sqrt(found.t[0]))
    low = center - half
    return pd.DataFrame(
        {
            "estimate": _share(center),
            "conf_low": _share(low if adjusted else max(low, min(center, 0.0))),
            "conf_high": _share(center + half),
            "fmi": found.fmi,
        },
        index=["adjusted R²" if adjusted else "R²"],
    )


def _z(one: Explained, number: int, adjusted: bool) -> float:
    share = one.adjusted if adjusted else one.r_squared
    if not np.isfinite([share, one.rows]).all():
        raise AnalysisError(
            f"{one.model} has no {'adjusted ' if adjusted else ''}R²; it is pooled for linear "
            "models, imp.fit('y ~ x')."
        )
    if not abs(share) < 1:
        raise AnalysisError(
            f"{'Adjusted ' if adjusted else ''}R² of imputation {number} is {share:.4g}; "
            "Fisher's z needs one below 1."
        )
    if not one.rows > 3:
        raise AnalysisError(
            f"Imputation {number} has {one.rows:g} rows; the pooled R² needs more than 3."
        )
    return float(np.sign(share) * np.arctanh(np.sqrt(abs(share))))


def _share(z: float) -> float:
    return float(np.sign(z) * np.tanh(z) ** 2)


@checked
def pool_anova(fits: Any, sums_of_squares: Literal[1, 2, 3] = 2) -> pd.DataFrame:
    """F test and share of variance of each term of a linear model, with all its columns.

    F statistics are pooled as χ² by D2 (Li, Meng, Raghunathan & Rubin 1991, equations 2.1 to 2.3),
    sums of squares averaged: as miceadds' ``mi.anova``. For one term with few imputations `D1` of
    the models with and without it has more power.

    Parameters
    ----------
    fits
        Of ``imp.fit("y ~ group * x")``: linear models of one level.
    sums_of_squares
        1 (each term after those before it, main effects first as in R), 2 (default; after all
        that do not contain it) or 3 (after all others), which means something with sum-to-zero
        contrasts only: ``C(group, Sum)``.

    Returns
    -------
    DataFrame
        A row a term, and ``"Residual"``: sum_sq, df1, statistic, df2, p_value, riv, eta_squared
        (of the sum of the column sum_sq), partial_eta_squared (of the term and the residual).

    Raises
    ------
    AnalysisError
        Other models, or one imputation.

    Examples
    --------
    >>> from bayesimpute import fit
    >>> frame = pd.DataFrame({"g": list("aabbcc"), "y": [0, 1, 3, 2, 5, 5]})
    >>> frames = [frame, frame.assign(y=[0, 1, 3, 2, 5, 6]), frame.assign(y=[0, 1, 3, 2, 5, 7])]
    >>> pool_anova(fit(frames, "y ~ g"))[["sum_sq", "df1", "eta_squared"]].round(2)
              sum_sq  df1  eta_squared
    term
    g          25.56  2.0         0.93
    Residual    1.83  3.0         0.07
    """
    estimates = as_estimates(fits)
    several(estimates, "A pooled analysis of variance")
    tables = []
    for each in estimates:
        if type(getattr(each.model, "model", None)).__name__ != "OLS":
            raise AnalysisError(
                f"{type(each.model).__name__} has no sums of squares; an analysis of variance is "
                "pooled for linear models, imp.fit('y ~ group')."
            )
        tables.append(_squares(each, sums_of_squares))
    squares = np.mean([table["sum_sq"].to_numpy(dtype=float) for table in tables], axis=0)
    df = tables[0]["df"].to_numpy(dtype=float)
    tests = [pool_F([table["F"].iloc[k] for table in tables], df[k]) for k in range(len(df) - 1)]
    names = ("statistic", "df2", "p_value", "riv")
    return pd.DataFrame(
        {
            "sum_sq": squares,
            "df1": df,
            **{name: [*(getattr(test, name) for test in tests), np.nan] for name in names},
            "eta_squared": squares / squares.sum(),
            "partial_eta_squared": [*(squares[:-1] / (squares[:-1] + squares[-1])), np.nan],
        },
        index=pd.Index([str(term) for term in tables[0].index], name="term"),
    )


def _squares(each: Estimates, sums_of_squares: int) -> pd.DataFrame:
    """Give sums of squares, df and F of each term, the residual last."""
    if each.design is None:
        from statsmodels.stats.anova import anova_lm

        table = anova_lm(each.model, typ=sums_of_squares)
        return table.drop(index="Intercept", errors="ignore")
    model, fixed = each.model.model, each.design.fixed
    position, terms = int(fixed.intercept), []
    for term in fixed.terms:
        terms.append((term.label, term.key, list(range(position, position + term.width))))
        position += term.width
    terms.sort(key=lambda term: len(term[1]))
    everything = list(range(position))

    def residual(columns: list[int]) -> float:
        x, y = model.exog[:, sorted(columns)], model.endog
        return float(np.sum((y - x @ np.linalg.lstsq(x, y, rcond=None)[0]) ** 2))

    before = everything[: int(fixed.intercept)]
    squares = []
    for _, key, own in terms:
        if sums_of_squares == 3:
            before = [column for column in everything if column not in own]
        elif sums_of_squares == 2:
            apart = {c for _, other, columns in terms if key <= other for c in columns}
            before = [column for column in everything if column not in apart]
        squares.append(residual(before) - residual([*before, *own]))
        before = [*before, *own]
    left, df = residual(everything), float(each.model.df_resid)
    sizes = [float(len(own)) for *_, own in terms]
    f = [(ss / size) / (left / df) for ss, size in zip(squares, sizes, strict=True)]
    return pd.DataFrame(
        {"sum_sq": [*squares, left], "df": [*sizes, df], "F": [*f, np.nan]},
        index=[*(label for label, *_ in terms), "Residual"],
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
        What the fitting package returned of each analysis, empty where numbers were pooled, and
        the pooling rule: what `random_effects` is made of.
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
        shown = self.table[[*self.table.columns[:7], "fmi"]].copy()
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
    return Pooled(table, m, complete, ci_prob, components, covariance, rule=rule)


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
