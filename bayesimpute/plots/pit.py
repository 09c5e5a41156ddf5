"""LOO-PIT: distribution of the places of observed values in predictions that left them out."""

from typing import TYPE_CHECKING, cast

import numpy as np

from bayesimpute.plots import style
from bayesimpute.wording import p_statement

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from bayesimpute.checking.loo import LooPit


def plot_loo_pit(
    found: "LooPit",
    *,
    ax: "Axes | None" = None,
    figsize: tuple[float, float] | None = None,
) -> "Figure":
    """Distribution function of the LOO-PITs minus the uniform one, with a simultaneous band.

    A line inside the band is what a right model gives. An arch above 0 (too many small PITs) means
    predictions that are too high, one below 0 too low; above 0 on the left and below on the right,
    predictions that are too narrow, the other way round too wide.

    Parameters
    ----------
    found
        PITs of one variable.
    ax
        Where to draw; by default a new figure.
    figsize
        Inches; (6, 3.6) by default.

    Returns
    -------
    matplotlib.figure.Figure
    """
    if ax is None:
        figure, grid = style.subplots(1, 1, figsize or (6, 3.6))
        ax = grid[0, 0]
    else:
        figure = cast("Figure", ax.get_figure(root=True))
    style.tidy(ax)

    def closed(values: np.ndarray) -> np.ndarray:
        return np.concatenate([[0.0], values, [0.0]])

    at = np.concatenate([[0.0], found.at, [1.0]])
    ax.fill_between(
        at, closed(found.lower), closed(found.upper),
        color=style.GREY, alpha=0.2, linewidth=0, label=f"{found.level:.0%} band",
    )  # fmt: skip
    ax.axhline(0, color=style.GREY, linewidth=0.8)
    outside = (found.difference < found.lower) | (found.difference > found.upper)
    p = p_statement(found.p, 3)
    verdict = f"{'outside' if outside.any() else 'inside'}, {p}"
    ax.plot(
        at, closed(found.difference),
        color=style.OBSERVED, linewidth=1.6, label=f"{len(found.pit):,} observed: {verdict}",
    )  # fmt: skip
    ax.set_xlim(0, 1)
    ax.margins(y=0.12)
    ax.set_xlabel("place in the prediction (LOO-PIT)", fontsize=9)
    ax.set_ylabel("share below − expected", fontsize=9)
    narrow = figure.get_figwidth() < 4.8
    style.title(ax, found.variable, pad=34 if narrow else 22)
    ax.legend(
        fontsize=8, frameon=False, labelcolor=style.GREY, ncols=1 if narrow else 2,
        loc="lower left", bbox_to_anchor=(0.0, 1.0), borderaxespad=0.2, borderpad=0.1,
    )  # fmt: skip
    notes = []
    if found.large_k >= 0.005:
        notes.append(f"Pareto k > 0.7 in {found.large_k:.0%} of the cells")
    if found.left_out == "not":
        notes.append("cells are not left out: the method gives no density")
    if notes:
        below = "\n".join(f"({note})" for note in notes)
        ax.set_xlabel(f"{ax.get_xlabel()}\n{below}", fontsize=9)
    return figure
