"""Factors of formula terms in one spelling, so that two formulas can be compared."""

import ast
import re
from collections.abc import Collection

from bayesimpute.errors import SpecificationError
from bayesimpute.specification.expressions import FUNCTIONS, names_in, quoted, read

#: Calls that only say what a column is, or shift and scale it.
LINEAR_CALLS = ("I", "C", "factor", "scale", "center", "standardize")
#: Calls that stand for powers of their first argument.
POWERS = ("poly",)

_NAME = re.compile(r"`([^`]+)`|(?<![\w.\"'])([^\W\d][\w.]*)(?!\s*\(|\w|\s*=[^=])")


def columns_in(factor: str, columns: Collection[str]) -> tuple[str, ...]:
    """Columns a factor depends on; names that are no column are given too.

    Examples
    --------
    >>> columns_in("bs(x, df=4)", ["x", "y"]), columns_in("log(`body fat`)", ["body fat"])
    (('x',), ('body fat',))
    """
    if factor in columns:
        return (factor,)
    try:
        read(factor)
    except SpecificationError:
        names = (match[1] or match[2] for match in _NAME.finditer(factor))
        return tuple(dict.fromkeys(n for n in names if not n.startswith(("np.", "Treatment"))))
    return names_in(factor)


def product(factor: str, columns: Collection[str]) -> tuple[frozenset[str], ...]:
    """Terms that a factor stands for, each a set of factors in one spelling.

    A product of columns is an interaction, a sum or a linear function its columns, ``poly(x, 2)``
    is ``x`` and ``x ** 2``.

    Examples
    --------
    >>> names = ["x", "z"]
    >>> [sorted(each) for each in product("I(x * z)", names)]
    [['x', 'z']]
    >>> [sorted(each) for each in product("poly(x, 2)", names)], product("scale(x)", names)
    ([['x'], ['x ** 2']], (frozenset({'x'}),))
    >>> product("np.log(x)", names), product("I(x * x)", names)
    ((frozenset({'log(x)'}),), (frozenset({'x ** 2'}),))
    """
    if factor in columns:
        return (frozenset({factor}),)
    aliases: dict[str, str] = {}

    def alias(match: re.Match[str]) -> str:
        aliases[f"column{len(aliases)}__"] = match[1]
        return list(aliases)[-1]

    try:
        tree = ast.parse(re.sub(r"`([^`]+)`", alias, factor).strip(), mode="eval").body
    except SyntaxError:
        return (frozenset({factor}),)
    node = _bare(tree)
    if isinstance(node, ast.Call) and _called(node) in POWERS and node.args:
        power = node.args[1] if len(node.args) > 1 else ast.Constant(1)
        top = power.value if isinstance(power, ast.Constant) else 2
        base = _spelled(node.args[0], aliases)
        return tuple(frozenset({base if k == 1 else f"{_quoted(base)} ** {k}"})
                     for k in range(1, int(top) + 1))  # type: ignore[arg-type]  # fmt: skip
    if _is_linear(node):
        names = [n.id for n in ast.walk(node) if isinstance(n, ast.Name)]
        found = dict.fromkeys(aliases.get(name, name) for name in names if name not in FUNCTIONS)
        return tuple(frozenset({name}) for name in found if name not in LINEAR_CALLS)
    parts = [_spelled(part, aliases) for part in _multiplied(node)]
    counts = {part: parts.count(part) for part in parts}
    return (
        frozenset(p if n == 1 else f"{_quoted(p)} ** {n}" for p, n in counts.items()),
    )  # fmt: skip


def as_written(factor: str, columns: Collection[str]) -> str:
    """Factor as it is written in a formula of an imputation model."""
    if factor in columns:
        return quoted(factor)
    called = re.match(r"[A-Za-z_]\w*\(", factor)
    return factor if called and factor.endswith(")") else f"I({factor})"


def usable(factor: str) -> bool:
    """Whether formulas of imputation models know every function of a factor."""
    try:
        read(factor)
    except SpecificationError:
        return False
    return True


def _quoted(name: str) -> str:
    return quoted(name) if re.fullmatch(r"[\w. ]+", name) else f"({name})"


def _called(node: ast.Call) -> str:
    return node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")


def _bare(node: ast.expr) -> ast.expr:
    """Take off calls that change nothing but the scale."""
    while isinstance(node, ast.Call) and _called(node) in LINEAR_CALLS and node.args:
        node = node.args[0]
    return node


def _is_linear(node: ast.expr) -> bool:
    node = _bare(node)
    if isinstance(node, ast.Name):
        return True
    if isinstance(node, ast.UnaryOp):
        return _is_linear(node.operand)
    if isinstance(node, ast.BinOp):
        left, right = (_is_constant(side) for side in (node.left, node.right))
        if isinstance(node.op, ast.Add | ast.Sub):
            return (left or _is_linear(node.left)) and (right or _is_linear(node.right))
        if isinstance(node.op, ast.Mult):
            return (left and _is_linear(node.right)) or (right and _is_linear(node.left))
        if isinstance(node.op, ast.Div):
            return right and _is_linear(node.left)
    return False


def _is_constant(node: ast.expr) -> bool:
    return not any(isinstance(part, ast.Name) for part in ast.walk(node))


def _multiplied(node: ast.expr) -> list[ast.expr]:
    node = _bare(node)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
        sides = [side for side in (node.left, node.right) if not _is_constant(side)]
        return [part for side in sides for part in _multiplied(side)]
    return [node]


def _spelled(node: ast.expr, aliases: dict[str, str]) -> str:
    """Text of a node, ``np.`` and what only scales left out, columns by their own names."""
    node = _bare(node)
    if isinstance(node, ast.Name):
        return aliases.get(node.id, node.id)
    text = re.sub(r"\b(?:np|numpy)\.", "", ast.unparse(node))
    for name, column in aliases.items():
        text = text.replace(name, f"`{column}`")
    return text
