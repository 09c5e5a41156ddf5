"""Box plots of observed and imputed values; stacked shares where they are categories."""

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bayesimpute.arguments import FigureSize, Places, checked
from bayesimpute.plots import panels, style
from bayesimpute.plots.strip import beside, colour, finish, strips
from bayesimpute.plots.tidy import Shown, shown
from bayesimpute.result.run import Run

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


FEWEST = 5  # values of a box; fewer are drawn as they are
MOST_STACKED = 6  # categories of a stacked bar; more tones cannot be told apart


@checked
def plot_box(
    run: Run,
    variable: str,
    *,
    by: str | None = None,
    groups: Any = None,
    ax: Places | None = None,
    figsize: FigureSize | None = None,
) -> "Figure":
    """Box plots of one variable, observed and of every imputation; shares of categories.

    Box of the observed values at 0, boxes of imputations 1 … m beside it.

    A box holds the middle half with the median as a black line, whiskers reach to the last value
    within 1.5 times its height (Tukey), dots are the values beyond. Fewer than 5 values are drawn
    as dots. Categories become stacked bars of shares, the first category at the bottom and
    darkest; more than 6 of them are drawn as `plot_strip` does.

    Parameters
    ----------
    run
        The result of ``bi.impute``.
    variable
        An imputed variable. One of level 2 counts every cluster once.
    by
        Column with clusters or categories: a panel for each that has imputed cells. By default
        one panel with all cells.
    groups
        Values of `by` to show; by default all, or the 30 with most imputed cells.
    ax
        Where to draw, as many axes as panels; by default a new figure.
    figsize
        Inches; by default what m and the panels need.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    SpecificationError
        If the variable was not imputed, `by` or `groups` do not fit, or the number of axes.
    """
    cells = shown(run, variable, by, groups)
    drawn = beside(cells, ax, figsize, "plot_box")
    stacked = 0 < len(cells.levels) <= MOST_STACKED
    said = strips(drawn, cells) if len(cells.levels) > MOST_STACKED else ""
    for panel, part in zip(drawn.axes, cells.parts, strict=True):
        if stacked:
            _stack(panel, cells.shares(part))
        elif not cells.levels:
            _boxes(panel, part)
    finish(drawn, cells, variable, said, "share" if stacked else "")
    if stacked:
        _name_levels(drawn, cells)
    return drawn.figure


def _boxes(ax: "Axes", part: pd.DataFrame) -> None:
    for number, column in part.groupby(".imp")["value"]:
        at, values = int(str(number)), column.to_numpy()
        tone = colour(at)
        dot: Any = {"marker": "o", "markeredgewidth": 0, "markerfacecolor": tone}
        if len(values) < FEWEST:
            ax.plot(np.full(len(values), at), values, linestyle="none", markersize=4, **dot)
            continue
        line = {"color": tone, "linewidth": 1.1}
        ax.boxplot(
            values, positions=[at], widths=0.62, patch_artist=True, manage_ticks=False,
            boxprops={"facecolor": tone, "edgecolor": tone, "alpha": 0.75}, whiskerprops=line,
            medianprops={"color": "black", "linewidth": 1.4}, capprops=line,
            flierprops={**dot, "markersize": 2.5, "alpha": 0.6},
        )  # fmt: skip


def _stack(ax: "Axes", shares: np.ndarray) -> None:
    for k, share in enumerate(shares):
        ax.bar(
            np.full(len(share), k), share, 0.82, bottom=np.cumsum(share) - share,
            color=style.tones(colour(k), -0.35, 0.7, len(share)), edgecolor="white", linewidth=0.6,
        )  # fmt: skip
    ax.set_ylim(0, 1)


def _name_levels(drawn: panels.Panels, cells: Shown) -> None:
    """Name the tones of the categories beside the panels, in the order of the bars."""
    tones = style.tones(style.IMPUTED, -0.35, 0.7, len(cells.levels))
    keys = [panels.key(tone, "s", markersize=7) for tone in tones[::-1]]
    names = [style.literal(style.cut(name, 14)) for name in cells.levels[::-1]]
    looks: Any = {"fontsize": 8, "frameon": False, "labelcolor": style.GREY, "handletextpad": 0.3}
    if drawn.own:
        drawn.figure.legend(keys, names, loc="outside right center", borderpad=0, **looks)
    else:
        last = drawn.axes[-1]
        first = last.get_legend()
        last.legend(keys, names, loc="center left", bbox_to_anchor=(1, 0.5), **looks)
        if first is not None:
            last.add_artist(first)  # an axes has one legend of its own
