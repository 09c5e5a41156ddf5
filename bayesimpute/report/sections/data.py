"""The data: rows, columns, clusters, types."""

from typing import Any

import numpy as np
import pandas as pd

from bayesimpute.data.table import Kind, Table
from bayesimpute.html import Html, join, number, percent, table
from bayesimpute.report.content import Content, folded, note, paragraph, scroll
from bayesimpute.specification.specification import Target

#: Columns shown unfolded.
MOST_OPEN = 30
#: Categories named in a cell.
MOST_CATEGORIES = 5

WORDS = {
    Kind.NUMERIC: "number",
    Kind.BINARY: "two categories",
    Kind.NOMINAL: "unordered categories",
    Kind.ORDINAL: "ordered categories",
    Kind.OTHER: "neither number nor category",
}


def data(content: Content) -> Html:
    """Size of the data, their clusters, and a row for each column."""
    specification = content.run.specification
    given = specification.table
    n, columns = given.frame.shape
    gone = given.frame.isna()
    complete = int((~gone.any(axis=1)).sum())
    parts = [
        paragraph(
            f"{n:,} rows and {columns:,} columns. {int(gone.to_numpy().sum()):,} of "
            f"{gone.size:,} cells are missing ({percent(float(gone.to_numpy().mean()))}); "
            f"{complete:,} rows are complete ({percent(complete / n)})."
        )
    ]
    clusters = list(
        dict.fromkeys(
            name
            for target in specification.targets.values()
            if isinstance(target, Target)
            for name in (target.cluster, *(each.name for each in target.groupings))
            if name is not None
        )
    )
    parts += [_clusters(given, name) for name in clusters]
    if specification.ignore.any():
        parts.append(
            paragraph(f"No model is fitted to {int(specification.ignore.sum()):,} rows (ignore=).")
        )
    rows = [_column(given, name, clusters) for name in given.variables]
    shown = scroll(
        table(["column", "type", "dtype", "observed", "missing", "observed values"], rows, (3, 4))
    )
    if len(rows) > MOST_OPEN:
        shown = folded(f"All {len(rows)} columns", shown)
    return join([*parts, shown, note("Numbers: mean (SD), smallest to largest.")])


def _clusters(given: Table, name: str) -> Html:
    index = given.clusters(name)
    sizes = index.sizes
    return paragraph(
        f"{index.n:,} clusters by {name}, of {int(sizes.min()):,} to {int(sizes.max()):,} rows "
        f"(median {number(float(np.median(sizes)))})."
    )


def _column(given: Table, name: str, clusters: list[str]) -> tuple[object, ...]:
    variable = given.variables[name]
    column = given.frame[name]
    known = int(column.notna().sum())
    kind = "cluster" if name in clusters else WORDS[variable.kind]
    share = (len(column) - known) / len(column)
    gone = f"{len(column) - known:,} ({percent(share)})" if share else "0"
    text = _values(given, name) if name not in clusters else f"{column.nunique():,} different"
    return name, kind, str(column.dtype), known, gone, text


def _values(given: Table, name: str) -> str:
    variable, values = given.variables[name], given.values[name]
    if variable.kind is Kind.OTHER:
        return f"{_different(given.frame[name])} different"
    seen = values[~np.isnan(values)]
    if len(seen) == 0:
        return "none"
    if not variable.categories:
        spread = f" ({number(seen.std(ddof=1), 3)})" if len(seen) > 1 else ""
        low, high = number(seen.min(), 3), number(seen.max(), 3)
        return f"{number(seen.mean(), 3)}{spread}, {low} to {high}"
    counts = np.bincount(seen.astype(np.int64), minlength=len(variable.categories))
    order = list(range(len(counts)))
    if len(order) > MOST_CATEGORIES:
        order = sorted(order, key=lambda k: -counts[k])[: MOST_CATEGORIES - 1]
    named = [f"{variable.categories[k]} {percent(counts[k] / len(seen))}" for k in order]
    rest = len(counts) - len(order)
    return ", ".join([*named, *([f"{rest} more"] if rest else [])])


def _different(column: "pd.Series[Any]") -> str:
    try:
        return f"{column.nunique():,}"
    except TypeError:  # lists and the like cannot be told apart
        return "possibly"
