"""Equations between variables, solved for whichever of them is wanted.

``"BMI = Weight / Height**2"`` becomes ``Weight = BMI * Height ** 2`` and
``Height = (Weight / BMI) ** (1 / 2)``: what stands around the wanted variable is moved to the
other side, step by step, on the syntax tree.
"""

import ast
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from bayesimpute.errors import SpecificationError
from bayesimpute.specification.expressions import (
    FUNCTIONS,
    evaluate,
    names_in,
    quoted,
    read,
    respelled,
)

#: Function -> the text of its inverse; ``{}`` is the value. Increasing functions only: others have
#: several solutions, or none.
INVERSES: Mapping[str, str] = MappingProxyType(
    {
        "I": "{}",
        "exp": "log({})",
        "expm1": "log1p({})",
        "log": "exp({})",
        "log10": "10 ** {}",
        "log1p": "expm1({})",
        "log2": "2 ** {}",
        "sqrt": "{} ** 2",
        "tanh": "log((1 + {0}) / (1 - {0})) / 2",
    }
)


@dataclass(frozen=True)
class Solution:
    """One variable in terms of the others.

    Attributes
    ----------
    variable
        That is solved for.
    expression
        Its value.
    not_negative
        Expressions taken to be no less than 0, because a power of them has two roots.
    """

    variable: str
    expression: str
    not_negative: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """As an equation."""
        return f"{quoted(self.variable)} = {self.expression}"


@dataclass(frozen=True)
class Identity:
    """An equation that holds in every row.

    Attributes
    ----------
    text
        As the user wrote it.
    left, right
        Its sides, as expressions.
    one_way
        Written with ``:=``: the left side, one variable, follows from the right; nothing else is
        solved for.
    """

    text: str
    left: str
    right: str
    one_way: bool

    @property
    def variables(self) -> tuple[str, ...]:
        """All that occur, each once."""
        return tuple(dict.fromkeys((*names_in(self.left), *names_in(self.right))))

    def solve(self, variable: str) -> Solution | None:
        """Solve for a variable; None if the identity does not go that way.

        Raises
        ------
        SpecificationError
            If it cannot be inverted: the variable occurs twice, or inside a function that takes
            the same value twice.

        Examples
        --------
        >>> parse("BMI = Weight / Height**2").solve("Height").text
        'Height = (Weight / BMI) ** (1 / 2)'
        """
        if self.left == quoted(variable) and variable not in names_in(self.right):
            return Solution(variable, self.right)
        if self.one_way:
            return None
        sides = [_tree(side) for side in (self.left, self.right)]
        inside = [_count(tree, _alias(variable)) for tree in sides]
        if sum(inside) != 1:
            raise SpecificationError(
                f"rule {self.text!r} cannot be solved for {variable!r}, which occurs {sum(inside)} "
                "times in it. Rewrite it so that it occurs once, or write ':=' in place of '=' to "
                "take the left side from the right and nothing else."
            )
        inner, outer = sides if inside[0] else sides[::-1]
        return _Inversion(self.text, variable).solve(inner, outer)


def parse(rule: str) -> Identity:
    """Read an identity.

    Parameters
    ----------
    rule
        ``"left = right"`` or ``"variable := right"``; names that are no identifiers in backticks.

    Raises
    ------
    SpecificationError
        If it is not one equation between two expressions.

    Examples
    --------
    >>> parse("total = a + b").variables
    ('total', 'a', 'b')
    """
    if not isinstance(rule, str):
        raise SpecificationError(
            f"a rule is a text such as 'BMI = Weight / Height**2', not {type(rule).__name__}."
        )
    parts = re.split(r"(?<![=!<>:]):?=(?!=)", rule)
    one_way = re.search(r":=", rule) is not None
    if len(parts) != 2 or not all(part.strip() for part in parts):
        raise SpecificationError(
            f"rule {rule!r} is not one equation; write 'BMI = Weight / Height**2', or with ':=' if "
            "only the left side follows from the right."
        )
    left, right = (part.strip() for part in parts)
    for side in (left, right):
        read(side)
    identity = Identity(rule, left, right, one_way)
    if one_way and names_in(left) != (left.strip("`"),):
        raise SpecificationError(f"rule {rule!r}: left of ':=' stands one variable.")
    if not names_in(left) and not names_in(right):
        raise SpecificationError(f"rule {rule!r} names no variable.")
    return identity


# Names in backticks stand in the tree as identifiers that spell their characters' numbers.


def _alias(name: str) -> str:
    return name if quoted(name) == name else "_q" + "_".join(str(ord(c)) for c in name) + "_"


def _tree(expression: str) -> ast.expr:
    return ast.parse(respelled(expression, _alias), mode="eval").body


