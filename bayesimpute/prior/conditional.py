"""The textbook model of one target as the chains would first meet it, run forward before any fit.

``bi.prior_predictive`` gives data as the model expects them before it has seen the target.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bayesimpute.arguments import Count, Seed, checked
from bayesimpute.design import DesignBuilder
from bayesimpute.engine.adapt import reference_values
from bayesimpute.engine.bench import forward_of, model_of
from bayesimpute.engine.chain import check_design
from bayesimpute.engine.failures import FAILURES, said
from bayesimpute.engine.history import labels_of
from bayesimpute.engine.streams import Purpose, fresh_seed, stream
from bayesimpute.errors import SamplingError, SpecificationError
from bayesimpute.method import Design
from bayesimpute.sampling.arithmetic import without_compiling
from bayesimpute.sampling.priors import check_names
from bayesimpute.specification.specification import Specification, Target
from bayesimpute.specification.specify import specify
from bayesimpute.wording import did_you_mean
from bayesimpute.wrappers.base import Wrapper

if TYPE_CHECKING:
    import xarray as xr

    Variables = dict[str, tuple[tuple[str, ...], np.ndarray]]


@dataclass(frozen=True, eq=False)
class Conditional:
    """One target's model before any fit.

    Attributes
    ----------
    target
        What is imputed and how.
    design
        Its predictors, missing ones filled as the pilot chain starts.
    model
        The textbook ``pm.Model`` on that design: its default priors are those of the chains.
    rows
        What each row of the model is: positions in the user's frame, or labels of clusters for a
        level-2 target.
    numeric
        Whether the column holds numbers, even where its method sees categories.
    counted
        What numbers of dates count; else empty.
    parameters, data
        Variables of the model: what the priors are of, and the target's values in `rows`.
    """

    target: Target
    design: Design
    model: Any
    rows: np.ndarray
    numeric: bool
    counted: str
    parameters: tuple[Any, ...]
    data: tuple[Any, ...]


def specified(df: pd.DataFrame, var: str, *arguments: Any, **options: Any) -> Specification:
    """Specification of a run that would impute `var`; arguments as ``bi.impute`` takes them."""
    specification = specify(df, *arguments, **options)
    if var not in specification.table.variables:
        raise SpecificationError(
            f"There is no variable {var!r} in the data."
            f"{did_you_mean(var, specification.table.variables)}"
        )
    return specification


def conditional(specification: Specification, var: str, seed: int) -> Conditional:
    """Build the model of one target on the completed data that fix units and default priors.

    Parameters
    ----------
    specification
        What is imputed and how.
    var
        Target.
    seed
        Of the run: with it the predictors are filled.

    Raises
    ------
    SpecificationError
        If `var` has no imputation model.
    SamplingError
        If its model cannot be built on these data.
    """
    target = specification.targets.get(var)
    if not isinstance(target, Target):
        modelled = [k for k, v in specification.targets.items() if isinstance(v, Target)]
        raise SpecificationError(
            f"Variable {var!r} has no imputation model, so there is no prior; models impute "
            f"{', '.join(modelled) or 'nothing'}.{did_you_mean(var, modelled)}"
        )
    design = DesignBuilder.of(specification, target).build(reference_values(specification, seed))
    try:
        check_design(design)
        if target.block:
            model, value = forward_of(specification, target, design)
            design = next(member for member in design.members if member.target == var)
            data, beside = [value], {"latent", value.name}
        else:
            model = model_of(specification, target, design)
            data, beside = model.observed_RVs, set()
    except FAILURES as error:
        raise SamplingError(f"target {var!r}: its model cannot be built: {said(error)}") from error
    table = specification.table
    rows = table.rows
    if target.level == 2 and target.cluster is not None:
        rows = label_array(table.clusters(target.cluster).labels)
    numeric = str(table.variables[var].kind) == "numeric"
    parameters = [v for v in (*model.free_RVs, *model.deterministics) if v.name not in beside]
    if not target.block and not isinstance(target.method, Wrapper):
        # a run hears this from its sampler; here none is built
        check_names(var, target.priors, [v.name for v in parameters])
    return Conditional(
        target, design, model, rows[design.fit], numeric, table.variables[var].counted,
        tuple(parameters), tuple(data),
    )  # fmt: skip


def label_array(labels: Any) -> np.ndarray:
    """Labels as a coordinate: numbers stay numbers, everything else becomes text, all distinct."""
    if all(isinstance(label, int | float | np.number) for label in labels):
        array = np.asarray(labels)
        if array.dtype.kind in "iuf":
            return array
    return np.array(labels_of(labels), dtype=str)


def drawn_variables(
    target: str, variables: list[Any], draws: int, rng: np.random.Generator
) -> list[np.ndarray]:
    """Draw variables of one model jointly, forwards, (draw, …) each.

    Not by ``pm.sample_prior_predictive``, which writes to the log and knows neither the rows nor
    the categories of the user's data.

    Raises
    ------
    SamplingError
        If a distribution has no draws, or they are no numbers.
    """
    import pymc as pm

    if not variables:
        return []
    seed = int(rng.integers(2**31))
    try:
        with without_compiling() as mode:
            drawn = pm.draw(variables, draws=draws, random_seed=seed, mode=mode)
    except FAILURES as error:
        raise SamplingError(
            f"target {target!r}: nothing can be drawn from its priors: {said(error)}. A prior must "
            "be a proper distribution (not pm.Flat), and tight enough for the model to be a number."
        ) from error
    return [np.asarray(values).reshape(draws, *np.shape(values)[1:]) for values in drawn]


@checked
def prior_predictive(
    df: pd.DataFrame,
    var: str,
    cluster: str | Sequence[str] | None = None,
    method: Any = None,
    predictors: pd.DataFrame | None = None,
    formulas: Mapping[str, str] | None = None,
    priors: Mapping[str, Mapping[str, Any]] | None = None,
    model_options: Mapping[Any, Mapping[str, Any]] | None = None,
    draws: Count = 500,
    seed: Seed | None = None,
) -> "xr.DataTree":
    """Draw a variable from prior and likelihood of the model that would impute it.

    No chain runs. Missing predictors are filled as the chains' start fills them.

    Parameters
    ----------
    df
        The data.
    var
        The variable to be imputed.
    cluster, method, predictors, formulas, priors, model_options
        As in :func:`bayesimpute.impute`.
    draws
        Number of draws of all parameters, each with a new set of data.
    seed
        Whole number from 0; the same seed gives the same draws.

    Returns
    -------
    xarray.DataTree
        Groups as ArviZ has them: ``prior`` [chain, draw, …], ``prior_predictive``
        [chain, draw, row] and ``observed_data`` [row], for the rows whose value is observed; row
        is the position in `df`, or the cluster for a level-2 variable. Categories are labels.

    Examples
    --------
    >>> import bayesimpute as bi
    >>> study = bi.simulate.simulate_popularity(seed=1, schools=10, pupils=100)
    >>> tree = bi.prior_predictive(study.incomplete, "popular", cluster="school", seed=1)
    >>> sorted(tree.children)
    ['observed_data', 'prior', 'prior_predictive']
    >>> figure = bi.plot_prior_predictive(tree)
    """
    seed = fresh_seed() if seed is None else int(seed)
    specification = specified(
        df, var, cluster, method, predictors, formulas, priors, model_options=model_options
    )
    return prior_tree(specification, var, draws, seed, seed)


def prior_tree(
    specification: Specification, var: str, draws: int, run_seed: int, seed: int
) -> "xr.DataTree":
    """Give the tree of :func:`prior_predictive` for one target of a specification.

    Parameters
    ----------
    specification
        What is imputed and how.
    var
        Target.
    draws
        Number of draws.
    run_seed
        Fixes units and default priors.
    seed
        Of the draws.
    """
    import xarray as xr

    built = conditional(specification, var, run_seed)
    model = built.model
    rng = stream(seed, Purpose.PRIOR_PREDICTIVE)
    parameters, data = built.parameters, built.data
    if not data:
        raise SamplingError(f"target {var!r}: its model observes nothing, so it predicts nothing.")
    drawn = drawn_variables(var, [*parameters, *data], int(draws), rng)
    coords: dict[str, np.ndarray] = {}
    prior: Variables = {}
    for variable, values in zip(parameters, drawn, strict=False):
        prior[variable.name] = (_dims(built, variable, coords), values[None])
    groups = {"prior": prior, "prior_predictive": {}, "observed_data": {}}
    described: dict[str, dict[str, Any]] = {}
    for variable, values in zip(data, drawn[len(parameters) :], strict=True):
        seen = _observed(built, variable)
        name, dims = str(variable.name), _dims(built, variable, coords)[2:]
        if _is_counts(variable):
            distinct = np.asarray(model.coords[model.named_vars_to_dims[name][0]], dtype=float)
            values = np.array([rng.permutation(_spread(each, distinct)) for each in values])
            seen, dims = _spread(seen, distinct), ("row",)
            name = name.replace("_counts", "_observed")
            if len(seen) == len(built.rows):
                seen = built.design.y[built.design.fit]  # the same values, in the order of rows
        labels = _labels(built, variable, values, seen)
        described[name] = _attributes(built, variable, labels)
        if labels is not None:
            values, seen = labels[values.astype(np.int64)], labels[seen.astype(np.int64)]
        # a model of some rows only (only_where, by_group) does not say which these are
        if dims == ("row",) and len(seen) == len(built.rows):
            coords["row"] = built.rows
        elif dims == ("row",):
            dims = (f"{name}_row",)
        groups["prior_predictive"][name] = (("chain", "draw", *dims), values[None])
        groups["observed_data"][name] = (dims, seen)
    return xr.DataTree.from_dict(
        {name: _group(xr, group, coords, described) for name, group in groups.items()}
    )


def _group(
    xr: Any,
    variables: "Variables",
    coords: Mapping[str, np.ndarray],
    described: Mapping[str, Mapping[str, Any]],
) -> "xr.Dataset":
    dims = {dim for each, _ in variables.values() for dim in each}
    used = {dim: values for dim, values in coords.items() if dim in dims}
    for dim in ("chain", "draw"):
        if dim in dims:
            used[dim] = np.arange(
                next(v.shape[d.index(dim)] for d, v in variables.values() if dim in d)
            )
    dataset = xr.Dataset(variables, coords=used)
    for name, attributes in described.items():
        if name in dataset:
            dataset[name].attrs.update(attributes)
    return dataset


def _dims(built: Conditional, variable: Any, coords: dict[str, np.ndarray]) -> tuple[str, ...]:
    """Dims of a variable's draws; their labels are added to `coords`."""
    model, design = built.model, built.design
    given = model.named_vars_to_dims.get(variable.name) or (None,) * variable.type.ndim
    dims, labels = [], {each.name: each.cluster_labels for each in design.groupings}
    for k, dim in enumerate(given):
        if dim is None and variable in built.data and k == 0:
            dim = "row"
        if dim is None:
            dim = f"{variable.name}_dim_{k}"
        elif dim == "cluster" and len(design.cluster_labels) == design.n_clusters:
            coords[dim] = label_array(design.cluster_labels)
        elif (grouping := str(dim).removeprefix("cluster|")) in labels:
            coords[dim] = label_array(labels[grouping])
        elif model.coords.get(dim) is not None:
            coords[dim] = label_array(model.coords[dim])
        dims.append(str(dim))
    return ("chain", "draw", *dims)


