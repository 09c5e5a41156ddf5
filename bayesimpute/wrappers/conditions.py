"""Conditions as text, ``"sex == 'female' and age >= 15"``: true, false or unknown by row."""

import ast
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd

from bayesimpute.data.table import Kind, Table, by_row
from bayesimpute.errors import SpecificationError
from bayesimpute.method import Array
from bayesimpute.specification.expressions import (
    evaluate,
    names_in,
    syntax_tree,
    unaliased,
    with_category_codes,
)
from bayesimpute.wording import did_you_mean

HELP = (
    "write comparisons of columns with numbers or labels (==, !=, <, <=, >, >=, in), joined by "
    "and, or, not, such as \"sex == 'female' and age >= 15\""
)


def condition_columns(condition: str) -> tuple[str, ...]:
    """Columns a condition reads, each once.

    Raises
    ------
    SpecificationError
        If the text is no condition.

    Examples
    --------
    >>> condition_columns("sex == 'female' and not (age < 15 or `last visit` in [1, 2])")
    ('sex', 'age', 'last visit')
    """
    tree, aliases = _parsed(condition)
    try:
        return tuple(dict.fromkeys(_names(tree, aliases, condition)))
    except RecursionError:
        raise SpecificationError(f"{condition[:60]!r}… is too deeply nested; {HELP}.") from None


def check_condition(condition: str, table: Table, place: str = "") -> None:
    """Raise unless the columns exist and can be compared as the text compares them.

    Raises
    ------
    SpecificationError
        Naming the condition and what is wrong in it, behind the place where it stands.
    """
    try:
        for name in condition_columns(condition):
            if name not in table.variables:
                raise SpecificationError(
                    f"{condition!r} uses {name!r}, which is no column of the data."
                    f"{did_you_mean(name, table.variables)}"
                )
            if table.variables[name].kind is Kind.OTHER:
                raise SpecificationError(
                    f"{condition!r} uses {name!r} ({table.variables[name].dtype}), which is "
                    "neither a number nor a category; convert it first, or give a function of the "
                    "data."
                )
        truth(condition, table, table.values)
    except SpecificationError as error:
        raise SpecificationError(f"{place}{error}") from None


def truth(condition: str, table: Table, values: Mapping[str, Array]) -> Array:
    """Evaluate a condition: 1 true, 0 false, NaN unknown, (row,).

    A missing value makes a condition unknown only where the other parts leave it open.

    Parameters
    ----------
    condition
        The text.
    table
        Gives the codes of the labels.
    values
        Variable -> (row,), canonical order.
    """
    tree, aliases = _parsed(condition)
    return _truth(tree, aliases, condition, table, values)


def truth_of_function(
    function: Callable[[pd.DataFrame], Any], table: Table, frame: pd.DataFrame
) -> Array:
    """Call a condition on a frame in the user's row order; give 1 and 0 in canonical order.

    Raises
    ------
    SpecificationError
        If it fails, or does not give one True or False a row.
    """
    try:
        result = function(frame)
    except (Exception, SystemExit) as error:  # the user's own code may fail in any way
        raise SpecificationError(
            f"the condition {_called(function)} failed: {type(error).__name__}: {error}"
        ) from error
    holds = np.asarray(by_row(result, frame), dtype=object)
    if holds.shape != (len(frame),) or not all(isinstance(v, bool | np.bool_) for v in holds):
        raise SpecificationError(
            f"the condition {_called(function)} must give one True or False for each of the "
            f"{len(frame)} rows of the frame."
        )
    return holds.astype(float)[table.rows]


def _called(function: Callable[..., Any]) -> str:
    return str(getattr(function, "__name__", type(function).__name__))


@lru_cache(maxsize=4096)
def _parsed(condition: str) -> tuple[ast.expr, Mapping[str, str]]:
    """Syntax tree, and the names that stand for columns."""
    try:
        tree, aliases = syntax_tree(condition)
        return _WithoutIn().visit(tree), aliases
    except SpecificationError as error:
        raise SpecificationError(
            f"{condition[:200]!r} cannot be read as a condition; {HELP}."
        ) from error


def _text(node: ast.expr, aliases: Mapping[str, str]) -> str:
    return unaliased(ast.unparse(node), aliases)


class _WithoutIn(ast.NodeTransformer):
    """Writes ``x in [1, 2]`` as ``x == 1 or x == 2``."""

    def visit_Compare(self, node: ast.Compare) -> ast.AST:
        match node:
            case ast.Compare(
                left=left,
                ops=[ast.In() | ast.NotIn() as operation],
                comparators=[ast.List(elts=values) | ast.Tuple(elts=values) | ast.Set(elts=values)],
            ):
                equal: list[ast.expr] = [ast.Compare(left, [ast.Eq()], [value]) for value in values]
                either = ast.BoolOp(ast.Or(), equal)
                return (
                    ast.UnaryOp(ast.Not(), either) if isinstance(operation, ast.NotIn) else either
                )
        return node


def _names(node: ast.expr, aliases: Mapping[str, str], condition: str) -> list[str]:
    match node:
        case ast.BoolOp(values=[]):
            raise SpecificationError(f"{condition!r}: the list after in is empty; {HELP}.")
        case ast.BoolOp(values=parts):
            return [name for part in parts for name in _names(part, aliases, condition)]
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return _names(operand, aliases, condition)
        case ast.Compare() | ast.Name():
            text = _text(node, aliases)
            names = names_in(text)
            if not names or (names == (text,) and not isinstance(node, ast.Name)):
                raise SpecificationError(f"{condition!r}: {text!r} is no comparison; {HELP}.")
            return list(names)
        case _:
            raise SpecificationError(
                f"{condition!r}: {_text(node, aliases)!r} is neither true nor false; {HELP}."
            )


def _truth(
    node: ast.expr,
    aliases: Mapping[str, str],
    condition: str,
    table: Table,
    values: Mapping[str, Array],
) -> Array:
    def inner(part: ast.expr) -> Array:
        return _truth(part, aliases, condition, table, values)

    match node:
        case ast.BoolOp(op=ast.And(), values=parts):
            return _all([inner(part) for part in parts])
        case ast.BoolOp(values=parts):
            return 1 - _all([1 - inner(part) for part in parts])
        case ast.UnaryOp(operand=operand):
            return 1 - inner(operand)
    text = _text(node, aliases)
    if isinstance(node, ast.Name):
        name = aliases.get(node.id, node.id)
        if table.variables[name].categories != (False, True):
            raise SpecificationError(
                f"{condition!r}: {name!r} alone is neither true nor false; compare it, such as "
                f"{name} == {(table.variables[name].categories or (1,))[-1]!r}."
            )
        return np.asarray(values[name], dtype=float)
    return evaluate(with_category_codes(text, table), values)


def _all(parts: Sequence[Array]) -> Array:
    """1 where all are 1, 0 where one is 0, otherwise unknown."""
    stacked = np.stack(parts)
    unknown = np.isnan(stacked).any(axis=0)
    false = (stacked == 0).any(axis=0)
    return np.where(false, 0.0, np.where(unknown, np.nan, 1.0))
