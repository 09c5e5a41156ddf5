r"""Which model of a variable predicts its observed values best, each value left out in turn.

Every model is fitted to the completed data of some chains, where they stand. In imputation k the
expected log predictive density is that of leave-one-out cross-validation by importance sampling
(Vehtari, Gelman & Gabry 2017; :mod:`bayesimpute.checking.psis`),

.. math::
    \text{elpd}^{(k)} = \sum_i \log p(y_i \mid y_{-i}, x^{(k)}),\qquad
    U^{(k)} = n \operatorname{var}_i \text{elpd}_i^{(k)},

and Rubin's rules make one number with its standard error of them: the mean of the elpd, the
variance :math:`\bar U + (1 + 1/m) B`. Differences between models are taken by value first.

A unit left out is a row, whose cluster then is known by its other rows; or a whole cluster, which
says how well values are predicted where a cluster has none: for systematically missing variables.
Then :math:`p(y_j \mid θ)` has the cluster's effects integrated out
(:mod:`bayesimpute.sampling.integrated`).

Weights are those of stacking (Yao, Vehtari, Simpson & Gelman 2018), all imputations together.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import logsumexp

from bayesimpute import html
from bayesimpute.arguments import Count, FigureSize, Seed, checked
from bayesimpute.checking.psis import FEWEST, LARGE_K, leave_one_out
from bayesimpute.checking.replay import check_draws, modelled, predictions, rows_of, states
from bayesimpute.data.table import Kind
from bayesimpute.design import DesignBuilder
from bayesimpute.engine.adapt import reference_values
from bayesimpute.engine.bench import kernel_of, method_of
from bayesimpute.engine.chain import ChainState, check_design
from bayesimpute.engine.failures import FAILURES, said
from bayesimpute.engine.history import History
from bayesimpute.engine.streams import Purpose, stream
from bayesimpute.errors import DataError, SamplingError, SpecificationError
from bayesimpute.method import Adaptation, Array, Design, Prediction
from bayesimpute.plots import panels, style
from bayesimpute.registry import resolve
from bayesimpute.result.restored import require_callables
from bayesimpute.result.run import Run
from bayesimpute.sampling.prediction import predict
from bayesimpute.specification.aliases import NORMAL_OF_CLUSTERS, NUMBER
from bayesimpute.specification.requests import Request, by_column
from bayesimpute.specification.screening import stays_missing
from bayesimpute.specification.specification import Specification, Target
from bayesimpute.specification.targets import build_target
from bayesimpute.wording import did_you_mean
from bayesimpute.wrappers.base import innermost, method_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@checked
def plot_comparison(
    found: "ModelComparison",
    *,
    ax: "Axes | None" = None,
    figsize: FigureSize | None = None,
) -> "Figure":
    """Difference of each model's elpd to the best one's, with one and two standard errors.

    Parameters
    ----------
    found
        Result of ``imp.compare_models()``.
    ax
        Where to draw; by default a new figure.
    figsize
        Inches; by default as high as there are models.

    Returns
    -------
    matplotlib.figure.Figure
    """
    table = found.table
    drawn = panels.panels(1, ax, figsize, picture="plot", single=(6, 1.4 + 0.45 * len(table)))
    (ax,) = drawn.axes
    at = np.arange(len(table))[::-1]
    difference, error = table["difference"].to_numpy(), table["difference_se"].to_numpy()
    ax.axvline(0, color=style.GREY, linewidth=0.8)
    for times, width in ((2, 1.2), (1, 3.0)):
        ends = difference - times * error, difference + times * error
        ax.hlines(at, *ends, color=style.IMPUTED, linewidth=width)
    ax.plot(difference, at, "o", color=style.IMPUTED, markersize=6)
    names = style.cut_apart([str(label) for label in table.index], 28)
    ax.set_yticks(at, [style.literal(name) for name in names])
    weights = ax.secondary_yaxis("right")
    weights.set_yticks(at, [f"weight {weight:.0%}" for weight in table["weight"]])
    weights.tick_params(length=0, labelsize=8, colors=style.GREY)
    weights.spines[:].set_visible(False)
    ax.set_ylim(-0.6, len(table) - 0.4)
    style.lay_out(drawn.figure)  # names of models take their room before words are cut
    panels.finish(
        drawn, found.variable, x="elpd − best",
        remarks=[f"{found.unit}s left out; lines: 1 and 2 standard errors"],
    )  # fmt: skip
    return drawn.figure


@dataclass(frozen=True, eq=False, repr=False)
class ModelComparison(html.Told):
    """Models of one variable by how well they predict what they have not seen.

    Attributes
    ----------
    variable
        Whose observed values are predicted.
    unit
        ``"row"`` or ``"cluster"``: what is left out.
    table
        A row for each model, the best first: ``elpd``, the sum of log predictive densities, with
        its standard error ``se``; ``difference`` to the best with ``difference_se``; ``p_loo``, the
        effective number of parameters; ``weight`` of stacking; ``large_k``, units with Pareto k
        above 0.7, mean over imputations; by cluster also ``integration_se``, the Monte Carlo error
        of the elpd that comes from integrating effects out.
    pointwise
        Log predictive density of each unit, a column for each model, mean over imputations.
    imputations
        Number of completed data sets the models were fitted to.
    """

    variable: str
    unit: str
    table: pd.DataFrame
    pointwise: pd.DataFrame
    imputations: int

    plot = plot_comparison

    def _said(self) -> Iterator[str | pd.DataFrame]:
        yield (
            f"Models of {self.variable!r}, {len(self.pointwise):,} {self.unit}s left out in turn, "
            f"mean over {self.imputations} imputation(s); the highest elpd predicts best."
        )
        yield self.table.round(2)
        large = self.table["large_k"]
        if not (large > 0).any():
            return
        worst = str(large.idxmax())
        yield (
            f"Pareto k above {LARGE_K} in up to {np.ceil(large.max()):.0f} {self.unit}(s) "
            f"({worst!r}): "
            "without them the posterior is too different for weights to reach it; differences "
            "of this size in elpd are not to be relied on."
        )


KEYS = ("method", "formula", "options", "priors")


def alternative(
    specification: Specification, target: Target, label: str, description: Any
) -> Target:
    """Decide and check one model of a target.

    Parameters
    ----------
    specification
        Of the run.
    target
        As it is imputed; gives everything that is not described.
    label
        What the user calls the model.
    description
        A formula; a method; or a dict with some of ``method, formula, options, priors``.

    Raises
    ------
    DataError, SpecificationError
        Naming the model and what to do.
    """
    place = f"compare_models: {label!r}: "
    given = _read(description, place)
    if target.block and "method" not in given:
        raise SpecificationError(
            f"{place}{target.name!r} is imputed jointly with others, which is no model of it "
            f"alone; give a method, such as {{'method': {NUMBER!r}}}."
        )
    table = specification.table
    method = given.get("method", target.method)
    own = {} if "method" in given else dict(target.options)
    options = {**own, **given.get("options", {})}
    priors = given.get("priors", {} if "method" in given else target.priors)
    formulas = {target.name: given["formula"]} if "formula" in given else {}
    matrix = None if formulas else specification.predictors
    request = Request(
        target.clusters,
        matrix,
        by_column(formulas, table, "formulas"),
        {target.name: priors},
        {},
        {target.name: options},
    )
    staying = stays_missing(
        {k: t.method for k, t in specification.targets.items() if isinstance(t, Target)}, table
    )
    unimputed = [
        name
        for name in table.incomplete()
        if (name not in specification.targets and table.variables[name].kind is not Kind.OTHER)
        or (name in staying and (staying[name] & table.missing(name)).any())
    ]
    try:
        # a further grouping of two columns is no column of the matrix
        further = any(":" in each.name for each in target.groupings)
        if "formula" not in given and (further or target.needs_formula(table.variables)):
            raise SpecificationError(
                f"{target.name!r} is imputed by a formula with more than plain predictors, which "
                "another model does not take over; give its 'formula' too."
            )
        built, _ = build_target(
            target.name, method, table, request, specification.ignore, None, {}, unimputed
        )
    except (SpecificationError, DataError) as error:
        raise type(error)(f"{place}{error}") from None
    if built.level != target.level:
        raise SpecificationError(
            f"{place}it is a model of level {built.level}, but {target.name!r} is imputed at level "
            f"{target.level}; models of different values cannot be compared. Use a method of that "
            f"level, such as {NORMAL_OF_CLUSTERS!r} for level 2."
        )
    inside = resolve(innermost(built.method))
    if getattr(inside, "block", False):
        raise SpecificationError(
            f"{place}{method_text(inside)!r} models several variables together, which cannot be "
            "compared with models of one."
        )
    if not getattr(inside, "has_likelihood", True) or {**_defaults(built), **built.options}.get(
        getattr(inside, "copied_by", ""), False
    ):
        raise SpecificationError(
            f"{place}{method_text(built.method)!r} copies observed values and has no density that "
            f"could be compared. imp.overimpute({target.name!r}) shows how well it predicts."
        )
    return built


def _defaults(target: Target) -> dict[str, Any]:
    return dict(method_of(target).options)


def _read(description: Any, place: str) -> dict[str, Any]:
    if isinstance(description, str):
        return {"formula" if "~" in description else "method": description}
    if not isinstance(description, Mapping):
        return {"method": description}
    for key in description:
        if key not in KEYS:
            raise SpecificationError(
                f"{place}there is no {key!r} of a model; there are {', '.join(KEYS)}."
                f"{did_you_mean(str(key), KEYS)}"
            )
    for key in ("options", "priors"):
        if key in description and not isinstance(description[key], Mapping):
            raise SpecificationError(
                f"{place}{key} must be a dict, such as {{'heteroscedastic': True}}."
            )
    return dict(description)


#: Visits before the draws that count; the first of them brings a chain from its start.
WARM_UP = 6
#: Steps of the stacking weights.
STEPS = 2000


@checked
def compare_models(
    run: Run,
    variable: str,
    models: Mapping[str, Any],
    draws: Count = 200,
    unit: Literal["row", "cluster"] = "row",
    imputations: Count | None = None,
    seed: Seed | None = None,
) -> ModelComparison:
    """Compare imputation models of one variable by what they predict without having seen it.

    Parameters
    ----------
    run
        The result of ``bi.impute``.
    variable
        Target, whose observed values are predicted.
    models
        Label -> model: a formula (``"y ~ x + (1 | school)"``), a method, or a dict with some
        of ``method``, ``formula``, ``options`` and ``priors``; what is not given is as in this
        run, so ``{}`` is the model that imputes the variable.
    draws
        Draws for each completed data set; at least 100.
    unit
        What is left out: ``"row"``, or ``"cluster"``, the question for variables that are
        missing in whole clusters.
    imputations
        Number of chains on whose completed data the models are fitted; by default 5, or m if
        that is less.
    seed
        Of the draws; by default that of the run.

    Returns
    -------
    ModelComparison
        With ``table`` (elpd, difference, standard errors by Rubin's rules, p_loo, stacking
        weight, Pareto k), ``pointwise`` and ``plot()``.

    Raises
    ------
    SpecificationError
        If a model cannot be built, has no density, or gives a density of another kind.

    Examples
    --------
    >>> import bayesimpute as bi
    >>> study = bi.simulate.simulate_popularity(seed=1, schools=8, pupils=160)
    >>> imp = bi.impute(
    ...     study.incomplete, cluster="school", m=2, iterations=1, seed=1, progress=False
    ... )
    >>> found = imp.compare_models(
    ...     "popular",
    ...     {"nothing": {"method": "normal", "formula": "popular ~ 1"},
    ...      "teacher": {"method": "normal", "formula": "popular ~ teachpop + (1 | school)"}},
    ...     draws=100,
    ... )
    >>> found.table.index[0]
    'teacher'
    """
    require_callables(run.specification)
    seed = run.seed if seed is None else seed
    specification, history = run.specification, run.history
    target = modelled(specification, variable, "compare_models")
    if not models:
        raise SpecificationError(
            "compare_models: models must be a dict from label to model, such as "
            f"{{'pooled': '{variable} ~ x', 'two levels': '{variable} ~ x + (1 | school)'}}."
        )
    count = min(history.m, 5) if imputations is None else imputations
    if count > history.m:
        raise SpecificationError(
            f"compare_models: imputations={imputations!r} must be a whole number from 1 to "
            f"{history.m}."
        )
    draws = check_draws(draws, 1, 4 * FEWEST)
    chains = states(specification, history)[:count]
    built = {label: alternative(specification, target, label, m) for label, m in models.items()}
    cluster = _cluster(target, built) if unit == "cluster" else None
    fits = [
        _fit(specification, history, each, label, chains, draws, cluster, (seed, k))
        for k, (label, each) in enumerate(built.items())
    ]
    kinds = {label: fit.measure for label, fit in zip(built, fits, strict=True)}
    if len(set(kinds.values())) > 1:
        raise SpecificationError(
            f"compare_models: {', '.join(f'{k!r} gives {v}' for k, v in kinds.items())}; a "
            "probability of a value and a density at it are different things and cannot be "
            "compared. Compare counts with counts, and numbers with numbers."
        )
    return _comparison(variable, unit, list(built), fits, count)


@dataclass(frozen=True, eq=False)
class _Fit:
    """Log densities of the units, (imputation, draw, unit), and what they are of."""

    log_density: Array
    error: Array | None
    units: npt.NDArray[Any]
    measure: str


def _cluster(target: Target, built: Mapping[str, Target]) -> str:
    """Cluster variable whose clusters are left out."""
    if target.level == 2:
        raise SpecificationError(
            f"compare_models: {target.name!r} has one value a cluster, so its rows are the "
            "clusters; use unit='row'."
        )
    named = {each.cluster for each in (*built.values(), target) if each.cluster is not None}
    if len(named) != 1:
        raise SpecificationError(
            "compare_models: unit='cluster' needs one cluster variable in the models, there are "
            f"{', '.join(map(repr, sorted(named))) or 'none'}; write '(1 | school)' in a formula."
        )
    return named.pop()


def _fit(
    specification: Specification,
    history: History,
    target: Target,
    label: str,
    chains: list[ChainState],
    draws: int,
    cluster: str | None,
    key: tuple[int, int],
) -> _Fit:
    """Fit one model to the completed data of each chain."""
    seed, number = key
    builder = DesignBuilder.of(specification, target)
    reference = builder.build(reference_values(specification, history.seed))
    kernel = kernel_of(specification, target, reference)
    place = f"{target.name!r} in model {label!r}"
    adaptation: Adaptation | None = None
    values: list[Array] = []
    errors: list[Array] = []
    units: npt.NDArray[Any] = np.empty(0)
    measure = "density"
    for imputation, chain in enumerate(chains):
        design = _seen(builder.build(chain.values))
        rng = stream(seed, Purpose.COMPARED_MODEL, number, imputation)
        try:
            if adaptation is None:
                check_design(design)
                adaptation = kernel.adapt(design, rng)
            state = kernel.start(adaptation, rng)
            for k in range(WARM_UP):
                state = predict(kernel, design, adaptation, state, rng, k == 0).state
        except FAILURES as failure:
            text = f"target {place}: it cannot be sampled: {said(failure)}"
            raise SamplingError(text) from failure
        effects = cluster is not None and bool(design.random_effects)
        drawn = predictions(place, kernel, design, adaptation, state, draws, rng, effects)
        each = np.array([_known(one.log_likelihood, place) for one in drawn])
        if np.isnan(each).any():
            raise SpecificationError(
                f"compare_models: model {label!r} is for some rows only (a condition); models "
                "of different values cannot be compared."
            )
        rows = rows_of(specification, target, builder, design)
        if cluster is None:
            values.append(each[:, rows.order])
            units = rows.label
        else:
            by_cluster, error, units = _whole(specification, design, drawn, each, cluster, place)
            values.append(by_cluster)
            errors.append(error)
        measure = drawn[0].measure
    return _Fit(np.stack(values), np.stack(errors) if errors else None, units, measure)


def _seen(design: Design) -> Design:
    """Leave values out that were imputed given the analysis: they follow the run's own model."""
    if design.live is None:
        return design
    return replace(design, fit=design.fit & ~design.live, live=None)


