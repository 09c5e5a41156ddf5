"""What is missing: patterns, every cell, ties between variables, and beside other variables."""

from collections.abc import Hashable, Sequence
from itertools import product
from textwrap import fill
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from bayesimpute.arguments import Count, FigureSize, Places, checked
from bayesimpute.data.encoding import Kind, encode
from bayesimpute.data.table import Table
from bayesimpute.engine.history import labels_of
from bayesimpute.errors import SpecificationError
from bayesimpute.explore.patterns import flux, missing_pattern
from bayesimpute.plots import heat, panels, scatter, style
from bayesimpute.plots.distribution import bars, curve, grid_within, support
from bayesimpute.plots.frames import (
    MOST_DISTINCT,
    clusters_of,
    column_named,
    drawn_columns,
    named_frame,
)
from bayesimpute.wording import numbers

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    type Two = tuple[np.ndarray, np.ndarray]


#: All patterns are drawn if there are not more; of more, so many of the most frequent ones.
ALL, OF_MORE = 75, 50
#: Widths in tiles: bars of the frequencies, gaps.
BARS, GAP = 1.6, 0.25


@checked
def plot_pattern(
    df: pd.DataFrame,
    variables: Sequence[Any] | Any | None = None,
    cluster: Any = None,
    most: Count | None = None,
    *,
    order: Literal["missing", "frequency"] = "missing",
    ax: "Axes | None" = None,
    figsize: FigureSize | None = None,
) -> "Figure":
    """Patterns of observed and missing values, a row of tiles each.

    To the left stands how many rows have the pattern, with a bar; to the right how many variables
    are missing in it; below how many values are missing of each variable. Variables with fewer
    missing values come first.

    Parameters
    ----------
    df
        Any frame; it is not changed.
    variables
        Which columns the patterns are made of; by default all but the cluster variable.
    cluster
        Column of cluster ids. To the right of the patterns there is then a column for each
        cluster, the darker the larger the share of its rows with the pattern, white where there
        is none, and beside it the number of clusters in which the pattern occurs.
    most
        Draw so many of the most frequent patterns. By default all of up to 75, and 50 of more.
    order
        ``"missing"`` (default): as :func:`~bayesimpute.missing_pattern` has them, complete rows
        first; ``"frequency"``: the most frequent first.
    ax
        Where to draw; by default a new figure.
    figsize
        Inches; by default what the numbers of variables and patterns need.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    DataError
        If there is nothing to draw, or the cluster id of a row is missing.
    SpecificationError
        If a column or order does not exist, or `most` is no positive whole number.

    Examples
    --------
    >>> import bayesimpute as bi
    >>> study = bi.simulate.simulate_popularity(seed=1)
    >>> figure = bi.plot_pattern(study.incomplete, variables=["popular", "texp"])
    >>> [label.get_text() for label in figure.axes[0].get_yticklabels()]
    ['1,191', '809']
    """
    import seaborn as sns

    shown, codes, clusters = drawn_columns(df, variables, cluster, "plot_pattern")
    observed, frequency, names = _patterns(shown)
    ranked = np.argsort(-frequency, kind="stable")
    ranked = ranked[: most or (ALL if len(observed) <= ALL else OF_MORE)]
    kept = ranked if order == "frequency" else np.sort(ranked)
    caption = _caption(shown, len(observed), frequency[kept], cluster is not None)
    observed, frequency = observed[kept], frequency[kept]
    rows, columns = observed.shape
    span = min(0.8 * len(clusters), max(columns, 6)) + GAP if clusters else 0.0
    drawn = panels.panels(
        1, ax, figsize, picture="plot_pattern",
        single=_size(rows, columns + BARS + span, [*names, "12 clusters"], bool(clusters)),
    )  # fmt: skip
    (ax,) = drawn.axes
    sns.heatmap(
        observed, cmap=[style.MISSING, style.OBSERVED_AREA], vmin=0, vmax=1, cbar=False, ax=ax,
        linewidths=heat.gap(drawn.axes[0], rows, columns),
    )  # fmt: skip
    at = np.arange(rows) + 0.5
    bars = BARS * frequency / frequency.max()
    ax.barh(at, -bars, left=-GAP, height=0.7, color=style.GREY, alpha=0.55, linewidth=0)
    ax.set_xlim(-BARS - GAP, columns + span)
    missing = [str(n) for n in (~observed).sum(axis=1)]
    entries = [("observed", style.OBSERVED_AREA), ("missing", style.MISSING)]
    if codes is not None:
        share = _by_cluster(shown[names], observed, codes, len(clusters))
        missing = [
            f"{n}   {k} of {len(clusters)}"
            for n, k in zip(missing, (share > 0).sum(axis=1), strict=True)
        ]
        edges = columns + GAP + (span - GAP) / len(clusters) * np.arange(len(clusters) + 1)
        darkness = np.where(share > 0, 0.12 + 0.88 * share / share.max(), 0)
        ax.pcolormesh(edges, np.arange(rows + 1), darkness, cmap="Greys", vmin=0, vmax=1)
        entries.append((f"share of a cluster's rows, darkest {share.max():.0%}", "black"))
    below = [f"{n:,}" for n in shown[names].isna().sum()]
    counts = [f"{n:,}" for n in frequency]
    sides = heat.around(ax, names, counts, below, missing, colour=style.GREY)
    if codes is not None:
        each = float(edges[1] - edges[0])
        sides.append(heat.Side(heat.beside(ax, "top"), edges[:-1] + each / 2, clusters, each=each))
    heat.key(drawn, entries)
    heat.settle((ax, sides, caption))
    return drawn.figure


