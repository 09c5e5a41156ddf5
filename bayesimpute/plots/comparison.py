"""Models by how well they predict: differences to the best with their standard errors."""

from typing import TYPE_CHECKING, cast

import numpy as np

from bayesimpute.plots import style
from bayesimpute.plots.ticks import name_beside

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
    if ax is None:
        figure, grid = style.subplots(1, 1, figsize or (6, 1.2 + 0.45 * len(table)))
        ax = grid[0, 0]
    else:
        figure = cast("Figure", ax.get_figure(root=True))
    style.tidy(ax)
    at = np.arange(len(table))[::-1]
    difference, error = table["difference"].to_numpy(), table["difference_se"].to_numpy()
    ax.axvline(0, color=style.GREY, linewidth=0.8)
    for times, width in ((2, 1.2), (1, 3.0)):
        ax.hlines(
            at, difference - times * error, difference + times * error,
            color=style.IMPUTED, linewidth=width,
        )  # fmt: skip
    ax.plot(difference, at, "o", color=style.IMPUTED, markersize=6)
    name_beside(ax, at, [str(label) for label in table.index], most=28)
    for where, weight in zip(at, table["weight"], strict=True):
        ax.text(
            1.01, where, f"{weight:.0%}", transform=ax.get_yaxis_transform(), va="center",
            fontsize=8, color=style.GREY,
        )  # fmt: skip
    ax.text(
        1.01, at[0] + 0.62, "weight", transform=ax.get_yaxis_transform(), va="center", fontsize=8,
        color=style.GREY,
    )  # fmt: skip
    ax.set_ylim(-0.6, len(table) - 0.4)
    narrow = figure.get_figwidth() < 4.8
    lines = "" if narrow else " (lines: 1 and 2 SE)"
    ax.set_xlabel(f"elpd − best, {found.unit}s left out{lines}", fontsize=8 if narrow else 9)
    figure.draw_without_rendering()  # names of models take their room before the title is cut
    style.title(ax, found.variable)
    return figure
