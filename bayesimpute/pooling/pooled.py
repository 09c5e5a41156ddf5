"""Pooled estimates with their labels: Rubin's rules (`rubin`) as tables people read."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from bayesimpute import html
from bayesimpute.errors import AnalysisError, ImputationWarning
from bayesimpute.pooling.estimates import nearest
from bayesimpute.pooling.pool_input import checked_df, checked_estimates
from bayesimpute.pooling.rubin import RULES, Combined, single, total_covariance
from bayesimpute.wording import rounded

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


def _no_components() -> pd.Series:
    return pd.Series(dtype=float, name="estimate")


@dataclass(frozen=True, eq=False)
class Pooled:
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
        random effects.
    covariance
        T = Ū + (1 + 1/m) B as a matrix by term; None if only variances were pooled.
    """

    table: pd.DataFrame
    m: int
    dfcom: float
    conf_level: float = 0.95
    variance_components: pd.Series = field(default_factory=_no_components)
    covariance: pd.DataFrame | None = None

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

    def __repr__(self) -> str:
        text = f"{self._heading()}\n{rounded(self.summary(), 4).to_string()}"
        if self.variance_components.empty:
            return text
        return f"{text}\n\n{self.variance_components.round(4).to_string()}"

    def _repr_html_(self) -> str:
        components = self.variance_components
        return html.plain(
            self._heading(),
            html.printed(self.summary(), 4),
            "" if components.empty else html.printed(components.to_frame(), 4),
        )

    def _heading(self) -> str:
        sets = "1 imputation" if self.m == 1 else f"{self.m} imputations"
        df = "infinite" if np.isinf(self.dfcom) else f"{self.dfcom:g}"
        return f"Pooled over {sets}; complete-data df {df}; {self.conf_level:.0%} intervals"


def pool(
    estimates: ArrayLike | pd.DataFrame,
    variances: ArrayLike | pd.DataFrame,
    dfcom: float | None = None,
    *,
    terms: Sequence[str] | None = None,
    conf_level: float = 0.95,
    rule: str = "rubin1987",
    variance_components: Sequence[Mapping[str, float]] = (),
) -> Pooled:
    """Combine m estimates and their variances by Rubin's rules.

    Parameters
    ----------
    estimates
        One row an imputation, (m,) or (m, k); a DataFrame's columns name the terms.
    variances
        Squared standard errors in the shape of `estimates`, or covariance matrices (m, k, k).
    dfcom
        Degrees of freedom of the analysis of complete data, n − p for regression. None (default)
        is infinity: Rubin's (1987) large-sample df, as mitml's default.
    terms
        Names of the k estimates; by default the columns of the frame, else ``"0"``, ``"1"``, ….
    conf_level
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
        Shapes or m differ, a value is NaN or infinite, a variance is negative, an unknown rule.

    Warns
    -----
    ImputationWarning
        m = 1: the result is that one analysis, its standard errors ignore the missing data.

    Examples
    --------
    >>> pooled = pool([[1.0], [1.2]], [[0.04], [0.05]], dfcom=100, terms=["x"])
    >>> float(round(pooled.table.loc["x", "std_error"], 3))
    0.274
    """
    q, u, names = checked_estimates(estimates, variances, terms)
    complete = checked_df(dfcom)
    if not 0 < conf_level < 1:
        raise AnalysisError(f"conf_level is {conf_level}; it must lie between 0 and 1, e.g. 0.95.")
    if rule not in RULES:
        raise AnalysisError(f"Unknown pooling rule {rule!r}{nearest(rule, RULES)}.")
    m = len(q)
    if m == 1:
        warnings.warn(
            "Only one imputation (m = 1): the result is that single analysis, and its standard "
            "errors ignore that data were missing. Impute with m = 20 or more.",
            ImputationWarning,
            stacklevel=2,
        )
    each = np.diagonal(u, axis1=1, axis2=2) if u.ndim == 3 else u
    combined = (single if m == 1 else RULES[rule])(q, each, complete)
    covariance = None
    if u.ndim == 3 and rule == "rubin1987":
        covariance = pd.DataFrame(total_covariance(q, u), index=names, columns=names)
    table = _table(combined, names, conf_level)
    components = _mean_components(variance_components, m)
    return Pooled(table, m, complete, conf_level, components, covariance)


def _table(combined: Combined, names: pd.Index, conf_level: float) -> pd.DataFrame:
    from scipy import stats

    std_error = np.sqrt(combined.t)
    with np.errstate(divide="ignore", invalid="ignore"):
        statistic = combined.estimate / std_error
    half = stats.t.ppf((1 + conf_level) / 2, combined.df) * std_error
    columns = {
        "estimate": combined.estimate,
        "std_error": std_error,
        "statistic": statistic,
        "df": combined.df,
        "p_value": 2 * stats.t.sf(np.abs(statistic), combined.df),
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
