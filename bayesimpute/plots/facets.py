"""A variable's cells divided into panels."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bayesimpute.errors import SpecificationError
from bayesimpute.plots.cells import Cells
from bayesimpute.plots.frames import column_named
from bayesimpute.plots.groups import facets

if TYPE_CHECKING:
    from bayesimpute.result.imputations import Imputations
    from bayesimpute.specification.specification import Specification


@dataclass(frozen=True, eq=False)
class Parts:
    """Cells of each panel, their names, a title for all, and what was left out."""

    cells: list[Cells]
    names: list[str]
    title: str
    remark: str


def faceted(imputations: "Imputations", cells: Cells, by: str | None, groups: Any) -> Parts:
    """Divide cells by a column; only panels with imputed cells are kept.

    Parameters
    ----------
    imputations
        The result.
    cells
        Of one variable.
    by, groups
        Of the user, see `bayesimpute.plots.groups.facets`.

    Raises
    ------
    SpecificationError
        If `by` is no column or the variable itself, or as `facets` raises.
    """
    specification = imputations.specification
    if by == cells.variable:
        raise SpecificationError(f"by={by!r} is the variable itself; give another column.")
    shown = np.zeros(specification.table.n_rows, dtype=bool)
    shown[cells.imputed_rows] = True
    found = facets(labels_of(specification, by), groups, shown)
    return Parts(
        [cells.within(rows) for _, rows in found.panels],
        [name for name, _ in found.panels],
        cells.variable if by is None else f"{cells.variable} by {by}",
        found.remark,
    )


def labels_of(specification: "Specification", by: str | None) -> "pd.Series[Any] | None":
    """Labels of all rows in canonical order, or None."""
    if by is None:
        return None
    table = specification.table
    return table.frame[column_named(by, list(table.variables), "by", "facets")].iloc[table.rows]
