"""What is missing, and together: complete rows, patterns, pairs, influx, and a row a variable.

The model of the estimates of how alike clusters are is :math:`y_{ij} = μ + b_j + ε_{ij}` with
variances τ² and σ²; the share is the intraclass correlation :math:`τ^2 / (τ^2 + σ^2)`.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import scipy  # whose modules are loaded when first used

from bayesimpute import html
from bayesimpute.arguments import checked
from bayesimpute.arrays import Array
from bayesimpute.data.table import ClusterIndex, Kind, Table, check_frame
from bayesimpute.errors import SpecificationError
from bayesimpute.explore.columns import check_columns, factors_of, indicators
from bayesimpute.interchange import Frame, given, taken
from bayesimpute.specification.suggest import is_level_2
from bayesimpute.wording import visible


@checked
def complete_cases(df: Frame) -> pd.DataFrame:
    """Rows in which no value is missing, as a new frame.

    Their number, ``len(bi.complete_cases(df))``, is mice's ``ncc``.

    Parameters
    ----------
    df
        A frame of pandas or polars, or an Arrow table.

    Returns
    -------
    pandas.DataFrame
        Columns, dtypes and index labels of `df`; of its kind.

    Raises
    ------
    DataError
        If this is no frame with rows and distinct column names.

    Examples
    --------
    >>> import bayesimpute as bi, pandas as pd
    >>> bi.complete_cases(pd.DataFrame({"age": [1, 2], "bmi": [20.5, None]}))
       age   bmi
    0    1  20.5
    """
    frame, origin = taken(df)
    check_frame(frame)
    return given(frame[frame.notna().all(axis=1)].copy(), origin)


@checked
def incomplete_cases(df: Frame) -> pd.DataFrame:
    """Rows in which at least one value is missing, as a new frame.

    Their number, ``len(bi.incomplete_cases(df))``, is mice's ``nic``.

    Parameters
    ----------
    df
        A frame of pandas or polars, or an Arrow table.

    Returns
    -------
    pandas.DataFrame
        Columns, dtypes and index labels of `df`; of its kind.

    Raises
    ------
    DataError
        If this is no frame with rows and distinct column names.

    Examples
    --------
    >>> import bayesimpute as bi, pandas as pd
    >>> bi.incomplete_cases(pd.DataFrame({"age": [1, 2], "bmi": [20.5, None]}))
       age  bmi
    1    2  NaN
    """
    frame, origin = taken(df)
    check_frame(frame)
    return given(frame[frame.isna().any(axis=1)].copy(), origin)


#: Label of the last row, which counts missing values.
MISSING = "missing"


@checked
def missing_pattern(df: pd.DataFrame, cluster: str | Sequence[str] | None = None) -> pd.DataFrame:
    """Distinct patterns of observed and missing values (mice's ``md.pattern``).

    Parameters
    ----------
    df
        The data.
    cluster
        Column of cluster ids: patterns of each cluster, one after the other, the columns in the
        order of the whole data. Several columns, ``["school", "class"]``: of each combination that
        occurs.

    Returns
    -------
    pandas.DataFrame
        A row a pattern, 1 where observed and 0 where missing; its index is the number of the
        pattern (``pattern``) and of the rows that have it (``n_rows``), with ``cluster`` before
        them if one was given, or the names of several. Columns are the variables, those with fewer
        missing values first (ties as in `df`), then ``n_missing``, the variables missing in the
        pattern. Rows are sorted with the more complete first. The last row, ``"missing"``, counts
        the missing values of each variable, of all, and the rows.

    Raises
    ------
    DataError
        If this is no frame with rows and distinct column names, or the cluster id of a row is
        missing.
    SpecificationError
        If there is no such cluster column, or a variable is called ``n_missing``.

    Examples
    --------
    >>> import bayesimpute as bi, pandas as pd
    >>> df = pd.DataFrame({"bmi": [20.5, None, None], "age": [31, 44, 52]})
    >>> bi.missing_pattern(df)
                    age  bmi  n_missing
    pattern n_rows
    1       1         1    1          0
    2       2         1    0          1
    missing 3         0    2          2
    """
    check_frame(df)
    if "n_missing" in df.columns:
        raise SpecificationError(
            "A variable is called 'n_missing', as is the last column of the table; rename it: "
            "df.rename(columns={'n_missing': ...})."
        )
    observed = df.notna()
    order = observed.sum().sort_values(ascending=False, kind="stable").index
    observed = observed[order]
    if cluster is None:
        return _patterns(observed)
    table = Table.from_frame(df)
    factors = factors_of(table, cluster)
    codes = np.empty((len(df), len(factors)), dtype=np.int64)
    codes[table.rows] = np.column_stack([each.codes for each in factors.values()])
    parts = {}
    for combination in np.unique(codes, axis=0):
        own = zip(factors.values(), combination, strict=True)
        labels = tuple(each.labels[j] for each, j in own)
        key = labels[0] if isinstance(cluster, str) else labels
        parts[key] = _patterns(observed[(codes == combination).all(axis=1)])
    return pd.concat(parts, names=["cluster"] if isinstance(cluster, str) else list(factors))


def _patterns(observed: pd.DataFrame) -> pd.DataFrame:
    """Table of the rows given, columns in their order."""
    distinct, count = np.unique(observed.to_numpy().astype(np.int64), axis=0, return_counts=True)
    distinct, count = distinct[::-1], count[::-1]
    missing = (~observed).sum().to_numpy()
    body = np.column_stack([distinct, (1 - distinct).sum(axis=1)])
    rows = np.vstack([body, np.append(missing, missing.sum())])
    numbers = [*range(1, len(distinct) + 1), MISSING]
    index = pd.MultiIndex.from_arrays(
        [pd.Index(numbers, dtype=object), [*count.tolist(), len(observed)]],
        names=["pattern", "n_rows"],
    )
    return pd.DataFrame(rows, index=index, columns=[*observed.columns, "n_missing"])


@dataclass(frozen=True, eq=False)
class MissingPairs:
    """Rows by what is observed of two variables, in four square frames of counts.

    The first letter is of the variable of the row, the second of that of the column: ``r`` where
    it is observed (it responded), ``m`` where it is missing. ``pairs["mr"]`` is ``pairs.mr``.

    Attributes
    ----------
    rr
        Both observed.
    rm
        The row's observed, the column's missing.
    mr
        The row's missing, the column's observed: rows in which the column helps to impute.
    mm
        Both missing.
    """

    rr: pd.DataFrame
    rm: pd.DataFrame
    mr: pd.DataFrame
    mm: pd.DataFrame

    def __getitem__(self, name: str) -> pd.DataFrame:
        return {field.name: getattr(self, field.name) for field in fields(self)}[name]

    def __iter__(self) -> Iterator[str]:
        return (field.name for field in fields(self))

    def __repr__(self) -> str:
        return visible("\n\n".join(f"{name}\n{self[name].to_string()}" for name in self))

    def _repr_html_(self) -> str:
        parts = [html.join([html.tag("h4", name), html.printed(self[name])]) for name in self]
        return html.plain("Rows by what is observed: r observed, m missing", *parts)


@checked
def missing_pairs(df: pd.DataFrame) -> MissingPairs:
    """Count rows in which both, one or none of two variables are observed (``md.pairs``).

    Parameters
    ----------
    df
        The data.

    Returns
    -------
    MissingPairs
        ``rr``, ``rm``, ``mr``, ``mm``, each variable × variable.

    Raises
    ------
    DataError
        If this is no frame with rows and distinct column names.

    Examples
    --------
    >>> import bayesimpute as bi, pandas as pd
    >>> pairs = bi.missing_pairs(pd.DataFrame({"bmi": [20.5, None, None], "age": [31, 44, 52]}))
    >>> pairs.mr
         bmi  age
    bmi    0    2
    age    0    0
    """
    check_frame(df)
    observed = df.notna().astype("int64")
    missing = 1 - observed
    return MissingPairs(
        observed.T @ observed, observed.T @ missing, missing.T @ observed, missing.T @ missing
    )


@checked
def flux(df: pd.DataFrame, local: Sequence[str] | None = None) -> pd.DataFrame:
    r"""Influx and outflux of each variable, with the shares beside them (mice's ``flux``).

    With the counts of :func:`missing_pairs`, sums over all variables k,

    .. math::
        \text{influx}_j = \frac{\sum_k mr_{jk}}{\sum_k (mr_{jk} + rr_{jk})},\quad
        \text{outflux}_j = \frac{\sum_k rm_{jk}}{\sum_k (rm_{jk} + mm_{jk})}

    where the denominators are all observed and all missing cells of the data
    (van Buuren 2018, Flexible Imputation of Missing Data, eq. 4.1 and 4.2).

    Parameters
    ----------
    df
        The data.
    local
        Variables to show, and whose connections with the *other* columns of the list alone are
        counted; None for all. As if the rest of the columns were not there.

    Returns
    -------
    pandas.DataFrame
        A row a variable:

        ``pobs``
            Share observed.
        ``influx``
            How well its missing values connect to observed ones of other variables: 0 for a
            complete variable, 1 for one without values in otherwise complete data.
        ``outflux``
            How well its observed values connect to missing ones of others: 1 for a complete
            variable, 0 for one without values. High is a useful predictor.
        ``ainb``
            Mean share, over the other variables, of its missing values where the other is
            observed.
        ``aout``
            Mean share of its observed values where the other is missing.
        ``fico``
            Share of incomplete rows among those where it is observed.

        NaN where a share is of nothing: ``outflux`` in complete data, ``aout`` and ``fico`` of a
        variable without values, ``ainb`` and ``aout`` of a single column; the ``ainb`` of a
        complete variable is 0, as in mice.

    Raises
    ------
    DataError
        If this is no frame with rows and distinct column names.
    SpecificationError
        If `local` names no column.

    Examples
    --------
    >>> import bayesimpute as bi
    >>> study = bi.simulate.simulate_popularity(seed=1)
    >>> bi.flux(study.incomplete)[["pobs", "influx", "outflux"]].round(2).loc["popular"].to_dict()
    {'pobs': 0.6, 'influx': 0.35, 'outflux': 0.0}
    """
    check_frame(df)
    if local is not None:
        names = [local] if isinstance(local, str) else list(local)
        if not names:
            raise SpecificationError("local= names no variable; leave it out to take all.")
        check_columns(names, df, "local=")
        df = df[list(dict.fromkeys(names))]
    pairs = missing_pairs(df)
    rr, rm, mr, mm = (pairs[name].to_numpy().astype(np.float64) for name in pairs)
    complete, n = df.notna().all(axis=1).to_numpy(), len(rr)
    observed = np.diagonal(rr)

    def of_others(shares: np.ndarray) -> np.ndarray:
        """Row means without the diagonal."""
        others = shares[~np.eye(n, dtype=bool)].reshape(n, n - 1)
        return np.asarray(others.mean(axis=1)) if n > 1 else np.full(n, np.nan)

    with np.errstate(divide="ignore", invalid="ignore"):
        columns = {
            "pobs": observed / len(df),
            "influx": mr.sum(axis=1) / (mr + rr).sum(axis=1),
            "outflux": rm.sum(axis=1) / (rm + mm).sum(axis=1),
            "ainb": of_others(np.nan_to_num(mr / (mr + mm))),
            "aout": of_others(rm / (rm + rr)),
            "fico": (observed - complete.sum()) / observed,
        }
    return pd.DataFrame(columns, index=pd.Index(df.columns))


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
            constant = [factor for factor, own in found.items() if own["level"] == 2]
            row["level"] = min(constant, key=lambda each: factors[each].n, default="row")
            for factor, own in found.items():
                row |= {f"{key}|{factor}": each for key, each in own.items() if key != "level"}
        rows.append(row)
    return pd.DataFrame(rows).set_index("variable")


def _by_cluster(table: Table, name: str, index: ClusterIndex, ids: bool) -> dict[str, Any]:
    values = table.values[name]
    level2 = ids or is_level_2(distinct_codes(table, name), index)
    share, observed = float("nan"), ~table.missing(name)
    if not ids and table.variables[name].kind is not Kind.OTHER and observed.any():
        columns = indicators(table, name)[1][observed]
        share = observed_share(columns, index.codes[observed], reml_components)
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
        row |= {key: int(clusters.sum()), f"{key}_clusters": tuple(labels_of(index, clusters))}
    return {**row, "icc": share}


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
