"""Frames that pictures are drawn from: columns named by text, rows divided into facets."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from bayesimpute.data.encoding import sorted_labels
from bayesimpute.data.table import Table
from bayesimpute.errors import DataError, SpecificationError
from bayesimpute.wording import did_you_mean, listed

#: Panels of one figure; more would be too small to read.
MOST_PANELS = 30


@dataclass(frozen=True, eq=False)
class Facets:
    """Parts of the rows, each a panel.

    Attributes
    ----------
    names
        Title of each.
    codes
        Panel of each row, int (row,), −1 where it is in none.
    remark
        What was left out, for the reader of the figure; empty if nothing was.
    """

    names: list[str]
    codes: np.ndarray
    remark: str = ""


def facets(
    by: "pd.Series[Any] | None",
    groups: Iterable[Any] | Any | None,
    shown: np.ndarray,
    counted: str = "imputed cells",
) -> Facets:
    """Divide rows by the labels of a column; parts with nothing to show are left out.

    Parameters
    ----------
    by
        Column with a label for each row; None: one part with all rows.
    groups
        Labels to show, in this order; by default all, or those with most to show if there are more
        than 30, in ascending order (categories in their own), missing labels last.
    shown
        What makes a part worth a panel: bool (row,), such as the imputed cells.
    counted
        What `shown` are, for the remark.

    Returns
    -------
    Facets

    Raises
    ------
    SpecificationError
        Labels that are measurements rather than groups, a group that does not exist or has
        nothing to show, or `groups` without `by`.
    """
    if by is None:
        if groups is not None:
            raise SpecificationError("groups= chooses values of by=, which is not given.")
        return Facets([""], np.zeros(len(shown), dtype=np.int64))
    labels, codes = _coded(by)
    if len(labels) > MOST_PANELS and any(
        isinstance(label, float) and not label.is_integer() for label in labels
    ):
        raise SpecificationError(
            f"by={by.name!r} has {len(labels)} distinct numbers; facets need clusters or "
            "categories, such as pd.cut makes of numbers."
        )
    names = [*(_title(str(by.name), label) for label in labels), f"{by.name} missing"]
    codes = np.where(codes < 0, len(labels), codes)
    counts = np.bincount(codes[shown], minlength=len(labels) + 1)
    remark = ""
    if groups is not None:
        chosen = np.array(_asked(str(by.name), groups, labels, counts))
    else:
        chosen = np.flatnonzero(counts)
        if len(chosen) > MOST_PANELS:
            remark = (
                f"{MOST_PANELS} of {len(chosen)} values of {by.name}: those with most {counted}"
            )
            chosen = np.sort(np.argsort(-counts, kind="stable")[:MOST_PANELS])
    panel = np.full(len(labels) + 1, -1)
    panel[chosen] = np.arange(len(chosen))
    return Facets([names[k] for k in chosen], panel[codes], remark)


def written(label: Any) -> str:
    """Write a label; whole numbers without decimals."""
    whole = isinstance(label, float | np.floating) and float(label).is_integer()
    return f"{label:.0f}" if whole else str(label)


def _title(name: str, label: Any) -> str:
    """Title of a panel; a number says nothing without the name of its column."""
    number = isinstance(label, bool | int | float | np.number | np.bool_)
    return f"{name} {written(label)}" if number else written(label)


def _coded(by: "pd.Series[Any]") -> tuple[list[Any], np.ndarray]:
    """Labels that occur, in order, and the position of each row's label, −1 where it is missing."""
    codes, found = pd.factorize(by)
    labels = found.tolist()
    if isinstance(by.dtype, pd.CategoricalDtype):
        order = [label for label in by.dtype.categories if label in set(labels)]
    else:
        order = list(sorted_labels(labels))
    position = {label: k for k, label in enumerate(order)}
    return order, np.array([*(position[label] for label in labels), -1])[codes]


def _asked(
    name: str, groups: Iterable[Any] | Any, labels: Sequence[Any], counts: np.ndarray
) -> list[int]:
    """Positions of the groups that a user asks for."""
    single = isinstance(groups, str | tuple) or not isinstance(groups, Iterable)
    asked = [groups] if single else list(groups)
    if not asked:
        raise SpecificationError("groups= is empty; leave it out to see all.")
    for group in asked:
        if group not in labels:
            near = did_you_mean(group, labels) or f" There are {listed(labels, 12)}."
            raise SpecificationError(f"groups=: {name!r} has no value {group!r}.{near}")
        if counts[labels.index(group)] == 0:
            raise SpecificationError(
                f"groups=: where {name} is {written(group)} nothing was missing; leave it out."
            )
    return [labels.index(group) for group in asked]


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
