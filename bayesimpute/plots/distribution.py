"""Distributions of several groups over each other: kernel densities, or bars of shares."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes

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
    ArviZ counts values in bins: the cost hardly depends on their number.

    Parameters
    ----------
    values
        Three or more, not all equal.
    grid
        Where the density is wanted.
    ends
        Of the support.
    """
    from arviz_stats.base.array import array_stats

    bandwidth = float(np.std(values, ddof=1)) * len(values) ** -0.2
    tails = (float(values.min()) - 5 * bandwidth, float(values.max()) + 5 * bandwidth)
    limits = [float(e) if np.isfinite(e) else t for e, t in zip(ends, tails, strict=True)]
    at, height, _ = array_stats.kde(
        values, bw=bandwidth, custom_lims=limits, bound_correction=True, grid_len=1024
    )
    return np.where((grid < ends[0]) | (grid > ends[1]), 0.0, np.interp(grid, at, height))


def curve(
    ax: "Axes", values: np.ndarray, grid: np.ndarray, ends: np.ndarray, **drawn: Any
) -> np.ndarray | None:
    """Draw a density and give it; a rug where there are too few values for one, or all equal."""
    if len(values) < FEWEST or np.ptp(values) == 0:
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
