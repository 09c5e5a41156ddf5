"""Arithmetic written as text, evaluated over arrays without ever running it as Python code.

First the spelling: names as R allows them, Python's syntax tree, one text for all that means the
same. Then the evaluation.
"""

import ast
import copy
import keyword
import math
import operator
import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache, partial
from types import MappingProxyType
from typing import Any

import numpy as np

from bayesimpute.data.table import Kind, Table
from bayesimpute.errors import SpecificationError
from bayesimpute.wording import did_you_mean, listed

#: Keywords that stay what they are in Python; any other, such as class, may name a column.
_KEYWORDS = ("and", "or", "not", "in", "is", "if", "else", "for", "lambda", "True", "False", "None")
_STRING = r"\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'"
_TOKEN = re.compile(
    rf"`(?P<quoted>[^`]+)`|\bQ\s*\(\s*(?P<named>{_STRING})\s*\)|(?P<text>{_STRING})"
    r"|(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)(?:L\b)?"
    r"|(?P<name>(?:[^\W\d]|\.(?=[^\W\d]))[\w.]*)(?P<call>\s*\()?"
    r"|(?P<operator>\^|%%|%/%)"
)
_NUMPY = re.compile(r"(?:np|numpy)\.(?=\w+$)")
#: R's names of operators and functions, and those by which they are known here.
_OF_R = {"^": "**", "%%": "%", "%/%": "//"}
_CALLS_OF_R = {
    "as.factor": "factor",
    "as.numeric": "I",
    "ceiling": "ceil",
    "ifelse": "where",
    "pmax": "maximum",
    "pmin": "minimum",
}
_ALIAS = re.compile(r"\b_column\d+_\b")
#: Characters of an expression; longer ones are no arithmetic anybody wrote.
LONGEST = 50_000
#: Levels of its tree; a sum of n columns has n.
DEEPEST = 2000


def respelled(expression: str, name_of: Callable[[str], str]) -> str:
    """Write an expression in Python's spelling, names Python would not read by `name_of`.

    ``^`` is a power, ``%%`` a remainder and ``2L`` a number, as in R; ``np.log`` is ``log`` and
    ``pmin`` is ``minimum``; names are ``wt.loss``, ``class``, ``Q("body fat")`` and what stands in
    backticks.

    Examples
    --------
    >>> respelled("I(wt.loss / (Height)^2) + np.log(x)", "<{}>".format)
    'I(<wt.loss> / (Height)**2) + log(x)'
    """

    def spelled(token: re.Match[str]) -> str:
        if token["quoted"]:
            return name_of(token["quoted"])
        if token["named"]:
            return name_of(unquoted(token["named"]))
        if token["operator"]:
            return _OF_R[token["operator"]]
        name = token["name"]
        if name is None:
            return token["number"] or token[0]
        if token["call"]:
            return function_name(name) + token["call"]
        return name if name in _KEYWORDS or _is_plain(name) else name_of(name)

    return _TOKEN.sub(spelled, expression)


def function_name(written: str) -> str:
    """Name by which a function is known here, whether R, NumPy or this package calls it so.

    Examples
    --------
    >>> function_name("np.log"), function_name("pmin"), function_name("sqrt")
    ('log', 'minimum', 'sqrt')
    """
    name = _NUMPY.sub("", written)
    return _CALLS_OF_R.get(name, name)


def _is_plain(name: str) -> bool:
    """Whether Python reads a name as that very name, and no alias is spelled like it."""
    return (
        name.isidentifier()
        and not keyword.iskeyword(name)
        and unicodedata.normalize("NFKC", name) == name
        and not _ALIAS.fullmatch(name)
    )


def unquoted(text: str) -> str:
    """Text between quotation marks; a backslash takes the next character as it is."""
    return re.sub(r"\\(.)", r"\1", text[1:-1], flags=re.DOTALL)


