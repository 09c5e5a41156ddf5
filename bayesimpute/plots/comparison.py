"""Models by how well they predict: differences to the best with their standard errors."""

from typing import TYPE_CHECKING

import numpy as np

from bayesimpute.plots import panels, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from bayesimpute.checking.compare import ModelComparison


def plot_comparison(
    found: "ModelComparison",
    *,
    ax: "Axes | None" = None,
    figsize: tuple[float, float] | None = None,
) -> "Figure":
    """Difference of each model's elpd to the best one's, with one and two standard errors.

    Parameters
    ----------
    found
        Result of ``imp.compare_models()``.
    ax
        Where to draw; by default a new figure.
    figsize
        Inches; by default as high as there are models.

    Returns
    -------
    matplotlib.figure.Figure
    """
    table = found.table
    drawn = panels.panels(1, ax, figsize, picture="plot", single=(6, 1.4 + 0.45 * len(table)))
    (ax,) = drawn.axes
    at = np.arange(len(table))[::-1]
    difference, error = table["difference"].to_numpy(), table["difference_se"].to_numpy()
    ax.axvline(0, color=style.GREY, linewidth=0.8)
    for times, width in ((2, 1.2), (1, 3.0)):
        ends = difference - times * error, difference + times * error
        ax.hlines(at, *ends, color=style.IMPUTED, linewidth=width)
    ax.plot(difference, at, "o", color=style.IMPUTED, markersize=6)
    names = [style.cut(str(label), 28) for label in table.index]
    ax.set_yticks(at, [style.literal(name) for name in names])
    weights = ax.secondary_yaxis("right")
    weights.set_yticks(at, [f"weight {weight:.0%}" for weight in table["weight"]])
    weights.tick_params(length=0, labelsize=8, colors=style.GREY)
    weights.spines[:].set_visible(False)
    ax.set_ylim(-0.6, len(table) - 0.4)
    drawn.figure.draw_without_rendering()  # names of models take their room before words are cut
    panels.finish(
        drawn, found.variable, x="elpd − best",
        remarks=[f"{found.unit}s left out; lines: 1 and 2 standard errors"],
    )  # fmt: skip
    return drawn.figure
