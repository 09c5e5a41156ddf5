"""Simulation-based calibration of any method (Talts et al. 2018; Modrák et al. 2023).

Parameters drawn from their priors and data drawn from the likelihood are a draw from the joint
distribution, so the parameters, and the values then hidden, are draws from the posterior given
what is left: among draws of a right sampler each has a uniform rank. Model and kernel of a method
are written apart, and what is drawn from the first is ranked among draws of the second, so a
mistake in either shows.

Why not ArviZ's simuk: it calls ``pm.sample`` on the model anew for every replicate, and ranks
parameters. What has to be calibrated here is not ``pm.sample`` but our kernels, which are compiled
once, adapted, and visited as in a run; and imputed values have to be ranked, those of clusters
without any observed value among them.

Decided for correctness
-----------------------
- Units and default priors come from the design a model or kernel is built with. Both are built
  once, on one reference frame in which all is observed; replicates change only the values and
  which of them are observed. So all replicates have the same priors.
- A kernel is adapted anew in each replicate, as it would be in a run. The adaptation looks at the
  data, which is allowed: it is frozen before the draws, and each of them then leaves the
  posterior given these data as it is.
- Which values are hidden changes with the replicate, and depends on no value.
- Equal values (categories, counts) are ranked with ties broken at random, which keeps ranks
  uniform.
- Functions of missing and observed values together are quantities, too: they see what single
  values hide (Modrák et al. 2023), such as values that belong to another cluster.
"""

from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from functools import lru_cache
from threading import Lock, get_ident
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import pandas as pd

from bayesimpute import html
from bayesimpute.arguments import Count, CountOrNone, Level, Seed, Within, checked
from bayesimpute.checking.uniformity import band, chi2_p, ecdf, ecdf_p, expected
from bayesimpute.engine.bench import Bench, model_of
from bayesimpute.engine.failures import FAILURES, said
from bayesimpute.engine.streams import fresh_seed
from bayesimpute.errors import SamplingError
from bayesimpute.method import Array, Design, Visit
from bayesimpute.plots.style import GREY, IMPUTED, OBSERVED, literal, subplots, tidy
from bayesimpute.registry import METHODS, resolve
from bayesimpute.simulate.scenario import (
    TARGET,
    Effects,
    Forward,
    KindName,
    Pattern,
    Scenario,
    elements,
)
from bayesimpute.wording import not_zero, one_line
from bayesimpute.wrappers.base import method_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


#: Panels beside each other.
COLUMNS = 4