def _known(density: Array | None, place: str) -> Array:
    if density is None:
        raise SpecificationError(
            f"compare_models: {place} has no density for each value: write the likelihood as one "
            "observed variable with a row for each value, or give the kernel a predict()."
        )
    return density


def _whole(
    specification: Specification,
    design: Design,
    drawn: list[Prediction],
    by_row: Array,
    cluster: str,
    place: str,
) -> tuple[Array, Array, npt.NDArray[Any]]:
    """Log densities of clusters with values (draw, cluster), their errors, and the clusters."""
    index = specification.table.clusters(cluster)
    codes = index.codes[design.fit]
    present = np.flatnonzero(np.bincount(codes, minlength=index.n))
    if design.random_effects:
        wholes = [one.by_cluster for one in drawn]
        if any(whole is None for whole in wholes):
            raise SpecificationError(
                f"compare_models: {place} cannot be asked for a whole cluster left out: its "
                "effects are fixed, or its method does not integrate them out. Use unit='row'."
            )
        density = np.array(wholes)
        errors = [one.by_cluster_error for one in drawn]
        error = np.array([np.zeros(index.n) if e is None else e for e in errors])
    else:
        density = np.array([np.bincount(codes, each, index.n) for each in by_row])
        error = np.zeros_like(density)
    labels = np.array(index.labels, dtype=object)[present]
    return density[:, present], error[:, present], labels


