"""``bi.icc``: how alike the rows of a cluster are; its posterior by the kernels that impute."""

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any, overload

import numpy as np
import pandas as pd

from bayesimpute import html
from bayesimpute.arguments import Count, Level, Seed, Within, checked
from bayesimpute.data.names import safe_pair, safe_text
from bayesimpute.data.table import ClusterIndex, Kind, Table
from bayesimpute.engine.streams import fresh_seed
from bayesimpute.errors import DataError, SamplingError, SpecificationError
from bayesimpute.explore.columns import (
    check_columns,
    check_factors,
    indicators,
    simple_design,
)
from bayesimpute.explore.patterns import (
    anova_components,
    observed_share,
    reml_components,
)
from bayesimpute.method import Array, Design
from bayesimpute.pooling.variance_intervals import pooled_parameters
from bayesimpute.registry import METHODS, resolve
from bayesimpute.sampling.groupings import designs_of, named
from bayesimpute.specification.aliases import LIKELIHOODS, YES_NO
from bayesimpute.wording import did_you_mean, listed
from bayesimpute.wrappers.base import inner_kernel

if TYPE_CHECKING:
    import xarray as xr


#: Split R-hat and ESS need a few draws a chain to be numbers, and some to mean anything.
FEWEST_DRAWS = 20
#: Draws of a chain.
type ChainDraws = Annotated[int, Within(FEWEST_DRAWS)]

#: A visit of an imputation takes four transitions, so as to forget the last one; where draws are
#: averaged, forgetting buys less than it costs. On the collapsed normal posterior one transition is
#: nearly independent of the last. The sweeps of other models depend more on their tuning, which is
#: shared by all chains.
FORGETTING: Mapping[str, int] = MappingProxyType({"transitions": 1})
OTHER_OPTIONS: Mapping[str, int] = MappingProxyType({"transitions": 2, "tune": 200})


@dataclass(frozen=True, eq=False)
class Posterior:
    """Draws of a model's population parameters.

    Attributes
    ----------
    draws
        Parameter -> (chain, draw), or (chain, draw, element).
    labels
        Parameter -> labels of its elements, () for a scalar.
    divergences
        Divergent transitions over all chains.
    seed
        That gives the same draws again.
    """

    draws: Mapping[str, Array]
    labels: Mapping[str, tuple[str, ...]]
    divergences: int
    seed: int

    def tree(self, target: str) -> "xr.DataTree":
        """ArviZ's form: group ``posterior``, variables ``"<target>.<parameter>"``."""
        import xarray as xr

        chains, n = next(iter(self.draws.values())).shape[:2]
        variables, coordinates = {}, {"chain": np.arange(chains), "draw": np.arange(n)}
        for name, values in self.draws.items():
            own = f"{name}_element"
            several = values.ndim > 2
            if several:
                coordinates[own] = np.array(list(map(safe_text, self.labels[name])), dtype=str)
            variables[safe_pair(target, name)] = xr.DataArray(
                values,
                dims=("chain", "draw", own) if several else ("chain", "draw"),
                attrs={"target": safe_text(target), "quantity": name},
            )
        dataset = xr.Dataset(variables, coords=coordinates)
        return xr.DataTree.from_dict({"posterior": dataset})


def sample_posterior(
    method: str,
    design: Design,
    priors: Mapping[str, Any] | None,
    draws: int,
    chains: int,
    seed: int,
) -> Posterior:
    """Run chains of a model one after the other.

    Parameters
    ----------
    method
        Canonical name.
    design
        All rows to fit to, none to draw.
    priors
        Parameter -> PyMC distribution, in place of the method's default.
    draws
        Kept of each chain.
    chains
        Their number; each starts dispersed around the posterior.
    seed
        Of the draws.

    Raises
    ------
    SpecificationError
        If a prior is of a parameter the model does not have.
    SamplingError
        If the model cannot be sampled.
    """
    implementation = resolve(method)
    forgets = getattr(implementation, "forgets_at_once", False)
    options = {**implementation.options, **(FORGETTING if forgets else OTHER_OPTIONS)}
    kernel = inner_kernel(method, design, dict(priors or {}), options)
    tuning, *streams = np.random.SeedSequence(seed).spawn(1 + chains)
    kept: dict[str, list[Any]] = {name: [] for name in kernel.labels}
    divergences = 0.0
    try:
        adaptation = kernel.adapt(design, np.random.default_rng(tuning))
        for rng in map(np.random.default_rng, streams):
            visit = kernel.visit(design, adaptation, kernel.start(adaptation, rng), rng, True)
            for _ in range(draws):
                visit = kernel.visit(design, adaptation, visit.state, rng, False)
                divergences += float(visit.statistics.get("diverging", 0.0))
                for name, values in kept.items():
                    values.append(np.copy(visit.parameters[name]))
    except (ArithmeticError, ValueError, RuntimeError) as error:
        if isinstance(error, SpecificationError):
            raise
        raise SamplingError(
            f"The {method} model of {design.target!r} could not be sampled: {error}. Tighter "
            "priors (priors=) may help."
        ) from error
    together = {name: np.array(values, dtype=np.float64) for name, values in kept.items()}
    arrays = {name: v.reshape(chains, draws, *v.shape[1:]) for name, v in together.items()}
    return Posterior(arrays, kernel.labels, int(divergences), seed)


