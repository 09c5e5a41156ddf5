"""Scatter plot of an incomplete table: rows with a missing value stand on the margins."""

from collections.abc import Hashable
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bayesimpute.arguments import FigureSize, Places, checked
from bayesimpute.data.table import Table
from bayesimpute.errors import SpecificationError
from bayesimpute.plots import panels, scatter, style
from bayesimpute.plots.facets import facets
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
    scales = (
        scatter.scale_of("x", table.variables[across], values[0], log),
        scatter.scale_of("y", table.variables[up], values[1], log),
    )
    labels = None if by is None else frame[column_named(by, columns, "by", "plot_xy")]
    found = facets(labels, groups, np.ones(len(frame), dtype=bool), "rows")
    drawn = panels.panels(
        len(found.names), ax, figsize, picture="plot_xy", single=(5.0, 4.0), each=(2.3, 2.1),
        most=4, narrowest=1.7, instead="fewer groups=", sharex=True, sharey=True,
    )  # fmt: skip
    either = np.isnan(values[0]) | np.isnan(values[1])
    pairs = bool(scales[0].categories and scales[1].categories)
    for k, panel in enumerate(drawn.axes):
        groups_of = []
        for part, colour in ((~either, style.OBSERVED), (either, style.MISSING)):
            rows = part & (found.codes == k)
            at = [each[rows] for each in values]
            if not pairs:
                at = [
                    s.places(each, seed)
                    for seed, (s, each) in enumerate(zip(scales, at, strict=True))
                ]
            groups_of.append((at[0], at[1], colour))
        if pairs:
            scatter.bars(panel, scales, groups_of, each=True)
        else:
            scatter.dots(panel, groups_of)
        for scale in scales:
            scale.dress(panel)
    shown = found.codes >= 0
    words = (
        f"observed ({(shown & ~either).sum():,} rows)",
        f"{style.cut(across)} or {style.cut(up)} missing ({(shown & either).sum():,} rows)",
    )
    said = "bars: numbers of rows, each colour on a scale of its own" if pairs else ""
    panels.finish(
        drawn, f"{up} against {across}", scatter.keys(words), names=found.names,
        by=None if by is None else str(by), x=across, y=up, remarks=[found.remark, said],
    )  # fmt: skip
    return drawn.figure
