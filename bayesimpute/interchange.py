"""Frames of other libraries: pandas within, and the kind that came in on the way out.

Every library of today hands its frames over as Arrow's stream of columns, so one way in and one
way out serve all: no layer between libraries is needed, only pyarrow, without which none of them
could be turned into a pandas frame.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from itertools import islice
from typing import Any, Protocol, runtime_checkable

import numpy as np
import pandas as pd

from bayesimpute.errors import DataError

POLARS, ARROW = "polars", "pyarrow"
#: Among so many parts of a list frames are looked for: it may be one of a million numbers.
MOST_FRAMES = 100


@runtime_checkable
class ArrowStream(Protocol):
    """A frame that hands itself over as Arrow's columns: of polars, pyarrow, DuckDB, and so on."""

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        """Give the columns."""


#: A frame of any library. What is so annotated is left as it is by `checked`, since its kind is to
#: be known; a frame of another library given elsewhere comes as one of pandas.
type Frame = pd.DataFrame | ArrowStream


@dataclass(frozen=True)
class Origin:
    """What frames of the user are, so that the same comes back.

    Attributes
    ----------
    kind
        ``"polars"`` or ``"pyarrow"``, the library.
    schema
        Names and types of the columns, as Arrow writes a schema down.
    not_numbers
        Columns of numbers some of which are NaN, which is not the same as null there.
    """

    kind: str
    schema: bytes
    not_numbers: tuple[str, ...] = field(default=())

    @property
    def available(self) -> bool:
        """Whether the library is installed here; without it frames are those of pandas."""
        return all(find_spec(each) is not None for each in {self.kind, ARROW})

    def fields(self) -> dict[str, Any]:
        """Name -> Arrow's field, of each column that came in.

        Raises
        ------
        ValueError
            If the schema is none.
        """
        import pyarrow as pa

        return {each.name: each for each in pa.ipc.read_schema(pa.py_buffer(self.schema))}

    def back(self, frame: pd.DataFrame, suffixed: bool = False, typed: bool = True) -> Any:
        """Give a frame of pandas as one of the library, columns of the types that they had.

        Parameters
        ----------
        frame
            Columns that did not come in, and values that their type cannot hold (an imputed 2.5
            among whole numbers), have the type that they have here. The index is left out.
        suffixed
            Whether names of columns end by ``.`` and the number of an imputation.
        typed
            Whether columns hold what the user's do.
        """
        if not self.available:
            return frame
        import pyarrow as pa

        known, arrays, fields = self.fields() if typed else {}, [], []
        for name, column in frame.items():
            plain = str(name).rpartition(".")[0] if suffixed else str(name)
            array = pa.array(column, from_pandas=True)
            had = known.get(plain)
            if had is not None:
                try:
                    array = array.cast(had.type)
                except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError):
                    had = None
            metadata = None if had is None else had.metadata
            arrays.append(array)
            nullable = had is None or had.nullable
            fields.append(pa.field(str(name), array.type, nullable, metadata))
        table = pa.Table.from_arrays(arrays, schema=pa.schema(fields))
        if self.kind == ARROW:
            return table
        import polars as pl

        return pl.from_arrow(table)


def is_foreign(value: Any) -> bool:
    """Whether something is a frame of another library than pandas."""
    return (
        not isinstance(value, pd.DataFrame)
        and hasattr(type(value), "__arrow_c_stream__")
        and hasattr(value, "columns")
    )


def taken(frame: Any) -> tuple[Any, Origin | None]:
    """Give a frame as one of pandas, and what it was; anything else as it is.

    Null and NaN are both missing. Whole numbers and truth values with nulls become pandas' nullable
    ones, ordered categories (polars' ``Enum``) ordered categoricals, dates dates of days, decimals
    floating-point numbers.

    Raises
    ------
    DataError
        If pyarrow, by which frames are handed over, is not installed.

    Examples
    --------
    >>> import pyarrow as pa
    >>> df, origin = taken(pa.table({"x": [1, None], "g": ["a", "b"]}))
    >>> df["x"].dtype, origin.back(df).schema.names
    (Int64Dtype(), ['x', 'g'])
    """
    if not is_foreign(frame):
        return frame, None
    kind = type(frame).__module__.partition(".")[0]
    try:
        import pyarrow as pa
    except ImportError:
        raise DataError(
            f"Reading a frame of {kind} needs the package pyarrow: pip install pyarrow; or give a "
            "pandas DataFrame."
        ) from None
    table = pa.table(frame)
    columns = [_series(each) for each in table.columns]
    made = pd.DataFrame(dict(enumerate(columns)), index=pd.RangeIndex(table.num_rows))
    made.columns = pd.Index(table.column_names, dtype=object)
    nan = [
        name
        for name, each in zip(table.column_names, table.columns, strict=True)
        if pa.types.is_floating(each.type) and np.isnan(each.drop_null().to_numpy()).any()
    ]
    if kind not in (POLARS, ARROW):  # of which a frame cannot be made here: Arrow's is next to it
        kind = ARROW
    return made, Origin(kind, table.schema.serialize().to_pybytes(), tuple(nan))


def within(value: Any) -> Any:
    """Give a frame, or a list or mapping of frames, as those of pandas; anything else as it is."""
    if isinstance(value, list | tuple) and any(map(is_foreign, value[:MOST_FRAMES])):
        return [taken(each)[0] for each in value]
    if isinstance(value, Mapping) and any(map(is_foreign, islice(value.values(), MOST_FRAMES))):
        return {key: taken(each)[0] for key, each in value.items()}
    return taken(value)[0]


def given(frame: pd.DataFrame, origin: Origin | None) -> Any:
    """Give a frame of pandas as what it came from."""
    return frame if origin is None else origin.back(frame)


def _series(column: Any) -> "pd.Series[Any]":
    import pyarrow as pa

    kind, gaps = column.type, column.null_count > 0
    if pa.types.is_dictionary(kind):
        plain = pa.dictionary(kind.index_type, _known(kind.value_type), kind.ordered)
        return pd.Series(column.cast(plain).unify_dictionaries().to_pandas())
    if pa.types.is_decimal(kind):
        column = column.cast(pa.float64())
    elif pa.types.is_integer(kind) and gaps:
        name = str(kind).replace("uint", "UInt").replace("int", "Int")
        return pd.Series(column.to_pandas(types_mapper={kind: pd.api.types.pandas_dtype(name)}.get))
    elif pa.types.is_boolean(kind) and gaps:
        return pd.Series(column.to_pandas(types_mapper={kind: pd.BooleanDtype()}.get))
    elif _known(kind) != kind or pa.types.is_large_string(kind) or pa.types.is_string(kind):
        return pd.Series(column.cast(_known(kind)).to_pandas(), dtype="str")
    return pd.Series(column.to_pandas(date_as_object=False))


def _known(kind: Any) -> Any:
    """Type of text as pandas reads it from every version of pyarrow."""
    import pyarrow as pa

    return pa.large_string() if str(kind) == "string_view" else kind
