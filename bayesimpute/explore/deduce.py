"""Missing values that follow from others, filled before anything is imputed: ``bi.deduce``.

``"BMI = Weight / Height**2"`` becomes ``Weight = BMI * Height ** 2`` and
``Height = (Weight / BMI) ** (1 / 2)``: what stands around the wanted variable is moved to the
other side, step by step, on the syntax tree.
"""

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from bayesimpute import html
from bayesimpute.arguments import NotNegative, checked
from bayesimpute.data.table import ClusterIndex, Kind, Table
from bayesimpute.errors import DataError, SpecificationError, warn
from bayesimpute.explore.columns import check_columns, factors_of
from bayesimpute.explore.patterns import distinct_codes, labels_of
from bayesimpute.interchange import Frame, given, taken
from bayesimpute.method import Array
from bayesimpute.specification.expressions import (
    FUNCTIONS,
    evaluate,
    names_in,
    quoted,
    read,
    respelled,
    with_category_codes,
)
from bayesimpute.specification.suggest import is_level_2
from bayesimpute.wording import listed

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
        alone = self.left in (variable, quoted(variable))  # wt.loss, say, needs no backticks
        if alone and variable not in names_in(self.right):
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


def _names(tree: ast.expr) -> bool:
    return any(isinstance(node, ast.Name) and node.id not in FUNCTIONS for node in ast.walk(tree))


#: Columns to evaluate a constant over.
_ONE_ROW = {"": np.zeros(1)}

#: What takes an operation back, where the wanted variable is on its left.
_OPPOSITE: Mapping[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult,
}  # fmt: skip


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
                wanted, other = (left, right) if _count(left, self.alias) else (right, left)
                if wanted is right and isinstance(operation, ast.Sub | ast.Div):
                    return wanted, ast.BinOp(other, operation, value)
                if (opposite := _OPPOSITE.get(type(operation))) is not None:
                    return wanted, ast.BinOp(value, opposite(), other)
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
            return exponent, ast.BinOp(logarithms[0], ast.Div(), logarithms[1])
        number = None if _names(exponent) else float(evaluate(_text(exponent), _ONE_ROW)[0])
        if number == 0:
            raise self._impossible(ast.BinOp(base, ast.Pow(), exponent))
        inverse = ast.BinOp(ast.Constant(1), ast.Div(), exponent)
        if number is not None and number % 2 == 1:
            # numpy takes no root of a negative number, though an odd one exists
            sign, size = (ast.Call(ast.Name(name), [value], []) for name in ("sign", "abs"))
            return base, ast.BinOp(sign, ast.Mult(), ast.BinOp(size, ast.Pow(), inverse))
        self.not_negative.append(_text(base))
        return base, ast.BinOp(value, ast.Pow(), inverse)

    def _impossible(self, part: ast.expr) -> SpecificationError:
        return SpecificationError(
            f"rule {self.rule!r} cannot be solved for {self.variable!r}: "
            f"'{_text(part)}' has no inverse here. What can be undone is + - * / ** and "
            f"{', '.join(name for name in INVERSES if name != 'I')}. Write ':=' in place "
            "of '=' to take the left side from the right and nothing else."
        )


#: A solution is one if, put back, both sides agree to so much: arithmetic rounds.
ROUNDING = 1e-8
#: Share of a number that rounding may have changed before it was stored.
STORED = 1e-14


