"""What is missing: patterns as tiles, and every cell, row by row."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from bayesimpute.arguments import Count, FigureSize, checked
from bayesimpute.errors import SpecificationError
from bayesimpute.explore.patterns import missing_pattern
from bayesimpute.plots import heat, panels, style
from bayesimpute.plots.frames import chosen_columns, clusters_of, named_frame

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


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

    frame = named_frame(df, "plot_pattern")
    codes, clusters = (None, []) if cluster is None else clusters_of(frame, cluster, "plot_pattern")
    shown = frame[chosen_columns(frame, variables, cluster, "plot_pattern")]
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
    frame = named_frame(df, "plot_miss")
    codes, clusters = np.zeros(len(frame), dtype=int), [""]
    if cluster is not None:
        codes, clusters = clusters_of(frame, cluster, "plot_miss")
    shown = frame[chosen_columns(frame, variables, cluster, "plot_miss")]
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
    starts = np.concatenate([[0], np.cumsum(np.bincount(codes, minlength=len(clusters)))])
    entries = [("observed", style.OBSERVED_AREA), ("missing", style.MISSING)]
    below = ["0" if s == 0 else "<1%" if s < 0.005 else f"{s:.0%}" for s in gaps.mean(axis=0)]
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
    texts = [style.literal(style.cut(clusters[k])) for k in kept]
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
