"""One target's model predicts the observed values again and again, along every chain.

The chains themselves are not moved: each prediction starts from where a chain stands, on the
completed data it stands at, and goes on by visits of its own.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from bayesimpute.data.table import Kind
from bayesimpute.design import DesignBuilder
from bayesimpute.engine.adapt import reference_values
from bayesimpute.engine.bench import kernel_of
from bayesimpute.engine.chain import ChainState, check_design
from bayesimpute.engine.failures import FAILURES, said
from bayesimpute.engine.history import History, unpack_adaptations
from bayesimpute.engine.streams import Purpose, stream
from bayesimpute.errors import SamplingError, SpecificationError
from bayesimpute.method import Adaptation, Array, Design, Kernel, Prediction
from bayesimpute.prior.conditional import label_array
from bayesimpute.sampling.prediction import predict
from bayesimpute.specification.latent_means import mean_of
from bayesimpute.specification.specification import Passive, Specification, Target
from bayesimpute.wording import did_you_mean


@dataclass(frozen=True, eq=False)
class Rows:
    """The observed values of a target that its model is fitted to, and where they come from.

    Attributes
    ----------
    observed
        The values as the model sees them, (row,); categories as codes.
    kind
        Kind of the target as the model sees it.
    categories
        Labels of the codes; of a number that a method for categories imputes, the numbers.
    numeric
        Whether the column of the data holds numbers.
    counted
        What numbers of dates count; else empty.
    labels
        What each row is: position in the user's frame, or the cluster of a level-2 target.
    label
        Index label in the user's frame, or the cluster, (row,).
    missing
        Share of the row's variables that are missing, (row,); of a level-2 target the mean over the
        rows of the cluster.
    cluster
        Label of the cluster of each row, (row,); None without clusters.
    order
        Rows of the design's fitted rows, in the order of `labels`.
    """

    observed: Array
    kind: Kind
    categories: tuple[Any, ...]
    numeric: bool
    counted: str
    labels: npt.NDArray[Any]
    label: npt.NDArray[Any]
    missing: Array
    cluster: npt.NDArray[Any] | None
    order: npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Replay:
    """Predictions of the observed values of one target.

    Attributes
    ----------
    target
        Its name.
    rows
        What was predicted.
    values
        Drawn anew, (chain, draw, row); NaN where a chain had no model for the row.
    log_likelihood, learnt
        As in :class:`~bayesimpute.method.Prediction`, (chain, draw, row); None if unknown.
    measure
        What `log_likelihood` is.
    by_cluster, by_cluster_error
        The same by cluster of the model, (chain, draw, cluster).
    parameters
        Name -> (chain, draw) or (chain, draw, element).
    parameter_labels
        Name -> labels of the elements.
    statistics
        Sampler statistic -> (chain, draw).
    """

    target: str
    rows: Rows
    values: Array
    log_likelihood: Array | None
    learnt: Array | None
    measure: str
    by_cluster: Array | None
    by_cluster_error: Array | None
    parameters: Mapping[str, Array]
    parameter_labels: Mapping[str, tuple[str, ...]]
    statistics: Mapping[str, Array]


def modelled(specification: Specification, name: str, wanted: str) -> Target:
    """Give a target that has a model.

    Raises
    ------
    SpecificationError
        If the variable is passive, is not imputed, or does not exist.
    """
    target = specification.targets.get(name)
    if mean_of(name, specification.table):
        raise SpecificationError(
            f"{name!r} is a latent mean: no value of it is observed that a model could be held "
            "against."
        )
    if isinstance(target, Target):
        return target
    with_model = [k for k, v in specification.targets.items() if isinstance(v, Target)]
    there = f"{wanted} is for {', '.join(with_model) or 'nothing here'}."
    if isinstance(target, Passive):
        raise SpecificationError(
            f"Variable {name!r} is computed ({target.expression}) and has no model of its own to "
            f"hold against data; look at {', '.join(target.inputs)}. {there}"
        )
    if name not in specification.table.variables:
        raise SpecificationError(
            f"There is no variable {name!r} in the data."
            f"{did_you_mean(name, specification.table.variables)}"
        )
    raise SpecificationError(
        f"Variable {name!r} was not imputed, so it has no model here; {there} To check a model of "
        "an observed variable, ask bi.impute for one of its cells with where=."
    )


def censored(target: Target) -> bool:
    """Whether a target is a time that may end before its event."""
    return target.options.get("event") is not None


def refuse_censored(target: Target, wanted: str) -> None:
    """Refuse to lay predicted times beside observed ones that are partly censored.

    Raises
    ------
    SpecificationError
        Saying what there is instead.
    """
    if censored(target):
        raise SpecificationError(
            f"{wanted}: some of the observed {target.name!r} are censored and predicted times are "
            "not, so that they cannot be laid side by side. imp.compare_models compares models by "
            "the likelihood, in which censored times have their part; the times of events that "
            f"imp.predictive({target.name!r}) draws belong beside a Kaplan-Meier curve."
        )


def check_draws(draws: int, chains: int, at_least: int = 1) -> int:
    """Give a number of draws for each chain.

    Raises
    ------
    SpecificationError
        If it is too small.
    """
    if draws * chains < at_least:
        several = f" for each of {chains} imputations are {draws * chains} in all,"
        raise SpecificationError(
            f"draws={draws}{several if chains > 1 else ' are'} too few to weigh a value out of its "
            f"own posterior, which takes {at_least} or more: use draws={-(-at_least // chains)}."
        )
    return int(draws)


def states(specification: Specification, history: History) -> list[ChainState]:
    """Give the chains where they stand.

    Raises
    ------
    SpecificationError
        If they have not moved yet.
    """
    if history.iterations < 1:
        raise SpecificationError(
            "The chains have done no iteration yet, so no model has been fitted: imp.extend(10)."
        )
    return [ChainState.from_bytes(specification, state) for state in history.states]


def replay(
    specification: Specification, history: History, name: str, draws: int, seed: int
) -> Replay:
    """Predict the observed values of a target `draws` times along every chain.

    Parameters
    ----------
    specification, history
        Of the run.
    name
        Target.
    draws
        Visits along each chain.
    seed
        Of the draws.

    Raises
    ------
    SpecificationError
        If `name` has no model, or the chains have not moved.
    SamplingError
        If a model fails.
    """
    target = modelled(specification, name, "This")
    head = target.block[0] if target.block else name
    head_target = specification.targets[head]
    assert isinstance(head_target, Target)
    chains = states(specification, history)
    builder = DesignBuilder.of(specification, head_target)
    reference = builder.build(reference_values(specification, history.seed))
    kernel = kernel_of(specification, head_target, reference)
    adaptation = unpack_adaptations(history.adaptation)[head]
    position = list(specification.targets).index(name)

    def along() -> Iterator[tuple[Design, list[Prediction]]]:
        for imputation, chain in enumerate(chains):
            design = builder.build(chain.values)
            rng = stream(seed, Purpose.PREDICTIVE, position, imputation)
            state = chain.of_kernel(head)
            yield design, predictions(name, kernel, design, adaptation, state, draws, rng)

    return gathered(specification, target, builder, along(), kernel.labels)


def predictions(
    name: str,
    kernel: Kernel,
    design: Design,
    adaptation: Adaptation,
    state: Array,
    draws: int,
    rng: np.random.Generator,
    by_cluster: bool = False,
) -> list[Prediction]:
    """Predict again and again from one state on.

    Raises
    ------
    SamplingError
        Naming the target.
    """
    found = []
    try:
        check_design(design)
        for _ in range(draws):
            found.append(predict(kernel, design, adaptation, state, rng, False, by_cluster))
            state = found[-1].state
    except FAILURES as error:
        raise SamplingError(f"target {name!r}: its model cannot predict: {said(error)}") from error
    return found


def gathered(
    specification: Specification,
    target: Target,
    builder: DesignBuilder,
    along: Iterator[tuple[Design, list[Prediction]]],
    labels: Mapping[str, tuple[str, ...]],
) -> Replay:
    """Put the predictions of all chains together, rows in the order of the user's frame."""
    parts: dict[str, list[Any]] = {}
    parameters: dict[str, list[Array]] = {}
    statistics: list[list[Mapping[str, float]]] = []
    rows, measure = None, "density"
    for design, drawn in along:
        fit = slice(None)
        if target.block:  # the member's share of what is predicted for the block
            ends = np.cumsum([0, *(int(member.fit.sum()) for member in design.members)])
            k = target.block.index(target.name)
            design, fit = design.members[k], slice(ends[k], ends[k + 1])
        rows = rows or rows_of(specification, target, builder, design)
        for field in ("values", "log_likelihood", "learnt", "by_cluster", "by_cluster_error"):
            each = [getattr(one, field) for one in drawn]
            found = None if any(one is None for one in each) else np.array(each)
            if found is not None and not field.startswith("by_cluster"):
                found = found[:, fit][:, rows.order]
            if field == "values" and found is not None and design.around is not None:
                found = found + design.around[design.fit][rows.order]
            parts.setdefault(field, []).append(found)
        for name in drawn[0].parameters:
            values = [np.asarray(one.parameters[name], dtype=float) for one in drawn]
            parameters.setdefault(name, []).append(np.array(values))
        statistics.append([one.statistics for one in drawn])
        measure = drawn[0].measure
    assert rows is not None  # there is a chain
    if target.block:
        measure = "density" if rows.kind is Kind.NUMERIC else "probability"
    stacked: dict[str, Any] = {
        k: None if any(v is None for v in each) else np.stack(each) for k, each in parts.items()
    }
    if stacked["learnt"] is None:
        stacked["learnt"] = stacked["log_likelihood"]
    names = statistics[0][0]
    return Replay(
        target=target.name,
        rows=rows,
        measure=measure,
        parameters={name: np.stack(each) for name, each in parameters.items()},
        parameter_labels={name: labels.get(name, ()) for name in parameters},
        statistics={
            name: np.array([[one.get(name, np.nan) for one in each] for each in statistics])
            for name in names
        },
        **stacked,
    )


