"""``bi.missing_tests``: whether what is missing of one variable depends on another."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from bayesimpute.arguments import checked
from bayesimpute.data.clusters import ClusterIndex
from bayesimpute.data.table import Kind, Table
from bayesimpute.explore.columns import clusters_of, indicators
from bayesimpute.explore.group_tests import by_clusters, contingency, welch

COLUMNS = (
    "missing",
    "variable",
    "test",
    "n_observed",
    "n_missing",
    "mean_observed",
    "mean_missing",
    "difference",
    "std_difference",
    "cramers_v",
    "statistic",
    "df",
    "p_value",
)


@checked
def missing_tests(df: pd.DataFrame, cluster: str | None = None) -> pd.DataFrame:
    """Test every variable between rows where another is observed and rows where it is missing.

    A difference speaks against values missing completely at random, and names a predictor the
    imputation model should have; none proves nothing. There are many tests: at 5 %, one in twenty
    is significant by chance.

    Parameters
    ----------
    df
        The data.
    cluster
        Column of cluster ids. The tests take rows as independent; with clusters, ``p_cluster`` is a
        p-value that does not, and the ids are tested as a category: whether clusters differ in
        how much is missing. None leaves both out.

    Returns
    -------
    pandas.DataFrame
        A row a pair, in the order of the columns of `df`. As a matrix:
        ``tests.pivot(index="missing", columns="variable", values="p_value")``.

        ``missing``, ``variable``
            Whose missing values make the groups, and what is compared.
        ``test``
            ``"Welch t"`` for numbers; for categories ``"chi2"``, or where counts are small
            ``"Fisher"`` (2 × 2) and ``"chi2, simulated"``.
        ``n_observed``, ``n_missing``
            Rows of the groups, the variable itself being observed.
        ``mean_observed``, ``mean_missing``, ``difference``, ``std_difference``
            Of numbers: means of the groups, their difference, and that over the root of the mean
            of the two variances.
        ``cramers_v``
            Of categories: strength of association, 0 to 1.
        ``statistic``, ``df``, ``p_value``
            Of the test; the statistic of Fisher's is the odds ratio. NaN where there is no test:
            fewer than two values in a group, or no spread.
        ``p_cluster``
            With a cluster: from the difference of means (of shares, for categories) and its
            cluster-robust covariance, on K − 1 degrees of freedom. NaN where that cannot be
            estimated.

    Raises
    ------
    DataError
        If this is no frame with rows and distinct column names, a number is infinite, or the
        cluster id of a row is missing.
    SpecificationError
        If there is no such cluster column.

    Examples
    --------
    >>> import bayesimpute as bi
    >>> study = bi.simulate.simulate_popularity(seed=1)
    >>> tests = bi.missing_tests(study.incomplete, cluster="school")
    >>> tests.loc[tests["variable"] == "texp", ["missing", "test", "n_observed", "n_missing"]]
       missing     test  n_observed  n_missing
    2  popular  Welch t        1191        809
    """
    table = Table.from_frame(df)
    index = clusters_of(table, cluster)
    rows = list(_rows(table, cluster, index))
    columns = [*COLUMNS, "p_cluster"] if index is not None else list(COLUMNS)
    numbers = dict.fromkeys(columns[5:], "float64")
    counts = {"n_observed": "int64", "n_missing": "int64"}
    return pd.DataFrame(rows, columns=columns).astype({**counts, **numbers})


def _rows(
    table: Table, cluster: str | None, index: ClusterIndex | None
) -> Iterator[dict[str, Any]]:
    for gaps in table.incomplete():
        if table.missing(gaps).all():
            continue
        for name, variable in table.variables.items():
            if name == gaps or variable.kind is Kind.OTHER:
                continue
            row: dict[str, Any] = {"missing": gaps, "variable": name}
            if name == cluster and index is not None:
                test, found = contingency(index.codes.astype(np.float64), table.missing(gaps))
                yield row | _counts(table.missing(gaps)) | {"test": test} | found
            else:
                yield row | _compared(table, name, gaps, index)


def _compared(table: Table, name: str, gaps: str, index: ClusterIndex | None) -> dict[str, Any]:
    seen = ~table.missing(name)
    missing, values = table.missing(gaps)[seen], table.values[name][seen]
    if table.variables[name].kind is Kind.NUMERIC:
        test, found = "Welch t", welch(values, missing)
    else:
        test, found = contingency(values, missing)
    row: dict[str, Any] = {"test": test, **_counts(missing), **found}
    if index is not None:
        columns = indicators(table, name)[1][seen]
        row["p_cluster"] = by_clusters(columns, missing, index.codes[seen])
    return row


def _counts(missing: np.ndarray) -> dict[str, int]:
    return {"n_observed": int((~missing).sum()), "n_missing": int(missing.sum())}
