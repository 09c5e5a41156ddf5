"""Distribution of one variable where another is observed, and where it is missing."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bayesimpute.arguments import FigureSize, Places, checked
from bayesimpute.data.encoding import Kind, encode
from bayesimpute.errors import SpecificationError
from bayesimpute.plots import panels, style
from bayesimpute.plots.distribution import bars, curve, grid_within, support
from bayesimpute.plots.frames import clusters_of, column_named, named_frame
from bayesimpute.plots.tidy import MOST_DISTINCT

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    #: Values of the covariate where the variable is observed, and where it is missing.
    type Two = tuple[np.ndarray, np.ndarray]

#: Panels of a picture by cluster, and categories of a covariate.
MOST_CLUSTERS, MOST_CATEGORIES = 20, 48
HATCH = "//////"


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
        The covariate. Rows in which it is missing itself are left out, and counted below the
        panels.
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
    columns = list(frame.columns)
    variable = column_named(variable, columns, "variable", "plot_missing_by")
    by = column_named(by, columns, "by", "plot_missing_by")
    gone = frame[variable].isna().to_numpy()
    values, levels = _covariate(frame, variable, by, gone)
    known = ~np.isnan(values)
    codes, names = np.zeros(len(frame), dtype=int), [""]
    remarks = []
    if unknown := int((~known).sum()):
        remarks.append(f"{unknown:,} rows without the covariate left out")
    if cluster is not None:
        codes, names = clusters_of(frame, cluster, "plot_missing_by")
    groups = [_two(values, known & (codes == k), gone) for k in range(len(names))]
    if cluster is not None:
        if all(len(np.unique(np.concatenate(each))) < 2 for each in groups):
            raise SpecificationError(
                f"plot_missing_by: {by!r} does not vary within any {str(cluster)!r}, so panels by "
                "cluster show nothing; leave cluster= out."
            )
        smaller = [min(map(len, each)) for each in groups]
        kept = np.sort(np.argsort(np.negative(smaller), kind="stable")[:MOST_CLUSTERS])
        if len(kept) < len(names):
            remarks.append(f"{len(kept)} of {len(names)} clusters")
        groups, names = [groups[k] for k in kept], [names[k] for k in kept]
    drawn = panels.panels(
        len(groups), ax, figsize, picture="plot_missing_by", each=(2.1, 1.35), most=5,
        narrowest=1.7, sharex=True, sharey=bool(levels),
    )  # fmt: skip
    ends = support([values[known]])
    for panel, two in zip(drawn.axes, groups, strict=True):
        if levels:
            _bars(panel, two, levels)
        else:
            _curves(panel, two, grid_within([values[known]], ends), ends)
    highest = max(panel.dataLim.y1 for panel in drawn.axes)
    for panel in drawn.axes if levels else ():
        # Limits come last: set on one of several shared axes they would stay those of its bars.
        panel.set_ylim(0, 1.05 * highest)
    sizes = [len(each) for each in _two(values, known, gone)]
    entries = list(
        zip([f"observed ({sizes[0]:,} rows)", f"missing ({sizes[1]:,} rows)"], _keys(), strict=True)
    )
    panels.finish(
        drawn, f"{style.cut(by, 24)}, by missingness of {style.cut(variable, 24)}", entries,
        names=names, y="share" if levels else "", remarks=remarks,
    )  # fmt: skip
    return drawn.figure


def _covariate(
    frame: pd.DataFrame, variable: str, by: str, gone: np.ndarray
) -> tuple[np.ndarray, list[str]]:
    """Values of the covariate, and the names of its levels, of which values are positions then."""
    if variable == by:
        raise SpecificationError(
            f"plot_missing_by: {by!r} is missing where it is missing; choose another by=."
        )
    if not gone.any():
        raise SpecificationError(
            f"plot_missing_by: {variable!r} has no missing values, so there is nothing to compare."
        )
    described, values = encode(frame[by])
    known = ~np.isnan(values)
    if not known.any():
        raise SpecificationError(f"plot_missing_by: by={by!r} has no value at all.")
    if described.kind is Kind.OTHER:
        raise SpecificationError(
            f"plot_missing_by: by={by!r} ({described.dtype}) is neither a number nor a category; "
            "convert it, for example to days or years."
        )
    distinct = np.unique(values[known])
    if described.categories and len(distinct) > MOST_CATEGORIES:
        raise SpecificationError(
            f"plot_missing_by: by={by!r} has {len(distinct)} categories, too many to be told apart."
        )
    if not described.categories and len(distinct) > MOST_DISTINCT:
        return values, []
    position = np.where(known, np.searchsorted(distinct, values), np.nan)
    labels = [described.categories[int(k)] for k in distinct] if described.categories else ()
    return position, [str(label) for label in labels] or [f"{value:g}" for value in distinct]


def _two(values: np.ndarray, rows: np.ndarray, gone: np.ndarray) -> "Two":
    return values[rows & ~gone], values[rows & gone]


def _keys() -> list[Any]:
    from matplotlib.patches import Patch

    return [
        Patch(facecolor=style.OBSERVED, edgecolor=style.OBSERVED),
        Patch(facecolor="white", edgecolor=style.MISSING, hatch=HATCH),
    ]


def _curves(ax: "Axes", two: "Two", grid: np.ndarray, ends: np.ndarray) -> None:
    """Draw both densities, and on the axis the means: one from below, one from above."""
    looks: Any = (
        (style.OBSERVED, "-", 6), (style.MISSING, (0, (3, 1.5)), 7),
    )  # fmt: skip
    for values, (colour, line, marker) in zip(two, looks, strict=True):
        if not len(values):
            continue
        density = curve(ax, values, grid, ends, color=colour, linewidth=1.8, linestyle=line)
        if density is not None:
            ax.fill_between(grid, density, color=colour, alpha=0.15, linewidth=0)
        ax.plot(
            values.mean(), 0, marker=marker, color=colour, markersize=7, clip_on=False, zorder=4,
            markeredgecolor="white", markeredgewidth=0.5,
        )  # fmt: skip
    ax.set_ylim(0, 1.08 * ax.dataLim.y1 or 1.0)
    ax.spines["left"].set_visible(False)
    ax.set_yticks([])


def _bars(ax: "Axes", two: "Two", levels: Sequence[str]) -> None:
    counts = [np.bincount(values.astype(int), minlength=len(levels)) for values in two]
    observed, missing = (count[None] / max(int(count.sum()), 1) for count in counts)
    bars(ax, observed, missing, [style.OBSERVED, style.MISSING])
    for bar in ax.patches[len(levels) :]:
        bar.set(hatch=HATCH, facecolor="white", edgecolor=style.MISSING)
    panels.name_categories(ax, levels)
    ax.set_xlim(-0.6, len(levels) - 0.4)
