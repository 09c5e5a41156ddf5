"""A pandas frame, and single values, as JSON and arrays, and back: exactly, nothing is executed."""

import datetime as dt
import json
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from itertools import islice
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from bayesimpute.data.dates import periods
from bayesimpute.data.encoding import dense
from bayesimpute.errors import DataError

TAG = "__type__"
#: Dtypes of fixed small size, and text of NumPy of moderate length.
_DTYPE = re.compile(
    r"[<>|=]?[biufc]\d{1,2}|[<>|=]?U\d{1,4}|u?int\d{1,2}|float\d{1,3}|complex\d{1,3}|bool|object"
    r"|U?Int\d{1,2}|Float\d{1,2}|boolean|[\w :,()/+.-]{1,80}(\[[^\[\]]{1,60}\])?\[pyarrow\]"
)


#: Brackets within brackets that are read; nothing is written that is nested deeper.
DEEPEST = 200
#: Containers within containers that are written, each as three brackets at most.
MOST_LEVELS = 50
#: Text that stands between quotation marks, where brackets are no brackets.
_QUOTED = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
#: Characters of the text of a point in time.
_LONGEST_TIME = 64


class NotStorable(TypeError):
    """A value of a type that has no exact JSON form here."""


def parse(text: bytes) -> Any:
    """Read JSON, unless it is nested deeper than anything that is written.

    Raises
    ------
    ValueError
        If it is not JSON, or nested too deeply.

    Examples
    --------
    >>> parse(b'[1, "[[["]')
    [1, '[[[']
    """
    if text.count(b"[") + text.count(b"{") > DEEPEST:
        left = np.frombuffer(_QUOTED.sub(b"", text), dtype=np.uint8)
        opening = (left == ord("[")) | (left == ord("{"))
        closing = (left == ord("]")) | (left == ord("}"))
        deepest = int(np.cumsum(opening.astype(np.int64) - closing).max(initial=0))
        if deepest > DEEPEST:
            raise ValueError(f"JSON nested {deepest:,} deep; {DEEPEST} is the most that is written")
    return json.loads(str(text, "utf-8"))


def encode_value(value: Any, level: int = 0) -> Any:
    """JSON form of a value.

    None, bool, int, finite float and str stand for themselves; containers keep their kind; other
    types become ``{"__type__": name, "value": text}``.

    Parameters
    ----------
    value
        What is to be stored.
    level
        Containers it is within.

    Raises
    ------
    NotStorable
        For any other type, and for containers that are nested without end or nearly so.

    Examples
    --------
    >>> encode_value((1, "a"))
    {'__type__': 'tuple', 'value': [1, 'a']}
    """
    kind = type(value)
    if value is None or kind in (bool, int, str) or (kind is float and math.isfinite(value)):
        return value
    if level > MOST_LEVELS:
        raise NotStorable(f"{kind.__qualname__} within {MOST_LEVELS} others")
    if kind is list:
        return [encode_value(each, level + 1) for each in value]
    if kind is dict:
        pairs = [[encode_value(part, level + 1) for part in pair] for pair in value.items()]
        return _tagged("dict", pairs)
    if kind is tuple:
        return _tagged("tuple", [encode_value(each, level + 1) for each in value])
    if kind is np.ndarray and value.dtype.kind in "biuf":
        return _tagged("array", [value.dtype.str, list(value.shape), value.ravel().tolist()])
    for name, (known, write, _) in _SCALARS.items():
        if kind is known:
            return _tagged(name, write(value))
    if isinstance(value, np.generic) and value.dtype.kind in "biufU":
        return _tagged("numpy", [value.dtype.str, encode_value(value.item())])
    raise NotStorable(f"{kind.__module__}.{kind.__qualname__}")


