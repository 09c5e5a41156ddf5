"""Observed cells against what is predicted without them."""

from collections.abc import Sequence
from textwrap import fill
from typing import TYPE_CHECKING, Any

import numpy as np

from bayesimpute.arguments import Places
from bayesimpute.errors import SpecificationError
from bayesimpute.plots import panels, style
from bayesimpute.wording import nearest

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from bayesimpute.checking.overimputation import Overimputation

#: Cells shown with their intervals: more of them cover each other.
MOST_CELLS = 250
MARKERS = "osD^vP*X"
#: Inches of a row of panels at the least, and more for each line of a legend above it.
LOWEST, LINE = 1.3, 0.15


def plot_overimputation(
    found: "Overimputation",
    variables: str | Sequence[str] | None = None,
    *,
    axes: Places | None = None,
    figsize: tuple[float, float] | None = None,
) -> "Figure":
    """Draw a panel for each variable: intervals of numbers, calibration of categories.

    Numbers: observed value (x) against predictive mean and interval, of 250 cells spread evenly
    over the observed values, in a tone that says how much of the row is missing; an interval that
    crosses the diagonal holds the observed value. Categories: predicted chance against observed
    share in groups of equal size, with the interval of two standard errors that shares of a right
    model have; points on the diagonal are calibrated.

    Parameters
    ----------
    found
        Result of ``imp.overimpute()``.
    variables
        Which ones; by default all.
    axes
        One for each; by default a new figure.
    figsize
        Inches; by default by the number of panels.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    SpecificationError
        If a variable is not in the result, the number of axes does not fit, or a figure is too
        low for its panels.
    """
    known = list(found.table.index)
    names = known if variables is None else [variables] if isinstance(variables, str) else variables
    for name in names:
        if name not in known:
            raise SpecificationError(f"plot: {name!r} was not overimputed{nearest(name, known)}.")
    groups = {name: found.calibration(name) for name in names if name in found.probabilities}
    few = 3.2 if figsize is None else figsize[0] / min(len(names), max(1, round(figsize[0] / 1.7)))
    lines = max((_columns(table, few)[1] for table in groups.values()), default=0)
    drawn = panels.panels(
        len(names), axes, figsize, picture="plot", single=(4.6, 4.2), each=(3.2, 3.0), most=3,
        narrowest=1.7, lowest=LOWEST + LINE * lines, head=0.3, instead="fewer variables",
    )  # fmt: skip
    shade = None
    for panel, name in zip(drawn.axes, names, strict=True):
        above = 0
        if name in groups:
            above = _calibration(panel, groups[name])
        else:
            shade = _intervals(panel, found.cells[found.cells["variable"] == name])
        panel.tick_params(labelsize=7)
        title = f"{style.cut(name, 12)}: {found.table.loc[name, 'coverage']:.1%}"
        panel.set_title(style.literal(title), fontsize=9, loc="left", pad=4 + 72 * LINE * above)
    if shade is not None:
        _shade_key(
            drawn, shade, [p for p, n in zip(drawn.axes, names, strict=True) if n not in groups]
        )
    said = f"in the titles: observed values in their central {found.level:.0%} intervals"
    panels.remark(drawn, [said])
    return drawn.figure


def _shade_key(drawn: panels.Panels, shade: Any, numeric: "list[Axes]") -> None:
    from matplotlib.ticker import MaxNLocator, PercentFormatter

    below = drawn.own and drawn.figure.get_figwidth() < 4.5
    bar = drawn.figure.colorbar(
        shade, ax=drawn.axes if drawn.own else numeric, shrink=0.8, pad=0.02, aspect=30,
        location="bottom" if below else "right", ticks=MaxNLocator(4),
        format=PercentFormatter(1, 0),
    )  # fmt: skip
    bar.set_label("share of the row missing", fontsize=8, color=style.GREY)
    bar.ax.tick_params(labelsize=7, colors=style.GREY)
    bar.outline.set_visible(False)


