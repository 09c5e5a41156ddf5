"""Analyses as they are given: formulas, families, and the methods these are."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from bayesimpute.data.table import Table
from bayesimpute.errors import SpecificationError
from bayesimpute.registry import resolve
from bayesimpute.specification.aliases import FAMILIES, NUMBER, SURVIVAL, look_up
from bayesimpute.specification.defaults import (
    default_method,
)
from bayesimpute.specification.formula_reader import read_formula
from bayesimpute.specification.formula_terms import Formula
from bayesimpute.specification.requests import is_passive
from bayesimpute.specification.specification import (
    Analysed,
)
from bayesimpute.specification.survival import check_outcomes
from bayesimpute.wording import did_you_mean, listed
from bayesimpute.wrappers.base import innermost


def read_analyses(
    analysis: str | Sequence[str],
    family: str | Sequence[str] | Mapping[str, str] | None,
    table: Table,
) -> list[Analysed]:
    """Read formulas and families; an outcome that predicts another comes before it.

    Raises
    ------
    SpecificationError
        If a formula does not parse, an outcome is analysed twice, or a family is unknown.
    """
    formulas = [analysis] if isinstance(analysis, str) else list(analysis)
    if not formulas:
        raise SpecificationError("analysis: there is no formula in the list.")
    read: dict[str, Formula] = {}
    for text in formulas:
        if not isinstance(text, str):
            raise SpecificationError(
                f"analysis={text!r} must be a formula, such as 'y ~ x * z + (1 + x | g)'."
            )
        try:
            formula = read_formula(text, tuple(table.variables))
        except SpecificationError as error:
            raise SpecificationError(f"analysis {text!r}: {error}") from None
        outcome = formula.outcome
        if outcome is None:
            raise SpecificationError(
                f"analysis {text!r}: its outcome must be a column, or Surv(time, event) of two; of "
                "a function of one make a column of its own, such as df['log_y'] = "
                "np.log(df['y'])."
            )
        unknown = [name for name in formula.names if name not in table.variables]
        if unknown:
            raise SpecificationError(
                f"analysis {text!r}: there is no column {unknown[0]!r}."
                f"{did_you_mean(unknown[0], table.variables)}"
            )
        if outcome in read:
            raise SpecificationError(
                f"analysis: {outcome!r} is the outcome of two formulas, {read[outcome].text!r} and "
                f"{text!r}; a joint distribution has one model of it. Give the larger one."
            )
        if outcome in formula.predictors:
            raise SpecificationError(
                f"analysis {text!r}: the outcome {outcome!r} predicts itself; take it out on the "
                "right."
            )
        read[outcome] = formula
    families = _families(family, list(read))
    check_outcomes(read, families, table)
    ordered = parents_first({name: set(each.predictors) & set(read) for name, each in read.items()})
    return [
        Analysed(
            read[name].text,
            name,
            families.get(name) or (SURVIVAL[0] if read[name].event else _family(name, table)),
            read[name].event,
        )
        for name in ordered
    ]


def _families(family: Any, outcomes: Sequence[str]) -> dict[str, str]:
    """Give the method by outcome."""
    if family is None:
        return {}
    if isinstance(family, str):
        given = dict.fromkeys(outcomes, family)
    elif isinstance(family, Mapping):
        given = dict(family)
        for name in given:
            if name not in outcomes:
                raise SpecificationError(
                    f"family names {name!r}, which is no outcome; those are {listed(outcomes)}."
                )
    else:
        given = dict(zip(outcomes, family, strict=False))
        if len(list(family)) != len(outcomes):
            raise SpecificationError(
                f"family has {len(list(family))} entries for {len(outcomes)} analyses; give one "
                "for all, one for each, or a dict by outcome."
            )
    return {name: FAMILIES.get(str(held), held) for name, held in given.items()}


def _family(name: str, table: Table) -> str:
    """Give the method of an outcome for which the user names none."""
    return with_density(default_method(table, name)[0])


def with_density(method: str) -> str:
    """Give the model with a likelihood: matching has none."""
    return method if method and gives_density(method) else NUMBER


def parents_first(parents: Mapping[str, Collection[str]]) -> list[str]:
    """Order names, what each depends on before it."""
    ordered: list[str] = []
    path: list[str] = []

    def follow(name: str) -> None:
        if name in ordered:
            return
        if name in path:
            circle = " → ".join([*path[path.index(name) :], name][::-1])
            raise SpecificationError(
                f"analysis: the models go round in a circle, {circle}, so that they are no joint "
                "distribution; take one of these out of the right-hand side of the next "
                "(formulas= or predictors=)."
            )
        path.append(name)
        for other in parents[name]:
            follow(other)
        path.pop()
        ordered.append(name)

    for name in parents:
        follow(name)
    return ordered


def two_equations(method: Any) -> bool:
    """Whether a method has a second equation, of whether a value is seen."""
    return bool(getattr(_implementation(innermost(method)), "two_equations", False))


def gives_density(inside: Any) -> bool:
    """Whether a method, without wrappers, knows the density of values: one of donors does not."""
    return bool(getattr(_implementation(inside), "has_density", True))


def has_coefficients(inside: Any) -> bool:
    """Whether predictors act by coefficients in a method, without wrappers, and by no others."""
    return not getattr(_implementation(inside), "any_function", False)


def _implementation(inside: Any) -> Any:
    """Give the method object of a name, the user's own, or nothing for a passive one."""
    if not isinstance(inside, str):
        return resolve(inside)
    return None if not inside or is_passive(inside) else resolve(look_up(inside).method)