def _patterns(shown: pd.DataFrame) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Patterns as bool (pattern, variable), True where observed; their rows; variables in order."""
    # By position: the table has a column of its own, and a variable may be called as that is.
    table = missing_pattern(shown.set_axis([str(k) for k in range(shown.shape[1])], axis=1))
    body = table.iloc[:-1, :-1]
    frequency = body.index.get_level_values("n_rows").to_numpy().astype(int)
    names = [str(shown.columns[int(k)]) for k in body.columns]
    return body.to_numpy().astype(bool), frequency, names


def _by_cluster(shown: pd.DataFrame, observed: np.ndarray, codes: np.ndarray, n: int) -> np.ndarray:
    """Share of each cluster's rows with each pattern, (pattern, cluster)."""
    position = {row.tobytes(): k for k, row in enumerate(observed)}
    at = np.array([position.get(row.tobytes(), -1) for row in shown.notna().to_numpy()])
    counts = np.zeros((len(observed), n))
    np.add.at(counts, (at[at >= 0], codes[at >= 0]), 1)
    return np.asarray(counts / np.bincount(codes))


def _size(rows: int, tiles: float, names: Sequence[str], clustered: bool) -> tuple[float, float]:
    """Inches of the default figure."""
    wide = float(np.clip(1.6 + 0.36 * tiles, 3.5, 13))
    text = 0.8 + 0.16 * (210 if clustered else 160) / style.letters(wide - 1.4, 8)
    return wide, min(heat.room(names) + rows * float(np.clip(9 / rows, 0.145, 0.3)) + text, 14.0)


def _caption(shown: pd.DataFrame, total: int, frequency: np.ndarray, clustered: bool) -> str:
    missing = int(shown.isna().to_numpy().sum())
    how_many = f"{total:,} pattern{'s' if total > 1 else ''}"
    if len(frequency) < total:
        how_many = (
            f"{len(frequency)} of {how_many}, the most frequent, with "
            f"{frequency.sum() / len(shown):.0%} of {len(shown):,} rows"
        )
    else:
        how_many += f" in {len(shown):,} rows"
    if missing == 0:
        return f"{how_many}: nothing is missing."
    return (
        f"{how_many}; {missing:,} of {shown.size:,} values missing "
        f"({heat.percent(missing / shown.size)}).\nLeft: rows; right: variables missing"
        f"{', clusters with the pattern' if clustered else ''}; below: missing values."
    )


#: Lines of the image: of more rows several share a line. As many as print in high resolution has.
LINES = 4000
#: Points from a name of a cluster to the next.
LINE = 9.6


