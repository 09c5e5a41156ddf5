"""LOO-PIT: distribution of the places of observed values in predictions that left them out."""

from typing import TYPE_CHECKING

import numpy as np

from bayesimpute.plots import panels, style
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
    drawn = panels.panels(1, ax, figsize, picture="plot_loo_pit")
    (ax,) = drawn.axes
    at = np.concatenate([[0.0], found.at, [1.0]])
    # both ends of a difference of distribution functions are 0
    lower, line, upper = (
        np.concatenate([[0.0], each, [0.0]])
        for each in (found.lower, found.difference, found.upper)
    )
    band = ax.fill_between(at, lower, upper, color=style.GREY, alpha=0.2, linewidth=0)
    ax.axhline(0, color=style.GREY, linewidth=0.8)
    (drawn_line,) = ax.plot(at, line, color=style.OBSERVED, linewidth=1.6)
    ax.set_xlim(0, 1)
    ax.margins(y=0.12)
    outside = bool(((line < lower) | (line > upper)).any())
    verdict = f"{'outside' if outside else 'inside'}, {p_statement(found.p, 3)}"
    entries = [
        (f"{found.level:.0%} band", band),
        (f"{len(found.pit):,} observed: {verdict}", drawn_line),
    ]
    remarks = []
    if found.large_k >= 0.005:
        remarks.append(f"Pareto k > 0.7 in {found.large_k:.0%} of the cells")
    if found.left_out == "not":
        remarks.append("cells are not left out: the method gives no density")
    panels.finish(
        drawn, found.variable, entries, x="place in the prediction (LOO-PIT)",
        y="share below − expected", remarks=remarks,
    )  # fmt: skip
    return drawn.figure