class Filling:
    """Values as they fill up, (row,) in canonical order; numbers, or codes of cells.

    Parameters
    ----------
    table
        The data.
    """

    def __init__(self, table: Table) -> None:
        self._table = table
        self._values = {name: distinct_codes(table, name).copy() for name in table.variables}
        self._log: list[tuple[int, str, str]] = []
        self._unsolved: dict[tuple[int, str], tuple[str, str]] = {}

    def spread(self, name: str, cluster: str, index: ClusterIndex) -> bool:
        """Give every row of a cluster the value known from another; tells whether any got one."""
        values = self._values[name]
        known, missing = ~np.isnan(values), np.isnan(values)
        by_cluster = np.full(index.n, np.nan)
        by_cluster[index.codes[known][::-1]] = values[known][::-1]
        rule = f"same {cluster}"
        differing = index.varying(values)[index.codes] & missing
        self._put_aside(differing, name, rule, "rows of the cluster differ once rules are applied")
        fillable = missing & ~np.isnan(by_cluster[index.codes]) & ~differing
        self._fill(fillable, name, by_cluster[index.codes], rule)
        return bool(fillable.any())

    def apply(self, identity: Identity) -> bool:
        """Solve an identity in rows where one variable alone is missing; tells whether any was.

        Raises
        ------
        SpecificationError
            If it cannot be solved for the variable that is missing.
        """
        names = identity.variables
        gaps = np.array([np.isnan(self._values[name]) for name in names])
        filled = False
        for name, own in zip(names, gaps, strict=True):
            rows = own & (gaps.sum(axis=0) == 1)
            if rows.any() and (solution := identity.solve(name)) is not None:
                filled |= self._solve(rows, identity, solution)
        return filled

    def _solve(self, rows: npt.NDArray[np.bool_], identity: Identity, solution: Solution) -> bool:
        name, rule = solution.variable, solution.text
        for root in solution.not_negative:
            if np.nanmin(evaluate(root, self._values), initial=0.0) < 0:
                reason = f"two solutions: {root} is negative in some rows"
                self._put_aside(rows, name, rule, reason)
                return False
        values = evaluate(solution.expression, self._values)
        tried = {**self._values, name: np.where(rows, values, self._values[name])}
        holds = rows & np.isfinite(values) & ~_differ(identity, tried, ROUNDING)
        if self._table.variables[name].kind is Kind.BINARY:
            holds &= (values == 0) | (values == 1)
        self._put_aside(rows & ~holds, name, rule, "no solution")
        self._fill(holds, name, values, rule)
        return bool(holds.any())

    def _fill(self, rows: npt.NDArray[np.bool_], name: str, values: Array, rule: str) -> None:
        self._values[name][rows] = values[rows]
        for row in np.flatnonzero(rows).tolist():
            self._log.append((row, name, rule))
            self._unsolved.pop((row, name), None)  # another rule knew

    def _put_aside(self, rows: npt.NDArray[np.bool_], name: str, rule: str, reason: str) -> None:
        for row in np.flatnonzero(rows).tolist():
            self._unsolved[row, name] = (rule, reason)

    def frame(self) -> pd.DataFrame:
        """Give the user's frame with the filled cells."""
        table, filled = self._table, {name for _, name, _ in self._log}
        columns = {
            name: self._column(name) if name in filled else table.frame[name].copy()
            for name in table.variables
        }
        return pd.DataFrame(columns, index=table.frame.index)

    def _column(self, name: str) -> "pd.Series[Any]":
        table, values = self._table, self._values[name]
        if table.variables[name].kind is not Kind.OTHER:
            return table.decode(name, values)
        column: Any = table.frame[name].copy()
        original = distinct_codes(table, name)
        sources = {code: row for row, code in enumerate(original) if not np.isnan(code)}
        for row in np.flatnonzero(np.isnan(original) & ~np.isnan(values)):
            column.iat[table.rows[row]] = column.iat[table.rows[sources[values[row]]]]
        return column

    def log(self) -> pd.DataFrame:
        """Give index label, variable, value and rule of each filled cell."""
        frame, rows = self.frame(), self._table.rows
        told = [
            (frame.index[rows[row]], name, frame[name].iat[rows[row]], rule)
            for row, name, rule in self._log
        ]
        return pd.DataFrame(told, columns=["row", "variable", "value", "rule"])

    def unsolved(self) -> pd.DataFrame:
        """Give index label, variable, rule and reason of each cell put aside."""
        labels, rows = self._table.frame.index, self._table.rows
        told = [
            (labels[rows[row]], name, rule, reason)
            for (row, name), (rule, reason) in self._unsolved.items()
        ]
        return pd.DataFrame(told, columns=["row", "variable", "rule", "reason"])

    def contradictions(
        self, identity: Identity, tolerance: float
    ) -> Iterator[tuple[object, str, float, float]]:
        """Give index label, rule and both sides of each row in which all is known but unequal."""
        known = ~np.any([np.isnan(self._values[name]) for name in identity.variables], axis=0)
        left, right = (evaluate(side, self._values) for side in (identity.left, identity.right))
        labels, rows = self._table.frame.index, self._table.rows
        for row in np.flatnonzero(known & _differ(identity, self._values, tolerance)):
            yield labels[rows[row]], identity.text, float(left[row]), float(right[row])