@checked
def plot_miss(
    df: pd.DataFrame,
    cluster: Any = None,
    order: Literal["pattern", "rows", "cluster"] | None = None,
    *,
    variables: Sequence[Any] | Any | None = None,
    ax: "Axes | None" = None,
    figsize: FigureSize | None = None,
) -> "Figure":
    """Map of all cells, rows from top to bottom: observed or missing.

    It is drawn as an image. Where there are more rows than lines, the shade of a line is the share
    of its rows in which the value is missing.

    Parameters
    ----------
    df
        Any frame; it is not changed.
    cluster
        Column of cluster ids. Clusters are then blocks under one another, and where a variable is
        missing in a whole cluster its block has a black frame.
    order
        ``"pattern"`` (default): rows with the same gaps together, the more complete first; with
        clusters, inside each of them. ``"rows"``: as they are in `df`, inside the clusters too.
        ``"cluster"``: as ``"pattern"``, and clusters with fewer gaps first, where the other two
        have them in the order of their ids.
    variables
        Which columns; by default all but the cluster variable. Those with fewer missing values
        come first, except for ``order="rows"``, which keeps their order too.
    ax
        Where to draw; by default a new figure.
    figsize
        Inches; by default what number and names of the variables need, about 5 high.

    Returns
    -------
    matplotlib.figure.Figure
        Above the names, below the share missing of each variable.

    Raises
    ------
    DataError
        If there is nothing to draw, or the cluster id of a row is missing.
    SpecificationError
        If a column or order does not exist, or clusters are to be ordered and there are none.

    Examples
    --------
    >>> import bayesimpute as bi
    >>> study = bi.simulate.simulate_popularity(seed=1)
    >>> figure = bi.plot_miss(study.incomplete, cluster="school", order="cluster")
    """
    if order == "cluster" and cluster is None:
        raise SpecificationError("plot_miss: order='cluster' needs cluster=, a column of ids.")
    shown, coded, clusters = drawn_columns(df, variables, cluster, "plot_miss")
    codes = np.zeros(len(shown), dtype=int) if coded is None else coded
    if order != "rows":
        shown = shown[shown.isna().sum().sort_values(kind="stable").index]
    gaps = shown.isna().to_numpy()
    if order == "cluster":
        share = np.bincount(codes, gaps.mean(axis=1)) / np.bincount(codes)
        rank = np.argsort(share, kind="stable")
        codes, clusters = np.argsort(rank)[codes], [clusters[k] for k in rank]
    # clusters together, and inside each the rows with the same gaps
    keys = (codes,) if order == "rows" else (*gaps.T[::-1], codes)
    gaps = gaps[np.lexsort(keys)]
    names, columns = list(shown.columns), gaps.shape[1]
    wide = float(np.clip(1.6 + 0.4 * columns, 3.5, 13))
    drawn = panels.panels(
        1, ax, figsize, picture="plot_miss", single=(wide, 4.4 + heat.room(names))
    )
    (ax,) = drawn.axes
    _image(ax, gaps)
    starts = np.concatenate([[0], np.cumsum(np.bincount(codes, minlength=max(len(clusters), 1)))])
    entries = [("observed", style.OBSERVED_AREA), ("missing", style.MISSING)]
    below = [_share(s) for s in gaps.mean(axis=0)]
    sides = heat.around(ax, names, bottom=below)
    if cluster is None:
        ax.set_ylabel("rows" if order == "rows" else "rows, sorted", fontsize=9)
        ax.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    elif _frames(ax, gaps, starts):
        entries.append(("missing in the whole cluster", "none"))
    shares_a_line = len(gaps) > drawn.figure.dpi * style.extent(ax)[1]
    caption = _map_caption(gaps, cluster, len(clusters), shares_a_line)
    heat.key(drawn, entries)
    tile = heat.settle((ax, sides, caption))
    for _ in range(2 if cluster is not None else 0):  # names need room: fewer for the blocks
        _name_blocks(ax, starts, clusters, tile[1])
        tile = heat.settle((ax, sides, caption))
    return drawn.figure


def _share(missing: float) -> str:
    """Per cent, 0 and 100 of none and of all only."""
    if 0 < missing < 0.005:
        return "<1%"
    return ">99%" if 0.995 <= missing < 1 else f"{missing:.0%}" if missing else "0"