def decode_value(stored: Any) -> Any:
    """Value of its JSON form; the inverse of `encode_value`.

    Raises
    ------
    ValueError
        If `stored` was not made by `encode_value`.
    """
    if isinstance(stored, list):
        return [decode_value(each) for each in stored]
    if not isinstance(stored, dict):
        return stored
    name, content = stored.get(TAG), stored.get("value")
    if name == "dict" and isinstance(content, list):
        return {decode_value(key): decode_value(each) for key, each in content}
    if name == "tuple" and isinstance(content, list):
        return tuple(decode_value(each) for each in content)
    if name == "array" and isinstance(content, list):
        dtype, shape, flat = content
        return np.array(flat, dtype=_plain(dtype, "biuf")).reshape(shape)
    if name == "numpy" and isinstance(content, list):
        return _plain(content[0]).type(decode_value(content[1]))
    if isinstance(name, str) and name in _SCALARS:
        return _SCALARS[name][2](content)
    raise ValueError(f"unknown stored type {name!r:.60}")


def _tagged(name: str, content: Any) -> dict[str, Any]:
    return {TAG: name, "value": content}


def known_dtype(code: Any) -> Any:
    """Name of a dtype of numbers, as it is stored; any other could ask for any amount of memory.

    Raises
    ------
    ValueError
        If it is another.

    Examples
    --------
    >>> known_dtype("<f8"), known_dtype("Int64"), known_dtype("double[pyarrow]")
    ('<f8', 'Int64', 'double[pyarrow]')
    """
    if not isinstance(code, str) or not _DTYPE.fullmatch(code):
        raise ValueError(f"unknown stored dtype {code!r:.60}")
    return code


def _plain(code: Any, kinds: str = "biufU") -> np.dtype:
    dtype = np.dtype(known_dtype(code))
    if dtype.kind not in kinds:
        raise ValueError(f"unknown stored dtype {code!r:.60}")
    return dtype


def _of_timestamp(time: pd.Timestamp) -> list[Any]:
    zone = None if time.tz is None else str(time.tz)
    content = [time.tz_localize(None).isoformat(), time.unit, zone, time.fold]
    try:
        if zone is None or _timestamp(content) == time:
            return content[: 3 + (zone is not None)]
    except (TypeError, ValueError, KeyError):
        pass  # no name by which the zone can be had again
    raise NotStorable(f"pandas.Timestamp in the time zone {zone}")


def _timestamp(content: Sequence[Any]) -> pd.Timestamp:
    text, unit, zone, *fold = content
    if len(text) > _LONGEST_TIME or (zone is not None and zone.startswith("dateutil")):
        raise ValueError(f"unknown stored time {text!r:.60} {zone!r:.60}")  # it would read a file
    ambiguous: Any = fold == [0] if fold else "raise"  # of an hour that a clock shows twice
    return pd.Timestamp(text).tz_localize(zone, ambiguous=ambiguous).as_unit(unit)


def _of_datetime(time: dt.datetime) -> Any:
    zone = time.tzinfo
    if isinstance(zone, ZoneInfo) and zone.key:
        return [time.replace(tzinfo=None).isoformat(), zone.key, time.fold]
    return time.isoformat()


def _datetime(content: Any) -> dt.datetime:
    if isinstance(content, str):
        return dt.datetime.fromisoformat(content)
    text, zone, fold = content
    return dt.datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold)


# name -> (exact type, value to JSON, JSON to value)
_SCALARS: Mapping[str, tuple[type, Callable[[Any], Any], Callable[[Any], Any]]] = {
    "float": (float, repr, float),
    "NA": (type(pd.NA), lambda _: None, lambda _: pd.NA),
    "NaT": (type(pd.NaT), lambda _: None, lambda _: pd.NaT),
    "timestamp": (pd.Timestamp, _of_timestamp, _timestamp),
    "timedelta": (
        pd.Timedelta,
        lambda t: [int(t.value), t.unit],
        lambda c: pd.Timedelta(c[0], unit="ns").as_unit(c[1]),
    ),
    "datetime": (dt.datetime, _of_datetime, _datetime),
    "date": (dt.date, lambda t: t.isoformat(), dt.date.fromisoformat),
    "time": (dt.time, lambda t: t.isoformat(), dt.time.fromisoformat),
    "duration": (
        dt.timedelta,
        lambda t: [t.days, t.seconds, t.microseconds],
        lambda c: dt.timedelta(*c),
    ),
    "decimal": (Decimal, str, Decimal),
    "uuid": (UUID, str, UUID),
    "bytes": (bytes, bytes.hex, bytes.fromhex),
    "interval": (
        pd.Interval,
        lambda i: [encode_value(i.left), encode_value(i.right), i.closed],
        lambda c: pd.Interval(decode_value(c[0]), decode_value(c[1]), c[2]),
    ),
}


