"""Distributions of observed and imputed values: densities and shares, strips, boxes.

They may differ under MAR, but the difference should be explicable.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bayesimpute.arguments import FigureSize, Places, checked
from bayesimpute.plots import panels, style
from bayesimpute.plots.frames import Shown, shown
from bayesimpute.result.run import Run

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


#: Fewer values, or values that are all equal, have no density; they are drawn as strokes.
FEWEST = 3


def support(parts: Iterable[np.ndarray], options: Mapping[str, Any] | None = None) -> np.ndarray:
    """Give the ends (lower, upper) of what values can be, infinite where there is none.

    Bounds of a model that all values keep to are ends. Values none of which is negative end at 0,
    and those within 0 and 1, which are shares, at 1 too.

    Parameters
    ----------
    parts
        All values that are drawn.
    options
        Of the variable's model: its ``lower`` and ``upper`` bounds.

    Examples
    --------
    >>> support([np.array([0.2, 0.9])]).tolist(), support([np.array([3.0, 80.0])]).tolist()
    ([0.0, 1.0], [0.0, inf])
    """
    sizes = [part for part in map(np.asarray, parts) if part.size]
    low = min((float(part.min()) for part in sizes), default=-1.0)
    high = max((float(part.max()) for part in sizes), default=2.0)
    given = options or {}
    lower, upper = given.get("lower"), given.get("upper")
    ends = [0.0 if low >= 0 else -np.inf, 1.0 if low >= 0 and high <= 1 else np.inf]
    if lower is not None and lower <= low:
        ends[0] = float(lower)
    if upper is not None and upper >= high:
        ends[1] = float(upper)
    return np.array(ends)


def grid_within(parts: Iterable[np.ndarray], ends: np.ndarray, points: int = 300) -> np.ndarray:
    """Points a little beyond all values, none of them beyond the ends of the support."""
    values = [np.asarray(part) for part in parts if len(part)]
    low, high = min(part.min() for part in values), max(part.max() for part in values)
    reach = 0.08 * (high - low)
    return np.linspace(max(low - reach, ends[0]), min(high + reach, ends[1]), points)


def kernel_density(values: np.ndarray, grid: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Gaussian kernel density of ArviZ at the points of a grid, with Scott's bandwidth.

    What would lie beyond the ends of the support is reflected there, so that the area within is 1.
    ArviZ counts values in 1024 bins: the cost hardly depends on their number. Bins lie where there
    is density, not up to an end far away, of which values such as years would fill but a few.

    Parameters
    ----------
    values
        Three or more, which `vary`.
    grid
        Where the density is wanted.
    ends
        Of the support.
    """
    from arviz_stats.base.array import array_stats

    bandwidth = float(np.std(values, ddof=1)) * len(values) ** -0.2
    low = max(float(ends[0]), float(values.min()) - 5 * bandwidth)
    high = min(float(ends[1]), float(values.max()) + 5 * bandwidth)
    at, height, _ = array_stats.kde(
        values, bw=bandwidth, custom_lims=[low, high], bound_correction=True, grid_len=1024
    )
    return np.where((grid < ends[0]) | (grid > ends[1]), 0.0, np.interp(grid, at, height))


def vary(values: np.ndarray) -> bool:
    """Whether values differ by more than rounding, which has no density."""
    return bool(np.ptp(values) > 1e-12 * np.abs(values).max())


def curve(
    ax: "Axes", values: np.ndarray, grid: np.ndarray, ends: np.ndarray, **drawn: Any
) -> np.ndarray | None:
    """Draw a density and give it; a rug where there are too few values for one, or all equal."""
    if len(values) < FEWEST or not vary(values):
        ax.plot(values, np.zeros(len(values)), "|", markersize=14, clip_on=False, **drawn)
        return None
    density = kernel_density(values, grid, ends)
    ax.plot(grid, density, **drawn)
    return density


def bars(
    ax: "Axes", first: np.ndarray, second: np.ndarray, colours: Sequence[Any], inside: float = 0.0
) -> np.ndarray:
    """Draw bars of two groups side by side, mean shares over the rows of each.

    Parameters
    ----------
    ax
        Where.
    first, second
        Shares (repetition, category).
    colours
        Of both.
    inside
        Share of the second group's repetitions that a black line holds, e.g. 0.9; none by default.

    Returns
    -------
    numpy.ndarray
        Middles of the second group's bars.
    """
    at, width = np.arange(first.shape[1]), 0.38
    for side, shares, colour in zip((-0.5, 0.5), (first, second), colours, strict=True):
        ax.bar(at + side * width, shares.mean(axis=0), width, color=colour)
    if inside:
        low, high = np.quantile(second, [(1 - inside) / 2, (1 + inside) / 2], axis=0)
        ax.vlines(at + width / 2, low, high, color="black", linewidth=1.4)
    return np.asarray(at + width / 2)