def _image(ax: "Axes", gaps: np.ndarray) -> None:
    """Blend the two colours by the share missing, a line a row or several rows."""
    from matplotlib.colors import to_rgb

    n, columns = gaps.shape
    edges = np.linspace(0, n, min(n, LINES) + 1).astype(int)
    share = np.add.reduceat(gaps.astype(float), edges[:-1], axis=0) / np.diff(edges)[:, None]
    here, gone = np.array(to_rgb(style.OBSERVED_AREA)), np.array(to_rgb(style.MISSING))
    for k, column in enumerate(share.T):  # an image each: rows are blended where small, columns not
        ax.imshow(
            here + column[:, None, None] * (gone - here), extent=(k, k + 1, n, 0), aspect="auto",
            interpolation="auto", interpolation_stage="rgba", zorder=0,
        )  # fmt: skip
    for column in range(1, columns):
        ax.axvline(column, color="white", linewidth=1.2 if columns < 20 else 0.6)
    ax.set(xlim=(0, columns), ylim=(n, 0))


def _frames(ax: "Axes", gaps: np.ndarray, starts: np.ndarray) -> int:
    """Part the clusters, and frame the blocks in which all is missing; gives their number.

    Blocks that are lower than a point would be covered by their lines, and have none.
    """
    from matplotlib.patches import Rectangle

    each = 72 * style.extent(ax)[1] / (len(starts) - 1)
    if each < 1:
        return 0
    thick = float(np.clip(0.08 * each, 0.2, 1.5))
    ax.hlines(starts[1:-1], 0, gaps.shape[1], colors="white", linewidths=thick)
    whole = np.argwhere(np.logical_and.reduceat(gaps, starts[:-1], axis=0))
    for k, column in whole:
        ax.add_patch(
            Rectangle(
                (float(column), float(starts[k])), 1, float(starts[k + 1] - starts[k]),
                facecolor="none", edgecolor="black", linewidth=min(1.0, each / 4), zorder=4,
            )
        )  # fmt: skip
    return len(whole)


def _name_blocks(ax: "Axes", starts: np.ndarray, clusters: list[str], points: float) -> None:
    """Name each cluster beside its block; where blocks are too narrow, those that have room."""
    middle = (starts[:-1] + starts[1:]) / 2
    kept: list[int] = []
    for k, place in enumerate(middle):
        if not kept or points * (place - middle[kept[-1]]) >= LINE:
            kept.append(k)
    names = style.cut_apart(clusters)
    texts = [style.literal(names[k]) for k in kept]
    ax.set_yticks(middle[kept], texts, fontsize=8)


def _map_caption(gaps: np.ndarray, cluster: Any, n_clusters: int, shares_a_line: bool) -> str:
    rows, missing = len(gaps), int(gaps.sum())
    blocks = f" in {n_clusters:,} clusters ({cluster})" if cluster is not None else ""
    if missing == 0:
        return f"{rows:,} rows{blocks}: nothing is missing."
    percent = heat.percent(missing / gaps.size)
    text = f"{rows:,} rows{blocks}; {missing:,} of {gaps.size:,} values missing ({percent})."
    if shares_a_line:
        text += " Where rows share a line, its shade is the share missing."
    return text


#: Points (1/72 inch) up to which circles share a place, and so a label; names written there, and
#: characters of a line of them.
MERGED, NAMED, LABEL = 5.0, 6, 24
#: Labels are found a place up to so many; of more, only those below the diagonal are written.
MOST_LABELS = 40
#: Points from a circle to its label that are tried, and directions; from the first of FAR on a
#: line leads there.
DISTANCES, FAR = (6, 12, 20, 30, 42, 56, 72, 90, 110), 12
DIRECTIONS = (0, 180, 90, 270, 45, 315, 135, 225, 20, 160, 200, 340, 70, 110, 250, 290)


