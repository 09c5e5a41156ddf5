"""An analysis formula taken apart, its factors in one spelling so that formulas can be compared."""

import ast
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import product as every
from typing import Any

from bayesimpute.errors import SpecificationError
from bayesimpute.pooling.formula_design import analysis_formula
from bayesimpute.specification.expressions import quoted, read, syntax_tree, unaliased
from bayesimpute.specification.formula_terms import (
    COLUMN_FUNCTIONS,
    MEANS,
    Factor,
    Product,
    RandomEffects,
)

#: Calls that only say what a column is, or shift and scale it.
LINEAR_CALLS = ("I", "C", "factor", "relevel", "scale", "center", "standardize")
#: Calls that stand for powers of their first argument.
POWERS = ("poly",)


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
        tree, aliases = syntax_tree(factor)
    except SpecificationError:
        return (factor,)
    return tuple(dict.fromkeys(aliases.get(name, name) for name in _names(tree)))


def _names(node: ast.AST) -> Iterator[str]:
    """Names of columns; other arguments than the first only say how it is transformed."""
    match node:
        case ast.Name(id=name):
            yield name
        case ast.Call(args=arguments):
            for part in arguments[:1] if _called(node) in COLUMN_FUNCTIONS else arguments:
                yield from _names(part)
        case _:
            for inner in ast.iter_child_nodes(node):
                yield from _names(inner)


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
    try:
        tree, aliases = syntax_tree(factor)
    except SpecificationError:
        return (frozenset({factor}),)
    node = _bare(tree)
    if isinstance(node, ast.Call) and _called(node) in POWERS and node.args:
        base = _spelled(node.args[0], aliases)
        return tuple(
            frozenset({base if k == 1 else raised(base, k)}) for k in range(1, _degree(node) + 1)
        )
    if _is_linear(node):
        return tuple(frozenset({name}) for name in columns_in(factor, columns))
    parts = [_spelled(part, aliases) for part in _multiplied(node)]
    counts = {part: parts.count(part) for part in parts}
    return (
        frozenset(p if n == 1 else raised(p, n) for p, n in counts.items()),
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


def raised(base: str, exponent: int) -> str:
    """Power of a factor, in the one spelling.

    Examples
    --------
    >>> raised("body fat", 2), raised("log(x)", 2)
    ('`body fat` ** 2', 'log(x) ** 2')
    """
    tree, aliases = syntax_tree(f"{_quoted(base)} ** {exponent}")
    return _spelled(tree, aliases)


def as_power(factor: str, columns: Collection[str]) -> tuple[str, int]:
    """Take a factor apart into base and exponent; any column is a base.

    Examples
    --------
    >>> as_power("log(x) ** 2", ["x"]), as_power("x", ["x"])
    (('log(x)', 2), ('x', 1))
    """
    if factor not in columns:
        tree, aliases = syntax_tree(factor)
        match tree:
            case ast.BinOp(left=base, op=ast.Pow(), right=ast.Constant(value=int(exponent))):
                return _spelled(base, aliases), exponent
    return factor, 1


def in_powers(factors: Iterable[str], columns: Collection[str]) -> Iterator[frozenset[str]]:
    """Give a term with powers in place of functions that imputation formulas do not know.

    Examples
    --------
    >>> [sorted(each) for each in in_powers(["bs(x, df=4)", "z"], ["x", "z"])]
    [['x', 'z'], ['x ** 2', 'z'], ['x ** 3', 'z']]
    """
    choices = [
        [factor]
        if usable(as_written(factor, columns))
        else [c if k == 1 else raised(c, k) for c in columns_in(factor, columns) for k in (1, 2, 3)]
        for factor in factors
    ]
    return map(frozenset, every(*choices))


def whole(factor: str, columns: Collection[str]) -> str:
    """Spelling of a factor that is not taken apart unless it is one column up to scale.

    Examples
    --------
    >>> whole("I(y - x)", ["x", "y"]), whole("scale(y)", ["x", "y"])
    ('y - x', 'y')
    """
    parts = product(factor, columns)
    if len(parts) == 1 and len(parts[0]) == 1:
        return next(iter(parts[0]))
    tree, aliases = syntax_tree(factor)
    return _spelled(tree, aliases)


def _quoted(name: str) -> str:
    return quoted(name) if re.fullmatch(r"[\w. ]+", name) else f"({name})"


def _called(node: ast.Call) -> str:
    return node.func.id if isinstance(node.func, ast.Name) else ""


def _bare(node: ast.expr) -> ast.expr:
    """Take off calls that change nothing but the scale."""
    while isinstance(node, ast.Call) and _called(node) in LINEAR_CALLS and node.args:
        node = node.args[0]
    return node


def _degree(node: ast.Call) -> int:
    """Give the highest power of a polynomial; of absurd ones the first few are enough."""
    named = [option.value for option in node.keywords if option.arg == "degree"]
    for given in [*node.args[1:2], *named]:
        if isinstance(given, ast.Constant) and isinstance(given.value, int):
            return min(given.value, 9)
    return 1


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
    if isinstance(node, ast.UnaryOp):
        return _multiplied(node.operand)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div) and _is_constant(node.right):
        return _multiplied(node.left)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
        sides = [side for side in (node.left, node.right) if not _is_constant(side)]
        return [part for side in sides for part in _multiplied(side)]
    return [node]


