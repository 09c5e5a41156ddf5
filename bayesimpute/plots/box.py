"""Box plots of observed and imputed values; stacked shares where they are categories."""

from typing import TYPE_CHECKING, Any

import numpy as np

from bayesimpute.arguments import Places
from bayesimpute.plots import panels, style, ticks
from bayesimpute.plots.cells import Cells, cells_of, shares, thinned
from bayesimpute.plots.facets import faceted
from bayesimpute.plots.strip import colour, draw_strips, finish

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from bayesimpute.result.imputations import Imputations

FEWEST = 5  # values of a box; fewer are drawn as they are
MOST_STACKED = 6  # categories of a stacked bar; more tones cannot be told apart
MOST_OUTSIDE = 200  # values beyond the whiskers of a box


def plot_box(
    imputations: "Imputations",
    variable: str,
    *,
    by: str | None = None,
    groups: Any = None,
    ax: Places | None = None,
    figsize: tuple[float, float] | None = None,
) -> "Figure":
    """Box of the observed values at 0, boxes of imputations 1 … m beside it.

    A box holds the middle half with the median as a black line, whiskers reach to the last value
    within 1.5 times its height (Tukey), dots are the values beyond (at most 200 a box, the
    extremes among them). Fewer than 5 values are drawn as dots. Categories become stacked bars of
    shares, the first category at the bottom and darkest; more than 6 of them are drawn as
    `plot_strip` does.

    Parameters
    ----------
    imputations
        The result.
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
    cells = cells_of(imputations, variable)
    parts = faceted(imputations, cells, by, groups)
    drawn = panels.panels(
        len(parts.cells), ax, figsize, picture="plot_box",
        single=(min(max(6.0, 0.22 * cells.m), 10.0), 3.6), most=4 if cells.m > 10 else 6,
        sharex=True, sharey=True,
    )  # fmt: skip
    remarks = [parts.remark]
    stacked = 0 < len(cells.categories) <= MOST_STACKED
    if stacked:
        for panel, part in zip(drawn.axes, parts.cells, strict=True):
            _stack(panel, part)
    elif cells.categories:
        remarks += draw_strips(drawn, parts.cells, cells.distinct())
    else:
        for panel, part in zip(drawn.axes, parts.cells, strict=True):
            for k, values in enumerate(part.columns):
                _box(panel, k, values, part.m)
    finish(drawn, cells, parts.names, parts.title)
    if stacked:
        panels.label_outer(drawn, y="share")
        _name_levels(drawn, cells, parts.cells)
    panels.remark(drawn, remarks)
    return drawn.figure


def _box(ax: "Axes", imputation: int, values: np.ndarray, m: int) -> None:
    from matplotlib.cbook import boxplot_stats

    at, room = ticks.place(imputation, m)
    tone = colour(imputation)
    dot: dict[str, Any] = {
        "marker": "o",
        "markersize": 2.5,
        "markeredgewidth": 0,
        "markerfacecolor": tone,
    }
    if values.size < FEWEST:
        ax.plot(np.full(values.size, at), values, linestyle="none", **dot | {"markersize": 4})
        return
    (numbers,) = boxplot_stats(values)
    numbers["fliers"] = thinned(np.unique(numbers["fliers"]), MOST_OUTSIDE)
    line = {"color": tone, "linewidth": 1.1}
    ax.bxp(
        [numbers], positions=[at], widths=0.62 * room, patch_artist=True, manage_ticks=False,
        boxprops={"facecolor": tone, "edgecolor": tone, "alpha": 0.75},
        medianprops={"color": "black", "linewidth": 1.4}, whiskerprops=line, capprops=line,
        flierprops={**dot, "alpha": 0.6},
    )  # fmt: skip


def _stack(ax: "Axes", cells: Cells) -> None:
    distinct = cells.distinct()
    for k, values in enumerate(cells.columns):
        if values.size == 0:
            continue
        share = shares(values, distinct)
        middle, room = ticks.place(k, cells.m)
        ax.bar(
            np.full(len(share), middle), share, 0.82 * room, bottom=np.cumsum(share) - share,
            color=_tones(colour(k), len(share)), edgecolor="white", linewidth=0.6,
        )  # fmt: skip
    ax.set_ylim(0, 1)


def _tones(base: str, n: int) -> list[tuple[float, float, float]]:
    """Give n tones of a colour, from dark to light, around the colour itself."""
    from matplotlib.colors import to_rgb

    own = np.array(to_rgb(base))
    steps = np.linspace(-0.35, 0.7, n) if n > 1 else np.zeros(1)
    mixed = [own * (1 + step) if step < 0 else own + (1 - own) * step for step in steps]
    return [(float(red), float(green), float(blue)) for red, green, blue in mixed]


def _name_levels(drawn: panels.Panels, cells: Cells, parts: list[Cells]) -> None:
    """Name the categories at the right of the last bar, moved apart where they are thin."""
    share = shares(parts[-1].imputed[-1], cells.distinct())
    last = drawn.axes[-1]
    height = last.get_position().height * drawn.figure.get_figheight()
    middles = np.cumsum(share) - share / 2
    moved = ticks.apart(middles, 0.13 / max(height, 0.5))
    for name, at, middle in zip(cells.categories, moved, middles, strict=True):
        last.annotate(
            style.literal(panels.shortened(name, 14)), (1, middle),
            (9, (at - middle) * height * 72),
            xycoords=("axes fraction", "data"), textcoords="offset points",
            annotation_clip=False, fontsize=8 if drawn.single else 7, color=style.GREY,
            va="center", arrowprops={"arrowstyle": "-", "color": style.GREY, "linewidth": 0.5,
                                     "shrinkA": 0, "shrinkB": 0},
        )  # fmt: skip
