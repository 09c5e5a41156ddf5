"""Frames that pictures are drawn from: a user's, and the cells of one variable of a run.

Columns are named by text, rows divided into facets; observed and imputed cells are one tidy frame,
which every picture of a run starts from.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from bayesimpute.arguments import checked
from bayesimpute.data.dates import date_texts
from bayesimpute.data.encoding import Kind, sorted_labels
from bayesimpute.data.table import Table
from bayesimpute.engine.history import labels_of
from bayesimpute.errors import DataError, SpecificationError
from bayesimpute.plots import style
from bayesimpute.result.run import Run
from bayesimpute.specification.specification import Target
from bayesimpute.wording import did_you_mean, listed, numbers

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
    order = _in_order(labels, by.dtype)
    position = {label: k for k, label in enumerate(order)}
    return order, np.array([*(position[label] for label in labels), -1])[codes]


def _in_order(labels: Sequence[Any], dtype: Any) -> list[Any]:
    """Labels as their categories stand, or ascending."""
    if isinstance(dtype, pd.CategoricalDtype):
        present = set(labels)
        return [label for label in dtype.categories if label in present]
    return list(sorted_labels(labels))


def _asked(
    name: str, groups: Iterable[Any] | Any, labels: Sequence[Any], counts: np.ndarray
) -> list[int]:
    """Positions of the groups that a user asks for."""
    single = isinstance(groups, str | tuple) or not isinstance(groups, Iterable)
    asked = [groups] if single else list(groups)
    if not asked:
        raise SpecificationError("groups= is empty; leave it out to see all.")
    for k, group in enumerate(asked):
        if group in asked[:k]:
            raise SpecificationError(f"groups= names {group!r} twice.")
        if group not in labels:
            near = did_you_mean(group, labels) or f" There are {listed(labels, 12)}."
            raise SpecificationError(f"groups=: {name!r} has no value {group!r}.{near}")
        if counts[labels.index(group)] == 0:
            raise SpecificationError(
                f"groups=: where {name} is {written(group)} nothing was missing; leave it out."
            )
    return [labels.index(group) for group in asked]


def named_frame(df: pd.DataFrame, picture: str) -> pd.DataFrame:
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
        own = None if cluster is None else column_named(cluster, names, "cluster", picture)
        chosen = [name for name in names if name != own]
        if not chosen:
            raise SpecificationError(
                f"{picture}: besides the cluster variable {own!r} there is no column."
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
    if isinstance(name, list):
        raise SpecificationError(f"{picture}: {argument}={name!r} must be one column.")
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
    order = _in_order(index.labels, frame[name].dtype)
    position = {label: k for k, label in enumerate(order)}
    codes = np.array([position[label] for label in index.labels])[index.codes]
    names = [written(label) for label in order]
    return codes, names if len(set(names)) == len(names) else list(map(repr, order))  # 1 and "1"


def drawn_columns(
    df: pd.DataFrame, variables: Iterable[Any] | Any | None, cluster: Any, picture: str
) -> tuple[pd.DataFrame, np.ndarray | None, list[str]]:
    """Columns that a picture draws, cluster number of each row, and the clusters' names."""
    frame = named_frame(df, picture)
    codes, clusters = (None, []) if cluster is None else clusters_of(frame, cluster, picture)
    return frame[chosen_columns(frame, variables, cluster, picture)], codes, clusters


def completed(run: Run, name: str, imputation: int) -> np.ndarray:
    """Completed values of one variable in an imputation counted from 1, canonical row order."""
    values = run.specification.table.values[name].copy()
    if name in run.history.imputed:
        values[run.specification.where[name]] = run.history.imputed[name][imputation - 1]
    return values


#: What `by` names to have a panel for each imputation.
IMPUTATION = ".imp"
#: Numbers with more distinct values are drawn as continuous ones.
MOST_DISTINCT = 12


@checked
def cells(run: Run, variable: str, by: str | None = None) -> pd.DataFrame:
    """Observed and imputed cells of one variable as one tidy frame, for pictures of one's own.

    Parameters
    ----------
    run
        The result of ``bi.impute``.
    variable
        An imputed variable. One of level 2 counts every cluster once, with `by` once for each
        of the labels that its rows have.
    by
        A column of the data, copied beside the cells as ``facet``; none by default.

    Returns
    -------
    pandas.DataFrame
        A row a cell, index that of the data: ``.imp``, 0 for observed cells and 1 … m;
        ``value``, a number (of a date the days since the first observed one) or a category;
        ``seen``, ``"observed"`` or ``"imputed"``; with `by` also ``facet``. A cell imputed although
        it was observed is among both.

    Raises
    ------
    SpecificationError
        If the variable was not imputed or has no imputed cell, or `by` is no other column.

    Examples
    --------
    >>> import bayesimpute as bi
    >>> df = bi.simulate.simulate_popularity(seed=1, schools=8, pupils=80).incomplete
    >>> imp = bi.impute(df, m=2, iterations=1, method="sample", seed=1, progress=False)
    >>> imp.cells("popular", by="sex").columns.tolist()
    ['.imp', 'value', 'seen', 'facet']
    """
    specification, history = run.specification, run.history
    table, m = specification.table, run.m
    style.check_imputed(variable, history.imputed, table.variables)
    rows = [np.flatnonzero(~table.missing(variable)), np.flatnonzero(specification.where[variable])]
    drawn = np.asarray(history.imputed[variable], dtype=np.float64)
    if drawn.shape[1] == 0:
        raise SpecificationError(f"Variable {variable!r} has no imputed cells to plot.")
    if by == variable:
        raise SpecificationError(f"by={by!r} is the variable itself; give another column.")
    facet: pd.Series[Any] | None = None
    if by is not None:
        facet = table.frame[column_named(by, list(table.variables), "by", "facets")]
    if cluster := _cluster_of(run, variable):
        codes = table.clusters(cluster).codes
        if facet is not None:  # whose rows may differ within a cluster
            own, labels = pd.factorize(facet.iloc[table.rows], use_na_sentinel=False)
            codes = codes * len(labels) + own
        first = [np.unique(codes[part], return_index=True)[1] for part in rows]
        drawn = drawn[:, first[1]]
        rows = [part[kept] for part, kept in zip(rows, first, strict=True)]
    seen, gone = rows
    at = table.rows[np.concatenate([seen, np.tile(gone, m)])]
    value: Any = np.concatenate([table.values[variable][seen], drawn.ravel()])
    described = table.variables[variable]
    if described.categories:
        value = pd.Categorical.from_codes(
            value.astype(np.int64),
            pd.Index(list(described.categories), tupleize_cols=False),
            ordered=described.kind is Kind.ORDINAL,
        )
    number = np.repeat(np.arange(m + 1), [len(seen), *[len(gone)] * m])
    frame = pd.DataFrame({".imp": number, "value": value}, index=table.frame.index[at])
    seen_as = np.array(list(style.PALETTE))[(number > 0).astype(np.int64)]
    frame["seen"] = pd.Categorical(seen_as, list(style.PALETTE))
    if facet is not None:
        frame["facet"] = facet.iloc[at].array
    return frame


