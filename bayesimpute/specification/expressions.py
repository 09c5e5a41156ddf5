"""Formulas over columns, read by Python's parser and evaluated by hand.

Only arithmetic, comparisons and the functions named here are understood. Nothing is passed to
``eval``, so an expression that comes with a stranger's file can compute, and no more.
"""

import ast
import operator
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from bayesimpute.errors import SpecificationError

FUNCTIONS: Mapping[str, Callable[..., Any]] = MappingProxyType(
    {
        "I": lambda x: x,
        "log": np.log,
        "log1p": np.log1p,
        "log2": np.log2,
        "log10": np.log10,
        "exp": np.exp,
        "sqrt": np.sqrt,
        "abs": np.abs,
        "round": np.round,
        "floor": np.floor,
        "ceil": np.ceil,
        "minimum": np.minimum,
        "maximum": np.maximum,
        "where": np.where,
    }
)
_BINARY: Mapping[type[ast.operator], Callable[..., Any]] = MappingProxyType(
    {
        ast.Add: operator.add,
        ast.Sub: operator.sub,
        ast.Mult: operator.mul,
        ast.Div: operator.truediv,
        ast.Pow: operator.pow,
        ast.Mod: operator.mod,
        ast.FloorDiv: operator.floordiv,
    }
)
_COMPARE: Mapping[type[ast.cmpop], Callable[..., Any]] = MappingProxyType(
    {
        ast.Lt: operator.lt,
        ast.LtE: operator.le,
        ast.Gt: operator.gt,
        ast.GtE: operator.ge,
        ast.Eq: operator.eq,
        ast.NotEq: operator.ne,
    }
)


def names_in(expression: str) -> tuple[str, ...]:
    """Columns an expression reads, in order of appearance.

    A column whose name is not a Python name is written in backticks, as in R.

    Examples
    --------
    >>> names_in("I(Weight / Height**2)")
    ('Weight', 'Height')

    Raises
    ------
    SpecificationError
        If the expression does not parse.
    """
    tree, quoted = _parse(expression)
    called = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    found = [
        node for node in ast.walk(tree) if isinstance(node, ast.Name) and id(node) not in called
    ]
    found.sort(key=lambda node: (node.lineno, node.col_offset))
    return tuple(dict.fromkeys(quoted.get(node.id, node.id) for node in found))


def evaluate(expression: str, columns: Mapping[str, np.ndarray]) -> np.ndarray:
    """Value of an expression for every row.

    Parameters
    ----------
    expression
        For example ``"I(Weight / Height**2)"``.
    columns
        Name -> (row,).

    Returns
    -------
    numpy.ndarray
        (row,), or a scalar array if no column is named. Divisions by zero and logarithms of
        negative numbers give infinite or missing values, silently: who asks checks.

    Examples
    --------
    >>> import numpy as np
    >>> evaluate("a / b", {"a": np.array([1.0]), "b": np.array([4.0])})
    array([0.25])

    Raises
    ------
    SpecificationError
        If the expression does not parse, or uses something not understood here.
    """
    tree, quoted = _parse(expression)
    with np.errstate(all="ignore"):
        return np.asarray(_value(tree.body, columns, quoted, expression), dtype=float)


def _parse(expression: str) -> tuple[ast.Expression, dict[str, str]]:
    quoted: dict[str, str] = {}
    parts = expression.strip().split("`")
    text = parts[0]
    for k in range(1, len(parts) - 1, 2):
        stand_in = f"__column_{k}"
        quoted[stand_in] = parts[k]
        text += stand_in + parts[k + 1]
    try:
        return ast.parse(text, mode="eval"), quoted
    except SyntaxError as error:
        raise SpecificationError(
            f"Expression {expression!r} does not parse: {error.msg}. Write it as Python "
            "arithmetic over column names, for example 'I(Weight / Height**2)'."
        ) from None


def _value(
    node: ast.expr, columns: Mapping[str, np.ndarray], quoted: Mapping[str, str], text: str
) -> Any:
    def value(part: ast.expr) -> Any:
        return _value(part, columns, quoted, text)

    match node:
        case ast.Constant(value=int() | float() as number):
            return float(number)
        case ast.Name(id=name) if quoted.get(name, name) in columns:
            return columns[quoted.get(name, name)]
        case ast.Name(id=name):
            raise SpecificationError(f"Expression {text!r}: there is no column {name!r}.")
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _BINARY:
            return _BINARY[type(op)](value(left), value(right))
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -value(operand)
        case ast.UnaryOp(op=ast.UAdd(), operand=operand):
            return value(operand)
        case ast.Compare(left=left, ops=[op], comparators=[right]) if type(op) in _COMPARE:
            return _COMPARE[type(op)](value(left), value(right)) * 1.0
        case ast.Call(func=ast.Name(id=name), args=args, keywords=[]) if name in FUNCTIONS:
            return FUNCTIONS[name](*(value(arg) for arg in args))
    raise SpecificationError(
        f"Expression {text!r}: {ast.unparse(node)!r} is not understood. Use + - * / ** %, "
        f"comparisons, column names and {', '.join(FUNCTIONS)}."
    )
