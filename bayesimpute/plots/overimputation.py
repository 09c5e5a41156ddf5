"""Observed cells as they are predicted without themselves: the tables, and their picture."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from textwrap import fill
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bayesimpute import html
from bayesimpute.arguments import FigureSize, Places, checked
from bayesimpute.errors import SpecificationError
from bayesimpute.plots import panels, style
from bayesimpute.wording import nearest

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Cells shown with their intervals: more of them cover each other.
MOST_CELLS = 250
MARKERS = "osD^vP*X"
#: Groups of equal size in which predicted chances are held against observed shares.
BINS = 10
#: Inches of a row of panels at the least, and more for each line of a legend above it.
LOWEST, LINE = 1.3, 0.15


@checked
def plot_overimputation(
    found: "Overimputation",
    variables: str | Sequence[str] | None = None,
    *,
    ax: Places | None = None,
    figsize: FigureSize | None = None,
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
    ax
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
        len(names), ax, figsize, picture="plot", single=(4.6, 4.2), each=(3.2, 3.0), most=3,
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


def _intervals(ax: "Axes", cells: pd.DataFrame) -> Any:
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


def _names(groups: pd.DataFrame) -> list[str]:
    """Names of the categories, as a legend has them."""
    names = groups["category"].unique()
    return [style.cut(f"{n:g}" if isinstance(n, float) else str(n), 14) for n in names]


def _columns(groups: pd.DataFrame, wide: float) -> tuple[int, int]:
    """Columns and lines of the legend above so many inches; a single category has none."""
    names = _names(groups)
    columns = int(np.clip((wide - 0.5) // (0.28 + 0.062 * max(map(len, names))), 1, len(names)))
    return columns, -(-len(names) // columns) if len(names) > 1 else 0


def _calibration(ax: "Axes", groups: pd.DataFrame) -> int:
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


def calibration_table(chances: pd.DataFrame, observed: Any) -> pd.DataFrame:
    """Predicted chances and observed shares by category and group; see `Overimputation`."""
    names = chances.columns[1:] if chances.shape[1] == 2 else chances.columns
    parts = []
    for k, name in enumerate(chances.columns):
        if name not in names:
            continue
        chance, happened = chances.iloc[:, k].to_numpy(), observed == name
        order = np.argsort(chance, kind="stable")
        groups = np.array_split(order, max(1, min(BINS, len(order) // 5)))
        predicted = np.array([chance[rows].mean() for rows in groups])
        share = np.array([happened[rows].mean() for rows in groups])
        size = np.array([len(rows) for rows in groups])
        error = np.sqrt(predicted * (1 - predicted) / size)
        parts.append(
            pd.DataFrame({"category": name, "predicted": predicted, "share": share, "error": error})
        )
    return pd.concat(parts, ignore_index=True)


@dataclass(frozen=True, eq=False, repr=False)
class Overimputation(html.Told):
    """How well observed cells are predicted by models that have not seen them.

    Attributes
    ----------
    table
        A row for each variable: ``kind``; ``method``; ``n`` cells; ``coverage``, the share of cells
        whose PIT lies in the central `level`, with its binomial standard error ``coverage_se``;
        ``width``, the mean width of the intervals of a number (NaN for categories);
        ``calibration_error``, for numbers the mean distance of the PITs' distribution from the
        uniform one, for categories the mean distance of predicted chances from observed shares in
        ten groups of equal size (both 0 for a perfect model, and a little more by chance);
        ``large_k``, the share of cells with Pareto k above 0.7, whose weights cannot be trusted;
        ``left_out``, how the cell was taken out: ``"weights"``, ``"exactly"``, or ``"not"`` where
        a user's own method gives no density, and the numbers flatter it.
    cells
        A row for each cell: ``variable``, ``row`` (index label, or the cluster of a level-2
        variable), ``cluster``, ``observed``; for numbers predictive ``mean`` and interval ``low``,
        ``high``; for categories the ``probability`` of the observed one; ``pit``, ``covered``,
        ``missing`` (share of the row's variables that are missing) and ``pareto_k``.
    probabilities
        Variable with categories -> predicted chance of each, a row for each cell.
    level
        Of the intervals.

    Examples
    --------
    >>> import bayesimpute as bi
    >>> study = bi.simulate.simulate_popularity(seed=1, schools=8, pupils=80)
    >>> imp = bi.impute(
    ...     study.incomplete, cluster="school", m=2, iterations=2, seed=1, progress=False
    ... )
    >>> imp.overimpute(draws=50).table.index.tolist()
    ['popular']
    """

    table: pd.DataFrame
    cells: pd.DataFrame
    probabilities: Mapping[str, pd.DataFrame]
    level: float

    def by_cluster(self) -> pd.DataFrame:
        """Coverage, its standard error, width and departure of the PITs, by variable and cluster.

        Returns
        -------
        pandas.DataFrame
            Index ``variable``, ``cluster``; columns ``n``, ``coverage``, ``coverage_se``,
            ``width``, ``pit_mean`` (0.5 where the cluster is predicted neither too high nor too
            low) and ``missing``. Empty without clusters.
        """
        cells = self.cells[self.cells["cluster"].notna()]
        grouped = cells.assign(width=cells["high"] - cells["low"]).groupby(
            ["variable", "cluster"], sort=False
        )
        out = grouped.agg(
            n=("pit", "size"),
            coverage=("covered", "mean"),
            width=("width", "mean"),
            pit_mean=("pit", "mean"),
            missing=("missing", "mean"),
        )
        error = np.sqrt(out["coverage"] * (1 - out["coverage"]) / out["n"])
        out.insert(2, "coverage_se", error)
        return out

    plot = plot_overimputation

    @checked
    def calibration(self, variable: str) -> pd.DataFrame:
        """Predicted chances against observed shares of one variable with categories.

        Parameters
        ----------
        variable
            A variable of `probabilities`.

        Returns
        -------
        pandas.DataFrame
            A row for each category and group of cells (ten of equal size, in order of the chance):
            ``category``, mean ``predicted`` chance, observed ``share``, and the binomial
            ``error`` the share would have if the chance were right. Of two categories the
            second only.

        Raises
        ------
        SpecificationError
            If it is no such variable.
        """
        chances = self.probabilities.get(variable)
        if chances is None:
            raise SpecificationError(
                f"calibration is for variables with categories, here "
                f"{', '.join(self.probabilities) or 'none'}; {variable!r} is none of them."
            )
        observed = self.cells.loc[self.cells["variable"] == variable, "observed"].to_numpy()
        return calibration_table(chances, observed)

    def _said(self) -> Iterator[str | pd.DataFrame]:
        yield (
            f"Overimputation: {len(self.cells):,} observed cells, each predicted without itself; "
            f"central {self.level:.0%} intervals should cover {self.level:.0%} of them."
        )
        yield self.table.round(3)