def rows_of(
    specification: Specification, target: Target, builder: DesignBuilder, design: Design
) -> Rows:
    """Describe the rows with an observed value that the design of one target is fitted to."""
    table = specification.table
    variables = [n for n, v in table.variables.items() if v.kind is not Kind.OTHER]
    missing = np.mean([table.missing(n) for n in variables], axis=0)
    clusters = table.clusters(target.cluster) if target.cluster else None
    positions = table.rows
    label = table.frame.index.to_numpy()[positions]
    cluster: npt.NDArray[Any] | None = None
    if clusters is not None:
        cluster = label_array(clusters.labels)[clusters.codes]
    if target.level == 2 and clusters is not None:
        positions = label = cluster = label_array(clusters.labels)
        missing = np.bincount(clusters.codes, missing, clusters.n) / clusters.sizes
    live = specification.live_rows(target.name)  # learnt from, and yet imputed
    if target.level == 2 and clusters is not None:
        live = live[clusters.first_rows]
    fitted = np.flatnonzero(design.fit)
    order = np.arange(len(fitted))
    if target.level == 1:
        order = np.argsort(positions[fitted], kind="stable")
    order = order[~live[fitted[order]]]
    chosen = fitted[order]
    coded = next(
        (b.coded for b in (builder, *builder.members) if b.target.name == target.name),
        np.empty(0),
    )
    return Rows(
        design.y[chosen] + (0.0 if design.around is None else design.around[chosen]),
        design.kind,
        tuple(coded.tolist()) if coded.size else design.categories,
        table.variables[target.name].kind is Kind.NUMERIC,
        table.variables[target.name].counted,
        positions[chosen],
        label[chosen],
        missing[chosen],
        None if cluster is None else cluster[chosen],
        order,
    )
