"""Whether a run can be relied on, in numbers: its chains, and what its data say of a selection."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from bayesimpute import diagnostics as evidence
from bayesimpute.arguments import CountOrNone, checked
from bayesimpute.arrays import Array
from bayesimpute.engine.history import History, labels_of
from bayesimpute.errors import warn
from bayesimpute.result.run import Run
from bayesimpute.sampling.arithmetic import without_compiling
from bayesimpute.specification.compatible import two_equations
from bayesimpute.specification.specification import Specification, Target
from bayesimpute.wrappers.base import layers
from bayesimpute.wrappers.by_group import ByGroup


@checked
def convergence(run: Run, parameter: str = "mean") -> pd.DataFrame:
    """Autocorrelation and potential scale reduction by variable and iteration, as mice has.

    Parameters
    ----------
    run
        The result of ``bi.impute``.
    parameter
        ``"mean"`` (default, as in mice) or ``"sd"`` of the imputed cells; ``"share"``: of the
        imputed cells in each category, a row ``variable[category]`` and iteration;
        ``"monitor"``: what ``monitor=`` of ``bi.impute`` follows; ``"all"``: all of these.
    """
    history, variables = run.history, run.specification.table.variables
    monitored = evidence.by_element(history.monitored, history.monitor_labels)
    labels = {name: labels_of(variables[name].categories) for name in history.chain_share}
    shares = evidence.by_element(history.chain_share, labels)
    return evidence.convergence(history.chain_mean, history.chain_sd, parameter, monitored, shares)


@checked
def diagnostics(run: Run, discard: CountOrNone = 0) -> pd.DataFrame:
    """R-hat, effective sample sizes, Monte Carlo errors and divergences of every quantity.

    Parameters
    ----------
    run
        The result of ``bi.impute``.
    discard
        First iterations to leave out; see `bayesimpute.diagnostics.diagnostics`.
    """
    return evidence.diagnostics(run.datatree, discard)


#: Below this contraction the data have hardly moved ρ; above this overlap neither.
LITTLE_CONTRACTION, MUCH_OVERLAP = 0.3, 0.7
#: Posterior means of an exclusion restriction further from 0 than this many SDs are strong.
STRONG = 3.0
#: Rows of a cluster that make its ρ less uncertain by no more than this add little to the others'.
LITTLE_OF_ITS_OWN = 0.1
#: With fewer draws than this no one is warned: contraction and overlap are themselves estimates.
ENOUGH_DRAWS = 50
#: Chance that a verdict comes from the noise of the draws, and groups of chains it is judged by.
CHANCE, MOST_GROUPS = 0.05, 10
#: With fewer draws than this the error of what is computed from them cannot be told either.
FEWEST_DRAWS = 12
#: Draws of the prior of a cluster's ρ, which has no closed form.
PRIOR_DRAWS = 4000

COLUMNS = (
    "variable", "cluster", "group", "exclusion", "strength", "rho", "5%", "95%", "contraction",
    "overlap", "own", "verdict",
)  # fmt: skip
PRIOR_DECIDES = "the data say little of ρ: its prior decides; try fixed values (rho=)"
TOO_FEW = "too few draws to say"
NOT_OBSERVED = "it has no observed value: its ρ is drawn from the population of clusters"
OWN_LITTLE = "its ρ is that of all clusters: its own rows add little"
OWN_SPEAKS = "its own rows speak of its ρ"


def identification(run: Run) -> pd.DataFrame:
    """How far the data, and not the prior, speak of ρ in each selection model.

    Parameters
    ----------
    run
        The result of ``bi.impute``.

    Returns
    -------
    pandas.DataFrame
        For each target imputed by ``heckman``, ``heckman.robust`` or ``heckman.binary`` one
        row for the population of clusters (``cluster`` missing), then one for each cluster;
        with ``by_group`` these for each ``group``. The exclusion restriction (predictors of the
        selection only), its strength (largest mean / SD of its coefficients, in size), posterior
        mean and 90 % interval of ρ, prior-to-posterior contraction ``1 − var / prior var`` and
        overlap (area under both densities; of a cluster, both with the spread over clusters
        integrated out), the two of atanh ρ; of a cluster ``own``, the share of its spread
        around the population that its own rows have removed (0 where it has nothing observed,
        missing where the draws are too few to tell); and a verdict, which says so where the
        draws are too few for one, by their Monte-Carlo error (jackknife over chains). From the
        second half of the iterations.

    Examples
    --------
    >>> import bayesimpute as bi
    >>> study = bi.simulate.simulate_popularity(seed=1, schools=8, pupils=80)
    >>> imp = bi.impute(
    ...     study.incomplete, cluster="school", method="pmm", m=2, iterations=1, progress=False
    ... )
    >>> len(imp.identification())  # no selection model
    0
    """
    specification = run.specification
    rows = [
        row
        for name in _selection_models(specification)
        for group in _groups(name, specification, run.history)
        for row in _rows(group)
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def warn_of_prior(run: Run) -> None:
    """Warn where the draws of ρ are those of its prior.

    Warns
    -----
    ImputationWarning
        Naming the variable and what to do.
    """
    specification, history = run.specification, run.history
    if history.m * (history.iterations - history.iterations // 2) < ENOUGH_DRAWS:
        return
    for name in _selection_models(specification):
        rows = (next(_rows(group)) for group in _groups(name, specification, history))
        row = next((row for row in rows if row["verdict"] == PRIOR_DECIDES), None)
        if row is not None:
            warn(
                f"The data say little of ρ of {name!r}, the correlation of its outcome and its "
                f"selection (contraction {row['contraction']:.2f}, overlap with the prior "
                f"{row['overlap']:.2f}): what is imputed rests on the prior. See "
                "imp.identification(), and bi.sensitivity(...) for the answer at fixed values of "
                "ρ."
            )


def _selection_models(specification: Specification) -> list[str]:
    return [
        name
        for name, target in specification.targets.items()
        if isinstance(target, Target) and two_equations(target.method)
    ]


@dataclass(frozen=True)
class Estimate:
    """A number computed from draws, and how far it may be off because they are so few.

    Attributes
    ----------
    value
        The estimate.
    margin
        Half the width of a 95 % interval; infinite with one chain or hardly any draws.
    """

    value: float
    margin: float

    def above(self, limit: float) -> bool:
        """Whether it is above a limit for sure."""
        return self.value - self.margin > limit

    def below(self, limit: float) -> bool:
        """Whether it is below a limit for sure."""
        return self.value + self.margin < limit

    def __str__(self) -> str:
        known = np.isfinite(self.margin)
        return (
            f"{self.value:.2f} ± {self.margin:.2f}" if known else f"{self.value:.2f} of one chain"
        )


def estimated(statistic: Callable[..., float], *by_chain: Array) -> Estimate:
    """Estimate with its Monte-Carlo margin, by the jackknife over groups of chains.

    Chains are independent of each other, whatever the autocorrelation within them.

    Parameters
    ----------
    statistic
        Of arrays (draw, …), chains one after the other.
    by_chain
        Arrays (chain, draw, …).

    Examples
    --------
    >>> chains = np.random.default_rng(1).normal(size=(20, 50))
    >>> print(estimated(np.var, chains))
    0.97 ± 0.13
    """
    from scipy import stats

    def of(chains: npt.NDArray[np.int64]) -> float:
        return float(statistic(*(_joined(each[chains]) for each in by_chain)))

    everything = np.arange(len(by_chain[0]))
    groups = np.array_split(everything, min(len(everything), MOST_GROUPS))
    value, n = of(everything), len(groups)
    draws = by_chain[0].shape[0] * by_chain[0].shape[1]
    if n < 2 or draws < FEWEST_DRAWS:
        return Estimate(value, np.inf)
    without = np.array([of(np.setdiff1d(everything, group)) for group in groups])
    if not np.isfinite([value, *without]).all():
        return Estimate(value, np.inf)
    error = np.sqrt((n - 1) * without.var())
    return Estimate(value, float(stats.t.isf(CHANCE / 2, n - 1) * error))


@dataclass(frozen=True, eq=False)
class _Group:
    """Draws of one selection model, or of one of its groups where each has a model of its own.

    Attributes
    ----------
    target
        The model.
    name
        What stands behind the names of its parameters, such as ``"[treated]"``.
    drawn, labels
        Parameter -> draws of the second half, (chain, draw, …), and labels of its elements.
    observed
        Cluster -> whether it has an observed value that the model learns from.
    """

    target: Target
    name: str
    drawn: Mapping[str, Array]
    labels: Mapping[str, tuple[str, ...]]
    observed: Mapping[str, bool]

    @property
    def fixed(self) -> float | None:
        """The value that ρ is fixed at."""
        return self.target.options.get("rho")

    @property
    def excluded(self) -> tuple[str, ...]:
        """Predictors of the selection alone."""
        return tuple(term.label for term in self.target.terms if term.equation == "selection")

    def clusters(self) -> Iterator[tuple[str, Array, bool]]:
        """Give each cluster, the draws of its ρ, and whether it is observed."""
        for k, label in enumerate(self.labels.get("cluster_rho", ())):
            yield label, self.drawn["cluster_rho"][:, :, k], self.observed.get(label, True)

    def strength(self) -> Estimate | None:
        """Largest |mean| / SD of the coefficients of what is in the selection only."""
        at = [
            k
            for k, label in enumerate(self.labels.get("selection_beta", ()))
            if any(label == term or label.startswith(f"{term}[") for term in self.excluded)
        ]
        if not at:
            return None

        def largest(beta: Array) -> float:
            with np.errstate(divide="ignore", invalid="ignore"):
                return float((np.abs(beta.mean(axis=0)) / beta.std(axis=0)).max())

        return estimated(largest, self.drawn["selection_beta"][:, :, at])


def _groups(name: str, specification: Specification, history: History) -> Iterator[_Group]:
    """Take a selection model apart into its groups."""
    target = specification.targets[name]
    assert isinstance(target, Target)
    # after the chains have settled
    kept = {k: v[:, v.shape[1] // 2 :] for k, v in history.parameters.get(name, {}).items()}
    labels = history.labels.get(name, {})
    each = "rho" if target.options.get("rho") is None else "selection_intercept"
    for key in kept:
        if key == each or key.startswith(f"{each}["):
            group = key.removeprefix(each)
            yield _Group(
                target,
                group,
                {k.removesuffix(group): v for k, v in kept.items() if k.endswith(group)},
                {k.removesuffix(group): v for k, v in labels.items() if k.endswith(group)},
                _observed(specification, target, group[1:-1]),
            )


def _observed(specification: Specification, target: Target, group: str) -> dict[str, bool]:
    """Whether a cluster has an observed value that its model learns from, by label."""
    if target.cluster is None:
        return {}
    table = specification.table
    left_out = specification.ignore.copy()
    for wrapper in layers(target.method):
        if isinstance(wrapper, ByGroup) and any(label == group for _, label in wrapper.groups):
            others = [value for value, label in wrapper.groups if label != group]
            left_out |= np.isin(table.values[wrapper.by], others)
    clusters = table.clusters(target.cluster)
    seen = clusters.n_observed(np.where(left_out, np.nan, table.values[target.name])) > 0
    return {str(label): bool(any_) for label, any_ in zip(clusters.labels, seen, strict=True)}


def _rows(group: _Group) -> Iterator[dict[str, Any]]:
    """Give the population of clusters first, then each cluster."""
    strength = group.strength()
    start = {
        "variable": group.target.name,
        "cluster": None,
        "group": group.name[1:-1] or None,
        "exclusion": ", ".join(group.excluded),
        "strength": np.nan if strength is None else strength.value,
    }
    if group.fixed is not None:
        yield {**start, **dict.fromkeys(("rho", "5%", "95%"), group.fixed), "verdict": "ρ is fixed"}
        return
    rho = group.drawn["rho"]
    prior, by_cluster = _prior_draws(group.target)
    verdict = _verdict(rho, prior, group.excluded, strength)
    yield {**start, **_compared(_joined(rho), prior), "verdict": verdict}
    for label, each, observed in group.clusters():
        own, verdict = 0.0, NOT_OBSERVED
        if observed:
            own, verdict = _of_its_own(estimated(_own, each, rho, group.drawn["sd_atanh_rho"]))
        numbers = _compared(_joined(each), by_cluster)
        yield {**start, "cluster": label, **numbers, "own": own, "verdict": verdict}


def _joined(values: Array) -> Array:
    """Chains one after the other, (draw, …)."""
    return values.reshape(-1, *values.shape[2:])


def _of_its_own(share: Estimate) -> tuple[float, str]:
    """Share as it is shown, NaN where it is undetermined, and what it says."""
    outside = share.below(0) or share.above(1)
    if not outside and share.below(LITTLE_OF_ITS_OWN):
        return max(share.value, 0.0), OWN_LITTLE
    if not outside and share.above(LITTLE_OF_ITS_OWN):
        return min(share.value, 1.0), OWN_SPEAKS
    return np.nan, f"{TOO_FEW} whether its own rows speak of its ρ (share {share})"


def _own(cluster: Array, population: Array, sd: Array) -> float:
    """Share of a cluster's spread around the population that its own rows have removed."""
    away = _unbounded(cluster) - _unbounded(population)
    return float(1 - away.var() / (sd**2).mean())


