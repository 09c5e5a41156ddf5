"""Functions of a variable that have no value for some of what its model can draw."""

from collections.abc import Iterator, Mapping

import numpy as np

from bayesimpute.data.table import Kind
from bayesimpute.errors import SpecificationError
from bayesimpute.registry import resolve
from bayesimpute.specification.aliases import BOUNDED, POSITIVE
from bayesimpute.specification.expressions import evaluate, names_in
from bayesimpute.specification.latent_means import mean_of
from bayesimpute.specification.specification import Passive, Specification, Target
from bayesimpute.wrappers.base import innermost, method_text

#: How far beyond the observed values, in their range, a draw may lie; looked at in so many places.
REACH, PLACES = 2.0, 41


def check_domain(name: str, target: Target, specification: Specification) -> None:
    """Refuse what would be no number for a value that a variable's model can draw.

    Raises
    ------
    SpecificationError
        Naming function, variable and value, with the models that cannot draw it.
    """
    table = specification.table
    if table.variables[name].kind is not Kind.NUMERIC or target.kind is not None:
        return
    of = mean_of(name, table) or name
    observed = table.values[of][~table.missing(of)]
    far = REACH * (observed.max() - observed.min())
    low, high = _support(target)
    low, high = max(low, observed.min() - far), min(high, observed.max() + far)
    near = (high - low) * np.array([1e-6, 1e-4, 1e-3, 1e-2])
    for place in (*(low + near), *np.linspace(low, high, PLACES)[1:-1], *(high - near)):
        for owner, expression, values in _computed(name, float(place), specification):
            known = np.ones(table.n_rows, dtype=bool)
            for each in names_in(expression):
                known &= np.isfinite(values[each])
            if (known & ~np.isfinite(evaluate(expression, values))).any():
                raise SpecificationError(
                    f"{expression!r} in the model of {owner!r} has no value at {name} = "
                    f"{place:.4g}, which the model of {name!r} ({method_text(target.method)}) can "
                    f"draw. Give {name!r} a model that stays where it has one, method={{{name!r}: "
                    f"{POSITIVE!r}}} for positive numbers, {BOUNDED!r} with bounds in "
                    "model_options=; or analyse a column that holds the function."
                )


def _support(target: Target) -> tuple[float, float]:
    """Between what the values of a model lie."""
    low, high = getattr(resolve(innermost(target.method)), "support", (-np.inf, np.inf))
    lower, upper = target.options.get("lower"), target.options.get("upper")
    return (low if lower is None else float(lower), high if upper is None else float(upper))


def _computed(
    name: str, place: float, specification: Specification
) -> Iterator[tuple[str, str, Mapping[str, np.ndarray]]]:
    """Give what is computed from a variable, whose model has it, and columns with it at a place."""
    values = dict(specification.table.values)
    values[name] = np.full(specification.table.n_rows, place)
    changed = {name}
    with np.errstate(all="ignore"):
        for each in specification.passive_order:
            passive = specification.targets[each]
            if isinstance(passive, Passive) and not changed.isdisjoint(passive.inputs):
                yield each, passive.expression, values
                values[each] = np.broadcast_to(
                    evaluate(passive.expression, values), values[name].shape
                )
                changed.add(each)
        for child in specification.targets.values():
            for term in child.terms if isinstance(child, Target) else ():
                for factor in term.factors:
                    if factor not in values and not changed.isdisjoint(names_in(factor)):
                        yield child.name, factor, values