@checked
def plot_density(
    run: Run,
    variable: str,
    *,
    by: str | None = None,
    groups: Any = None,
    ax: Places | None = None,
    figsize: FigureSize | None = None,
) -> "Figure":
    """Distribution of the observed and of the imputed values of one variable.

    Observed values in blue, each imputation's values in vermillion.

    Numbers are drawn as kernel densities (Scott's bandwidth; reflected at the bounds of a bounded
    model, at 0 and 1 for shares, at 0 for numbers none of which is negative), categories and
    numbers with at most 12 distinct values as bars of shares: the bar is the mean over
    imputations, a dot one imputation.

    Parameters
    ----------
    run
        The result of ``bi.impute``.
    variable
        An imputed variable. One of level 2 counts every cluster once in a panel.
    by
        Column with clusters or categories: a panel for each that has imputed cells, on the same
        horizontal axis. ``".imp"``: a panel for each imputation, beside the observed values. By
        default one panel with all cells.
    groups
        Values of `by` to show; by default all, or the 30 with most imputed cells (the first 30
        imputations).
    ax
        Where to draw, as many axes as panels; by default a new figure.
    figsize
        Inches; (6, 3.6) by default, with `by` what the panels need.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    SpecificationError
        If the variable was not imputed, `by` or `groups` do not fit, or the number of axes.
    """
    cells = shown(run, variable, by, groups)
    drawn = panels.panels(
        len(cells.parts), ax, figsize, picture="plot_density", instead="fewer groups=",
        sharex=True, sharey=bool(cells.levels),
    )  # fmt: skip
    values = [part["value"].to_numpy() for part in cells.parts]
    ends = support(values, cells.options)
    grid = grid_within(values, ends)
    for panel, part in zip(drawn.axes, cells.parts, strict=True):
        if cells.levels:
            _shares(panel, part, cells)
        else:
            _curves(panel, part, cells.m, grid, ends)
        if not (part[".imp"] == 0).any():
            _nothing_observed(panel)
    highest = max(panel.dataLim.y1 for panel in drawn.axes)
    for panel in drawn.axes:
        # Limits come last: set on one of several shared axes they would stay those of its bars.
        panel.set_ylim(0, 1.05 * highest if cells.levels else None)
    marker = "s" if cells.levels else ""
    entries = [
        (label, panels.key(colour, marker, linewidth=width))
        for label, colour, width in zip(
            cells.labels, style.PALETTE.values(), (2.4, 1.2), strict=True
        )
    ]
    panels.finish(
        drawn, variable, entries, names=cells.names, by=cells.by, remarks=[cells.remark],
        x=cells.counted, y="share" if cells.levels else "density",
    )  # fmt: skip
    return drawn.figure


def _curves(ax: "Axes", part: pd.DataFrame, m: int, grid: np.ndarray, ends: np.ndarray) -> None:
    looks: dict[bool, Any] = {
        True: {"color": style.IMPUTED, "linewidth": 0.9 if m <= 30 else 0.5, "alpha": 0.6},
        False: {"color": style.OBSERVED, "linewidth": 2.4, "zorder": 3},
    }
    for number, values in part.groupby(".imp")["value"]:
        curve(ax, values.to_numpy(), grid, ends, **looks[bool(number)])
    ax.set_yticks([])


def _shares(ax: "Axes", part: pd.DataFrame, cells: Shown) -> None:
    share = cells.shares(part)
    seen, each = share[:1], share[1:]
    middle = bars(ax, seen, each, list(style.PALETTE.values()))
    aside = np.linspace(-0.12, 0.12, cells.m) if cells.m > 1 else np.zeros(1)
    at = middle + aside[:, None]
    ax.plot(at.ravel(), each.ravel(), ".", color="black", markersize=2.5, alpha=0.6)
    panels.name_categories(ax, cells.levels)


def _nothing_observed(ax: "Axes") -> None:
    ax.text(
        0.98, 0.98, "no observed values", transform=ax.transAxes, ha="right", va="top",
        fontsize=7, color=style.GREY, style="italic",
        bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.7, "pad": 0.5},
    )  # fmt: skip


MOST_POINTS = 60_000  # of a figure: more take long to draw and show no more
MOST_IN_A_STRIP = 1000
FEWEST_IN_A_STRIP = 50
VECTOR = 5000  # more points become an image inside a PDF or SVG


