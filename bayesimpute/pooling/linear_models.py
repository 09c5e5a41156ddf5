"""What linear models alone have: the share of variance explained, and analysis of variance."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from bayesimpute.arguments import checked
from bayesimpute.errors import AnalysisError
from bayesimpute.pooling.estimates import Estimates, as_estimates, several
from bayesimpute.pooling.pooled_test import pool_F
from bayesimpute.pooling.rubin import rubin1987


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
        tables.append(_table(each, sums_of_squares))
    squares = np.mean([table["sum_sq"].to_numpy(dtype=float) for table in tables], axis=0)
    index = pd.Index([str(term) for term in tables[0].index], name="term")
    residual = squares[-1]
    tests = [
        pool_F([float(table["F"].iloc[row]) for table in tables], float(tables[0]["df"].iloc[row]))
        for row in range(len(index) - 1)
    ]
    unknown = [np.nan]
    return pd.DataFrame(
        {
            "sum_sq": squares,
            "df1": tables[0]["df"].to_numpy(dtype=float),
            "statistic": [test.statistic for test in tests] + unknown,
            "df2": [test.df2 for test in tests] + unknown,
            "p_value": [test.p_value for test in tests] + unknown,
            "riv": [test.riv for test in tests] + unknown,
            "eta_squared": squares / squares.sum(),
            "partial_eta_squared": [*(squares[:-1] / (squares[:-1] + residual)), np.nan],
        },
        index=index,
    )


def _table(each: Estimates, sums_of_squares: int) -> pd.DataFrame:
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
