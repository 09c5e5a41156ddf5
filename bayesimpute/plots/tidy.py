"""Observed and imputed cells of one variable as one tidy frame, which every picture starts from."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from bayesimpute.arguments import checked
from bayesimpute.data.encoding import Kind
from bayesimpute.errors import SpecificationError
from bayesimpute.plots import style
from bayesimpute.plots.frames import MOST_PANELS, column_named, facets
from bayesimpute.result.run import Run
from bayesimpute.specification.specification import Target

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
        An imputed variable. One of level 2 counts every cluster once.
    by
        A column of the data, copied beside the cells as ``facet``; none by default.

    Returns
    -------
    pandas.DataFrame
        A row a cell, index that of the data: ``.imp``, 0 for observed cells and 1 … m;
        ``value``, a number or a category; ``seen``, ``"observed"`` or ``"imputed"``; with `by`
        also ``facet``. A cell imputed although it was observed is among both.

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
    if cluster := _cluster_of(run, variable):
        codes = table.clusters(cluster).codes
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
    if by is not None:
        column = table.frame[column_named(by, list(table.variables), "by", "facets")]
        frame["facet"] = column.iloc[at].array
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
    """

    parts: list[pd.DataFrame]
    names: list[str]
    by: str | None
    remark: str
    levels: list[str]
    m: int
    labels: tuple[str, str]
    options: Mapping[str, Any]

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
    sizes = [int((frame[".imp"] == k).sum()) for k in (0, 1)]
    words = [f"{n:,} {unit if n != 1 else unit.removesuffix('s')}" for n in sizes]
    values: pd.Series[Any] = frame["value"]
    levels: list[str] = []
    if isinstance(values.dtype, pd.CategoricalDtype):
        levels = [str(label) for label in values.cat.categories]
        frame["value"] = values.cat.codes
    elif len(distinct := np.unique(values)) <= MOST_DISTINCT:
        levels = [f"{value:g}" for value in distinct]
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
