"""The result of a pooled test, and tests pooled from nothing but their m statistics."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from bayesimpute import html
from bayesimpute.arguments import Positive, checked
from bayesimpute.arrays import Array
from bayesimpute.errors import AnalysisError
from bayesimpute.pooling.combined_tests import Statistic, chi_squares, wald
from bayesimpute.wording import not_zero, one_line, p_statement, visible


@dataclass(frozen=True, eq=False)
class PooledTest:
    """A test pooled over m completed data sets.

    Attributes
    ----------
    statistic
        Value of an F statistic. D2 may be negative, where imputations differ more than the tests
        are large; its p value is 1 then.
    df1, df2
        Degrees of freedom of the F distribution.
    p_value
        Upper tail of F(df1, df2); never 0, what underflows is 2.2e-308.
    riv
        Average relative increase in variance due to missing data, r.
    method
        ``"D1"``, ``"D2"``, ``"D3"``, ``"D4"``, with its variant.
    m
        Number of imputations.
    hypothesis
        What is tested to be true, one statement each, as ``"sex = 0"``.
    dfcom
        Complete-data degrees of freedom that entered df2; infinity if none did.
    notes
        What a reader should know, such as that REML fits were refitted.
    """

    statistic: float
    df1: float
    df2: float
    p_value: float
    riv: float
    method: str
    m: int
    hypothesis: tuple[str, ...] = ()
    dfcom: float = float("inf")
    notes: tuple[str, ...] = field(default=())

    @property
    def table(self) -> pd.DataFrame:
        """One row: statistic, df1, df2, p_value, riv, m; the index is the method."""
        columns = {
            name: getattr(self, name) for name in ("statistic", "df1", "df2", "p_value", "riv", "m")
        }
        return pd.DataFrame(columns, index=pd.Index([self.method], name="method"))

    def __repr__(self) -> str:
        return visible("\n".join([self._heading(), self._values(), *map(one_line, self.notes)]))

    def _repr_html_(self) -> str:
        notes = [html.tag("p", note) for note in self.notes]
        return html.plain(self._heading(), html.printed(self.table, 4), *notes)

    def _heading(self) -> str:
        tested = f": {', '.join(map(one_line, self.hypothesis))}" if self.hypothesis else ""
        return f"Pooled test ({one_line(self.method)}, m = {self.m}){tested}"

    def _values(self) -> str:
        p = p_statement(self.p_value)
        df2 = "∞" if np.isinf(self.df2) else f"{self.df2:.1f}"
        return f"F({self.df1:g}, {df2}) = {self.statistic:.3f}, {p}, riv = {self.riv:.3f}"


def pooled_test(
    statistic: Statistic,
    method: str,
    m: int,
    hypothesis: tuple[str, ...] = (),
    dfcom: float = float("inf"),
    notes: tuple[str, ...] = (),
) -> PooledTest:
    """Add the p value and the labels."""
    from scipy import stats

    f, df1, df2, riv = statistic
    tail = stats.f.sf(f, df1, df2) if np.isfinite(df2) else stats.chi2.sf(df1 * f, df1)
    p_value = float(not_zero(tail))
    return PooledTest(f, df1, df2, p_value, riv, method, m, hypothesis, dfcom, notes)


def joint_test(
    estimates: Array, covariances: Array, method: str, hypothesis: tuple[str, ...], dfcom: float
) -> PooledTest:
    """Wald test that k quantities are all 0, by D1, or by D2 from the χ² of each data set.

    Parameters
    ----------
    estimates, covariances
        (m, k) and (m, k, k).
    method
        ``"D1"`` or ``"D2"``, to which `dfcom` does not matter.
    hypothesis, dfcom
        As in `PooledTest`.
    """
    m, k = estimates.shape
    if method == "D1":
        found = wald(estimates, covariances, dfcom)
        return pooled_test(found, "D1", m, hypothesis, dfcom)
    pairs = zip(estimates, covariances, strict=True)
    squares = [float(each @ np.linalg.solve(u, each)) for each, u in pairs]
    return pooled_test(chi_squares(squares, k), "D2, Wald", m, hypothesis)


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
    d = _checked(statistics, "χ²")
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
    d = _checked(statistics, "F") * df1
    return pooled_test(chi_squares(d, df1), "D2", len(d))


def _checked(statistics: ArrayLike, kind: str) -> NDArray[np.float64]:
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
    return d