def _text(tree: ast.expr) -> str:
    def named(match: re.Match[str]) -> str:
        return quoted("".join(chr(int(code)) for code in match.group(1).split("_")))

    return re.sub(r"\b_q(\d+(?:_\d+)*)_\b", named, ast.unparse(tree))


def _count(tree: ast.expr, alias: str) -> int:
    return sum(isinstance(node, ast.Name) and node.id == alias for node in ast.walk(tree))


def _binary(left: ast.expr, operation: ast.operator, right: ast.expr) -> ast.expr:
    return ast.BinOp(left, operation, right)


def _names(tree: ast.expr) -> bool:
    return any(isinstance(node, ast.Name) and node.id not in FUNCTIONS for node in ast.walk(tree))


#: Columns to evaluate a constant over.
_ONE_ROW = {"": np.zeros(1)}

#: (operation, wanted variable on the left) -> what the operand with it equals, from the value of
#: the whole and the other operand.
_STEPS: Mapping[tuple[type[ast.operator], bool], Callable[[ast.expr, ast.expr], ast.expr]] = {
    (ast.Add, True): lambda value, other: _binary(value, ast.Sub(), other),
    (ast.Add, False): lambda value, other: _binary(value, ast.Sub(), other),
    (ast.Sub, True): lambda value, other: _binary(value, ast.Add(), other),
    (ast.Sub, False): lambda value, other: _binary(other, ast.Sub(), value),
    (ast.Mult, True): lambda value, other: _binary(value, ast.Div(), other),
    (ast.Mult, False): lambda value, other: _binary(value, ast.Div(), other),
    (ast.Div, True): lambda value, other: _binary(value, ast.Mult(), other),
    (ast.Div, False): lambda value, other: _binary(other, ast.Div(), value),
}


class _Inversion:
    """Moves what stands around one variable to the other side."""

    def __init__(self, rule: str, variable: str) -> None:
        self.rule, self.variable, self.alias = rule, variable, _alias(variable)
        self.not_negative: list[str] = []

    def solve(self, inner: ast.expr, value: ast.expr) -> Solution:
        """Solve inner = value, the variable standing in `inner`."""
        while not isinstance(inner, ast.Name):
            inner, value = self._step(inner, value)
        return Solution(self.variable, _text(value), tuple(self.not_negative))

    def _step(self, inner: ast.expr, value: ast.expr) -> tuple[ast.expr, ast.expr]:
        match inner:
            case ast.UnaryOp(op=ast.UAdd(), operand=operand):
                return operand, value
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return operand, ast.UnaryOp(ast.USub(), value)
            case ast.BinOp(left=left, op=ast.Pow(), right=right):
                return self._power(left, right, value)
            case ast.BinOp(left=left, op=operation, right=right):
                on_the_left = _count(left, self.alias) == 1
                step = _STEPS.get((type(operation), on_the_left))
                if step is not None:
                    operands = (left, right) if on_the_left else (right, left)
                    return operands[0], step(value, operands[1])
            case ast.Call(func=function, args=[argument]):
                name = ast.unparse(function).rpartition(".")[2]
                if name in INVERSES:
                    return argument, _tree(INVERSES[name].format(f"({ast.unparse(value)})"))
        raise self._impossible(inner)

    def _power(
        self, base: ast.expr, exponent: ast.expr, value: ast.expr
    ) -> tuple[ast.expr, ast.expr]:
        if _count(exponent, self.alias):
            logarithms = [ast.Call(ast.Name("log"), [part], []) for part in (value, base)]
            return exponent, _binary(logarithms[0], ast.Div(), logarithms[1])
        number = None if _names(exponent) else float(evaluate(_text(exponent), _ONE_ROW)[0])
        if number == 0:
            raise self._impossible(ast.BinOp(base, ast.Pow(), exponent))
        inverse = _binary(ast.Constant(1), ast.Div(), exponent)
        if number is not None and number % 2 == 1:
            # numpy takes no root of a negative number, though an odd one exists
            sign, size = (ast.Call(ast.Name(name), [value], []) for name in ("sign", "abs"))
            return base, _binary(sign, ast.Mult(), _binary(size, ast.Pow(), inverse))
        self.not_negative.append(_text(base))
        return base, _binary(value, ast.Pow(), inverse)

    def _impossible(self, part: ast.expr) -> SpecificationError:
        return SpecificationError(
            f"rule {self.rule!r} cannot be solved for {self.variable!r}: "
            f"'{_text(part)}' has no inverse here. What can be undone is + - * / ** and "
            f"{', '.join(name for name in INVERSES if name != 'I')}. Write ':=' in place "
            "of '=' to take the left side from the right and nothing else."
        )
