"""Columns of so many categories that no model can use or learn them: names, free text, identifiers.

Each category has a coefficient, and an indicator in every row: rows × categories in memory, and the
cube of the categories in time.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from bayesimpute.data.table import Kind, Table
from bayesimpute.errors import SpecificationError
from bayesimpute.registry import resolve
from bayesimpute.specification.aliases import MATCHING
from bayesimpute.specification.specification import Term
from bayesimpute.wording import listed
from bayesimpute.wrappers.base import method_text

#: Categories of which there may be any number of rows.
FEW = 50
#: Rows a category has to have on average, where there are more categories than that.
ROWS_EACH = 3
#: Most indicators of all such terms of a model.
MOST = 500
#: Most indicators times rows of all such terms of a model; 160 MB.
CELLS = 20_000_000


def too_many(categories: int, rows: int) -> bool:
    """Whether so many categories of one column are too many for so many rows.

    Examples
    --------
    >>> too_many(40, 50), too_many(400, 500), too_many(400, 5000), too_many(2000, 100_000)
    (False, True, False, True)
    """
    return categories > FEW and (categories * ROWS_EACH > rows or _too_large(categories, rows))


def _too_large(indicators: int, rows: int) -> bool:
    return indicators > MOST or indicators * rows > CELLS


def crowded_terms(terms: Sequence[Term], table: Table, rows: int) -> dict[Term, int]:
    """Terms of so many categories that a model cannot have them, those with the most first.

    Parameters
    ----------
    terms
        Terms asked for.
    table
        The data.
    rows
        Rows the model is fitted to.

    Returns
    -------
    dict
        Term -> indicators. What is left has few categories each, or not too many together.
    """
    sizes = {term: _indicators_of(term, table) for term in terms}
    left = sum(size for size in sizes.values() if size > FEW)
    found = {}
    for term, size in sorted(sizes.items(), key=lambda each: -each[1]):
        if size > FEW and (too_many(size, rows) or _too_large(left, rows)):
            found[term] = size
            left -= size
    return found


def _indicators_of(term: Term, table: Table) -> int:
    """Give the columns of numbers that a term stands for."""
    variables = [table.variables[factor] for factor in term.factors if factor in table.variables]
    sizes = [len(v.categories) - 1 for v in variables if v.kind is not Kind.NUMERIC]
    return int(np.prod(sizes, dtype=float))


def check_target(name: str, method: Any, table: Table) -> None:
    """Refuse a target of so many categories that a model with parameters for each cannot be.

    Raises
    ------
    SpecificationError
        Naming all such columns that are incomplete, and what to do.
    """
    if not (getattr(resolve(method), "by_category", False) and _crowded(name, table)):
        return
    others = [n for n in table.variables if n != name and table.missing(n).any()]
    names: Sequence[str] = [name, *(n for n in others if _crowded(n, table))]
    shown = listed(names, 8)
    raise SpecificationError(
        f"{name!r} has {len(table.variables[name].categories):,} categories in "
        f"{int((~table.missing(name)).sum()):,} rows, too many for {method_text(method)!r}. "
        f"Names and free text: leave the column out, df.drop(columns={list(names)!r}), or its gaps "
        f"open, method={{{name!r}: ''}}. Or join rare categories into one, or take the value of a "
        f"similar row, method={{{name!r}: {MATCHING!r}}}. Such columns with gaps: {shown}."
    )


def _crowded(name: str, table: Table) -> bool:
    variable = table.variables[name]
    if variable.kind is Kind.NUMERIC:
        return False
    return too_many(len(variable.categories), int((~table.missing(name)).sum()))
