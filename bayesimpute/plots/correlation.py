"""Heat map of pairwise associations: which variables can say something of another's gaps."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np
import pandas as pd

from bayesimpute.arguments import FigureSize, Places, checked
from bayesimpute.errors import SpecificationError
from bayesimpute.plots import style, tiles
from bayesimpute.plots.association import Part, association_columns, associations
from bayesimpute.plots.frames import chosen_columns, clusters_of, named_frame

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PARTS: tuple[Part, ...] = ("total", "within", "between")
#: Inches below which panels do not stand side by side, and a tile of the default figure is.
NARROWEST, TILE = 2.2, 0.42
#: Inches of a tile with a number that can be read, and of all tiles of a panel at the least.
WRITTEN, SMALLEST = 0.19, 0.9
NONE = (0.93, 0.93, 0.93)


@checked
def plot_corr(
    df: pd.DataFrame,
    variables: Sequence[Any] | Any | None = None,
    cluster: Any = None,
    part: Literal["total", "within", "between", "all"] | None = None,
    *,
    counts: bool = False,
    ax: Places | None = None,
    figsize: FigureSize | None = None,
) -> "Figure":
    """Correlations of every two variables, each from the rows in which both are observed.

    Numbers, two-valued variables (second value against the first) and ordered categories (by
    position) have Pearson correlations. Variables with unordered categories are marked by an
    asterisk and have a measure without sign: the correlation ratio η with a number, Cramér's V
    with each other. Constants, dates and labels with over 30 categories are left out, and the
    caption says so.

    With clusters a correlation is made of two: that of the deviations from the cluster means
    (within), and that of the cluster means, counted with their numbers of rows (between). The two
    may differ in sign, and an imputation model without clusters sees only the total.

    Parameters
    ----------
    df
        Any frame; it is not changed.
    variables
        Which columns, in this order; by default all but the cluster variable.
    cluster
        Column of cluster ids.
    part
        ``"total"``, ``"within"``, ``"between"``, or ``"all"``: the three side by side (one under
        the other in a narrow figure). By default all with clusters, and the total without.
    counts
        Whether the number of rows of each pair is written under its correlation (default False).
    ax
        Where to draw, for ``"all"`` three axes in any array shape; by default a new figure.
    figsize
        Inches; by default what the number of variables needs.

    Returns
    -------
    matplotlib.figure.Figure
        Grey tiles: a variable that does not vary in that part, or too few rows or clusters.

    Raises
    ------
    DataError
        If there is nothing to draw, or a number is infinite.
    SpecificationError
        If a column or a part does not exist, a part needs clusters, fewer than two variables are
        left, the number of axes does not fit, or `figsize` is too small to read anything.

    References
    ----------
    See `bayesimpute.plots.association.associations` for the formula.

    Examples
    --------
    >>> import bayesimpute as bi
    >>> study = bi.simulate.simulate_popularity(seed=1, schools=20, pupils=200)
    >>> figure = bi.plot_corr(study.incomplete, cluster="school")
    >>> [panel.get_title(loc="left") for panel in figure.axes]
    ['total', 'within school', 'between school']
    """
    frame = named_frame(df, "plot_corr")
    parts = _parts(part, cluster)
    clusters, n_clusters = None, 0
    if cluster is not None:
        clusters, labels = clusters_of(frame, cluster, "plot_corr")
        n_clusters = len(labels)
    chosen = chosen_columns(frame, variables, cluster, "plot_corr")
    columns, left_out = association_columns(frame, chosen)
    if len(columns) < 2:
        why = "; ".join(f"{name!r}: {reason}" for name, reason in left_out.items())
        raise SpecificationError(
            "plot_corr needs two variables that vary."
            + (f" Left out were {why}." if why else f" There is only {chosen[0]!r}.")
        )
    names = [f"{c.name}*" if c.nominal else c.name for c in columns]
    notes = _notes([c.nominal for c in columns], left_out)
    texts = {one: f"{n_clusters} clusters." if one == "between" else "" for one in parts}
    texts[parts[0]] = " ".join([*notes, texts[parts[0]]]).strip()
    figure, panels = _panels(len(parts), names, max(map(len, texts.values())), ax, figsize)
    # Beside one another all have their names the same way; two letters fit every tile.
    upright = len(parts) > 1 and max(map(len, names)) > 2
    maps = []
    for panel, one in zip(panels, parts, strict=True):
        values, rows = associations(columns, one, clusters)
        maps.append(_map(panel, values, rows if counts else None, names, upright))
        if one != "total":
            panel.set_title(
                style.literal(f"{one} {tiles.shortened(str(cluster))}"), fontsize=10, loc="left"
            )
        elif cluster is not None:
            panel.set_title(style.literal(one), fontsize=10, loc="left")
    for one, drawn in zip(parts, maps, strict=True):
        drawn.finish(texts[one])
    figure.draw_without_rendering()
    size = min(drawn.font() for drawn in maps)
    if not size:
        note = " No room for numbers of rows." if counts else ""
        maps[0].finish(f"{texts[parts[0]]}{note}", _scale())
    for drawn in maps if size else ():
        drawn.write(size)
    return figure


def _parts(part: str | None, cluster: Any) -> tuple[Part, ...]:
    if part is None:
        return PARTS if cluster is not None else ("total",)
    if part not in (*PARTS, "all"):
        raise SpecificationError(
            f"plot_corr: part={part!r} must be 'total', 'within', 'between' or 'all'."
        )
    if part != "total" and cluster is None:
        raise SpecificationError(f"plot_corr: part={part!r} needs cluster=, a column of ids.")
    return PARTS if part == "all" else (cast("Part", part),)


def _panels(
    n: int, names: list[str], caption: int, ax: Any, figsize: tuple[float, float] | None
) -> "tuple[Figure, list[Axes]]":
    if ax is not None:
        panels = list(np.ravel(np.asarray(ax, dtype=object)))
        if len(panels) != n:
            raise SpecificationError(
                f"plot_corr(ax=…) draws {n} panel(s) and needs {n} axes, not {len(panels)}."
            )
        return cast("Figure", panels[0].get_figure(root=True)), panels
    side = 0.5 + tiles.names_room(names) + TILE * max(len(names), 4)
    wide, high = figsize or (min(side * n, 13), (min(side * n, 13) / n) + 0.5)
    beside = wide / n >= NARROWEST
    if figsize is not None:
        _check_size(figsize, n, 1 if beside else n, names, caption)
    figure, grid = style.subplots(*((1, n) if beside else (n, 1)), figsize=(wide, high))
    return figure, list(grid.ravel())


def _check_size(
    figsize: tuple[float, float], n: int, down: int, names: list[str], caption: int
) -> None:
    """Raise if names, titles and a caption of so many characters leave no room for the tiles."""
    least = min(WRITTEN * len(names), SMALLEST)
    font = float(np.clip(72 * least / len(names) * 0.85, tiles.LEAST_FONT, 8))
    name = (tiles.names_room(names) - 0.1) * font / 8 + 0.1
    text = 0.05 + 0.135 * -(-caption // 22)  # of the narrowest caption, in lines of 24 characters
    wide = (least + name) * n / down
    high = (least + name + (0.25 if n > 1 else 0)) * down + text
    for needs, has, what in ((wide, figsize[0], "width"), (high, figsize[1], "height")):
        if has < needs - 1e-9:
            parts = f"{n} parts of {len(names)}" if n > 1 else f"{len(names)}"
            raise SpecificationError(
                f"plot_corr(figsize=({figsize[0]:g}, {figsize[1]:g})): {parts} variables would be "
                f"too small to read; it needs at least {np.ceil(10 * needs) / 10:.1f} inches of "
                f"{what}, or {'one part=, or ' if n > 1 else ''}fewer variables=."
            )


@dataclass(frozen=True, eq=False)
class _Map:
    """Tiles of one part on their axes, and what is written on and around them."""

    ax: "Axes"
    colours: np.ndarray
    values: np.ndarray
    rows: np.ndarray | None
    names: list[str]
    above: tiles.Columns

    def finish(self, text: str, scale: Sequence[tuple[str, Any]] = ()) -> None:
        left = [tiles.shortened(name) for name in self.names]
        tiles.finish(self.ax, text, scale, left, columns=[self.above])

    def font(self) -> float:
        """Points that the numbers have room for; 0 if none can be read."""
        values: list[float] = self.values.ravel().tolist()
        widest = max(tiles.ems(_number(value)) for value in values)
        return tiles.font_inside(self.ax, widest)

    def write(self, size: float) -> None:
        """Write correlations, and numbers of rows where these have room."""
        small, rows = max(tiles.LEAST_FONT, 0.7 * size), self.rows
        points = 72 * tiles.tile_inches(self.ax)[1]
        crowded = 0.58 * (size + small) > 0.4 * points
        if rows is not None and (crowded or tiles.ems(str(rows.max())) * small > 0.92 * points):
            rows = None
            note = f"{self.ax.get_xlabel()}\nNo room for numbers of rows."
            self.ax.set_xlabel(note.strip(), fontsize=8, color=style.GREY, loc="left")
        for i, j in np.ndindex(*self.values.shape):
            if i == j:
                continue
            dark = style.luminance(self.colours[i, j]) < 0.45
            self.ax.text(
                j + 0.5, i - (0.14 if rows is not None else 0), _number(float(self.values[i, j])),
                ha="center", va="center", fontsize=size, color="white" if dark else "black",
            )  # fmt: skip
            if rows is not None:
                self.ax.text(
                    j + 0.5, i + 0.26, f"{rows[i, j]}", ha="center", va="center",
                    fontsize=small, color="white" if dark else style.GREY,
                )  # fmt: skip


def _map(
    ax: "Axes", values: np.ndarray, rows: np.ndarray | None, names: list[str], upright: bool
) -> _Map:
    import matplotlib as mpl

    n = len(names)
    ax.set_xlim(0, n)
    ax.set_ylim(n - 0.5, -0.5)
    ax.set_aspect("equal")
    colours = mpl.colormaps[style.DIVERGING]((values + 1) / 2)[:, :, :3]
    colours[np.isnan(values)] = NONE
    colours[np.diag_indices(n)] = 1.0
    tiles.tile_colours(ax, colours)
    tiles.bare(ax)
    above = tiles.names_above(ax, np.arange(n) + 0.5, names, upright=upright)
    ax.set_xticks([])
    return _Map(ax, colours, values, rows, names, above)


def _scale() -> list[tuple[str, Any]]:
    """Key of the colours, for tiles that are too small for numbers."""
    import matplotlib as mpl

    ends = {"−1": 0.0, "−.5": 0.25, "0": 0.5, ".5": 0.75, "1": 1.0}
    return [(text, mpl.colormaps[style.DIVERGING](at)) for text, at in ends.items()]


def _number(value: float) -> str:
    """Two decimals without the leading zero, which is the same in every tile."""
    if np.isnan(value):
        return "–"
    text = f"{abs(value):.2f}"
    shown = text.removeprefix("0") if text != "1.00" else "1"
    return f"−{shown}" if value < 0 and float(text) > 0 else shown


def _notes(nominal: Sequence[bool], left_out: Mapping[str, str]) -> list[str]:
    notes = []
    if any(nominal):
        two = ", Cramér's V with each other" if sum(nominal) > 1 else ""
        notes.append(f"* unordered categories: correlation ratio η with numbers{two}, no sign.")
    if left_out:
        shown = [f"{tiles.shortened(name)} ({why})" for name, why in left_out.items()]
        more = f" and {len(shown) - 6} more" if len(shown) > 6 else ""
        notes.append(f"Left out: {', '.join(shown[:6])}{more}.")
    return notes
