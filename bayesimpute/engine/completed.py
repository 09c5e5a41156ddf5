"""Completed data of a chain: post-processing, derived variables, the user's frame with them."""

from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd

from bayesimpute.data.table import Kind, by_row
from bayesimpute.design import DesignBuilder
from bayesimpute.errors import SamplingError
from bayesimpute.method import Array
from bayesimpute.specification.expressions import evaluate
from bayesimpute.specification.specification import Passive, Specification
from bayesimpute.wrappers.base import layers
from bayesimpute.wrappers.only_where import OnlyWhere


def update_passive(
    specification: Specification, values: dict[str, Array], changed: Iterable[str]
) -> list[str]:
    """Re-evaluate passive variables that depend on `changed`; returns those re-evaluated.

    Raises
    ------
    SamplingError
        If an expression gives a value that is not finite.
    """
    stale = set(changed)
    updated = []
    for name in specification.passive_order:
        passive = specification.targets[name]
        assert isinstance(passive, Passive)
        if stale.isdisjoint(passive.inputs):
            continue
        column = specification.known[name]
        cells = np.isnan(column)
        result = np.broadcast_to(evaluate(passive.expression, values), column.shape)
        bad = cells & ~np.isfinite(result)
        if bad.any():
            row = specification.table.label(int(bad.argmax()))
            raise SamplingError(
                f"passive variable {name!r}: {passive.expression} is not a finite number in row "
                f"{row!r}; keep its inputs in range with post=, or impute {name!r} by a model."
            )
        values[name] = np.where(cells, result, column)
        stale.add(name)
        updated.append(name)
    return updated


def post_processed(
    part: DesignBuilder, drawn: Array, values: dict[str, Array], rng: np.random.Generator
) -> Array:
    """Give drawn values (cell,) as ``post`` leaves them; as they are without one.

    What a condition of ``only_where`` makes known is not drawn, and stays.

    Parameters
    ----------
    part
        Of the target.
    drawn
        Values of its `cells`; categories as codes.
    values
        Completed data, variable -> (row,).
    rng
        Of the visit.

    Raises
    ------
    SamplingError
        If it gives other than one finite number a cell, or no possible category.
    """
    target, table = part.target, part.table
    if target.post is None:
        return drawn
    rows, whole = part.cells.copy(), drawn.copy()
    for wrapper in layers(target.method):
        if isinstance(wrapper, OnlyWhere):
            rows &= wrapper.holds(table, values)
    own = rows[part.cells]
    data = table.completed(values).iloc[table.rows[rows]]
    given = target.post(drawn[own], data, rng)
    result = _numbers(part, by_row(given, data), len(data))
    if result.shape != (len(data),):
        raise _wrong(part, len(data), f"it returned shape {result.shape}")
    if not np.isfinite(result).all():
        bad = int((~np.isfinite(result)).sum())
        raise _wrong(part, len(data), f"{bad} of its values are missing or infinite")
    _check_categories(part, result)
    whole[own] = result
    _check_clusters(part, whole)
    return whole


def _numbers(part: DesignBuilder, given: object, size: int) -> Array:
    try:
        values = np.asarray(given)
        if values.dtype.kind == "c":
            raise TypeError("complex numbers")
        return values.astype(float)
    except (TypeError, ValueError) as error:
        raise _wrong(part, size, f"it returned {str(given)[:60]!r}") from error


def _wrong(part: DesignBuilder, size: int, what: str) -> SamplingError:
    return SamplingError(
        f"post of {part.target.name!r} must return {size} finite numbers, one for each value it "
        f"was given{_coding(part)}; {what}"
    )


def _coding(part: DesignBuilder) -> str:
    """How categories are given, as a part of a sentence; empty for numbers."""
    variable = part.table.variables[part.target.name]
    if variable.kind is Kind.NUMERIC:
        return ""
    codes = [f"{code} = {label!r}" for code, label in enumerate(variable.categories[:5])]
    more = ", …" if len(variable.categories) > 5 else ""
    return f" (categories by position: {', '.join(codes)}{more})"


def _check_categories(part: DesignBuilder, values: Array) -> None:
    variable = part.table.variables[part.target.name]
    if variable.kind is not Kind.NUMERIC:
        possible: Array = np.arange(len(variable.categories), dtype=float)
    elif part.coded.size:
        possible = part.coded
    else:
        return
    bad = values[~np.isin(values, possible)]
    if bad.size:
        numbers = ", ".join(f"{each:g}" for each in possible[:10])
        raise SamplingError(
            f"post of {part.target.name!r} returned {bad[0]:g}, which is no category of it; there "
            f"are {numbers}{', …' if possible.size > 10 else ''}{_coding(part)}"
        )


def _check_clusters(part: DesignBuilder, values: Array) -> None:
    if part.target.level != 2 or part.clusters is None:
        return
    codes = part.clusters.codes[part.cells]
    low, high = np.full(part.clusters.n, np.inf), np.full(part.clusters.n, -np.inf)
    np.minimum.at(low, codes, values)
    np.maximum.at(high, codes, values)
    if (high > low).any():
        label = part.clusters.labels[int((high > low).argmax())]
        raise SamplingError(
            f"post of {part.target.name!r} returned several values in {part.target.cluster} "
            f"{label}; a variable of level 2 has one a cluster"
        )


def completed_frame(specification: Specification, imputed: Mapping[str, Array]) -> pd.DataFrame:
    """Give the user's frame with the cells of ``specification.where`` filled in.

    Parameters
    ----------
    specification
        Of the run.
    imputed
        Target -> (n_where,) values of its cells, category codes for categories.

    Returns
    -------
    pandas.DataFrame
        Rows, index, columns, dtypes and categories as in the user's frame. A new frame, free to
        be changed.
    """
    table = specification.table
    frame = table.frame.copy()
    for name, drawn in imputed.items():
        values = np.array(table.values[name], dtype=np.float64)
        values[specification.where[name]] = drawn
        frame[name] = table.decode(name, values)
    return frame