def _differ(
    identity: Identity, values: Mapping[str, Array], tolerance: float
) -> npt.NDArray[np.bool_]:
    """Whether the sides differ by more than a share of the larger, or are no numbers.

    Where large numbers leave little between them, what was rounded off them is no difference.
    """

    def sides(of: Mapping[str, Array]) -> tuple[Array, Array]:
        return evaluate(identity.left, of), evaluate(identity.right, of)

    with np.errstate(invalid="ignore", over="ignore"):
        left, right = sides(values)
        rounded = np.zeros(len(left))
        for name in identity.variables:
            moved = (sides({**values, name: values[name] * h}) for h in (1 - STORED, 1 + STORED))
            # the smaller one: at its limit a comparison jumps on one side
            rounded += np.fmin(*(np.abs((a - b) - (left - right)) for a, b in moved))
        allowed = tolerance * np.maximum(np.abs(left), np.abs(right))
        near = np.abs(left - right) <= np.fmax(allowed, rounded)
    return ~(near & np.isfinite(left) & np.isfinite(right))


@dataclass(frozen=True, eq=False, repr=False)
class Deduction(html.Told):
    """A frame with the values that follow, and how each came about.

    Attributes
    ----------
    data
        The user's frame with more cells filled; observed ones as they were.
    log
        A row a filled cell, in the order they were filled: ``row`` (index label), ``variable``,
        ``value``, ``rule`` (the equation solved for the variable, or ``"same school"``).
    contradictions
        A row a row of the data in which all is known and an identity does not hold: ``row``,
        ``rule``, and the values of both sides, ``left`` and ``right``. Nothing is changed there.
    unsolved
        Cells an identity would give, and why it does not: no solution (the root of a negative
        number, a division by zero), or two of them.
    """

    data: pd.DataFrame
    log: pd.DataFrame
    contradictions: pd.DataFrame
    unsolved: pd.DataFrame

    def _said(self) -> Iterator[str | pd.DataFrame]:
        counts = self.log["variable"].value_counts(sort=False)
        each = ", ".join(f"{count} of {name!r}" for name, count in counts.items())
        yield f"{len(self.log)} values deduced{': ' if each else ''}{each}"
        if len(self.contradictions):
            yield f"{len(self.contradictions)} rows contradict a rule: .contradictions"
        if len(self.unsolved):
            yield f"{len(self.unsolved)} cells have no single solution: .unsolved"
        if len(self.log):
            yield self.log.head(10)


