"""Factors of formulas from their tokens: columns, arithmetic, calls of known functions."""

from collections.abc import Sequence
from dataclasses import replace

from bayesimpute.errors import SpecificationError
from bayesimpute.specification.expressions import FUNCTIONS, read
from bayesimpute.specification.formula_terms import MEANS, Factor
from bayesimpute.specification.formula_tokens import Token, closing, name_in, split_at, unreadable
from bayesimpute.specification.spelling import quoted
from bayesimpute.wording import did_you_mean

#: Functions of whole columns, which `expressions` does not know.
COLUMN_FUNCTIONS = (
    *("C", "factor", "relevel", "scale", "center", "standardize", "poly", "bs", "ns"),
    *MEANS,
)


def response_of(formula: str, tokens: Sequence[Token]) -> Factor:
    """Column, call or arithmetic left of the ~."""
    called = tokens[0].kind == "name" and len(tokens) > 1 and tokens[1].text == "("
    if name_in(tokens) is None and called and closing(tokens, 1) == len(tokens) - 1:
        return call_factor(formula, tokens)
    return bare_factor(formula, tokens)


def bare_factor(formula: str, tokens: Sequence[Token]) -> Factor:
    """Column or arithmetic, which needs no I() where only one thing can stand."""
    name = name_in(tokens)
    if name is not None:
        return column_factor(name)
    text = formula[tokens[0].start : tokens[-1].end]
    return replace(arithmetic_factor(f"I({text})", "I"), label=text.replace("`", ""))


def column_factor(name: str) -> Factor:
    """Give the factor of a column."""
    return Factor(name, quoted(name), name)


def call_factor(formula: str, tokens: Sequence[Token]) -> Factor:
    """Give the factor of a call of a known function."""
    name, place = tokens[0].text.removeprefix("numpy.").removeprefix("np."), tokens[0].start
    if name not in FUNCTIONS and name not in COLUMN_FUNCTIONS:
        raise unreadable(_unknown_function(tokens[0].text), place)
    inside = formula[tokens[1].end : tokens[-1].start].strip()
    text = f"{name}({inside})"
    if name in FUNCTIONS:
        return arithmetic_factor(text, name)
    arguments, options = [], []
    for part in split_at(tokens[2:-1], ","):
        if not part:
            raise unreadable(f"{name}() needs a column, and an argument after each comma", place)
        if len(part) > 2 and part[0].kind == "name" and part[1].text == "=":
            options.append((part[0].text, formula[part[2].start : part[-1].end]))
        else:
            arguments.append(formula[part[0].start : part[-1].end])
    if not arguments:
        raise unreadable(f"{name}() needs a column", place)
    _check(arguments[0])
    return Factor(text.replace("`", ""), text, None, name, tuple(arguments), tuple(options))


def _unknown_function(name: str) -> str:
    known = [*FUNCTIONS, *COLUMN_FUNCTIONS, "offset"]
    if name == "Q":
        return "Q() takes a name in quotation marks"
    if name == "offset":
        return "offset() is a summand of its own"
    near = did_you_mean(name, known).replace(" Did", "did")
    return (
        f"it calls {name!r}, which is no function of formulas; "
        f"{near or 'there are ' + ', '.join(known)}"
    )


def arithmetic_factor(text: str, function: str) -> Factor:
    """Give the factor of an expression, whose outermost function is given."""
    _check(text)
    return Factor(text.replace("`", ""), text, None, function)


def _check(text: str) -> None:
    try:
        read(text)
    except SpecificationError as error:
        raise SpecificationError(f"it does not parse: {error}") from error
