"""Columns named by the user, looked up with errors for people."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from bayesimpute.data.table import ClusterIndex, Kind, Table, indicator_order
from bayesimpute.errors import SpecificationError
from bayesimpute.method import Design, Grouping
from bayesimpute.specification.groupings import check_groupings, in_order
from bayesimpute.wording import did_you_mean


def check_columns(names: Iterable[Any], frame: pd.DataFrame, argument: str) -> None:
    """Raise SpecificationError unless every name is a column.

    Parameters
    ----------
    names
        As the user gave them.
    frame
        The data.
    argument
        Whose value this is, for the text of the error.
    """
    for name in names:
        if name not in frame.columns:
            raise SpecificationError(
                f"{argument} names {name!r}, which is no column of the data."
                f"{did_you_mean(name, frame.columns)}"
            )


def factors_of(table: Table, cluster: str | Sequence[str]) -> dict[str, ClusterIndex]:
    """Clusters of each of several columns, by column.

    Raises
    ------
    SpecificationError
        If there is no such column, a column is named twice, or none is named.
    DataError
        If the id of a row is missing.
    """
    names = [cluster] if isinstance(cluster, str) else list(cluster)
    check_columns(names, table.frame, "cluster=")
    if len(set(names)) < len(names) or not names:
        raise SpecificationError(f"cluster={names!r} must name columns, each once.")
    return {name: table.clusters(name) for name in names}


def check_factors(names: str | Sequence[str], table: Table) -> tuple[str, ...]:
    """Columns of ids that a model has effects of, that of most clusters first.

    Raises
    ------
    SpecificationError
        If there is no such column, or a column is named twice.
    DataError
        If the id of a row is missing, a column has one cluster only or one a row, or two divide
        the rows in the same way.
    """
    factors = factors_of(table, names)
    if isinstance(names, str):
        return (names,)
    check_groupings(list(factors), table)
    return tuple(in_order(factors, table))


def simple_design(
    target: str,
    kind: Kind,
    categories: tuple[Any, ...],
    y: np.ndarray,
    factors: Mapping[str, np.ndarray],
    x: np.ndarray | None = None,
    predictors: tuple[str, ...] = (),
) -> Design:
    """Design of rows that are all observed, with random intercepts by factors.

    Parameters
    ----------
    target, kind, categories, y
        What is modelled, (row,).
    factors
        Cluster of each row by factor, that of most clusters first; numbered by first appearance.
    x, predictors
        Columns, (row, column), and their names; None for none.
    """
    n = len(y)
    nothing, ones = np.empty((n, 0)), np.ones((n, 1))
    first, *others = [
        Grouping(name, ones, ("intercept",), codes.astype(np.int64), len(labels))
        for name, (codes, labels) in ((name, pd.factorize(c)) for name, c in factors.items())
    ] or [Grouping("", nothing, (), np.zeros(n, dtype=np.int64), 1)]
    return Design(
        target, kind, categories, y, nothing if x is None else x, predictors,
        first.z, first.random_effects, first.cluster, first.n_clusters,
        np.ones(n, dtype=bool), np.zeros(n, dtype=bool),
        grouping=first.name if others else "", groupings=tuple(others),
    )  # fmt: skip


def indicators(table: Table, name: str) -> tuple[tuple[str, ...], np.ndarray]:
    """Columns that stand for a variable in a model: itself, or an indicator a category.

    Parameters
    ----------
    table
        The data.
    name
        A numeric or categorical variable.

    Returns
    -------
    labels, columns
        ``"age"``, or ``"type[RCT]"`` for every observed category but the most frequent; and
        float64 (row, column), NaN in rows where the variable is missing.
    """
    variable, values = table.variables[name], table.values[name]
    if variable.kind is Kind.NUMERIC:
        return (name,), values[:, None]
    codes = indicator_order(values, len(variable.categories))[1:]
    columns = np.where(np.isnan(values)[:, None], np.nan, values[:, None] == np.array(codes))
    return tuple(f"{name}[{variable.categories[code]}]" for code in codes), columns
