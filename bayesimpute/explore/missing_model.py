"""``bi.missing_model``: a logistic model of whether a variable is missing, with clusters."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bayesimpute import html
from bayesimpute.arguments import Count, Level, Seed, checked
from bayesimpute.data.table import Kind, Table
from bayesimpute.diagnostics import diagnostics
from bayesimpute.engine.streams import fresh_seed
from bayesimpute.errors import DataError, SpecificationError
from bayesimpute.explore.columns import (
    check_columns,
    check_factors,
    clustered,
    factors_of,
    indicators,
)
from bayesimpute.explore.icc import factor_shares
from bayesimpute.explore.posterior import ChainDraws, Posterior, sample_posterior
from bayesimpute.method import Array, Design
from bayesimpute.sampling.variance_shares import share_logit
from bayesimpute.specification.aliases import YES_NO
from bayesimpute.specification.defaults import usable_as_predictor
from bayesimpute.wording import listed

if TYPE_CHECKING:
    import xarray as xr

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
    factors: tuple[str, ...] = ()
    if cluster is not None:
        one = isinstance(cluster, str)
        factors = tuple(factors_of(table, cluster)) if one else check_factors(cluster, table)
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
    design = Design(
        variable,
        Kind.BINARY,
        (False, True),
        table.missing(variable)[used].astype(np.float64),
        np.ascontiguousarray(np.hstack(columns)),
        tuple(labels),
        np.empty((n, 0)),
        (),
        np.zeros(n, dtype=np.int64),
        1,
        np.ones(n, dtype=bool),
        np.zeros(n, dtype=bool),
    )
    return clustered(design, {name: table.clusters(name).codes[used] for name in factors})


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
    tree = Posterior({str(k): v for k, v in enumerate(scalars.values())}, {}, 0, 0).tree("x")
    checked = diagnostics(tree)
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
            "r_hat": checked["r_hat"].to_numpy(),
            "ess_bulk": checked["ess_bulk"].to_numpy(),
            "ess_tail": checked["ess_tail"].to_numpy(),
        }
    )
