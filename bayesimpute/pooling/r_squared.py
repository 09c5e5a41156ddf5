"""The pooled share of variance explained."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from bayesimpute.arguments import checked
from bayesimpute.errors import AnalysisError
from bayesimpute.pooling.aligned import as_estimates, several
from bayesimpute.pooling.estimates import Estimates
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