#: Cells on a line of bytes: few enough to hold twice while a file is opened, enough to be fast.
PER_LINE = 4096


def to_lines(series: "pd.Series[Any]", encode_value: Callable[[Any], Any]) -> np.ndarray:
    """Write cells as lines of JSON.

    Parameters
    ----------
    series
        The cells.
    encode_value
        Gives a cell as what JSON can hold.

    Returns
    -------
    numpy.ndarray
        Bytes, uint8 (byte,).
    """
    return np.frombuffer(b"".join(_written(series, encode_value)), dtype=np.uint8)


def form_of_lines(series: "pd.Series[Any]", encode_value: Callable[[Any], Any]) -> np.ndarray:
    """Length and type of what `to_lines` gives, as an array that takes no memory."""
    return np.broadcast_to(np.uint8(0), sum(map(len, _written(series, encode_value))))


def _written(series: "pd.Series[Any]", encode_value: Callable[[Any], Any]) -> Iterator[bytes]:
    cells = map(encode_value, series)
    while line := list(islice(cells, PER_LINE)):
        yield json.dumps(line, allow_nan=False, separators=(",", ":")).encode() + b"\n"


def text_of(stored: np.ndarray, dtype: Any) -> Any:
    """Cells of text, of a dtype of pandas, from the bytes of `to_lines`."""
    parts = [pd.Series(line, dtype=dtype) for line in _lines(stored)]
    return pd.concat(parts, ignore_index=True).array if parts else pd.array([], dtype=dtype)


def objects_of(stored: np.ndarray) -> np.ndarray:
    """Cells of any kind, dtype object, from the bytes of `to_lines`; equal text is held once."""
    held: dict[str, str] = {}
    parts = []
    for line in _lines(stored):
        part = np.empty(len(line), dtype=object)
        for k, cell in enumerate(map(decode_value, line)):
            part[k] = held.setdefault(cell, cell) if isinstance(cell, str) else cell
        parts.append(part)
    return np.concatenate(parts) if parts else np.empty(0, dtype=object)


def _lines(stored: np.ndarray) -> Iterator[list[Any]]:
    """Cells of one line after the other, each in memory only while it is looked at."""
    if stored.dtype != np.uint8:
        raise ValueError("cells are not stored as bytes")
    for line in re.finditer(rb"[^\n]+", stored.data):
        cells = parse(line.group())
        if not isinstance(cells, list) or len(cells) > PER_LINE:
            raise ValueError("cells are not as they are written")
        yield cells


type Arrays = dict[str, np.ndarray]
type Lines = Callable[["pd.Series[Any]", Callable[[Any], Any]], np.ndarray]

NUMPY_KINDS = "biuf"

#: Complex numbers are kept as pairs.
COMPLEX = {np.dtype(pair).str: half for pair, half in (("c8", "f4"), ("c16", "f8"))}

ARROW_TEXT = ("string[pyarrow]", "large_string[pyarrow]")


def encode_frame(frame: pd.DataFrame, lines: Lines = to_lines) -> tuple[dict[str, Any], Arrays]:
    """Take a frame apart into a description (JSON) and numeric arrays.

    Parameters
    ----------
    frame
        Any columns of numpy, nullable, pyarrow, string, categorical, datetime, timedelta or
        object dtype; any index.
    lines
        Gives cells of text and objects as bytes, `form_of_lines` if only their length matters.

    Returns
    -------
    tuple
        Description for ``json.dumps``; arrays (1-d, numeric) the description refers to by name.

    Raises
    ------
    DataError
        If a column holds values no file format without code can hold.
    """
    arrays: Arrays = {}
    columns = [
        {
            "name": encode_value(name),
            **_encode(frame[name], f"column_{k}", arrays, lines),
        }
        for k, name in enumerate(frame.columns)
    ]
    description = {
        "rows": len(frame),
        "columns": columns,
        "columns_name": _name(frame.columns.name),
        "index": _encode_index(frame.index, arrays, lines),
    }
    return description, arrays