def _intervals(ax: "Axes", cells: "pd.DataFrame") -> Any:
    """Intervals of some cells; gives what the bar of tones is made from."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import LinearSegmentedColormap, Normalize

    order = np.argsort(cells["observed"].to_numpy(dtype=float), kind="stable")
    chosen = order[np.unique(np.linspace(0, len(order) - 1, MOST_CELLS).astype(int))]
    tones = LinearSegmentedColormap.from_list("missing", [style.OBSERVED_AREA, style.MISSING])
    shade = ScalarMappable(Normalize(0, max(float(cells["missing"].max()), 0.1)), tones)
    x, low, high, mean, missing = (
        cells[column].to_numpy(dtype=float)[chosen]
        for column in ("observed", "low", "high", "mean", "missing")
    )
    colours: Any = shade.to_rgba(missing)
    ax.vlines(x, low, high, colors=colours, linewidth=0.8, alpha=0.75)
    ax.scatter(x, mean, c=colours, s=7, zorder=3)
    ax.plot([x.min(), x.max()], [x.min(), x.max()], color="black", linewidth=1.4, zorder=4)
    ax.set_xlabel("observed", fontsize=8)
    ax.set_ylabel("predicted", fontsize=8)
    return shade


def _names(groups: "pd.DataFrame") -> list[str]:
    """Names of the categories, as a legend has them."""
    names = groups["category"].unique()
    return [style.cut(f"{n:g}" if isinstance(n, float) else str(n), 14) for n in names]


def _columns(groups: "pd.DataFrame", wide: float) -> tuple[int, int]:
    """Columns and lines of the legend above so many inches; a single category has none."""
    names = _names(groups)
    columns = int(np.clip((wide - 0.5) // (0.28 + 0.062 * max(map(len, names))), 1, len(names)))
    return columns, -(-len(names) // columns) if len(names) > 1 else 0


def _calibration(ax: "Axes", groups: "pd.DataFrame") -> int:
    """Draw the groups of cells; gives the number of lines of the legend above the panel."""
    ax.plot([0, 1], [0, 1], color=style.GREY, linewidth=0.9)
    names = _names(groups)
    tones = style.shades(len(names)) if len(names) > 1 else [style.IMPUTED]
    parts = [own for _, own in groups.groupby("category", sort=False)]
    for k, (own, name, tone) in enumerate(zip(parts, names, tones, strict=True)):
        predicted, share, error = (
            own[column].to_numpy(dtype=float) for column in ("predicted", "share", "error")
        )
        ends = np.clip([share - 2 * error, share + 2 * error], 0, 1)  # of a share
        ax.errorbar(
            predicted, share, np.abs(ends - share), fmt=MARKERS[k % len(MARKERS)], color=tone,
            markersize=4, linewidth=1, label=style.literal(name),
        )  # fmt: skip
    highest = (groups["share"] + 2 * groups["error"]).clip(upper=1)
    top = min(1.03, max(1.03 * float(max(groups["predicted"].max(), highest.max())), 0.1))
    low = min(float(groups[["predicted", "share"]].min().min()) - 0.04, 0.0)
    ax.set(xlim=(low, top), ylim=(low, top))
    ax.set_ylabel("observed share", fontsize=8)
    wide = style.extent(ax)[0]
    of = f" of {names[0]}" if len(names) == 1 else ""
    words = fill(f"predicted chance{of}", style.letters(wide, 8))
    ax.set_xlabel(style.literal(words), fontsize=8)
    columns, lines = _columns(groups, wide + 0.4)
    if lines:
        ax.legend(
            fontsize=7, frameon=False, labelcolor=style.GREY, ncols=columns, loc="lower left",
            bbox_to_anchor=(0.0, 1.0), borderaxespad=0.2, borderpad=0.1, labelspacing=0.25,
            handlelength=0.8, handletextpad=0.4, columnspacing=0.8,
        )  # fmt: skip
    return lines
