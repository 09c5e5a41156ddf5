"""Observed and imputed cells of one variable, as every picture of a result takes them."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bayesimpute.errors import SpecificationError
from bayesimpute.plots import style
from bayesimpute.specification.specification import Target

if TYPE_CHECKING:
    from bayesimpute.result.imputations import Imputations

#: Numbers with more distinct values are drawn as continuous ones.
MOST_DISTINCT = 12


@dataclass(frozen=True, eq=False)
class Cells:
    """Values of one variable.

    Attributes
    ----------
    variable
        Its name.
    categories
        Labels in the user's order, ``()`` for numbers; values are positions in it.
    observed, observed_rows
        (n,) values, and their rows in canonical order.
    imputed, imputed_rows
        (m, n') values, and their rows. A cell imputed although it was observed is among both.
    unit
        ``"cells"``, or ``"clusters"`` for a variable of level 2, of which every cluster counts
        once.
    """

    variable: str
    categories: tuple[str, ...]
    observed: np.ndarray
    observed_rows: np.ndarray
    imputed: np.ndarray
    imputed_rows: np.ndarray
    unit: str = "cells"

    @property
    def m(self) -> int:
        """Number of imputations."""
        return len(self.imputed)

    @property
    def columns(self) -> list[np.ndarray]:
        """Observed values, then those of each imputation: the imputations 0 … m of a plot."""
        return [self.observed, *self.imputed]

    @property
    def labels(self) -> tuple[str, str]:
        """What a legend says of the two colours."""
        observed, imputed = self.observed.size, self.imputed.shape[1]
        return (
            f"observed ({observed:,} {_counted(self.unit, observed)})",
            f"imputed ({imputed:,} {_counted(self.unit, imputed)}, m = {self.m})",
        )

    def within(self, rows: np.ndarray) -> "Cells":
        """Give the cells of some rows, bool (row,) in canonical order."""
        seen, gone = rows[self.observed_rows], rows[self.imputed_rows]
        return Cells(
            self.variable, self.categories,
            self.observed[seen], self.observed_rows[seen],
            self.imputed[:, gone], self.imputed_rows[gone],
            self.unit,
        )  # fmt: skip

    def distinct(self) -> np.ndarray:
        """All categories, or the distinct numbers if there are few, else an empty array."""
        if self.categories:
            return np.arange(len(self.categories), dtype=np.float64)
        values = np.unique(np.concatenate([self.observed, np.unique(self.imputed)]))
        return values if len(values) <= MOST_DISTINCT else np.empty(0)

    def name(self, value: float) -> str:
        """Write one of the distinct values as the user would."""
        return self.categories[int(value)] if self.categories else f"{value:g}"


def cells_of(imputations: "Imputations", variable: str) -> Cells:
    """Observed and imputed cells of a variable.

    Parameters
    ----------
    imputations
        The result.
    variable
        An imputed variable.

    Returns
    -------
    Cells

    Raises
    ------
    SpecificationError
        If the variable was not imputed, or has no imputed cell.
    """
    specification, history = imputations.specification, imputations.history
    table = specification.table
    style.check_imputed(variable, history.imputed, table.variables)
    if history.imputed[variable].shape[1] == 0:
        raise SpecificationError(f"Variable {variable!r} has no imputed cells to plot.")
    cells = Cells(
        variable,
        tuple(str(label) for label in table.variables[variable].categories),
        table.values[variable][~table.missing(variable)],
        np.flatnonzero(~table.missing(variable)),
        np.asarray(history.imputed[variable], dtype=np.float64),
        np.flatnonzero(specification.where[variable]),
    )
    target = specification.targets[variable]
    if isinstance(target, Target) and target.level == 2 and target.cluster is not None:
        return _once_a_cluster(cells, table.clusters(target.cluster).codes)
    return cells


def shares(values: np.ndarray, distinct: np.ndarray) -> np.ndarray:
    """Share of each of the distinct values among the values; zeros if there are none."""
    if values.size == 0:
        return np.zeros(len(distinct))
    return np.array([float(np.mean(values == value)) for value in distinct])


def thinned(values: np.ndarray, most: int) -> np.ndarray:
    """Give at most so many values that keep the distribution: order statistics at equal steps.

    Examples
    --------
    >>> import numpy as np
    >>> thinned(np.arange(9.0), 3).tolist()
    [0.0, 4.0, 8.0]
    """
    if len(values) <= most:
        return values
    steps = np.linspace(0, len(values) - 1, most).round().astype(np.int64)
    chosen: np.ndarray = np.sort(values)[steps]
    return chosen


def _once_a_cluster(cells: Cells, clusters: np.ndarray) -> Cells:
    """Give a variable of level 2 with one cell a cluster, not one a row."""
    _, seen = np.unique(clusters[cells.observed_rows], return_index=True)
    _, gone = np.unique(clusters[cells.imputed_rows], return_index=True)
    return Cells(
        cells.variable, cells.categories,
        cells.observed[seen], cells.observed_rows[seen],
        cells.imputed[:, gone], cells.imputed_rows[gone],
        "clusters",
    )  # fmt: skip


def _counted(unit: str, number: int) -> str:
    return unit.removesuffix("s") if number == 1 else unit