@dataclass(frozen=True, eq=False)
class Calibration:
    """Ranks of true quantities among their draws.

    Attributes
    ----------
    method
        Name of what was calibrated.
    scenario
        On which data.
    ranks
        Number of draws below the truth, 0 … draws: a row each replicate, a column each quantity.
        Quantities of the imputed values begin with ``imputed``, all others are parameters.
    draws
        Draws a replicate.
    autocorrelation
        Mean lag-1 autocorrelation of the ranked draws, by quantity. Independent draws have a
        little below 0; with much more, ranks pile up at both ends although the sampler is right:
        raise `thin`.
    divergences
        Diverging transitions, over all replicates.
    seed
        Gives the same ranks again.
    level
        Probability that a right sampler has any quantity called not uniform.
    """

    method: str
    scenario: Scenario
    ranks: pd.DataFrame
    draws: int
    autocorrelation: "pd.Series[float]"
    divergences: int
    seed: int
    level: float = 0.01

    @property
    def table(self) -> pd.DataFrame:
        """χ² and ECDF p-values, autocorrelation, and the verdict, one row a quantity.

        A quantity is not uniform if the smaller p-value, doubled for having two, and multiplied
        by the number of quantities (Bonferroni), is below `level`.
        """
        rows = {}
        for name in self.ranks:
            ranks = self.ranks[name].to_numpy()
            chi2 = float(not_zero(chi2_p(ranks, self.draws)))
            of_ecdf = ecdf_p(ranks, self.draws)
            p = min(1.0, 2 * min(chi2, of_ecdf) * self.ranks.shape[1])
            rows[str(name)] = [chi2, of_ecdf, self.autocorrelation[str(name)], p >= self.level]
        columns = ["chi2_p", "ecdf_p", "autocorrelation", "uniform"]
        table = pd.DataFrame.from_dict(rows, orient="index", columns=columns)
        return table.rename_axis("quantity").astype({"uniform": bool})

    @property
    def ok(self) -> bool:
        """Whether all quantities are uniform."""
        return bool(self.table["uniform"].all())

    def plot(self, figsize: tuple[float, float] | None = None) -> "Figure":
        """Draw, for each quantity, the ECDF of its ranks minus that of uniform ones.

        Grey is the simultaneous band: a right sampler leaves it, in any panel, with probability
        `level` / 2, the other half being the χ² test's. Above zero, truths rank low, so draws are
        too high; below zero they are too low. Above on the left and below on the right, draws
        spread too little; the other way round, too much.

        Parameters
        ----------
        figsize
            Inches; default by the number of panels.

        Returns
        -------
        matplotlib.figure.Figure
        """
        shown = {
            name: (self, [name], bool(uniform)) for name, uniform in self.table["uniform"].items()
        }
        figure = _panels(shown, figsize)
        figure.suptitle(literal(f"{self.method}, {self.scenario.pattern}"), fontsize=10)
        return figure

    def __str__(self) -> str:
        n, quantities = self.ranks.shape
        table = self.table
        bad = table.index[~table["uniform"]]
        verdict = f"not uniform: {', '.join(bad)}" if len(bad) else "all uniform"
        return one_line(
            f"Calibration of {self.method}, {self.scenario.pattern}: {n} replicates, "
            f"{self.draws} draws, {quantities} quantities, {verdict}"
        )

    def __repr__(self) -> str:
        return f"<{self}>"

    def _repr_html_(self) -> str:
        return html.plain(str(self), html.frame(self.table))

    @property
    def imputed(self) -> "np.ndarray":
        """Which quantities are of imputed values, bool (quantity,)."""
        return np.array([str(name).startswith("imputed") for name in self.ranks], dtype=bool)


def matrix_panels(
    results: Mapping[str, Calibration], figsize: tuple[float, float] | None = None
) -> "Figure":
    """One panel a scenario, with the lines of all its quantities."""
    shown = {name: (each, list(each.ranks), each.ok) for name, each in results.items()}
    return _panels(shown, figsize)


