"""Tile map of missingness patterns: what is missing together, and how often."""

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

    if order not in ("missing", "frequency"):
        raise SpecificationError(f"plot_pattern: order={order!r} must be 'missing' or 'frequency'.")
    if most is not None and (isinstance(most, bool) or int(most) != most or most < 1):
        raise SpecificationError(f"plot_pattern: most={most!r} must be a whole number from 1.")
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
