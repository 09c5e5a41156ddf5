"""A column encoded as another one of the same variable was: categories, dates and numbers."""

from typing import Any

import numpy as np
import pandas as pd

from bayesimpute.data.dates import encode_dates
from bayesimpute.data.encoding import Kind, Variable
from bayesimpute.errors import DataError
from bayesimpute.wording import listed


def recoded(
    column: "pd.Series[Any]", variable: Variable, allowed: np.ndarray, place: str, unknown: str
) -> tuple["pd.Series[Any]", np.ndarray]:
    """Encode a column as another one of the same variable was.

    Parameters
    ----------
    column
        The cells.
    variable
        As the other one was encoded.
    allowed
        Codes of the categories that may occur.
    place
        Where we are, for messages.
    unknown
        What a category is that may not occur, and what can be done.

    Returns
    -------
    column, values
        The column in a dtype that can hold any value of the variable, and its numbers, (row,).

    Raises
    ------
    DataError
        If cells are of another kind, or a category may not occur.
    """
    if variable.ticks is not None:
        return _dates(column, variable, place)
    if variable.kind is Kind.NUMERIC:
        return _numbers(column, variable, place)
    codes, labels = pd.factorize(column)
    position = {label: float(code) for code, label in enumerate(variable.categories)}
    try:
        found = np.array([position.get(label, np.nan) for label in labels])
    except TypeError:
        found = np.full(len(labels), np.nan)
    seen = np.isin(found, allowed)
    if not seen.all():
        first = int((~seen).argmax())
        raise DataError(
            f"{place}: {variable.name!r} is {labels[first]!r} in {int((codes == first).sum())} "
            f"row(s), {unknown}. Known are {listed(variable.categories)}."
        )
    encoded = np.where(codes < 0, np.nan, np.append(found, np.nan)[codes])
    if column.dtype == variable.dtype:
        return column, encoded
    if isinstance(variable.dtype, pd.CategoricalDtype):
        whole = np.where(codes < 0, -1, encoded).astype(np.int64)
        made = pd.Categorical.from_codes(whole, dtype=variable.dtype)
        return pd.Series(made, index=column.index, name=column.name), encoded
    held = variable.dtype
    if isinstance(held, np.dtype) and held.kind == "b" and (codes < 0).any():
        held = np.dtype(object)
    return column.astype(held), encoded


def _numbers(
    column: "pd.Series[Any]", variable: Variable, place: str
) -> tuple["pd.Series[Any]", np.ndarray]:
    if not pd.api.types.is_numeric_dtype(column.dtype) or pd.api.types.is_bool_dtype(column.dtype):
        try:
            column = pd.to_numeric(column.astype(object)).astype(np.float64)
        except (TypeError, ValueError) as error:
            raise DataError(
                f"{place}: {variable.name!r} was a number in the other data, and "
                f"is {column.dtype} now ({error}); convert it to numbers."
            ) from None
    numbers = column.to_numpy(dtype=np.float64, na_value=np.nan, copy=True)
    if np.isinf(numbers).any():
        raise DataError(
            f"{place}: {variable.name!r} is infinite in {int(np.isinf(numbers).sum())} row(s); "
            "replace these by a number or by a missing value (NaN)."
        )
    return column, numbers


def _dates(
    column: "pd.Series[Any]", variable: Variable, place: str
) -> tuple["pd.Series[Any]", np.ndarray]:
    assert variable.ticks is not None
    if column.dtype != variable.dtype:
        try:
            column = column.astype(variable.dtype)
        except (TypeError, ValueError) as error:
            raise DataError(
                f"{place}: {variable.name!r} was {variable.dtype} in the other data, "
                f"and cannot be read as such ({error}); convert it."
            ) from None
    own, numbers = encode_dates(column)
    return column, numbers + (own.origin - variable.ticks.origin) / variable.ticks.unit