def canonical(expression: str) -> str:
    """One spelling of all expressions that are the same but for blanks, brackets and order.

    Examples
    --------
    >>> canonical("I(x^2)") == canonical("I( (x) ** 2 )"), canonical("x*z") == canonical("z * x")
    (True, True)
    """
    try:
        tree, aliases = syntax_tree(expression)
        return _ordered(tree, aliases)
    except (SpecificationError, RecursionError):
        return expression.strip()


def _ordered(node: ast.expr, aliases: Mapping[str, str]) -> str:
    match node:
        case ast.Name(id=name):
            return quoted(aliases.get(name, name))
        case ast.BinOp(op=ast.Add() | ast.Mult() as operation):
            sign = "+" if isinstance(operation, ast.Add) else "*"
            return f"({f' {sign} '.join(sorted(_chain(node, type(operation), aliases)))})"
        case ast.BinOp(left=left, op=operation, right=right):
            sign = ast.unparse(ast.BinOp(ast.Name("a"), operation, ast.Name("b")))[1:-1]
            return f"({_ordered(left, aliases)}{sign}{_ordered(right, aliases)})"
        case ast.Call(func=ast.Name(id=name), args=arguments, keywords=options):
            parts = [_ordered(part, aliases) for part in arguments]
            named = sorted(f"{each.arg}={_ordered(each.value, aliases)}" for each in options)
            return f"{name}({', '.join([*parts, *named])})"
        case ast.Constant(value=bool() as value):
            return str(value)
        case ast.Constant(value=int() | float() as value):
            return repr(float(value))
    return unaliased(ast.unparse(node), aliases)


