"""``bi.missing_pairs``: for each pair of variables, rows with both, either or none observed."""

from collections.abc import Iterator
from dataclasses import dataclass, fields

import pandas as pd

from bayesimpute import html
from bayesimpute.arguments import checked
from bayesimpute.data.table import check_frame
from bayesimpute.wording import visible


@dataclass(frozen=True, eq=False)
class MissingPairs:
    """Rows by what is observed of two variables, in four square frames of counts.

    The first letter is of the variable of the row, the second of that of the column: ``r`` where
    it is observed (it responded), ``m`` where it is missing. ``pairs["mr"]`` is ``pairs.mr``.

    Attributes
    ----------
    rr
        Both observed.
    rm
        The row's observed, the column's missing.
    mr
        The row's missing, the column's observed: rows in which the column helps to impute.
    mm
        Both missing.
    """

    rr: pd.DataFrame
    rm: pd.DataFrame
    mr: pd.DataFrame
    mm: pd.DataFrame

    def __getitem__(self, name: str) -> pd.DataFrame:
        return {field.name: getattr(self, field.name) for field in fields(self)}[name]

    def __iter__(self) -> Iterator[str]:
        return (field.name for field in fields(self))

    def __repr__(self) -> str:
        return visible("\n\n".join(f"{name}\n{self[name].to_string()}" for name in self))

    def _repr_html_(self) -> str:
        parts = [html.join([html.tag("h4", name), html.printed(self[name])]) for name in self]
        return html.plain("Rows by what is observed: r observed, m missing", *parts)


@checked
def missing_pairs(df: pd.DataFrame) -> MissingPairs:
    """Count rows in which both, one or none of two variables are observed (``md.pairs``).

    Parameters
    ----------
    df
        The data.

    Returns
    -------
    MissingPairs
        ``rr``, ``rm``, ``mr``, ``mm``, each variable × variable.

    Raises
    ------
    DataError
        If this is no frame with rows and distinct column names.

    Examples
    --------
    >>> import bayesimpute as bi, pandas as pd
    >>> pairs = bi.missing_pairs(pd.DataFrame({"bmi": [20.5, None, None], "age": [31, 44, 52]}))
    >>> pairs.mr
         bmi  age
    bmi    0    2
    age    0    0
    """
    check_frame(df)
    observed = df.notna().astype("int64")
    missing = 1 - observed
    return MissingPairs(
        observed.T @ observed, observed.T @ missing, missing.T @ observed, missing.T @ missing
    )