@checked
def plot_strip(
    run: Run,
    variable: str,
    *,
    by: str | None = None,
    groups: Any = None,
    ax: Places | None = None,
    figsize: FigureSize | None = None,
) -> "Figure":
    """Values of one variable, observed and of every imputation beside each other.

    Observed values at 0, those of imputations 1 … m beside them.

    A dot is a value, moved sideways at random (the same way at every call); a short black line is
    the median. Of more than 1,000 values in a strip (fewer where there are many strips) as many
    are drawn, order statistics at equal steps, which keep distribution and extremes. Categories,
    and numbers with at most 12 distinct values, are drawn as bars across the strip, as wide as
    their share.

    Parameters
    ----------
    run
        The result of ``bi.impute``.
    variable
        An imputed variable. One of level 2 counts every cluster once in a panel.
    by
        Column with clusters or categories: a panel for each that has imputed cells, or ``".imp"``:
        one for each imputation. By default one panel with all cells.
    groups
        Values of `by` to show; by default all, or the 30 with most imputed cells.
    ax
        Where to draw, as many axes as panels; by default a new figure.
    figsize
        Inches; by default what m and the panels need.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    SpecificationError
        If the variable was not imputed, `by` or `groups` do not fit, or the number of axes.
    """
    cells = shown(run, variable, by, groups)
    drawn = beside(cells, ax, figsize, "plot_strip")
    said = strips(drawn, cells)
    finish_strips(drawn, cells, variable, said, cells.counted)
    return drawn.figure


def beside(
    cells: Shown, ax: Any, figsize: tuple[float, float] | None, picture: str
) -> panels.Panels:
    """Give panels for columns of imputations beside each other."""
    return panels.panels(
        len(cells.parts), ax, figsize, picture=picture, instead="fewer groups=",
        single=(min(max(6.0, 0.22 * cells.m), 10.0), 3.6), most=4 if cells.m > 10 else 6,
        sharex=True, sharey=True,
    )  # fmt: skip


def strips(drawn: panels.Panels, cells: Shown) -> str:
    """Draw all panels, and say what a reader has to know about them."""
    if cells.levels:
        shares = [cells.shares(part) for part in cells.parts]
        widest = max(float(share.max()) for share in shares)
        for panel, share in zip(drawn.axes, shares, strict=True):
            for k, each in enumerate(share):
                width = 0.86 * each / widest
                panel.barh(range(len(each)), width, 0.8, k - width / 2, color=colour(k))
            panels.name_categories(panel, cells.levels, "y")
        return f"width of a bar: share of the value, at most {100 * widest:.0f} %"
    room = MOST_POINTS // (len(cells.parts) * (cells.m + 1))
    most = int(np.clip(room, FEWEST_IN_A_STRIP, MOST_IN_A_STRIP))
    largest = 0
    for panel, part in zip(drawn.axes, cells.parts, strict=True):
        _dots(panel, part, most)
        largest = max(largest, int(part[".imp"].value_counts().max()))
    return f"at most {most:,} values of a strip are drawn" if largest > most else ""


def finish_strips(
    drawn: panels.Panels, cells: Shown, variable: str, said: str, y: str = ""
) -> None:
    """Axes of imputations, titles and legend, which strips and boxes share."""
    few = 10 if drawn.single else 4
    step = next(s for s in (1, 2, 5, 10, 20, 50, 100, 10**6) if cells.m / s <= few)
    numbers = range(step, cells.m + 1, step)
    single = cells.m == 1  # that of the panel, whatever its number
    for panel in drawn.axes:
        words = ["imp."] if single else list(map(str, numbers))
        panel.set_xticks([0, *numbers], ["obs.", *words])
        panel.set_xlim(-0.6, cells.m + 0.6)
    keys = [panels.key(colour, "s", markersize=6) for colour in style.PALETTE.values()]
    panels.finish(
        drawn, variable, list(zip(cells.labels, keys, strict=True)), names=cells.names,
        by=cells.by, x="" if single else "imputation", y=y, remarks=[cells.remark, said],
    )  # fmt: skip


def colour(imputation: int) -> str:
    """Give the colour of imputation 0 (observed) … m."""
    return style.IMPUTED if imputation else style.OBSERVED


def thinned(values: np.ndarray, most: int) -> np.ndarray:
    """Give at most so many values that keep the distribution: order statistics at equal steps.

    Examples
    --------
    >>> import numpy as np
    >>> thinned(np.arange(9.0), 3).tolist()
    [0.0, 4.0, 8.0]
    """
    if len(values) <= most:
        return values
    steps = np.linspace(0, len(values) - 1, most).round().astype(np.int64)
    return np.asarray(np.sort(values)[steps])


def _dots(ax: "Axes", part: pd.DataFrame, most: int) -> None:
    columns = {int(str(k)): values.to_numpy() for k, values in part.groupby(".imp")["value"]}
    few = {k: thinned(values, most) for k, values in columns.items()}
    crowd = min(1.0, 8 / np.sqrt(sum(map(len, few.values())) / len(few)))
    wide = 72 * style.extent(ax)[0] / (max(few) + 1)
    size = min(1.5 + 3 * crowd, max(0.12 * wide, 0.7))
    rng = np.random.default_rng(0)  # a picture can be made again
    for k, y in few.items():
        ax.plot(
            k + rng.uniform(-0.32, 0.32, len(y)), y, "o", color=colour(k), markersize=size,
            markeredgewidth=0, alpha=0.25 + 0.6 * crowd, rasterized=len(y) * len(few) > VECTOR,
        )  # fmt: skip
    at = np.array(list(columns))
    medians = [np.median(values) for values in columns.values()]
    ax.hlines(medians, at - 0.4, at + 0.4, colors="black", linewidth=1.2)