def _chain(
    node: ast.expr, operation: type[ast.operator], aliases: Mapping[str, str]
) -> Iterator[str]:
    """Summands of a sum, factors of a product."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, operation):
        yield from _chain(node.left, operation, aliases)
        yield from _chain(node.right, operation, aliases)
    else:
        yield _ordered(node, aliases)


def quoted(name: str) -> str:
    """Name of a column as it is written in an expression: in backticks or Q() if it has to be."""
    if _is_plain(name):
        return name
    if name and "`" not in name:
        return f"`{name}`"
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    return f'Q("{escaped}")'


def unaliased(text: str, aliases: Mapping[str, str]) -> str:
    """Give columns their own names back in the text of a part of `syntax_tree`."""
    return _ALIAS.sub(lambda found: quoted(aliases.get(found[0], found[0])), text)


def syntax_tree(expression: str) -> tuple[ast.expr, Mapping[str, str]]:
    """Syntax tree of a text, and the names in it that stand for columns Python could not name.

    Nothing is run, and nothing is refused but what is no Python, or means something else in R: the
    caller looks at each node.

    Raises
    ------
    SpecificationError
        The text does not parse, or R would take a remainder before a product and Python after it.
    """
    aliases: dict[str, str] = {}

    def alias(name: str) -> str:
        aliases[f"_column{len(aliases)}_"] = name
        return list(aliases)[-1]

    if len(expression) > LONGEST:
        raise SpecificationError(too_nested(expression))
    try:
        tree = ast.parse(respelled(expression, alias).strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise SpecificationError(
            f"'{expression[:200]}' cannot be read as an expression ({error.__class__.__name__}); "
            "write arithmetic on columns, such as 'I(weight / height**2)'."
        ) from error
    if _depth(tree) > DEEPEST:
        raise SpecificationError(too_nested(expression))
    if "%%" in expression or "%/%" in expression:
        for node in ast.walk(tree):
            _check_remainder(node, expression)
    return tree, aliases


def _check_remainder(node: ast.AST, expression: str) -> None:
    """Raise where ``a * b %% c`` has no brackets: in R it is ``a * (b %% c)``."""
    match node:
        case ast.BinOp(
            left=ast.BinOp(op=ast.Mult() | ast.Div()) as product, op=ast.Mod() | ast.FloorDiv()
        ) if product.col_offset == node.col_offset:
            raise SpecificationError(
                f"'{expression}': a product before %% or %/% needs brackets, a * (b %% c) as R "
                "reads it, or (a * b) %% c."
            )


def _depth(tree: ast.expr) -> int:
    """Count the levels, without recursion."""
    depth, level = 0, [tree]
    while level:
        depth += 1
        level = [
            part
            for node in level
            for part in ast.iter_child_nodes(node)
            if isinstance(part, ast.expr)
        ]
    return depth


def too_nested(expression: str) -> str:
    """Sentence on a text that is refused for its length or depth."""
    return (
        f"'{expression[:60]}…' is too long or too deeply nested ({len(expression)} characters); "
        "compute parts of it as columns of the data."
    )


#: Name -> number of arguments and function of arrays.
FUNCTIONS: Mapping[str, tuple[int, Callable[..., Any]]] = MappingProxyType(
    {"I": (1, lambda values: values)}
    | {
        name: ({"maximum": 2, "minimum": 2, "where": 3}.get(name, 1), getattr(np, name))
        for name in (
            "abs", "ceil", "cos", "exp", "expm1", "floor", "log", "log10", "log1p", "log2",
            "maximum", "minimum", "round", "sign", "sin", "sqrt", "tan", "tanh", "where",
        )
    }
)  # fmt: skip

#: What operators are of arrays.
_OF_ARRAYS: Mapping[type[ast.AST], Callable[..., Any]] = {
    ast.Add: np.add,
    ast.Sub: np.subtract,
    ast.Mult: np.multiply,
    ast.Div: np.true_divide,
    ast.FloorDiv: np.floor_divide,
    ast.Mod: np.mod,
    ast.Pow: np.power,
    ast.USub: np.negative,
    ast.UAdd: np.positive,
    ast.Lt: np.less,
    ast.LtE: np.less_equal,
    ast.Gt: np.greater,
    ast.GtE: np.greater_equal,
    ast.Eq: np.equal,
    ast.NotEq: np.not_equal,
}


#: The same by the operators that symbols overload; they have no equality.
_OPERATORS: Mapping[type[ast.AST], Callable[..., Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: lambda low, high: 1.0 * (low <= high) * (low >= high),
    ast.NotEq: lambda low, high: 1.0 - 1.0 * (low <= high) * (low >= high),
}


def evaluate(expression: str, columns: Mapping[str, np.ndarray]) -> np.ndarray:
    """Value of an expression in every row.

    Arithmetic, comparisons (1 where true) and the functions of `FUNCTIONS`; names are columns,
    other than plain identifiers in backticks. There is no attribute access and no evaluation of
    Python code. What depends on a missing value is missing.

    Parameters
    ----------
    expression
        ``"I(Weight / Height**2)"``, ``"log(age)"``, or just the name of a column.
    columns
        Variable -> float64 (row,).

    Returns
    -------
    numpy.ndarray
        float64 (row,). NaN or infinite where arithmetic has no value (logarithm of 0, …).

    Raises
    ------
    SpecificationError
        If the text is not such an expression, or names no column of `columns`.

    Examples
    --------
    >>> import numpy as np
    >>> evaluate("weight / height**2", {"weight": np.array([80.0]), "height": np.array([2.0])})
    array([20.])
    """
    if expression in columns:
        return np.asarray(columns[expression], dtype=np.float64)
    tree, aliases = _parsed(expression)
    used = [node.id for node in _columns_used(tree)]
    for name in dict.fromkeys(aliases.get(name, name) for name in used):
        if name not in columns:
            raise SpecificationError(
                f"'{expression}' uses '{name}', which is not a column of the data."
                f"{did_you_mean(name, columns)}"
            )
    n_rows = len(next(iter(columns.values()))) if columns else 0
    try:
        with np.errstate(all="ignore"):
            values = _value(tree, columns, aliases, expression)
    except RecursionError:
        raise SpecificationError(too_nested(expression)) from None
    return np.array(np.broadcast_to(values, (n_rows,)), dtype=np.float64)


def evaluate_symbols(expression: str, columns: Mapping[str, Any]) -> Any:
    """Value of an expression in every row, of which some are symbols of PyTensor.

    Parameters
    ----------
    expression
        As for `evaluate`.
    columns
        Variable -> (row,), an array without missing values or a PyTensor vector.

    Returns
    -------
    pytensor.tensor.TensorVariable
        (row,).
    """
    import pytensor.tensor as pt

    if expression in columns:
        return pt.as_tensor_variable(columns[expression]).astype("float64")
    tree, aliases = _parsed(expression)
    rows = pt.zeros_like(pt.as_tensor_variable(next(iter(columns.values()))), dtype="float64")
    return _symbols(tree, columns, aliases) + rows


def _symbols(node: ast.expr, columns: Mapping[str, Any], aliases: Mapping[str, str]) -> Any:
    """PyTensor graph of what :func:`_value` computes; its names are NumPy's."""
    import pytensor.tensor as pt

    inner = partial(_symbols, columns=columns, aliases=aliases)
    match node:
        case ast.Name(id=name):
            return pt.as_tensor_variable(columns[aliases.get(name, name)]).astype("float64")
        case ast.Constant(value=number):
            return pt.constant(float(number))  # type: ignore[arg-type]
        case ast.BinOp(left=left, op=operation, right=right):
            return _OPERATORS[type(operation)](inner(left), inner(right))
        case ast.UnaryOp(op=ast.UAdd(), operand=operand):
            return inner(operand)
        case ast.UnaryOp(operand=operand):
            return -inner(operand)
        case ast.Call(func=function, args=arguments):
            values, name = [inner(argument) for argument in arguments], _function_name(function)
            if name == "where":
                return pt.where(pt.neq(values[0], 0), values[1], values[2])
            return values[0] if name == "I" else getattr(pt, name)(*values)
        case ast.Compare(left=left, ops=ops, comparators=others):
            sides = [inner(left), *map(inner, others)]
            holds = pt.ones(())
            for comparison, low, high in zip(ops, sides, sides[1:], strict=False):
                holds = holds * _OPERATORS[type(comparison)](low, high)
            return holds
    raise SpecificationError(f"'{ast.unparse(node)}' cannot be evaluated.")


