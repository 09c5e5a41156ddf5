"""Columns that say whether a time ends with an event: what they mean, and what is refused."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

import numpy as np

from bayesimpute.data.table import ClusterIndex, Kind, Table
from bayesimpute.errors import DataError, SpecificationError
from bayesimpute.events import Event
from bayesimpute.registry import resolve
from bayesimpute.specification.aliases import SURVIVAL
from bayesimpute.specification.formula_terms import Formula
from bayesimpute.specification.specification import Analysed, Log
from bayesimpute.wording import did_you_mean


def indicators_of(method: Any) -> tuple[str, ...]:
    """Options of a method object that name a column of two values, such as ``event``."""
    names: tuple[str, ...] = getattr(method, "indicators", ())
    return names


def indicator(table: Table, column: str) -> np.ndarray:
    """Give a column of two values as 0 and 1, (row,): of categories the later one is 1.

    Raises
    ------
    SpecificationError, DataError
        If there is no such column, it has other values, or is incomplete.
    """
    if column not in table.variables:
        raise SpecificationError(
            f"there is no column {column!r}.{did_you_mean(str(column), table.variables)}"
        )
    variable, values = table.variables[column], table.values[column]
    missing = int(np.isnan(values).sum())
    if missing:
        raise DataError(
            f"{column!r} says whether a time ends with the event, and is missing in {missing} "
            "row(s), which no model of the times can use: leave these rows out of the data, or "
            "take their times as censored (0)."
        )
    if variable.kind is Kind.NUMERIC:
        strange = values[(values != 0) & (values != 1)]
        if strange.size:
            raise DataError(
                f"{column!r} says whether a time ends with the event (1) or is censored (0), but "
                f"has the value {strange[0]:g}; recode it, such as df['event'] = "
                f"df[{column!r}] == {strange.max():g}."
            )
    elif len(variable.categories) != 2:
        raise DataError(
            f"{column!r} says whether a time ends with the event, so it must be 0 and 1, True and "
            f"False, or of two categories; it is {variable.dtype} with "
            f"{len(variable.categories)} categories."
        )
    return values


def _families() -> str:
    return " or ".join(map(repr, SURVIVAL))


def with_event(target: str, event: str, method: Any, options: Mapping[str, Any]) -> dict[str, Any]:
    """Options of a model whose formula says ``Surv(time, event)``.

    Raises
    ------
    SpecificationError
        If the method knows of no events, or options name another column.
    """
    if "event" not in indicators_of(method):
        raise SpecificationError(
            f"Surv({target}, {event}) needs a model of the time to an event, "
            f"{_families()}, for {target!r}."
        )
    if options.get("event", event) != event:
        raise SpecificationError(
            f"model_options of {target!r}: event={options['event']!r}, but its formula has "
            f"Surv({target}, {event})."
        )
    return {**options, "event": event}


def check_indicators(
    target: str,
    method: Any,
    options: Mapping[str, Any],
    table: Table,
    clusters: ClusterIndex | None,
) -> list[Event]:
    """Check times and the column that says which end with the event; say what it means.

    `clusters` of a target with one value a cluster.

    Raises
    ------
    DataError, SpecificationError
        Naming the column and what to do.
    """
    column = options.get("event") if "event" in indicators_of(method) else None
    if column is None:
        return []
    try:
        events = indicator(table, column)
    except SpecificationError as error:
        raise SpecificationError(f"event of {target!r}: {error}") from None
    missing = int(table.missing(target).sum())
    if missing:
        raise DataError(
            f"{target!r}, the time to the event or to censoring, is missing in {missing} row(s). "
            "It is not imputed, as whether it would be censored is part of it: leave these rows "
            "out of the data; where a person is known to have been without the event until some "
            f"time, give that time, and {column!r} as censored."
        )
    low = table.values[target] <= 0
    if low.any():
        raise DataError(
            f"{target!r} is {table.values[target][low][0]:g} in one of {int(low.sum())} row(s) "
            "where it is not positive; the time to an event is. If it is rounded down, give such "
            "rows half a unit; rows without any time at risk say nothing and can go."
        )
    if not events.any():
        raise DataError(f"{column!r} has no event: nothing can be learnt of its hazard.")
    if clusters is not None and clusters.varying(events).any():
        raise DataError(
            f"{target!r} has one value a cluster, but {column!r} varies within clusters; correct "
            "the data."
        )
    variable = table.variables[column]
    which = "1" if variable.kind is Kind.NUMERIC else repr(variable.categories[1])
    found = Log()
    found.info(
        target,
        "events and censored times",
        f"{column!r} = {which} is the event: {int(events.sum())} of {len(events)} times end with "
        "it, the others are censored there.",
    )
    return found


def check_outcomes(read: Mapping[str, Formula], families: Mapping[str, str], table: Table) -> None:
    """Refuse parts of a time to an event in other analyses, and families of other outcomes.

    Parameters
    ----------
    read
        Analyses by outcome.
    families
        Methods by outcome, of those that the user gives.
    table
        The data.

    Raises
    ------
    SpecificationError
        Naming formula and column.
    """
    for name, formula in read.items():
        if formula.event is None:
            continue
        if table.variables[name].kind is not Kind.NUMERIC:
            raise SpecificationError(
                f"analysis {formula.text!r}: the time {name!r} ({table.variables[name].dtype}) "
                "must be a number, such as days: df['days'] = (df['end'] - df['start']).dt.days."
            )
        for part in (name, formula.event):
            for other in read.values():
                if part in (*other.predictors, *other.groups) or (
                    part == other.outcome and other is not formula
                ):
                    raise SpecificationError(
                        f"analysis {other.text!r}: {part!r} is part of the outcome of "
                        f"{formula.text!r} and can neither predict, group rows, nor be an outcome "
                        "of its own."
                    )
        family = families.get(name, SURVIVAL[0])
        if isinstance(family, str) and "event" not in indicators_of(resolve(family)):
            raise SpecificationError(
                f"family={family!r} of {formula.text!r}: the time to an event needs "
                f"{_families()}; the default is the first, a hazard constant within intervals."
            )


def check_models(sources: Mapping[str, Collection[str]], analyses: Iterable[Analysed]) -> None:
    """Refuse models of other columns that a time to an event, or the event, predicts.

    Parameters
    ----------
    sources
        Columns that each model depends on.
    analyses
        What will be fitted.

    Raises
    ------
    SpecificationError
        Naming model and column.
    """
    for analysed in analyses:
        if analysed.event is None:
            continue
        for name, columns in sources.items():
            for part in (analysed.outcome, analysed.event):
                if name != analysed.outcome and part in columns:
                    raise SpecificationError(
                        f"{part!r} is part of the outcome of {analysed.formula!r} and cannot "
                        f"predict {name!r} as well; take it out there (formulas= or predictors=)."
                    )
