"""Values that fill up as rules are applied, with the record of how each came about."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from bayesimpute.data.clusters import ClusterIndex
from bayesimpute.data.table import Kind, Table
from bayesimpute.explore.identity import Identity, Solution
from bayesimpute.explore.summary import distinct_codes
from bayesimpute.method import Array
from bayesimpute.specification.expressions import evaluate

#: A solution is one if, put back, both sides agree to so much: arithmetic rounds.
ROUNDING = 1e-8


class Filling:
    """Values as they fill up, (row,) in canonical order; numbers, or codes of cells.

    Parameters
    ----------
    table
        The data.
    index, cluster
        Clusters and their column, None without.
    """

    def __init__(self, table: Table, index: ClusterIndex | None, cluster: str | None) -> None:
        self._table, self._index, self._cluster = table, index, cluster
        self._values = {name: distinct_codes(table, name).copy() for name in table.variables}
        self._log: list[tuple[int, str, str]] = []
        self._unsolved: dict[tuple[int, str], tuple[str, str]] = {}

    def spread(self, name: str) -> bool:
        """Give every row of a cluster the value known from another; tells whether any got one."""
        index, values = self._index, self._values[name]
        assert index is not None
        known, missing = ~np.isnan(values), np.isnan(values)
        by_cluster = np.full(index.n, np.nan)
        by_cluster[index.codes[known][::-1]] = values[known][::-1]
        rule = f"same {self._cluster}"
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
