"""Tests of the m data sets pooled from nothing but their statistics."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bayesimpute.arguments import Positive, checked
from bayesimpute.errors import AnalysisError
from bayesimpute.pooling.combined_tests import chi_squares
from bayesimpute.pooling.pooled_test import PooledTest, pooled_test


@checked
def pool_chi2(statistics: ArrayLike | Sequence[float], df: Positive) -> PooledTest:
    """Pool χ² statistics: D2 of Li, Meng, Raghunathan & Rubin (1991), equations 2.1 to 2.3.

    Parameters
    ----------
    statistics
        One of each completed data set, (m,), not negative.
    df
        Degrees of freedom of each.

    Returns
    -------
    PooledTest

    Raises
    ------
    AnalysisError
        Fewer than two statistics, negative ones or NaN, or df that is not positive.

    Examples
    --------
    >>> pool_chi2([7.2, 4.9, 8.1], df=2)
    Pooled test (D2, m = 3)
    F(2, 63.3) = 2.692, p = 0.0755, riv = 0.144
    """
    d = _checked(statistics, df, "χ²")
    return pooled_test(chi_squares(d, df), "D2", len(d))


@checked
def pool_F(statistics: ArrayLike | Sequence[float], df1: Positive) -> PooledTest:
    """Pool F statistics, taken as χ² of df1 F: as miceadds' ``micombine.F``.

    The df2 of the tests is taken as large, as D2 is (Li, Meng, Raghunathan & Rubin 1991).

    Parameters
    ----------
    statistics
        One of each completed data set, (m,), not negative.
    df1
        Numerator degrees of freedom.

    Returns
    -------
    PooledTest

    Raises
    ------
    AnalysisError
        As `pool_chi2`.

    Examples
    --------
    >>> pool_F([3.6, 2.45, 4.05], df1=2).statistic.__round__(3)
    2.692
    """
    d = _checked(statistics, df1, "F") * df1
    return pooled_test(chi_squares(d, df1), "D2", len(d))


def _checked(statistics: ArrayLike, df: float, kind: str) -> NDArray[np.float64]:
    try:
        d = np.array(statistics, dtype=float)
    except (TypeError, ValueError) as error:
        raise AnalysisError(f"The {kind} statistics must be numbers: {error}") from error
    if d.ndim != 1 or len(d) < 2:
        raise AnalysisError(
            f"{kind} statistics of at least 2 imputations are needed, as a list; the shape is "
            f"{d.shape}."
        )
    wrong = ~np.isfinite(d) | (d < 0)
    if wrong.any():
        raise AnalysisError(
            f"The {kind} statistic of imputation {int(np.argmax(wrong)) + 1} is "
            f"{d[np.argmax(wrong)]:g}; it must be a number not below 0."
        )
    if not df > 0:
        raise AnalysisError(f"The degrees of freedom are {df}; they must be positive.")
    return d
