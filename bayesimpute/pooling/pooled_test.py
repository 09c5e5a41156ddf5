"""The result of a pooled test."""

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from bayesimpute import html
from bayesimpute.pooling.combined_tests import Statistic
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
