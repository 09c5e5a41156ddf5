"""Observed cells against what is predicted without them."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from bayesimpute.arguments import Places
from bayesimpute.errors import SpecificationError
from bayesimpute.plots import style
from bayesimpute.plots.panels import beside, panels, remark, shortened

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from bayesimpute.checking.overimputation import Overimputation

#: Cells shown with their intervals: more of them cover each other.
MOST_CELLS = 250
MARKERS = "osD^vP*X"
#: Inches of a row of panels at the least, and more for each line of a legend above it.
LOWEST, LINE = 1.2, 0.14
#: Inches that a character of the labels is wide, on average.
CHARACTER = 0.062
#: Inches of a panel with its labels at the least; figures narrower than BELOW have the bar of
#: tones below, panels lower than LOW broken labels.
NARROWEST, BELOW, LOW = 1.7, 4.5, 2.0


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
    from matplotlib.ticker import MaxNLocator

    known = list(found.table.index)
    names = known if variables is None else [variables] if isinstance(variables, str) else variables
    for name in names:
        if name not in known:
            raise SpecificationError(
                f"plot: {name!r} was not overimputed; there are {', '.join(known)}."
            )
    wide = _width(len(names), axes, figsize)
    groups = {name: found.calibration(name) for name in names if name in found.probabilities}
    lines = max((_lines(_categories(table), wide) for table in groups.values()), default=0)
    drawn = panels(
        len(names), axes, figsize, picture="plot", single=(4.6, 4.2), each=(3.2, 3.0), most=3,
        narrowest=NARROWEST, lowest=LOWEST + LINE * lines, instead="fewer variables",
    )  # fmt: skip
    low = not drawn.single and drawn.axes[0].get_window_extent().height < LOW * drawn.figure.dpi
    cells, shade = found.cells, None
    most = float(cells["missing"].max())
    for panel, name in zip(drawn.axes, names, strict=True):
        row = found.table.loc[name]
        title = f"{shortened(name, 12)}: {row['coverage']:.1%}"
        panel.tick_params(labelsize=7)
        above = 0
        if name in groups:
            above = _calibration(panel, groups[name], wide)
        else:
            shade = _intervals(panel, cells[cells["variable"] == name], most)
        panel.set_title(style.literal(title), fontsize=9, loc="left", pad=4 + 72 * LINE * above)
        if low:
            panel.set_ylabel(panel.get_ylabel().replace(" ", "\n", 1), fontsize=7)
    if shade is not None:
        below = drawn.own and drawn.figure.get_figwidth() < BELOW
        numeric = [
            p for p, n in zip(drawn.axes, names, strict=True) if n not in found.probabilities
        ]
        bar = drawn.figure.colorbar(
            shade, ax=drawn.axes if drawn.own else numeric, shrink=0.8, pad=0.02, aspect=30,
            location="bottom" if below else "right", ticks=MaxNLocator(4), format=_percent,
        )  # fmt: skip
        bar.set_label("share of the row missing", fontsize=8, color=style.GREY)
        bar.ax.tick_params(labelsize=7, colors=style.GREY)
        bar.outline.set_visible(False)
    remark(drawn, [f"in the titles: observed values in their central {found.level:.0%} intervals"])
    return drawn.figure


def _width(count: int, axes: Any, figsize: tuple[float, float] | None) -> float:
    """Inches of a panel with its labels."""
    if axes is not None:
        given: Any = np.ravel(np.asarray(axes, dtype=object))[0]
        return float(given.get_window_extent().width / given.figure.dpi) + 0.5
    return figsize[0] / beside(count, figsize, 3, NARROWEST) if figsize else 3.2


def _intervals(ax: "Axes", cells: "pd.DataFrame", most: float) -> Any:
    """Intervals of some cells; gives what the bar of tones is made from."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import LinearSegmentedColormap, Normalize

    observed = cells["observed"].to_numpy(dtype=float)
    order = np.argsort(observed, kind="stable")
    chosen = order[np.unique(np.linspace(0, len(order) - 1, MOST_CELLS).astype(int))]
    ends_of = [style.OBSERVED_AREA, style.MISSING]
    tones = LinearSegmentedColormap.from_list("missing", ends_of)
    shade = ScalarMappable(Normalize(0, max(most, 0.1)), tones)
    low, high, mean, missing = (
        cells[column].to_numpy(dtype=float)[chosen] for column in ("low", "high", "mean", "missing")
    )
    x = observed[chosen]
    colours: Any = shade.to_rgba(missing)
    ax.vlines(x, low, high, colors=colours, linewidth=0.8, alpha=0.75)
    ax.scatter(x, mean, c=colours, s=7, zorder=3)
    ends = [min(x.min(), low.min()), max(x.max(), high.max())]
    ax.plot([x.min(), x.max()], [x.min(), x.max()], color="black", linewidth=1.4, zorder=4)
    ax.set_ylim(*ends)
    ax.set_xlabel("observed", fontsize=8)
    ax.set_ylabel("predicted without it", fontsize=8)
    return shade