def _panels(
    shown: Mapping[Any, tuple[Calibration, Sequence[Any], bool]],
    figsize: tuple[float, float] | None,
) -> "Figure":
    """One panel each: of which result, the quantities, and whether they are uniform."""
    from matplotlib.lines import Line2D

    n, columns = len(shown), min(COLUMNS, len(shown))
    rows = -(-n // columns)
    size = figsize or (2.4 * columns + 0.4, 1.7 * rows + 0.8)
    figure, axes = subplots(rows, columns, size, sharex=True)
    for row in range(rows):
        axes[row, 0].set_ylabel("ECDF − uniform", fontsize=8, color=GREY)
    for panel in axes.flat[n:]:
        panel.set_visible(False)
    for panel in axes.flat[max(n - columns, 0) : n]:
        # the last panel of a column carries its axis, in a row that is not full too
        panel.set_xlabel("rank / draws", fontsize=8, color=GREY)
        panel.tick_params(labelbottom=True)
    for panel, (name, (result, names, uniform)) in zip(axes.flat, shown.items(), strict=False):
        _panel(panel, result, names)
        title, weight = (name, "normal") if uniform else (f"{name} (not uniform)", "bold")
        panel.set_title(literal(title), fontsize=8, loc="left", fontweight=weight)
    kinds = {"parameter": OBSERVED, "imputed value": IMPUTED}
    handles = [Line2D([], [], color=color, label=label) for label, color in kinds.items()]
    figure.legend(handles=handles, loc="outside lower right", ncols=2, frameon=False, fontsize=8)
    return figure


def _panel(panel: "Axes", result: Calibration, names: Sequence[Any]) -> None:
    draws, replicates = result.draws, len(result.ranks)
    share = expected(draws)
    ends = band(replicates, draws, result.level / 2 / result.ranks.shape[1])
    at = np.concatenate([[0.0], share, [1.0]])
    # both ends of a difference of distribution functions are 0
    lower, upper = (np.pad(end - share, 1) for end in ends)
    panel.fill_between(at, lower, upper, color=GREY, alpha=0.15, linewidth=0, step="mid")
    panel.axhline(0.0, color=GREY, linewidth=0.6)
    imputed = dict(zip(result.ranks, result.imputed, strict=True))
    for name in names:
        line = np.pad(ecdf(result.ranks[name].to_numpy(), draws) - share, 1)
        color, width = IMPUTED if imputed[name] else OBSERVED, 1.2 if len(names) == 1 else 0.8
        panel.step(at, line, where="mid", color=color, linewidth=width)
    panel.set_xlim(0, 1)
    panel.set_xticks([0, 0.5, 1], ["0", "½", "1"])
    tidy(panel)


def imputed_quantities(design: Design, values: Array) -> dict[str, float]:
    """Quantities of the missing values, some of them with the observed ones.

    Categories enter by their codes: any function will do, as truth and draws get the same.

    Parameters
    ----------
    design
        With the observed values in `y`.
    values
        Of the `draw` rows, (drawn,), true or drawn.
    """
    cluster = design.cluster[design.draw]
    seen = np.bincount(design.cluster[design.fit], minlength=design.n_clusters)
    partly = seen[cluster] > 0
    named = {
        "imputed value": values[partly][0],
        "imputed mean": values[partly].mean(),
        "imputed SD": values[partly].std(),
    }
    if design.predictors:
        x = design.x[design.draw, 0]
        named[f"imputed × {design.predictors[0]}"] = float(values @ (x - x.mean()))
    if design.random_effects:
        # values of a wrong cluster have the right mean and spread, but not with their neighbours
        total = np.bincount(
            design.cluster[design.fit], design.y[design.fit], minlength=design.n_clusters
        )
        mean = total / np.maximum(seen, 1)
        neighbours = mean[cluster[partly]]
        named["imputed × cluster mean"] = float(values[partly] @ (neighbours - neighbours.mean()))
    if not partly.all():
        named["imputed value, unobserved cluster"] = values[~partly][0]
        own = cluster == cluster[~partly][0]
        named["imputed mean, unobserved cluster"] = values[own].mean()
        named["imputed SD, unobserved cluster"] = values[own].std()
    return {name: float(value) for name, value in named.items()}


@checked
def sbc(
    method: Any,
    pattern: Pattern = "sporadic",
    *,
    replicates: Annotated[int, Within(10)] = 200,
    effects: Effects = "slope",
    clusters: Annotated[int, Within(2)] | None = None,
    rows: Annotated[int, Within(2)] = 12,
    predictors: CountOrNone = 1,
    missing: Level = 0.3,
    kind: KindName | None = None,
    categories: Annotated[int, Within(3)] = 3,
    typical: Sequence[float] = (),
    priors: Mapping[str, Any] | None = None,
    options: Mapping[str, Any] | None = None,
    draws: Annotated[int, Within(3)] = 31,
    thin: Count = 2,
    level: Level = 0.01,
    seed: Seed | None = None,
    executor: Executor | None = None,
) -> Calibration:
    """Check a method by simulation: the truth must rank uniformly among its draws.

    In each replicate, parameters are drawn from their priors and data from the model; some values
    are hidden, the method imputes them, and the truth is ranked among the method's draws. If model
    and sampler are right, all ranks are uniform.

    Parameters
    ----------
    method
        Name, method object, model builder or wrapper, as for :func:`bayesimpute.impute`.
    pattern
        ``"sporadic"``; ``"systematic"``, where one cluster in four has no value at all, and values
        are missing in the others; or ``"level 2"``, where the target has one value a cluster.
    replicates
        Number of simulated data sets, from 10. 40 see a gross mistake, 400 a moderate one.
    effects
        ``"slope"``: intercept and slope of the first predictor vary by cluster;
        ``"independent slope"``: those of all predictors, the last one's independent of the others;
        ``"intercept"``; ``"none"``, no clusters; ``"nested"``: intercepts by cluster and by groups
        of three clusters, and the first predictor's slope by group; ``"crossed"``: intercept and
        slope by cluster, and an intercept by the place of a row in its cluster; or ``"nested
        intercepts"`` and ``"crossed intercepts"``, the same without slopes.
    clusters, rows
        Clusters (default 8, at level 2 30) and rows in each. Few, so that priors matter.
    predictors
        Number of predictors ``x1, x2, …``; every second has two values.
    missing
        Share of values that are hidden.
    kind
        ``"numeric"``, ``"nominal"``, ``"ordinal"`` or ``"binary"``; default, the first of them that
        the method takes.
    categories
        Number of categories of a nominal or ordinal target.
    typical
        Values the target typically takes. They set units and default priors, so they must be
        possible ones: counts for a model of counts. Default: standard normal, and categories
        equally often.
    priors
        Distributions by parameter, in place of defaults so wide that they simulate absurd data.
    options
        Of the method.
    draws
        Draws that are ranked.
    thin
        Visits between two of them; see ``autocorrelation`` in the result.
    level
        Probability that a right method is called not uniform.
    seed
        Whole number from 0; the same seed gives the same ranks for any `executor`.
    executor
        Any ``concurrent.futures.Executor``; default, this process.

    Returns
    -------
    Calibration
        With ``ok``, ``table``, ``ranks`` and ``plot()``.

    Raises
    ------
    DataError, SpecificationError
        Before any work, when arguments cannot be used.
    SamplingError
        When a replicate fails, naming it.

    Notes
    -----
    Predictive mean matching copies observed values and does not draw from its model, so that ranks
    of its imputed values are not uniform; that is no mistake.

    Examples
    --------
    >>> import bayesimpute as bi
    >>> result = bi.simulate.sbc("normal", effects="intercept", replicates=20, seed=1)
    >>> print(result)
    Calibration of normal, sporadic: 20 replicates, 31 draws, 9 quantities, all uniform
    """
    scenario = Scenario(
        pattern,
        effects,
        clusters,
        rows,
        predictors,
        missing,
        kind,
        categories,
        tuple(typical),
        dict(priors or {}),
        dict(options or {}),
    )
    seed = fresh_seed() if seed is None else int(seed)
    task = method, scenario, draws, thin, seed
    if executor is None:
        workshop = _Workshop(*task)
        found = [_replicate(workshop, k) for k in range(replicates)]
    else:
        import cloudpickle

        # arguments are checked here, before work is handed out
        scenario.specification(method, np.random.default_rng(0))
        shared = cloudpickle.dumps(task)
        futures = [executor.submit(_remote_replicate, shared, k) for k in range(replicates)]
        try:
            found = [future.result() for future in futures]
        finally:  # of a failure nobody waits for the rest
            for future in futures:
                future.cancel()
    ranks, autocorrelation, divergences = zip(*found, strict=True)
    return Calibration(
        method_text(method),
        scenario,
        pd.DataFrame(ranks).rename_axis("replicate"),
        draws,
        pd.DataFrame(autocorrelation).mean(),
        int(sum(divergences)),
        seed,
        level,
    )


#: Ranks and lag-1 autocorrelations by quantity, and divergences, of one replicate.
type _Found = tuple[dict[str, int], dict[str, float], float]


class _Workshop:
    """Kernel and forward model of a task, compiled."""

    def __init__(self, method: Any, scenario: Scenario, draws: int, thin: int, seed: int) -> None:
        self.scenario, self.draws, self.thin, self.seed = scenario, draws, thin, seed
        rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(0,)))
        specification = scenario.specification(method, rng)
        values = specification.table.values
        bench = Bench.of(specification, values)
        self.kernel = bench.kernels[TARGET]
        self.reference = bench.builders[TARGET].build(values)
        target: Any = specification.targets[TARGET]
        model = model_of(specification, target, self.reference)
        self.forward = Forward(model, self.kernel.labels, len(self.reference.y))

    def visits(self, design: Design, rng: np.random.Generator) -> list[Visit]:
        """Adapt the kernel to the data, and give the visits that are ranked."""
        adaptation = self.kernel.adapt(design, rng)
        state = self.kernel.start(adaptation, rng)
        visit = self.kernel.visit(design, adaptation, state, rng, True)
        kept = []
        for _ in range(self.draws):
            for _ in range(self.thin):
                visit = self.kernel.visit(design, adaptation, visit.state, rng, False)
            kept.append(visit)
        return kept


