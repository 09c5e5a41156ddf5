"""Whether what is missing depends on other variables: by tests, and by a logistic model."""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
import scipy  # whose modules are loaded when first used

from bayesimpute import html
from bayesimpute.arguments import Count, Level, Seed, checked
from bayesimpute.arrays import Array
from bayesimpute.data.table import ClusterIndex, Kind, Table
from bayesimpute.diagnostics import summarised
from bayesimpute.engine.streams import fresh_seed
from bayesimpute.errors import DataError, SpecificationError
from bayesimpute.explore.columns import (
    check_columns,
    check_factors,
    factors_of,
    indicators,
    simple_design,
)
from bayesimpute.explore.icc import ChainDraws, Posterior, factor_shares, sample_posterior
from bayesimpute.method import Design
from bayesimpute.sampling.variance_shares import share_logit
from bayesimpute.specification.aliases import YES_NO
from bayesimpute.specification.defaults import usable_as_predictor
from bayesimpute.wording import listed, not_zero

if TYPE_CHECKING:
    import xarray as xr


Mask = npt.NDArray[np.bool_]

#: Random tables behind the p-value of a larger table with small counts. Of more categories than so
#: many, as clusters may be, as many tables as a moment allows, but not fewer than the last number.
RANDOM_TABLES, MANY_CATEGORIES, SHUFFLED_ROWS, FEWEST_TABLES = 9999, 500, 50_000_000, 199
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
        test = scipy.stats.ttest_ind(observed, absent, equal_var=False)
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
    of χ² among random tables of the same margins, as R's ``simulate.p.value``: 9,999 tables, or of
    more than 500 categories as many as take some seconds, 199 or more. Cramér's V is
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
    test = scipy.stats.chi2_contingency(table, correction=False)
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
        odds_ratio, p = scipy.stats.fisher_exact(table)
        exact = {"statistic": float(odds_ratio), "df": np.nan, "p_value": float(not_zero(p))}
        return "Fisher", found | exact
    return "chi2, simulated", {**found, "df": np.nan, "p_value": _simulated(expected, table)}


