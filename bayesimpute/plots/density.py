"""Distribution of observed and imputed values: may differ under MAR, but should be explicable."""

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bayesimpute.arguments import FigureSize, Places, checked
from bayesimpute.plots import panels, style
from bayesimpute.plots.distribution import bars, curve, grid_within, support
from bayesimpute.plots.tidy import Shown, shown
from bayesimpute.result.run import Run

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@checked
def plot_density(
    run: Run,
    variable: str,
    *,
    by: str | None = None,
    groups: Any = None,
    ax: Places | None = None,
    figsize: FigureSize | None = None,
) -> "Figure":
    """Distribution of the observed and of the imputed values of one variable.

    Observed values in blue, each imputation's values in vermillion.

    Numbers are drawn as kernel densities (Scott's bandwidth; reflected at the bounds of a bounded
    model, at 0 and 1 for shares, at 0 for numbers none of which is negative), categories and
    numbers with at most 12 distinct values as bars of shares: the bar is the mean over
    imputations, a dot one imputation.

    Parameters
    ----------
    run
        The result of ``bi.impute``.
    variable
        An imputed variable. One of level 2 counts every cluster once.
    by
        Column with clusters or categories: a panel for each that has imputed cells, on the same
        horizontal axis. ``".imp"``: a panel for each imputation, beside the observed values. By
        default one panel with all cells.
    groups
        Values of `by` to show; by default all, or the 30 with most imputed cells (the first 30
        imputations).
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
    cells = shown(run, variable, by, groups)
    drawn = panels.panels(
        len(cells.parts), ax, figsize, picture="plot_density", instead="fewer groups=",
        sharex=True, sharey=bool(cells.levels),
    )  # fmt: skip
    values = [part["value"].to_numpy() for part in cells.parts]
    ends = support(values, cells.options)
    grid = grid_within(values, ends)
    for panel, part in zip(drawn.axes, cells.parts, strict=True):
        if cells.levels:
            _bars(panel, part, cells)
        else:
            _curves(panel, part, cells.m, grid, ends)
        if not (part[".imp"] == 0).any():
            _nothing_observed(panel)
    highest = max(panel.dataLim.y1 for panel in drawn.axes)
    for panel in drawn.axes:
        # Limits come last: set on one of several shared axes they would stay those of its bars.
        panel.set_ylim(0, 1.05 * highest if cells.levels else None)
    marker = "s" if cells.levels else ""
    entries = [
        (label, panels.key(colour, marker, linewidth=width))
        for label, colour, width in zip(
            cells.labels, style.PALETTE.values(), (2.4, 1.2), strict=True
        )
    ]
    panels.finish(
        drawn, variable, entries, names=cells.names, by=cells.by, remarks=[cells.remark],
        y="share" if cells.levels else "density",
    )  # fmt: skip
    return drawn.figure


def _curves(ax: "Axes", part: pd.DataFrame, m: int, grid: np.ndarray, ends: np.ndarray) -> None:
    looks: dict[bool, Any] = {
        True: {"color": style.IMPUTED, "linewidth": 0.9 if m <= 30 else 0.5, "alpha": 0.6},
        False: {"color": style.OBSERVED, "linewidth": 2.4, "zorder": 3},
    }
    for number, values in part.groupby(".imp")["value"]:
        curve(ax, values.to_numpy(), grid, ends, **looks[bool(number)])
    ax.set_yticks([])


def _bars(ax: "Axes", part: pd.DataFrame, cells: Shown) -> None:
    share = cells.shares(part)
    seen, each = share[:1], share[1:]
    middle = bars(ax, seen, each, list(style.PALETTE.values()))
    aside = np.linspace(-0.12, 0.12, cells.m) if cells.m > 1 else np.zeros(1)
    at = middle + aside[:, None]
    ax.plot(at.ravel(), each.ravel(), ".", color="black", markersize=2.5, alpha=0.6)
    panels.name_categories(ax, cells.levels)


def _nothing_observed(ax: "Axes") -> None:
    ax.text(
        0.98, 0.98, "no observed values", transform=ax.transAxes, ha="right", va="top",
        fontsize=7, color=style.GREY, style="italic",
        bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.7, "pad": 0.5},
    )  # fmt: skip