_COMPILING = Lock()  # PyTensor does not compile in two threads at once


@lru_cache(maxsize=4)
def _workshop_of(shared: bytes, thread: int) -> _Workshop:
    """Compile once a worker and thread: compiled functions own their memory."""
    import cloudpickle

    with _COMPILING:
        return _Workshop(*cloudpickle.loads(shared))


def _remote_replicate(shared: bytes, number: int) -> _Found:
    return _replicate(_workshop_of(shared, get_ident()), number)


def _replicate(workshop: _Workshop, number: int) -> _Found:
    kernel, reference, seed = workshop.kernel, workshop.reference, workshop.seed
    # a stream for each act, so that another number of draws leaves the data as they are
    data, moves, ties = map(
        np.random.default_rng, np.random.SeedSequence(seed, spawn_key=(1, number)).spawn(3)
    )
    truth, y = workshop.forward.draw(data)
    gone = workshop.scenario.hide(reference, data)
    design = replace(reference, y=np.where(gone, np.nan, y), fit=~gone, draw=gone)
    true = _quantities(kernel.labels, truth, design, y[gone])
    try:
        visits = workshop.visits(design, moves)
    except FAILURES as error:
        raise SamplingError(
            f"sbc: replicate {number} of seed {seed} failed: {said(error)}. Data this "
            "extreme may come from wide priors; give tighter ones by priors=."
        ) from error
    drawn = [_quantities(kernel.labels, v.parameters, design, v.values) for v in visits]
    series = {name: np.array([each[name] for each in drawn]) for name in true}
    return (
        {name: _rank(true[name], values, ties) for name, values in series.items()},
        {name: _lag1(values) for name, values in series.items()},
        sum(visit.statistics.get("diverging", 0.0) for visit in visits),
    )


