"""Scatter plot of an incomplete table: rows with a missing value stand on the margins."""

from collections.abc import Hashable
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bayesimpute.arguments import FigureSize, Places, checked
from bayesimpute.data.table import Table
from bayesimpute.errors import SpecificationError
from bayesimpute.plots import scatter, style
from bayesimpute.plots.frames import column_named, named_frame

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@checked
def plot_xy(
    df: pd.DataFrame,
    x: Hashable,
    y: Hashable,
    *,
    by: Hashable | None = None,
    groups: Any = None,
    log: str = "",
    ax: Places | None = None,
    figsize: FigureSize | None = None,
) -> "Figure":
    """Observed pairs in blue; rows without x or y in vermillion, on the margin of the other one.

    Where x is missing, a row stands left of a dotted line at the height of its y; where y is
    missing, below one; where both are, in the corner. Values that differ between margin and middle
    show how missingness depends on the other variable. On an axis of categories "missing" is one
    more category. Categories, and numbers with at most 40 distinct values, are spread at random,
    the same way at every call; of two categorical variables every pair has a bar with its number of
    rows.

    Parameters
    ----------
    df
        The incomplete table.
    x, y
        Two columns with numbers or categories.
    by
        Column with clusters or categories: a panel for each. By default one panel.
    groups
        Values of `by` to show; by default all, or the 30 with most rows.
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
    DataError
        If this is no table with rows and distinct column names.
    SpecificationError
        Unknown or equal columns, columns of dates or other objects, values a logarithmic axis
        cannot hold, or arguments that do not fit.

    Examples
    --------
    >>> import bayesimpute as bi
    >>> import pandas as pd
    >>> df = pd.DataFrame({"age": [30.0, 41.5, None, 52], "bmi": [22.1, None, 24.3, 27.8]})
    >>> figure = bi.plot_xy(df, "age", "bmi")
    >>> [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    ['observed (2 rows)', 'age or bmi missing (2 rows)']
    """
    frame = named_frame(df, "plot_xy")
    columns = list(frame.columns)
    across, up = (column_named(name, columns, a, "plot_xy") for a, name in (("x", x), ("y", y)))
    if across == up:
        raise SpecificationError(f"x and y are both {across!r}; give two columns.")
    table = Table.from_frame(frame[[across, up]])
    values = (table.values[across], table.values[up])
    either = np.isnan(values[0]) | np.isnan(values[1])
    parts = [(values[0][p], values[1][p], np.flatnonzero(p)) for p in (~either, either)]
    return scatter.picture(
        (across, up), [table.variables[across], table.variables[up]], parts,
        [("observed", ""), (f"{style.cut(across)} or {style.cut(up)} missing", "")],
        None if by is None else frame[column_named(by, columns, "by", "plot_xy")], groups,
        margins=True, log=log, ax=ax, figsize=figsize,
    )  # fmt: skip
