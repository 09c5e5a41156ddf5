"""What a run leaves as it is: gaps that stay, and columns that predict nothing."""

import datetime as dt
from collections.abc import Collection, Container, Iterator
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd

from bayesimpute.data.table import Kind, Table, is_date
from bayesimpute.events import Event
from bayesimpute.specification.aliases import MATCHING


def remedy(table: Table, name: str) -> str:
    """Say how a column that is neither number nor category becomes one, for the end of a sentence.

    Examples
    --------
    >>> import pandas as pd
    >>> table = Table.from_frame(pd.DataFrame({"x": [b"a", b"b"]}))
    >>> remedy(table, "x")
    "convert it first: df['x'] = df['x'].str.decode('utf-8')"
    """
    return f"convert it first: df[{name!r}] = {_converted(table.frame[name])}"


def gap_events(table: Table, imputed: Container[str]) -> Iterator[Event]:
    """One event for each column whose missing cells nobody fills."""
    for name in table.incomplete():
        if name in imputed:
            continue
        variable, n = table.variables[name], int(table.missing(name).sum())
        stay = f"{n} missing cell(s) of {name!r} stay as they are"
        if variable.kind is not Kind.OTHER:
            yield Event("info", "specification", name, "gaps stay", f"{stay}, as was asked.")
            continue
        what = f"its dtype, {variable.dtype}, is neither number nor category"
        how = (
            f"to impute it as a number, ask for it: method={{{name!r}: {MATCHING!r}}}"
            if is_date(variable.dtype)
            else f"to impute it, {remedy(table, name)}"
        )
        yield Event("warning", "specification", name, "gaps stay", f"{stay}: {what}; {how}.")


def idle_events(table: Table, clusters: Collection[str]) -> Iterator[Event]:
    """One event for each column that no model has among its predictors because of its dtype."""
    for name, variable in table.variables.items():
        if variable.kind is Kind.OTHER and name not in clusters:
            yield Event(
                "info",
                "specification",
                name,
                "no predictor",
                f"{name!r} ({variable.dtype}) is neither number nor category and predicts nothing; "
                f"for it to do so, {remedy(table, name)}.",
            )


def _converted(column: "pd.Series[Any]") -> str:
    """Code that makes numbers, dates or categories of a column."""
    dtype, arrow = column.dtype, _arrow(column)
    this = f"df[{column.name!r}]"
    if arrow is not None:
        unit = np.datetime_data(arrow.numpy_dtype)[0] if arrow.kind in "mM" else ""
        zone = getattr(arrow.pyarrow_dtype, "tz", None)
        if arrow.kind == "m":
            return f"{this}.astype('timedelta64[{unit}]')"
        if arrow.kind == "M":
            return f"{this}.astype('datetime64[{unit}{f', {zone}' if zone else ''}]')"
        return _as_text(this)
    if isinstance(dtype, pd.PeriodDtype):
        days = f"{this}.dt.to_timestamp()"
        return f"({days} - {days}.min()) / pd.Timedelta(days=1)"
    if is_date(dtype) and getattr(dtype, "kind", "") == "m":
        return f"{this} / pd.Timedelta(days=1)"
    if is_date(dtype):
        return f"({this} - {this}.min()) / pd.Timedelta(days=1)"
    if pd.api.types.is_complex_dtype(dtype):
        return f"{this}.map(abs)"
    return _objects(this, list(column.dropna()))


def _arrow(column: "pd.Series[Any]") -> Any:
    """Give the dtype of a column of pyarrow; None of any other."""
    return column.dtype if isinstance(column.dtype, pd.ArrowDtype) else None


def _objects(this: str, cells: list[Any]) -> str:
    conversions = {
        dt.timedelta: f"pd.to_timedelta({this})",
        dt.date: f"pd.to_datetime({this})",
        Decimal: f"{this}.astype(float)",
        bytes: f"{this}.str.decode('utf-8')",
    }
    for kind, code in conversions.items():
        if cells and all(isinstance(cell, kind) for cell in cells):
            return code
    return _as_text(this)


def _as_text(this: str) -> str:
    return f"{this}.map(str, na_action='ignore')"
