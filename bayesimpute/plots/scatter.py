"""Two variables against each other in the two colours: dots, or bars where both are categories."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from bayesimpute.data.encoding import Kind, Variable
from bayesimpute.errors import SpecificationError
from bayesimpute.plots import style, ticks
from bayesimpute.plots.panels import shortened

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis

SPREAD = 0.16  # of dots around the place of a category
MOST_SPREAD = 40  # numbers with more distinct values stay where they are
TURNS = 8
VECTOR = 5000  # more dots become an image inside a PDF or SVG


@dataclass(frozen=True, eq=False)
class Scale:
    """One axis: what it is called, its categories, and how dots that coincide are spread.

    Attributes
    ----------
    name
        Of the variable.
    categories
        Labels at 0, 1, …; ``()`` for numbers.
    spread
        Numbers with few distinct values are moved at random by at most this.
    log
        Whether the axis is logarithmic.
    """

    name: str
    categories: tuple[str, ...] = ()
    spread: float = 0.0
    log: bool = False


def scale_of(variable: Variable, values: np.ndarray, log: bool) -> Scale:
    """Scale of one variable.

    Parameters
    ----------
    variable
        Its name and categories.
    values
        All that will be drawn, NaN where missing.
    log
        Whether a logarithmic axis is asked for.

    Raises
    ------
    SpecificationError
        If the variable holds dates or other objects, or cannot be on a logarithmic axis.
    """
    name = variable.name
    if variable.kind is Kind.OTHER:
        raise SpecificationError(
            f"plot_xy draws numbers and categories; {name!r} has dtype {variable.dtype}."
        )
    if variable.categories:
        if log:
            raise SpecificationError(f"log=: {name!r} has categories, which have no logarithm.")
        return Scale(name, tuple(str(label) for label in variable.categories))
    distinct = np.unique(values[~np.isnan(values)])
    if log and distinct.size and distinct[0] <= 0:
        raise SpecificationError(
            f"log=: {name!r} has values down to {distinct[0]:g}; only positive numbers have a "
            "place on a logarithmic axis."
        )
    tied = 1 < len(distinct) <= min(MOST_SPREAD, len(values) / 4) and not log
    return Scale(name, (), 0.16 * float(np.diff(distinct).min()) if tied else 0.0, log)


def check_log(log: str) -> tuple[bool, bool]:
    """Give which axes are logarithmic: ``""``, ``"x"``, ``"y"`` or ``"xy"``.

    Raises
    ------
    SpecificationError
        For anything else.
    """
    if log not in ("", "x", "y", "xy"):
        raise SpecificationError(f"log={log!r}: give 'x', 'y' or 'xy', or leave it out.")
    return "x" in log, "y" in log


def spread(scale: Scale, values: np.ndarray, lane: int, seed: int) -> np.ndarray:
    """Give the places of values on their axis, spread at random where many coincide.

    Parameters
    ----------
    scale
        Of the axis.
    values
        Numbers or category codes.
    lane
        −1 or 1: left or right of their place, so that two colours stand side by side; 0: around
        it.
    seed
        Of the random places.
    """
    width = SPREAD if scale.categories else scale.spread
    if width == 0:
        return values
    if lane == 0:
        return values + ticks.jitter(len(values), width, seed)
    return values + lane * 1.15 * width + ticks.jitter(len(values), width, seed)


def dots(ax: "Axes", groups: Sequence[tuple[np.ndarray, np.ndarray, str]], **options: Any) -> None:
    """Draw dots, smaller and more transparent the more there are.

    The groups take turns, a share of each at a time, so that none hides the other.
    """
    total = sum(len(x) for x, _, _ in groups)
    figure = ax.get_figure(root=True)
    inches = ax.bbox.width * ax.bbox.height / (figure.dpi**2 if figure else 1e4)
    crowd = float(np.clip(3.5 * np.sqrt(inches / max(total, 1)), 0.06, 1.0))
    for turn in range(TURNS):
        for x, y, colour in groups:
            if len(x) > turn:
                ax.plot(
                    x[turn::TURNS], y[turn::TURNS], "o", color=colour, markeredgewidth=0,
                    markersize=1.8 + 2.7 * crowd, alpha=0.18 + 0.57 * crowd,
                    rasterized=total > VECTOR, **options,
                )  # fmt: skip


def bars(
    ax: "Axes",
    groups: Sequence[tuple[np.ndarray, np.ndarray, str]],
    shape: tuple[int, int],
    of: Sequence[int],
    written: bool = False,
) -> float:
    """Draw for every pair of categories a bar for each colour: its share of so many rows.

    Parameters
    ----------
    ax
        Where.
    groups
        x and y positions and colour of each.
    shape
        Numbers of positions on x and y.
    of
        Rows that are 100 % of each colour.
    written
        Whether the number of rows stands over each bar.

    Returns
    -------
    float
        The largest share, whose bar fills its cell.
    """
    counts = [_table(x, y, shape) for x, y, _ in groups]
    each = [count / max(total, 1) for count, total in zip(counts, of, strict=True)]
    largest = max(float(share.max()) for share in each) or 1.0
    width = 0.8 / len(groups)
    across, up = np.meshgrid(np.arange(shape[0]), np.arange(shape[1]), indexing="ij")
    for k, (share, (_, _, colour)) in enumerate(zip(each, groups, strict=True)):
        left = across - 0.4 + width * k
        tall = (0.66 if written else 0.84) * share / largest
        ax.bar(
            left.ravel(), tall.ravel(), width, bottom=up.ravel() - 0.42, align="edge",
            color=colour,
        )  # fmt: skip
        if written:
            for at in np.argwhere(counts[k]):
                i, j = int(at[0]), int(at[1])
                ax.text(
                    left[i, j] + width / 2, j - 0.41 + tall[i, j], f"{counts[k][i, j]:,}",
                    ha="center", va="bottom", fontsize=6, color=style.GREY,
                )  # fmt: skip
    for base in range(shape[1]):
        ax.axhline(base - 0.42, color=style.GREY, linewidth=0.4, zorder=0)
    ax.set_xlim(-0.6, shape[0] - 0.4)
    ax.set_ylim(-0.5, shape[1] - 0.45)
    return largest


def dress(ax: "Axes", x: Scale, y: Scale, narrow: bool, first: tuple[int, int] = (0, 0)) -> None:
    """Logarithms and names of categories on both axes; names start at the positions `first`."""
    if x.log:
        ax.set_xscale("log")
        _plain_numbers(ax.xaxis)
    if y.log:
        ax.set_yscale("log")
        _plain_numbers(ax.yaxis)
    if x.categories:
        ticks.name_below(ax, x.categories, 12 if narrow else 18, 18 if narrow else 60, first[0])
    if y.categories:
        up = range(first[1], first[1] + len(y.categories))
        ticks.name_beside(ax, up, [shortened(label, 14) for label in y.categories])


def _plain_numbers(axis: "Axis") -> None:
    """Write 40, not 4 × 10¹; between the powers of ten only where there are few of those."""
    from matplotlib.ticker import FuncFormatter, LogFormatter

    class Few(LogFormatter):
        """LogFormatter knows which minor ticks have room; it would write them as 4e+01."""

        def __call__(self, x: float, pos: int | None = None) -> str:
            return f"{x:g}" if super().__call__(x, pos) else ""

    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(Few(labelOnlyBase=False, minor_thresholds=(1.5, 0.6)))
    axis.set_tick_params(which="both", labelsize=8, colors=style.GREY)


def _table(x: np.ndarray, y: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    pairs = x.astype(np.int64) * shape[1] + y.astype(np.int64)
    counts: np.ndarray = np.bincount(pairs, minlength=shape[0] * shape[1]).reshape(shape)
    return counts
