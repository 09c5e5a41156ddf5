"""LOO-PIT: distribution of the places of observed values in predictions that left them out."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bayesimpute.arrays import Array
from bayesimpute.plots import panels, style
from bayesimpute.wording import p_statement

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@dataclass(frozen=True, eq=False)
class LooPit:
    """PITs of one variable's observed values, each left out, against uniform.

    Attributes
    ----------
    variable
        Its name.
    pit
        (row,).
    at, difference
        Points, and the PITs' distribution function there minus the uniform one, (point,).
    lower, upper
        Band that holds all of `difference` with probability `level` if the model is right.
    level
        Of the band.
    p
        How often PITs of a right model depart more than these.
    large_k
        Share of rows with Pareto k above 0.7.
    left_out
        ``"weights"``, ``"exactly"`` or ``"not"``.
    """

    variable: str
    pit: Array
    at: Array
    difference: Array
    lower: Array
    upper: Array
    level: float
    p: float
    large_k: float
    left_out: str


def draw_loo_pit(
    found: LooPit, ax: "Axes | None" = None, figsize: tuple[float, float] | None = None
) -> "Figure":
    """Draw the PITs; see `bayesimpute.checking.overimputation.plot_loo_pit`."""
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