FEWEST_IN_A_BOX = 5  # values of a box; fewer are drawn as they are
MOST_STACKED = 6  # categories of a stacked bar; more tones cannot be told apart


@checked
def plot_box(
    run: Run,
    variable: str,
    *,
    by: str | None = None,
    groups: Any = None,
    ax: Places | None = None,
    figsize: FigureSize | None = None,
) -> "Figure":
    """Box plots of one variable, observed and of every imputation; shares of categories.

    Box of the observed values at 0, boxes of imputations 1 … m beside it.

    A box holds the middle half with the median as a black line, whiskers reach to the last value
    within 1.5 times its height (Tukey), dots are the values beyond. Fewer than 5 values are drawn
    as dots. Categories become stacked bars of shares, the first category at the bottom and
    darkest; more than 6 of them are drawn as `plot_strip` does.

    Parameters
    ----------
    run
        The result of ``bi.impute``.
    variable
        An imputed variable. One of level 2 counts every cluster once in a panel.
    by
        Column with clusters or categories: a panel for each that has imputed cells, or ``".imp"``:
        one for each imputation. By default one panel with all cells.
    groups
        Values of `by` to show; by default all, or the 30 with most imputed cells.
    ax
        Where to draw, as many axes as panels; by default a new figure.
    figsize
        Inches; by default what m and the panels need.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    SpecificationError
        If the variable was not imputed, `by` or `groups` do not fit, or the number of axes.
    """
    cells = shown(run, variable, by, groups)
    drawn = beside(cells, ax, figsize, "plot_box")
    stacked = 0 < len(cells.levels) <= MOST_STACKED
    said = strips(drawn, cells) if len(cells.levels) > MOST_STACKED else ""
    for panel, part in zip(drawn.axes, cells.parts, strict=True):
        if stacked:
            _stack(panel, cells.shares(part))
        elif not cells.levels:
            _boxes(panel, part)
    finish_strips(drawn, cells, variable, said, "share" if stacked else cells.counted)
    if stacked:
        _name_levels(drawn, cells)
    return drawn.figure


def _boxes(ax: "Axes", part: pd.DataFrame) -> None:
    for number, column in part.groupby(".imp")["value"]:
        at, values = int(str(number)), column.to_numpy()
        tone = colour(at)
        dot: Any = {"marker": "o", "markeredgewidth": 0, "markerfacecolor": tone}
        if len(values) < FEWEST_IN_A_BOX:
            ax.plot(np.full(len(values), at), values, linestyle="none", markersize=4, **dot)
            continue
        line = {"color": tone, "linewidth": 1.1}
        ax.boxplot(
            values, positions=[at], widths=0.62, patch_artist=True, manage_ticks=False,
            boxprops={"facecolor": tone, "edgecolor": tone, "alpha": 0.75}, whiskerprops=line,
            medianprops={"color": "black", "linewidth": 1.4}, capprops=line,
            flierprops={**dot, "markersize": 2.5, "alpha": 0.6},
        )  # fmt: skip


def _stack(ax: "Axes", shares: np.ndarray) -> None:
    for k, share in enumerate(shares):
        ax.bar(
            np.full(len(share), k), share, 0.82, bottom=np.cumsum(share) - share,
            color=style.tones(colour(k), -0.35, 0.7, len(share)), edgecolor="white", linewidth=0.6,
        )  # fmt: skip
    ax.set_ylim(0, 1)


def _name_levels(drawn: panels.Panels, cells: Shown) -> None:
    """Name the tones of the categories beside the panels, in the order of the bars."""
    tones = style.tones(style.IMPUTED, -0.35, 0.7, len(cells.levels))
    keys = [panels.key(tone, "s", markersize=7) for tone in tones[::-1]]
    names = [style.literal(name) for name in style.cut_apart(cells.levels[::-1], 14)]
    looks: Any = {"fontsize": 8, "frameon": False, "labelcolor": style.GREY, "handletextpad": 0.3}
    if drawn.own:
        drawn.figure.legend(keys, names, loc="outside right center", borderpad=0, **looks)
    else:
        last = drawn.axes[-1]
        first = last.get_legend()
        last.legend(keys, names, loc="center left", bbox_to_anchor=(1, 0.5), **looks)
        if first is not None:
            last.add_artist(first)  # an axes has one legend of its own
