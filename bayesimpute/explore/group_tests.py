"""Tests of one variable between rows where another is observed and rows where it is missing."""

import numpy as np
import numpy.typing as npt
from scipy import stats

from bayesimpute.arrays import Array
from bayesimpute.wording import not_zero

Mask = npt.NDArray[np.bool_]

#: Random tables behind the p-value of a larger table with small counts.
RANDOM_TABLES = 9999
#: They are always the same ones: a test of the same data gives the same p-value.
TABLES_SEED = 0


def welch(values: Array, missing: Mask) -> dict[str, float]:
    r"""Welch's t test, observed minus missing, and the standardised difference.

    .. math::
        t = \frac{\bar v_o - \bar v_m}{\sqrt{s_o^2/n_o + s_m^2/n_m}},\quad
        d = \frac{\bar v_o - \bar v_m}{\sqrt{(s_o^2 + s_m^2)/2}}

    (Welch 1947; d as Austin 2009, Statistics in Medicine 28, 3083-3107.)

    Parameters
    ----------
    values
        Without gaps, (row,).
    missing
        Whether the other variable is missing, (row,) bool.

    Returns
    -------
    dict
        Means of the groups, difference and its standardised form, statistic, df, p_value. Those of
        the test are NaN with fewer than two values in a group, or no spread at all.
    """
    observed, absent = values[~missing], values[missing]
    found = {
        "mean_observed": observed.mean() if observed.size else np.nan,
        "mean_missing": absent.mean() if absent.size else np.nan,
    }
    found["difference"] = found["mean_observed"] - found["mean_missing"]
    if min(observed.size, absent.size) < 2:
        return found
    spread = np.array([observed.var(ddof=1), absent.var(ddof=1)])
    if spread.sum() == 0:
        return found
    test = stats.ttest_ind(observed, absent, equal_var=False)
    return {
        **found,
        "std_difference": found["difference"] / np.sqrt(spread.mean()),
        "statistic": float(test.statistic),
        "df": float(test.df),
        "p_value": float(not_zero(test.pvalue)),
    }


def contingency(codes: Array, missing: Mask) -> tuple[str, dict[str, float]]:
    r"""Pearson's χ² test of a category, or an exact one where counts are small.

    Small is Cochran's (1954) rule: an expected count below 1, or more than a fifth below 5. Then a
    2 × 2 table gets Fisher's test, whose statistic is the odds ratio, and a larger one the p-value
    of χ² among random tables of the same margins, as R's ``simulate.p.value``. Cramér's V is
    :math:`\sqrt{χ^2 / n}`, for one side of the table has two categories.

    Parameters
    ----------
    codes
        Categories, without gaps, (row,).
    missing
        Whether the other variable is missing, (row,) bool.

    Returns
    -------
    test, found
        Its name, and statistic, df, p_value, cramers_v. Nothing if the table has one row or one
        column only.
    """
    _, positions = np.unique(codes, return_inverse=True)
    table = np.column_stack(
        [np.bincount(positions[rows], minlength=positions.max(initial=-1) + 1)
         for rows in (~missing, missing)]
    )  # fmt: skip
    if len(table) < 2 or (table.sum(axis=0) == 0).any():
        return "chi2", {}
    test = stats.chi2_contingency(table, correction=False)
    statistic, expected = float(test.statistic), test.expected_freq
    found = {
        "statistic": statistic,
        "df": float(test.dof),
        "p_value": float(not_zero(test.pvalue)),
        "cramers_v": float(np.sqrt(statistic / table.sum())),
    }
    if expected.min() >= 1 and (expected < 5).mean() <= 0.2:
        return "chi2", found
    if table.shape == (2, 2):
        odds_ratio, p = stats.fisher_exact(table)
        exact = {"statistic": float(odds_ratio), "df": np.nan, "p_value": float(not_zero(p))}
        return "Fisher", found | exact
    return "chi2, simulated", {**found, "df": np.nan, "p_value": _simulated(expected, table)}


def _simulated(expected: Array, table: npt.NDArray[np.int64]) -> float:
    """Share of random tables with the same margins whose χ² is no smaller."""
    rng = np.random.default_rng(TABLES_SEED)
    sizes, absent = table.sum(axis=1), int(table[:, 1].sum())
    drawn = rng.multivariate_hypergeometric(sizes, absent, size=RANDOM_TABLES)
    # with both margins fixed the other column deviates by as much
    per_cell = (1 / expected).sum(axis=1)
    statistic = (drawn - expected[:, 1]) ** 2 @ per_cell
    own = (table[:, 1] - expected[:, 1]) ** 2 @ per_cell
    return float((1 + (statistic >= own * (1 - 1e-12)).sum()) / (1 + RANDOM_TABLES))


def by_clusters(columns: Array, missing: Mask, cluster: npt.NDArray[np.int64]) -> float:
    r"""P-value of equal means in both groups that lets rows of a cluster be alike.

    The difference of means is :math:`\sum_j g_j` up to its expectation, where :math:`g_j` sums over
    the rows of cluster j the deviations from the group's mean over the size of the group. With
    :math:`V = \frac{K}{K-1} \sum_j g_j g_j'` (Liang & Zeger 1986), :math:`d'V^{-1}d` is referred to
    Hotelling's T² with K − 1 degrees of freedom; for one column that is a t test.

    Parameters
    ----------
    columns
        A number, or indicators of categories but one, without gaps, (row, column).
    missing
        Whether the other variable is missing, (row,) bool.
    cluster
        Of each row, (row,).

    Returns
    -------
    float
        NaN with no more clusters than columns, or where V cannot be inverted.
    """
    sizes = (~missing).sum(), missing.sum()
    clusters, codes = np.unique(cluster, return_inverse=True)
    k, q = len(clusters), columns.shape[1]
    if min(sizes) == 0 or k <= q or q == 0:
        return float("nan")
    means = columns[~missing].mean(axis=0), columns[missing].mean(axis=0)
    deviation = np.where(
        missing[:, None], -(columns - means[1]) / sizes[1], (columns - means[0]) / sizes[0]
    )
    by_cluster = np.column_stack([np.bincount(codes, each, k) for each in deviation.T])
    variance = k / (k - 1) * by_cluster.T @ by_cluster
    scale = np.sqrt(np.diagonal(variance))
    if (scale == 0).any() or np.linalg.matrix_rank(variance / np.outer(scale, scale)) < q:
        return float("nan")
    difference = means[0] - means[1]
    squared = float(difference @ np.linalg.solve(variance, difference))
    return float(not_zero(stats.f.sf(squared * (k - q) / (q * (k - 1)), q, k - q)))
