"""Columns as numbers that can be weighed, and the weighted sum score of a pattern."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from bayesimpute.data.table import Kind, Table
from bayesimpute.errors import SpecificationError
from bayesimpute.simulate.ampute_chances import standardised
from bayesimpute.wording import did_you_mean, listed

Array = npt.NDArray[np.float64]
Rows = npt.NDArray[np.bool_]

#: A weight, or a number for each label of a variable without order.
Weight = float | Mapping[Any, float]

#: Kinds whose values, or codes, say more and less.
WITH_ORDER = (Kind.NUMERIC, Kind.ORDINAL, Kind.BINARY)


def has_order(table: Table, name: str) -> bool:
    """Whether a column can enter a sum: numbers, ordered categories, and two categories."""
    return table.variables[name].kind in WITH_ORDER


@dataclass(frozen=True, eq=False)
class Columns:
    """The complete columns as scores and selection equations see them.

    Attributes
    ----------
    table
        The complete data.
    std
        Whether columns are brought to mean 0 and SD 1.
    removed
        Variable -> rows of the clusters that never had it, bool (row,).
    """

    table: Table
    std: bool
    removed: Mapping[str, Rows]

    def numbers(self, name: str, labels: Mapping[Any, float] | None = None) -> Array:
        """Values of a column, in canonical row order, where it is known.

        In the rows of clusters it is removed from, it is the mean of the other rows: what happens
        there to other variables must not depend on values nobody will see.
        """
        values = self.complete_numbers(name, labels)
        gone = self.removed.get(name)
        if gone is None or not gone.any():
            return standardised(values) if self.std else values
        result = np.zeros(len(values))
        result[~gone] = standardised(values[~gone]) if self.std else values[~gone]
        result[gone] = 0 if self.std else values[~gone].mean()
        return result

    def numbers_of_all(self, name: str, labels: Mapping[Any, float] | None = None) -> Array:
        """Values of a column, those included that are removed."""
        values = self.complete_numbers(name, labels)
        return standardised(values) if self.std else values

    def complete_numbers(self, name: str, labels: Mapping[Any, float] | None) -> Array:
        """Numbers or codes as they are, or the number given for each label."""
        values = self.table.values[name]
        if labels is None:
            return values
        scores = [labels.get(label, 0.0) for label in self.table.variables[name].categories]
        return np.array(scores, dtype=np.float64)[values.astype(np.int64)]


def check_weight(table: Table, name: str, weight: Any, where: str) -> None:
    """Raise SpecificationError unless a column can have this weight.

    Parameters
    ----------
    table
        The data.
    name
        Column.
    weight
        A number, or a mapping from labels to numbers.
    where
        Start of the message.
    """
    variable = table.variables[name]
    if isinstance(weight, Mapping):
        if not variable.categories:
            raise SpecificationError(
                f"{where}: '{name}' has numbers, not labels; give it one weight."
            )
        for label, number in weight.items():
            if label not in variable.categories:
                hint = did_you_mean(label, variable.categories)
                raise SpecificationError(
                    f"{where}: '{name}' has no label {label!r}, only "
                    f"{listed(variable.categories)}.{hint}"
                )
            _check_number(number, f"{where}: label {label!r} of '{name}'")
        return
    _check_number(weight, f"{where}: the weight of '{name}'")
    if weight == 0 or has_order(table, name):
        return
    if variable.kind is Kind.NOMINAL:
        example = {label: float(k == 0) for k, label in enumerate(variable.categories[:2])}
        raise SpecificationError(
            f"{where}: the categories of '{name}' have no order; give it weight 0, or a number "
            f"for each label, as in {{'{name}': {example}}}."
        )
    raise SpecificationError(
        f"{where}: '{name}' ({variable.dtype}) is no number; give it weight 0, or make a "
        "numeric column of it."
    )


def _check_number(value: Any, what: str) -> None:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = np.nan
    if isinstance(value, bool | str) or not np.isfinite(number):
        raise SpecificationError(f"{what} is {value!r}; it must be a finite number.")


def sum_score(columns: Columns, weights: Mapping[str, Weight], amputed: frozenset[str]) -> Array:
    """Weighted sum of the columns, (row,); 0 without weights.

    Parameters
    ----------
    columns
        The data.
    weights
        Variable -> weight.
    amputed
        Variables that go missing in this pattern: they count with their complete values, as what
        depends on them is missing not at random on purpose.
    """
    total = np.zeros(columns.table.n_rows)
    for name, weight in weights.items():
        numbers = columns.numbers_of_all if name in amputed else columns.numbers
        if isinstance(weight, Mapping):
            total += numbers(name, weight)
        else:
            total += weight * numbers(name)
    return total