def _spelled(node: ast.expr, aliases: Mapping[str, str]) -> str:
    """Text of a node, what only scales left out, columns by their own names."""
    node = _OneSpelling().visit(_bare(node))
    if isinstance(node, ast.Name):
        return aliases.get(node.id, node.id)
    return unaliased(ast.unparse(node), aliases)


class _OneSpelling(ast.NodeTransformer):
    """Takes I() off inside and writes 2.0 as 2."""

    def visit_Call(self, node: ast.Call) -> ast.AST:
        if _called(node) == "I" and len(node.args) == 1:
            return self.visit(node.args[0])
        return self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        if isinstance(node.value, float) and node.value.is_integer():
            return ast.Constant(int(node.value))
        return node


type Factors = frozenset[str]


@dataclass(frozen=True)
class Analysis:
    """What an analysis asks of the data.

    Attributes
    ----------
    formula
        As it was given.
    outcome
        Factor left of the ``~``.
    terms
        Fixed terms, each a set of factors; columns and functions of columns.
    slopes
        Terms with an effect that varies by cluster, by grouping column.
    correlated
        Effects in one random part, by grouping column; the intercept is a term without factors.
    means
        Columns whose cluster mean is a predictor.
    groups
        Grouping columns; of ``g:h`` both.
    names
        All names it uses that should be columns.
    survival
        Whether the outcome is the time to an event.
    """

    formula: str
    outcome: str
    terms: tuple[Factors, ...]
    slopes: tuple[tuple[str, Factors], ...]
    correlated: tuple[tuple[str, tuple[Factors, ...]], ...]
    means: tuple[str, ...]
    groups: tuple[tuple[str, ...], ...]
    names: tuple[str, ...]
    survival: bool = False


def parse_analysis(formula: Any, columns: Collection[str]) -> Analysis:
    """Read an analysis formula as ``imp.fit`` does.

    Parameters
    ----------
    formula
        ``"y ~ x * z + (1 + x | g)"``; ``cluster_mean(x)`` stands for a contextual effect.
    columns
        Columns of the data.

    Raises
    ------
    AnalysisError
        If it is no formula.

    Examples
    --------
    >>> read = parse_analysis("y ~ x * z + (1 + x | g)", ["g", "x", "y", "z"])
    >>> [sorted(each) for each in read.terms], [sorted(each) for _, each in read.slopes]
    ([['x'], ['z'], ['x', 'z']], [['x']])
    """
    read, outcome = analysis_formula(formula, columns)
    terms = [*read.terms, *((offset,) for offset in read.offsets)]
    fixed = [sets for term in terms if not _is_mean(term) for sets in _sets(term, columns)]
    slopes = [
        (part.groups[-1], sets)
        for part in read.random
        for term in part.terms
        for sets in _sets(term, columns)
    ]
    correlated = [
        (part.groups[-1], tuple(_effects(part, columns)))
        for part in read.random
        if not part.independent and len(part.terms) + part.intercept > 1
    ]
    return Analysis(
        formula,
        whole(_text(outcome), columns),
        _once(fixed),
        _once(slopes),
        tuple(correlated),
        _once(name for term in terms if _is_mean(term) for name in term[0].names),
        _once(part.groups for part in read.random),
        read.names,
        read.event is not None,
    )


def _once[Each](found: Iterable[Each]) -> tuple[Each, ...]:
    return tuple(dict.fromkeys(found))


def _is_mean(term: Product) -> bool:
    return len(term) == 1 and term[0].function in MEANS


def _text(factor: Factor) -> str:
    return factor.text if factor.column is None else factor.column


def _sets(term: Product, columns: Collection[str]) -> Iterator[Factors]:
    """Give the terms that a term stands for, each a set of factors."""
    for alternatives in every(*(product(_text(factor), columns) for factor in term)):
        yield frozenset().union(*alternatives)


def _effects(part: RandomEffects, columns: Collection[str]) -> Iterator[Factors]:
    """Effects of a random part as sets of factors."""
    if part.intercept:
        yield frozenset()
    for term in part.terms:
        yield from _sets(term, columns)