def _comparison(
    variable: str, unit: str, labels: list[str], fits: list[_Fit], count: int
) -> ModelComparison:
    scores, effective, large, integration = [], [], [], []
    for fit in fits:
        each, k, size = [], [], []
        for draws in fit.log_density:
            out = leave_one_out(draws)
            each.append(out.log_score(draws))
            k.append((out.pareto_k > LARGE_K).sum())
            size.append((logsumexp(draws, axis=0) - np.log(len(draws)) - each[-1]).sum())
        scores.append(np.array(each))
        effective.append(float(np.mean(size)))
        large.append(float(np.mean(k)))
        error = np.zeros_like(fit.log_density) if fit.error is None else fit.error
        # of a mean over draws and imputations, summed over units
        integration.append(float(np.sqrt((error**2).mean(axis=(0, 1)).sum() / error[..., 0].size)))
    elpd = np.stack(scores)  # (model, imputation, unit)
    total = elpd.sum(axis=2).mean(axis=1)
    best = int(total.argmax())
    differences = elpd - elpd[best]
    numbers = {
        "elpd": total,
        "se": _rubin_se(elpd),
        "difference": differences.sum(axis=2).mean(axis=1),
        "difference_se": _rubin_se(differences),
        "p_loo": effective,
        "weight": stacking_weights(elpd),
        "large_k": large,
    }
    if unit == "cluster":
        numbers["integration_se"] = integration
    table = pd.DataFrame(numbers, index=pd.Index(labels, name="model"))
    pointwise = pd.DataFrame(
        elpd.mean(axis=1).T, index=pd.Index(fits[0].units, name=unit), columns=labels
    )
    return ModelComparison(
        variable, unit, table.sort_values("elpd", ascending=False, kind="stable"), pointwise, count
    )


