"""What is missing together: complete rows, patterns, pairs of variables, influx and outflux."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields

import numpy as np
import pandas as pd

from bayesimpute import html
from bayesimpute.arguments import checked
from bayesimpute.data.table import Table, check_frame
from bayesimpute.errors import SpecificationError
from bayesimpute.explore.columns import check_columns, factors_of
from bayesimpute.interchange import Frame, given, taken
from bayesimpute.wording import visible


@checked
def complete_cases(df: Frame) -> pd.DataFrame:
    """Rows in which no value is missing, as a new frame.

    Their number, ``len(bi.complete_cases(df))``, is mice's ``ncc``.

    Parameters
    ----------
    df
        A frame of pandas or polars, or an Arrow table.

    Returns
    -------
    pandas.DataFrame
        Columns, dtypes and index labels of `df`; of its kind.

    Raises
    ------
    DataError
        If this is no frame with rows and distinct column names.

    Examples
    --------
    >>> import bayesimpute as bi, pandas as pd
    >>> bi.complete_cases(pd.DataFrame({"age": [1, 2], "bmi": [20.5, None]}))
       age   bmi
    0    1  20.5
    """
    frame, origin = taken(df)
    check_frame(frame)
    return given(frame[frame.notna().all(axis=1)].copy(), origin)


@checked
def incomplete_cases(df: Frame) -> pd.DataFrame:
    """Rows in which at least one value is missing, as a new frame.

    Their number, ``len(bi.incomplete_cases(df))``, is mice's ``nic``.

    Parameters
    ----------
    df
        A frame of pandas or polars, or an Arrow table.

    Returns
    -------
    pandas.DataFrame
        Columns, dtypes and index labels of `df`; of its kind.

    Raises
    ------
    DataError
        If this is no frame with rows and distinct column names.

    Examples
    --------
    >>> import bayesimpute as bi, pandas as pd
    >>> bi.incomplete_cases(pd.DataFrame({"age": [1, 2], "bmi": [20.5, None]}))
       age  bmi
    1    2  NaN
    """
    frame, origin = taken(df)
    check_frame(frame)
    return given(frame[frame.isna().any(axis=1)].copy(), origin)


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


@checked
def flux(df: pd.DataFrame, local: Sequence[str] | None = None) -> pd.DataFrame:
    r"""Influx and outflux of each variable, with the shares beside them (mice's ``flux``).

    With the counts of :func:`missing_pairs`, sums over all variables k,

    .. math::
        \text{influx}_j = \frac{\sum_k mr_{jk}}{\sum_k (mr_{jk} + rr_{jk})},\quad
        \text{outflux}_j = \frac{\sum_k rm_{jk}}{\sum_k (rm_{jk} + mm_{jk})}

    where the denominators are all observed and all missing cells of the data
    (van Buuren 2018, Flexible Imputation of Missing Data, eq. 4.1 and 4.2).

    Parameters
    ----------
    df
        The data.
    local
        Variables to show, and whose connections with the *other* columns of the list alone are
        counted; None for all. As if the rest of the columns were not there.

    Returns
    -------
    pandas.DataFrame
        A row a variable:

        ``pobs``
            Share observed.
        ``influx``
            How well its missing values connect to observed ones of other variables: 0 for a
            complete variable, 1 for one without values in otherwise complete data.
        ``outflux``
            How well its observed values connect to missing ones of others: 1 for a complete
            variable, 0 for one without values. High is a useful predictor.
        ``ainb``
            Mean share, over the other variables, of its missing values where the other is
            observed.
        ``aout``
            Mean share of its observed values where the other is missing.
        ``fico``
            Share of incomplete rows among those where it is observed.

        NaN where a share is of nothing: ``outflux`` in complete data, ``aout`` and ``fico`` of a
        variable without values, ``ainb`` and ``aout`` of a single column; the ``ainb`` of a
        complete variable is 0, as in mice.

    Raises
    ------
    DataError
        If this is no frame with rows and distinct column names.
    SpecificationError
        If `local` names no column.

    Examples
    --------
    >>> import bayesimpute as bi
    >>> study = bi.simulate.simulate_popularity(seed=1)
    >>> bi.flux(study.incomplete)[["pobs", "influx", "outflux"]].round(2).loc["popular"].to_dict()
    {'pobs': 0.6, 'influx': 0.35, 'outflux': 0.0}
    """
    check_frame(df)
    if local is not None:
        names = [local] if isinstance(local, str) else list(local)
        if not names:
            raise SpecificationError("local= names no variable; leave it out to take all.")
        check_columns(names, df, "local=")
        df = df[list(dict.fromkeys(names))]
    pairs = missing_pairs(df)
    rr, rm, mr, mm = (pairs[name].to_numpy().astype(np.float64) for name in pairs)
    complete = df.notna().all(axis=1).to_numpy()
    observed = np.diagonal(rr)
    with np.errstate(divide="ignore", invalid="ignore"):
        columns = {
            "pobs": observed / len(df),
            "influx": mr.sum(axis=1) / (mr + rr).sum(axis=1),
            "outflux": rm.sum(axis=1) / (rm + mm).sum(axis=1),
            "ainb": _mean_of_others(np.nan_to_num(mr / (mr + mm))),
            "aout": _mean_of_others(rm / (rm + rr)),
            "fico": (observed - complete.sum()) / observed,
        }
    return pd.DataFrame(columns, index=pd.Index(df.columns))


def _mean_of_others(shares: np.ndarray) -> np.ndarray:
    """Row means without the diagonal."""
    n = len(shares)
    others = shares[~np.eye(n, dtype=bool)].reshape(n, n - 1)
    return np.asarray(others.mean(axis=1)) if n > 1 else np.full(n, np.nan)
