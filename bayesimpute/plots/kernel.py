"""Kernel densities that end where no value can be."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np


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


def grid_within(low: float, high: float, ends: np.ndarray, points: int = 300) -> np.ndarray:
    """Points from `low` to `high`, none of them beyond the ends of the support."""
    return np.linspace(max(low, ends[0]), min(high, ends[1]), points)


def kernel_density(
    values: np.ndarray, grid: np.ndarray, ends: np.ndarray | tuple[float, float] | None = None
) -> np.ndarray:
    """Gaussian kernel density at the points of a grid, with Scott's bandwidth, SD · n^(−1/5).

    Where that is fewer, values are counted in bins of a twelfth of the bandwidth first; the error
    is a thousandth of the density's height, and the cost does not depend on the number of values.

    Parameters
    ----------
    values
        Three or more, not all equal.
    grid
        Where the density is wanted.
    ends
        Of the support: what would lie beyond is reflected there, so that the area within is 1.
    """
    bandwidth = float(np.std(values, ddof=1)) * len(values) ** -0.2
    bins = int(np.ceil(12 * float(np.ptp(values)) / bandwidth))
    centres, weights = values, np.full(len(values), 1 / len(values))
    if bins < len(values):
        counts, edges = np.histogram(values, bins=bins)
        centres = ((edges[1:] + edges[:-1]) / 2)[counts > 0]
        weights = counts[counts > 0] / len(values)

    def at(points: np.ndarray) -> np.ndarray:
        away = (points[:, None] - centres) / bandwidth
        found: np.ndarray = np.exp(-0.5 * away**2) @ weights / (bandwidth * np.sqrt(2 * np.pi))
        return found

    density = at(grid)
    lower, upper = (-np.inf, np.inf) if ends is None else ends
    for end in (lower, upper):
        if np.isfinite(end):
            density = density + at(2 * end - grid)
    return np.where((grid < lower) | (grid > upper), 0.0, density)