@checked
def plot_flux(
    df: "pd.DataFrame",
    variables: Sequence[Any] | Any | None = None,
    *,
    ax: "Axes | None" = None,
    figsize: FigureSize | None = None,
) -> "Figure":
    """Outflux against influx of each variable.

    Influx says how well what is missing of a variable is met by observed values of others, outflux
    how well its own observed values meet what is missing of the others. Complete variables lie in
    the upper left corner (0, 1), empty ones in the lower right (1, 0). What lies far below the
    dashed diagonal has little to give and little to take: a candidate for being left out.

    Parameters
    ----------
    df
        Any frame; it is not changed.
    variables
        Which columns; influx and outflux are those among them. By default all.
    ax
        Where to draw; by default a new figure.
    figsize
        Inches; (5, 5) by default.

    Returns
    -------
    matplotlib.figure.Figure
        Complete variables are filled blue circles, incomplete ones open vermillion ones; a label
        names all variables whose circles lie on each other.

    Raises
    ------
    DataError
        If there is nothing to draw.
    SpecificationError
        If a column does not exist.

    References
    ----------
    van Buuren (2018), Flexible Imputation of Missing Data, section 4.1.3.

    Examples
    --------
    >>> import bayesimpute as bi, pandas as pd
    >>> df = pd.DataFrame({"age": [1, 2, 3], "bmi": [20.5, None, 23], "chl": [None, None, 187]})
    >>> figure = bi.plot_flux(df)
    >>> [label.get_text() for label in figure.axes[0].texts]
    ['age', 'bmi', 'chl']
    """
    frame, *_ = drawn_columns(df, variables, None, "plot_flux")
    drawn = panels.panels(1, ax, figsize, picture="plot_flux", single=(5.0, 5.2))
    (ax,) = drawn.axes
    ax.set(xlim=(-0.04, 1.04), ylim=(-0.04, 1.04), aspect="equal")
    ax.plot([0, 1], [1, 0], color=style.GREY, linewidth=0.9, linestyle=(0, (4, 3)), zorder=0)
    # In complete data there is nothing to flow out to, and without a value nothing flows in.
    table = flux(frame).fillna({"influx": 1.0, "outflux": 1.0})
    at = table[["influx", "outflux"]].to_numpy()
    complete = frame.notna().all().to_numpy()
    shown: dict[str, Any] = {"s": 30, "linewidths": 1.5, "clip_on": False, "zorder": 3}
    ax.scatter(*at[complete].T, color=style.OBSERVED, **shown)
    ax.scatter(*at[~complete].T, facecolors="white", edgecolors=style.MISSING, **shown)
    places = _places(at, MERGED / 72 / min(style.extent(ax)))
    remark = "nothing is missing" if complete.all() else ""
    if len(places) > MOST_LABELS:
        places = sorted(places, key=lambda place: at[place].sum(axis=1).min())[:MOST_LABELS]
        remark = f"labels: the {MOST_LABELS} places farthest below the diagonal"
    entries = [
        ("complete", panels.key(style.OBSERVED)),
        ("incomplete", panels.key(style.MISSING, markerfacecolor="white", markeredgewidth=1.5)),
    ]
    panels.finish(drawn, "influx and outflux", entries, x="influx", y="outflux", remarks=[remark])
    _label(ax, at, [(place, [str(table.index[k]) for k in place]) for place in places])
    return drawn.figure


def _places(at: np.ndarray, nearness: float) -> list[list[int]]:
    """Positions of the points that share a place, in the order of their first ones."""
    places: list[list[int]] = []
    for k, point in enumerate(at):
        near = [place for place in places if np.hypot(*(at[place[0]] - point)) < nearness]
        if near:
            near[0].append(k)
        else:
            places.append([k])
    return places