def _simulated(expected: Array, table: npt.NDArray[np.int64]) -> float:
    """Share of random tables with the same margins whose χ² is no smaller."""
    rng = np.random.default_rng(TABLES_SEED)
    sizes, absent = table.sum(axis=1), int(table[:, 1].sum())
    method: Literal["count", "marginals"] = "marginals"
    tables = RANDOM_TABLES
    if len(sizes) > MANY_CATEGORIES:  # rows are shuffled sooner than categories are gone through
        method = "count"
        rows = min(absent, int(sizes.sum()) - absent)
        tables = int(np.clip(SHUFFLED_ROWS // rows, FEWEST_TABLES, RANDOM_TABLES))
    # with both margins fixed the other column deviates by as much
    per_cell = (1 / expected).sum(axis=1)
    own = (table[:, 1] - expected[:, 1]) ** 2 @ per_cell
    larger, at_once = 0, 1 + 1_000_000 // len(sizes)
    for first in range(0, tables, at_once):
        size = min(at_once, tables - first)
        drawn = rng.multivariate_hypergeometric(sizes, absent, size=size, method=method)
        statistic = (drawn - expected[:, 1]) ** 2 @ per_cell
        larger += int((statistic >= own * (1 - 1e-12)).sum())
    return (1 + larger) / (1 + tables)


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
    return float(not_zero(scipy.stats.f.sf(squared * (k - q) / (q * (k - 1)), q, k - q)))


COLUMNS = (
    "missing", "variable", "test", "n_observed", "n_missing", "mean_observed", "mean_missing",
    "difference", "std_difference", "cramers_v", "statistic", "df", "p_value",
)  # fmt: skip


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
    rows = list(_tested(table, factors, by))
    columns = [*COLUMNS, *by]
    numbers = dict.fromkeys(columns[5:], "float64")
    counts = {"n_observed": "int64", "n_missing": "int64"}
    return pd.DataFrame(rows, columns=columns).astype({**counts, **numbers})


def _tested(
    table: Table, factors: Mapping[str, ClusterIndex], by: Mapping[str, ClusterIndex]
) -> Iterator[dict[str, Any]]:
    for gaps in table.incomplete():
        if table.missing(gaps).all():
            continue
        for name, variable in table.variables.items():
            if name == gaps or variable.kind is Kind.OTHER:
                continue
            ids = name in factors
            seen = np.ones(table.n_rows, dtype=bool) if ids else ~table.missing(name)
            missing, values = table.missing(gaps)[seen], table.values[name][seen]
            if ids:
                test, found = contingency(factors[name].codes.astype(np.float64), missing)
            elif variable.kind is Kind.NUMERIC:
                test, found = "Welch t", welch(values, missing)
            else:
                test, found = contingency(values, missing)
            n_missing = int(missing.sum())
            row = {
                "missing": gaps, "variable": name, "test": test,
                "n_observed": len(missing) - n_missing, "n_missing": n_missing, **found,
            }  # fmt: skip
            if by and not ids:
                columns = indicators(table, name)[1][seen]
                row |= {
                    k: by_clusters(columns, missing, each.codes[seen]) for k, each in by.items()
                }
            yield row


#: Fewest rows in a group: with fewer the priors alone speak.
FEWEST_IN_A_GROUP = 2


@dataclass(frozen=True, eq=False, repr=False)
class MissingModel(html.Told):
    """Posterior of a logistic model of missingness.

    Attributes
    ----------
    table
        Index ``term``: ``"(Intercept)"``, predictors (``"age"``, ``"type[RCT]"``); columns
        ``estimate`` (posterior mean of the log odds ratio of being *missing*), ``std_error``
        (posterior SD), ``conf_low``, ``conf_high`` (equal-tailed), ``odds_ratio`` (of the
        estimate), ``p_positive`` (probability that the coefficient is above 0), ``r_hat``,
        ``ess_bulk``, ``ess_tail``. Predictors are centred at their means, so the intercept is the
        log odds of a row in the middle.
    between
        The same columns for the differences between clusters: ``sd_intercept`` (SD of the log
        odds) and ``icc`` (its share of the latent variance); of several groupings by each,
        ``sd_intercept|school``, ``icc|school``. Empty without a cluster.
    variable, predictors, cluster
        What was modelled by what.
    n_rows, n_missing
        Rows used, and those of them in which the variable is missing.
    n_left_out
        Rows left out because a predictor is missing in them.
    conf_level
        Probability of the intervals.
    posterior
        The draws, with their divergences and seed.
    """

    table: pd.DataFrame
    between: pd.DataFrame
    variable: str
    predictors: tuple[str, ...]
    cluster: str | tuple[str, ...] | None
    n_rows: int
    n_missing: int
    n_left_out: int
    conf_level: float
    posterior: Posterior

    @property
    def datatree(self) -> "xr.DataTree":
        """The draws as ArviZ takes them: group ``posterior``, dimensions chain and draw."""
        return self.posterior.tree(self.variable)

    def _said(self) -> Iterator[str | pd.DataFrame]:
        names = (self.cluster,) if isinstance(self.cluster, str) else self.cluster
        by = f", random intercept by {listed(names)}" if names else ""
        left = f"; {self.n_left_out} rows left out, a predictor missing" if self.n_left_out else ""
        diverging = self.posterior.divergences
        warned = f"; {diverging} divergent transitions" if diverging else ""
        yield (
            f"Log odds that {self.variable!r} is missing{by}; {self.n_missing} of {self.n_rows} "
            f"rows missing{left}; {self.conf_level:.0%} intervals{warned}"
        )
        yield self.table.round(3)
        if not self.between.empty:
            yield self.between.round(3)


@checked
def missing_model(
    df: pd.DataFrame,
    variable: str,
    predictors: str | Sequence[str] | None = None,
    cluster: str | Sequence[str] | None = None,
    *,
    priors: Mapping[str, Any] | None = None,
    ci_prob: Level = 0.95,
    draws: ChainDraws = 250,
    chains: Count = 4,
    seed: Seed | None = None,
) -> MissingModel:
    r"""Model whether a variable is missing by the others, rows of a cluster being alike.

    .. math::
        \operatorname{logit} P(\text{missing}_{ij}) = \text{intercept} + x_{ij}β + b_j,\quad
        b_j \sim N(0, sd^2)

    the logistic model of this package with its default priors, which keep coefficients finite
    where a predictor separates missing from observed.

    Parameters
    ----------
    df
        The data.
    variable
        Some of its values are missing, and some are not.
    predictors
        Columns. None (default) takes every *complete* one but the cluster ids, constants, dates and
        labels that identify rows. Incomplete ones can be named: rows in which any of them is
        missing are then left out, and counted in the result. (An indicator of their missingness in
        its place would bias the other coefficients: Jones 1996, JASA 91, 222-230.)
    cluster
        Column of cluster ids, for a random intercept; several, ``["school", "class"]``, for one
        of each, nested or crossed; None for independent rows.
    priors
        Parameter -> PyMC distribution: ``"intercept"``, ``"beta"``, ``"sd_intercept"``. By default
        Normal(0, 2.5), Normal(0, 2.5 / SD of the predictor), HalfNormal(1). Of one grouping of
        several ``"sd_intercept|school"``.
    ci_prob
        Probability of the intervals (0.95).
    draws, chains
        250 draws of each of 4 chains: half a minute for thousands of rows.
    seed
        For the same draws again; None takes a fresh one and records it.

    Returns
    -------
    MissingModel

    Raises
    ------
    SpecificationError
        An unknown column, or one that cannot be a predictor here.
    DataError
        Nothing or everything of the variable is missing in the rows used, or a cluster id is.

    Examples
    --------
    >>> import bayesimpute as bi
    >>> df = bi.simulate.simulate_popularity(seed=1, schools=20, pupils=200).incomplete
    >>> model = bi.missing_model(df, "popular", ["sex", "texp"], draws=50, seed=1)
    >>> model.table.index.tolist()
    ['(Intercept)', 'sex', 'texp']
    """
    table = Table.from_frame(df)
    check_columns([variable], table.frame, "variable=")
    factors = () if cluster is None else check_factors(cluster, table)
    seed = fresh_seed() if seed is None else seed
    names = _predictors(table, variable, predictors, factors)
    used = ~np.any([np.zeros(table.n_rows), *(table.missing(name) for name in names)], axis=0)
    missing = table.missing(variable)[used]
    _check_groups(variable, missing, bool(used.all()))
    design = _design(table, variable, names, factors, used)
    posterior = sample_posterior(YES_NO, design, priors, draws, chains, seed)
    rows = _rows(posterior, design.predictors, ci_prob)
    between = rows.loc[~rows["term"].isin(["(Intercept)", *design.predictors])]
    return MissingModel(
        rows.drop(between.index).set_index("term"),
        between.drop(columns=["odds_ratio", "p_positive"]).set_index("term"),
        variable,
        names,
        cluster if cluster is None or isinstance(cluster, str) else factors,
        len(missing),
        int(missing.sum()),
        int((~used).sum()),
        ci_prob,
        posterior,
    )


def _predictors(
    table: Table, variable: str, asked: Sequence[str] | None, factors: Sequence[str]
) -> tuple[str, ...]:
    if asked is None:
        return tuple(
            name
            for name in table.variables
            if name not in (variable, *factors)
            and not table.missing(name).any()
            and usable_as_predictor(table, name)
            and np.ptp(table.values[name]) > 0
        )
    names = tuple(dict.fromkeys([asked] if isinstance(asked, str) else asked))
    check_columns(names, table.frame, "predictors=")
    for name in names:
        if name in (variable, *factors):
            what = "the variable itself" if name == variable else "the cluster column"
            raise SpecificationError(f"predictors= names {name!r}, which is {what}; leave it out.")
        if table.variables[name].kind is Kind.OTHER:
            raise SpecificationError(
                f"predictors= names {name!r}, which is neither a number nor a category; derive one "
                "from it."
            )
    return names


def _check_groups(variable: str, missing: np.ndarray, all_rows: bool) -> None:
    where = "" if all_rows else " in the rows where all predictors are observed"
    for group, what in ((missing, "missing"), (~missing, "observed")):
        if group.sum() < FEWEST_IN_A_GROUP:
            raise DataError(
                f"Variable {variable!r} is {what} in {int(group.sum())} row(s){where}: too few to "
                f"model when it is missing; at least {FEWEST_IN_A_GROUP} are needed."
            )


def _design(
    table: Table,
    variable: str,
    names: tuple[str, ...],
    factors: Sequence[str],
    used: np.ndarray,
) -> Design:
    n = int(used.sum())
    labels: list[str] = []
    columns: list[Array] = [np.empty((n, 0))]
    for name in names:
        own, block = indicators(table, name)
        block = block[used]
        if block.shape[1] == 0 or (np.ptp(block, axis=0) == 0).any():
            raise SpecificationError(
                f"predictors= names {name!r}, of which some value or category has no spread in the "
                f"{n} rows used; leave it out, or merge its categories."
            )
        labels.extend(own)
        columns.append(block)
    if len(set(labels)) < len(labels):
        repeated = next(label for label in labels if labels.count(label) > 1)
        raise SpecificationError(f"Two columns of the model are called {repeated!r}; rename one.")
    y = table.missing(variable)[used].astype(np.float64)
    ids = {name: table.clusters(name).codes[used] for name in factors}
    x = np.ascontiguousarray(np.hstack(columns))
    return simple_design(variable, Kind.BINARY, (False, True), y, ids, x, tuple(labels))


def _rows(posterior: Posterior, predictors: tuple[str, ...], ci_prob: float) -> pd.DataFrame:
    """Give one row a scalar: (Intercept), predictors, then what describes clusters."""
    scalars: dict[str, Array] = {"(Intercept)": posterior.draws["intercept"]}
    for k, label in enumerate(predictors):
        scalars[label] = posterior.draws["beta"][..., k]
    if "sd_intercept" in posterior.draws:
        scalars["sd_intercept"] = posterior.draws["sd_intercept"]
        scalars["icc"] = share_logit(posterior.draws)
    groupings = [name.partition("|")[2] for name in posterior.draws if "_intercept|" in name]
    scalars |= {name: posterior.draws[name] for name in posterior.draws if "_intercept|" in name}
    if groupings:
        shares = factor_shares(share_logit, posterior.draws, groupings)
        scalars |= {f"icc|{name}": share for name, share in shares.items()}
    checked = [summarised(values) for values in scalars.values()]
    tail = (1 - ci_prob) / 2
    ends = [np.quantile(values, [tail, 1 - tail]) for values in scalars.values()]
    estimate = np.array([values.mean() for values in scalars.values()])
    return pd.DataFrame(
        {
            "term": list(scalars),
            "estimate": estimate,
            "std_error": [values.std(ddof=1) for values in scalars.values()],
            "conf_low": [low for low, _ in ends],
            "conf_high": [high for _, high in ends],
            "odds_ratio": np.exp(estimate),
            "p_positive": [(values > 0).mean() for values in scalars.values()],
            **{
                name: [each[name] for each in checked] for name in ("r_hat", "ess_bulk", "ess_tail")
            },
        }
    )
