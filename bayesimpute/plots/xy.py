"""Scatter plot of the completed data: whether imputed values keep the relation of two variables."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from bayesimpute.arguments import FigureSize, Places, checked
from bayesimpute.errors import SpecificationError
from bayesimpute.plots import scatter
from bayesimpute.plots.frames import column_named
from bayesimpute.result.run import Run

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@checked
def plot_xy(
    run: Run,
    x: str,
    y: str,
    *,
    imputation: Any = 1,
    by: str | None = None,
    groups: Any = None,
    log: str = "",
    ax: Places | None = None,
    figsize: FigureSize | None = None,
) -> "Figure":
    """Two variables of the completed data, rows with an imputed value in their own colour.

    Observed rows are blue, rows with an imputed x or y vermillion. Categories, and numbers with at
    most 40 distinct values, are spread at random around their place, the same way at every call;
    observed and imputed dots of one place stand side by side. Two categorical variables are drawn
    as bars: for each pair of categories its share of the blue and of the vermillion rows.

    Parameters
    ----------
    run
        The result of ``bi.impute``.
    x, y
        Two variables, at least one of them imputed.
    imputation
        Which completed data set, 1 … m; several, or ``"all"``, are drawn over each other, observed
        rows once. One by default, because only then do the colours have their true proportions.
    by
        Column with clusters or categories: a panel for each that has such rows. By default one
        panel with all rows.
    groups
        Values of `by` to show; by default all, or the 30 with most such rows.
    log
        ``"x"``, ``"y"`` or ``"xy"`` for logarithmic axes.
    ax
        Where to draw, as many axes as panels; by default a new figure.
    figsize
        Inches; (5, 4) by default, with `by` what the panels need.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    SpecificationError
        Unknown or equal variables, two that have no imputed cells, values a logarithmic axis
        cannot hold, no such imputation, or arguments that do not fit.
    """
    table = run.specification.table
    names = list(table.variables)
    for argument, name in (("x", x), ("y", y)):
        column_named(name, names, argument, "plot_xy")
    if x == y:
        raise SpecificationError(f"x and y are both {x!r}; give two variables.")
    numbers = numbers_of(imputation, run.m)
    where = _where(run, x, y)
    values = [_values(run, name, numbers) for name in (x, y)]
    if by in (x, y):
        raise SpecificationError(f"by={by!r} is one of the two variables; give another column.")
    labels = None
    if by is not None:
        labels = table.frame[column_named(by, names, "by", "plot_xy")].iloc[table.rows]
    known = ~np.isnan(values[0]) & ~np.isnan(values[1])  # what was left incomplete has no place
    known[1:, ~where] = False  # observed rows once
    parts = []
    for part in (known & ~where, known & where):
        parts.append((values[0][part], values[1][part], np.nonzero(part)[1]))
    which = f"imputation {numbers[0]}" if len(numbers) == 1 else f"{len(numbers)} imputations"
    return scatter.picture(
        (x, y), [table.variables[x], table.variables[y]], parts,
        [("observed", ""), ("imputed", f", {which}")], labels, groups, margins=False, log=log,
        ax=ax, figsize=figsize,
    )  # fmt: skip


def numbers_of(imputation: int | Sequence[int] | str, m: int) -> list[int]:
    """Numbers of the imputations asked for, 1 … m.

    Raises
    ------
    SpecificationError
        If there is no such imputation.
    """
    if isinstance(imputation, str):
        if imputation != "all":
            raise SpecificationError(
                f"imputation={imputation!r}: give 'all' or numbers from 1 to {m}."
            )
        return list(range(1, m + 1))
    asked: list[Any] = (
        list(imputation) if isinstance(imputation, Sequence | np.ndarray) else [imputation]
    )
    for number in asked:
        whole = isinstance(number, int | np.integer) and not isinstance(number, bool)
        if not whole or not 1 <= number <= m:
            raise SpecificationError(f"There is no imputation {number!r}; give 1 to {m}.")
    if not asked:
        raise SpecificationError(f"imputation= is empty; give 'all' or numbers from 1 to {m}.")
    return [int(number) for number in asked]


def _where(run: Run, x: str, y: str) -> np.ndarray:
    """Rows with an imputed x or y, bool (row,)."""
    where = run.specification.where
    imputed = [where[name] for name in (x, y) if name in run.history.imputed]
    if not np.any(imputed):
        raise SpecificationError(
            f"Neither {x!r} nor {y!r} has imputed cells; bi.plot_xy(imp.data, …) draws the table "
            "as it was given."
        )
    return np.any(imputed, axis=0)


def _values(run: Run, name: str, numbers: Sequence[int]) -> np.ndarray:
    """Completed values of one variable, (imputation, row)."""
    values = np.repeat(run.specification.table.values[name][None], len(numbers), axis=0)
    if name in run.history.imputed:
        drawn = run.history.imputed[name][[k - 1 for k in numbers]]
        values[:, run.specification.where[name]] = drawn
    return values