def _rubin_se(elpd: Array) -> Array:
    """Give the standard error, over units and imputations, of a sum over units, (model,)."""
    _, m, n = elpd.shape
    within = n * elpd.var(axis=2, ddof=1).mean(axis=1) if n > 1 else np.full(len(elpd), np.nan)
    between = elpd.sum(axis=2).var(axis=1, ddof=1) if m > 1 else np.zeros(len(elpd))
    return np.asarray(np.sqrt(within + (1 + 1 / m) * between))


def stacking_weights(elpd: Array) -> Array:
    """Weights of the mixture of models that predicts best, (model,).

    Parameters
    ----------
    elpd
        Log predictive densities, (model, imputation, unit).

    Examples
    --------
    >>> import numpy as np
    >>> stacking_weights(np.array([[[0.0, 0.0]], [[-9.0, -9.0]]])).round(2)
    array([1., 0.])
    """
    models = len(elpd)
    flat = elpd.reshape(models, -1)
    relative = np.exp(flat - flat.max(axis=0))
    weights = np.full(models, 1 / models)
    for _ in range(STEPS):  # EM for the shares of a mixture: never a step down
        share = weights[:, None] * relative
        moved = (share / share.sum(axis=0)).mean(axis=1)
        done = np.abs(moved - weights).max() < 1e-7
        weights = moved
        if done:
            break
    return np.asarray(weights)