def decode_frame(description: dict[str, Any], arrays: Arrays) -> pd.DataFrame:
    """Rebuild the frame from `encode_frame`'s description and arrays, which are taken out."""
    index = _decode_index(description["index"], arrays)
    names = [decode_value(column["name"]) for column in description["columns"]]
    columns = [_series(column, arrays, index) for column in description["columns"]]
    frame = (
        pd.concat(columns, axis="columns", keys=range(len(columns)))
        if columns
        else pd.DataFrame(index=index)
    )
    frame.columns = pd.Index(names, name=decode_value(description["columns_name"]))
    return frame


def check_storable(frame: pd.DataFrame) -> None:
    """Raise before a run what writing its result would raise after it.

    Raises
    ------
    DataError
        If a column, or the index, holds values no file format without code can hold.
    """
    encode_frame(frame, _length_only)


def _length_only(series: "pd.Series[Any]", encode: Callable[[Any], Any]) -> np.ndarray:
    """Look whether a file can hold the cells; all of a dtype for text it can."""
    if not isinstance(series.dtype, pd.StringDtype):
        form_of_lines(series, encode)
    return np.empty(0, dtype=np.uint8)


def _encode(series: pd.Series, key: str, arrays: Arrays, lines: Lines) -> dict[str, Any]:
    dtype = series.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        arrays[key] = np.asarray(series.cat.codes)
        labels = pd.Series(dtype.categories, name=series.name)
        stored = _encode(labels, f"{key}_labels", arrays, lines)
        return {"as": "category", "array": key, "ordered": bool(dtype.ordered), "labels": stored}
    if isinstance(dtype, pd.SparseDtype):
        cells = _encode(dense(series), key, arrays, lines)
        return {"as": "sparse", "fill": encode_value(dtype.fill_value), "cells": cells}
    if isinstance(dtype, np.dtype) and dtype.kind in NUMPY_KINDS:
        arrays[key] = series.to_numpy()
        return {"as": "numpy", "array": key, "dtype": dtype.str}
    if isinstance(dtype, np.dtype) and dtype.str in COMPLEX:
        arrays[key] = np.ascontiguousarray(series.to_numpy()).view(COMPLEX[dtype.str])
        return {"as": "complex", "array": key, "dtype": dtype.str}
    if isinstance(dtype, pd.IntervalDtype):
        ends = pd.arrays.IntervalArray(series)
        return {
            "as": "interval",
            "closed": dtype.closed,
            "left": _encode(pd.Series(ends.left), f"{key}_left", arrays, lines),
            "right": _encode(pd.Series(ends.right), f"{key}_right", arrays, lines),
        }
    if isinstance(dtype, np.dtype) and dtype.kind in "mM":
        arrays[key] = series.to_numpy().view(np.int64)
        return {"as": "ticks", "array": key, "dtype": dtype.str}
    if isinstance(dtype, pd.PeriodDtype):
        arrays[key] = pd.PeriodIndex(series).asi8
        return {"as": "period", "array": key, "dtype": str(dtype)}
    if isinstance(dtype, pd.DatetimeTZDtype):
        arrays[key] = series.dt.tz_convert("UTC").dt.tz_localize(None).to_numpy().view(np.int64)
        return {"as": "zoned", "array": key, "unit": dtype.unit, "zone": _zone(series)}
    if pd.api.types.is_extension_array_dtype(dtype) and getattr(dtype, "kind", "O") in NUMPY_KINDS:
        return _encode_masked(series, key, arrays)
    if isinstance(dtype, pd.StringDtype):
        arrays[key] = lines(series, lambda cell: cell if isinstance(cell, str) else None)
        na = "NA" if dtype.na_value is pd.NA else "nan"
        return {
            "as": "text", "dtype": str(dtype), "storage": dtype.storage, "na": na, "array": key,
        }  # fmt: skip
    if isinstance(dtype, pd.ArrowDtype):
        native = _native(series)
        return {"as": "arrow", "dtype": str(dtype), "cells": _encode(native, key, arrays, lines)}
    if dtype == np.dtype(object):
        try:
            arrays[key] = lines(series, encode_value)
            return {"as": "object", "array": key}
        except NotStorable as unknown:
            raise DataError(
                f"Variable {series.name!r} holds values of type {unknown}, which a file cannot "
                "hold: turn them into text, numbers or categories before imputing, such as "
                f"df[{series.name!r}].map(str, na_action='ignore'), or leave the column out: "
                f"df.drop(columns={series.name!r})."
            ) from None
    raise DataError(
        f"Variable {series.name!r} has dtype {dtype}, which a file cannot hold: convert it before "
        f"imputing, such as df[{series.name!r}].astype(object), or leave it out: "
        f"df.drop(columns={series.name!r})."
    )


