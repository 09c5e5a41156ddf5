"""Forest plot: the same estimates from several analyses, under one another."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bayesimpute.arguments import FigureSize, Places, checked
from bayesimpute.errors import SpecificationError
from bayesimpute.plots import panels, style
from bayesimpute.plots.estimates_table import NEEDED, chosen_terms, tables_of
from bayesimpute.wording import did_you_mean, listed

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Inches of a panel, and of each analysis in it.
PANEL, LINE = 0.52, 0.17


@checked
def plot_estimates(
    analyses: Mapping[str, Any],
    terms: Sequence[str] | None = None,
    truth: "Mapping[str, float] | pd.Series[Any] | None" = None,
    ax: Places | None = None,
    figsize: FigureSize | None = None,
) -> "Figure":
    """Estimates with their intervals, a panel for each term and a line for each analysis.

    Every term has an axis of its own, because coefficients differ in scale. Analyses without
    imputed values are blue and filled, pooled ones vermillion and open. Zero is a grey line
    wherever it is not far from the intervals, a true value a dashed black one.

    Parameters
    ----------
    analyses
        Label -> :class:`~bayesimpute.Pooled`, the fits of ``imp.fit`` (pooled here by Rubin's
        rules; fits of one data set stay as they are), or a frame with estimate, conf_low and
        conf_high, in rows of the index or of a column ``term``; it counts as pooled where it has
        a number ``fmi``.
    terms
        Which, from top to bottom; by default all, in the order in which they are met.
    truth
        True values by term; further ones, such as those of variance components, are left out.
    ax
        An axes for each term, in any array shape; by default a new figure.
    figsize
        Inches; by default 6 wide and what the panels need.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    SpecificationError
        Nothing to draw, something that is no analysis, a term that none of them has, a `truth`
        about none of the terms, or a number of axes that does not fit.

    Examples
    --------
    >>> import bayesimpute as bi
    >>> few = bi.pool([[1.0, 40], [1.2, 42]], [[0.04, 9], [0.05, 8]], terms=["age", "height"])
    >>> many = bi.pool([[1.1, 38], [1.0, 39]], [[0.02, 4], [0.02, 5]], terms=["age", "height"])
    >>> figure = bi.plot_estimates({"m = 2": few, "again": many}, truth={"age": 1.05})
    >>> [panel.get_title(loc="left") for panel in figure.axes]
    ['age', 'height']
    """
    tables = tables_of(analyses)
    chosen = chosen_terms(tables, terms)
    true = _truth(truth, chosen)
    size = figsize or (6, 0.2 + (PANEL + LINE * len(tables)) * len(chosen))
    drawn = panels.panels(
        len(chosen), ax, size, picture="plot_estimates", across=1, head=0,
        what=f"{len(chosen)} terms ({listed(chosen)})", instead="fewer terms=",
    )  # fmt: skip
    for panel, term in zip(drawn.axes, chosen, strict=True):
        _panel(panel, term, tables, true.get(term))
    drawn.figure.draw_without_rendering()  # labels take room before titles are cut to the rest
    for panel, term in zip(drawn.axes, chosen, strict=True):
        style.title(panel, term, 10, pad=3)
    return drawn.figure


def _truth(
    truth: "Mapping[str, float] | pd.Series[Any] | None", terms: Sequence[str]
) -> dict[str, float]:
    if truth is None:
        return {}
    try:
        values = {str(term): float(value) for term, value in truth.items()}
    except (AttributeError, TypeError, ValueError):
        raise SpecificationError(
            f"truth={truth!r:.60} must be a dict from term to number, or a Series."
        ) from None
    if not any(term in values for term in terms):
        raise SpecificationError(
            f"truth= names {listed(values)}, and none of the terms {listed(terms, 12)}."
            f"{did_you_mean(next(iter(values), ''), terms)}"
        )
    return values


def _panel(ax: "Axes", term: str, tables: Mapping[str, pd.DataFrame], true: float | None) -> None:
    from matplotlib.ticker import MaxNLocator

    style.tidy(ax)
    ax.spines["left"].set_visible(False)
    ends = [] if true is None else [true]
    for at, table in enumerate(tables.values()):
        shown = table.reindex(index=[term], columns=[*NEEDED, "fmi"])
        estimate, low, high, missing = shown.to_numpy(dtype=float)[0]
        if not np.isfinite(estimate):
            ax.text(
                0.5, at, "not in this analysis", transform=ax.get_yaxis_transform(),
                ha="center", va="center", fontsize=7, color=style.GREY, zorder=3,
                bbox={"facecolor": "white", "edgecolor": "none", "pad": 1},
            )  # fmt: skip
            continue
        pooled = bool(np.isfinite(missing))
        colour = style.IMPUTED if pooled else style.OBSERVED
        ax.plot([low, high], [at, at], color=colour, linewidth=1.8, solid_capstyle="butt")
        ax.plot(
            estimate, at, "o", color=colour, markersize=5.5, markeredgewidth=1.6,
            markerfacecolor="white" if pooled else colour,
        )  # fmt: skip
        ends += [low, high]
    if ends and _near(0.0, ends):
        ax.axvline(0, color=style.GREY, linewidth=0.8, zorder=0)
    if true is not None:
        ax.axvline(true, color="black", linewidth=1.1, linestyle=(0, (3, 2)), zorder=1)
        ax.set_title(f"truth: {true:.3g}".replace("-", "−"), fontsize=8, loc="right", pad=3)
    room = 0.5 * style.extent(ax)[0]
    ax.set_yticks(range(len(tables)), [style.fitted(label, 8, room) for label in tables])
    ax.set_ylim(len(tables) - 0.4, -0.6)
    ax.tick_params(axis="y", length=0)
    ax.xaxis.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 2.5, 5, 10]))
    ax.margins(x=0.04)


def _near(value: float, ends: Sequence[float]) -> bool:
    """Whether a value lies within the intervals, or at most their whole width beside them."""
    low, high = min(ends), max(ends)
    reach = high - low
    return low - reach <= value <= high + reach