def _unbounded(rho: Array) -> Array:
    return np.arctanh(np.clip(rho, -1 + 1e-12, 1 - 1e-12))


def _compared(rho: Array, prior: Array) -> dict[str, float]:
    """Mean and 90 % interval of ρ, contraction and overlap of atanh ρ."""
    t = _unbounded(rho)
    low, high = np.quantile(rho, [0.05, 0.95])
    return {
        "rho": float(rho.mean()),
        "5%": float(low),
        "95%": float(high),
        "contraction": float(1 - t.var() / prior.var()),
        "overlap": Overlap(t, prior)(t),
    }


def _verdict(rho: Array, prior: Array, excluded: tuple[str, ...], strength: Estimate | None) -> str:
    """Say what the draws of ρ, (chain, draw), tell, where they are enough for that."""
    t = _unbounded(rho)
    contraction = estimated(lambda t: float(1 - t.var() / prior.var()), t)
    overlap = estimated(Overlap(_joined(t), prior), t)
    if contraction.below(LITTLE_CONTRACTION) or overlap.above(MUCH_OVERLAP):
        return PRIOR_DECIDES
    if not (contraction.above(LITTLE_CONTRACTION) and overlap.below(MUCH_OVERLAP)):
        return (
            f"{TOO_FEW} whether the data or the prior speak of ρ (contraction {contraction}, "
            f"overlap {overlap})"
        )
    if not excluded or strength is None:
        return "ρ is known through the shape of the errors alone"
    if strength.below(STRONG):
        return "the exclusion restriction is weak"
    if strength.above(STRONG):
        return "the data speak of ρ"
    return f"the data speak of ρ; {TOO_FEW} how strong the exclusion restriction is ({strength})"