def _observed(built: Conditional, variable: Any) -> np.ndarray:
    """Give the data a variable was observed to have."""
    if variable not in built.model.rvs_to_values:  # of a block, whose model runs forward only
        return built.design.y[built.design.fit]
    value = built.model.rvs_to_values[variable]
    return np.asarray(value.get_value() if hasattr(value, "get_value") else value.eval())


def _is_counts(variable: Any) -> bool:
    """Whether the data are how often each value occurs, rows being exchangeable."""
    return getattr(variable.owner.op, "name", "") == "multinomial"


def _spread(counts: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Each value as often as it is counted."""
    return np.repeat(values, counts.astype(np.int64))


def _labels(
    built: Conditional, variable: Any, values: np.ndarray, seen: np.ndarray
) -> np.ndarray | None:
    """Labels of the codes a variable draws; None where it draws numbers."""
    categories = built.design.categories
    discrete = _is_counts(variable) or not variable.dtype.startswith("float")
    if not categories or not discrete:
        return None
    if min(values.min(), seen.min()) < 0 or max(values.max(), seen.max()) >= len(categories):
        return None
    if built.numeric:
        return np.asarray(categories, dtype=float)
    return np.array(labels_of(categories), dtype=str)


def _attributes(built: Conditional, variable: Any, labels: np.ndarray | None) -> dict[str, Any]:
    attributes: dict[str, Any] = {"target": built.target.name}
    if labels is not None:
        attributes["categories"] = labels.tolist()
    elif built.design.categories:
        attributes["scale"] = "numbers that stand for the categories in this model"
    elif not variable.dtype.startswith("float") and not _is_counts(variable):
        attributes["scale"] = "counts"
    elif built.counted:
        attributes["scale"] = built.counted
    return attributes