@checked
def deduce(
    df: Frame,
    rules: Any = (),
    cluster: str | Sequence[str] | None = None,
    level2: Sequence[str] | None = None,
    *,
    tolerance: NotNegative = 0.01,
) -> Deduction:
    """Fill missing values that others imply: by identities, and from the rows of a cluster.

    What follows from an identity need not, and should not, be imputed. Rules are applied in turn
    until nothing more follows, so that a value filled by one can serve another.

    Parameters
    ----------
    df
        The data; left as they are.
    rules
        Identities that hold in every row, ``"BMI = Weight / Height**2"``: where one variable of it
        is missing, and one alone, it is solved for that one. Arithmetic, and exp, log, sqrt and
        their relatives, are undone, as long as the variable occurs once. Of two roots the one not
        negative is taken, if what is under the square is never negative in the data. With ``:=``
        in place of ``=`` the left side follows from the right and nothing else is solved for:
        ``"adult := age >= 18"`` for a boolean column. Other names than identifiers go in backticks.
    cluster
        Column of cluster ids: properties of clusters are filled from other rows of the cluster.
        Of several columns, ``["school", "class"]``, a variable is filled by each that it is a
        property of.
    level2
        Columns that are such properties. None (default) takes those that never vary within a
        cluster, as :func:`bayesimpute.impute` decides it; named ones that vary within the clusters
        of every column are an error.
    tolerance
        Largest relative difference between the sides of an identity that is no contradiction
        (0.01: measurements are recorded in rounded numbers).

    Returns
    -------
    Deduction
        With ``data``, ``log``, ``contradictions`` and ``unsolved``.

    Raises
    ------
    SpecificationError
        A rule that cannot be read, names no column, has a category where a number is needed, or
        would have to be solved for a variable but cannot be inverted.
    DataError
        A property of clusters that differs between rows of one, which are named; a cluster id that
        is missing.

    Warns
    -----
    ImputationWarning
        Rows contradict a rule.

    Examples
    --------
    >>> import bayesimpute as bi, pandas as pd
    >>> df = pd.DataFrame(
    ...     {
    ...         "clinic": ["a", "a", "b", "b"],
    ...         "country": ["NL", None, "BE", "BE"],
    ...         "Height": [1.6, None, 1.8, 2.0],
    ...         "Weight": [64.0, 81.0, None, 80.0],
    ...         "BMI": [None, 25.0, 25.0, 20.0],
    ...     }
    ... )
    >>> found = bi.deduce(df, "BMI = Weight / Height**2", cluster="clinic", level2=["country"])
    >>> found.log
       row variable value                                rule
    0    1  country    NL                         same clinic
    1    0      BMI  25.0          BMI = Weight / Height ** 2
    2    2   Weight  81.0          Weight = BMI * Height ** 2
    3    1   Height   1.8  Height = (Weight / BMI) ** (1 / 2)
    """
    frame, origin = taken(df)
    table = Table.from_frame(frame)
    factors = {} if cluster is None else factors_of(table, cluster)
    if not isinstance(rules, Sequence):
        raise SpecificationError(
            "rules= takes texts such as 'BMI = Weight / Height**2', in a list if there are several."
        )
    listed_rules = [rules] if isinstance(rules, str) else rules
    identities = [_checked(parse(rule), table) for rule in listed_rules]
    shared = _cluster_properties(table, factors, level2)
    filling = Filling(table)
    while any([*(filling.spread(*each) for each in shared), *map(filling.apply, identities)]):
        pass
    against = pd.DataFrame(
        [row for each in identities for row in filling.contradictions(each, tolerance)],
        columns=["row", "rule", "left", "right"],
    )
    for rule, rows in against.groupby("rule", sort=False)["row"]:
        warn(
            f"{len(rows)} row(s) contradict the rule {str(rule)!r}: index {listed(rows)}. Nothing "
            "is changed in them; look at .contradictions."
        )
    data = given(filling.frame(), origin)
    return Deduction(data, filling.log(), against, filling.unsolved())


def _checked(identity: Identity, table: Table) -> Identity:
    """Raise unless an identity is of numbers; labels of categories become codes."""
    check_columns(identity.variables, table.frame, f"rule {identity.text!r}")
    for side in (identity.left, identity.right):
        name = side.strip("`")
        variable = table.variables.get(name)
        if variable is not None and not (
            variable.kind is Kind.NUMERIC or variable.categories == (False, True)
        ):
            raise SpecificationError(
                f"rule {identity.text!r}: {name!r} is {variable.kind.value}, a number is needed. "
                "Make it boolean if it says yes or no, or fill it in pandas."
            )
    left, right = (with_category_codes(side, table) for side in (identity.left, identity.right))
    return Identity(identity.text, left, right, identity.one_way)


def _cluster_properties(
    table: Table, factors: Mapping[str, ClusterIndex], asked: Sequence[str] | None
) -> list[tuple[str, str, ClusterIndex]]:
    """Variables and the factors that they are properties of."""
    if not factors:
        if asked is not None:
            raise SpecificationError("level2= names properties of clusters; give cluster=, too.")
        return []
    if asked is None:
        return [
            (name, *factor)
            for name in table.variables
            if name not in factors and table.missing(name).any()
            for factor in factors.items()
            if is_level_2(distinct_codes(table, name), factor[1])
        ]
    names = [asked] if isinstance(asked, str) else list(asked)
    check_columns(names, table.frame, "level2=")
    found = []
    for name in (name for name in names if name not in factors):
        values = distinct_codes(table, name)
        varying = {factor: index.varying(values) for factor, index in factors.items()}
        found += [(name, f, index) for f, index in factors.items() if not varying[f].any()]
        if all(each.any() for each in varying.values()):
            cluster = max(factors, key=lambda factor: factors[factor].n)
            rows = varying[cluster]
            raise DataError(
                f"Variable {name!r} is to be a property of clusters, but it differs between rows "
                f"of {int(rows.sum())} cluster(s) of {cluster!r}: "
                f"{listed(labels_of(factors[cluster], rows))}. Correct these rows, or leave it out "
                "of level2=."
            )
    return found