@dataclass(frozen=True, eq=False)
class DrawsOfRho:
    """Draws of ρ of the population of clusters, or of one.

    Attributes
    ----------
    name
        ``"all clusters"``, or the cluster; with the group of ``by_group`` behind it.
    cluster
        None for the population.
    posterior, prior
        (draw,).
    observed
        Whether it has observed values.
    """

    name: str
    cluster: Any
    posterior: Array
    prior: Array
    observed: bool


def draws_of_rho(run: Run, variable: str) -> list[DrawsOfRho]:
    """Prior and posterior draws of ρ of a selection model, from the second half of the chains.

    Parameters
    ----------
    run
        The result of ``bi.impute``.
    variable
        Its target; empty if that has no selection model, or a fixed ρ.
    """
    specification, history = run.specification, run.history
    target = specification.targets[variable]
    if variable not in _selection_models(specification) or not isinstance(target, Target):
        return []
    found = []
    for group in _groups(variable, specification, history):
        if group.fixed is not None:
            return []
        population, of_cluster = map(np.tanh, _prior_draws(target))
        everything = "all clusters" if group.labels.get("cluster_rho") else "ρ"
        of_all = _joined(group.drawn["rho"])
        found.append(DrawsOfRho(f"{everything}{group.name}", None, of_all, population, True))
        found += [
            DrawsOfRho(f"{label}{group.name}", label, _joined(each), of_cluster, observed)
            for label, each, observed in group.clusters()
        ]
    return found