def _cluster_of(run: Run, variable: str) -> str | None:
    """Cluster variable of a variable of level 2."""
    target = run.specification.targets[variable]
    return target.cluster if isinstance(target, Target) and target.level == 2 else None


@dataclass(frozen=True, eq=False)
class Shown:
    """Cells of one variable as pictures draw them.

    Attributes
    ----------
    parts
        A tidy frame for each panel; where there are `levels`, ``value`` is a position among them.
    names, by, remark
        Of the panels; what they differ by; what was left out.
    levels
        Categories, or the distinct numbers if these are few, as text; else empty.
    m
        Number of imputations in a panel.
    labels
        What a legend says of the two colours.
    options
        Of the variable's model, such as bounds.
    counted
        What numbers of dates count; else empty.
    """

    parts: list[pd.DataFrame]
    names: list[str]
    by: str | None
    remark: str
    levels: list[str]
    m: int
    labels: tuple[str, str]
    options: Mapping[str, Any]
    counted: str

    def shares(self, part: pd.DataFrame) -> np.ndarray:
        """Share of each level among the cells of a panel, (1 + m, level), observed cells first."""
        counts = np.zeros((self.m + 1, len(self.levels)))
        np.add.at(counts, (part[".imp"].to_numpy(), part["value"].to_numpy(dtype=np.int64)), 1)
        return np.asarray(counts / np.maximum(counts.sum(axis=1, keepdims=True), 1))


def shown(run: Run, variable: str, by: str | None, groups: Any) -> Shown:
    """Cells by panel; only panels with imputed cells are kept.

    Raises
    ------
    SpecificationError
        As `cells` and `bayesimpute.plots.frames.facets` raise.
    """
    frame = cells(run, variable, None if by == IMPUTATION else by)
    imputed = (frame[".imp"] > 0).to_numpy()
    unit = "clusters" if _cluster_of(run, variable) else "cells"
    counted = frame if unit == "cells" else cells(run, variable)  # once, whatever their facets
    sizes = [int((counted[".imp"] == k).sum()) for k in (0, 1)]
    words = [f"{n:,} {unit if n != 1 else unit.removesuffix('s')}" for n in sizes]
    values: pd.Series[Any] = frame["value"]
    described = run.specification.table.variables[variable]
    levels: list[str] = []
    if isinstance(values.dtype, pd.CategoricalDtype):
        levels = list(labels_of(list(values.cat.categories)))
        frame["value"] = values.cat.codes
    elif len(distinct := np.unique(values)) <= MOST_DISTINCT:
        levels = numbers(distinct)
        if described.ticks is not None:
            levels = date_texts(described.dtype, described.ticks, distinct)
        frame["value"] = np.searchsorted(distinct, values)
    if by == IMPUTATION:
        parts, names, remark = _by_imputation(frame, groups, run.m)
    else:
        found = facets(frame["facet"].rename(by) if by is not None else None, groups, imputed)
        parts = [frame[found.codes == k] for k in range(len(found.names))]
        names, remark = found.names, found.remark
    return Shown(
        parts, names, "imputation" if by == IMPUTATION else by, remark, levels,
        1 if by == IMPUTATION else run.m,
        (f"observed ({words[0]})", f"imputed ({words[1]}, m = {run.m})"),
        getattr(run.specification.targets.get(variable), "options", {}),
        "" if levels else described.counted,
    )  # fmt: skip


def _by_imputation(
    frame: pd.DataFrame, groups: Any, m: int
) -> tuple[list[pd.DataFrame], list[str], str]:
    """Observed cells and those of one imputation in each panel."""
    asked = range(1, m + 1) if groups is None else np.atleast_1d(groups).tolist()
    for number in asked:
        if number not in range(1, m + 1):
            raise SpecificationError(f"groups= names imputation {number!r}; there are 1 to {m}.")
    numbers = [int(number) for number in asked][:MOST_PANELS]
    left = len(asked) - len(numbers)
    chosen = [frame[frame[".imp"].isin([0, number])] for number in numbers]
    # in each panel it is the only one
    parts = [part.assign(**{".imp": (part[".imp"] > 0).astype(int)}) for part in chosen]
    remark = f"{left} further imputations are left out" if left else ""
    return parts, [f"imputation {number}" for number in numbers], remark