#: What no grouping has of the variance.
WITHIN = "within"


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


@dataclass(frozen=True, eq=False, repr=False)
class VarianceShares(html.Told):
    """Shares of a variable's variance by several groupings, and within all of them.

    Attributes
    ----------
    variable, clusters
        Of which they are; the grouping of most clusters first.
    method
        The null model, by its canonical name.
    table
        Index: the groupings, and ``"within"``; columns ``mean``, ``sd``, ``low``, ``high``
        (equal-tailed), ``r_hat``, ``ess`` of the posterior; ``reml``, ``reml_low``, ``reml_high``
        without a prior, on the scale of the values themselves (categories as indicators; of
        several indicators without an interval); ``n_clusters``. Shares sum to 1; two rows have the
        sum of those of the clusters they are both in as their correlation.
    conf_level
        Probability of the intervals.
    draws
        The posterior by grouping, (chain, draw).
    divergences
        Divergent transitions.
    n_rows
        Rows with an observed value.
    seed
        That gives the same draws again.
    """

    variable: str
    clusters: tuple[str, ...]
    method: str
    table: pd.DataFrame
    conf_level: float
    draws: Mapping[str, Array] = field(repr=False)
    divergences: int
    n_rows: int
    seed: int

    def _said(self) -> Iterator[str | pd.DataFrame]:
        yield (
            f"Shares of the variance of {self.variable!r} by {listed(self.clusters)}; "
            f"{self.method} model, {resolve(self.method).share.scale}; {self.n_rows} rows; "
            f"{self.conf_level:.0%} intervals; REML on the values themselves"
        )
        yield self.table.round(3)


