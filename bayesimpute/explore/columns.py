"""Columns named by the user, looked up with errors for people."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from bayesimpute.data.clusters import ClusterIndex
from bayesimpute.data.table import Kind, Table, indicator_order
from bayesimpute.errors import SpecificationError
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


def clusters_of(table: Table, cluster: str | None) -> ClusterIndex | None:
    """Assign a number to each cluster of a column; None without a column.

    Raises
    ------
    SpecificationError
        If there is no such column.
    DataError
        If the id of a row is missing.
    """
    if cluster is None:
        return None
    check_columns([cluster], table.frame, "cluster=")
    return table.clusters(cluster)


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
