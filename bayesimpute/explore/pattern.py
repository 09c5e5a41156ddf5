"""``bi.missing_pattern``: which variables are missing together, and how often."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from bayesimpute.arguments import checked
from bayesimpute.data.table import Table, check_frame
from bayesimpute.errors import SpecificationError
from bayesimpute.explore.columns import factors_of

#: Label of the last row, which counts missing values.
MISSING = "missing"


@checked
def missing_pattern(df: pd.DataFrame, cluster: str | Sequence[str] | None = None) -> pd.DataFrame:
    """Distinct patterns of observed and missing values (mice's ``md.pattern``).

    Parameters
    ----------
    df
        The data.
    cluster
        Column of cluster ids: patterns of each cluster, one after the other, the columns in the
        order of the whole data. Several columns, ``["school", "class"]``: of each combination that
        occurs.

    Returns
    -------
    pandas.DataFrame
        A row a pattern, 1 where observed and 0 where missing; its index is the number of the
        pattern (``pattern``) and of the rows that have it (``n_rows``), with ``cluster`` before
        them if one was given, or the names of several. Columns are the variables, those with fewer
        missing values first (ties as in `df`), then ``n_missing``, the variables missing in the
        pattern. Rows are sorted with the more complete first. The last row, ``"missing"``, counts
        the missing values of each variable, of all, and the rows.

    Raises
    ------
    DataError
        If this is no frame with rows and distinct column names, or the cluster id of a row is
        missing.
    SpecificationError
        If there is no such cluster column, or a variable is called ``n_missing``.

    Examples
    --------
    >>> import bayesimpute as bi, pandas as pd
    >>> df = pd.DataFrame({"bmi": [20.5, None, None], "age": [31, 44, 52]})
    >>> bi.missing_pattern(df)
                    age  bmi  n_missing
    pattern n_rows
    1       1         1    1          0
    2       2         1    0          1
    missing 3         0    2          2
    """
    check_frame(df)
    if "n_missing" in df.columns:
        raise SpecificationError(
            "A variable is called 'n_missing', as is the last column of the table; rename it: "
            "df.rename(columns={'n_missing': ...})."
        )
    observed = df.notna()
    order = observed.sum().sort_values(ascending=False, kind="stable").index
    observed = observed[order]
    if cluster is None:
        return _patterns(observed)
    table = Table.from_frame(df)
    factors = factors_of(table, cluster)
    codes = np.empty((len(df), len(factors)), dtype=np.int64)
    codes[table.rows] = np.column_stack([each.codes for each in factors.values()])
    parts = {}
    for combination in np.unique(codes, axis=0):
        own = zip(factors.values(), combination, strict=True)
        labels = tuple(each.labels[j] for each, j in own)
        key = labels[0] if isinstance(cluster, str) else labels
        parts[key] = _patterns(observed[(codes == combination).all(axis=1)])
    return pd.concat(parts, names=["cluster"] if isinstance(cluster, str) else list(factors))


def _patterns(observed: pd.DataFrame) -> pd.DataFrame:
    """Table of the rows given, columns in their order."""
    distinct, count = np.unique(observed.to_numpy().astype(np.int64), axis=0, return_counts=True)
    distinct, count = distinct[::-1], count[::-1]
    missing = (~observed).sum().to_numpy()
    body = np.column_stack([distinct, (1 - distinct).sum(axis=1)])
    rows = np.vstack([body, np.append(missing, missing.sum())])
    numbers = [*range(1, len(distinct) + 1), MISSING]
    index = pd.MultiIndex.from_arrays(
        [pd.Index(numbers, dtype=object), [*count.tolist(), len(observed)]],
        names=["pattern", "n_rows"],
    )
    return pd.DataFrame(rows, index=index, columns=[*observed.columns, "n_missing"])
