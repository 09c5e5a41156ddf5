r"""Shares of variance between clusters: estimates from data, and from parameters of a model.

The model of the estimates is :math:`y_{ij} = μ + b_j + ε_{ij}` with variances τ² and σ²; the share
is the intraclass correlation :math:`τ^2 / (τ^2 + σ^2)`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import brentq

Array = npt.NDArray[np.float64]

#: Variance of the standard logistic distribution: that of the latent error behind a logit.
LOGISTIC_VARIANCE = np.pi**2 / 3


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
        ratio = float(brentq(slope, low, high, xtol=1e-14, rtol=1e-14))
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


def share_normal(draws: Mapping[str, Array]) -> Array:
    """τ² / (τ² + σ²), of each draw of a normal model."""
    between = draws["sd_intercept"] ** 2
    return np.asarray(between / (between + draws["sigma"] ** 2))


def share_logit(draws: Mapping[str, Array]) -> Array:
    """τ² / (τ² + π²/3): of the latent variable behind a logistic or cumulative-logit model.

    Source: Goldstein, Browne & Rasbash (2002), Understanding Statistics 1, 223-231, method D.
    """
    between = draws["sd_intercept"] ** 2
    return np.asarray(between / (between + LOGISTIC_VARIANCE))


def share_softmax(draws: Mapping[str, Array]) -> Array:
    r"""Share of the latent utilities behind a softmax model, whatever the reference category.

    The K utilities of a row have independent Gumbel errors of variance π²/6. Relative to their
    mean, which no choice depends on, errors vary by (K − 1) π²/6 in sum and effects by
    :math:`\operatorname{tr} Ψ - 1'Ψ1 / K`, Ψ the covariance of the effects of all categories but
    the reference. With two categories this is `share_logit`.

    Parameters
    ----------
    draws
        ``sd_intercept`` (chain, draw, K − 1) and ``correlation`` (chain, draw, pair), pairs as
        those of a lower triangle, row by row; no pairs with two categories.
    """
    sd = draws["sd_intercept"]
    others = sd.shape[-1]
    matrix = np.zeros((*sd.shape, others))
    matrix[..., np.arange(others), np.arange(others)] = 1.0
    if others > 1:
        low = np.tril_indices(others, -1)
        matrix[..., low[0], low[1]] = matrix[..., low[1], low[0]] = draws["correlation"]
    of_sum = np.einsum("...a,...ab,...b->...", sd, matrix, sd)
    between = (sd**2).sum(axis=-1) - of_sum / (others + 1)
    return np.asarray(between / (between + others * LOGISTIC_VARIANCE / 2))


def share_counts(draws: Mapping[str, Array]) -> Array:
    r"""Share on the log scale of a Poisson or negative binomial model.

    The variance of a row is :math:`\ln(1 + 1/λ + \text{overdispersion}^2)`, where
    :math:`λ = \exp(\text{intercept} + τ^2/2)` is the mean over clusters: the log-normal
    approximation of Nakagawa, Johnson & Schielzeth (2017), J R Soc Interface 14, 20170213,
    eq. 2.3 and table 1.
    """
    between = draws["sd_intercept"] ** 2
    mean = np.exp(draws["intercept"] + between / 2)
    within = np.log1p(1 / mean + draws.get("overdispersion", np.zeros(1)) ** 2)
    return np.asarray(between / (between + within))


#: Canonical method -> its share, and the scale in words.
SHARES: Mapping[str, tuple[Callable[[Mapping[str, Any]], Array], str]] = {
    "normal": (share_normal, "of the values"),
    "logistic": (share_logit, "of the latent variable behind the logit"),
    "ordinal": (share_logit, "of the latent variable behind the logit"),
    "categorical": (share_softmax, "of the latent utilities behind the softmax"),
    "poisson": (share_counts, "on the log scale"),
    "negative_binomial": (share_counts, "on the log scale"),
}