def _label(ax: "Axes", at: np.ndarray, places: Sequence[tuple[list[int], list[str]]]) -> None:
    """Write names beside their points, each where it covers least."""
    figure: Any = ax.get_figure(root=True)
    figure.draw_without_rendering()
    pixel, frame = figure.dpi / 72, np.array(ax.get_window_extent().extents)
    points = ax.transData.transform(at)
    taken = np.hstack([points - 3.5 * pixel, points + 3.5 * pixel])
    for place, names in places:
        more = [f"{len(names) - NAMED} more"] if len(names) > NAMED else []
        words = ", ".join([style.cut(name) for name in names[:NAMED]] + more)
        text = style.literal(fill(words, LABEL, break_on_hyphens=False))
        note = ax.annotate(
            text, at[place[0]], (0, 0), textcoords="offset points", ha="center", va="center",
            fontsize=8, arrowprops={"arrowstyle": "-", "color": style.GREY, "linewidth": 0.6,
                                    "shrinkA": 0, "shrinkB": 3},
        )  # fmt: skip
        note.set_in_layout(False)
        size = np.array(note.get_window_extent().size) + 2 * pixel
        found = []
        for distance, angle in product(DISTANCES, DIRECTIONS):
            way = np.array([np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))])
            offset = way * (distance * pixel + np.abs(way) * size / 2)
            centre = points[place[0]] + offset
            box = np.concatenate([centre - size / 2, centre + size / 2])
            over = (box[:2] < taken[:, 2:]).all(axis=1) & (box[2:] > taken[:, :2]).all(axis=1)
            outside = (box[:2] < frame[:2]).any() or (box[2:] > frame[2:]).any()
            found.append((over.sum() + 3 * outside + 0.004 * distance, distance, box, offset))
        _, distance, box, offset = min(found, key=lambda each: each[0])
        taken = np.vstack([taken, box])
        note.set_position(tuple(offset / pixel))
        if distance < FAR and note.arrow_patch is not None:
            note.arrow_patch.set_visible(False)


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
    return position, list(labels_of(labels)) or numbers(distinct)


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


@checked
def plot_xy(
    df: pd.DataFrame,
    x: Hashable,
    y: Hashable,
    *,
    by: Hashable | None = None,
    groups: Any = None,
    log: str = "",
    ax: Places | None = None,
    figsize: FigureSize | None = None,
) -> "Figure":
    """Observed pairs in blue; rows without x or y in vermillion, on the margin of the other one.

    Where x is missing, a row stands left of a dotted line at the height of its y; where y is
    missing, below one; where both are, in the corner. Values that differ between margin and middle
    show how missingness depends on the other variable. On an axis of categories "missing" is one
    more category. Categories, and numbers with at most 40 distinct values, are spread at random,
    the same way at every call; of two categorical variables every pair has a bar with its number of
    rows.

    Parameters
    ----------
    df
        The incomplete table.
    x, y
        Two columns with numbers or categories.
    by
        Column with clusters or categories: a panel for each. By default one panel.
    groups
        Values of `by` to show; by default all, or the 30 with most rows.
    log
        ``"x"``, ``"y"`` or ``"xy"`` for logarithmic axes.
    ax
        Where to draw, as many axes as panels; by default a new figure.
    figsize
        Inches; (5, 4) by default, with `by` what the panels need.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    DataError
        If this is no table with rows and distinct column names.
    SpecificationError
        Unknown or equal columns, columns of dates or other objects, values a logarithmic axis
        cannot hold, or arguments that do not fit.

    Examples
    --------
    >>> import bayesimpute as bi
    >>> import pandas as pd
    >>> df = pd.DataFrame({"age": [30.0, 41.5, None, 52], "bmi": [22.1, None, 24.3, 27.8]})
    >>> figure = bi.plot_xy(df, "age", "bmi")
    >>> [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    ['observed (2 rows)', 'age or bmi missing (2 rows)']
    """
    frame = named_frame(df, "plot_xy")
    columns = list(frame.columns)
    across, up = (column_named(name, columns, a, "plot_xy") for a, name in (("x", x), ("y", y)))
    if across == up:
        raise SpecificationError(f"x and y are both {across!r}; give two columns.")
    table = Table.from_frame(frame[[across, up]])
    values = (table.values[across], table.values[up])
    either = np.isnan(values[0]) | np.isnan(values[1])
    parts = [(values[0][p], values[1][p], np.flatnonzero(p)) for p in (~either, either)]
    return scatter.picture(
        (across, up), [table.variables[across], table.variables[up]], parts,
        [("observed", ""), (f"{style.cut(across)} or {style.cut(up)} missing", "")],
        None if by is None else frame[column_named(by, columns, "by", "plot_xy")], groups,
        margins=True, log=log, ax=ax, figsize=figsize,
    )  # fmt: skip
