"""Whether what is missing of one variable depends on another: ``bi.missing_tests``."""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats

from bayesimpute.arguments import checked
from bayesimpute.arrays import Array
from bayesimpute.data.clusters import ClusterIndex
from bayesimpute.data.table import Kind, Table
from bayesimpute.explore.columns import factors_of, indicators
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
    with warnings.catch_warnings():  # one group may have no spread, the other has some
        warnings.filterwarnings("ignore", "Precision loss", RuntimeWarning)
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


COLUMNS = (
    "missing",
    "variable",
    "test",
    "n_observed",
    "n_missing",
    "mean_observed",
    "mean_missing",
    "difference",
    "std_difference",
    "cramers_v",
    "statistic",
    "df",
    "p_value",
)


@checked
def missing_tests(df: pd.DataFrame, cluster: str | Sequence[str] | None = None) -> pd.DataFrame:
    """Test every variable between rows where another is observed and rows where it is missing.

    A difference speaks against values missing completely at random, and names a predictor the
    imputation model should have; none proves nothing. There are many tests: at 5 %, one in twenty
    is significant by chance.

    Parameters
    ----------
    df
        The data.
    cluster
        Column of cluster ids. The tests take rows as independent; with clusters, ``p_cluster`` is a
        p-value that does not, and the ids are tested as a category: whether clusters differ in
        how much is missing. None leaves both out. Of several columns, ``["school", "class"]``,
        each gives a p-value, ``p_cluster|school``, and its ids are tested: where classes lie in
        schools, that by schools allows for both.

    Returns
    -------
    pandas.DataFrame
        A row a pair, in the order of the columns of `df`. As a matrix:
        ``tests.pivot(index="missing", columns="variable", values="p_value")``.

        ``missing``, ``variable``
            Whose missing values make the groups, and what is compared.
        ``test``
            ``"Welch t"`` for numbers; for categories ``"chi2"``, or where counts are small
            ``"Fisher"`` (2 × 2) and ``"chi2, simulated"``.
        ``n_observed``, ``n_missing``
            Rows of the groups, the variable itself being observed.
        ``mean_observed``, ``mean_missing``, ``difference``, ``std_difference``
            Of numbers: means of the groups, their difference, and that over the root of the mean
            of the two variances.
        ``cramers_v``
            Of categories: strength of association, 0 to 1.
        ``statistic``, ``df``, ``p_value``
            Of the test; the statistic of Fisher's is the odds ratio. NaN where there is no test:
            fewer than two values in a group, or no spread.
        ``p_cluster``
            With a cluster: from the difference of means (of shares, for categories) and its
            cluster-robust covariance, on K − 1 degrees of freedom. NaN where that cannot be
            estimated.

    Raises
    ------
    DataError
        If this is no frame with rows and distinct column names, a number is infinite, or the
        cluster id of a row is missing.
    SpecificationError
        If there is no such cluster column.

    Examples
    --------
    >>> import bayesimpute as bi
    >>> study = bi.simulate.simulate_popularity(seed=1)
    >>> tests = bi.missing_tests(study.incomplete, cluster="school")
    >>> tests.loc[tests["variable"] == "texp", ["missing", "test", "n_observed", "n_missing"]]
       missing     test  n_observed  n_missing
    2  popular  Welch t        1191        809
    """
    table = Table.from_frame(df)
    factors = {} if cluster is None else factors_of(table, cluster)
    one = isinstance(cluster, str)
    by = {"p_cluster" if one else f"p_cluster|{name}": each for name, each in factors.items()}
    rows = list(_rows(table, factors, by))
    columns = [*COLUMNS, *by]
    numbers = dict.fromkeys(columns[5:], "float64")
    counts = {"n_observed": "int64", "n_missing": "int64"}
    return pd.DataFrame(rows, columns=columns).astype({**counts, **numbers})


def _rows(
    table: Table, factors: Mapping[str, ClusterIndex], by: Mapping[str, ClusterIndex]
) -> Iterator[dict[str, Any]]:
    for gaps in table.incomplete():
        if table.missing(gaps).all():
            continue
        for name, variable in table.variables.items():
            if name == gaps or variable.kind is Kind.OTHER:
                continue
            row: dict[str, Any] = {"missing": gaps, "variable": name}
            if name in factors:
                codes = factors[name].codes.astype(np.float64)
                test, found = contingency(codes, table.missing(gaps))
                yield row | _counts(table.missing(gaps)) | {"test": test} | found
            else:
                yield row | _compared(table, name, gaps, by)


def _compared(table: Table, name: str, gaps: str, by: Mapping[str, ClusterIndex]) -> dict[str, Any]:
    seen = ~table.missing(name)
    missing, values = table.missing(gaps)[seen], table.values[name][seen]
    if table.variables[name].kind is Kind.NUMERIC:
        test, found = "Welch t", welch(values, missing)
    else:
        test, found = contingency(values, missing)
    row: dict[str, Any] = {"test": test, **_counts(missing), **found}
    if by:
        columns = indicators(table, name)[1][seen]
        row |= {key: by_clusters(columns, missing, each.codes[seen]) for key, each in by.items()}
    return row


def _counts(missing: np.ndarray) -> dict[str, int]:
    return {"n_observed": int((~missing).sum()), "n_missing": int(missing.sum())}