def _percent(share: float, _: int | None = None) -> str:
    return f"{share:.0%}"


def _categories(groups: "pd.DataFrame") -> list[str]:
    """Names of the categories, as a legend has them."""
    names = list(dict.fromkeys(groups["category"]))
    return [shortened(f"{n:g}" if isinstance(n, float) else str(n), 14) for n in names]


def _beside(names: list[str], wide: float) -> int:
    """Entries of a legend beside each other above a panel that is so many inches wide."""
    return int(max(1, min(len(names), (wide - 0.5) // (0.26 + CHARACTER * max(map(len, names))))))


def _lines(names: list[str], wide: float) -> int:
    """Lines of the legend; a single category has none."""
    return -(-len(names) // _beside(names, wide)) if len(names) > 1 else 0


def _calibration(ax: "Axes", groups: "pd.DataFrame", wide: float) -> int:
    """Draw the groups of cells; gives the number of lines of the legend above the panel.

    The panel has so many inches of width with its labels.
    """
    ax.plot([0, 1], [0, 1], color=style.GREY, linewidth=0.9)
    categories = list(dict.fromkeys(groups["category"]))
    names = _categories(groups)
    tones = style.shades(len(names)) if len(names) > 1 else [style.IMPUTED]
    for k, (category, name, tone) in enumerate(zip(categories, names, tones, strict=True)):
        own = groups[groups["category"] == category]
        predicted, share, error = (
            own[c].to_numpy(dtype=float) for c in ("predicted", "share", "error")
        )
        ends = np.clip([share - 2 * error, share + 2 * error], 0, 1)  # of a share
        ax.errorbar(
            predicted, share, np.abs(ends - share),
            fmt=MARKERS[k % len(MARKERS)], color=tone, markersize=4, linewidth=1,
            label=style.literal(name),
        )  # fmt: skip
    highest = (groups["share"] + 2 * groups["error"]).clip(upper=1)
    top = max(1.03 * float(max(groups["predicted"].max(), highest.max())), 0.1)
    low = min(float(groups[["predicted", "share"]].min().min()) - 0.04, 0.0)
    ax.set_xlim(low, min(1.03, top))
    ax.set_ylim(low, min(1.03, top))
    ax.set_ylabel("observed share", fontsize=8)
    if len(names) == 1:
        label = f"predicted chance of {names[0]}"
        narrow = CHARACTER * len(label) > wide - 0.5
        ax.set_xlabel(
            style.literal(label.replace(" of ", "\nof ") if narrow else label), fontsize=8
        )
        return 0
    ax.set_xlabel("predicted chance", fontsize=8)
    across = _beside(names, wide)
    ax.legend(
        fontsize=7, frameon=False, labelcolor=style.GREY, ncols=across, loc="lower left",
        bbox_to_anchor=(0.0, 1.0), borderaxespad=0.2, borderpad=0.1, labelspacing=0.25,
        handlelength=0.8, handletextpad=0.4, columnspacing=0.8,
    )  # fmt: skip
    return _lines(names, wide)
