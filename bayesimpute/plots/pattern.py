"""Tile map of missingness patterns: what is missing together, and how often."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np
import pandas as pd

from bayesimpute.arguments import Count, FigureSize, checked
from bayesimpute.errors import SpecificationError
from bayesimpute.explore.pattern import missing_pattern
from bayesimpute.plots import style, tiles
from bayesimpute.plots.frames import chosen_columns, clusters_of, named_frame

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: All patterns are drawn if there are not more; of more, so many of the most frequent ones.
ALL, OF_MORE = 75, 50
#: Widths in tiles: bars of the frequencies, gaps.
BARS, GAP = 1.6, 0.25
#: Darkness of the smallest and the largest share of a cluster.
LIGHTEST, DARKEST = 0.9, 0.1


@dataclass(frozen=True, eq=False)
class _Patterns:
    """Distinct patterns, as they are drawn from top to bottom.

    Attributes
    ----------
    names
        Variables, from left to right.
    observed
        bool (pattern, variable).
    frequency
        Rows with each pattern, int (pattern,).
    by_cluster
        Rows of each cluster with each pattern, int (pattern, cluster); no column without clusters.
    total
        Number of patterns there are.
    """

    names: list[str]
    observed: np.ndarray
    frequency: np.ndarray
    by_cluster: np.ndarray
    total: int


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
    if order not in ("missing", "frequency"):
        raise SpecificationError(f"plot_pattern: order={order!r} must be 'missing' or 'frequency'.")
    if most is not None and (isinstance(most, bool) or int(most) != most or most < 1):
        raise SpecificationError(f"plot_pattern: most={most!r} must be a whole number from 1.")
    frame = named_frame(df, "plot_pattern")
    codes: np.ndarray | None = None
    clusters: list[str] = []
    if cluster is not None:
        codes, clusters = clusters_of(frame, cluster, "plot_pattern")
    shown = frame[chosen_columns(frame, variables, cluster, "plot_pattern")]
    patterns = _patterns(shown, codes, len(clusters), most, order)
    if ax is None:
        figure, grid = style.subplots(1, 1, figsize or _size(patterns))
        ax = grid[0, 0]
    else:
        figure = cast("Figure", ax.get_figure(root=True))
    assert ax is not None
    sizes = np.bincount(codes) if codes is not None else None
    darkest, columns = _draw(ax, patterns, shown, sizes, clusters)
    entries: list[tuple[str, Any]] = [("observed", style.OBSERVED_AREA), ("missing", style.MISSING)]
    if clusters:
        entries.append((f"share of a cluster's rows, darkest {darkest:.0%}", str(DARKEST)))
    missing = [str(n) for n in (~patterns.observed).sum(axis=1)]
    if clusters:
        occurs = (patterns.by_cluster > 0).sum(axis=1)
        missing = [f"{n}   {k} of {len(clusters)}" for n, k in zip(missing, occurs, strict=True)]
    text = _caption(patterns, shown, cluster)
    frequency = [f"{n:,}" for n in patterns.frequency]
    tiles.finish(ax, text, entries, frequency, missing, colour=style.GREY, columns=columns)
    return figure


def _patterns(
    shown: pd.DataFrame, codes: np.ndarray | None, n_clusters: int, most: int | None, order: str
) -> _Patterns:
    # By position: the table has a column of its own, and a variable may be called as that is.
    table = missing_pattern(shown.set_axis([str(k) for k in range(shown.shape[1])], axis=1))
    body = table.iloc[:-1, :-1]
    places = body.columns.astype(int).to_numpy()
    observed = body.to_numpy().astype(bool)
    frequency = body.index.get_level_values("n_rows").to_numpy().astype(int)
    by_cluster = np.zeros((len(observed), n_clusters), dtype=int)
    if codes is not None:
        position = {row.tobytes(): k for k, row in enumerate(observed)}
        cells = shown.notna().to_numpy()[:, places]
        np.add.at(by_cluster, (np.array([position[row.tobytes()] for row in cells]), codes), 1)
    limit = most if most is not None else (ALL if len(observed) <= ALL else OF_MORE)
    ranked = np.argsort(-frequency, kind="stable")
    kept = ranked[:limit] if order == "frequency" else np.sort(ranked[:limit])
    return _Patterns(
        [str(shown.columns[k]) for k in places], observed[kept], frequency[kept], by_cluster[kept],
        len(observed),
    )  # fmt: skip


def _size(patterns: _Patterns) -> tuple[float, float]:
    rows, columns = patterns.observed.shape
    clusters = patterns.by_cluster.shape[1]
    wide = 1.6 + 0.36 * (columns + BARS + (GAP + _span(columns, clusters) if clusters else 0))
    wide = float(np.clip(wide, 3.5, 13))
    text = tiles.text_room(210 if clusters else 160, wide - 1.4, 5 if clusters else 2)
    names = tiles.names_room([*patterns.names, "12 clusters"])
    high = names + rows * float(np.clip(9 / rows, 0.145, 0.3)) + text
    return wide, float(min(high, 14))


def _span(columns: int, clusters: int) -> float:
    """Tiles that the block of clusters is as wide as."""
    return float(min(0.8 * clusters, max(columns, 6)))


def _draw(
    ax: "Axes",
    patterns: _Patterns,
    shown: pd.DataFrame,
    sizes: np.ndarray | None,
    clusters: list[str],
) -> tuple[float, list[tiles.Columns]]:
    """Draw bars, tiles and clusters; gives the share of the darkest grey, and texts of columns."""
    rows, columns = patterns.observed.shape
    span = _span(columns, len(clusters)) if clusters else 0.0
    ax.set_xlim(-BARS - GAP, columns + (GAP + span if clusters else 0))
    ax.set_ylim(rows - 0.5, -0.5)
    tiles.bare(ax)
    wide, _ = tiles.inches(ax)
    a_tile = wide / (columns + BARS + GAP + (GAP + span if clusters else 0))
    _tiles(ax, patterns.observed)
    bars = BARS * patterns.frequency / patterns.frequency.max()
    ax.barh(
        np.arange(rows), -bars, left=-GAP, height=0.7, color=style.GREY, alpha=0.55, linewidth=0
    )
    centres = np.arange(columns) + 0.5
    names, below, room, top = list(patterns.names), list(centres), 1.0, 0.0
    if clusters and sizes is not None:
        share = patterns.by_cluster / sizes
        top = float(share.max())
        shades = np.where(share > 0, LIGHTEST - (LIGHTEST - DARKEST) * share / top, 1.0)
        each = span / len(clusters)
        left = columns + GAP
        tiles.tile_colours(ax, np.repeat(shades[:, :, None], 3, axis=2), left=left, tile=each)
        ax.plot([left, left], [-0.5, rows - 0.5], color=style.GREY, linewidth=0.6)
        if each * a_tile >= 0.095:
            names += clusters
            below += list(left + each * (np.arange(len(clusters)) + 0.5))
            room = each
        else:
            names.append(f"{len(clusters)} clusters")
            below.append(left + span / 2)
    above = tiles.names_above(ax, below, names, room)
    counts = [f"{n:,}" for n in shown[patterns.names].isna().sum()]
    return top, [above, tiles.texts_below(ax, centres, counts)]


def _tiles(ax: "Axes", observed: np.ndarray) -> None:
    from matplotlib.colors import to_rgb

    colours = np.where(
        observed[:, :, None], to_rgb(style.OBSERVED_AREA), to_rgb(style.MISSING)
    )  # fmt: skip
    tiles.tile_colours(ax, colours)


def _caption(patterns: _Patterns, shown: pd.DataFrame, cluster: Any) -> str:
    missing = int(shown.isna().to_numpy().sum())
    drawn, rows = len(patterns.frequency), int(patterns.frequency.sum())
    how_many = f"{patterns.total:,} pattern{'s' if patterns.total > 1 else ''}"
    if drawn < patterns.total:
        how_many = (
            f"{drawn} of {how_many}, the most frequent, with {rows / len(shown):.0%} of "
            f"{len(shown):,} rows"
        )
    else:
        how_many += f" in {len(shown):,} rows"
    if missing == 0:
        return f"{how_many}: nothing is missing."
    cells = f"{missing:,} of {shown.size:,} values missing ({_share(missing / shown.size)})"
    return (
        f"{how_many}; {cells}.\nLeft: rows; right: variables missing"
        f"{', clusters with the pattern' if cluster is not None else ''}; below: missing values."
    )


def _share(share: float) -> str:
    return f"{share:.0%}" if 0.005 <= share <= 0.995 else f"{share:.2%}"