def _zone(series: pd.Series) -> str:
    """Name of a time zone by which it can be had again."""
    dtype = series.dtype
    assert isinstance(dtype, pd.DatetimeTZDtype)
    try:
        if pd.DatetimeTZDtype(dtype.unit, str(dtype.tz)) == dtype:
            return str(dtype.tz)
    except (TypeError, ValueError, KeyError):
        pass  # no name that is known
    raise DataError(
        f"Variable {series.name!r} has the time zone {dtype.tz}, whose name a file cannot hold: "
        f"convert it before imputing: df[{series.name!r}].dt.tz_convert('UTC')."
    )


def _encode_masked(series: pd.Series, key: str, arrays: Arrays) -> dict[str, Any]:
    """Nullable and pyarrow numbers: values, and which of them are absent."""
    dtype, absent = series.dtype, series.isna().to_numpy()
    native = np.dtype(getattr(dtype, "numpy_dtype", np.float64))
    kept = series.fillna(series.dropna().iloc[0]) if absent.any() and not absent.all() else series
    arrays[key] = np.zeros(len(series), native) if absent.all() else kept.to_numpy(dtype=native)
    arrays[f"{key}_absent"] = absent
    return {"as": "masked", "array": key, "dtype": str(dtype)}


def _native(series: pd.Series) -> pd.Series:
    """Give text, dates and durations of pyarrow in the dtype of pandas itself.

    Raises
    ------
    DataError
        If the dtype cannot be had again from its name.
    """
    dtype: Any = series.dtype
    if dtype.kind in "mM":
        zone = getattr(dtype.pyarrow_dtype, "tz", None)
        native = dtype.numpy_dtype
        unit = np.datetime_data(native)[0]
        wanted: Any = native if zone is None else f"datetime64[{unit}, {zone}]"
        return series.astype(wanted)
    if str(dtype) in ARROW_TEXT:
        return series.astype("string")
    remedies = {"dictionary": "astype(object).astype('category')", "decimal": "astype('float64')"}
    found = (code for kind, code in remedies.items() if str(dtype).startswith(kind))
    remedy = next(found, "astype(object)")
    raise DataError(
        f"Variable {series.name!r} has dtype {dtype}, which a file cannot hold: convert it before "
        f"imputing: df[{series.name!r}].{remedy}."
    )


def _series(stored: dict[str, Any], arrays: Arrays, index: pd.Index | None = None) -> pd.Series:
    """Give a column of the dtype it had; objects are not looked at for what they might be."""
    cells = _decode(stored, arrays)
    return pd.Series(cells, index=index, dtype=object if stored["as"] == "object" else None)


def _index(stored: dict[str, Any], arrays: Arrays) -> pd.Index:
    cells = _decode(stored, arrays)
    if stored["as"] == "object":
        return pd.Index(cells, dtype=object, tupleize_cols=False)
    return pd.Index(cells)