def _quantities(
    labels: Mapping[str, tuple[str, ...]],
    parameters: Mapping[str, Any],
    design: Design,
    values: Array,
) -> dict[str, float]:
    named = {}
    for name, own in labels.items():
        for label, value in zip(own or ("",), elements(parameters[name], own, name), strict=True):
            named[f"{name}[{label}]" if label else name] = float(value)
    return {**named, **imputed_quantities(design, values)}


def _rank(truth: float, draws: Array, rng: np.random.Generator) -> int:
    """Draws below the truth, and a random number of those equal to it."""
    # sums of the same numbers in another order are equal to rounding
    near = 1e-12 * max(abs(truth), float(np.abs(draws).max()))
    equal = np.abs(draws - truth) <= near
    return int((draws[~equal] < truth).sum() + rng.integers(0, equal.sum() + 1))


def _lag1(series: Array) -> float:
    centred = series - series.mean()
    spread = float(centred @ centred)
    return float(centred[1:] @ centred[:-1]) / spread if spread > 0 else float("nan")


DATA: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "sporadic": {"pattern": "sporadic"},
        "systematic": {"pattern": "systematic"},
        "random intercept": {"pattern": "sporadic", "effects": "intercept"},
        "level 2": {"pattern": "level 2"},
    }
)
"""Name of the data -> arguments of :func:`bayesimpute.simulate.sbc`."""


@dataclass(frozen=True)
class Cell:
    """One cell of the matrix: a method on some data."""

    model: str
    data: str
    method: str
    arguments: Mapping[str, Any] = field(hash=False)

    def __str__(self) -> str:
        return f"{self.model}, {self.data}"


def _by_one_variable(method: Any) -> bool:
    """Whether its values are drawn from a likelihood of one target, missing at random.

    Others copy observed values, or are calibrated in ``tests/calibration``.
    """
    likelihood = getattr(method, "has_likelihood", True)
    several = getattr(method, "block", False) or getattr(method, "two_equations", False)
    return likelihood and not several


def matrix() -> tuple[Cell, ...]:
    """Give all cells, method by method, then those with other options or predictors."""
    methods = {name: resolve(name) for name in METHODS}
    methods = {name: method for name, method in methods.items() if _by_one_variable(method)}

    def cell(
        name: str, data: str, what: str = "", more: Mapping[str, Any] = MappingProxyType({})
    ) -> Cell:
        # what the method's file says: typical values, or options it cannot do without
        of_method = getattr(methods[name], "calibration", None)
        own = of_method(data) if of_method else {}
        return Cell(f"{name}{what}", data, name, {**DATA[data], **own, **more})

    plain = [cell(name, data) for name in methods for data in DATA]
    more = [
        cell(name, data, f", {what}", arguments)
        for name, method in methods.items()
        for what, (on, arguments) in getattr(method, "calibrated_too", {}).items()
        for data in on
    ]
    return (*plain, *more)
