"""Strip plot: every value, observed ones beside those of each imputation."""

from typing import TYPE_CHECKING, Any

import numpy as np

from bayesimpute.arguments import Places
from bayesimpute.plots import panels, style, ticks
from bayesimpute.plots.cells import Cells, cells_of, shares, thinned
from bayesimpute.plots.facets import faceted

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from bayesimpute.result.imputations import Imputations

MOST_POINTS = 60_000  # of a figure: more take long to draw and show no more
MOST_IN_A_STRIP = 1000
FEWEST_IN_A_STRIP = 50
VECTOR = 5000  # more points become an image inside a PDF or SVG


def plot_strip(
    imputations: "Imputations",
    variable: str,
    *,
    by: str | None = None,
    groups: Any = None,
    ax: Places | None = None,
    figsize: tuple[float, float] | None = None,
) -> "Figure":
    """Observed values at 0, those of imputations 1 … m beside them.

    A dot is a value, moved sideways at random (the same way at every call); a short black line is
    the median. Of more than 1,000 values in a strip (fewer where there are many strips) as many
    are drawn, order statistics at equal steps, which keep distribution and extremes. Categories,
    and numbers with at most 12 distinct values, are drawn as bars across the strip, as wide as
    their share.

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
        len(parts.cells), ax, figsize, picture="plot_strip",
        single=(min(max(6.0, 0.22 * cells.m), 10.0), 3.6), most=4 if cells.m > 10 else 6,
        sharex=True, sharey=True,
    )  # fmt: skip
    distinct = cells.distinct()
    remarks = [parts.remark, *draw_strips(drawn, parts.cells, distinct)]
    finish(drawn, cells, parts.names, parts.title)
    panels.remark(drawn, remarks)
    return drawn.figure


def draw_strips(drawn: panels.Panels, parts: list[Cells], distinct: np.ndarray) -> list[str]:
    """Draw all panels, and say what a reader has to know about them."""
    m = parts[0].m
    if len(distinct):
        every = [shares(values, distinct) for part in parts for values in part.columns]
        widest = max(float(each.max()) for each in every)
        for panel, part in zip(drawn.axes, parts, strict=True):
            _bars(panel, part, distinct, widest)
        ticks.name_values(drawn.axes, parts[0], distinct)
        return [f"width of a bar: share of the value, at most {100 * widest:.0f} %"]
    room = MOST_POINTS // (len(parts) * (m + 1))
    most = int(np.clip(room, FEWEST_IN_A_STRIP, MOST_IN_A_STRIP))
    for panel, part in zip(drawn.axes, parts, strict=True):
        _dots(panel, part, most)
    largest = max(values.size for part in parts for values in part.columns)
    return [f"at most {most:,} values of a strip are drawn" if largest > most else ""]


def finish(drawn: panels.Panels, cells: Cells, names: list[str], title: str) -> None:
    """Axes of imputations, titles and legend, which strips and boxes share."""
    from matplotlib.lines import Line2D

    for panel in drawn.axes:
        ticks.number_imputations(panel, cells.m, narrow=not drawn.single)
    panels.titles(drawn, cells.variable, names)
    panels.label_outer(drawn, x="imputation")
    keys = [
        Line2D([], [], color=colour, marker="s", linestyle="none", markersize=6)
        for colour in (style.OBSERVED, style.IMPUTED)
    ]
    panels.legend(drawn, title, list(zip(cells.labels, keys, strict=True)))


def colour(imputation: int) -> str:
    """Give the colour of imputation 0 (observed) … m."""
    return style.IMPUTED if imputation else style.OBSERVED


def _dots(ax: "Axes", cells: Cells, most: int) -> None:
    few = [thinned(values, most) for values in cells.columns]
    places = [ticks.place(k, cells.m) for k in range(cells.m + 1)]
    at = [
        middle + ticks.jitter(each.size, 0.32 * width, seed=k)
        for k, (each, (middle, width)) in enumerate(zip(few, places, strict=True))
    ]
    figure = ax.get_figure(root=True)
    points = ax.bbox.width / (figure.dpi if figure else 100) * 72 / (cells.m + places[0][1])
    groups = (
        (at[0], few[0], style.OBSERVED, points * places[0][1]),
        # One artist for all imputations: thousands of small ones would take long to draw.
        (np.concatenate(at[1:]), np.concatenate(few[1:]), style.IMPUTED, points),
    )
    for x, y, tone, wide in groups:
        crowd = min(1.0, 8 / np.sqrt(max(len(y) if tone == style.OBSERVED else len(few[1]), 1)))
        ax.plot(
            x, y, "o", color=tone, markersize=min(1.5 + 3 * crowd, max(0.12 * wide, 0.7)),
            markeredgewidth=0, alpha=0.25 + 0.6 * crowd, rasterized=len(y) > VECTOR,
        )  # fmt: skip
    medians = [float(np.median(v)) if v.size else np.nan for v in cells.columns]
    middles, widths = np.array(places).T
    ax.hlines(
        medians, middles - 0.4 * widths, middles + 0.4 * widths, colors="black", linewidth=1.2
    )


def _bars(ax: "Axes", cells: Cells, distinct: np.ndarray, widest: float) -> None:
    at = ticks.positions(cells, distinct)
    height = 0.8 * float(np.diff(at).min()) if len(at) > 1 else 0.8
    for k, values in enumerate(cells.columns):
        middle, room = ticks.place(k, cells.m)
        width = 0.86 * room * shares(values, distinct) / widest
        ax.barh(at, width, height, left=middle - width / 2, color=colour(k))