def _decode(stored: dict[str, Any], arrays: Arrays) -> Any:
    how = stored["as"]
    if how == "numpy":
        dtype = known_dtype(stored["dtype"])
        return arrays.pop(stored["array"]).astype(dtype, copy=False)
    if how == "complex":
        return arrays.pop(stored["array"]).view(stored["dtype"])
    if how == "period":
        return periods(arrays.pop(stored["array"]), pd.PeriodDtype(stored["dtype"]))
    if how == "sparse":
        cells = _series(stored["cells"], arrays)
        fill = decode_value(stored["fill"])
        return cells.astype(pd.SparseDtype(cells.dtype, fill)).array
    if how == "arrow":
        native = _series(stored["cells"], arrays)
        if stored["dtype"] == ARROW_TEXT[0]:  # which cannot be asked for by this name
            return native.convert_dtypes(dtype_backend="pyarrow").array
        return native.astype(known_dtype(stored["dtype"])).array
    if how == "interval":
        left, right = (_index(stored[side], arrays) for side in ("left", "right"))
        return pd.arrays.IntervalArray.from_arrays(left, right, closed=stored["closed"])
    if how == "category":
        labels = _index(stored["labels"], arrays)
        return pd.Categorical.from_codes(
            arrays.pop(stored["array"]),
            dtype=pd.CategoricalDtype(labels, ordered=stored["ordered"]),
        )
    if how == "ticks":
        return arrays.pop(stored["array"]).view(stored["dtype"])
    if how == "zoned":
        ticks = arrays.pop(stored["array"]).view(f"M8[{stored['unit']}]")
        return pd.DatetimeIndex(ticks).tz_localize("UTC").tz_convert(stored["zone"])
    if how == "masked":
        values = pd.array(arrays.pop(stored["array"]), dtype=known_dtype(stored["dtype"]))
        values[arrays.pop(f"{stored['array']}_absent").astype(bool)] = pd.NA
        return values
    if how == "text":
        na = pd.NA if stored["na"] == "NA" else np.nan
        text = pd.StringDtype(stored["storage"], na_value=na)
        return text_of(arrays.pop(stored["array"]), text)
    if how == "object":
        return objects_of(arrays.pop(stored["array"]))
    raise ValueError(f"unknown column encoding {how!r}")


def _encode_index(index: pd.Index, arrays: Arrays, lines: Lines) -> dict[str, Any]:
    if isinstance(index, pd.RangeIndex):
        bounds = [index.start, index.stop, index.step]
        return {"as": "range", "bounds": bounds, "name": _name(index.name)}
    levels = [index.get_level_values(k) for k in range(index.nlevels)]
    return {
        "as": "labels",
        "multi": isinstance(index, pd.MultiIndex),
        "names": [_name(level.name) for level in levels],
        **_frequency(index),
        "levels": [
            _encode(pd.Series(level).rename(f"index level {k}"), f"index_{k}", arrays, lines)
            for k, level in enumerate(levels)
        ],
    }


def _name(name: Any) -> Any:
    """JSON form of the name of an index."""
    try:
        return encode_value(name)
    except NotStorable as unknown:
        raise DataError(
            f"The name {name!r} of an index is of type {unknown}, which a file cannot hold: rename "
            "it before imputing, such as df.rename_axis('row')."
        ) from None


def _frequency(index: pd.Index) -> dict[str, str]:
    """Frequency of dates or durations, if its text is all there is to say of it."""
    text = getattr(index, "freqstr", None)
    if text is None or not isinstance(index, pd.DatetimeIndex | pd.TimedeltaIndex):
        return {}
    try:
        same = pd.tseries.frequencies.to_offset(text) == index.freq
    except ValueError:
        same = False
    return {"freq": text} if same else {}


def _decode_index(stored: dict[str, Any], arrays: Arrays) -> pd.Index:
    if stored["as"] == "range":
        start, stop, step = stored["bounds"]
        return pd.RangeIndex(start, stop, step, name=decode_value(stored["name"]))
    levels = [_index(level, arrays) for level in stored["levels"]]
    names = [decode_value(name) for name in stored["names"]]
    if stored["multi"]:
        return pd.MultiIndex.from_arrays(levels, names=names)
    index = levels[0].rename(names[0])
    if "freq" in stored and isinstance(index, pd.DatetimeIndex | pd.TimedeltaIndex):
        regular: Any = type(index)
        return regular(index, freq=stored["freq"])
    return index
