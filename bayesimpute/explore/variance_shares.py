r"""Shares of variance between clusters, estimated from data.

The model of the estimates is :math:`y_{ij} = μ + b_j + ε_{ij}` with variances τ² and σ²; the share
is the intraclass correlation :math:`τ^2 / (τ^2 + σ^2)`.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy  # whose modules are loaded when first used

from bayesimpute.arrays import Array


@dataclass(frozen=True, eq=False)
class ClusterMoments:
    """All that the two estimates need to know of a column without gaps.

    Attributes
    ----------
    size, mean
        Rows and mean of each cluster, (cluster,).
    within
        Sum of squares around the cluster means.
    """

    size: Array
    mean: Array
    within: float

    @classmethod
    def of(cls, y: Array, cluster: npt.NDArray[np.int64]) -> "ClusterMoments":
        """Moments of values (row,) by cluster (row,); clusters without rows are left out."""
        _, codes = np.unique(cluster, return_inverse=True)
        size = np.bincount(codes).astype(np.float64)
        mean = np.bincount(codes, y) / size
        return cls(size, mean, float(np.sum((y - mean[codes]) ** 2)))

    @property
    def rows(self) -> float:
        """Number of rows."""
        return float(self.size.sum())


def anova_components(moments: ClusterMoments) -> tuple[float, float]:
    r"""Between and within variance by the one-way analysis of variance.

    :math:`\hatσ^2 = MSW`, :math:`\hatτ^2 = (MSB - MSW) / n_0`,
    :math:`n_0 = (N - \sum n_j^2 / N) / (K - 1)` (Searle, Casella & McCulloch 1992, §3.6). The first
    is negative where cluster means differ less than chance would have it.

    Examples
    --------
    >>> y, cluster = np.array([1.0, 2.0, 5.0, 6.0]), np.array([0, 0, 1, 1])
    >>> anova_components(ClusterMoments.of(y, cluster))
    (7.75, 0.5)
    """
    n, rows, clusters = moments.size, moments.rows, len(moments.size)
    within = moments.within / (rows - clusters)
    grand = float(n @ moments.mean) / rows
    between = float(n @ (moments.mean - grand) ** 2) / (clusters - 1)
    return float((between - within) / ((rows - n @ n / rows) / (clusters - 1))), within


def reml_components(moments: ClusterMoments) -> tuple[float, float]:
    """Between and within variance by restricted maximum likelihood, as lme4 and mixedlm give them.

    The restricted likelihood with μ and σ² profiled out is a function of λ = τ²/σ² alone
    (Searle, Casella & McCulloch 1992, §6.6); its best value on a grid is refined to the root of
    the derivative.

    Examples
    --------
    >>> y, cluster = np.array([1.0, 2.0, 5.0, 6.0]), np.array([0, 0, 1, 1])
    >>> tuple(round(each, 6) for each in reml_components(ClusterMoments.of(y, cluster)))
    (7.75, 0.5)
    """
    n, means, rows = moments.size, moments.mean, moments.rows
    if moments.within <= 1e-12 * float(n @ (means - means.mean()) ** 2):
        return float(np.var(means, ddof=1)), 0.0

    def parts(ratio: float) -> tuple[Array, float, float]:
        weight = n / (1 + n * ratio)
        centre = float(weight @ means) / float(weight.sum())
        return weight, centre, moments.within + float(weight @ (means - centre) ** 2)

    def deviance(ratio: float) -> float:
        weight, _, total = parts(ratio)
        return float((rows - 1) * np.log(total) + np.log1p(n * ratio).sum() + np.log(weight.sum()))

    def slope(ratio: float) -> float:
        weight, centre, total = parts(ratio)
        squares = weight**2
        return float(
            weight.sum()
            - squares.sum() / weight.sum()
            - (rows - 1) * (squares @ (means - centre) ** 2) / total
        )

    # Between 0 and the ratio at which even clusters of one row differ a million times more
    grid = np.append(0.0, np.geomspace(1e-8, 1e12, 161))
    best = int(np.argmin([deviance(ratio) for ratio in grid]))
    low, high = grid[max(best - 1, 0)], grid[min(best + 1, len(grid) - 1)]
    ratio = float(grid[best])
    if slope(low) < 0 < slope(high):
        ratio = float(scipy.optimize.brentq(slope, low, high, xtol=1e-14, rtol=1e-14))
    elif best <= 1:
        ratio = 0.0
    within = parts(ratio)[2] / (rows - 1)
    return ratio * within, within


def observed_share(
    columns: Array,
    cluster: npt.NDArray[np.int64],
    components: Callable[[ClusterMoments], tuple[float, float]],
) -> float:
    """Intraclass correlation of the values themselves.

    Parameters
    ----------
    columns
        float64 (row, column) without gaps: one column of numbers, or an indicator for each
        category but one, whose variances add up. With two categories that is the correlation of
        0 and 1.
    cluster
        Cluster of each row, (row,).
    components
        `anova_components` or `reml_components`.

    Returns
    -------
    float
        NaN where no cluster has two rows, there is one cluster only, or nothing varies.
    """
    sizes = np.bincount(cluster)
    if (sizes > 0).sum() < 2 or sizes.max() < 2:
        return float("nan")
    found = [components(ClusterMoments.of(column, cluster)) for column in columns.T]
    between, within = (sum(each) for each in zip(*found, strict=True)) if found else (0.0, 0.0)
    total = between + within
    return float(between / total) if total > 0 else float("nan")
