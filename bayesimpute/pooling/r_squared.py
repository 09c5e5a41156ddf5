"""The pooled share of variance explained."""

from typing import Any

import numpy as np
import pandas as pd

from bayesimpute.arguments import checked
from bayesimpute.errors import AnalysisError
from bayesimpute.pooling.aligned import as_estimates, several
from bayesimpute.pooling.rubin import rubin1987


@checked
def pool_r_squared(fits: Any, adjusted: bool = False) -> pd.DataFrame:
    """Pool R² of linear models: Fisher's z of R, Rubin's rules, and back.

    z = atanh(√R²) has the variance 1 / (n − 3) in large samples (Fisher 1921; for multiply imputed
    data Harel 2009, Journal of Applied Statistics 36, 1109). Gives the numbers of mice's
    ``pool.r.squared``: normal interval with the quantile 1.96.

    Parameters
    ----------
    fits
        Of ``imp.fit("y ~ x")``: linear models of one level.
    adjusted
        Adjusted R² in place of R² (False).

    Returns
    -------
    DataFrame
        One row, ``"R²"`` or ``"adjusted R²"``: estimate, conf_low, conf_high, fmi.

    Raises
    ------
    AnalysisError
        Another model, m = 1, or an adjusted R² below 0, which has no root.

    Notes
    -----
    An interval in z that reaches below 0 (R² hardly above 0) has its lower limit at 0 here; mice
    squares a negative limit, which reads as a positive one.

    Examples
    --------
    >>> from bayesimpute import fit
    >>> frames = [pd.DataFrame({"x": [0, 1, 2, 3, 4], "y": [0, 2, 1, 3, 3 + i]}) for i in (0, 1, 2)]
    >>> pool_r_squared(fit(frames, "y ~ x")).round(2)
        estimate  conf_low  conf_high   fmi
    R²      0.79       0.0       0.99  0.05
    """
    estimates = as_estimates(fits)
    several(estimates, "The pooled R²")
    name = "rsquared_adj" if adjusted else "rsquared"
    shares, rows = [], []
    for number, each in enumerate(estimates, start=1):
        share = getattr(each.model, name, None)
        if share is None or not hasattr(each.model, "nobs"):
            raise AnalysisError(
                f"{type(each.model).__name__} has no R²; it is pooled for linear models, "
                "imp.fit('y ~ x')."
            )
        if not 0 <= share < 1:
            raise AnalysisError(
                f"{'Adjusted ' if adjusted else ''}R² of imputation {number} is {share:.4g}; "
                "Fisher's z needs one from 0 to below 1."
            )
        shares.append(float(share))
        rows.append(float(each.model.nobs))
    z = np.arctanh(np.sqrt(shares))[:, None]
    pooled = rubin1987(z, 1 / (np.array(rows)[:, None] - 3))
    center, half = float(pooled.estimate[0]), 1.96 * float(np.sqrt(pooled.t[0]))
    return pd.DataFrame(
        {
            "estimate": np.tanh(center) ** 2,
            "conf_low": np.tanh(max(center - half, 0.0)) ** 2,
            "conf_high": np.tanh(center + half) ** 2,
            "fmi": pooled.fmi,
        },
        index=["adjusted R²" if adjusted else "R²"],
    )
