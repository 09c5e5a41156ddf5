"""Missing values that follow from others, filled before anything is imputed: ``bi.deduce``."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from bayesimpute import html
from bayesimpute.arguments import NotNegative, checked
from bayesimpute.data.table import ClusterIndex, Kind, Table
from bayesimpute.errors import DataError, SpecificationError, warn
from bayesimpute.explore.columns import check_columns, factors_of
from bayesimpute.explore.identity import Identity, Solution, parse
from bayesimpute.explore.summary import distinct_codes, labels_of
from bayesimpute.interchange import Frame, given, taken
from bayesimpute.method import Array
from bayesimpute.specification.expressions import evaluate, with_category_codes
from bayesimpute.specification.suggest import is_level_2
from bayesimpute.wording import listed

#: A solution is one if, put back, both sides agree to so much: arithmetic rounds.
ROUNDING = 1e-8


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
        left, right = (evaluate(side, tried) for side in (identity.left, identity.right))
        holds = rows & np.isfinite(values) & ~_differ(left, right, ROUNDING)
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

    def log(self) -> list[tuple[object, str, object, str]]:
        """Give index label, variable, value and rule of each filled cell."""
        frame, rows = self.frame(), self._table.rows
        return [
            (frame.index[rows[row]], name, frame[name].iat[rows[row]], rule)
            for row, name, rule in self._log
        ]

    def unsolved(self) -> list[tuple[object, str, str, str]]:
        """Give index label, variable, rule and reason of each cell put aside."""
        labels, rows = self._table.frame.index, self._table.rows
        return [
            (labels[rows[row]], name, rule, reason)
            for (row, name), (rule, reason) in self._unsolved.items()
        ]

    def contradictions(
        self, identity: Identity, tolerance: float
    ) -> Iterator[tuple[object, str, float, float]]:
        """Give index label, rule and both sides of each row in which all is known but unequal."""
        known = ~np.any([np.isnan(self._values[name]) for name in identity.variables], axis=0)
        left, right = (evaluate(side, self._values) for side in (identity.left, identity.right))
        labels, rows = self._table.frame.index, self._table.rows
        for row in np.flatnonzero(known & _differ(left, right, tolerance)):
            yield labels[rows[row]], identity.text, float(left[row]), float(right[row])


def _differ(left: Array, right: Array, tolerance: float) -> npt.NDArray[np.bool_]:
    """Whether two sides differ by more than a share of the larger, or are no numbers."""
    with np.errstate(invalid="ignore"):
        near = np.abs(left - right) <= tolerance * np.maximum(np.abs(left), np.abs(right))
    return ~(near & np.isfinite(left) & np.isfinite(right))


LOG_COLUMNS = ("row", "variable", "value", "rule")
CONTRADICTION_COLUMNS = ("row", "rule", "left", "right")
UNSOLVED_COLUMNS = ("row", "variable", "rule", "reason")


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
    identities = [_checked(parse(rule), table) for rule in _listed_rules(rules)]
    shared = _cluster_properties(table, factors, level2)
    filling = Filling(table)
    while any([*(filling.spread(*each) for each in shared), *map(filling.apply, identities)]):
        pass
    against = [row for each in identities for row in filling.contradictions(each, tolerance)]
    found = Deduction(
        given(filling.frame(), origin),
        pd.DataFrame(filling.log(), columns=list(LOG_COLUMNS)),
        pd.DataFrame(against, columns=list(CONTRADICTION_COLUMNS)),
        pd.DataFrame(filling.unsolved(), columns=list(UNSOLVED_COLUMNS)),
    )
    _warn(found)
    return found


def _warn(found: Deduction) -> None:
    for rule, rows in found.contradictions.groupby("rule", sort=False)["row"]:
        warn(
            f"{len(rows)} row(s) contradict the rule {str(rule)!r}: index {listed(rows)}. Nothing "
            "is changed in them; look at .contradictions."
        )


def _listed_rules(rules: Any) -> list[Any]:
    if isinstance(rules, str):
        return [rules]
    if not isinstance(rules, Sequence):
        raise SpecificationError(
            "rules= takes texts such as 'BMI = Weight / Height**2', in a list if there are several."
        )
    return list(rules)


def _checked(identity: Identity, table: Table) -> Identity:
    """Raise unless an identity is of numbers; labels of categories become codes."""
    check_columns(identity.variables, table.frame, f"rule {identity.text!r}")
    for side in (identity.left, identity.right):
        name = side.strip("`")
        variable = table.variables.get(name)
        if variable is not None and not _is_number(table, name):
            raise SpecificationError(
                f"rule {identity.text!r}: {name!r} is {variable.kind.value}, a number is needed. "
                "Make it boolean if it says yes or no, or fill it in pandas."
            )
    left, right = (with_category_codes(side, table) for side in (identity.left, identity.right))
    return Identity(identity.text, left, right, identity.one_way)


def _is_number(table: Table, name: str) -> bool:
    variable = table.variables[name]
    return variable.kind is Kind.NUMERIC or variable.categories == (False, True)


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
