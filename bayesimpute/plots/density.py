"""Distribution of observed and imputed values: may differ under MAR, but should be explicable."""

from typing import TYPE_CHECKING, Any

import numpy as np

from bayesimpute.arguments import Places
from bayesimpute.plots import panels, style, ticks
from bayesimpute.plots.cells import Cells, cells_of, shares
from bayesimpute.plots.facets import faceted
from bayesimpute.plots.kernel import grid_within, kernel_density, support

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from bayesimpute.result.imputations import Imputations


def plot_density(
    imputations: "Imputations",
    variable: str,
    *,
    by: str | None = None,
    groups: Any = None,
    ax: Places | None = None,
    figsize: tuple[float, float] | None = None,
) -> "Figure":
    """Observed values in blue, each imputation's values in vermillion.

    Numbers are drawn as kernel densities (Scott's bandwidth; reflected at the bounds of a bounded
    model, at 0 and 1 for shares, at 0 for numbers none of which is negative), categories and
    numbers with at most 12 distinct values as bars of shares: the bar is the mean over
    imputations, a dot one imputation.

    Parameters
    ----------
    imputations
        The result.
    variable
        An imputed variable. One of level 2 counts every cluster once.
    by
        Column with clusters or categories: a panel for each that has imputed cells, on the same
        horizontal axis. By default one panel with all cells.
    groups
        Values of `by` to show; by default all, or the 30 with most imputed cells.
    ax
        Where to draw, as many axes as panels; by default a new figure.
    figsize
        Inches; (6, 3.6) by default, with `by` what the panels need.

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
    distinct = cells.distinct()
    drawn = panels.panels(
        len(parts.cells), ax, figsize, picture="plot_density",
        sharex=True, sharey=bool(len(distinct)),
    )  # fmt: skip
    options = getattr(imputations.specification.targets.get(variable), "options", {})
    ends = support([each for part in parts.cells for each in part.columns], options)
    grid = grid_within(*_ends(parts.cells), ends)
    for panel, part in zip(drawn.axes, parts.cells, strict=True):
        if len(distinct):
            _bars(panel, part, distinct)
            names = [cells.name(value) for value in distinct]
            if drawn.single:
                ticks.name_below(panel, names)
            else:
                ticks.name_below(panel, names, most=10, room=18)
        else:
            _curves(panel, part, grid, ends)
        if not part.observed.size:
            _nothing_observed(panel)
    highest = max(panel.dataLim.y1 for panel in drawn.axes)
    for panel in drawn.axes:
        # Limits come last: set on one of several shared axes they would stay those of its bars.
        panel.set_ylim(0, 1.05 * highest if len(distinct) else None)
    panels.titles(drawn, variable, parts.names)
    panels.label_outer(drawn, y="share" if len(distinct) else "density")
    panels.legend(drawn, parts.title, _keys(cells, bool(len(distinct))))
    panels.remark(drawn, [parts.remark])
    return drawn.figure


def _ends(parts: list[Cells]) -> tuple[float, float]:
    """Limits common to all panels, with room for the tails of the densities."""
    everything = [values for part in parts for values in part.columns if values.size]
    low = min(float(values.min()) for values in everything)
    high = max(float(values.max()) for values in everything)
    reach = 0.08 * (high - low)
    return low - reach, high + reach


def _keys(cells: Cells, areas: bool) -> list[tuple[str, Any]]:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    colours = (style.OBSERVED, style.IMPUTED)
    if areas:
        return list(zip(cells.labels, [Patch(color=colour) for colour in colours], strict=True))
    lines = [
        Line2D([], [], color=colour, linewidth=w)
        for colour, w in zip(colours, (2.4, 1.2), strict=True)
    ]
    return list(zip(cells.labels, lines, strict=True))


def _curves(ax: "Axes", cells: Cells, grid: np.ndarray, ends: np.ndarray) -> None:
    thin = 0.9 if cells.m <= 30 else 0.5
    for values in cells.imputed:
        _curve(ax, values, (grid, ends), color=style.IMPUTED, linewidth=thin, alpha=0.6)
    _curve(ax, cells.observed, (grid, ends), color=style.OBSERVED, linewidth=2.4)
    ax.set_yticks([])


def _curve(
    ax: "Axes", values: np.ndarray, where: tuple[np.ndarray, np.ndarray], **drawn: Any
) -> None:
    """Density of the values; a rug where there are too few, or all equal, for a density."""
    if values.size == 0:
        return
    if len(values) < 3 or np.ptp(values) == 0:
        ax.plot(values, np.zeros(len(values)), "|", markersize=14, clip_on=False, **drawn)
        return
    grid, ends = where
    ax.plot(grid, kernel_density(values, grid, ends), **drawn)


def _bars(ax: "Axes", cells: Cells, distinct: np.ndarray) -> None:
    at = np.arange(len(distinct))
    each = np.array([shares(values, distinct) for values in cells.imputed])
    width = 0.38
    ax.bar(at - width / 2, shares(cells.observed, distinct), width, color=style.OBSERVED)
    ax.bar(at + width / 2, each.mean(axis=0), width, color=style.IMPUTED, alpha=0.75)
    aside = np.linspace(-0.3, 0.3, len(each)) * width if len(each) > 1 else np.zeros(1)
    for share, beside in zip(each, aside, strict=True):
        ax.plot(at + width / 2 + beside, share, ".", color="black", markersize=2.5, alpha=0.6)


def _nothing_observed(ax: "Axes") -> None:
    ax.text(
        0.98, 0.98, "no observed values", transform=ax.transAxes, ha="right", va="top",
        fontsize=7, color=style.GREY, style="italic",
        bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.7, "pad": 0.5},
    )  # fmt: skip
