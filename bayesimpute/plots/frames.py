"""The user's frame as pictures before imputation take it: checked, columns named by text."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from bayesimpute.data.encoding import sorted_labels
from bayesimpute.data.table import Table
from bayesimpute.errors import DataError, SpecificationError
from bayesimpute.plots.facets import written
from bayesimpute.wording import did_you_mean, listed


def named_frame(df: Any, picture: str) -> pd.DataFrame:
    """Give the frame with its columns named by text and its rows counted from 0.

    Column labels may be anything here, as they may in a frame that was just read.

    Parameters
    ----------
    df
        Any frame; it is not changed.
    picture
        Name of the function, for messages.

    Returns
    -------
    pandas.DataFrame
        Of the same cells.

    Raises
    ------
    DataError
        If this is no frame, has no rows or no columns, or two columns have the same name.
    """
    if not isinstance(df, pd.DataFrame):
        hint = "call .to_pandas() on it" if hasattr(df, "to_pandas") else "build one with pandas"
        raise DataError(f"{picture} draws a pandas DataFrame, not {type(df).__name__}; {hint}.")
    for axis, what in ((0, "rows"), (1, "columns")):
        if df.shape[axis] == 0:
            raise DataError(
                f"The data frame has no {what}; there is nothing for {picture} to draw."
            )
    names = [
        ", ".join(map(str, label)) if isinstance(label, tuple) else str(label)
        for label in df.columns
    ]
    repeated = [name for k, name in enumerate(names) if name in names[:k]]
    if repeated:
        raise DataError(
            f"Two columns are named '{repeated[0]}'; rename or drop one before {picture}."
        )
    return df.set_axis(names, axis=1).reset_index(drop=True)


def chosen_columns(
    frame: pd.DataFrame,
    variables: Iterable[Any] | Any | None,
    cluster: Any,
    picture: str,
) -> list[str]:
    """Names of the columns to draw, in the order asked for; by default all but the cluster's.

    Raises
    ------
    SpecificationError
        If a name is no column or comes twice, or none is left.
    """
    names = list(frame.columns)
    if variables is None:
        chosen = [name for name in names if cluster is None or name != str(cluster)]
        if not chosen:
            raise SpecificationError(
                f"{picture}: besides the cluster variable {str(cluster)!r} there is no column."
            )
        return chosen
    single = isinstance(variables, str) or not isinstance(variables, Iterable)
    asked = [variables] if single else list(variables)
    if not asked:
        raise SpecificationError(f"{picture}: variables= is empty; leave it out to draw all.")
    chosen = [column_named(name, names, "variables", picture) for name in asked]
    repeated = [name for k, name in enumerate(chosen) if name in chosen[:k]]
    if repeated:
        raise SpecificationError(f"{picture}: variables= names {repeated[0]!r} twice.")
    return chosen


def column_named(name: Any, names: Sequence[str], argument: str, picture: str) -> str:
    """Text of a column label that must exist.

    Raises
    ------
    SpecificationError
        With the nearest names.
    """
    text = ", ".join(map(str, name)) if isinstance(name, tuple) else str(name)
    if text not in names:
        near = did_you_mean(text, names) or f" There are {listed(names, 12)}."
        raise SpecificationError(f"{picture}: {argument}={text!r} is no column.{near}")
    return text


def clusters_of(frame: pd.DataFrame, cluster: Any, picture: str) -> tuple[np.ndarray, list[str]]:
    """Cluster number of each row, and the clusters' names in ascending order of their ids.

    Parameters
    ----------
    frame
        As `named_frame` gives it.
    cluster
        Column of cluster ids.
    picture
        Name of the function, for messages.

    Returns
    -------
    tuple
        Integers (row,) from 0, and a name for each of them. Categories keep their own order.

    Raises
    ------
    SpecificationError
        If there is no such column.
    DataError
        If an id is missing.
    """
    name = column_named(cluster, list(frame.columns), "cluster", picture)
    index = Table.from_frame(frame[[name]]).clusters(name)
    dtype = frame[name].dtype
    if isinstance(dtype, pd.CategoricalDtype):
        present = set(index.labels)
        order = [label for label in dtype.categories if label in present]
    else:
        order = list(sorted_labels(index.labels))
    position = {label: k for k, label in enumerate(order)}
    return np.array([position[label] for label in index.labels])[index.codes], [
        written(label) for label in order
    ]
