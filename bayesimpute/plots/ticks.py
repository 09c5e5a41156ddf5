"""Ticks of axes that carry categories or the numbers of imputations."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from bayesimpute.plots import style
from bayesimpute.plots.cells import Cells
from bayesimpute.plots.panels import shortened

if TYPE_CHECKING:
    from matplotlib.axes import Axes

EVERY_NUMBER = 10  # up to so many imputations each has its tick


def name_below(
    ax: "Axes", names: Sequence[str], most: int = 18, room: int = 60, first: int = 0
) -> None:
    """Name the positions first, first + 1, … of the x axis; slanted where that needs more room."""
    texts = [shortened(name, most) for name in names]
    slanted = sum(map(len, texts)) > room
    ax.set_xticks(
        range(first, first + len(texts)),
        [style.literal(text) for text in texts],
        rotation=35 if slanted else 0,
        ha="right" if slanted else "center",
        rotation_mode="anchor" if slanted else "default",
    )


def name_beside(ax: "Axes", at: Iterable[float], names: Sequence[str], most: int = 18) -> None:
    """Name positions of the vertical axis."""
    ax.set_yticks(list(at), [style.literal(shortened(name, most)) for name in names])


def number_imputations(ax: "Axes", m: int, narrow: bool = False) -> None:
    """Tick the observed values at 0 as "obs.", and imputations where there is room."""
    many = m > (4 if narrow else EVERY_NUMBER)
    step = next(s for s in (1, 2, 5, 10, 20, 50, 100, 10**6) if m / s <= (5 if narrow else 10))
    numbers = list(range(step, m + 1, step)) if many else list(range(1, m + 1))
    middle, width = place(0, m)
    ax.set_xticks([middle, *numbers], ["obs.", *map(str, numbers)])
    ax.set_xlim(middle - width / 2 - 0.1, m + 0.6)


def place(imputation: int, m: int) -> tuple[float, float]:
    """Middle and width of the column of imputation 0 (observed) … m.

    An imputation has one unit around its number. Beside many of them the observed values, which
    all are compared with, have more.
    """
    if imputation:
        return float(imputation), 1.0
    width = max(1.0, m / 12)
    return 0.5 - width / 2, width


def jitter(n: int, width: float, seed: int = 0) -> np.ndarray:
    """Give n numbers from −width to width, the same at every call: a picture can be made again."""
    return np.random.default_rng(seed).uniform(-width, width, n)


def positions(cells: Cells, distinct: np.ndarray) -> np.ndarray:
    """Give the heights of distinct values: 0, 1, … for categories, numbers at their own."""
    return np.arange(len(distinct)) if cells.categories else distinct


def name_values(axes: "Sequence[Axes]", cells: Cells, distinct: np.ndarray) -> None:
    """Name categories on the vertical axis; numbers stay numbers, whole ones whole."""
    from matplotlib.ticker import MaxNLocator

    whole = bool(np.all(distinct == np.round(distinct)))
    for ax in axes:
        if cells.categories:
            name_beside(ax, positions(cells, distinct), [cells.name(v) for v in distinct])
        else:
            ax.yaxis.set_major_locator(MaxNLocator(nbins=8, integer=whole))


def apart(middles: np.ndarray, gap: float) -> np.ndarray:
    """Move ascending positions on [0, 1] apart, so that neighbours differ by at least `gap`.

    Examples
    --------
    >>> import numpy as np
    >>> apart(np.array([0.5, 0.51, 0.52]), 0.1).round(2).tolist()
    [0.41, 0.51, 0.61]
    """
    n = len(middles)
    gap = min(gap, 1 / max(n, 1))
    moved = np.sort(middles).astype(np.float64)
    for _ in range(20 * n):
        overlap = gap - np.diff(moved)
        if not (overlap > 1e-9).any():
            break
        at = int(np.argmax(overlap))
        moved[at] -= overlap[at] / 2
        moved[at + 1] += overlap[at] / 2
    return moved
