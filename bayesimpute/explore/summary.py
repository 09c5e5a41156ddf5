"""One row a variable: what is missing of it, in which clusters, and how alike these are.

The model of the estimates is :math:`y_{ij} = μ + b_j + ε_{ij}` with variances τ² and σ²; the share
is the intraclass correlation :math:`τ^2 / (τ^2 + σ^2)`.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import scipy  # whose modules are loaded when first used

from bayesimpute.arguments import checked
from bayesimpute.arrays import Array
from bayesimpute.data.table import ClusterIndex, Kind, Table
from bayesimpute.explore.columns import factors_of, indicators
from bayesimpute.specification.suggest import is_level_2


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


#: A variable looks like a property of clusters that was recorded inconsistently if it varies
#: within at most this share of them …
MOST_INCONSISTENT = 0.1
#: … and clusters hold at least this share of its variance: a rare category is constant in many
#: clusters, too, but by chance.
LEAST_BETWEEN = 0.5


@checked
def missing_summary(df: pd.DataFrame, cluster: str | Sequence[str] | None = None) -> pd.DataFrame:
    """Kind, level, missing values and their clusters, variable by variable.

    Parameters
    ----------
    df
        The data.
    cluster
        Column of cluster ids of any type, or several, nested or crossed: ``["school", "class"]``.

    Returns
    -------
    pandas.DataFrame
        Index ``variable``, in the order of `df`:

        ``kind``
            numeric, binary, nominal, ordinal, or other (dates and the like, never imputed).
        ``n_observed``, ``n_missing``, ``share_missing``
            Rows.

        and with a cluster:

        ``level``
            2 for a property of clusters, which never varies within one, else 1; as
            :func:`bayesimpute.impute` decides it.
        ``systematic``, ``systematic_clusters``
            Number and ids of the clusters in which every value is missing.
        ``sporadic``, ``sporadic_clusters``
            Number and ids of those in which some are missing and some are not.
        ``inconsistent``, ``inconsistent_clusters``
            Clusters in which a variable differs between rows that looks like a property of
            clusters: it does so in at most 10 % of them, and they hold half of its variance.
        ``icc``
            Share of the variance of the observed values that lies between clusters, by REML;
            of categories, of their indicators. 1 for a property of clusters, NaN for the cluster
            ids and where it is undefined. :func:`bayesimpute.icc` gives its uncertainty.

        With several columns of ids ``level`` is the column whose clusters the variable is a
        property of (the one with the fewest), or ``"row"``, and the others come for each column,
        as ``systematic|school`` and ``icc|class``: each by this column alone, so that the ICC of a
        class holds what all classes of its school share.

    Raises
    ------
    DataError
        If this is no frame with rows and distinct column names, a number is infinite, or the
        cluster id of a row is missing.
    SpecificationError
        If there is no such cluster column.

    Examples
    --------
    >>> import bayesimpute as bi, pandas as pd
    >>> df = pd.DataFrame({"school": ["a", "a", "b", "b"], "grade": [7, None, None, None]})
    >>> summary = bi.missing_summary(df, cluster="school")
    >>> summary[["kind", "n_missing", "systematic_clusters", "sporadic_clusters"]]
                 kind  n_missing systematic_clusters sporadic_clusters
    variable
    school     binary          0                  ()                ()
    grade     numeric          3                (b,)              (a,)
    """
    table = Table.from_frame(df)
    factors = {} if cluster is None else factors_of(table, cluster)
    rows = []
    for name, variable in table.variables.items():
        missing = int(table.missing(name).sum())
        row = {
            "variable": name,
            "kind": variable.kind.value,
            "n_observed": table.n_rows - missing,
            "n_missing": missing,
            "share_missing": missing / table.n_rows,
        }
        found = {
            factor: _by_cluster(table, name, index, name == factor)
            | ({"icc": float("nan")} if name in factors else {})
            for factor, index in factors.items()
        }
        if isinstance(cluster, str):
            row |= found[cluster]
        elif found:
            row |= _of_several(found, factors)
        rows.append(row)
    return pd.DataFrame(rows).set_index("variable")


def _of_several(
    found: Mapping[str, Mapping[str, Any]], factors: Mapping[str, ClusterIndex]
) -> dict[str, Any]:
    """Put side by side what is found by each column of ids."""
    constant = [factor for factor, row in found.items() if row["level"] == 2]
    row: dict[str, Any] = {"level": min(constant, key=lambda f: factors[f].n, default="row")}
    for factor, own in found.items():
        row |= {f"{key}|{factor}": value for key, value in own.items() if key != "level"}
    return row


def _by_cluster(table: Table, name: str, index: ClusterIndex, ids: bool) -> dict[str, Any]:
    values = table.values[name]
    level2 = ids or is_level_2(distinct_codes(table, name), index)
    share = float("nan") if ids else _share(table, name, index)
    varying = np.zeros(index.n, dtype=bool)
    if not level2 and share >= LEAST_BETWEEN:
        differing = index.varying(values)
        repeated = index.n_observed(values) >= 2
        if differing.sum() <= MOST_INCONSISTENT * repeated.sum():
            varying = differing
    found = {
        "systematic": index.systematic(values),
        "sporadic": index.sporadic(values),
        "inconsistent": varying,
    }
    row: dict[str, Any] = {"level": 2 if level2 else 1}
    for key, clusters in found.items():
        row[key] = int(clusters.sum())
        row[f"{key}_clusters"] = tuple(labels_of(index, clusters))
    return {**row, "icc": share}


def _share(table: Table, name: str, index: ClusterIndex) -> float:
    if table.variables[name].kind is Kind.OTHER:
        return float("nan")
    observed = ~table.missing(name)
    if not observed.any():
        return float("nan")
    columns = indicators(table, name)[1][observed]
    return observed_share(columns, index.codes[observed], reml_components)


def distinct_codes(table: Table, name: str) -> np.ndarray:
    """Values of any column as numbers, equal where the cells are: of dates, too.

    Parameters
    ----------
    table
        The data.
    name
        Column.

    Returns
    -------
    numpy.ndarray
        float64 (row,) in canonical order, NaN where missing.
    """
    if table.variables[name].kind is not Kind.OTHER:
        return table.values[name]
    cells = table.frame[name].iloc[table.rows]
    try:
        codes, _ = pd.factorize(cells)
    except TypeError:  # lists and other cells without a hash
        codes, _ = pd.factorize(cells.map(repr, na_action="ignore"))
    return np.where(table.missing(name), np.nan, codes.astype(np.float64))


def labels_of(index: ClusterIndex, chosen: np.ndarray) -> Iterable[Any]:
    """Ids of the clusters chosen, bool (cluster,)."""
    return (index.labels[j] for j in np.flatnonzero(chosen))