def _prior_draws(target: Target) -> tuple[Array, Array]:
    """Draws of the prior of atanh ρ, of the population and of a cluster."""
    from bayesimpute.sampling.priors import normal_moments
    from bayesimpute.sampling.selection_kernel import DEFAULTS

    moments = normal_moments(target.priors.get("atanh_rho"), 1, 0.0, DEFAULTS.atanh_rho_sd)
    assert moments is not None  # the kernel takes no other
    rng = np.random.default_rng(0)
    population = moments[0][0] + moments[1][0] * rng.normal(size=PRIOR_DRAWS)
    spread = target.priors.get("sd_atanh_rho")
    if spread is None:
        sd = DEFAULTS.spread_scale * np.abs(rng.normal(size=PRIOR_DRAWS))
    else:
        import pymc as pm

        with without_compiling() as mode:
            sd = np.asarray(pm.draw(spread, PRIOR_DRAWS, random_seed=0, mode=mode), dtype=float)
    return population, population + sd * rng.normal(size=PRIOR_DRAWS)


class Overlap:
    """Area under the densities of draws and of a prior, by kernel estimates on one grid."""

    def __init__(self, draws: Array, prior: Array) -> None:
        from scipy import stats

        low, high = np.quantile(prior, [0.001, 0.999])
        self._grid = np.linspace(min(draws.min(), low), max(draws.max(), high), 501)
        self._prior = stats.gaussian_kde(prior)(self._grid)

    def __call__(self, draws: Array) -> float:
        """Area of some of the draws."""
        from scipy import stats

        if draws.std() == 0 or len(draws) < 3:
            return 0.0
        both = np.minimum(self._prior, stats.gaussian_kde(draws)(self._grid))
        return float(np.trapezoid(both, self._grid))