def names_in(expression: str) -> tuple[str, ...]:
    """Columns an expression depends on, in order of appearance, each once.

    Text that is not an expression counts as the name of a column.

    Examples
    --------
    >>> names_in("I(Weight / Height**2) + log(`body fat`)")
    ('Weight', 'Height', 'body fat')
    """
    try:
        tree, aliases = _parsed(expression, labels=True)
    except SpecificationError:
        return (expression,)
    return tuple(dict.fromkeys(aliases.get(node.id, node.id) for node in _columns_used(tree)))


def read(expression: str) -> None:
    """Raise SpecificationError unless the text is an expression; quoted labels may be in it."""
    _parsed(expression, labels=True)


def with_category_codes(expression: str, table: Table) -> str:
    """Replace category labels by their codes: ``FamOb == 'yes'`` becomes ``FamOb == 1``.

    Parameters
    ----------
    expression
        As for `evaluate`, with labels (strings) compared with a categorical column.
    table
        The data, whose categories give the codes.

    Returns
    -------
    str
        The expression in numbers only.

    Raises
    ------
    SpecificationError
        If a label does not exist, if unordered categories are compared by size, if a column of
        categories or objects stands where a number is needed, or if dates of several columns meet.
    """
    if expression in table.variables:
        return expression
    _check_dates(expression, table)
    tree, aliases = _parsed(expression, labels=True)
    try:
        coded = _LabelCoder(table, aliases, expression).visit(copy.deepcopy(tree))
        text = ast.unparse(ast.fix_missing_locations(coded))
    except RecursionError:
        raise SpecificationError(too_nested(expression)) from None
    return unaliased(text, aliases)


