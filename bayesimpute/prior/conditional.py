"""The textbook model of one target as the chains would first meet it, and draws of its prior."""

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from bayesimpute.design import DesignBuilder
from bayesimpute.engine.adapt import reference_values
from bayesimpute.engine.bench import forward_of, model_of
from bayesimpute.engine.chain import check_design
from bayesimpute.engine.failures import FAILURES, said
from bayesimpute.errors import SamplingError, SpecificationError
from bayesimpute.method import Design
from bayesimpute.sampling.priors import check_names
from bayesimpute.specification.specification import Specification, Target
from bayesimpute.specification.specify import specify
from bayesimpute.wording import did_you_mean
from bayesimpute.wrappers.base import Wrapper


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
    parameters, data
        Variables of the model: what the priors are of, and the target's values in `rows`.
    """

    target: Target
    design: Design
    model: Any
    rows: np.ndarray
    numeric: bool
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
        target, design, model, rows[design.fit], numeric, tuple(parameters), tuple(data)
    )


def label_array(labels: Any) -> np.ndarray:
    """Labels as a coordinate: numbers stay numbers, everything else becomes text."""
    array = np.asarray(labels)
    if array.ndim == 1 and array.dtype.kind in "iuf":
        return array
    return np.array([str(label) for label in labels], dtype=str)


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
    try:
        with warnings.catch_warnings():
            # a distribution may draw in Python
            warnings.filterwarnings("ignore", "Numba will use object mode", UserWarning)
            drawn = pm.draw(variables, draws=draws, random_seed=int(rng.integers(2**31)))
    except FAILURES as error:
        raise SamplingError(
            f"target {target!r}: nothing can be drawn from its priors: {said(error)}. A prior must "
            "be a proper distribution (not pm.Flat), and tight enough for the model to be a number."
        ) from error
    return [np.asarray(values).reshape(draws, *np.shape(values)[1:]) for values in drawn]
