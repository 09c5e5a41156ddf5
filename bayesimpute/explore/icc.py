"""``bi.icc``: how alike the rows of a cluster are, with its posterior."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from bayesimpute import html
from bayesimpute.arguments import Count, Level, Seed, checked
from bayesimpute.data.clusters import ClusterIndex
from bayesimpute.data.table import Kind, Table
from bayesimpute.engine.streams import fresh_seed
from bayesimpute.errors import DataError, SpecificationError
from bayesimpute.explore.columns import check_columns, clusters_of, indicators
from bayesimpute.explore.posterior import ChainDraws, sample_posterior
from bayesimpute.explore.summary import (
    anova_components,
    observed_share,
    reml_components,
)
from bayesimpute.method import Array, Design
from bayesimpute.registry import METHODS, resolve
from bayesimpute.specification.aliases import LIKELIHOODS, YES_NO
from bayesimpute.wording import did_you_mean, listed


@dataclass(frozen=True, eq=False, repr=False)
class IntraclassCorrelation(html.Told):
    """Share of a variable's variance that lies between clusters; ``float()`` is its mean.

    Attributes
    ----------
    variable, cluster
        Of which it is.
    method
        The null model, by its canonical name.
    mean, sd
        Of the posterior.
    interval
        Equal-tailed, lower and upper end.
    conf_level
        Its probability.
    draws
        The posterior, (chain, draw).
    reml, anova
        Plain estimates on the scale of the values themselves (categories as indicators), without
        a prior: by restricted maximum likelihood (performance's ``icc`` of a null ``lmer``), and
        by the analysis of variance, which is negative where clusters differ less than chance
        would have it.
    r_hat, ess
        Rank-normalised split R-hat and bulk effective sample size of `draws`.
    divergences
        Divergent transitions.
    n_rows, n_clusters
        Rows with an observed value, and clusters with one.
    seed
        That gives the same draws again.
    """

    variable: str
    cluster: str
    method: str
    mean: float
    sd: float
    interval: tuple[float, float]
    conf_level: float
    draws: Array = field(repr=False)
    reml: float
    anova: float
    r_hat: float
    ess: float
    divergences: int
    n_rows: int
    n_clusters: int
    seed: int

    def __float__(self) -> float:
        return self.mean

    def _said(self) -> tuple[str, ...]:
        low, high = self.interval
        return (
            f"ICC of {self.variable!r} by {self.cluster!r}: {self.mean:.3f}, "
            f"{self.conf_level:.0%} interval {low:.3f} to {high:.3f}",
            f"{self.method} model, {resolve(self.method).share.scale}; {self.n_rows} rows in "
            f"{self.n_clusters} clusters; R-hat {self.r_hat:.3f}, ESS {self.ess:.0f}",
            f"on the values themselves: REML {self.reml:.3f}, ANOVA {self.anova:.3f}",
        )


@checked
def icc(
    df: pd.DataFrame,
    variable: str,
    cluster: str,
    method: str | None = None,
    *,
    priors: Mapping[str, Any] | None = None,
    ci_prob: Level = 0.95,
    draws: ChainDraws = 250,
    chains: Count = 4,
    seed: Seed | None = None,
) -> IntraclassCorrelation:
    r"""Intraclass correlation of a variable: its posterior, and plain estimates beside.

    The posterior is that of a null model (random intercept by cluster, no predictors) under the
    default priors of this package, on the rows in which the variable is observed. For a number it
    is the share τ² / (τ² + σ²); for categories that of the latent variable behind the logit, whose
    error has variance π²/3; for counts and skewed numbers that on the log scale (Nakagawa, Johnson
    & Schielzeth 2017). A rule of thumb: above 0.1, or where the analysis is a mixed model, impute
    with clusters.

    Parameters
    ----------
    df
        The data.
    variable
        A number or category that varies within clusters.
    cluster
        Column of cluster ids.
    method
        ``"normal"``, ``"logistic"``, ``"ordinal"``, ``"categorical"``, ``"poisson"``,
        ``"negative_binomial"``, ``"gamma"``, ``"beta"``, ``"weibull"``, ``"piecewise"``,
        ``"bart"`` (a probit of categories). None
        (default) goes by the kind of column: numbers normal (with two distinct values logistic),
        two categories logistic, ordered ones ordinal, others categorical. Counts have to be named.
    priors
        Parameter -> PyMC distribution, as the method's documentation lists them: with few
        clusters that of ``"sd_intercept"`` decides much.
    ci_prob
        Probability of the interval (0.95).
    draws, chains
        250 draws of each of 4 chains: of numbers an ESS near 1,000, in seconds; of categories and
        counts some hundreds, in half a minute for thousands of rows, for whom the sampler has to
        pass every row. The result says which; more draws sharpen the ends of the interval.
    seed
        For the same draws again; None takes a fresh one and records it.

    Returns
    -------
    IntraclassCorrelation

    Raises
    ------
    SpecificationError
        An unknown column or method, or a method that is not for this variable.
    DataError
        A missing cluster id, nothing observed, fewer than two clusters, no cluster with two
        values, or a variable that does not vary within clusters (its ICC is 1 by definition).

    Examples
    --------
    >>> import bayesimpute as bi
    >>> study = bi.simulate.simulate_popularity(seed=1)
    >>> found = bi.icc(study.incomplete, "popular", "school", seed=1)
    >>> round(found.reml, 3)
    0.632
    >>> abs(float(found) - found.reml) < 0.02
    True
    """
    table = Table.from_frame(df)
    check_columns([variable], table.frame, "variable=")
    index = clusters_of(table, cluster)
    if index is None or variable == cluster:
        raise SpecificationError("icc needs a variable and another column with cluster ids.")
    seed = fresh_seed() if seed is None else seed
    chosen = _method(table, variable, method)
    _check_variation(table.values[variable], index, variable, cluster)
    design = _null_design(table, variable, index, chosen)
    posterior = sample_posterior(chosen, design, priors, draws, chains, seed)
    share = resolve(chosen).share.of_draws(posterior.draws)
    columns = indicators(table, variable)[1][~table.missing(variable)]
    r_hat, ess = _diagnostics(share)
    tail = (1 - ci_prob) / 2
    low, high = np.quantile(share, [tail, 1 - tail])
    return IntraclassCorrelation(
        variable,
        cluster,
        chosen,
        float(share.mean()),
        float(share.std(ddof=1)),
        (float(low), float(high)),
        ci_prob,
        share,
        observed_share(columns, design.cluster, reml_components),
        observed_share(columns, design.cluster, anova_components),
        r_hat,
        ess,
        posterior.divergences,
        len(design.y),
        design.n_clusters,
        seed,
    )


def _method(table: Table, variable: str, asked: str | None) -> str:
    kind, values = table.variables[variable].kind, table.values[variable]
    distinct = len(np.unique(values[~np.isnan(values)]))
    if kind is Kind.OTHER:
        raise SpecificationError(
            f"Variable {variable!r} is neither a number nor a category, so it has no ICC."
        )
    if asked is None:
        return LIKELIHOODS[Kind.BINARY if distinct == 2 else kind]
    known = [name for name in METHODS if hasattr(resolve(name), "share")]
    if asked not in known:
        raise SpecificationError(
            f"icc has no method {asked!r}; it has {listed(known, 9)}.{did_you_mean(asked, known)}"
        )
    two = asked == YES_NO and distinct == 2
    if kind not in resolve(asked).kinds and not two:
        fitting = [name for name in known if kind in resolve(name).kinds]
        raise SpecificationError(
            f"Method {asked!r} is not for {variable!r}, which is {kind.value} with {distinct} "
            f"distinct values; take {' or '.join(repr(name) for name in fitting)}."
        )
    return asked


def _check_variation(values: Array, index: ClusterIndex, variable: str, cluster: str) -> None:
    count = index.n_observed(values)
    observed = values[~np.isnan(values)]
    if len(observed) == 0 or np.ptp(observed) == 0:
        have = "has no observed value" if len(observed) == 0 else "has only one distinct value"
        raise DataError(f"Variable {variable!r} {have}, so it has no ICC.")
    if (count > 0).sum() < 2 or count.max() < 2:
        few = "only one cluster" if (count > 0).sum() < 2 else "no cluster with two values"
        raise DataError(
            f"Variable {variable!r} is observed in {few} of {cluster!r}; an ICC needs two clusters "
            "or more, and two values in one of them."
        )
    if index.is_level2(values):
        raise DataError(
            f"Variable {variable!r} never varies within clusters of {cluster!r}: it is a property "
            "of clusters, whose ICC is 1 by definition."
        )


def _null_design(table: Table, variable: str, index: ClusterIndex, method: str) -> Design:
    """Rows in which the variable is observed, clusters numbered by first appearance."""
    described, observed = table.variables[variable], ~table.missing(variable)
    y, n = table.values[variable][observed], int(observed.sum())
    kind, categories = described.kind, described.categories
    if kind is Kind.NUMERIC and method == YES_NO:
        distinct, codes = np.unique(y, return_inverse=True)
        y, kind, categories = codes.astype(np.float64), Kind.BINARY, tuple(distinct.tolist())
    elif categories:
        # categories nobody has would get shares and effects of their own
        seen, codes = np.unique(y, return_inverse=True)
        y, categories = codes.astype(np.float64), tuple(categories[int(code)] for code in seen)
    cluster, labels = pd.factorize(index.codes[observed])
    return Design(
        variable,
        kind,
        categories,
        y,
        np.empty((n, 0)),
        (),
        np.ones((n, 1)),
        ("intercept",),
        cluster.astype(np.int64),
        len(labels),
        np.ones(n, dtype=bool),
        np.zeros(n, dtype=bool),
    )


def _diagnostics(share: Array) -> tuple[float, float]:
    import arviz

    r_hat = float(arviz.rhat(share, method="rank")) if len(share) > 1 else float("nan")
    return r_hat, float(arviz.ess(share, method="bulk"))