@overload
def icc(
    df: pd.DataFrame, variable: str, cluster: str, *args: Any, **options: Any
) -> IntraclassCorrelation: ...
@overload
def icc(
    df: pd.DataFrame,
    variable: str,
    cluster: list[str] | tuple[str, ...],
    *args: Any,
    **options: Any,
) -> VarianceShares: ...
@checked
def icc(
    df: pd.DataFrame,
    variable: str,
    cluster: str | Sequence[str],
    method: str | None = None,
    *,
    priors: Mapping[str, Any] | None = None,
    ci_prob: Level = 0.95,
    draws: ChainDraws = 250,
    chains: Count = 4,
    seed: Seed | None = None,
) -> IntraclassCorrelation | VarianceShares:
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
        Column of cluster ids; or several, ``["school", "class"]``, nested or crossed: then the
        shares of variance of each, and of what is within all of them.
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
        Of several groupings `VarianceShares`.

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
    >>> classes = bi.simulate.simulate_classes(1, schools=30, classes=3, pupils=6).complete
    >>> shares = bi.icc(classes, "score", ["school", "class"], draws=50, seed=1)
    >>> shares.table.index.tolist()
    ['class', 'school', 'within']
    """
    table = Table.from_frame(df)
    check_columns([variable], table.frame, "variable=")
    names = check_factors(cluster, table)
    if variable in names:
        raise SpecificationError("icc needs a variable and another column with cluster ids.")
    seed = fresh_seed() if seed is None else seed
    chosen = _method(table, variable, method)
    for name in names:
        _check_variation(table.values[variable], table.clusters(name), variable, name)
    design = _null_design(table, variable, names, chosen)
    posterior = sample_posterior(chosen, design, priors, draws, chains, seed)
    columns = indicators(table, variable)[1][~table.missing(variable)]
    if not isinstance(cluster, str):
        return _several(columns, variable, chosen, design, posterior, ci_prob)
    share = resolve(chosen).share.of_draws(posterior.draws)
    found = _summary(share, ci_prob)
    reml = observed_share(columns, design.cluster, reml_components)
    anova = observed_share(columns, design.cluster, anova_components)
    return IntraclassCorrelation(
        variable, cluster, chosen, found["mean"], found["sd"], (found["low"], found["high"]),
        ci_prob, share, reml, anova, found["r_hat"], found["ess"], posterior.divergences,
        len(design.y), design.n_clusters, seed,
    )  # fmt: skip


def _summary(share: Array, ci_prob: float) -> dict[str, float]:
    """Moments, interval and diagnostics of draws, (chain, draw)."""
    import arviz

    tail = (1 - ci_prob) / 2
    low, high = np.quantile(share, [tail, 1 - tail])
    return {
        "mean": float(share.mean()),
        "sd": float(share.std(ddof=1)),
        "low": float(low),
        "high": float(high),
        "r_hat": float(arviz.rhat(share, method="rank")) if len(share) > 1 else float("nan"),
        "ess": float(arviz.ess(share, method="bulk")),
    }


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


def _null_design(table: Table, variable: str, names: Sequence[str], method: str) -> Design:
    """Rows in which the variable is observed, clusters numbered by first appearance."""
    described, observed = table.variables[variable], ~table.missing(variable)
    y = table.values[variable][observed]
    kind, categories = described.kind, described.categories
    if kind is Kind.NUMERIC and method == YES_NO:
        distinct, codes = np.unique(y, return_inverse=True)
        y, kind, categories = codes.astype(np.float64), Kind.BINARY, tuple(distinct.tolist())
    elif categories:
        # categories nobody has would get shares and effects of their own
        seen, codes = np.unique(y, return_inverse=True)
        y, categories = codes.astype(np.float64), tuple(categories[int(code)] for code in seen)
    factors = {name: table.clusters(name).codes[observed] for name in names}
    return simple_design(variable, kind, categories, y, factors)


def _several(
    columns: Array,
    variable: str,
    method: str,
    design: Design,
    posterior: Posterior,
    ci_prob: float,
) -> VarianceShares:
    """Shares of each grouping, of the posterior and by REML."""
    parts = designs_of(design)
    shares = factor_shares(
        resolve(method).share.of_draws, posterior.draws, [each.grouping for each in parts]
    )
    everything = {**shares, WITHIN: 1.0 - np.sum(list(shares.values()), axis=0)}
    rows = {name: _summary(share, ci_prob) for name, share in everything.items()}
    found = pd.DataFrame.from_dict(rows, orient="index").rename_axis("cluster")
    found = found.join(_reml_shares(columns, design, ci_prob))
    counts = pd.Series({each.grouping: each.n_clusters for each in parts})
    found["n_clusters"] = counts.reindex(found.index).astype("Int64")
    names = tuple(shares)
    return VarianceShares(
        variable, names, method, found, ci_prob, shares, posterior.divergences,
        len(design.y), posterior.seed,
    )  # fmt: skip


def factor_shares(
    of_draws: Callable[[Mapping[str, Array]], Array],
    draws: Mapping[str, Array],
    names: Sequence[str],
) -> dict[str, Array]:
    """Share of variance of each grouping, (chain, draw), from what a model says of one.

    Parameters
    ----------
    of_draws
        Share of all groupings together as a function of the parameters of one.
    draws
        Of a model without predictors, ``"sd_intercept|school"`` by grouping.
    names
        The groupings.

    Examples
    --------
    >>> draws = {"sd_intercept|a": np.ones((1, 2)), "sd_intercept|b": np.full((1, 2), 2.0)}
    >>> logit = lambda d: d["sd_intercept"] ** 2 / (d["sd_intercept"] ** 2 + 5.0)
    >>> factor_shares(logit, draws, ["a", "b"])["b"]
    array([[0.4, 0.4]])
    """
    sds = {name: draws[named("sd_intercept", name)] for name in names}
    first = next(iter(sds.values()))
    if first.ndim == 2:
        total = np.sum([sd**2 for sd in sds.values()], axis=0)
        together = of_draws({**draws, "sd_intercept": np.sqrt(total)})
        return {name: np.asarray(together * sd**2 / total) for name, sd in sds.items()}
    # effects of several categories: each beside what is within, which is the same for all
    odds = {}
    for name, sd in sds.items():
        own = {"sd_intercept": sd}
        if (correlation := draws.get(named("correlation", name))) is not None:
            own["correlation"] = correlation
        share = of_draws({**draws, **own})
        odds[name] = share / (1.0 - share)
    whole = 1.0 + np.sum(list(odds.values()), axis=0)
    return {name: np.asarray(each / whole) for name, each in odds.items()}


def _reml_shares(columns: Array, design: Design, ci_prob: float) -> pd.DataFrame:
    """Shares by restricted maximum likelihood; of one column of numbers with intervals."""
    import mixedlm

    designs = designs_of(design)
    codes = {f"g{k}": each.cluster for k, each in enumerate(designs)}
    formula = " + ".join(["y ~ 1", *(f"(1 | {name})" for name in codes)])
    variances, fits = np.zeros(len(designs) + 1), []
    for column in columns.T:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a variance of 0 is an answer, and is shown
            fits.append(mixedlm.lmer(formula, pd.DataFrame({"y": column, **codes})))
        estimated = fits[-1].VarCorr()
        own = [float(block.cov[0, 0]) for block in estimated.groups.values()]
        variances += [*own, float(estimated.residual)]
    names = [*(each.grouping for each in designs), WITHIN]
    found = pd.DataFrame({"reml": variances / variances.sum()}, index=names)
    found[["reml_low", "reml_high"]] = np.nan
    if len(fits) == 1:
        intervals = pooled_parameters(fits, ci_prob)
        for k, each in enumerate(designs):
            ends = intervals.loc[f"icc(g{k})", ["conf_low", "conf_high"]]
            found.loc[each.grouping, ["reml_low", "reml_high"]] = ends.to_numpy(dtype=float)
    return found