def _check_dates(expression: str, table: Table) -> None:
    """Raise where dates meet that are counted from different days; a duration has no such day."""
    first: dict[float, str] = {}
    for name in names_in(expression):
        variable = table.variables.get(name)
        if variable is not None and variable.ticks and getattr(variable.dtype, "kind", "") != "m":
            first.setdefault(variable.ticks.origin / variable.ticks.unit, name)
    if len(first) > 1:
        name, *_, other = first.values()
        raise SpecificationError(
            f"'{expression}': {name!r} and {other!r} are dates, and each counts from the first "
            "date of its own column, so that their difference is another; make numbers that count "
            f"from one day of both: df[{name!r}] = (df[{name!r}] - day) / pd.Timedelta(days=1)."
        )


@lru_cache(maxsize=4096)
def _parsed(expression: str, labels: bool = False) -> tuple[ast.expr, Mapping[str, str]]:
    """Syntax tree of an expression that is allowed, and the names standing for columns."""
    tree, aliases = syntax_tree(expression)
    try:
        _check(tree, expression, labels)
    except RecursionError:
        raise SpecificationError(too_nested(expression)) from None
    return tree, aliases


def _is_number(value: float) -> bool:
    try:
        return math.isfinite(float(value))
    except OverflowError:
        return False


def _check(node: ast.expr, expression: str, labels: bool) -> None:
    """Raise unless the tree holds nothing but what `evaluate` knows."""
    match node:
        case ast.Name():
            parts: list[ast.expr] = []
        case ast.Constant(value=bool() | int() | float() as number) if _is_number(number):
            parts = []
        case ast.Constant(value=str()) if labels:
            parts = []
        case ast.BinOp(left=left, op=operation, right=right) if type(operation) in _OF_ARRAYS:
            parts = [left, right]
        case ast.UnaryOp(op=unary, operand=operand) if type(unary) in _OF_ARRAYS:
            parts = [operand]
        case ast.Compare(left=left, ops=ops, comparators=others) if all(
            type(comparison) in _OF_ARRAYS for comparison in ops
        ):
            parts = [left, *others]
        case ast.Call(func=function, args=arguments, keywords=[]):
            name = _function_name(function)
            if name not in FUNCTIONS:
                raise SpecificationError(
                    f"'{expression}' calls '{ast.unparse(function)}', which is not available; "
                    f"the functions are {', '.join(FUNCTIONS)}."
                )
            if len(arguments) != FUNCTIONS[name][0]:
                raise SpecificationError(
                    f"'{expression}': {name} takes {FUNCTIONS[name][0]} argument(s), "
                    f"not {len(arguments)}."
                )
            parts = arguments
        case ast.BinOp(op=ast.BitAnd() | ast.BitOr()) | ast.BoolOp() | ast.UnaryOp():
            raise SpecificationError(
                f"'{expression}' contains '{ast.unparse(node)}'; write 'and' as the product "
                "(x > 2) * (z > 0), 'or' as maximum(x > 2, z > 0), 'not' as 1 - (x > 2)."
            )
        case _:
            raise SpecificationError(
                f"'{expression}' contains '{ast.unparse(node)}', which is not allowed; only "
                "arithmetic, comparisons and functions such as log, exp, sqrt, where are."
            )
    for part in parts:
        _check(part, expression, labels)


def _function_name(function: ast.expr) -> str:
    """Name of a called function; empty for whatever else is called."""
    return function.id if isinstance(function, ast.Name) else ""


def _columns_used(node: ast.expr) -> Iterator[ast.Name]:
    match node:
        case ast.Name():
            yield node
        case ast.Call(args=arguments):
            for argument in arguments:
                yield from _columns_used(argument)
        case _:
            for part in ast.iter_child_nodes(node):
                if isinstance(part, ast.expr):
                    yield from _columns_used(part)


