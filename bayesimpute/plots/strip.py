"""Values of each imputation beside the observed ones: strips, boxes, stacked shares."""

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bayesimpute.arguments import FigureSize, Places, checked
from bayesimpute.plots import panels, style
from bayesimpute.plots.tidy import Shown, shown
from bayesimpute.result.run import Run

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


MOST_POINTS = 60_000  # of a figure: more take long to draw and show no more
MOST_IN_A_STRIP = 1000
FEWEST_IN_A_STRIP = 50
VECTOR = 5000  # more points become an image inside a PDF or SVG


@checked
def plot_strip(
    run: Run,
    variable: str,
    *,
    by: str | None = None,
    groups: Any = None,
    ax: Places | None = None,
    figsize: FigureSize | None = None,
) -> "Figure":
    """Values of one variable, observed and of every imputation beside each other.

    Observed values at 0, those of imputations 1 … m beside them.

    A dot is a value, moved sideways at random (the same way at every call); a short black line is
    the median. Of more than 1,000 values in a strip (fewer where there are many strips) as many
    are drawn, order statistics at equal steps, which keep distribution and extremes. Categories,
    and numbers with at most 12 distinct values, are drawn as bars across the strip, as wide as
    their share.

    Parameters
    ----------
    run
        The result of ``bi.impute``.
    variable
        An imputed variable. One of level 2 counts every cluster once.
    by
        Column with clusters or categories: a panel for each that has imputed cells, or ``".imp"``:
        one for each imputation. By default one panel with all cells.
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
    drawn = beside(cells, ax, figsize, "plot_strip")
    said = strips(drawn, cells)
    finish_strips(drawn, cells, variable, said)
    return drawn.figure


def beside(
    cells: Shown, ax: Any, figsize: tuple[float, float] | None, picture: str
) -> panels.Panels:
    """Give panels for columns of imputations beside each other."""
    return panels.panels(
        len(cells.parts), ax, figsize, picture=picture, instead="fewer groups=",
        single=(min(max(6.0, 0.22 * cells.m), 10.0), 3.6), most=4 if cells.m > 10 else 6,
        sharex=True, sharey=True,
    )  # fmt: skip


def strips(drawn: panels.Panels, cells: Shown) -> str:
    """Draw all panels, and say what a reader has to know about them."""
    if cells.levels:
        shares = [cells.shares(part) for part in cells.parts]
        widest = max(float(share.max()) for share in shares)
        for panel, share in zip(drawn.axes, shares, strict=True):
            for k, each in enumerate(share):
                width = 0.86 * each / widest
                panel.barh(range(len(each)), width, 0.8, k - width / 2, color=colour(k))
            panels.name_categories(panel, cells.levels, "y")
        return f"width of a bar: share of the value, at most {100 * widest:.0f} %"
    room = MOST_POINTS // (len(cells.parts) * (cells.m + 1))
    most = int(np.clip(room, FEWEST_IN_A_STRIP, MOST_IN_A_STRIP))
    largest = 0
    for panel, part in zip(drawn.axes, cells.parts, strict=True):
        _dots(panel, part, most)
        largest = max(largest, int(part[".imp"].value_counts().max()))
    return f"at most {most:,} values of a strip are drawn" if largest > most else ""


def finish_strips(
    drawn: panels.Panels, cells: Shown, variable: str, said: str, y: str = ""
) -> None:
    """Axes of imputations, titles and legend, which strips and boxes share."""
    few = 10 if drawn.single else 4
    step = next(s for s in (1, 2, 5, 10, 20, 50, 100, 10**6) if cells.m / s <= few)
    numbers = range(step, cells.m + 1, step)
    for panel in drawn.axes:
        panel.set_xticks([0, *numbers], ["obs.", *map(str, numbers)])
        panel.set_xlim(-0.6, cells.m + 0.6)
    keys = [panels.key(colour, "s", markersize=6) for colour in style.PALETTE.values()]
    panels.finish(
        drawn, variable, list(zip(cells.labels, keys, strict=True)), names=cells.names,
        by=cells.by, x="imputation", y=y, remarks=[cells.remark, said],
    )  # fmt: skip


def colour(imputation: int) -> str:
    """Give the colour of imputation 0 (observed) … m."""
    return style.IMPUTED if imputation else style.OBSERVED


def thinned(values: np.ndarray, most: int) -> np.ndarray:
    """Give at most so many values that keep the distribution: order statistics at equal steps.

    Examples
    --------
    >>> import numpy as np
    >>> thinned(np.arange(9.0), 3).tolist()
    [0.0, 4.0, 8.0]
    """
    if len(values) <= most:
        return values
    steps = np.linspace(0, len(values) - 1, most).round().astype(np.int64)
    return np.asarray(np.sort(values)[steps])


def _dots(ax: "Axes", part: pd.DataFrame, most: int) -> None:
    columns = {int(str(k)): values.to_numpy() for k, values in part.groupby(".imp")["value"]}
    few = {k: thinned(values, most) for k, values in columns.items()}
    crowd = min(1.0, 8 / np.sqrt(sum(map(len, few.values())) / len(few)))
    wide = 72 * style.extent(ax)[0] / (max(few) + 1)
    size = min(1.5 + 3 * crowd, max(0.12 * wide, 0.7))
    rng = np.random.default_rng(0)  # a picture can be made again
    for k, y in few.items():
        ax.plot(
            k + rng.uniform(-0.32, 0.32, len(y)), y, "o", color=colour(k), markersize=size,
            markeredgewidth=0, alpha=0.25 + 0.6 * crowd, rasterized=len(y) * len(few) > VECTOR,
        )  # fmt: skip
    at = np.array(list(columns))
    medians = [np.median(values) for values in columns.values()]
    ax.hlines(medians, at - 0.4, at + 0.4, colors="black", linewidth=1.2)


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
        Column with clusters or categories: a panel for each that has imputed cells, or ``".imp"``:
        one for each imputation. By default one panel with all cells.
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
    finish_strips(drawn, cells, variable, said, "share" if stacked else "")
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
