"""One column at a time: pandas cells to float64 values, and back to the user's dtype.

A column of other rows is encoded as the first one of its variable was.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import groupby
from typing import Any

import numpy as np
import pandas as pd

from bayesimpute.data.dates import Ticks, counted, date_cells, encode_dates, is_date
from bayesimpute.errors import DataError
from bayesimpute.wording import listed

#: Cells of text that are objects at a time.
PIECE = 16_384


class Kind(StrEnum):
    """Kind of a variable, decided from its pandas dtype.

    `OTHER` (dates, intervals, arbitrary objects) passes through untouched; it is neither imputed
    nor a predictor. Dates that a method is named for are numbers.
    """

    NUMERIC = "numeric"
    BINARY = "binary"
    NOMINAL = "nominal"
    ORDINAL = "ordinal"
    OTHER = "other"


#: Largest number: a sum of as many of its squares as a table has rows is still finite.
LARGEST = 1e145


@dataclass(frozen=True)
class Variable:
    """Name, kind and the way back to the user's dtype.

    `categories` holds the labels in the user's order (empty for numbers); the code of a value is
    its position there. `ticks` says how dates become numbers, where they are to be.
    """

    name: str
    kind: Kind
    dtype: Any
    categories: tuple[Any, ...] = ()
    ticks: Ticks | None = None

    @property
    def counted(self) -> str:
        """What numbers of dates count, such as ``"days since 2020-02-01"``; else empty."""
        return "" if self.ticks is None else counted(self.dtype, self.ticks)


def encode(column: "pd.Series[Any]", dates: bool = False) -> tuple[Variable, np.ndarray]:
    """Kind of a column and its cells as float64.

    Parameters
    ----------
    column
        Any pandas column, rows in any order.
    dates
        Whether dates, durations and periods become numbers (days) and not `Kind.OTHER`.

    Returns
    -------
    tuple
        The variable, and an array (row,): the number itself, or the position of the cell's label
        among the categories; NaN where pandas calls the cell missing. Categories are those of a
        categorical dtype in its order, False and True for booleans, and the sorted distinct labels
        of text.

    Raises
    ------
    DataError
        If a number is infinite, or so large that sums of its square may be.

    Examples
    --------
    >>> import pandas as pd
    >>> variable, values = encode(pd.Series(["b", None, "a"], name="x"))
    >>> variable.categories, values.tolist()
    (('a', 'b'), [1.0, nan, 0.0])
    """
    name, dtype = str(column.name), column.dtype
    if isinstance(dtype, pd.SparseDtype):
        variable, values = encode(dense(column))
        return replace(variable, dtype=dtype), values
    if isinstance(dtype, pd.CategoricalDtype):
        labels = tuple(dtype.categories)
        codes = column.cat.codes.to_numpy().astype(np.float64)
        codes[codes < 0] = np.nan
        kind = _kind_of_categories(labels, ordered=bool(dtype.ordered))
        return Variable(name, kind, dtype, labels), codes
    if pd.api.types.is_bool_dtype(dtype):
        return Variable(name, Kind.BINARY, dtype, (False, True)), _numbers(column)
    if pd.api.types.is_numeric_dtype(dtype) and not pd.api.types.is_complex_dtype(dtype):
        return Variable(name, Kind.NUMERIC, dtype), _finite(name, _numbers(column))
    if isinstance(dtype, pd.StringDtype):
        return _encode_text(name, column)
    if pd.api.types.is_string_dtype(dtype) or dtype is np.dtype(object):
        return _encode_objects(name, column)
    if dates and is_date(dtype):
        ticks, numbers = encode_dates(column)
        return Variable(name, Kind.NUMERIC, dtype, ticks=ticks), numbers
    return Variable(name, Kind.OTHER, dtype), _presence(column)


def decode(
    variable: Variable, values: np.ndarray, original: "pd.Series[Any]", encoded: np.ndarray
) -> "pd.Series[Any]":
    """Cells of the user's dtype from float64 values.

    Cells whose value is the encoded original keep the user's own cell, so that nothing observed
    goes through a conversion.

    Parameters
    ----------
    variable
        As `encode` gave it.
    values
        New values (row,), in the order of `original`.
    original, encoded
        The user's column and its encoding, same order.

    Returns
    -------
    pandas.Series
        Index and name of `original`. Whole numbers stay integers if the column held integers;
        otherwise they widen to ``float64`` (``Float64`` for nullable columns,
        ``double[pyarrow]`` for Arrow's).

    Raises
    ------
    DataError
        If a value is not the position of a category.
    """
    if variable.kind is Kind.OTHER:
        return original.copy()
    if isinstance(original.dtype, pd.SparseDtype):
        decoded = decode(variable, values, dense(original), encoded)
        return decoded.astype(pd.SparseDtype(decoded.dtype, original.dtype.fill_value))
    values = np.asarray(values, dtype=np.float64)
    changed = ~((values == encoded) | (np.isnan(values) & np.isnan(encoded)))
    if not changed.any():
        return original.copy()
    new = values[changed]
    if variable.ticks is not None:
        column = original.copy()
        column.iloc[np.flatnonzero(changed)] = date_cells(
            variable.name, variable.dtype, variable.ticks, new
        )
        return column
    if variable.kind is Kind.NUMERIC:
        column = _widened(original, new)
        column.iloc[np.flatnonzero(changed)] = _numeric_cells(column.dtype, new)
        return column
    _check_positions(variable, new)
    if isinstance(original.dtype, pd.CategoricalDtype):  # labels would be looked up one by one
        codes = original.cat.codes.to_numpy(copy=True)
        codes[changed] = np.where(np.isnan(new), -1, new)
        cells = pd.Categorical.from_codes(codes, dtype=original.dtype)
        return pd.Series(cells, original.index, name=original.name)
    labels = [None if np.isnan(value) else variable.categories[int(value)] for value in new]
    column = original.copy()
    column.iloc[np.flatnonzero(changed)] = labels
    return column


def dense(column: Any) -> "pd.Series[Any]":
    """Give a sparse column as one that holds all its cells."""
    filled: pd.Series[Any] = column.sparse.to_dense()
    return filled


def _numbers(column: "pd.Series[Any]") -> np.ndarray:
    return column.to_numpy(dtype=np.float64, na_value=np.nan, copy=True)


def _finite(name: str, values: np.ndarray) -> np.ndarray:
    infinite = np.isinf(values)
    if infinite.any():
        raise DataError(
            f"Variable '{name}' has {int(infinite.sum())} infinite value(s); "
            "replace them by a number or by a missing value (NaN)."
        )
    largest = float(np.nanmax(np.abs(values), initial=0.0))
    if largest > LARGEST:
        raise DataError(
            f"Variable '{name}' has a number as large as {largest:.2g}, whose square is beyond "
            "what a computer's numbers hold; divide the column by a constant."
        )
    return values


def _presence(column: "pd.Series[Any]") -> np.ndarray:
    return np.where(column.isna().to_numpy(), np.nan, 0.0)


def _encode_text(name: str, column: "pd.Series[Any]") -> tuple[Variable, np.ndarray]:
    """Codes by the labels in ascending order; beside those, few cells are objects at a time."""
    observed = column.notna().to_numpy()
    pieces = [slice(start, start + PIECE) for start in range(0, len(column), PIECE)]

    def cells(piece: slice) -> np.ndarray:
        return column.array[piece].to_numpy(dtype=object)[observed[piece]]

    found = sorted(cell for piece in pieces for cell in set(cells(piece)))
    labels = np.array([label for label, _ in groupby(found)], dtype=object)
    del found
    values = np.full(len(column), np.nan)
    for piece in pieces:
        values[piece][observed[piece]] = np.searchsorted(labels, cells(piece))
    return Variable(name, _kind_of_categories(tuple(labels)), column.dtype, tuple(labels)), values


def _encode_objects(name: str, column: "pd.Series[Any]") -> tuple[Variable, np.ndarray]:
    present = column.dropna()
    cells = list(present)
    observed = column.notna().to_numpy()
    values = np.full(len(column), np.nan)
    if cells and all(isinstance(cell, bool | np.bool_) for cell in cells):
        values[observed] = np.array(cells, dtype=np.float64)
        return Variable(name, Kind.BINARY, column.dtype, (False, True)), values
    if cells and all(_is_number(cell) for cell in cells):
        values[observed] = np.array(cells, dtype=np.float64)
        return Variable(name, Kind.NUMERIC, column.dtype), _finite(name, values)
    if not _are_labels(cells):
        return Variable(name, Kind.OTHER, column.dtype), _presence(column)
    labels = sorted_labels(cells)
    position = {label: code for code, label in enumerate(labels)}
    values[observed] = [position[cell] for cell in cells]
    return Variable(name, _kind_of_categories(labels), column.dtype, labels), values


def _are_labels(cells: Sequence[Any]) -> bool:
    """Whether cells are text, numbers or tuples that can be told apart."""
    try:
        set(cells)
    except TypeError:  # a list inside a tuple, a record of numpy
        return False
    return all(isinstance(cell, str | int | float | bool | tuple | np.generic) for cell in cells)


def _is_number(cell: Any) -> bool:
    return isinstance(cell, int | float | np.integer | np.floating) and not isinstance(cell, bool)


def _kind_of_categories(labels: Sequence[Any], ordered: bool = False) -> Kind:
    if len(labels) == 2:
        return Kind.BINARY
    return Kind.ORDINAL if ordered else Kind.NOMINAL


def sorted_labels(cells: Sequence[Hashable]) -> tuple[Any, ...]:
    """Distinct labels in ascending order; labels of several types are grouped by type."""
    distinct: set[Any] = set(cells)
    try:
        return tuple(sorted(distinct))
    except TypeError:
        return tuple(sorted(distinct, key=lambda label: (type(label).__name__, str(label))))


def _widened(original: "pd.Series[Any]", new: np.ndarray) -> "pd.Series[Any]":
    """Copy of the column in a dtype that can hold the new numbers."""
    dtype: Any = original.dtype
    if not pd.api.types.is_integer_dtype(dtype):
        return original.copy()
    nullable = pd.api.types.is_extension_array_dtype(dtype)
    present = new[~np.isnan(new)]
    whole = bool(np.all(present == np.round(present)))
    if not whole or (present.size < new.size and not nullable):
        return _of_64_bits(original, "float64")
    own: np.dtype[Any] = np.dtype(getattr(dtype, "numpy_dtype", dtype))
    if _holds(own, present):
        return original.copy()
    fits = own != np.uint64 and _holds(np.dtype(np.int64), present)
    return _of_64_bits(original, "int64" if fits else "float64")


def _holds(dtype: "np.dtype[Any]", whole: np.ndarray) -> bool:
    """Whether integers of a dtype reach as far as whole numbers do."""
    limits = np.iinfo(dtype)  # as floats, where 2⁶³ − 1 is 2⁶³
    low, high = float(limits.min), float(limits.max) + 1.0
    return not whole.size or bool(low <= whole.min() and whole.max() < high)


def _of_64_bits(column: Any, dtype: str) -> "pd.Series[Any]":
    """Numbers in a wider dtype of the same family, without which stacked frames hold objects."""
    if not pd.api.types.is_extension_array_dtype(column.dtype):
        return column.astype(dtype)
    nullable = column.astype(dtype.capitalize())  # Arrow refuses what 53 bits do not hold
    arrow = isinstance(column.dtype, pd.ArrowDtype)
    return nullable.astype(f"{dtype}[pyarrow]") if arrow else nullable


def _numeric_cells(dtype: Any, new: np.ndarray) -> Any:
    if dtype is np.dtype(object):
        return [float(value) if not np.isnan(value) else None for value in new]
    if pd.api.types.is_extension_array_dtype(dtype):
        masked = pd.array([None if np.isnan(value) else value for value in new], dtype="Float64")
        return masked.astype(dtype)
    return new.astype(dtype)


def _check_positions(variable: Variable, new: np.ndarray) -> None:
    """Raise DataError if a number is not the position of a category."""
    present = new[~np.isnan(new)]
    last = len(variable.categories) - 1
    if np.any((present != np.round(present)) | (present < 0) | (present > last)):
        raise DataError(
            f"Values for '{variable.name}' must be category positions 0 to {last}; "
            f"got {np.unique(present)[:5].tolist()}."
        )


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
        return _as_dates(column, variable, place)
    if variable.kind is Kind.NUMERIC:
        return _as_numbers(column, variable, place)
    codes, distinct = pd.factorize(column)
    labels = distinct.tolist()  # as Python has them
    position = {label: float(code) for code, label in enumerate(variable.categories)}
    try:
        found = np.array([position.get(label, np.nan) for label in labels])
    except TypeError:
        found = np.full(len(labels), np.nan)
    seen = np.isin(found, allowed)
    if not seen.all():
        first = int((~seen).argmax())
        known = listed(variable.categories[int(code)] for code in allowed)
        raise DataError(
            f"{place}: {variable.name!r} is {labels[first]!r} in {int((codes == first).sum())} "
            f"row(s), {unknown}.{f' Known are {known}.' if known else ''}"
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
    if held is np.dtype(object):  # the labels themselves: of True no 1.0
        cells = np.array([*variable.categories, None], dtype=object)
        which = np.where(codes < 0, -1, encoded).astype(np.int64)
        return pd.Series(cells[which], index=column.index, name=column.name), encoded
    return column.astype(held), encoded


def _as_numbers(
    column: "pd.Series[Any]", variable: Variable, place: str
) -> tuple["pd.Series[Any]", np.ndarray]:
    own = column
    if not pd.api.types.is_numeric_dtype(column.dtype) or pd.api.types.is_bool_dtype(column.dtype):
        try:
            column = pd.to_numeric(column.astype(object)).astype(np.float64)
        except (TypeError, ValueError) as error:
            raise DataError(
                f"{place}: {variable.name!r} was a number in the other data, and "
                f"is {column.dtype} now ({error}); convert it to numbers."
            ) from None
        if own.dtype != variable.dtype or not all(map(_is_number, own.dropna())):
            own = column
    numbers = column.to_numpy(dtype=np.float64, na_value=np.nan, copy=True)
    if np.isinf(numbers).any():
        raise DataError(
            f"{place}: {variable.name!r} is infinite in {int(np.isinf(numbers).sum())} row(s); "
            "replace these by a number or by a missing value (NaN)."
        )
    return own, numbers


def _as_dates(
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