def _value(
    node: ast.expr, columns: Mapping[str, np.ndarray], aliases: Mapping[str, str], expression: str
) -> Any:
    inner = partial(_value, columns=columns, aliases=aliases, expression=expression)
    match node:
        case ast.Name(id=name):
            return np.asarray(columns[aliases.get(name, name)], dtype=np.float64)
        case ast.Constant(value=number):
            return np.float64(number)  # type: ignore[arg-type]
        case ast.BinOp(left=left, op=operation, right=right):
            return _OF_ARRAYS[type(operation)](inner(left), inner(right))
        case ast.UnaryOp(op=unary, operand=operand):
            return _OF_ARRAYS[type(unary)](inner(operand))
        case ast.Call(func=function, args=arguments):
            values = [inner(argument) for argument in arguments]
            if _function_name(function) == "where":
                chosen = np.where(np.asarray(values[0]) != 0, values[1], values[2])
                return np.where(np.isnan(values[0]), np.nan, chosen)
            return FUNCTIONS[_function_name(function)][1](*values)
        case ast.Compare(left=left, ops=ops, comparators=others):
            sides = [inner(left), *map(inner, others)]
            holds = np.ones(np.broadcast_shapes(*map(np.shape, sides)))
            for comparison, low, high in zip(ops, sides, sides[1:], strict=False):
                true = _OF_ARRAYS[type(comparison)](low, high)
                holds = np.where(np.isnan(low) | np.isnan(high), np.nan, holds * true)
            return holds
    raise SpecificationError(f"'{expression}' cannot be evaluated.")


class _LabelCoder(ast.NodeTransformer):
    """Rewrites comparisons of a categorical column with a label as comparisons of codes."""

    def __init__(self, table: Table, aliases: Mapping[str, str], expression: str) -> None:
        self.table, self.aliases, self.expression = table, aliases, expression

    def visit_Compare(self, node: ast.Compare) -> ast.AST:
        match node:
            case ast.Compare(
                left=ast.Name(id=name), ops=[comparison], comparators=[ast.Constant(value=label)]
            ) if self._is_categorical(name):
                return ast.Compare(node.left, node.ops, [self._code(name, comparison, label)])
        return self.generic_visit(node)

    def visit_Name(self, node: ast.Name) -> ast.AST:
        if self._is_categorical(node.id):
            column = self._column(node.id)
            labels = self.table.variables[column].categories
            raise SpecificationError(
                f"'{self.expression}' uses the categories of '{column}' as numbers; compare them "
                f"with a label instead, such as {column} == {labels[-1]!r}."
            )
        variable = self.table.variables.get(self._column(node.id))
        if variable is not None and variable.kind is Kind.OTHER:
            raise SpecificationError(
                f"'{self.expression}' uses '{variable.name}' ({variable.dtype}), which is neither "
                "a number nor a category; convert it first."
            )
        return node

    def visit_Call(self, node: ast.Call) -> ast.AST:
        node.args = [self.visit(argument) for argument in node.args]
        return node

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        if isinstance(node.value, str):
            raise SpecificationError(
                f"'{self.expression}' contains the text {node.value!r}, which can only be "
                "compared with a categorical column."
            )
        return node

    def _column(self, name: str) -> str:
        return self.aliases.get(name, name)

    def _is_categorical(self, name: str) -> bool:
        variable = self.table.variables.get(self._column(name))
        boolean = variable is not None and variable.categories == (False, True)
        return variable is not None and bool(variable.categories) and not boolean

    def _code(self, name: str, comparison: ast.cmpop, label: Any) -> ast.Constant:
        variable = self.table.variables[self._column(name)]
        ordered = getattr(variable.dtype, "ordered", False)
        if label not in variable.categories:
            raise SpecificationError(
                f"'{self.expression}': {label!r} is not a category of '{variable.name}'; its "
                f"categories are {listed(variable.categories)}."
            )
        if not isinstance(comparison, ast.Eq | ast.NotEq) and not ordered:
            raise SpecificationError(
                f"'{self.expression}' compares the categories of '{variable.name}' by size, but "
                "they are not ordered; use == or !=, or an ordered categorical."
            )
        return ast.Constant(variable.categories.index(label))
