"""Distribution of one variable where another is observed, and where it is missing."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pandas as pd

from bayesimpute.arguments import FigureSize, Places, checked
from bayesimpute.data.encoding import Kind, encode
from bayesimpute.errors import SpecificationError
from bayesimpute.plots import style
from bayesimpute.plots.frames import clusters_of, column_named, named_frame
from bayesimpute.plots.kernel import grid_within, kernel_density, support
from bayesimpute.plots.tiles import inches, shortened

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_BARS = 12  # numbers with more distinct values are drawn as densities
#: Panels of a picture by cluster.
MOST_CLUSTERS = 20
#: Fewer values, or values that are all equal, have no density; they are drawn as strokes.
FEWEST = 3


@dataclass(frozen=True, eq=False)
class _Groups:
    """Values of the covariate, in the two groups of a panel."""

    observed: np.ndarray
    missing: np.ndarray


@checked
def plot_missing_by(
    df: pd.DataFrame,
    variable: Any,
    by: Any,
    cluster: Any = None,
    *,
    ax: Places | None = None,
    figsize: FigureSize | None = None,
) -> "Figure":
    """Compare a covariate between rows in which a variable is observed and is missing.

    Where the two distributions differ, values are not missing completely at random, and the
    covariate belongs into the imputation model. Numbers are drawn as kernel densities (Scott's
    bandwidth, each of area 1) with their means; categories and numbers with at most 12 distinct
    values as bars of shares.

    Parameters
    ----------
    df
        Any frame; it is not changed.
    variable
        Whose values are missing.
    by
        The covariate. Rows in which it is missing itself are left out, and counted in the legend
        as such.
    cluster
        Column of cluster ids: a panel for each. Of more than 20 clusters, those with the most
        rows in the smaller of the two groups are drawn.
    ax
        Where to draw, with clusters an axes each in any array shape; by default a new figure.
    figsize
        Inches; (6, 3.6) by default, with clusters what the panels need.

    Returns
    -------
    matplotlib.figure.Figure
        Observed: blue and full; missing: vermillion, dashed or hatched.

    Raises
    ------
    DataError
        If there is nothing to draw, or a number is infinite.
    SpecificationError
        If a column does not exist, `variable` and `by` are the same, the variable is complete, the
        covariate is a date, has no value or too many categories or does not vary within clusters,
        or the number of axes does not fit.

    Examples
    --------
    >>> import bayesimpute as bi
    >>> study = bi.simulate.simulate_popularity(seed=1)
    >>> figure = bi.plot_missing_by(study.incomplete, "popular", "texp")
    >>> figure.axes[0].get_title(loc="left")
    'texp, by missingness of popular'
    """
    frame = named_frame(df, "plot_missing_by")
    names = list(frame.columns)
    variable = column_named(variable, names, "variable", "plot_missing_by")
    by = column_named(by, names, "by", "plot_missing_by")
    gone = frame[variable].isna().to_numpy()
    values, labels = _covariate(frame, variable, by, gone)
    known = ~np.isnan(values)
    whole = _Groups(values[known & ~gone], values[known & gone])
    panels = {"": whole}
    left_out = 0
    if cluster is not None:
        codes, clusters = clusters_of(frame, cluster, "plot_missing_by")
        groups = [
            _Groups(values[known & ~gone & (codes == k)], values[known & gone & (codes == k)])
            for k in range(len(clusters))
        ]
        if all(len(np.unique(values[known & (codes == k)])) < 2 for k in range(len(clusters))):
            raise SpecificationError(
                f"plot_missing_by: {by!r} does not vary within any {str(cluster)!r}, so panels by "
                "cluster show nothing; leave cluster= out."
            )
        smaller = [min(g.observed.size, g.missing.size) for g in groups]
        kept = np.sort(np.argsort(np.negative(smaller), kind="stable")[:MOST_CLUSTERS])
        left_out = len(clusters) - len(kept)
        panels = {clusters[k]: groups[k] for k in kept}
    levels = None
    if labels or len(np.unique(values[known])) <= MOST_BARS:
        levels = np.arange(len(labels)) if labels else np.unique(values[known])
    written = labels or [f"{value:g}" for value in ([] if levels is None else levels)]
    figure, axes = _axes(len(panels), ax, figsize, cluster is not None, levels is not None)
    for panel, (name, group) in zip(axes, panels.items(), strict=True):
        style.tidy(panel)
        if levels is not None:
            _bars(panel, group, levels, written)
        else:
            _curves(panel, group, values[known])
        if cluster is not None:
            panel.set_title(style.literal(shortened(name)), fontsize=8, loc="left", pad=2)
            panel.tick_params(labelsize=7)
    if levels is not None:
        # Limits come last: set on one of several shared axes they would stay those of its bars.
        highest = max(panel.dataLim.y1 for panel in axes)
        for panel in axes:
            panel.set_ylim(0, 1.05 * highest)
    _explain(figure, axes, whole, f"{shortened(by)}, by missingness of {shortened(variable)}",
             int((~known).sum()), left_out, (cluster is not None, ax is not None))  # fmt: skip
    return figure


def _covariate(
    frame: pd.DataFrame, variable: str, by: str, gone: np.ndarray
) -> tuple[np.ndarray, list[str]]:
    """Values of the covariate and the names of its categories; none for a number."""
    if variable == by:
        raise SpecificationError(
            f"plot_missing_by: {by!r} is missing where it is missing; choose another by=."
        )
    if not gone.any():
        raise SpecificationError(
            f"plot_missing_by: {variable!r} has no missing values, so there is nothing to compare."
        )
    described, values = encode(frame[by])
    if np.isnan(values).all():
        raise SpecificationError(f"plot_missing_by: by={by!r} has no value at all.")
    if described.kind is Kind.OTHER:
        raise SpecificationError(
            f"plot_missing_by: by={by!r} ({described.dtype}) is neither a number nor a category; "
            "convert it, for example to days or years."
        )
    seen = np.unique(values[~np.isnan(values)]).astype(int)
    if described.categories and len(seen) > 4 * MOST_BARS:
        raise SpecificationError(
            f"plot_missing_by: by={by!r} has {len(seen)} categories, too many to be told apart."
        )
    if described.categories:
        values = np.where(np.isnan(values), np.nan, np.searchsorted(seen, np.nan_to_num(values)))
    return values, [str(described.categories[k]) for k in seen] if described.categories else []


def _axes(
    n: int, ax: Any, figsize: tuple[float, float] | None, clustered: bool, shares: bool
) -> "tuple[Figure, list[Axes]]":
    if ax is not None:
        axes = list(np.ravel(np.asarray(ax, dtype=object)))
        if len(axes) != n:
            raise SpecificationError(
                f"plot_missing_by(ax=…): {n} panel(s) need an axes each, not {len(axes)}."
            )
        return cast("Figure", axes[0].get_figure(root=True)), axes
    if not clustered:
        figure, grid = style.subplots(1, 1, figsize or (6, 3.6))
        return figure, [grid[0, 0]]
    wide = figsize[0] if figsize else min(10.0, 2.1 * n + 0.5)
    across = int(np.clip(wide / 1.7, 1, min(n, 5)))
    down = -(-n // across)
    size = figsize or (wide, 0.8 + 1.35 * down)
    figure, grid = style.subplots(down, across, size, sharex=True, sharey=shares)
    axes = list(grid.ravel())
    for unused in axes[n:]:
        unused.set_axis_off()
    for column in range(across):  # the last panel of each column carries the numbers
        last = axes[max(k for k in range(n) if k % across == column)]
        last.tick_params(labelbottom=True)
    return figure, axes[:n]


def _curves(ax: "Axes", group: _Groups, everything: np.ndarray) -> None:
    reach = 0.05 * np.ptp(everything)
    ends = support([everything])
    grid = grid_within(everything.min() - reach, everything.max() + reach, ends)
    top = 0.0
    for values, colour, dashed in _both(group):
        line = (0, (3, 1.5)) if dashed else "-"
        if len(values) < FEWEST or np.ptp(values) == 0:
            continue
        density = kernel_density(values, grid, ends)
        top = max(top, float(density.max()))
        ax.fill_between(grid, density, color=colour, alpha=0.15, linewidth=0)
        ax.plot(grid, density, color=colour, linewidth=1.8, linestyle=line)
    top = top or 1.0
    step = float(np.clip(6.5 / (72 * inches(ax)[1]), 0.07, 0.25))  # of the height, a mean
    for k, (values, colour, dashed) in enumerate(_both(group)):
        if not len(values):
            continue
        if len(values) < FEWEST or np.ptp(values) == 0:
            ax.vlines(
                np.unique(values), 0, (0.9 - 0.25 * k) * top, color=colour, linewidth=1.8,
                linestyle=(0, (3, 1.5)) if dashed else "-",
            )  # fmt: skip
        ax.plot(
            values.mean(), -step * top * (0.8 + k), "o", color=colour, markersize=5,
            markeredgewidth=1.4, markerfacecolor="white" if dashed else colour,
        )  # fmt: skip
    ax.set_ylim(-2.4 * step * top, 1.08 * top)
    ax.spines["left"].set_visible(False)
    ax.set_yticks([])


def _both(group: _Groups) -> tuple[tuple[np.ndarray, str, bool], tuple[np.ndarray, str, bool]]:
    """Give the groups, with their colours, and whether they are drawn dashed or hatched."""
    return (group.observed, style.OBSERVED, False), (group.missing, style.MISSING, True)


def _bars(ax: "Axes", group: _Groups, levels: np.ndarray, written: list[str]) -> None:
    width = 0.38
    at = np.arange(len(levels))
    for side, (values, colour, hatched) in zip((-1, 1), _both(group), strict=True):
        if not len(values):
            continue
        shares = [np.mean(values == level) for level in levels]
        ax.bar(
            at + side * width / 2, shares, width, facecolor="white" if hatched else colour,
            edgecolor=colour, hatch="//////" if hatched else None, linewidth=1,
        )  # fmt: skip
    texts = [shortened(name, 16) for name in written]
    room = 0.9 * inches(ax)[0] / len(levels)
    slanted = max(map(len, texts)) * 0.07 > room
    ax.set_xticks(
        at, [style.literal(text) for text in texts],
        rotation=35 if slanted else 0, ha="right" if slanted else "center",
        rotation_mode="anchor" if slanted else None,
    )  # fmt: skip
    ax.set_xlim(-0.6, len(levels) - 0.4)
    place = ax.get_subplotspec()
    if place is None or place.is_first_col():
        ax.set_ylabel("share", fontsize=8)


def _explain(
    figure: "Figure",
    axes: "list[Axes]",
    whole: _Groups,
    title: str,
    unknown: int,
    left_out: int,
    where: tuple[bool, bool],
) -> None:
    """Title, legend and what was left out."""
    from matplotlib.patches import Patch

    clustered, users_axes = where
    handles = [
        Patch(facecolor=style.OBSERVED, edgecolor=style.OBSERVED),
        Patch(facecolor="white", edgecolor=style.MISSING, hatch="//////"),
    ]
    counts = (whole.observed.size, whole.missing.size)
    labels = [
        f"{what} ({n:,} rows)" for what, n in zip(("observed", "missing"), counts, strict=True)
    ]
    notes = []
    if unknown:
        notes.append(f"{unknown:,} rows without the covariate left out")
    if left_out:
        notes.append(f"{len(axes)} of {len(axes) + left_out} clusters")
    drawn: dict[str, Any] = {"fontsize": 8, "frameon": False, "labelcolor": style.GREY, "ncols": 2}
    if clustered and not users_axes:
        text = title + (f" ({'; '.join(notes)})" if notes else "")
        figure.suptitle(style.literal(text), fontsize=10, x=0.01, ha="left", wrap=True)
        figure.legend(handles, labels, loc="outside lower left", **drawn)
        return
    first = axes[0]
    if not clustered:
        first.set_title(style.literal(title), fontsize=10, loc="left", pad=20)
        first.legend(
            handles, labels, loc="lower left", bbox_to_anchor=(0, 1.0), borderaxespad=0.1,
            borderpad=0, columnspacing=1, handletextpad=0.5, **drawn,
        )  # fmt: skip
    else:
        first.legend(handles, labels, **drawn)
    if notes:
        first.set_xlabel("; ".join(notes), fontsize=8, color=style.GREY, loc="left")
