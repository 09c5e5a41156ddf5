"""The answer over a grid of assumptions: a line with a band, or contours."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from bayesimpute.plots import panels, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SYMBOLS = {
    "rho": "ρ, correlation of outcome and selection",
    "delta": "δ, added where values are missing",
}


def plot_sensitivity(
    table: pd.DataFrame,
    axes: tuple[str, ...],
    term: str,
    null: float,
    tipping: pd.DataFrame,
    *,
    ax: "Axes | None" = None,
    figsize: tuple[float, float] | None = None,
) -> "Figure":
    """Draw the pooled estimate and its interval at each point.

    Parameters
    ----------
    table, axes, term, null, tipping
        Of a :class:`bayesimpute.sensitivity_grid.Sensitivity`.
    ax
        Where to draw; by default a new figure.
    figsize
        Inches; (6, 3.6), in two dimensions (6, 4.4).

    Returns
    -------
    matplotlib.figure.Figure
    """
    size = (6.0, 3.6 if len(axes) == 1 else 4.4)
    drawn = panels.panels(1, ax, figsize, picture="plot", single=size)
    if len(axes) == 1:
        _line(drawn.axes[0], table, axes[0], term, null, tipping)
    else:
        _contours(drawn.axes[0], table, term, null)
    return drawn.figure


def _line(
    ax: "Axes", table: pd.DataFrame, axis: str, term: str, null: float, tipping: pd.DataFrame
) -> None:
    fixed = table.dropna(subset=[axis]).sort_values(axis)
    at = fixed[axis].to_numpy(dtype=float)
    ax.fill_between(
        at, fixed["conf_low"], fixed["conf_high"], color=style.IMPUTED, alpha=0.2, linewidth=0
    )
    ax.plot(at, fixed["estimate"], color=style.IMPUTED, marker="o", markersize=3, linewidth=1.5)
    ax.axhline(null, color=style.GREY, linewidth=0.8)
    for row in table[table[axis].isna()].to_dict("records"):
        # ρ estimated: a band over the whole width, as it belongs to no single ρ
        ax.axhspan(row["conf_low"], row["conf_high"], color=style.PRIOR, alpha=0.12, linewidth=0)
        ax.axhline(row["estimate"], color=style.PRIOR, linewidth=1, linestyle="--")
        ax.annotate(
            "ρ estimated", (at[-1], row["estimate"]), fontsize=8, color=style.PRIOR,
            ha="right", va="bottom",
        )  # fmt: skip
    for k, row in enumerate(tipping.sort_values("value").to_dict("records")):
        ax.axvline(row["value"], color=style.GREY, linewidth=0.8, linestyle=":")
        ax.annotate(
            f"{row['what']}\n{null:g} at {row['value']:.2g}",
            (row["value"], 0.98 - 0.12 * (k % 3)),  # neighbours would cover each other
            xycoords=("data", "axes fraction"),
            fontsize=7,
            color=style.GREY,
            ha="left",
            va="top",
            xytext=(3, 0),
            textcoords="offset points",
            bbox={"facecolor": "white", "alpha": 0.7, "edgecolor": "none", "pad": 0.5},
        )
    ax.set_xlabel(SYMBOLS[axis])
    ax.set_ylabel(style.fitted(f"{term}: estimate, interval", 10, style.extent(ax)[1]))


def _contours(ax: "Axes", table: pd.DataFrame, term: str, null: float) -> None:
    wide = table.dropna(subset=["rho"]).pivot(index="delta", columns="rho", values="estimate")
    low, high = (
        table.dropna(subset=["rho"]).pivot(index="delta", columns="rho", values=column)
        for column in ("conf_low", "conf_high")
    )
    x, y = np.meshgrid(wide.columns.to_numpy(dtype=float), wide.index.to_numpy(dtype=float))
    lines = ax.contour(x, y, wide.to_numpy(), levels=9, colors=style.IMPUTED, linewidths=1)
    ax.clabel(lines, fontsize=8)
    # below 0 where one end is on either side of the null value
    sides = ((low - null) * (high - null)).to_numpy()
    if sides.min() < 0:
        ax.contourf(x, y, sides, levels=[sides.min(), 0], colors=[style.GREY], alpha=0.15)
    if wide.to_numpy().min() < null < wide.to_numpy().max():
        ax.contour(x, y, wide.to_numpy(), levels=[null], colors=style.GREY, linewidths=2)
    ax.scatter(x, y, s=6, color=style.GREY)
    ax.set_xlabel(SYMBOLS["rho"])
    ax.set_ylabel(SYMBOLS["delta"])
    room = style.extent(ax)[0]
    explained = f"; grey where the interval holds {null:g}"
    most = int(72 * room / (9 * style.CHARACTER)) - len(explained)
    short = style.cut(term, max(most, style.SHORTEST))
    style.title(ax, f"{short}{explained}", 9)
