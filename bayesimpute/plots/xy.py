"""Scatter plot of the completed data: whether imputed values keep the relation of two variables."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from bayesimpute.arguments import Places
from bayesimpute.errors import SpecificationError
from bayesimpute.plots import panels, scatter, style
from bayesimpute.plots.facets import labels_of
from bayesimpute.plots.frames import column_named
from bayesimpute.plots.groups import facets

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from bayesimpute.result.imputations import Imputations

    type Pair = tuple[np.ndarray, np.ndarray]


def plot_xy(
    imputations: "Imputations",
    x: str,
    y: str,
    *,
    imputation: int | Sequence[int] | Literal["all"] = 1,
    by: str | None = None,
    groups: Any = None,
    log: str = "",
    ax: Places | None = None,
    figsize: tuple[float, float] | None = None,
) -> "Figure":
    """Observed rows in blue, rows with an imputed x or y in vermillion.

    Categories, and numbers with at most 40 distinct values, are spread at random around their
    place, the same way at every call; observed and imputed dots of one place stand side by side.
    Two categorical variables are drawn as bars: for each pair of categories its share of the blue
    and of the vermillion rows.

    Parameters
    ----------
    imputations
        The result.
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
    table, history = imputations.specification.table, imputations.history
    for argument, name in (("x", x), ("y", y)):
        column_named(name, list(table.variables), argument, "plot_xy")
    if x == y:
        raise SpecificationError(f"x and y are both {x!r}; give two variables.")
    numbers = _numbers(imputation, history.m)
    where = _where(imputations, x, y)
    log_x, log_y = scatter.check_log(log)
    values = {name: _values(imputations, name, numbers) for name in (x, y)}
    scales = (
        scatter.scale_of(table.variables[x], values[x].ravel(), log_x),
        scatter.scale_of(table.variables[y], values[y].ravel(), log_y),
    )
    if by in (x, y):
        raise SpecificationError(f"by={by!r} is one of the two variables; give another column.")
    found = facets(labels_of(imputations.specification, by), groups, where, "imputed rows")
    drawn = panels.panels(
        len(found.panels), ax, figsize, picture="plot_xy", single=(5.0, 4.0), each=(1.9, 1.8),
        sharex=True, sharey=True,
    )  # fmt: skip
    remarks = [found.remark]
    largest = 0.0
    for panel, (_, rows) in zip(drawn.axes, found.panels, strict=True):
        seen = _known(values[x][0], values[y][0], rows & ~where)
        parts = [_known(*pair, rows & where) for pair in zip(values[x], values[y], strict=True)]
        stacked = tuple(np.concatenate(axis) for axis in zip(*parts, strict=True))
        largest = max(largest, _panel(panel, scales, seen, (stacked[0], stacked[1])))
        scatter.dress(panel, *scales, narrow=not drawn.single)
    if largest:
        remarks.append("height of a bar: share of the rows of its colour in the panel")
    title = f"{y} against {x}"
    panels.titles(drawn, title, [name for name, _ in found.panels])
    panels.label_outer(drawn, x=x, y=y)
    shown = f"imputation {numbers[0]}" if len(numbers) == 1 else f"{len(numbers)} imputations"
    rows = np.any([each for _, each in found.panels], axis=0)
    observed = len(_known(values[x][0], values[y][0], rows & ~where)[0])
    panels.legend(
        drawn,
        title if by is None else f"{title} by {by}",
        keys(f"observed ({observed:,} rows)", f"imputed ({(rows & where).sum():,} rows, {shown})"),
    )
    panels.remark(drawn, remarks)
    return drawn.figure


def keys(observed: str, imputed: str) -> list[tuple[str, Any]]:
    """Entries of the legend: a dot of each colour."""
    from matplotlib.lines import Line2D

    return [
        (label, Line2D([], [], color=colour, marker="o", linestyle="none", markersize=5))
        for label, colour in ((observed, style.OBSERVED), (imputed, style.IMPUTED))
    ]


def _panel(
    ax: "Axes", scales: tuple[scatter.Scale, scatter.Scale], observed: "Pair", imputed: "Pair"
) -> float:
    """Draw one panel; gives the largest share where it is made of bars, else 0."""
    x, y = scales
    if x.categories and y.categories:
        return scatter.bars(
            ax,
            [(*observed, style.OBSERVED), (*imputed, style.IMPUTED)],
            (len(x.categories), len(y.categories)),
            [len(observed[0]), len(imputed[0])],
        )
    # Colours stand side by side on one axis: x, unless only y has values that coincide.
    aside = (1, 0) if x.categories or x.spread or not (y.categories or y.spread) else (0, 1)
    groups = [
        (
            scatter.spread(x, pair[0], side * aside[0], 1),
            scatter.spread(y, pair[1], side * aside[1], 2),
            colour,
        )
        for side, pair, colour in ((-1, observed, style.OBSERVED), (1, imputed, style.IMPUTED))
    ]
    scatter.dots(ax, groups)
    return 0.0


def _numbers(imputation: int | Sequence[int] | str, m: int) -> list[int]:
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


def _where(imputations: "Imputations", x: str, y: str) -> np.ndarray:
    """Rows with an imputed x or y, bool (row,)."""
    where = imputations.specification.where
    either = np.zeros(imputations.specification.table.n_rows, dtype=bool)
    for name in (x, y):
        if name in imputations.history.imputed:
            either |= where[name]
    if not either.any():
        raise SpecificationError(
            f"Neither {x!r} nor {y!r} has imputed cells; bi.plot_xy(imp.data, …) draws the table "
            "as it was given."
        )
    return either


def _values(imputations: "Imputations", name: str, numbers: Sequence[int]) -> np.ndarray:
    """Completed values of one variable, (imputation, row)."""
    values = np.repeat(imputations.specification.table.values[name][None], len(numbers), axis=0)
    if name in imputations.history.imputed:
        drawn = imputations.history.imputed[name][[k - 1 for k in numbers]]
        values[:, imputations.specification.where[name]] = drawn
    return values


def _known(x: np.ndarray, y: np.ndarray, rows: np.ndarray) -> "Pair":
    """Pairs of some rows; a variable that was left incomplete has no place where it is missing."""
    both = rows & ~np.isnan(x) & ~np.isnan(y)
    return x[both], y[both]
